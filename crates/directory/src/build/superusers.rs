//! Who is a superuser by the groups: users become one through one of their groups, or one above it, without their own row
//! being touched, so that it may be out of date.
//!
//! Must not know where users and groups come from.

use crate::build::builder::{Builder, PendingUser, part_of};
use crate::build::flags::{flag, upper};
use crate::build::pk_table::PkTable;
use crate::build::record::{FULL, RecordName, Warning};
use crate::model::built_in::AttributeId;
use crate::model::encoded::{self, Elements};
use crate::model::number::{Met, WrongNumber};
use crate::model::record::{self, Span};
use akldap_ldap::response::write_attribute;

impl Builder {
    /// Lets the groups decide who is a superuser, whatever the users' own rows say: the members of superuser groups and
    /// of all groups below them. If no group makes superusers, only the rows decide.
    pub fn superusers_by_groups(&mut self) {
        self.superusers_by_groups = true;
    }

    /// Brings the users in line with the groups. Both are in their final order.
    pub(super) fn resolve_superusers(&mut self) -> Result<(), WrongNumber> {
        let Some(superusers) = self.superusers()? else {
            return Ok(());
        };
        let Self {
            users,
            arena,
            names,
            warnings,
            ..
        } = self;
        let met = Met::default();
        let mut superusers = superusers.into_iter();
        users.retain_mut(|user| {
            let superuser = met.or(superusers.next().ok_or(WrongNumber::User), false);
            let fits = user.record.has(record::SUPERUSER) == superuser
                || met.or(set_superuser(user, superuser, arena), false);
            if !fits {
                let name = met.or(part_of(names, &user.name), &[]);
                warnings.push(|| Warning::RecordSkipped {
                    whose: RecordName::User(String::from_utf8_lossy(name).into_owned()),
                    reason: FULL,
                });
            }
            fits
        });
        met.answer(())
    }

    /// Whether each user is a superuser; `None` if no group makes superusers.
    fn superusers(&self) -> Result<Option<Vec<bool>>, WrongNumber> {
        if !self.superusers_by_groups {
            return Ok(None);
        }
        let mut below: Vec<Vec<usize>> = vec![Vec::new(); self.groups.len()];
        for (index, group) in self.groups.iter().enumerate() {
            for parent in part_of(&self.parents, &group.parents)? {
                let above = self.groups.binary_search_by_key(parent, |group| group.uuid);
                if let Some(below) = above.ok().and_then(|above| below.get_mut(above)) {
                    below.push(index);
                }
            }
        }
        let is_superuser = |index: &usize| {
            let group = self.groups.get(*index);
            group.is_some_and(|group| group.record.has(record::SUPERUSER))
        };
        let mut open: Vec<usize> = (0..self.groups.len()).filter(is_superuser).collect();
        if open.is_empty() {
            return Ok(None);
        }
        let mut superusers = vec![false; self.users.len()];
        let places = PkTable::new(&self.users);
        let mut seen = vec![false; self.groups.len()];
        while let Some(index) = open.pop() {
            let (Some(group), Some(seen)) = (self.groups.get(index), seen.get_mut(index)) else {
                return Err(WrongNumber::Group);
            };
            if std::mem::replace(seen, true) {
                continue;
            }
            let members = part_of(&self.members, &group.members)?.iter();
            for user in members.filter_map(|&pk| places.find(pk)) {
                *superusers.get_mut(user.index()).ok_or(WrongNumber::User)? = true;
            }
            open.extend(below.get(index).ok_or(WrongNumber::Group)?);
        }
        Ok(Some(superusers))
    }
}

/// Encodes a user again with the opposite value; returns whether there was room for it.
fn set_superuser(user: &mut PendingUser, superuser: bool, arena: &mut Vec<u8>) -> Result<bool, WrongNumber> {
    let before = user.record.attributes;
    let block = with_superuser(before.of(arena)?, superuser)?;
    let Some(attributes) = Span::new(arena.len(), block.len()) else {
        return Ok(false);
    };
    if user.uid.begins_within(before) {
        // The one value ends the attribute.
        let mut end = 0;
        for element in Elements(&block) {
            let element = element?;
            end += element.whole.len();
            let (name, _) = encoded::attribute(&element)?;
            if name == AttributeId::UID.name().as_bytes() {
                break;
            }
        }
        let length = user.uid.len();
        let start = end.checked_sub(length);
        let uid = start.and_then(|start| attributes.part(start, length));
        user.uid = uid.ok_or(WrongNumber::Octets)?;
    }
    user.record.attributes = attributes;
    user.record.flags = user.record.flags & !record::SUPERUSER | flag(superuser, record::SUPERUSER);
    arena.extend_from_slice(&block);
    Ok(true)
}

