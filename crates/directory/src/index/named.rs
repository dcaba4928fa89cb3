//! Users and groups by their names, uids and UUIDs.
//!
//! Must not know a provider, whose DNs contain the names.

use crate::index::snapshot::Snapshot;
use crate::model::built_in::AttributeId;
use crate::model::number::{Met, RecordIx, UserIx, WrongNumber};
use crate::model::place::UserOrGroup;
use crate::schema::Syntax;
use crate::values::syntax;

impl Snapshot {
    /// The user with a uid hash.
    ///
    /// # Errors
    /// When a number points to nothing.
    pub fn user_by_uid(&self, uid: &str) -> Result<Option<UserIx>, WrongNumber> {
        let key = syntax::equality_key(Syntax::AccountName, uid.as_bytes());
        // Groups have UIDs too, but come later.
        let first = self.lookup_key(AttributeId::USER_UID, &key)?.first();
        Ok(first.and_then(|&record| self.records.layout.user_of(record)))
    }

    /// The users with a login name: those with exactly that name, otherwise those whose names differ only in
    /// case. In ascending order of pk.
    ///
    /// # Errors
    /// When a number points to nothing.
    pub fn users_by_name(&self, username: &[u8]) -> Result<Vec<UserIx>, WrongNumber> {
        self.named(username, |found| match found {
            UserOrGroup::User(user) => Some(user),
            UserOrGroup::Group(_) => None,
        })
    }

    /// What `wanted` makes of the users and groups called exactly `name`, otherwise of those called so in any
    /// case.
    pub(crate) fn named<N>(
        &self,
        name: &[u8],
        wanted: impl Fn(UserOrGroup) -> Option<N>,
    ) -> Result<Vec<N>, WrongNumber> {
        let key = syntax::equality_key(Syntax::AccountName, name);
        let (mut exactly, mut any_case) = (Vec::new(), Vec::new());
        for &record in self.lookup_key(AttributeId::RDN, &key)? {
            if let Some(found) = wanted(self.records.layout.which(record)) {
                match self.records.name(record)? == name {
                    true => exactly.push(found),
                    false => any_case.push(found),
                }
            }
        }
        Ok(if exactly.is_empty() { any_case } else { exactly })
    }

    /// The records whose names differ from a record's only in spelling, if at all.
    pub(crate) fn twins(&self, record: RecordIx) -> Result<&[RecordIx], WrongNumber> {
        let key = syntax::equality_key(Syntax::AccountName, self.records.name(record)?);
        self.lookup_key(AttributeId::RDN, &key)
    }

    pub(crate) fn user_by_uuid(&self, uuid: &[u8; 16]) -> Result<Option<UserIx>, WrongNumber> {
        let met = Met::default();
        let users = &self.records.users;
        let found = self.users_by_uuid.find(self.hash(uuid), |&user| {
            met.or(users.uuid(user), None).as_ref() == Some(uuid)
        });
        met.answer(found.copied())
    }
}
