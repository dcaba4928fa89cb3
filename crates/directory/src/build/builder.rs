//! Keeps what a snapshot will be made from: encoded records, their names, members and parents, in any order.
//!
//! Nothing of the input is kept; sorting and indexing happen at the end. The contents of a snapshot are counted in 32 bits: whoever
//! does not fit is left out and reported, and no number is ever cut off. Must not know what attributes mean, nor a provider.

use std::collections::HashMap;

use uuid::NonNilUuid;

use crate::build::record::{RecordName, Warning, Warnings};
use crate::custom::policy::CustomPolicy;
use crate::index::attribute_index::StoredCount;
use crate::model::account::{Account, AccountIx, Role};
use crate::model::attribute::AttributeTable;
use crate::model::branch::MAX_OCTETS;
use crate::model::built_in::AttributeId;
use crate::model::number::{Number as _, WrongNumber};
use crate::model::record::{AttributeListIx, AttributeLists, MAX_RECORDS, RDN_TYPE, Record, Span, UserRdn};
use crate::schema::password_attributes::PASSWORD_ATTRIBUTES;
use crate::values::timestamp::StoredTime;
use akldap_ldap::response::write_attribute;

/// Builds a [`Snapshot`](crate::Snapshot).
#[derive(Debug)]
pub struct Builder {
    pub(super) policy: CustomPolicy,
    pub(super) arena: Vec<u8>,
    pub(super) attributes: AttributeTable,
    pub(super) attribute_lists: AttributeLists,
    pub(super) list_numbers: HashMap<Vec<AttributeId>, AttributeListIx, hashbrown::DefaultHashBuilder>,
    /// By attribute.
    pub(super) counts: Vec<StoredCount>,
    pub(super) names: Vec<u8>,
    pub(super) users: Vec<PendingUser>,
    pub(super) groups: Vec<PendingGroup>,
    pub(super) members: Vec<i64>,
    pub(super) parents: Vec<[u8; 16]>,
    pub(super) accounts: Vec<Account>,
    pub(super) account_numbers: HashMap<Account, AccountIx, hashbrown::DefaultHashBuilder>,
    pub(super) warnings: Warnings,
    pub(super) withheld: [Withheld; PASSWORD_ATTRIBUTES.len()],
    /// Whether users are superusers by their groups and not by their rows.
    pub(super) superusers_by_groups: bool,
    pub(super) user_rdn: UserRdn,
    /// Whether the paths of users make organizational units.
    pub(super) users_by_path: bool,
    /// Octets left for names as they are sent.
    rdn_room: u32,
    /// What was found damaged in what is carried over: then there is no snapshot.
    pub(super) damage: Option<WrongNumber>,
    /// The record being encoded, and its attributes.
    pub(super) block: Vec<u8>,
    pub(super) stored: Vec<AttributeId>,
    pub(super) last_list: Option<AttributeListIx>,
    /// That of the previous user.
    pub(super) last_account: AccountIx,
}

/// How many records have an attribute that is not served.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Withheld {
    pub(super) users: usize,
    pub(super) groups: usize,
}

/// A part of what the builder collects in one place, from where to where.
pub(super) type ArenaPart = std::ops::Range<usize>;

/// A part of what the builder collected, as it noted it.
pub(super) fn part_of<'i, T>(items: &'i [T], part: &ArenaPart) -> Result<&'i [T], WrongNumber> {
    items.get(part.clone()).ok_or(WrongNumber::Octets)
}

#[derive(Debug)]
pub(super) struct PendingUser {
    pub(super) pk: i64,
    pub(super) uuid: Option<NonNilUuid>,
    pub(super) record: Record,
    pub(super) uid: Span,
    pub(super) name: ArenaPart,
    pub(super) password_change: Option<StoredTime>,
    pub(super) account: AccountIx,
}

#[derive(Debug)]
pub(super) struct PendingGroup {
    pub(super) uuid: [u8; 16],
    pub(super) number: i64,
    pub(super) record: Record,
    pub(super) name: ArenaPart,
    pub(super) members: ArenaPart,
    pub(super) parents: ArenaPart,
    pub(super) roles: Box<[Role]>,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// A builder without users or groups, which serves no passwords.
    #[must_use]
    pub fn new() -> Self {
        Self::with_policy(CustomPolicy::default())
    }

    /// A builder without users or groups, which treats custom attributes as the policy says, including those that are carried over.
    #[must_use]
    pub fn with_policy(policy: CustomPolicy) -> Self {
        Self {
            policy,
            arena: Vec::new(),
            attributes: AttributeTable::new(),
            attribute_lists: AttributeLists::default(),
            list_numbers: HashMap::default(),
            counts: Vec::new(),
            names: Vec::new(),
            users: Vec::new(),
            groups: Vec::new(),
            members: Vec::new(),
            parents: Vec::new(),
            accounts: Vec::new(),
            account_numbers: HashMap::default(),
            warnings: Warnings::default(),
            withheld: Default::default(),
            superusers_by_groups: false,
            user_rdn: UserRdn::default(),
            users_by_path: false,
            rdn_room: u32::MAX,
            damage: None,
            block: Vec::new(),
            stored: Vec::new(),
            last_list: None,
            last_account: AccountIx::FIRST,
        }
    }

