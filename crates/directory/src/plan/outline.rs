//! Where to look for the entries that satisfy a filter.
//!
//! Takes the cheapest conjunct, or all disjuncts together: always a superset of what matches, in the order of answers,
//! and what it proves need not be looked at again. Must not decide what else matches.

use std::fmt;
use std::ops::Range;

use crate::filter::node::{Matcher, Node, Test};
use crate::filter::substrings::Substrings;
use crate::model::built_in::AttributeId;
use crate::model::place::{Container, Entry, Layout, Place};
use crate::plan::lookup::{Answer, Found, Lookup, Table};
use crate::plan::walk::Walk;
use crate::view::context::{Context, View};

/// Candidates up to this many are evaluated rather than reduced further: building an ordered index for the rest of the
/// filter would cost more.
const FEW: usize = 256;

/// A sorted answer comes from a kept order if at least one in so many entries is a candidate; fewer are sorted sooner.
const WALK_WORTH: usize = 16;

/// Lists an assertion is usually found in.
const USUAL_LISTS: usize = 8;

/// Where the candidates come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// These, ascending.
    Places(Vec<Place>),
    /// All in these ranges, ascending.
    Ranges(Vec<Range<Place>>),
    /// Those with a key that has these parts; these containers are candidates beside them, ascending.
    Scan {
        tables: Vec<Table>,
        parts: Box<Substrings>,
        containers: Vec<Place>,
    },
    /// All entries in a kept order.
    Walk(Walk),
}

/// How a search is going to find its entries.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) source: Source,
    pub(crate) proved: Proved,
    /// Upper bound of the candidates; for a scan the number of keys.
    candidates: usize,
}

/// What is known of all candidates but base and containers without looking at them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proved {
    Nothing,
    /// They satisfy this conjunct of the filter.
    Conjunct(usize),
    /// They satisfy the filter.
    Everything,
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
    pub(crate) fn walk(self, layout: Layout, walk: impl FnOnce() -> Option<Walk>) -> Self {
        let few = self.candidates < layout.end() as usize / WALK_WORTH;
        if few || matches!(self.source, Source::Scan { .. }) {
            return self;
        }
        match walk() {
            Some(walk) => Self {
                source: Source::Walk(walk),
                proved: Proved::Nothing,
                ..self
            },
            None => self,
        }
    }

    /// Whether candidates come in a kept order.
    pub(crate) fn is_walk(&self) -> bool {
        matches!(self.source, Source::Walk(_))
    }

    pub(crate) fn outline(&self) -> Outline {
        let candidates = self.candidates;
        match &self.source {
            Source::Places(_) => Outline::Index { candidates },
            Source::Ranges(ranges) => Outline::Ranges {
                ranges: ranges.len(),
                candidates,
            },
            Source::Scan { parts, .. } => Outline::Scan {
                octets: parts.longest().len(),
            },
            Source::Walk(_) => Outline::Walk,
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

/// Which places a search looks at: base and scope, as places in up to three ranges, ascending; the rest is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct InScope([Range<Place>; 3]);

impl InScope {
    pub(crate) fn of(ranges: [Range<Place>; 3]) -> Self {
        Self(ranges)
    }

    pub(crate) fn one(range: Range<Place>) -> Self {
        Self([range, 0..0, 0..0])
    }

    #[inline]
    pub(crate) fn contains(&self, place: Place) -> bool {
        self.0.iter().any(|range| range.contains(&place))
    }

    /// Whether it has a place behind this one, or this one.
    pub(crate) fn reaches(&self, place: Place) -> bool {
        self.0.iter().any(|range| range.end > place)
    }

    /// The part of it before a place.
    pub(crate) fn before(self, end: Place) -> Self {
        Self(self.0.map(|range| range.start.min(end)..range.end.min(end)))
    }

    fn size(&self) -> usize {
        self.0.iter().map(ExactSizeIterator::len).sum()
    }

    fn ranges(&self) -> Vec<Range<Place>> {
        self.0.iter().filter(|range| !range.is_empty()).cloned().collect()
    }

    /// The part of it in `range`.
    fn intersect(&self, range: &Range<Place>, out: &mut Vec<Range<Place>>) {
        for own in &self.0 {
            let common = own.start.max(range.start)..own.end.min(range.end);
            if !common.is_empty() {
                out.push(common);
            }
        }
    }
}

/// Candidates from indexes.
struct Gathered<'s> {
    found: Vec<Found<'s>>,
    /// How many, those counted that are found twice.
    count: usize,
    proved: Proved,
}

/// Kinds of entries that may satisfy something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kinds(u8);

impl Kinds {
    const NONE: Self = Self(0);
    const CONTAINERS: Self = Self(1);
    const USERS: Self = Self(2);
    const GROUPS: Self = Self(4);
    const VIRTUAL_GROUPS: Self = Self(8);
    const ALL: Self = Self(15);

    fn of(kind: Self, holds: bool) -> Self {
        if holds { kind } else { Self::NONE }
    }

    fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    fn has(self, kind: Self) -> bool {
        self.0 & kind.0 != 0
    }
}

/// Plans one search.
pub(crate) struct Planner<'a> {
    pub(crate) context: Context<'a>,
    pub(crate) layout: Layout,
}