/// A user's encoded attributes with this value of `ak-superuser`.
pub(super) fn with_superuser(attributes: &[u8], superuser: bool) -> Result<Vec<u8>, WrongNumber> {
    let name = AttributeId::AK_SUPERUSER.name().as_bytes();
    let mut written = Vec::with_capacity(attributes.len() + 1);
    for element in Elements(attributes) {
        let element = element?;
        if encoded::attribute(&element)?.0 == name {
            write_attribute(&mut written, name, [upper(superuser).as_bytes()]);
        } else {
            written.extend_from_slice(element.whole);
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{add_group, add_user};
    use crate::{Snapshot, UserRecord};

    const ADMINS: &str = "10000000-0000-4000-8000-000000000001";
    const BELOW: &str = "20000000-0000-4000-8000-000000000002";
    const FURTHER: &str = "30000000-0000-4000-8000-000000000003";
    const STAFF: &str = "40000000-0000-4000-8000-000000000004";

    fn users(builder: &mut Builder) {
        for (pk, name) in (1..).zip(["alice", "bob", "carol", "dave"]) {
            add_user(builder, pk, name, r#"{"shoe":41}"#);
        }
        // A row that is older than the groups.
        builder.add_user(&UserRecord {
            pk: 5,
            username: "eve",
            uid: "uid-of-eve",
            is_superuser: true,
            // A uid other than authentik's is shown.
            attributes: Some(r#"{"uid":"own"}"#),
            ..UserRecord::default()
        });
    }

    fn groups(builder: &mut Builder) {
        // `admins` is the group that makes superusers.
        add_group(builder, ADMINS, "admins", &[], &[1], "{}");
        add_group(builder, BELOW, "below", &[ADMINS, STAFF], &[2], "{}");
        add_group(
            builder,
            FURTHER,
            "further",
            &[BELOW, "90000000-0000-4000-8000-000000000009"],
            &[3, 99],
            "{}",
        );
        add_group(builder, STAFF, "staff", &[], &[4, 5], "{}");
    }

    fn superusers(snapshot: &Snapshot) -> Vec<i64> {
        let users = snapshot.users().map(|user| snapshot.user(user).unwrap());
        users
            .filter(|user| user.is_superuser)
            .map(|user| user.pk)
            .collect()
    }

    #[test]
    fn members_of_superuser_groups_and_of_those_below_are_superusers() {
        let mut builder = Builder::new();
        users(&mut builder);
        groups(&mut builder);
        builder.superusers_by_groups();
        let (snapshot, warnings) = builder.finish().unwrap();
        assert_eq!(superusers(&snapshot), [1, 2, 3], "{warnings:?}");

        // As if their rows had said so.
        let mut builder = Builder::new();
        for user in snapshot.users() {
            builder.carry_user(&snapshot.carried_user(user).unwrap());
        }
        groups(&mut builder);
        let carried = builder.finish().unwrap().0;
        assert_eq!(carried.fingerprint(), snapshot.fingerprint());
        for user in snapshot.users() {
            let uid = snapshot.user(user).unwrap().uid;
            assert_eq!(snapshot.user_by_uid(uid), Ok(Some(user)), "{uid}");
        }
    }

    /// Not as one that the directory has no room for.
    #[test]
    fn a_user_whose_octets_are_nowhere_is_not_left_out() {
        let nowhere = Span::new(1 << 30, 1).unwrap();
        for user in [0, 3] {
            let mut builder = Builder::new();
            users(&mut builder);
            groups(&mut builder);
            builder.superusers_by_groups();
            builder.users[user].record.attributes = nowhere;
            let finished = builder.finish().map(|(snapshot, _)| superusers(&snapshot));
            match user {
                0 => assert_eq!(finished, Err(WrongNumber::Octets)),
                // It is not a superuser before or after, and its octets are not asked for.
                _ => assert_eq!(finished, Ok(vec![1, 2, 3])),
            }
        }
        let mut builder = Builder::new();
        users(&mut builder);
        groups(&mut builder);
        builder.superusers_by_groups();
        builder.groups[1].members = 1..1 << 30;
        assert_eq!(builder.finish().err(), Some(WrongNumber::Octets));
        let mut builder = Builder::new();
        users(&mut builder);
        builder.users[1].name = 1 << 30..1 << 31;
        assert_eq!(builder.finish().err(), Some(WrongNumber::Octets));
    }

    #[test]
    fn without_a_group_that_makes_superusers_the_rows_tell() {
        let mut builder = Builder::new();
        users(&mut builder);
        add_group(&mut builder, STAFF, "staff", &[], &[4], "{}");
        builder.superusers_by_groups();
        assert_eq!(superusers(&builder.finish().unwrap().0), [5]);
        let mut builder = Builder::new();
        users(&mut builder);
        groups(&mut builder);
        assert_eq!(superusers(&builder.finish().unwrap().0), [5]);
    }
}
