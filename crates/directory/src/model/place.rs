//! Entries and their places in the answer: which there are follows from how many users and groups there are.
//!
//! Must not know what entries hold or who sees them.

use crate::model::row::Record;

/// An entry that is neither user nor group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Special {
    Base,
    Users,
    Groups,
    VirtualGroups,
}

/// An entry of a tree; users and groups each counted from 0, a virtual group by its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Entry {
    Special(Special),
    User(u32),
    Group(u32),
    VirtualGroup(u32),
}

/// The place of an entry in the order of answers: base, users, groups, virtual groups, each container before what it
/// holds.
pub(crate) type Ordinal = u32;

/// Stands for the root DSE where a search has it beside the entries of a tree. No layout has this place.
pub(crate) const ROOT: Ordinal = Ordinal::MAX - 1;

/// Translates between entries and their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    users: u32,
    groups: u32,
}

impl Layout {
    pub(crate) fn new(users: u32, groups: u32) -> Self {
        Self { users, groups }
    }

    #[inline]
    pub(crate) fn ordinal(self, entry: Entry) -> Ordinal {
        match entry {
            Entry::Special(Special::Base) => 0,
            Entry::Special(Special::Users) => 1,
            Entry::User(user) => 2 + user,
            Entry::Special(Special::Groups) => 2 + self.users,
            Entry::Group(group) => 3 + self.users + group,
            Entry::Special(Special::VirtualGroups) => 3 + self.users + self.groups,
            Entry::VirtualGroup(user) => 4 + self.users + self.groups + user,
        }
    }

    /// The entry at a place below [`end`](Self::end).
    #[inline]
    pub(crate) fn entry(self, ordinal: Ordinal) -> Entry {
        let groups = 2 + self.users;
        let virtual_groups = 3 + self.users + self.groups;
        match ordinal {
            0 => Entry::Special(Special::Base),
            1 => Entry::Special(Special::Users),
            _ if ordinal < groups => Entry::User(ordinal - 2),
            _ if ordinal == groups => Entry::Special(Special::Groups),
            _ if ordinal < virtual_groups => Entry::Group(ordinal - groups - 1),
            _ if ordinal == virtual_groups => Entry::Special(Special::VirtualGroups),
            _ => Entry::VirtualGroup(ordinal - virtual_groups - 1),
        }
    }

    /// The container that a place is in, and the first place in it; `None` for base and containers.
    #[inline]
    pub(crate) fn container(self, ordinal: Ordinal) -> Option<(Special, Ordinal)> {
        let groups = 2 + self.users;
        let virtual_groups = 3 + self.users + self.groups;
        match ordinal {
            0 | 1 => None,
            _ if ordinal < groups => Some((Special::Users, 2)),
            _ if ordinal == groups => None,
            _ if ordinal < virtual_groups => Some((Special::Groups, groups + 1)),
            _ if ordinal == virtual_groups => None,
            _ => Some((Special::VirtualGroups, virtual_groups + 1)),
        }
    }

    /// The places of base and containers.
    pub(crate) fn specials(self) -> [Ordinal; 4] {
        [
            Special::Base,
            Special::Users,
            Special::Groups,
            Special::VirtualGroups,
        ]
        .map(|special| self.ordinal(Entry::Special(special)))
    }

    /// One more than the last place.
    pub(crate) fn end(self) -> Ordinal {
        4 + 2 * self.users + self.groups
    }

    /// The places of what a container holds.
    pub(crate) fn children(self, container: Special) -> std::ops::Range<Ordinal> {
        let first = self.ordinal(Entry::Special(container)) + 1;
        match container {
            Special::Base => first..first,
            Special::Users | Special::VirtualGroups => first..first + self.users,
            Special::Groups => first..first + self.groups,
        }
    }

    /// The place of a record's own entry.
    #[inline]
    pub(crate) fn of_record(self, record: Record) -> Ordinal {
        if record < self.users {
            record + 2
        } else {
            record + 3
        }
    }
}

/// Turns the UUID of a user into that of the virtual group, and back: version 8 (RFC 9562 section 5.8) instead of 4 and
/// other bits, the variant kept. Unlike a hash it needs no index of its own.
const VIRTUAL_GROUP_UUID: u128 = 0x6b1d_5f3a_92c4_c7e8_0a5e_d3b7_41f6_8c29;

pub(crate) fn virtual_group_uuid(user: [u8; 16]) -> [u8; 16] {
    (u128::from_be_bytes(user) ^ VIRTUAL_GROUP_UUID).to_be_bytes()
}
