//! Entries and their places in the answer: which ones exist follows from how many users and groups there are.
//!
//! Must not know what entries contain or who sees them.

use crate::model::number::{BranchIx, GroupIx, RecordIx, UserIx, WrongNumber, number};

/// An entry that contains others: the base, and the organizational units below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Container {
    Base,
    Users,
    Groups,
    VirtualGroups,
}

impl Container {
    /// In the order of answers.
    pub(crate) const ALL: [Self; 4] = [Self::Base, Self::Users, Self::Groups, Self::VirtualGroups];
}

/// An entry of a tree; a virtual group by its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Entry {
    Container(Container),
    /// An organizational unit that paths of users make; that of users itself is a container.
    Branch(BranchIx),
    User(UserIx),
    Group(GroupIx),
    VirtualGroup(UserIx),
}

/// A user or a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UserOrGroup {
    User(UserIx),
    Group(GroupIx),
}

number! {
    /// The place of an entry in the order of answers: base, users, groups, virtual groups, each container before its
    /// contents, and before users the organizational units that they are in.
    pub(crate) Place, Place, u32
}

impl Place {
    pub(crate) const FIRST: Self = Self::new(0);

    /// The place after this one.
    #[inline]
    pub(crate) fn next(self) -> Self {
        Self::new(self.get().saturating_add(1))
    }
}

/// Stands for the root DSE where a search has it in addition to the entries of a tree. No layout has this place.
pub(crate) const ROOT: Place = Place::new(u32::MAX - 1);

/// Places one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlaceRange {
    pub(crate) start: Place,
    /// After the last one.
    pub(crate) end: Place,
}

impl Default for PlaceRange {
    fn default() -> Self {
        Self::new(Place::FIRST, Place::FIRST)
    }
}

impl PlaceRange {
    pub(crate) const fn new(start: Place, end: Place) -> Self {
        Self { start, end }
    }

    pub(crate) fn one(place: Place) -> Self {
        Self::new(place, place.next())
    }

    #[inline]
    pub(crate) fn contains(self, place: Place) -> bool {
        self.start <= place && place < self.end
    }

    pub(crate) fn len(self) -> usize {
        self.end.get().saturating_sub(self.start.get()) as usize
    }

    pub(crate) fn is_empty(self) -> bool {
        self.end <= self.start
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Place> {
        (self.start.get()..self.end.get()).map(Place::new)
    }

    /// What both have.
    pub(crate) fn intersection(self, other: Self) -> Self {
        Self::new(self.start.max(other.start), self.end.min(other.end))
    }

    /// The part of it before a place.
    pub(crate) fn before(self, end: Place) -> Self {
        Self::new(self.start.min(end), self.end.min(end))
    }
}

/// Translates between entries, records and places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Where the first user is: behind the organizational units that paths make.
    users_at: u32,
    users: u32,
    groups: u32,
}

impl Layout {
    /// For this many users and groups: together at most [`MAX_RECORDS`](crate::model::record::MAX_RECORDS).
    pub(crate) fn new(users: u32, groups: u32) -> Self {
        Self {
            users_at: 2,
            users,
            groups,
        }
    }

    /// The same with this many organizational units made from paths.
    pub(crate) fn with_branches(self, count: u32) -> Self {
        Self {
            users_at: count.saturating_add(2),
            ..self
        }
    }

    pub(crate) fn user_count(self) -> u32 {
        self.users
    }

    pub(crate) fn group_count(self) -> u32 {
        self.groups
    }

    /// Where the container of groups is.
    #[inline]
    fn groups_at(self) -> u32 {
        self.users_at + self.users
    }

    /// Where the container of virtual groups is.
    #[inline]
    fn virtual_groups_at(self) -> u32 {
        self.users_at + 1 + self.users + self.groups
    }

    #[inline]
    pub(crate) fn container(self, container: Container) -> Place {
        Place::new(match container {
            Container::Base => 0,
            Container::Users => 1,
            Container::Groups => self.groups_at(),
            Container::VirtualGroups => self.virtual_groups_at(),
        })
    }

