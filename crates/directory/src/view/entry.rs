//! Entries: where each stands in the answer, and what its attributes hold for one provider and one viewer.
//!
//! Knows which attributes are stored and how the others follow from a record's place, number and memberships. Nothing is
//! allocated. Must not know filters or selections.

use std::sync::LazyLock;

use crate::index::snapshot::Snapshot;
use crate::model::attribute::{AttributeId, AttributeRef};
use crate::model::encoded;
use crate::model::row;
use crate::view::subschema::SUBSCHEMA_DN;
use crate::view::tree::Tree;
use crate::view::values::{Attribute, Values};
use akldap_ldap::response::write_attribute;

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
    pub(crate) fn new(snapshot: &Snapshot) -> Self {
        Self {
            users: snapshot.user_count_u32(),
            groups: snapshot.group_count_u32(),
        }
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
    pub(crate) fn of_record(self, record: row::Record) -> Ordinal {
        if record < self.users {
            record + 2
        } else {
            record + 3
        }
    }
}

/// Whose eyes see the directory, once the viewer is found in the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    Full,
    /// Base, containers, this user, the groups it is a direct member of, its virtual group. A user that is not in the
    /// snapshot sees base and containers.
    Own(Option<u32>),
}

/// Everything that decides what an entry holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) tree: &'a Tree,
    pub(crate) view: View,
}

pub(crate) const USER_CLASSES: [&str; 7] = [
    "top",
    "person",
    "organizationalPerson",
    "inetOrgPerson",
    "user",
    "posixAccount",
    "goauthentik.io/ldap/user",
];
pub(crate) const GROUP_CLASSES: [&str; 5] = [
    "group",
    "groupOfUniqueNames",
    "groupOfNames",
    "goauthentik.io/ldap/group",
    "posixGroup",
];
pub(crate) const VIRTUAL_GROUP_CLASS: &str = "goauthentik.io/ldap/virtual-group";

/// The objectClass attributes of users, groups and virtual groups as they are sent.
static OBJECT_CLASSES: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    let encode = |classes: &[&str]| {
        let mut out = Vec::new();
        let name = AttributeId::OBJECT_CLASS.name().as_bytes();
        write_attribute(&mut out, name, classes.iter().map(|class| class.as_bytes()));
        out
    };
    let virtual_group: Vec<&str> = GROUP_CLASSES.into_iter().chain([VIRTUAL_GROUP_CLASS]).collect();
    [
        encode(&USER_CLASSES),
        encode(&GROUP_CLASSES),
        encode(&virtual_group),
    ]
});

/// Turns the UUID of a user into that of the virtual group, and back: version 8 (RFC 9562 section 5.8) instead of 4 and
/// other bits, the variant kept. Unlike a hash it needs no index of its own.
const VIRTUAL_GROUP_UUID: u128 = 0x6b1d_5f3a_92c4_c7e8_0a5e_d3b7_41f6_8c29;

pub(crate) fn virtual_group_uuid(user: [u8; 16]) -> [u8; 16] {
    (u128::from_be_bytes(user) ^ VIRTUAL_GROUP_UUID).to_be_bytes()
}

impl<'a> Context<'a> {
    /// Whether the viewer may see an entry.
    #[inline]
    pub(crate) fn is_visible(&self, entry: Entry) -> bool {
        match (self.view, entry) {
            (View::Full, _) | (_, Entry::Special(_)) => true,
            (View::Own(own), Entry::User(user) | Entry::VirtualGroup(user)) => own == Some(user),
            (View::Own(Some(own)), Entry::Group(group)) => self
                .snapshot
                .memberships
                .user_groups
                .of(own)
                .binary_search(&group)
                .is_ok(),
            (View::Own(None), Entry::Group(_)) => false,
        }
    }

    /// The two parts of an entry's DN.
    #[inline]
    pub(crate) fn dn(&self, entry: Entry) -> [&'a [u8]; 2] {
        let leaf = |record, container| [self.snapshot.rdn(record), self.tree.leaf_suffix(container)];
        match entry {
            Entry::Special(special) => [&self.tree.special(special).dn, b""],
            Entry::User(user) => leaf(user, Special::Users),
            Entry::Group(group) => leaf(self.snapshot.group_record(group), Special::Groups),
            Entry::VirtualGroup(user) => leaf(user, Special::VirtualGroups),
        }
    }

