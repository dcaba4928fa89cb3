//! What authentik says of accounts that no attribute shows: the path they are filed under and their type.
//!
//! Must not know what is made of it.

use crate::model::number::{Column, UserIx, WrongNumber, number};

number! {
    /// A path and a type; users with the same ones share them.
    pub(crate) AccountIx, Account
}

/// Where an account is filed and what it is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Account {
    /// Levels separated by slashes.
    pub(crate) path: Box<str>,
    /// The type, as authentik spells it.
    pub(crate) kind: Box<str>,
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
        let texts = texts.map(|account| account.path.len() + account.kind.len());
        self.known.size() + self.of_users.size() + texts.sum::<usize>()
    }
}
