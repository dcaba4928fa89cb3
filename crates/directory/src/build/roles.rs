//! Roles of authentik as groups: their members are the users and the groups that have them.
//!
//! Must not know why somebody is shown, nor what else a shape says.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use uuid::Uuid;

use crate::build::builder::Builder;
use crate::build::carried::CarriedGroup;
use crate::build::inherited::Related;
use crate::build::record::{GroupRecord, RecordName, Warning};
use crate::build::visible::Visible;
use crate::index::snapshot::{Snapshot, text};
use crate::model::account::Role;
use crate::model::number::{GroupIx, UserIx, WrongNumber};
use crate::shape::Membership;

/// How the names of those roles begin that authentik makes for itself, each for one account.
const MANAGED: &str = "ak-managed-role--";

/// Who has a role.
#[derive(Debug, Default)]
struct RoleHolders<'a> {
    name: &'a str,
    users: Vec<i64>,
    groups: HashSet<[u8; 16]>,
}

/// A directory in which groups stand for roles.
pub(super) struct RolesShown {
    pub(super) snapshot: Snapshot,
    /// The UUIDs of these groups.
    pub(super) roles: HashSet<[u8; 16]>,
    /// Which roles have no group because another has their name.
    pub(super) warnings: Vec<Warning>,
}

/// The number that authentik would give to a group of this UUID: its first five decimal digits.
#[must_use]
pub fn group_number(uuid: Uuid) -> i64 {
    let mut number = uuid.as_u128();
    loop {
        match i64::try_from(number) {
            Ok(digits) if digits <= 99_999 => return digits,
            _ => number /= 10,
        }
    }
}

impl Snapshot {
    /// This directory with a group for each role that anybody has.
    pub(super) fn with_roles(&self) -> Result<RolesShown, WrongNumber> {
        let mut roles: BTreeMap<[u8; 16], RoleHolders<'_>> = BTreeMap::new();
        let mut taken = HashSet::new();
        for user in self.users() {
            let pk = *self.records.users.pks.get(user)?;
            for role in &self.records.users.accounts.of(user)?.roles {
                if let Some(holders) = holders(&mut roles, role) {
                    holders.users.push(pk);
                }
            }
        }
        for group in self.groups() {
            let uuid = *self.records.groups.uuids.get(group)?;
            let record = self.records.layout.group_record(group);
            taken.insert(text(self.records.name(record)?)?);
            for role in self.records.groups.roles.get(group)? {
                if let Some(holders) = holders(&mut roles, role) {
                    holders.groups.insert(uuid);
                }
            }
        }
        let mut warnings = Vec::new();
        let mut builder = Builder::like(self);
        roles.retain(|uuid, role| {
            let is_free = taken.insert(role.name) && self.records.group_by_uuid(uuid).is_none();
            if !is_free {
                warnings.push(Warning::RecordSkipped {
                    whose: RecordName::Group(role.name.to_owned()),
                    reason: "a role of that name is shown as a group, and there is already a group of this name",
                });
            }
            is_free
        });
        for (uuid, role) in &roles {
            let uuid = Uuid::from_bytes(*uuid);
            builder.add_group(&GroupRecord {
                uuid: &uuid.as_hyphenated().to_string(),
                num_pk: Some(group_number(uuid)),
                name: role.name,
                users: &role.users,
                ..GroupRecord::default()
            });
        }
        for user in self.users() {
            builder.carry_user(&self.carried_user(user)?);
        }
        for group in self.groups() {
            let mut carried = self.carried_group(group)?;
            let above = roles
                .iter()
                .filter(|(_, role)| role.groups.contains(&carried.uuid));
            carried.parents.extend(above.map(|(uuid, _)| *uuid));
            builder.carry_group(&carried);
        }
        let (snapshot, odd) = builder.finish()?;
        warnings.extend(odd);
        Ok(RolesShown {
            snapshot,
            roles: roles.into_keys().collect(),
            warnings,
        })
    }

    /// Whether a group that stands for a role has anybody who is shown: a role of others only would reveal that they are there.
    pub(super) fn is_held(
        &self,
        role: GroupIx,
        membership: Membership,
        visible: &Visible,
    ) -> Result<bool, WrongNumber> {
        for user in Related::of(self, membership, role)?.users {
            if visible.shows_user(user)? {
                return Ok(true);
            }
        }
        let below = &self.records.memberships.group_children;
        let groups = match membership {
            Membership::Direct => below.of(role)?.to_vec(),
            Membership::Inherited => below.closure(&[role], self.group_count())?,
        };
        for group in groups {
            if group != role && visible.shows_group(group)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The groups that `shaped` has for the roles of a user who is in these groups, the user being all that is shown of their
    /// members.
    pub(super) fn own_roles<'a>(
        &self,
        shaped: &'a Self,
        membership: Membership,
        user: UserIx,
        groups: &[GroupIx],
    ) -> Result<Vec<CarriedGroup<'a>>, WrongNumber> {
        let own = self.records.users.accounts.of(user)?.roles.iter();
        let mut uuids: BTreeSet<[u8; 16]> = own.map(|role| role.uuid).collect();
        if membership == Membership::Inherited {
            for group in groups {
                let roles = self.records.groups.roles.get(*group)?.iter();
                uuids.extend(roles.map(|role| role.uuid));
            }
        }
        // What is a group anyway stands for no role.
        uuids.retain(|uuid| self.records.group_by_uuid(uuid).is_none());
        let mut all = Vec::new();
        for group in uuids.iter().filter_map(|uuid| shaped.records.group_by_uuid(uuid)) {
            let mut group = shaped.carried_group(group)?;
            group.members = vec![*self.records.users.pks.get(user)?];
            group.parents.clear();
            all.push(group);
        }
        Ok(all)
    }
}

/// Those who have a role; `None` for a role that clients need not know about.
fn holders<'h, 'a>(
    roles: &'h mut BTreeMap<[u8; 16], RoleHolders<'a>>,
    role: &'a Role,
) -> Option<&'h mut RoleHolders<'a>> {
    if role.name.starts_with(MANAGED) {
        return None;
    }
    let holders = roles.entry(role.uuid).or_default();
    holders.name = &role.name;
    Some(holders)
}

#[cfg(test)]
mod tests;
