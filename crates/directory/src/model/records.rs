//! The facts: users and groups, their encoded attributes and memberships.
//!
//! What depends on a provider (DNs, numbers) is computed elsewhere from what is here, and what is derived is kept next to
//! it. Must not know indexes, a base DN or a viewer.

use uuid::NonNilUuid;

use crate::model::account::{Accounts, Role};
use crate::model::attribute::AttributeTable;
use crate::model::branch::Branches;
use crate::model::built_in::{AttributeId, Shows};
use crate::model::encoded::{self, Elements, EncodedElement};
use crate::model::number::{Column, GroupIx, RecordIx, UserIx, WrongNumber, count_of};
use crate::model::place::Layout;
use crate::model::record::{self, AttributeLists, Rdns, Record, Span, UnescapedNames};
use crate::model::relation::Relation;
use crate::values::timestamp::StoredTime;

/// The users' columns, in ascending order of pk.
#[derive(Debug)]
pub(crate) struct Users {
    pub(crate) pks: Column<UserIx, i64>,
    /// `None` if authentik's could not be read.
    pub(crate) uuids: Column<UserIx, Option<NonNilUuid>>,
    /// Where in the arena the uid hash is.
    pub(crate) uids: Column<UserIx, Span>,
    pub(crate) password_changes: Column<UserIx, Option<StoredTime>>,
    pub(crate) accounts: Accounts,
}

impl Users {
    /// The UUID of a user.
    #[inline]
    pub(crate) fn uuid(&self, user: UserIx) -> Result<Option<[u8; 16]>, WrongNumber> {
        let uuid = self.uuids.get(user)?;
        Ok(uuid.map(|uuid| uuid.get().into_bytes()))
    }
}

/// The groups' columns, in ascending order of UUID.
#[derive(Debug)]
pub(crate) struct GroupColumns {
    pub(crate) uuids: Column<GroupIx, [u8; 16]>,
    pub(crate) numbers: Column<GroupIx, i64>,
    /// The roles that each group has itself, by UUID.
    pub(crate) roles: Column<GroupIx, Box<[Role]>>,
}

/// Who belongs to what.
#[derive(Debug)]
pub(crate) struct Memberships {
    pub(crate) user_groups: Relation<UserIx, GroupIx>,
    pub(crate) group_users: Relation<GroupIx, UserIx>,
    pub(crate) group_parents: Relation<GroupIx, GroupIx>,
    pub(crate) group_children: Relation<GroupIx, GroupIx>,
}

/// Users and groups as they are kept.
#[derive(Debug)]
pub(crate) struct Records {
    pub(crate) arena: Vec<u8>,
    pub(crate) attributes: AttributeTable,
    pub(crate) attribute_lists: AttributeLists,
    /// Users, then groups.
    pub(crate) all: Column<RecordIx, Record>,
    /// The RDNs of the records as they are sent: `cn=` and the escaped name.
    pub(crate) rdns: Rdns,
    /// The names that need escaping, as they are, by record.
    pub(crate) unescaped_names: UnescapedNames,
    pub(crate) users: Users,
    pub(crate) groups: GroupColumns,
    pub(crate) memberships: Memberships,
    /// The organizational units that users are in.
    pub(crate) branches: Branches,
    /// The places that entries of these records have.
    pub(crate) layout: Layout,
}

impl Records {
    pub(crate) fn user_by_pk(&self, pk: i64) -> Option<UserIx> {
        let index = self.users.pks.as_slice().binary_search(&pk).ok()?;
        u32::try_from(index).ok().map(UserIx::new)
    }

    pub(crate) fn group_by_uuid(&self, uuid: &[u8; 16]) -> Option<GroupIx> {
        let index = self.groups.uuids.as_slice().binary_search(uuid).ok()?;
        u32::try_from(index).ok().map(GroupIx::new)
    }

    /// What the virtual group of a user has for an attribute that users store, whatever the tree.
    pub(crate) fn of_virtual_group(
        &self,
        user: UserIx,
        id: AttributeId,
    ) -> Result<Option<&[u8]>, WrongNumber> {
        let shows = id.definition().and_then(|built_in| built_in.virtual_groups);
        Ok(match shows {
            Some(Shows::Name) => Some(self.name(self.user_record(user)?)?),
            Some(Shows::Uid) => Some(self.user_uid(user)?),
            Some(Shows::NoSuperuser) => Some(b"false"),
            Some(
                Shows::FullName
                | Shows::Uuid
                | Shows::Mail
                | Shows::Home
                | Shows::Active
                | Shows::Superuser
                | Shows::PasswordChange
                | Shows::Joined
                | Shows::Updated
                | Shows::Computed,
            )
            | None => None,
        })
    }

