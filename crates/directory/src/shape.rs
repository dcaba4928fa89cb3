//! What the entries of a provider look like beyond authentik's own outpost: the choices an admin makes for one provider.
//!
//! Data only: a field here, its meaning in `build/shaped.rs` (what a snapshot holds) or where a tree is made. The default changes
//! nothing. Must not know where the choices are read, or which provider has them.

use std::collections::BTreeSet;

pub mod location;
pub mod visibility;

use location::Location;
use visibility::Visibility;

/// The look of a provider's entries. Providers of an equal shape share a snapshot; those of the default one read the
/// directory as it was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// What is shown of users.
    pub users: EntryShape,
    /// What is shown of groups.
    pub groups: EntryShape,
    /// Which users are shown.
    pub visible_users: Visibility,
    /// Which groups are shown.
    pub visible_groups: Visibility,
    /// Which memberships are shown.
    pub membership: Membership,
    /// Where the entries are; wanted only where something of the shape [depends on it](Self::depends_on_location).
    pub location: Option<Location>,
}

/// Which memberships are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Membership {
    /// Those that authentik lists for each group.
    #[default]
    Direct,
    /// Those, and all that follow from groups within groups.
    Inherited,
}

/// What is shown of one kind of entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryShape {
    /// Names, in lower case, of attributes that are left out.
    pub hidden: BTreeSet<String>,
}

impl Shape {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it means something else for another base DN, or for other first numbers.
    #[must_use]
    pub fn depends_on_location(&self) -> bool {
        self.visible_users.has_filter() || self.visible_groups.has_filter()
    }
}
