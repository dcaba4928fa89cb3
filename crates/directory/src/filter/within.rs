//! Parts of the tree that are not one part of the order of entries: organizational units that paths make.
//!
//! Users come in the order of their keys wherever they are filed. Must not know what else is asked of an entry.

use crate::model::number::{BranchIx, UserIx, WrongNumber};
use crate::model::place::Entry;
use crate::view::context::Context;

/// What of an organizational unit is meant; the first one is that of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Within {
    /// What is directly below it.
    Directly(BranchIx),
    /// Itself and all below it.
    Anywhere(BranchIx),
}

impl Within {
    pub(super) fn holds(self, context: &Context<'_>, entry: Entry) -> Result<bool, WrongNumber> {
        let branches = &context.snapshot.records.branches;
        match (self, entry) {
            (Self::Directly(unit), Entry::User(user)) => Ok(branches.of(user)? == unit),
            (Self::Directly(unit), Entry::Branch(branch)) => Ok(branches.get(branch)?.parent == unit),
            (Self::Anywhere(unit), Entry::User(user)) => branches.is_within(branches.of(user)?, unit),
            (Self::Anywhere(unit), Entry::Branch(branch)) => branches.is_within(branch, unit),
            _ => Ok(false),
        }
    }

    /// The users there, in no order.
    pub(crate) fn users<'s>(self, context: &Context<'s>) -> Result<&'s [UserIx], WrongNumber> {
        let branches = &context.snapshot.records.branches;
        match self {
            Self::Directly(unit) => branches.users_in(unit),
            Self::Anywhere(unit) => branches.users_within(unit),
        }
    }

    /// The unit.
    pub(crate) fn unit(self) -> BranchIx {
        match self {
            Self::Directly(unit) | Self::Anywhere(unit) => unit,
        }
    }
}
