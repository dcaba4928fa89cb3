//! An immutable picture of all users and groups, shared by every provider and every search.
//!
//! Knows the records, their encoded attributes, their memberships, and the indexes over them. What depends on a
//! provider (DNs, numbers) is computed elsewhere from what is here. Must not know a base DN or a viewer.

use std::hash::BuildHasher;
use std::sync::{Arc, OnceLock};

use uuid::{NonNilUuid, Uuid};

use crate::custom::policy::CustomPolicy;
use crate::index::attribute_index::AttributeIndex;
use crate::index::name_order::{self, NameOrder};
use crate::index::on_demand::{Index, built, get_or_build};
use crate::index::order::Orders;
use crate::model::built_in::AttributeId;
use crate::model::number::{Column, GroupIx, UserIx, WrongNumber};
use crate::model::place::{Layout, Place};
use crate::model::record;
use crate::model::records::Records;
use crate::model::shown::Shown;
use crate::values::timestamp::StoredTime;

/// What the layers above need to know about a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserSummary<'a> {
    /// The primary key.
    pub pk: i64,
    /// The UUID; `None` if authentik's could not be read.
    pub uuid: Option<Uuid>,
    /// The hash authentik calls `uid`.
    pub uid: &'a str,
    /// The login name.
    pub username: &'a str,
    /// Whether the user may log in.
    pub is_active: bool,
    /// Whether any group makes the user a superuser.
    pub is_superuser: bool,
    /// When the password was last changed, in microseconds since 1970-01-01T00:00:00Z; `None` if unknown.
    pub password_change_date: Option<i64>,
}

/// An immutable picture of all users and groups.
#[derive(Debug)]
pub struct Snapshot {
    pub(crate) policy: CustomPolicy,
    pub(crate) records: Records,
    pub(crate) shown: Shown,
    /// The directory of which this shows what one user sees.
    pub(crate) part_of: Option<Arc<Snapshot>>,
    pub(crate) indexes: Column<AttributeId, AttributeIndex>,
    /// The override bits and flags that any record has.
    pub(crate) all_flags: u32,
    /// Users by UUID, those without one left out.
    pub(crate) users_by_uuid: hashbrown::HashTable<UserIx>,
    /// Group numbers ascending, with their groups.
    pub(crate) groups_by_number: Vec<(i64, GroupIx)>,
    pub(crate) orders: Orders,
    pub(crate) name_order: Index<NameOrder>,
    pub(crate) hasher: hashbrown::DefaultHashBuilder,
    pub(crate) fingerprint: OnceLock<[u8; 32]>,
}

impl Snapshot {
    /// The directory of which this is what [one user sees](Self::own_view); it lives no longer than that.
    #[must_use]
    pub fn part_of(&self) -> Option<&Arc<Self>> {
        self.part_of.as_ref()
    }

    /// How many users there are.
    #[must_use]
    pub fn user_count(&self) -> usize {
        self.records.users.pks.len()
    }

    /// How many groups there are.
    #[must_use]
    pub fn group_count(&self) -> usize {
        self.records.groups.uuids.len()
    }

    /// The user with a primary key.
    #[must_use]
    pub fn user_by_pk(&self, pk: i64) -> Option<UserIx> {
        self.records.user_by_pk(pk)
    }

