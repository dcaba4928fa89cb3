//! Entries and their places in the answer: which there are follows from how many users and groups there are.
//!
//! Must not know what entries hold or who sees them.

use crate::model::row::RecordIx;

/// An entry that is neither user nor group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Container {
    Base,
    Users,
    Groups,
    VirtualGroups,
}

/// An entry of a tree; users and groups each counted from 0, a virtual group by its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Entry {
    Container(Container),
    User(u32),
    Group(u32),
    VirtualGroup(u32),
}

/// The place of an entry in the order of answers: base, users, groups, virtual groups, each container before what it
/// holds.
pub(crate) type Place = u32;

/// Stands for the root DSE where a search has it beside the entries of a tree. No layout has this place.
pub(crate) const ROOT: Place = Place::MAX - 1;

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
    pub(crate) fn place(self, entry: Entry) -> Place {
        match entry {
            Entry::Container(Container::Base) => 0,
            Entry::Container(Container::Users) => 1,
            Entry::User(user) => 2 + user,
            Entry::Container(Container::Groups) => 2 + self.users,
            Entry::Group(group) => 3 + self.users + group,
            Entry::Container(Container::VirtualGroups) => 3 + self.users + self.groups,
            Entry::VirtualGroup(user) => 4 + self.users + self.groups + user,
        }
    }

    /// The entry at a place below [`end`](Self::end).
    #[inline]
    pub(crate) fn entry(self, place: Place) -> Entry {
        let groups = 2 + self.users;
        let virtual_groups = 3 + self.users + self.groups;
        match place {
            0 => Entry::Container(Container::Base),
            1 => Entry::Container(Container::Users),
            _ if place < groups => Entry::User(place - 2),
            _ if place == groups => Entry::Container(Container::Groups),
            _ if place < virtual_groups => Entry::Group(place - groups - 1),
            _ if place == virtual_groups => Entry::Container(Container::VirtualGroups),
            _ => Entry::VirtualGroup(place - virtual_groups - 1),
        }
    }

    /// The container that a place is in, and the first place in it; `None` for base and containers.
    #[inline]
    pub(crate) fn container_of(self, place: Place) -> Option<(Container, Place)> {
        let groups = 2 + self.users;
        let virtual_groups = 3 + self.users + self.groups;
        match place {
            0 | 1 => None,
            _ if place < groups => Some((Container::Users, 2)),
            _ if place == groups => None,
            _ if place < virtual_groups => Some((Container::Groups, groups + 1)),
            _ if place == virtual_groups => None,
            _ => Some((Container::VirtualGroups, virtual_groups + 1)),
        }
    }

    /// The places of base and containers.
    pub(crate) fn containers(self) -> [Place; 4] {
        [
            Container::Base,
            Container::Users,
            Container::Groups,
            Container::VirtualGroups,
        ]
        .map(|container| self.place(Entry::Container(container)))
    }

    /// One more than the last place.
    pub(crate) fn end(self) -> Place {
        4 + 2 * self.users + self.groups
    }

    /// The places of what a container holds.
    pub(crate) fn children(self, container: Container) -> std::ops::Range<Place> {
        let first = self.place(Entry::Container(container)) + 1;
        match container {
            Container::Base => first..first,
            Container::Users | Container::VirtualGroups => first..first + self.users,
            Container::Groups => first..first + self.groups,
        }
    }

    /// The place of a record's own entry.
    #[inline]
    pub(crate) fn of_record(self, record: RecordIx) -> Place {
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
