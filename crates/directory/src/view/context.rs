//! Who looks at what: a snapshot, a tree, and whose eyes see it.
//!
//! Knows which entries and members a viewer may see, and what depends on the tree: names and numbers. Must not know what
//! attributes entries have.

use crate::index::snapshot::Snapshot;
use crate::model::attribute::AttributeRef;
use crate::model::place::{Container, Entry};
use crate::schema::Syntax;
use crate::view::tree::Tree;

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

impl<'a> Context<'a> {
    /// Whether the viewer may see an entry.
    #[inline]
    pub(crate) fn is_visible(&self, entry: Entry) -> bool {
        match (self.view, entry) {
            (View::Full, _) | (_, Entry::Container(_)) => true,
            (View::Own(own), Entry::User(user) | Entry::VirtualGroup(user)) => own == Some(user),
            (View::Own(Some(own)), Entry::Group(group)) => self
                .snapshot
                .records
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
        let leaf = |record, container| {
            [
                self.snapshot.records.rdn(record),
                self.tree.leaf_suffix(container),
            ]
        };
        match entry {
            Entry::Container(container) => [&self.tree.container(container).dn, b""],
            Entry::User(user) => leaf(user, Container::Users),
            Entry::Group(group) => leaf(self.snapshot.records.group_record(group), Container::Groups),
            Entry::VirtualGroup(user) => leaf(user, Container::VirtualGroups),
        }
    }

    /// The direct members of a group that the viewer may know.
    pub(crate) fn members(&self, group: u32) -> &'a [u32] {
        let users = self.snapshot.records.memberships.group_users.of(group);
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
            View::Full => self.snapshot.records.memberships.group_children.of(group),
            View::Own(_) => &[],
        }
    }

    pub(crate) fn parent_groups(&self, group: u32) -> &'a [u32] {
        match self.view {
            View::Full => self.snapshot.records.memberships.group_parents.of(group),
            View::Own(_) => &[],
        }
    }

    /// The uidNumber that follows from a user's pk.
    pub(crate) fn user_number(&self, user: u32) -> i64 {
        let pk = self
            .snapshot
            .records
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
            .records
            .groups
            .numbers
            .get(group as usize)
            .copied()
            .unwrap_or_default();
        self.tree.gid_start.saturating_add(number)
    }

    /// What a description means in the snapshot.
    pub(crate) fn resolve(&self, description: &[u8]) -> AttributeRef {
        self.snapshot.records.attributes.resolve(description)
    }

    /// The syntax of the values of an attribute.
    pub(crate) fn syntax(&self, attribute: &AttributeRef) -> Syntax {
        syntax_of(self.snapshot, attribute)
    }
}

fn syntax_of(snapshot: &Snapshot, attribute: &AttributeRef) -> Syntax {
    match (attribute.first, attribute.known) {
        (Some(id), _) => snapshot.records.attributes.syntax(id),
        (None, Some(known)) => known.syntax,
        (None, None) => Syntax::DirectoryString,
    }
}