    #[inline]
    pub(crate) fn place(self, entry: Entry) -> Result<Place, WrongNumber> {
        match entry {
            Entry::Container(container) => Ok(self.container(container)),
            Entry::Branch(branch) => self.branch(branch),
            Entry::User(user) => self.user(user),
            Entry::Group(group) => self.group(group),
            Entry::VirtualGroup(user) => self.virtual_group(user),
        }
    }

    /// The place of an organizational unit; the first one's is that of the container of users.
    pub(crate) fn branch(self, branch: BranchIx) -> Result<Place, WrongNumber> {
        let place = branch.get().saturating_add(1);
        match place < self.users_at {
            true => Ok(Place::new(place)),
            false => Err(WrongNumber::Branch),
        }
    }

    #[inline]
    pub(crate) fn user(self, user: UserIx) -> Result<Place, WrongNumber> {
        match user.get() < self.users {
            true => Ok(Place::new(self.users_at + user.get())),
            false => Err(WrongNumber::User),
        }
    }

    #[inline]
    pub(crate) fn group(self, group: GroupIx) -> Result<Place, WrongNumber> {
        match group.get() < self.groups {
            true => Ok(Place::new(self.groups_at() + 1 + group.get())),
            false => Err(WrongNumber::Group),
        }
    }

    #[inline]
    pub(crate) fn virtual_group(self, user: UserIx) -> Result<Place, WrongNumber> {
        match user.get() < self.users {
            true => Ok(Place::new(self.virtual_groups_at() + 1 + user.get())),
            false => Err(WrongNumber::User),
        }
    }

    #[inline]
    pub(crate) fn entry(self, place: Place) -> Result<Entry, WrongNumber> {
        let place = place.get();
        let (groups, virtual_groups) = (self.groups_at(), self.virtual_groups_at());
        Ok(match place {
            _ if self.users_at <= place && place < groups => Entry::User(UserIx::new(place - self.users_at)),
            0 => Entry::Container(Container::Base),
            1 => Entry::Container(Container::Users),
            _ if place < groups => Entry::Branch(BranchIx::new(place - 1)),
            _ if place == groups => Entry::Container(Container::Groups),
            _ if place < virtual_groups => Entry::Group(GroupIx::new(place - groups - 1)),
            _ if place == virtual_groups => Entry::Container(Container::VirtualGroups),
            _ if place <= virtual_groups + self.users => {
                Entry::VirtualGroup(UserIx::new(place - virtual_groups - 1))
            }
            _ => return Err(WrongNumber::Place),
        })
    }

    /// The container that a place is in, and the first place of what is ordered by name there; `None` for containers themselves and
    /// organizational units.
    #[inline]
    pub(crate) fn container_of(self, place: Place) -> Option<(Container, Place)> {
        let place = place.get();
        let (groups, virtual_groups) = (self.groups_at(), self.virtual_groups_at());
        match place {
            _ if place < self.users_at => None,
            _ if place < groups => Some((Container::Users, Place::new(self.users_at))),
            _ if place == groups => None,
            _ if place < virtual_groups => Some((Container::Groups, Place::new(groups + 1))),
            _ if place == virtual_groups => None,
            _ => Some((Container::VirtualGroups, Place::new(virtual_groups + 1))),
        }
    }

    /// All places.
    pub(crate) fn all(self) -> PlaceRange {
        PlaceRange::new(Place::FIRST, self.end())
    }

    /// After the last place.
    pub(crate) fn end(self) -> Place {
        Place::new(self.users_at + 2 + 2 * self.users + self.groups)
    }

    /// The places of the users, groups or virtual groups in a container other than the base.
    pub(crate) fn children(self, container: Container) -> PlaceRange {
        let first = self.container(container).next();
        let (first, count) = match container {
            Container::Base => (first, 0),
            Container::Users => (Place::new(self.users_at), self.users),
            Container::VirtualGroups => (first, self.users),
            Container::Groups => (first, self.groups),
        };
        PlaceRange::new(first, Place::new(first.get().saturating_add(count)))
    }

    /// The places of the organizational units that paths make.
    pub(crate) fn branches(self) -> PlaceRange {
        PlaceRange::new(self.container(Container::Users).next(), Place::new(self.users_at))
    }

    /// The places of everything below a container other than the base.
    pub(crate) fn below(self, container: Container) -> PlaceRange {
        PlaceRange::new(self.container(container).next(), self.children(container).end)
    }

