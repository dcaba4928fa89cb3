//! How a search will find its entries: where the candidates come from, and what is known about them.
//!
//! Must not know how that is decided.

use std::fmt;

use crate::filter::substrings::Substrings;
use crate::model::number::WrongNumber;
use crate::model::place::{Layout, Place, PlaceRange};
use crate::plan::lookup::Table;
use crate::plan::walk::Walk;

/// A sorted answer comes from a kept order if at least one in this many entries is a candidate; fewer are sorted
/// sooner.
const WALK_WORTH: usize = 16;

/// Where the candidates come from.
#[derive(Clone, Debug)]
pub(crate) enum CandidateSource {
    /// These, ascending.
    Places(Vec<Place>),
    /// All in these ranges, ascending.
    Ranges(Vec<PlaceRange>),
    /// Those with a key that has these parts; these containers are candidates in addition, ascending.
    Scan {
        tables: Vec<Table>,
        parts: Box<Substrings>,
        containers: Vec<Place>,
    },
    /// All entries in a kept order.
    Walk(Walk),
}

/// How a search will find its entries.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) source: CandidateSource,
    pub(crate) proved: Proved,
    /// Upper bound of the candidates; for a scan the number of keys.
    pub(super) candidates: usize,
}

/// What is known about all candidates except containers without looking at them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proved {
    Nothing,
    /// They satisfy this conjunct of the filter.
    Conjunct(usize),
    /// They satisfy the filter.
    Everything,
}

/// How a search finds its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanKind {
    /// Indexes name the candidates.
    Index,
    /// All entries in parts of the tree are candidates.
    Ranges,
    /// The values of attributes are looked through.
    Scan,
    /// All entries in a kept order are candidates.
    Order,
}

/// What a plan comes down to, for a trace.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outline {
    Index { candidates: usize },
    Ranges { ranges: usize, candidates: usize },
    Scan { octets: usize },
    Walk,
}

impl Plan {
    /// The plan for a sorted answer: through the order rather than sorting, unless few entries can match.
    pub(crate) fn walk(
        self,
        layout: Layout,
        walk: impl FnOnce() -> Result<Option<Walk>, WrongNumber>,
    ) -> Result<Self, WrongNumber> {
        let few = self.candidates < layout.all().len() / WALK_WORTH;
        if few || matches!(self.source, CandidateSource::Scan { .. }) {
            return Ok(self);
        }
        Ok(match walk()? {
            Some(walk) => Self {
                source: CandidateSource::Walk(walk),
                proved: Proved::Nothing,
                ..self
            },
            None => self,
        })
    }

    /// Whether candidates come in a kept order.
    pub(crate) fn is_walk(&self) -> bool {
        matches!(self.source, CandidateSource::Walk(_))
    }

    pub(crate) fn outline(&self) -> Outline {
        let candidates = self.candidates;
        match &self.source {
            CandidateSource::Places(_) => Outline::Index { candidates },
            CandidateSource::Ranges(ranges) => Outline::Ranges {
                ranges: ranges.len(),
                candidates,
            },
            CandidateSource::Scan { parts, .. } => Outline::Scan {
                octets: parts.longest().len(),
            },
            CandidateSource::Walk(_) => Outline::Walk,
        }
    }
}

impl Outline {
    pub(crate) fn kind(self) -> PlanKind {
        match self {
            Self::Index { .. } => PlanKind::Index,
            Self::Ranges { .. } => PlanKind::Ranges,
            Self::Scan { .. } => PlanKind::Scan,
            Self::Walk => PlanKind::Order,
        }
    }
}

impl fmt::Display for Outline {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index { candidates } => write!(formatter, "index, {candidates} candidates"),
            Self::Ranges { ranges, candidates } => {
                write!(
                    formatter,
                    "everything in {ranges} ranges, {candidates} candidates"
                )
            }
            Self::Scan { octets } => write!(formatter, "scan for {octets} octets"),
            Self::Walk => write!(formatter, "everything in a kept order"),
        }
    }
}