    pub(super) fn skip(&mut self, whose: RecordName, reason: &'static str) {
        self.warnings.push(|| Warning::RecordSkipped { whose, reason });
    }

    pub(super) fn begin(&mut self) {
        self.block.clear();
        self.stored.clear();
    }

    pub(super) fn store(&mut self, id: AttributeId, name: &str, values: &[Vec<u8>]) {
        write_attribute(&mut self.block, name.as_bytes(), values.iter().map(Vec::as_slice));
        self.stored(id, values.len());
    }

    pub(super) fn stored(&mut self, id: AttributeId, values: usize) {
        self.stored.push(id);
        if self.counts.len() <= id.index() {
            self.counts.resize(id.index() + 1, StoredCount::default());
        }
        if let Some(count) = self.counts.get_mut(id.index()) {
            count.records = count.records.saturating_add(1);
            let values = u32::try_from(values).unwrap_or(u32::MAX);
            count.values = count.values.saturating_add(values);
            count.several |= values > 1;
        }
    }

    /// Moves the encoded record into the arena, and the uid behind it unless the record has it at `uid_offset`, and keeps the name;
    /// returns where all three are. `None` if they do not fit.
    pub(super) fn end(
        &mut self,
        name: &str,
        flags: u32,
        uid: &str,
        uid_offset: Option<usize>,
    ) -> Option<(Record, ArenaPart, Span)> {
        if self.users.len() + self.groups.len() >= MAX_RECORDS {
            return None;
        }
        // No RDN is longer, and at most two are kept per name.
        let rdns = 2 * (RDN_TYPE.len() + 1 + 3 * name.len());
        let rdn_room = self.rdn_room.checked_sub(u32::try_from(rdns).ok()?)?;
        let attributes = Span::new(self.arena.len(), self.block.len())?;
        let uid_offset = uid_offset.unwrap_or(self.block.len());
        let uid_span = attributes.part(uid_offset, uid.len())?;
        let list = self.list()?;
        self.rdn_room = rdn_room;
        self.arena.extend_from_slice(&self.block);
        if uid_offset == self.block.len() {
            self.arena.extend_from_slice(uid.as_bytes());
        }
        let record = Record {
            attributes,
            attribute_list: list,
            flags,
        };
        Some((record, self.name(name), uid_span))
    }

    /// Whether the organizational units of a path can be kept with a user's name.
    pub(super) fn has_room_for_path(&mut self, path: &str) -> bool {
        if !self.users_by_path {
            return true;
        }
        // No octet of a path takes more of a name: a level of a single one that has to be escaped.
        let most = (path.len().saturating_mul(7)).min(MAX_OCTETS) + 1;
        let room = u32::try_from(most)
            .ok()
            .and_then(|most| self.rdn_room.checked_sub(most));
        self.rdn_room = room.unwrap_or(self.rdn_room);
        room.is_some()
    }

    /// Whether this many more members and groups above can be counted in 32 bits.
    pub(super) fn has_room_for(&self, members: usize, parents: usize) -> bool {
        let fits = |have: usize, more: usize| {
            let together = have.checked_add(more);
            together.is_some_and(|together| u32::try_from(together).is_ok())
        };
        fits(self.members.len(), members) && fits(self.parents.len(), parents)
    }

    /// The list of the attributes of the record being encoded: nearly always that of the previous one.
    fn list(&mut self) -> Option<AttributeListIx> {
        if let Some(last) = self.last_list
            && self
                .attribute_lists
                .get(last)
                .is_ok_and(|ids| *ids == *self.stored)
        {
            return Some(last);
        }
        let list = match self.list_numbers.get(&self.stored) {
            Some(&list) => list,
            None => {
                let list = self.attribute_lists.push(&self.stored)?;
                self.list_numbers.insert(self.stored.clone(), list);
                list
            }
        };
        self.last_list = Some(list);
        Some(list)
    }

    /// The number of a path, a type and roles: nearly always those of the user before. `None` where there is no room.
    pub(super) fn account(&mut self, path: &str, kind: &str, roles: &[Role]) -> Option<AccountIx> {
        let last = self.accounts.get(self.last_account.index());
        if last.is_none_or(|last| *last.path != *path || *last.kind != *kind || *last.roles != *roles) {
            let account = Account {
                path: path.into(),
                kind: kind.into(),
                roles: roles.into(),
            };
            self.last_account = match self.account_numbers.get(&account) {
                Some(&known) => known,
                None => {
                    let number = AccountIx::at(self.accounts.len())?;
                    self.accounts.push(account.clone());
                    self.account_numbers.insert(account, number);
                    number
                }
            };
        }
        Some(self.last_account)
    }

    fn name(&mut self, name: &str) -> ArenaPart {
        let start = self.names.len();
        self.names.extend_from_slice(name.as_bytes());
        start..self.names.len()
    }

    /// The users added so far who have a name that others, given by name and pk, have too.
    #[must_use]
    pub fn namesakes(&self, others: &HashMap<&str, i64>) -> Vec<i64> {
        let has_name = |user: &&PendingUser| {
            let name = self.names.get(user.name.clone());
            let other = name.and_then(|name| others.get(std::str::from_utf8(name).ok()?));
            other.is_some_and(|pk| *pk != user.pk)
        };
        self.users.iter().filter(has_name).map(|user| user.pk).collect()
    }
}

#[cfg(test)]
mod tests;
