//! What authentik says of accounts that no attribute shows: the path they are filed under, their type and their roles.
//!
//! Must not know how it is used.

use uuid::Uuid;

use crate::model::number::{Column, UserIx, WrongNumber, number};

number! {
    /// A path, a type and roles; users with the same ones share them.
    pub(crate) AccountIx, Account
}

impl AccountIx {
    pub(crate) const FIRST: Self = Self(0);
}

/// Where an account is filed and what it is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Account {
    /// Levels separated by slashes.
    pub(crate) path: Box<str>,
    /// The type, as authentik spells it.
    pub(crate) kind: Box<str>,
    /// The roles that the account has itself, by UUID.
    pub(crate) roles: Box<[Role]>,
}

/// A role of authentik.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Role {
    pub(crate) uuid: [u8; 16],
    pub(crate) name: Box<str>,
}

impl Role {
    /// Those of these UUIDs, in text form, and names, in order and each once. What cannot be read is none.
    pub(crate) fn read(listed: &[(String, String)]) -> Vec<Self> {
        let role = |(uuid, name): &(String, String)| {
            let uuid = Uuid::try_parse(uuid).ok()?.into_bytes();
            let name: Box<str> = name.as_str().into();
            (!name.is_empty()).then_some(Self { uuid, name })
        };
        let mut roles: Vec<Self> = listed.iter().filter_map(role).collect();
        roles.sort_unstable();
        roles.dedup_by_key(|role| role.uuid);
        roles
    }

    /// Octets on the heap.
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>() + self.name.len()
    }
}

/// The accounts of all users.
#[derive(Debug)]
pub(crate) struct Accounts {
    pub(crate) known: Column<AccountIx, Account>,
    pub(crate) of_users: Column<UserIx, AccountIx>,
}

impl Accounts {
    pub(crate) fn of(&self, user: UserIx) -> Result<&Account, WrongNumber> {
        self.known.get(*self.of_users.get(user)?)
    }

    /// Octets on the heap.
    pub(crate) fn size(&self) -> usize {
        let texts = self.known.as_slice().iter();
        let texts = texts.map(|account| {
            let roles = account.roles.iter().map(Role::size).sum::<usize>();
            account.path.len() + account.kind.len() + roles
        });
        self.known.size() + self.of_users.size() + texts.sum::<usize>()
    }
}
