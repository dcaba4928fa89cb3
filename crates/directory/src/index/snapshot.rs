//! An immutable picture of all users and groups, shared by every provider and every search.
//!
//! Knows the records, their encoded attributes, their memberships, and the indexes over them. What depends on a
//! provider (DNs, numbers) is computed elsewhere from what is here. Must not know a base DN or a viewer.

use std::sync::OnceLock;

use uuid::Uuid;

use crate::custom::policy::CustomPolicy;
use crate::index::attribute_index::AttributeIndex;
use crate::index::name_order::{self, NameOrder};
use crate::index::order::Orders;
use crate::index::table::{EqualityIndex, KeyTable};
use crate::model::built_in::AttributeId;
use crate::model::place::{Layout, Place};
use crate::model::records::{Kind, Records, UserId};
use crate::model::row::{self, Record};
use crate::schema::Syntax;
use crate::values::syntax;

/// What the layers above need to know of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserSummary<'a> {
    /// The primary key.
    pub pk: i64,
    /// The UUID; nil if authentik's could not be read.
    pub uuid: Uuid,
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
    pub(crate) indexes: Vec<AttributeIndex>,
    /// The override bits and flags that any record has.
    pub(crate) all_flags: u32,
    /// Users by UUID, those without one left out.
    pub(crate) users_by_uuid: hashbrown::HashTable<u32>,
    /// Group numbers ascending, with their groups.
    pub(crate) groups_by_number: Vec<(i64, u32)>,
    pub(crate) orders: Orders,
    pub(crate) name_order: OnceLock<NameOrder>,
    pub(crate) hasher: hashbrown::DefaultHashBuilder,
    pub(crate) fingerprint: OnceLock<[u8; 32]>,
}

impl Snapshot {
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
    pub fn user_by_pk(&self, pk: i64) -> Option<UserId> {
        self.records.user_by_pk(pk).map(UserId)
    }

    /// The user with a uid hash.
    #[must_use]
    pub fn user_by_uid(&self, uid: &str) -> Option<UserId> {
        let key = syntax::equality_key(Syntax::AccountName, uid.as_bytes());
        // Groups have UIDs too, but come later.
        let first = self.lookup_key(AttributeId::USER_UID, &key).first().copied();
        first
            .filter(|&record| record < self.records.user_count_u32())
            .map(UserId)
    }

    /// The users with a login name: those called exactly so, else those whose names differ only in case. In ascending
    /// order of pk.
    #[must_use]
    pub fn users_by_name(&self, username: &[u8]) -> Vec<UserId> {
        self.named(username, Kind::User).map(UserId).collect()
    }

    /// What is known of a user.
    #[must_use]
    pub fn user(&self, user: UserId) -> UserSummary<'_> {
        let index = user.0 as usize;
        let row = self.records.row(user.0);
        let change = self
            .records
            .users
            .password_changes
            .get(index)
            .copied()
            .unwrap_or(i64::MIN);
        UserSummary {
            pk: self.records.users.pks.get(index).copied().unwrap_or_default(),
            uuid: Uuid::from_bytes(self.records.users.uuids.get(index).copied().unwrap_or_default()),
            uid: std::str::from_utf8(self.records.user_uid(user.0)).unwrap_or_default(),
            username: std::str::from_utf8(self.records.name(user.0)).unwrap_or_default(),
            is_active: row.has(row::ACTIVE),
            is_superuser: row.has(row::SUPERUSER),
            password_change_date: (change != i64::MIN).then_some(change),
        }
    }

    /// All users in ascending order of pk.
    pub fn users(&self) -> impl Iterator<Item = UserId> + use<> {
        (0..self.records.user_count_u32()).map(UserId)
    }

    /// The names of the groups a user is a direct member of, in ascending order of UUID.
    pub fn groups_of(&self, user: UserId) -> impl Iterator<Item = &str> {
        self.records
            .memberships
            .user_groups
            .of(user.0)
            .iter()
            .map(|&group| {
                std::str::from_utf8(self.records.name(self.records.group_record(group))).unwrap_or_default()
            })
    }

    /// The same for two snapshots exactly if they answer every search alike. Computed at the first call: some 60 ms
    /// for 100,000 users.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        *self.fingerprint.get_or_init(|| self.compute_fingerprint())
    }

    fn compute_fingerprint(&self) -> [u8; 32] {
        let mut hash = blake3::Hasher::new();
        let mut part = |octets: &[u8]| {
            hash.update(&(octets.len() as u64).to_le_bytes());
            hash.update(octets);
        };
        part(&(self.records.users.pks.len() as u64).to_le_bytes());
        for record in 0..self.records.record_count() {
            part(&self.records.row(record).flags.to_le_bytes());
            part(self.records.block(record));
            part(self.records.name(record));
        }
        for user in 0..self.records.user_count_u32() {
            let summary = self.user(UserId(user));
            part(&summary.pk.to_le_bytes());
            part(summary.uuid.as_bytes());
            part(summary.uid.as_bytes());
            part(&summary.password_change_date.unwrap_or(i64::MIN).to_le_bytes());
        }
        for (group, uuid) in (0..).zip(&self.records.groups.uuids) {
            part(uuid);
            part(
                &self
                    .records
                    .groups
                    .numbers
                    .get(group as usize)
                    .copied()
                    .unwrap_or_default()
                    .to_le_bytes(),
            );
            for related in [
                &self.records.memberships.group_users,
                &self.records.memberships.group_parents,
            ] {
                let items = related.of(group);
                part(
                    &items
                        .iter()
                        .flat_map(|item| item.to_le_bytes())
                        .collect::<Vec<_>>(),
                );
            }
        }
        *hash.finalize().as_bytes()
    }

    /// The order of names, made at its first use.
    #[inline]
    pub(crate) fn name_order(&self) -> &NameOrder {
        self.name_order.get_or_init(|| NameOrder::new(&self.records))
    }

    /// Puts places that ascend into the order of names.
    #[inline]
    pub(crate) fn order_by_name(&self, layout: Layout, places: &mut Vec<Place>) {
        if places.len() > 1 {
            name_order::order_several(|| self.name_order(), layout, places);
        }
    }

    /// Octets on the heap, for metrics and tests; what allocators add is not counted.
    #[must_use]
    pub fn memory(&self) -> usize {
        let relations = &self.records.memberships;
        let relations = [
            &relations.user_groups,
            &relations.group_users,
            &relations.group_parents,
            &relations.group_children,
        ];
        let indexes: usize = self
            .indexes
            .iter()
            .map(|index| {
                index.equality.get().map_or(0, EqualityIndex::size)
                    + index.text.get().map_or(0, KeyTable::size)
                    + index.ordering.get().map_or(0, KeyTable::size)
            })
            .sum();
        self.records.arena.capacity()
            + self.records.rows.capacity() * size_of::<Record>()
            + self.records.rdns.size()
            + self.user_count() * (8 + 16 + 8 + 8 + 5)
            + self.group_count() * (16 + 8 + 16)
            + relations.iter().map(|relation| relation.size()).sum::<usize>()
            + indexes
            + self.orders.size()
            + self.name_order.get().map_or(0, NameOrder::size)
    }
}