    /// The place after this many of a container's entries.
    pub(crate) fn behind(self, container: Container, count: usize) -> Place {
        let PlaceRange { start, end } = self.children(container);
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Place::new(start.get().saturating_add(count)).min(end)
    }

    /// The place of a record's own entry.
    #[inline]
    pub(crate) fn of_record(self, record: RecordIx) -> Result<Place, WrongNumber> {
        match self.which(record) {
            UserOrGroup::User(user) => Ok(Place::new(self.users_at + user.get())),
            UserOrGroup::Group(group) => self.group(group).map_err(|_| WrongNumber::Record),
        }
    }

    /// Which user or group a record is. Whether there is such a group shows only when something about it is asked.
    #[inline]
    pub(crate) fn which(self, record: RecordIx) -> UserOrGroup {
        match record.get().checked_sub(self.users) {
            None => UserOrGroup::User(UserIx::new(record.get())),
            Some(group) => UserOrGroup::Group(GroupIx::new(group)),
        }
    }

    /// The user that a record is, if it is one.
    #[inline]
    pub(crate) fn user_of(self, record: RecordIx) -> Option<UserIx> {
        (record.get() < self.users).then(|| UserIx::new(record.get()))
    }

    #[inline]
    pub(crate) fn group_record(self, group: GroupIx) -> RecordIx {
        RecordIx::new(self.users.saturating_add(group.get()))
    }

    /// The record of a user. A number beyond those of users is that of a group's record, so it is compared.
    #[inline]
    pub(crate) fn user_record(self, user: UserIx) -> Result<RecordIx, WrongNumber> {
        match user.get() < self.users {
            true => Ok(RecordIx::new(user.get())),
            false => Err(WrongNumber::User),
        }
    }

    /// The record of an entry; of a virtual group its user's.
    #[inline]
    pub(crate) fn record_of(self, entry: Entry) -> Result<Option<RecordIx>, WrongNumber> {
        Ok(match entry {
            Entry::Container(_) | Entry::Branch(_) => None,
            Entry::User(user) | Entry::VirtualGroup(user) => Some(self.user_record(user)?),
            Entry::Group(group) => Some(self.group_record(group)),
        })
    }
}

/// Turns the UUID of a user into that of the virtual group, and back: version 8 (RFC 9562 section 5.8) instead of 4 and
/// other bits, the variant kept. Unlike a hash it needs no index of its own.
const VIRTUAL_GROUP_UUID: u128 = 0x6b1d_5f3a_92c4_c7e8_0a5e_d3b7_41f6_8c29;

pub(crate) fn virtual_group_uuid(user: [u8; 16]) -> [u8; 16] {
    (u128::from_be_bytes(user) ^ VIRTUAL_GROUP_UUID).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_one_entry_and_none_behind_the_last() {
        for (branches, users, groups) in [(0, 0, 0), (0, 1, 0), (2, 0, 2), (0, 3, 2), (3, 3, 2)] {
            let layout = Layout::new(users, groups).with_branches(branches);
            for place in layout.all().iter() {
                let entry = layout.entry(place).unwrap();
                assert_eq!(layout.place(entry), Ok(place), "{entry:?}");
            }
            for beyond in [layout.end(), layout.end().next(), ROOT] {
                assert_eq!(layout.entry(beyond), Err(WrongNumber::Place));
            }
            for branch in [branches + 1, u32::MAX].map(BranchIx::new) {
                assert_eq!(layout.place(Entry::Branch(branch)), Err(WrongNumber::Branch));
            }
            for user in [users, u32::MAX].map(UserIx::new) {
                assert_eq!(layout.place(Entry::User(user)), Err(WrongNumber::User));
                assert_eq!(layout.place(Entry::VirtualGroup(user)), Err(WrongNumber::User));
            }
            for group in [groups, u32::MAX].map(GroupIx::new) {
                assert_eq!(layout.place(Entry::Group(group)), Err(WrongNumber::Group));
            }
            for record in [users + groups, u32::MAX].map(RecordIx::new) {
                assert_eq!(layout.of_record(record), Err(WrongNumber::Record));
            }
        }
    }
}
