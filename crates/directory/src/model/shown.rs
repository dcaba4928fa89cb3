//! Which attributes the default answer has differently from authentik's outpost, because a shape says
//! so.
//!
//! Must not know shapes or answers.

use crate::model::built_in::AttributeId;
use crate::model::place::Entry;

/// The attributes that a default answer lacks or has in addition.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    /// Stored ones shown only to those who ask for them: of users and of groups.
    pub(crate) operational: [Vec<AttributeId>; 2],
    /// Computed ones shown to all: of users and of groups.
    pub(crate) always: [Vec<AttributeId>; 2],
}

impl Shown {
    /// The stored ones of an entry that are shown only to those who ask for them.
    pub(crate) fn operational(&self, entry: Entry) -> &[AttributeId] {
        of(&self.operational, entry)
    }

    /// The computed ones of an entry that are shown to all.
    pub(crate) fn always(&self, entry: Entry) -> &[AttributeId] {
        of(&self.always, entry)
    }
}

fn of(kinds: &[Vec<AttributeId>; 2], entry: Entry) -> &[AttributeId] {
    let [users, groups] = kinds;
    match entry {
        Entry::User(_) => users,
        Entry::Group(_) => groups,
        Entry::Container(_) | Entry::Branch(_) | Entry::VirtualGroup(_) => &[],
    }
}
