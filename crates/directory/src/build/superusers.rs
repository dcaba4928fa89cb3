//! Who is a superuser by the groups: users become one through a group of theirs, or one above it, without their own row
//! being touched, so that what it says may be of before.
//!
//! Must not know where users and groups come from.

use crate::build::builder::{Builder, FULL, PendingUser};
use crate::build::finish::{PkTable, part_of};
use crate::build::flags::{flag, upper};
use crate::build::record::RecordName;
use crate::model::built_in::AttributeId;
use crate::model::encoded::{self, Elements};
use crate::model::record::{self, Span};
use akldap_ldap::response::write_attribute;

impl Builder {
    /// Has the groups decide who is a superuser, whatever the users' own rows say: the members of superuser groups and of
    /// all groups below them. Where no group says that it makes superusers only the rows tell.
    pub fn superusers_by_groups(&mut self) {
        self.superusers_by_groups = true;
    }

    /// Brings the users in line with the groups. Both are in their final order.
    pub(super) fn resolve_superusers(&mut self) {
        let Some(superusers) = self.superusers() else {
            return;
        };
        let Self {
            users,
            arena,
            names,
            warnings,
            ..
        } = self;
        let mut superusers = superusers.into_iter();
        users.retain_mut(|user| {
            let superuser = superusers.next().unwrap_or(false);
            let fits = user.record.has(record::SUPERUSER) == superuser
                || set_superuser(user, superuser, arena).is_some();
            if !fits {
                let name = part_of(names, &user.name);
                let whose = || RecordName::User(String::from_utf8_lossy(name).into_owned());
                warnings.push(|| crate::build::record::Warning::RecordSkipped {
                    whose: whose(),
                    reason: FULL,
                });
            }
            fits
        });
    }

    /// Whether each user is a superuser; `None` where no group makes superusers.
    fn superusers(&self) -> Option<Vec<bool>> {
        if !self.superusers_by_groups {
            return None;
        }
        let mut below: Vec<Vec<usize>> = vec![Vec::new(); self.groups.len()];
        for (index, group) in self.groups.iter().enumerate() {
            for parent in part_of(&self.parents, &group.parents) {
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
            return None;
        }
        let mut superusers = vec![false; self.users.len()];
        let places = PkTable::new(&self.users);
        let mut seen = vec![false; self.groups.len()];
        while let Some(index) = open.pop() {
            let (Some(group), Some(seen)) = (self.groups.get(index), seen.get_mut(index)) else {
                continue;
            };
            if std::mem::replace(seen, true) {
                continue;
            }
            let members = part_of(&self.members, &group.members).iter();
            for user in members.filter_map(|&pk| places.find(pk)) {
                if let Some(superuser) = superusers.get_mut(user.index()) {
                    *superuser = true;
                }
            }
            open.extend(below.get(index).into_iter().flatten());
        }
        Some(superusers)
    }
}

/// Encodes a user again with the other truth. `None` if there is no room for it.
fn set_superuser(user: &mut PendingUser, superuser: bool, arena: &mut Vec<u8>) -> Option<()> {
    let before = user.record.attributes;
    let block = with_superuser(before.of(arena).ok()?, superuser);
    let attributes = Span::new(arena.len(), block.len())?;
    if user.uid.begins_within(before) {
        // The one value ends the attribute.
        let mut end = 0;
        for element in Elements(&block) {
            end += element.whole.len();
            let name = encoded::attribute(&element).map(|(name, _)| name);
            if name == Some(AttributeId::UID.name().as_bytes()) {
                break;
            }
        }
        let length = user.uid.len();
        user.uid = attributes.part(end.checked_sub(length)?, length)?;
    }
    user.record.attributes = attributes;
    user.record.flags = user.record.flags & !record::SUPERUSER | flag(superuser, record::SUPERUSER);
    arena.extend_from_slice(&block);
    Some(())
}

/// A user's encoded attributes with this value of `ak-superuser`.
pub(super) fn with_superuser(attributes: &[u8], superuser: bool) -> Vec<u8> {
    let name = AttributeId::AK_SUPERUSER.name().as_bytes();
    let mut written = Vec::with_capacity(attributes.len() + 1);
    for element in Elements(attributes) {
        match encoded::attribute(&element) {
            Some((found, _)) if found == name => {
                write_attribute(&mut written, name, [upper(superuser).as_bytes()]);
            }
            _ => written.extend_from_slice(element.whole),
        }
    }
    written
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
        // A row that is behind the groups.
        builder.add_user(&UserRecord {
            pk: 5,
            username: "eve",
            uid: "uid-of-eve",
            is_superuser: true,
            // Another uid is shown than authentik's.
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
        let (snapshot, warnings) = builder.finish();
        assert_eq!(superusers(&snapshot), [1, 2, 3], "{warnings:?}");

        // As if their rows had said so.
        let mut builder = Builder::new();
        for user in snapshot.users() {
            builder.carry_user(&snapshot.carried_user(user).unwrap());
        }
        groups(&mut builder);
        let carried = builder.finish().0;
        assert_eq!(carried.fingerprint(), snapshot.fingerprint());
        for user in snapshot.users() {
            let uid = snapshot.user(user).unwrap().uid;
            assert_eq!(snapshot.user_by_uid(uid), Ok(Some(user)), "{uid}");
        }
    }

    #[test]
    fn without_a_group_that_makes_superusers_the_rows_tell() {
        let mut builder = Builder::new();
        users(&mut builder);
        add_group(&mut builder, STAFF, "staff", &[], &[4], "{}");
        builder.superusers_by_groups();
        assert_eq!(superusers(&builder.finish().0), [5]);
        let mut builder = Builder::new();
        users(&mut builder);
        groups(&mut builder);
        assert_eq!(superusers(&builder.finish().0), [5]);
    }
}