    /// What is known about a user.
    ///
    /// # Errors
    /// When the number belongs to another snapshot, or one in the snapshot points to nothing.
    pub fn user(&self, user: UserIx) -> Result<UserSummary<'_>, WrongNumber> {
        let users = &self.records.users;
        let record = self.records.get(self.records.user_record(user)?)?;
        Ok(UserSummary {
            pk: *users.pks.get(user)?,
            uuid: users.uuids.get(user)?.map(NonNilUuid::get),
            uid: text(self.records.user_uid(user)?)?,
            username: text(self.records.name(self.records.user_record(user)?)?)?,
            is_active: record.has(record::ACTIVE),
            is_superuser: record.has(record::SUPERUSER),
            password_change_date: users.password_changes.get(user)?.map(StoredTime::micros),
        })
    }

    /// The primary keys of all users, ascending.
    #[must_use]
    pub fn user_pks(&self) -> &[i64] {
        self.records.users.pks.as_slice()
    }

    /// All users in ascending order of pk.
    pub fn users(&self) -> impl Iterator<Item = UserIx> + use<> {
        self.records.users.pks.numbers()
    }

    /// All groups in ascending order of UUID.
    pub fn groups(&self) -> impl Iterator<Item = GroupIx> + use<> {
        self.records.groups.uuids.numbers()
    }

    /// The group with a primary key.
    #[must_use]
    pub fn group_by_uuid(&self, uuid: Uuid) -> Option<GroupIx> {
        self.records.group_by_uuid(uuid.as_bytes())
    }

    /// The name of a group.
    ///
    /// # Errors
    /// When the number belongs to another snapshot, or one in the snapshot points to nothing.
    pub fn group_name(&self, group: GroupIx) -> Result<&str, WrongNumber> {
        text(self.records.name(self.records.layout.group_record(group))?)
    }

    /// The names of the groups a user is a direct member of, in ascending order of UUID.
    ///
    /// # Errors
    /// When the number belongs to another snapshot, or one in the snapshot points to nothing.
    pub fn groups_of(&self, user: UserIx) -> Result<Vec<&str>, WrongNumber> {
        let groups = self.records.memberships.user_groups.of(user)?;
        groups.iter().map(|&group| self.group_name(group)).collect()
    }

    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    /// Whether custom values replace a built-in attribute of any record, or change what follows from it.
    #[inline]
    pub(crate) fn any_overrides(&self, id: AttributeId) -> bool {
        let bits = match id {
            // Virtual groups have their users' numbers.
            AttributeId::GID_NUMBER => id.override_bit() | AttributeId::UID_NUMBER.override_bit(),
            _ => id.override_bit(),
        };
        self.all_flags & bits != 0
    }

    /// The order of names, made at its first use.
    #[inline]
    pub(crate) fn name_order(&self) -> Result<&NameOrder, WrongNumber> {
        get_or_build(&self.name_order, || NameOrder::new(&self.records))
    }

    /// Puts places that ascend into the order of names.
    #[inline]
    pub(crate) fn order_by_name(&self, layout: Layout, places: &mut Vec<Place>) -> Result<(), WrongNumber> {
        match places.len() {
            0 | 1 => Ok(()),
            _ => name_order::order_several(|| self.name_order(), layout, places),
        }
    }

    /// The same with attributes, and users' hashes, that point to nothing.
    #[cfg(feature = "fixtures")]
    #[must_use]
    pub fn damaged_for_tests(self) -> Self {
        let mut damaged = self.without_attributes_for_tests();
        let uids = damaged.records.users.uids.as_slice().iter();
        damaged.records.users.uids = uids.map(|&uid| nowhere(uid)).collect();
        damaged
    }

    /// The same with attributes that point to nothing; who is who is still known.
    #[cfg(feature = "fixtures")]
    #[must_use]
    pub fn without_attributes_for_tests(mut self) -> Self {
        let all = self.records.all.as_slice().iter();
        let damaged = all.map(|record| record::Record {
            attributes: nowhere(record.attributes),
            ..*record
        });
        self.records.all = damaged.collect();
        self
    }

    /// Octets on the heap, for metrics and tests; what allocators add is not counted.
    #[must_use]
    pub fn memory(&self) -> usize {
        let relations = &self.records.memberships;
        let relations = [
            relations.user_groups.size(),
            relations.group_users.size(),
            relations.group_parents.size(),
            relations.group_children.size(),
        ];
        let users = &self.records.users;
        let groups = &self.records.groups;
        self.records.arena.capacity()
            + self.records.all.size()
            + self.records.rdns.size()
            + users.pks.size()
            + users.uuids.size()
            + users.uids.size()
            + users.password_changes.size()
            + users.accounts.size()
            + self.records.branches.size()
            // A slot of the index by UUID.
            + self.user_count() * 5
            + groups.uuids.size()
            + groups.numbers.size()
            + groups.roles.size()
            + self.groups_by_number.capacity() * size_of::<(i64, GroupIx)>()
            + relations.iter().sum::<usize>()
            + self.indexes.as_slice().iter().map(AttributeIndex::size).sum::<usize>()
            + self.orders.size()
            + built(&self.name_order).map_or(0, NameOrder::size)
    }
}

/// A part beyond the end of any arena that a test builds.
#[cfg(feature = "fixtures")]
fn nowhere(part: record::Span) -> record::Span {
    record::Span::new(1 << 30, 1).unwrap_or(part)
}

/// Text of the snapshot, which contains only what was text when it was built.
pub(crate) fn text(octets: &[u8]) -> Result<&str, WrongNumber> {
    std::str::from_utf8(octets).map_err(|_| WrongNumber::Octets)
}
