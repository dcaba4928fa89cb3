//! The root DSE beside the entries of a tree, for a search of everything below the empty name (RFC 4512 section 5.1).
//!
//! It is sorted and paged with the others, and comes before them where nothing is sorted. Must not know what it says.

use std::sync::Arc;

use crate::index::snapshot::Snapshot;
use crate::plan::outline::Extent;
use crate::plan::sorting::SortOrder;
use crate::search::run::{Exhausted, Search, SearchControls, Viewer};
use crate::view::entry::{Context, Entry, Layout, ROOT, Special, View};
use crate::view::subschema::Attributes;
use crate::view::tree::Tree;
use akldap_ldap::message::{Scope, SearchRequest};
use akldap_ldap::response::LdapResult;

/// The root DSE as a candidate.
#[derive(Debug)]
pub(crate) struct Root {
    /// A search of it alone: it is of another tree.
    search: Search,
    /// Whether it is a match, once that is known.
    matches: Option<bool>,
}

impl Root {
    /// The root DSE as an entry of its own tree.
    pub(crate) fn entry(&self) -> (Context<'_>, Entry) {
        let context = Context {
            snapshot: &self.search.snapshot,
            tree: &self.search.tree,
            view: View::Full,
        };
        (context, Entry::Special(Special::Base))
    }

    /// Octets on the heap.
    pub(crate) fn memory(&self) -> usize {
        self.search.memory()
    }

    /// What it is sorted by.
    pub(crate) fn sort_key(&self, order: &SortOrder) -> Vec<u8> {
        let (context, entry) = self.entry();
        order.key_of(&context, entry)
    }
}

impl Search {
    /// Prepares a search from the empty name on: of the root DSE and the tree of a provider, by the scope. The base DN of
    /// the provider is what stands one level below.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_root(
        snapshot: Arc<Snapshot>,
        tree: Arc<Tree>,
        viewer: Viewer,
        root_dse: &Attributes,
        request: &SearchRequest<'_>,
        controls: &SearchControls,
    ) -> Result<Self, LdapResult> {
        let view = viewer.view(&snapshot);
        let end = Layout::new(&snapshot).end();
        let (extent, with_root) = match request.scope {
            Scope::BaseObject => (0..0, true),
            Scope::SingleLevel => (0..1, false),
            Scope::WholeSubtree => (0..end, true),
            Scope::SubordinateSubtree => (0..end, false),
        };
        let root = || {
            let controls = SearchControls {
                deref: controls.deref.clone(),
                ..SearchControls::default()
            };
            let search = Self::of_entry("", root_dse, request, &controls)?;
            Ok(Root {
                search,
                matches: None,
            })
        };
        let root = with_root.then(root).transpose()?;
        Self::prepare(snapshot, tree, view, Extent::one(extent), root, request, controls)
    }

    /// Whether the root DSE is a match; false also while that is not known, and then it is under way.
    #[cold]
    pub(crate) fn root_matches(&mut self, limit: usize) -> bool {
        let Some(root) = &mut self.root else {
            return false;
        };
        if let Some(matches) = root.matches {
            return matches;
        }
        root.search.scratch.work = self.scratch.work;
        let found = root.search.next_match(limit);
        self.scratch.work = root.search.scratch.work;
        match found {
            Ok(Some(_)) => root.matches = Some(true),
            Err(Exhausted) => root.matches = Some(false),
            Ok(None) => self.under_way = Some(ROOT),
        }
        root.matches == Some(true)
    }

    #[cold]
    pub(crate) fn write_root(&mut self, out: &mut Vec<u8>, message_id: u32) {
        if let Some(root) = &mut self.root {
            root.search.scratch.work = 0;
            root.search.write(0, out, message_id);
            let written = root.search.scratch.work;
            self.scratch.work += written;
            self.bounds.earn(written);
            self.entries += 1;
            self.last = Some(ROOT);
        }
    }
}
