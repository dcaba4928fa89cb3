//! Takes encoded users and groups out of a snapshot, to put them into another one or into a file.
//!
//! Knows which fields make up a record. Must not know how they are written as octets, or where records come from.

use std::borrow::Cow;

use uuid::{NonNilUuid, Uuid};

use crate::build::superusers::with_superuser;
use crate::index::snapshot::{Snapshot, text};
use crate::model::account::Role;
use crate::model::built_in::AttributeId;
use crate::model::encoded;
use crate::model::number::{GroupIx, RecordIx, UserIx, WrongNumber};
use crate::model::record;
use crate::values::timestamp::StoredTime;

/// What users and groups have in common: a name, flags, and attributes as they are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Carried<'a> {
    pub(super) name: &'a str,
    pub(super) superuser: bool,
    /// Encoded PartialAttributes, one after the other.
    pub(super) attributes: Cow<'a, [u8]>,
    /// The override bits of the built-in attributes that custom values replace.
    pub(super) replaced: u32,
}

/// A user as a snapshot holds it, ready for a [`Builder`](crate::Builder).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarriedUser<'a> {
    pub(super) pk: i64,
    pub(super) uuid: Option<NonNilUuid>,
    pub(super) uid: &'a str,
    pub(super) active: bool,
    /// Where the virtual group's gidNumber comes from: `record::OWN_GID_NUMBER`, `record::OWN_UID_NUMBER` or 0.
    pub(super) number_source: u32,
    pub(super) password_change: Option<StoredTime>,
    pub(super) path: &'a str,
    pub(super) kind: &'a str,
    /// The roles that the user has itself, by UUID.
    pub(super) roles: Cow<'a, [Role]>,
    pub(super) record: Carried<'a>,
}

/// A group as a snapshot holds it, ready for a [`Builder`](crate::Builder).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarriedGroup<'a> {
    pub(super) uuid: [u8; 16],
    pub(super) number: i64,
    /// Primary keys of the direct members.
    pub(super) members: Vec<i64>,
    /// UUIDs of the groups directly above.
    pub(super) parents: Vec<[u8; 16]>,
    /// The roles that the group has itself, by UUID.
    pub(super) roles: Cow<'a, [Role]>,
    pub(super) record: Carried<'a>,
}

impl Snapshot {
    /// A user as it is kept here.
    ///
    /// # Errors
    /// When the number belongs to another snapshot, or one in the snapshot points to nothing.
    pub fn carried_user(&self, user: UserIx) -> Result<CarriedUser<'_>, WrongNumber> {
        let users = &self.records.users;
        let record = self.records.get(self.records.user_record(user)?)?;
        let account = users.accounts.of(user)?;
        Ok(CarriedUser {
            pk: *users.pks.get(user)?,
            uuid: *users.uuids.get(user)?,
            uid: text(self.records.user_uid(user)?)?,
            active: record.has(record::ACTIVE),
            number_source: record.flags & (record::OWN_GID_NUMBER | record::OWN_UID_NUMBER),
            password_change: *users.password_changes.get(user)?,
            path: &account.path,
            kind: &account.kind,
            roles: Cow::Borrowed(&account.roles),
            record: self.carried(self.records.user_record(user)?)?,
        })
    }

    /// A group as it is kept here.
    ///
    /// # Errors
    /// When the number belongs to another snapshot, or one in the snapshot points to nothing.
    pub fn carried_group(&self, group: GroupIx) -> Result<CarriedGroup<'_>, WrongNumber> {
        let memberships = &self.records.memberships;
        let members = memberships.group_users.of(group)?.iter();
        let parents = memberships.group_parents.of(group)?.iter();
        let groups = &self.records.groups;
        Ok(CarriedGroup {
            uuid: *groups.uuids.get(group)?,
            number: *groups.numbers.get(group)?,
            members: members
                .map(|&user| self.records.users.pks.get(user).copied())
                .collect::<Result<_, _>>()?,
            parents: parents
                .map(|&parent| groups.uuids.get(parent).copied())
                .collect::<Result<_, _>>()?,
            roles: Cow::Borrowed(groups.roles.get(group)?),
            record: self.carried(self.records.layout.group_record(group))?,
        })
    }

    /// Whether one of these attributes of a user, as the user's record has them, is `text`, case ignored.
    ///
    /// # Errors
    /// When the number belongs to another snapshot, or one in the snapshot points to nothing.
    pub fn has_value(&self, user: UserIx, attributes: &[&str], text: &str) -> Result<bool, WrongNumber> {
        let wanted = text.to_lowercase();
        let named = |name: &[u8]| {
            let mut attributes = attributes.iter();
            attributes.any(|attribute| name.eq_ignore_ascii_case(attribute.as_bytes()))
        };
        let block = self
            .records
            .block(self.records.get(self.records.user_record(user)?)?)?;
        let is_wanted = |value: &[u8]| String::from_utf8_lossy(value).to_lowercase() == wanted;
        for attribute in encoded::attributes(block) {
            let (name, set) = attribute?;
            if named(name) && encoded::any_value(set, is_wanted)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn carried(&self, number: RecordIx) -> Result<Carried<'_>, WrongNumber> {
        let record = self.records.get(number)?;
        Ok(Carried {
            name: text(self.records.name(number)?)?,
            superuser: record.has(record::SUPERUSER),
            attributes: Cow::Borrowed(self.records.block(record)?),
            replaced: record.flags & ((1 << record::FIRST_FLAG) - 1),
        })
    }
}

impl CarriedUser<'_> {
    /// The primary key.
    #[must_use]
    pub fn pk(&self) -> i64 {
        self.pk
    }

    /// Whether any group makes the user a superuser.
    #[must_use]
    pub fn is_superuser(&self) -> bool {
        self.record.superuser
    }

    /// Makes the user a superuser or not, as memberships outside the user's own row decide.
    ///
    /// # Errors
    /// When the user's attributes are damaged.
    pub fn set_superuser(&mut self, superuser: bool) -> Result<(), WrongNumber> {
        if self.record.superuser != superuser {
            self.record.superuser = superuser;
            self.record.attributes = Cow::Owned(with_superuser(&self.record.attributes, superuser)?);
        }
        Ok(())
    }
}

impl CarriedGroup<'_> {
    /// The primary key.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        Uuid::from_bytes(self.uuid)
    }

    /// The groups directly above.
    pub fn parents(&self) -> impl Iterator<Item = Uuid> {
        self.parents.iter().copied().map(Uuid::from_bytes)
    }

    /// Adds a direct member.
    pub fn add_member(&mut self, pk: i64) {
        if !self.members.contains(&pk) {
            self.members.push(pk);
        }
    }
}

impl Carried<'_> {
    pub(super) fn replaces(&self, id: AttributeId) -> bool {
        self.replaced & id.override_bit() != 0
    }
}

#[cfg(test)]
mod tests;
