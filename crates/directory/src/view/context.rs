//! Who looks at what: a snapshot, a tree, and a viewer.
//!
//! Knows which entries and members a viewer may see, and what depends on the tree: names and numbers. Must not know what
//! attributes entries have.

use crate::index::snapshot::Snapshot;
use crate::model::attribute::AttributeRef;
use crate::model::held::HeldAttributes;
use crate::model::number::{BranchIx, GroupIx, UserIx, WrongNumber};
use crate::model::place::{Container, Entry};
use crate::schema::Syntax;
use crate::view::tree::Tree;

/// Whose eyes see the directory, once the viewer is found in the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    Full,
    /// Containers, this user, the groups it is a direct member of, its virtual group. A user that is not in the
    /// snapshot sees containers.
    Own(Option<UserIx>),
}

/// Everything that decides what an entry contains.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) tree: &'a Tree,
    pub(crate) view: View,
}

impl<'a> Context<'a> {
    /// Whether the viewer may see an entry.
    #[inline]
    pub(crate) fn is_visible(&self, entry: Entry) -> Result<bool, WrongNumber> {
        Ok(match (self.view, entry) {
            (View::Full, _) | (_, Entry::Container(_)) => true,
            (View::Own(own), Entry::User(user) | Entry::VirtualGroup(user)) => own == Some(user),
            (View::Own(Some(own)), Entry::Group(group)) => {
                let groups = self.snapshot.records.memberships.user_groups.of(own)?;
                groups.binary_search(&group).is_ok()
            }
            // Nobody else's path is to be seen.
            (View::Own(Some(own)), Entry::Branch(branch)) => {
                let branches = &self.snapshot.records.branches;
                branches.is_within(branches.of(own)?, branch)?
            }
            (View::Own(None), Entry::Group(_) | Entry::Branch(_)) => false,
        })
    }

    /// The first of these that the viewer may see.
    pub(crate) fn first_visible(
        &self,
        entries: impl IntoIterator<Item = Entry>,
    ) -> Result<Option<Entry>, WrongNumber> {
        for entry in entries {
            if self.is_visible(entry)? {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// The two parts of an entry's DN.
    #[inline]
    pub(crate) fn dn(&self, entry: Entry) -> Result<[&'a [u8]; 2], WrongNumber> {
        let records = &self.snapshot.records;
        let leaf = |record, container| Ok([records.rdn(record)?, self.tree.leaf_suffix(container)]);
        match entry {
            Entry::Container(container) => Ok([&self.tree.container(container).dn, b""]),
            Entry::Branch(branch) => Ok([
                &records.branches.get(branch)?.local_name,
                self.tree.leaf_suffix(Container::Users),
            ]),
            Entry::User(user) => leaf(records.user_record(user)?, Container::Users),
            Entry::Group(group) => leaf(records.layout.group_record(group), Container::Groups),
            Entry::VirtualGroup(user) => Ok([
                records.virtual_group_rdn(user)?,
                self.tree.leaf_suffix(Container::VirtualGroups),
            ]),
        }
    }

    /// What containers and organizational units have.
    #[inline]
    pub(crate) fn held(&self, entry: Entry) -> Result<Option<&'a HeldAttributes>, WrongNumber> {
        match entry {
            Entry::Container(container) => Ok(Some(&self.tree.container(container).held)),
            Entry::Branch(branch) => Ok(Some(&self.snapshot.records.branches.get(branch)?.held)),
            Entry::User(_) | Entry::Group(_) | Entry::VirtualGroup(_) => Ok(None),
        }
    }

    /// The container that an entry is or is in, and the organizational unit of a path that it is or is in; the first one is that of users.
    pub(crate) fn unit_of(&self, entry: Entry) -> Result<(Container, BranchIx), WrongNumber> {
        Ok(match entry {
            Entry::Container(container) => (container, BranchIx::ROOT),
            Entry::Branch(branch) => (Container::Users, branch),
            Entry::User(user) => (Container::Users, self.snapshot.records.branches.of(user)?),
            Entry::Group(_) => (Container::Groups, BranchIx::ROOT),
            Entry::VirtualGroup(_) => (Container::VirtualGroups, BranchIx::ROOT),
        })
    }

    /// The attribute in the RDN of a user or group.
    pub(crate) fn rdn_attribute(&self, entry: Entry) -> &'static str {
        match entry {
            Entry::User(_) => self.tree.style().user_rdn.attribute(),
            _ => "cn",
        }
    }

    /// The direct members of a group that the viewer may know.
    pub(crate) fn members(&self, group: GroupIx) -> Result<&'a [UserIx], WrongNumber> {
        let users = self.snapshot.records.memberships.group_users.of(group)?;
        Ok(match self.view {
            View::Full => users,
            View::Own(own) => own
                .and_then(|own| users.binary_search(&own).ok())
                .and_then(|index| users.get(index..=index))
                .unwrap_or(&[]),
        })
    }

    pub(crate) fn child_groups(&self, group: GroupIx) -> Result<&'a [GroupIx], WrongNumber> {
        match self.view {
            View::Full => self.snapshot.records.memberships.group_children.of(group),
            View::Own(_) => Ok(&[]),
        }
    }

    pub(crate) fn parent_groups(&self, group: GroupIx) -> Result<&'a [GroupIx], WrongNumber> {
        match self.view {
            View::Full => self.snapshot.records.memberships.group_parents.of(group),
            View::Own(_) => Ok(&[]),
        }
    }

    /// The uidNumber that follows from a user's pk.
    #[inline]
    pub(crate) fn user_number(&self, user: UserIx) -> Result<i64, WrongNumber> {
        let pk = *self.snapshot.records.users.pks.get(user)?;
        self.tree.user_number(pk)
    }

    /// The gidNumber that follows from a group's number.
    pub(crate) fn group_number(&self, group: GroupIx) -> Result<i64, WrongNumber> {
        self.tree
            .group_number(*self.snapshot.records.groups.numbers.get(group)?)
    }

    /// What a description means in the snapshot.
    pub(crate) fn resolve(&self, description: &[u8]) -> AttributeRef {
        self.snapshot.records.attributes.resolve(description)
    }

    /// The syntax of the values of an attribute.
    #[inline]
    pub(crate) fn syntax(&self, attribute: &AttributeRef) -> Result<Syntax, WrongNumber> {
        match (attribute.first, attribute.known) {
            (Some(id), _) => self.snapshot.records.attributes.syntax(id),
            (None, Some(known)) => Ok(known.syntax),
            (None, None) => Ok(Syntax::DirectoryString),
        }
    }
}
