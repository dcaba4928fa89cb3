//! A search under way: what it asks for and how far it has got.
//!
//! Must not know how it starts or continues.

use std::fmt;
use std::sync::Arc;

use crate::filter::evaluation::{Done, Scratch};
use crate::filter::node::Node;
use crate::index::name_order::Matches;
use crate::index::snapshot::Snapshot;
use crate::model::number::WrongNumber;
use crate::model::place::{Container, Entry, Layout, Place};
use crate::plan::candidates::Candidates;
use crate::plan::in_scope::InScope;
use crate::plan::outline::{Outline, PlanKind, Proved};
use crate::plan::sorting::{SortOrder, Sorter};
use crate::search::bounds::{Bounds, SearchLimits};
use crate::search::dereference::Dereference;
use crate::search::limits::AnswerLimits;
use crate::search::request::SearchOutcome;
use crate::search::selection::Selection;
use crate::view::context::{Context, View};
use crate::view::tree::Tree;

/// A search under way.
#[derive(Debug)]
pub struct Search {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) tree: Arc<Tree>,
    pub(super) view: View,
    pub(super) layout: Layout,
    pub(super) filter: Node,
    pub(super) in_scope: InScope,
    pub(super) selection: Selection,
    pub(super) dereference: Option<Dereference>,
    pub(super) root: Option<Box<Root>>,
    /// What the answer is sorted by.
    pub(super) order: Option<SortOrder>,
    pub(super) plan: Outline,
    pub(super) proved: Proved,
    pub(super) candidates: Candidates,
    /// Whether the filter is evaluated in steps; then the candidate it is evaluated on, and how far that has got.
    pub(super) is_large: bool,
    pub(super) under_way: Option<Place>,
    pub(super) done: Vec<Done>,
    pub(super) phase: Phase,
    pub(super) limits: AnswerLimits,
    pub(super) bounds: Bounds,
    pub(super) scratch: Scratch,
    pub(super) controls_scratch: Vec<u8>,
    pub(super) typical_size: usize,
    pub(super) entries: u64,
    pub(super) last: Option<Place>,
    pub(super) sort_response: Option<Vec<u8>>,
}

/// What a search is doing.
#[derive(Debug)]
pub(super) enum Phase {
    /// Looks at candidates that do not come in the order of names, and marks the matches.
    Marking(Matches),
    /// Writes marked matches.
    Marked {
        places: Vec<Place>,
        next: usize,
    },
    /// Looks at candidates and writes matches.
    Listing,
    /// Looks at candidates and keeps the keys of matches.
    Collecting(Box<Sorter>),
    Sorting(Box<Sorter>),
    /// Writes matches by rank.
    Window {
        sorter: Box<Sorter>,
        next: usize,
        end: usize,
        vlv: Option<Vec<u8>>,
    },
    Finished(SearchOutcome),
}

/// Why there is no next match.
pub(super) enum NoMatch {
    /// There are no candidates left.
    Exhausted,
    Wrong(WrongNumber),
}

impl From<WrongNumber> for NoMatch {
    fn from(wrong: WrongNumber) -> Self {
        Self::Wrong(wrong)
    }
}

/// The root DSE as a candidate.
#[derive(Debug)]
pub(crate) struct Root {
    /// A search of it alone: it is of another tree.
    pub(super) search: Search,
    /// Whether it is a match, once that is known.
    pub(super) matches: Option<bool>,
}

impl Search {
    /// How the search finds its entries, for a trace.
    #[must_use]
    pub fn plan(&self) -> impl fmt::Display + use<> {
        self.plan
    }

    /// The same as one word, for metrics.
    #[must_use]
    pub fn plan_kind(&self) -> PlanKind {
        self.plan.kind()
    }

    /// Whether it has made more comparisons than it may.
    #[must_use]
    pub fn is_out_of_work(&self) -> bool {
        self.bounds.too_much_work().is_some()
    }

    /// Sets what the search may cost; before that nothing is limited.
    pub fn limit(&mut self, limits: SearchLimits) {
        self.bounds.limits = limits;
    }

    /// The directory it reads.
    #[must_use]
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// How many entries were returned so far.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Octets on the heap that only the search holds: its filter, what it found but has not returned, and what it sorts.
    #[must_use]
    pub fn memory(&self) -> usize {
        let found = match &self.phase {
            Phase::Collecting(sorter) | Phase::Sorting(sorter) | Phase::Window { sorter, .. } => {
                sorter.memory()
            }
            Phase::Marking(matches) => matches.memory(),
            Phase::Marked { places, .. } => places.capacity() * size_of::<Place>(),
            Phase::Listing | Phase::Finished(_) => 0,
        };
        // What was compiled does not change.
        let compiled = self.bounds.compiled.get_or_init(|| {
            let root = self.root.as_ref().map_or(0, |root| root.memory());
            self.filter.memory() + self.selection.memory() + root
        });
        let sources = self.candidates.memory() + self.controls_scratch.capacity();
        size_of::<Self>() + compiled + sources + found
    }
}

impl Root {
    /// The root DSE as an entry of its own tree.
    pub(crate) fn entry(&self) -> (Context<'_>, Entry) {
        let context = Context {
            snapshot: &self.search.snapshot,
            tree: &self.search.tree,
            view: View::Full,
        };
        (context, Entry::Container(Container::Base))
    }

    /// Octets on the heap.
    pub(crate) fn memory(&self) -> usize {
        self.search.memory()
    }

    /// What it is sorted by.
    pub(crate) fn sort_key(&self, order: &SortOrder) -> Result<Vec<u8>, WrongNumber> {
        let (context, entry) = self.entry();
        order.key_of(&context, entry)
    }
}
