//! What the entries of a provider look like beyond authentik's own outpost: the choices an admin makes for one provider.
//!
//! Data only: a field here, its meaning in `build/shaped.rs` (what a snapshot holds) or where a tree is made. The default changes
//! nothing. Must not know where the choices are read, or which provider has them.

use std::collections::BTreeSet;

/// The look of a provider's entries. Providers of an equal shape share a snapshot; those of the default one read the
/// directory as it was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// What is shown of users.
    pub users: EntryShape,
    /// What is shown of groups.
    pub groups: EntryShape,
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
}
