//! Where a provider's entries are: what a shape must know about that, because filters compare names and
//! numbers.
//!
//! Must not know providers.

use std::sync::Arc;

use crate::view::tree::Tree;

/// A provider's tree, which differs with the base DN, the first numbers, or how names are spelled.
#[derive(Clone, Debug)]
pub struct Location(Arc<Tree>);

impl Location {
    /// Where the entries of this tree are.
    #[must_use]
    pub fn of(tree: Arc<Tree>) -> Self {
        Self(tree)
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.0
    }
}

impl PartialEq for Location {
    fn eq(&self, other: &Self) -> bool {
        let [own, other] = [self, other].map(|location| {
            let tree = location.tree();
            (tree.base_spelling(), tree.uid_start, tree.gid_start, tree.style())
        });
        own == other
    }
}

impl Eq for Location {}