impl<'a> Planner<'a> {
    /// The plan for a filter within base and scope.
    pub(crate) fn plan(&self, filter: &'a Node, in_scope: &InScope) -> Plan {
        let size = in_scope.size();
        if size <= 1 {
            return Plan {
                source: Source::Places(in_scope.ranges().into_iter().flatten().collect()),
                proved: Proved::Nothing,
                candidates: size,
            };
        }
        if let View::Own(own) = self.context.view {
            return self.plan_own(filter, own, in_scope);
        }
        let indexed = self.gather(filter, false);
        if let Some(gathered) = indexed.as_ref().filter(|gathered| gathered.count <= FEW) {
            return self.indexed(gathered, in_scope);
        }
        let ranges = self.ranges(self.kinds(filter), in_scope);
        let in_ranges = ranges.iter().map(ExactSizeIterator::len).sum();
        if in_ranges > FEW {
            let ordered = self.gather(filter, true);
            if let Some(gathered) = ordered.filter(|gathered| gathered.count < in_ranges) {
                return self.indexed(&gathered, in_scope);
            }
            if let Some((source, proved)) = self.scan(filter) {
                return Plan {
                    source,
                    proved,
                    candidates: in_ranges,
                };
            }
        }
        Plan {
            source: Source::Ranges(ranges),
            proved: if self.is_decided_by_kind(filter) {
                Proved::Everything
            } else {
                Proved::Nothing
            },
            candidates: in_ranges,
        }
    }

    /// The plan for a viewer who sees little.
    fn plan_own(&self, filter: &'a Node, own: Option<u32>, in_scope: &InScope) -> Plan {
        let own = self.own_entries(own, in_scope);
        if let Some(gathered) = self.gather(filter, false)
            && gathered.count < own.len()
        {
            return Plan {
                proved: Proved::Nothing,
                ..self.indexed(&gathered, in_scope)
            };
        }
        Plan {
            candidates: own.len(),
            proved: Proved::Nothing,
            source: Source::Places(own),
        }
    }

    /// The places of what was gathered.
    fn indexed(&self, gathered: &Gathered<'_>, in_scope: &InScope) -> Plan {
        let mut places = Vec::with_capacity(gathered.count);
        let users = self.context.snapshot.records.user_count_u32();
        for found in &gathered.found {
            found.places(self.layout, users, &mut places);
        }
        places.retain(|&place| in_scope.contains(place));
        // Most lists come in order.
        if !places.is_sorted_by(|a, b| a < b) {
            places.sort_unstable();
            places.dedup();
        }
        Plan {
            candidates: places.len(),
            source: Source::Places(places),
            proved: gathered.proved,
        }
    }