    /// The direct members of a group that the viewer may know.
    pub(crate) fn members(&self, group: u32) -> &'a [u32] {
        let users = self.snapshot.memberships.group_users.of(group);
        match self.view {
            View::Full => users,
            View::Own(own) => own
                .and_then(|own| users.binary_search(&own).ok())
                .and_then(|index| users.get(index..=index))
                .unwrap_or_default(),
        }
    }

    pub(crate) fn child_groups(&self, group: u32) -> &'a [u32] {
        match self.view {
            View::Full => self.snapshot.memberships.group_children.of(group),
            View::Own(_) => &[],
        }
    }

    pub(crate) fn parent_groups(&self, group: u32) -> &'a [u32] {
        match self.view {
            View::Full => self.snapshot.memberships.group_parents.of(group),
            View::Own(_) => &[],
        }
    }

    /// The attribute of an entry that a description means.
    #[inline]
    pub(crate) fn find(&self, entry: Entry, attribute: &AttributeRef) -> Option<Attribute<'a>> {
        if let Entry::Special(special) = entry {
            return match self.tree.special(special).find(attribute) {
                Some(element) => Some(Attribute::Stored(element)),
                None if self.tree.alone => None,
                None => self.attribute(entry, attribute.first?),
            };
        }
        attribute.ids().find_map(|id| self.attribute(entry, id))
    }

    /// An attribute of an entry. Of base and containers only those that every entry has; the rest is found by name.
    #[inline]
    pub(crate) fn attribute(&self, entry: Entry, id: AttributeId) -> Option<Attribute<'a>> {
        let computed = |values| Some(Attribute::Computed(id, values));
        let record = match entry {
            Entry::User(user) => user,
            Entry::Group(group) => self.snapshot.group_record(group),
            Entry::VirtualGroup(_) if id == AttributeId::OBJECT_CLASS => {
                return Some(classes(ClassesOf::VirtualGroups));
            }
            Entry::VirtualGroup(user) => return computed(self.of_virtual_group(user, id)?),
            Entry::Special(_) if self.tree.alone => return None,
            Entry::Special(_) => return computed(self.of_every_entry(entry, id)?),
        };
        if !id.is_computed() || self.snapshot.row(record).overrides(id) {
            return self.snapshot.stored(record, id).map(Attribute::Stored);
        }
        match (entry, id) {
            (Entry::User(_), AttributeId::OBJECT_CLASS) => Some(classes(ClassesOf::Users)),
            (Entry::Group(_), AttributeId::OBJECT_CLASS) => Some(classes(ClassesOf::Groups)),
            (Entry::User(user), _) => computed(self.of_user(user, id)?),
            (Entry::Group(group), _) => computed(self.of_group(group, id)?),
            _ => None,
        }
    }

    fn of_user(&self, user: u32, id: AttributeId) -> Option<Values<'a>> {
        Some(match id {
            AttributeId::UID_NUMBER | AttributeId::GID_NUMBER => Values::Number(self.user_number(user)),
            AttributeId::MEMBER_OF => Values::Dns {
                users: &[],
                groups: self.snapshot.memberships.user_groups.of(user),
            },
            AttributeId::STRUCTURAL_OBJECT_CLASS => Values::Text(b"inetOrgPerson"),
            _ => return self.of_every_entry(Entry::User(user), id),
        })
    }

    fn of_group(&self, group: u32, id: AttributeId) -> Option<Values<'a>> {
        Some(match id {
            AttributeId::GID_NUMBER => Values::Number(self.group_number(group)),
            AttributeId::MEMBER | AttributeId::UNIQUE_MEMBER => {
                let (users, groups) = (self.members(group), self.child_groups(group));
                if users.is_empty() && groups.is_empty() {
                    return None;
                }
                Values::Dns { users, groups }
            }
            AttributeId::MEMBER_UID => match self.members(group) {
                [] => return None,
                users => Values::Names(users),
            },
            AttributeId::MEMBER_OF => Values::Dns {
                users: &[],
                groups: self.parent_groups(group),
            },
            AttributeId::STRUCTURAL_OBJECT_CLASS => Values::Text(b"groupOfNames"),
            _ => return self.of_every_entry(Entry::Group(group), id),
        })
    }

    fn of_virtual_group(&self, user: u32, id: AttributeId) -> Option<Values<'a>> {
        let row = self.snapshot.row(user);
        Some(match id {
            AttributeId::CN | AttributeId::SAM_ACCOUNT_NAME | AttributeId::MEMBER_UID => {
                Values::Text(self.snapshot.name(user))
            }
            AttributeId::UID => Values::Text(self.snapshot.user_uid(user)),
            AttributeId::GID_NUMBER if row.has(row::OWN_GID_NUMBER) => {
                Values::Set(self.snapshot.stored_set(user, AttributeId::GID_NUMBER)?)
            }
            AttributeId::GID_NUMBER if row.has(row::OWN_UID_NUMBER) => {
                Values::Set(self.snapshot.stored_set(user, AttributeId::UID_NUMBER)?)
            }
            AttributeId::GID_NUMBER => Values::Number(self.user_number(user)),
            AttributeId::AK_SUPERUSER => Values::Text(b"false"),
            AttributeId::MEMBER | AttributeId::UNIQUE_MEMBER => Values::Dn(Entry::User(user)),
            AttributeId::MEMBER_OF => Values::None,
            AttributeId::STRUCTURAL_OBJECT_CLASS => Values::Text(b"groupOfNames"),
            _ => return self.of_every_entry(Entry::VirtualGroup(user), id),
        })
    }

    fn of_every_entry(&self, entry: Entry, id: AttributeId) -> Option<Values<'a>> {
        let subordinates = || self.subordinates(entry);
        Some(match id {
            AttributeId::ENTRY_UUID => Values::Uuid(self.uuid(entry)?),
            AttributeId::ENTRY_DN | AttributeId::DISTINGUISHED_NAME => Values::Dn(entry),
            AttributeId::STRUCTURAL_OBJECT_CLASS => match entry {
                Entry::Special(Special::Base) => Values::Text(b"domain"),
                _ => Values::Text(b"organizationalUnit"),
            },
            AttributeId::HAS_SUBORDINATES if subordinates() == 0 => Values::Text(b"FALSE"),
            AttributeId::HAS_SUBORDINATES => Values::Text(b"TRUE"),
            AttributeId::NUM_SUBORDINATES => Values::Number(subordinates()),
            AttributeId::SUBSCHEMA_SUBENTRY => Values::Text(SUBSCHEMA_DN.as_bytes()),
            _ => return None,
        })
    }

    fn uuid(&self, entry: Entry) -> Option<[u8; 16]> {
        let user = |user: u32| {
            let uuid = self.snapshot.users.uuids.get(user as usize).copied()?;
            (uuid != [0; 16]).then_some(uuid)
        };
        match entry {
            Entry::Special(special) => Some(self.tree.special(special).uuid),
            Entry::User(index) => user(index),
            Entry::Group(group) => self.snapshot.groups.uuids.get(group as usize).copied(),
            Entry::VirtualGroup(index) => user(index).map(virtual_group_uuid),
        }
    }

    /// How many entries the viewer sees directly below an entry.
    fn subordinates(&self, entry: Entry) -> i64 {
        let Entry::Special(special) = entry else { return 0 };
        match (special, self.view) {
            (Special::Base, _) => 3,
            (Special::Users | Special::VirtualGroups, View::Full) => {
                i64::from(self.snapshot.user_count_u32())
            }
            (Special::Groups, View::Full) => i64::from(self.snapshot.group_count_u32()),
            (_, View::Own(None)) => 0,
            (Special::Users | Special::VirtualGroups, View::Own(Some(_))) => 1,
            (Special::Groups, View::Own(Some(own))) => {
                self.snapshot.memberships.user_groups.of(own).len() as i64
            }
        }
    }

    /// The uidNumber that follows from a user's pk.
    pub(crate) fn user_number(&self, user: u32) -> i64 {
        let pk = self
            .snapshot
            .users
            .pks
            .get(user as usize)
            .copied()
            .unwrap_or_default();
        self.tree.uid_start.saturating_add(pk)
    }

    /// The gidNumber that follows from a group's number.
    pub(crate) fn group_number(&self, group: u32) -> i64 {
        let number = self
            .snapshot
            .groups
            .numbers
            .get(group as usize)
            .copied()
            .unwrap_or_default();
        self.tree.gid_start.saturating_add(number)
    }
}

/// The kinds of [`OBJECT_CLASSES`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum ClassesOf {
    Users,
    Groups,
    VirtualGroups,
}

/// The objectClass attribute of a kind of entry as it is sent.
#[inline]
pub(crate) fn object_classes(kind: ClassesOf) -> &'static [u8] {
    OBJECT_CLASSES
        .get(kind as usize)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

fn classes(kind: ClassesOf) -> Attribute<'static> {
    match encoded::Elements(object_classes(kind)).next() {
        Some(element) => Attribute::Stored(element),
        None => Attribute::Computed(AttributeId::OBJECT_CLASS, Values::None),
    }
}

#[cfg(test)]
mod tests;
