//! An immutable picture of all users and groups, shared by every provider and every search.
//!
//! Knows the records, their encoded attributes, their memberships, and the indexes over them. What depends on a
//! provider (DNs, numbers) is computed elsewhere from what is here. Must not know a base DN or a viewer.

use std::sync::{Arc, OnceLock};

use uuid::{NonNilUuid, Uuid};

use crate::custom::policy::CustomPolicy;
use crate::index::attribute_index::AttributeIndex;
use crate::index::name_order::{self, NameOrder};
use crate::index::on_demand::{Index, built, get_or_build};
use crate::index::order::Orders;
use crate::model::built_in::AttributeId;
use crate::model::number::{Column, GroupIx, UserIx, WrongNumber};
use crate::model::place::{Layout, Place, UserOrGroup};
use crate::model::record;
use crate::model::records::Records;
use crate::model::shown::Shown;
use crate::schema::Syntax;
use crate::values::syntax;
use crate::values::timestamp::StoredTime;

/// What the layers above need to know of a user.
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
    /// The directory of which it is what one user sees.
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

    /// The user with a uid hash.
    ///
    /// # Errors
    /// When a number points nowhere.
    pub fn user_by_uid(&self, uid: &str) -> Result<Option<UserIx>, WrongNumber> {
        let key = syntax::equality_key(Syntax::AccountName, uid.as_bytes());
        // Groups have UIDs too, but come later.
        let first = self.lookup_key(AttributeId::USER_UID, &key)?.first();
        Ok(first.and_then(|&record| self.records.layout.user_of(record)))
    }

    /// The users with a login name: those called exactly so, else those whose names differ only in case. In ascending
    /// order of pk.
    ///
    /// # Errors
    /// When a number points nowhere.
    pub fn users_by_name(&self, username: &[u8]) -> Result<Vec<UserIx>, WrongNumber> {
        self.named(username, |found| match found {
            UserOrGroup::User(user) => Some(user),
            UserOrGroup::Group(_) => None,
        })
    }

    /// What is known of a user.
    ///
    /// # Errors
    /// When the number is of another snapshot, or one in the snapshot points nowhere.
    pub fn user(&self, user: UserIx) -> Result<UserSummary<'_>, WrongNumber> {
        let users = &self.records.users;
        let record = self.records.get(user.into())?;
        Ok(UserSummary {
            pk: *users.pks.get(user)?,
            uuid: users.uuids.get(user)?.map(NonNilUuid::get),
            uid: text(self.records.user_uid(user)?)?,
            username: text(self.records.name(user.into())?)?,
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
    /// When the number is of another snapshot, or one in the snapshot points nowhere.
    pub fn group_name(&self, group: GroupIx) -> Result<&str, WrongNumber> {
        text(self.records.name(self.records.layout.group_record(group))?)
    }

    /// The names of the groups a user is a direct member of, in ascending order of UUID.
    ///
    /// # Errors
    /// When the number is of another snapshot, or one in the snapshot points nowhere.
    pub fn groups_of(&self, user: UserIx) -> Result<Vec<&str>, WrongNumber> {
        let groups = self.records.memberships.user_groups.of(user)?;
        groups.iter().map(|&group| self.group_name(group)).collect()
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

    /// The same with attributes, and users' hashes, that are nowhere.
    #[cfg(feature = "fixtures")]
    #[must_use]
    pub fn damaged_for_tests(mut self) -> Self {
        let nowhere = |span| record::Span::new(1 << 30, 1).unwrap_or(span);
        let all = self.records.all.as_slice().iter();
        let damaged = all.map(|record| record::Record {
            attributes: nowhere(record.attributes),
            ..*record
        });
        self.records.all = damaged.collect();
        let uids = self.records.users.uids.as_slice().iter();
        self.records.users.uids = uids.map(|&uid| nowhere(uid)).collect();
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
            // A slot of the index by UUID.
            + self.user_count() * 5
            + groups.uuids.size()
            + groups.numbers.size()
            + self.groups_by_number.capacity() * size_of::<(i64, GroupIx)>()
            + relations.iter().sum::<usize>()
            + self.indexes.as_slice().iter().map(AttributeIndex::size).sum::<usize>()
            + self.orders.size()
            + built(&self.name_order).map_or(0, NameOrder::size)
    }
}

/// Text of the snapshot, which holds none but what was text when it was built.
pub(crate) fn text(octets: &[u8]) -> Result<&str, WrongNumber> {
    std::str::from_utf8(octets).map_err(|_| WrongNumber::Octets)
}