    /// The candidates indexes give for a node; `None` if they cannot tell. `ordered` allows the indexes that may have to
    /// be built first.
    fn gather(&self, node: &'a Node, ordered: bool) -> Option<Gathered<'a>> {
        match node {
            Node::Constant(Some(true)) | Node::Not(_) => None,
            Node::Constant(_) => Some(Gathered {
                found: Vec::new(),
                count: 0,
                proved: Proved::Nothing,
            }),
            Node::And(nodes) => {
                let mut best: Option<(usize, Gathered<'a>)> = None;
                for (index, node) in nodes.iter().enumerate() {
                    if let Some(gathered) = self.gather(node, ordered)
                        && best.as_ref().is_none_or(|(_, best)| gathered.count < best.count)
                    {
                        let enough = gathered.count <= 1;
                        best = Some((index, gathered));
                        if enough {
                            break;
                        }
                    }
                }
                let (index, gathered) = best?;
                let proved = match gathered.proved {
                    Proved::Everything if nodes.len() == 1 => Proved::Everything,
                    Proved::Everything => Proved::Conjunct(index),
                    _ => Proved::Nothing,
                };
                Some(Gathered { proved, ..gathered })
            }
            Node::Or(nodes) => {
                let mut all = Gathered {
                    found: Vec::new(),
                    count: 0,
                    proved: Proved::Everything,
                };
                for node in nodes {
                    let gathered = self.gather(node, ordered)?;
                    all.count += gathered.count;
                    // More candidates than entries are no plan, and must not be noted down either.
                    if all.count > FEW.max(self.layout.end() as usize) {
                        return None;
                    }
                    let found = gathered.found.into_iter();
                    all.found.extend(found.filter(|found| found.len() > 0));
                    if gathered.proved != Proved::Everything {
                        all.proved = Proved::Nothing;
                    }
                }
                Some(all)
            }
            Node::Test(test) => {
                let lookup = Lookup(self.context);
                let mut found = Vec::with_capacity(USUAL_LISTS);
                let mut answer = lookup.find(test, &mut found);
                if answer.is_none() && ordered {
                    found.clear();
                    answer = lookup.find_ordered(test, &mut found);
                }
                Some(Gathered {
                    proved: match answer? {
                        Answer::Exact => Proved::Everything,
                        Answer::Superset => Proved::Nothing,
                    },
                    count: found.iter().map(Found::len).sum(),
                    found,
                })
            }
        }
    }

    /// Whether all entries of the kinds a filter allows, base and containers aside, satisfy it.
    fn is_decided_by_kind(&self, node: &Node) -> bool {
        match node {
            Node::Constant(Some(true)) => true,
            Node::Constant(_) | Node::Not(_) => false,
            Node::And(nodes) | Node::Or(nodes) => nodes.iter().all(|node| self.is_decided_by_kind(node)),
            Node::Test(test) => match &test.matcher {
                Matcher::Class(..) => !self.context.snapshot.any_overrides(AttributeId::OBJECT_CLASS),
                Matcher::Present => {
                    test.attribute.first == Some(AttributeId::OBJECT_CLASS) && test.attribute.second.is_none()
                }
                _ => false,
            },
        }
    }

    /// A scan for a substring that every match must have.
    fn scan(&self, node: &Node) -> Option<(Source, Proved)> {
        match node {
            Node::And(nodes) => nodes.iter().enumerate().find_map(|(index, node)| {
                let (source, proved) = self.scan(node)?;
                let proved = match proved {
                    Proved::Everything => Proved::Conjunct(index),
                    _ => Proved::Nothing,
                };
                Some((source, proved))
            }),
            Node::Test(test) => match &test.matcher {
                Matcher::Substrings(syntax, parts)
                    if test.attribute.second.is_none()
                        && !parts.longest().is_empty()
                        && *syntax == self.context.syntax(&test.attribute) =>
                {
                    let lookup = Lookup(self.context);
                    let source = Source::Scan {
                        tables: lookup.tables(test)?,
                        parts: parts.clone(),
                        containers: lookup
                            .containers_with(test)
                            .map(|container| self.layout.place(Entry::Container(container)))
                            .collect(),
                    };
                    Some((source, Proved::Everything))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// What a viewer sees that does not see everything.
    fn own_entries(&self, own: Option<u32>, in_scope: &InScope) -> Vec<Place> {
        let containers = [
            Container::Base,
            Container::Users,
            Container::Groups,
            Container::VirtualGroups,
        ];
        let mut entries: Vec<Entry> = containers.into_iter().map(Entry::Container).collect();
        if let Some(own) = own {
            entries.extend([Entry::User(own), Entry::VirtualGroup(own)]);
            let groups = self.context.snapshot.records.memberships.user_groups.of(own);
            entries.extend(groups.iter().copied().map(Entry::Group));
        }
        let mut places: Vec<Place> = entries
            .into_iter()
            .map(|entry| self.layout.place(entry))
            .collect();
        places.retain(|&place| in_scope.contains(place));
        places.sort_unstable();
        places
    }

    fn ranges(&self, kinds: Kinds, in_scope: &InScope) -> Vec<Range<Place>> {
        let containers = [
            (Container::Base, Kinds::NONE),
            (Container::Users, Kinds::USERS),
            (Container::Groups, Kinds::GROUPS),
            (Container::VirtualGroups, Kinds::VIRTUAL_GROUPS),
        ];
        let mut ranges = Vec::new();
        for (container, kind) in containers {
            let place = self.layout.place(Entry::Container(container));
            if kinds.has(Kinds::CONTAINERS) {
                in_scope.intersect(&(place..place + 1), &mut ranges);
            }
            if kinds.has(kind) {
                in_scope.intersect(&self.layout.children(container), &mut ranges);
            }
        }
        ranges
    }

    fn kinds(&self, node: &'a Node) -> Kinds {
        match node {
            Node::Constant(Some(true)) | Node::Not(_) => Kinds::ALL,
            Node::Constant(_) => Kinds::NONE,
            Node::And(nodes) => nodes
                .iter()
                .fold(Kinds::ALL, |kinds, node| kinds.and(self.kinds(node))),
            Node::Or(nodes) => nodes
                .iter()
                .fold(Kinds::NONE, |kinds, node| kinds.or(self.kinds(node))),
            Node::Test(test) => self.kinds_of_test(test),
        }
    }

    fn kinds_of_test(&self, test: &'a Test) -> Kinds {
        match &test.matcher {
            Matcher::Extended { .. } => return Kinds::ALL,
            Matcher::Class(classes, _) => {
                let replaced = self.context.snapshot.any_overrides(AttributeId::OBJECT_CLASS);
                return Kinds::CONTAINERS
                    .or(Kinds::of(Kinds::USERS, classes.users || replaced))
                    .or(Kinds::of(Kinds::GROUPS, classes.groups || replaced))
                    .or(Kinds::of(Kinds::VIRTUAL_GROUPS, classes.virtual_groups));
            }
            _ => {}
        }
        let container = Lookup(self.context).containers_with(test).next().is_some();
        let records = test.attribute.ids().fold(Kinds::NONE, |kinds, id| {
            let stored = self
                .context
                .snapshot
                .indexes
                .get(id.index())
                .is_some_and(|index| index.records() > 0);
            kinds
                .or(Kinds::of(Kinds::USERS.or(Kinds::GROUPS), stored))
                .or(built_in_kinds(id))
        });
        records.or(Kinds::of(Kinds::CONTAINERS, container))
    }
}

/// The kinds of records that have a built-in attribute without any being stored as custom.
fn built_in_kinds(id: AttributeId) -> Kinds {
    let Some(built_in) = id.definition().filter(|_| id.is_built_in()) else {
        return Kinds::NONE;
    };
    Kinds::of(Kinds::USERS, built_in.users.is_some())
        .or(Kinds::of(Kinds::GROUPS, built_in.groups.is_some()))
        .or(Kinds::of(
            Kinds::VIRTUAL_GROUPS,
            built_in.virtual_groups.is_some(),
        ))
}
