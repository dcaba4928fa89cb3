//! The facts: users and groups, their encoded attributes and memberships.
//!
//! What depends on a provider (DNs, numbers) is computed elsewhere from what is here, and what is derived lies beside it.
//! Must not know indexes, a base DN or a viewer.

use crate::model::attribute::AttributeTable;
use crate::model::built_in::{AttributeId, Shows};
use crate::model::encoded::{self, Element, Elements};
use crate::model::place::Layout;
use crate::model::row::{self, ByteTable, RDN_TYPE, Record, RecordIx, Relation, Shapes, UnescapedNames};

/// A user within one snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(pub(crate) u32);

/// A group within one snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub(crate) u32);

/// The users' columns, in ascending order of pk.
#[derive(Debug, Default)]
pub(crate) struct Users {
    pub(crate) pks: Vec<i64>,
    pub(crate) uuids: Vec<[u8; 16]>,
    /// Where in the arena the uid hash is.
    pub(crate) uids: Vec<(u32, u32)>,
    /// Microseconds since 1970; `i64::MIN` if unknown.
    pub(crate) password_changes: Vec<i64>,
}

/// The groups' columns, in ascending order of UUID.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    pub(crate) uuids: Vec<[u8; 16]>,
    pub(crate) numbers: Vec<i64>,
}

/// Who belongs to what; users and groups each counted from 0.
#[derive(Debug, Default)]
pub(crate) struct Memberships {
    pub(crate) user_groups: Relation,
    pub(crate) group_users: Relation,
    pub(crate) group_parents: Relation,
    pub(crate) group_children: Relation,
}

/// Which kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    User,
    Group,
}

/// Users and groups as they are kept.
#[derive(Debug)]
pub(crate) struct Records {
    pub(crate) arena: Vec<u8>,
    pub(crate) attributes: AttributeTable,
    pub(crate) shapes: Shapes,
    /// Users, then groups.
    pub(crate) rows: Vec<Record>,
    /// The RDNs of the records as they are sent: `cn=` and the escaped name.
    pub(crate) rdns: ByteTable,
    /// The names that need escaping, as they are, by record.
    pub(crate) unescaped_names: UnescapedNames,
    pub(crate) users: Users,
    pub(crate) groups: Groups,
    pub(crate) memberships: Memberships,
}

impl Records {
    /// The places that entries of these records have.
    #[inline]
    pub(crate) fn layout(&self) -> Layout {
        Layout::new(self.user_count_u32(), self.group_count_u32())
    }

    pub(crate) fn user_by_pk(&self, pk: i64) -> Option<u32> {
        let index = self.users.pks.binary_search(&pk).ok()?;
        u32::try_from(index).ok()
    }

    /// What the virtual group of a user has of an attribute that users store, whatever the tree.
    pub(crate) fn of_virtual_group(&self, user: u32, id: AttributeId) -> Option<&[u8]> {
        match id.definition()?.virtual_groups? {
            Shows::Name => Some(self.name(user)),
            Shows::Uid => Some(self.user_uid(user)),
            Shows::NoSuperuser => Some(b"false"),
            _ => None,
        }
    }

    pub(crate) fn user_count_u32(&self) -> u32 {
        self.users.pks.len() as u32
    }

    pub(crate) fn group_count_u32(&self) -> u32 {
        self.groups.uuids.len() as u32
    }

    pub(crate) fn record_count(&self) -> u32 {
        self.rows.len() as u32
    }

    pub(crate) fn group_record(&self, group: u32) -> RecordIx {
        self.user_count_u32() + group
    }

    /// The kind of a record, and its number among its kind.
    pub(crate) fn kind(&self, record: RecordIx) -> (Kind, u32) {
        match record.checked_sub(self.user_count_u32()) {
            None => (Kind::User, record),
            Some(group) => (Kind::Group, group),
        }
    }

    #[inline]
    pub(crate) fn row(&self, record: RecordIx) -> Record {
        self.rows.get(record as usize).copied().unwrap_or_default()
    }

    /// All encoded attributes of a record.
    #[inline]
    pub(crate) fn block(&self, record: RecordIx) -> &[u8] {
        self.block_of(self.row(record))
    }

    /// All encoded attributes of the record of a row.
    #[inline]
    pub(crate) fn block_of(&self, row: Record) -> &[u8] {
        self.arena
            .get(row.start as usize..row.start as usize + row.length as usize)
            .unwrap_or_default()
    }

    /// The encoded attribute of a record.
    #[inline]
    pub(crate) fn stored(&self, record: RecordIx, id: AttributeId) -> Option<Element<'_>> {
        let shape = self.shapes.get(self.row(record).shape);
        let place = shape.iter().position(|&known| known == id)?;
        Elements(self.block(record)).nth(place)
    }

    /// The values of a stored attribute, encoded.
    #[inline]
    pub(crate) fn stored_set(&self, record: RecordIx, id: AttributeId) -> Option<&[u8]> {
        self.stored(record, id)
            .and_then(|element| encoded::attribute(&element))
            .map(|(_, set)| set)
    }

    /// A record's name, unescaped.
    #[inline]
    pub(crate) fn name(&self, record: RecordIx) -> &[u8] {
        if self.row(record).has(row::ESCAPED)
            && let Ok(index) = self
                .unescaped_names
                .binary_search_by_key(&record, |(record, _)| *record)
            && let Some((_, name)) = self.unescaped_names.get(index)
        {
            return name;
        }
        self.rdn(record).get(RDN_TYPE.len()..).unwrap_or_default()
    }

    /// A record's RDN as it is sent.
    #[inline]
    pub(crate) fn rdn(&self, record: RecordIx) -> &[u8] {
        self.rdns.get(record)
    }

    pub(crate) fn user_uid(&self, user: u32) -> &[u8] {
        self.users
            .uids
            .get(user as usize)
            .and_then(|&(start, length)| self.arena.get(start as usize..start as usize + length as usize))
            .unwrap_or_default()
    }

    /// Calls `each` with every value of an indexed attribute of a record until it says stop; tells whether it did.
    pub(crate) fn any_value(
        &self,
        record: RecordIx,
        id: AttributeId,
        mut each: impl FnMut(&[u8]) -> bool,
    ) -> bool {
        match id {
            AttributeId::RDN => each(self.name(record)),
            AttributeId::USER_UID => record < self.user_count_u32() && each(self.user_uid(record)),
            _ => self
                .stored_set(record, id)
                .is_some_and(|set| encoded::values(set).any(each)),
        }
    }
}