    /// The record of a user.
    #[inline]
    pub(crate) fn user_record(&self, user: UserIx) -> Result<RecordIx, WrongNumber> {
        self.layout.user_record(user)
    }

    #[inline]
    pub(crate) fn get(&self, record: RecordIx) -> Result<&Record, WrongNumber> {
        self.all.get(record)
    }

    /// All encoded attributes of a record.
    #[inline]
    pub(crate) fn block(&self, record: &Record) -> Result<&[u8], WrongNumber> {
        record.attributes.of(&self.arena)
    }

    /// The encoded attribute of a record.
    #[inline]
    pub(crate) fn stored(
        &self,
        record: RecordIx,
        id: AttributeId,
    ) -> Result<Option<EncodedElement<'_>>, WrongNumber> {
        let record = self.get(record)?;
        let list = self.attribute_lists.get(record.attribute_list)?;
        let Some(position) = list.iter().position(|&known| known == id) else {
            return Ok(None);
        };
        Elements(self.block(record)?).at(position).map(Some)
    }

    /// The values of a stored attribute, encoded.
    #[inline]
    pub(crate) fn stored_set(&self, record: RecordIx, id: AttributeId) -> Result<Option<&[u8]>, WrongNumber> {
        match self.stored(record, id)? {
            Some(element) => encoded::attribute(&element).map(|(_, set)| Some(set)),
            None => Ok(None),
        }
    }

    /// A record's name, unescaped.
    #[inline]
    pub(crate) fn name(&self, record: RecordIx) -> Result<&[u8], WrongNumber> {
        if self.get(record)?.has(record::NAME_APART) {
            return self.name_apart(record);
        }
        let name = self.rdn(record)?.get(self.rdns.type_length(record)..);
        name.ok_or(WrongNumber::Octets)
    }

    /// The same if it is not what follows the type in the RDN.
    fn name_apart(&self, record: RecordIx) -> Result<&[u8], WrongNumber> {
        match (self.unescaped_names.find(record), self.layout.user_of(record)) {
            (Err(_), Some(user)) if self.branches.are_made() => {
                let above = &self.branches.get(self.branches.of(user)?)?.local_name;
                let (rdn, before) = (self.rdn(record)?, self.rdns.type_length(record));
                let end = rdn
                    .len()
                    .checked_sub(above.len() + usize::from(!above.is_empty()));
                let name = end.and_then(|end| rdn.get(before..end));
                name.ok_or(WrongNumber::Octets)
            }
            (found, _) => found,
        }
    }

    /// A record's RDN as it is sent; a user's with the organizational units that the path makes.
    #[inline]
    pub(crate) fn rdn(&self, record: RecordIx) -> Result<&[u8], WrongNumber> {
        self.rdns.get(record)
    }

    /// The RDN of a user's virtual group as it is sent.
    #[inline]
    pub(crate) fn virtual_group_rdn(&self, user: UserIx) -> Result<&[u8], WrongNumber> {
        let records = count_of(self.all.as_slice(), WrongNumber::Record)?;
        self.rdns.of_virtual_group(self.user_record(user)?, records)
    }

    pub(crate) fn user_uid(&self, user: UserIx) -> Result<&[u8], WrongNumber> {
        self.users.uids.get(user)?.of(&self.arena)
    }

    /// Calls `each` with every value of an indexed attribute of a record until it says stop; returns whether it did.
    #[inline]
    pub(crate) fn any_value(
        &self,
        record: RecordIx,
        id: AttributeId,
        mut each: impl FnMut(&[u8]) -> bool,
    ) -> Result<bool, WrongNumber> {
        Ok(match id {
            AttributeId::RDN => each(self.name(record)?),
            AttributeId::USER_UID => match self.layout.user_of(record) {
                Some(user) => each(self.user_uid(user)?),
                None => false,
            },
            _ => match self.stored_set(record, id)? {
                Some(set) => encoded::any_value(set, each)?,
                None => false,
            },
        })
    }
}
