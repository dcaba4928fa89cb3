//! Walks the candidates of a plan in the order of answers, from any place, a little at a time.
//!
//! Must not know what makes a candidate a match.

use memchr::memmem::Finder;

use crate::filter::evaluation::STEP_WORK;
use crate::filter::substrings::Substrings;
use crate::index::table::KeyTable;
use crate::model::number::{RecordIx, WrongNumber};
use crate::model::place::{Container, Layout, Place, PlaceRange};
use crate::plan::lookup::Table;
use crate::plan::outline::CandidateSource;
use crate::view::context::Context;

/// Work of one step of a scan, in the units of a search.
const SCAN_STEP: usize = 1 << 14;
/// Octets that are searched for a substring in the time in which one is compared: many are done at once.
const SCAN_RATE: usize = 16;

/// The outcome of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Candidate(Place),
    /// None here; there may be more.
    Nothing,
    End,
}

/// Candidates still to come.
#[derive(Debug)]
pub(crate) struct Candidates {
    source: CandidateSource,
    /// Whether ranges are gone through in the order of names.
    by_name: bool,
    /// Index into the places, the ranges, the tables, the walk.
    index: usize,
    /// Ranges: the next place. Scans: the first place wanted.
    next: Place,
    /// Scans: the index of the next key, once it is known, and what finds the longest part.
    key: Option<usize>,
    finder: Option<PartFinder>,
    /// Scans: how many containers are done, and the match found after the next one.
    containers: usize,
    pending: Option<Place>,
}

/// What finds the longest part of an assertion.
#[derive(Debug)]
enum PartFinder {
    /// The assertion's own, for the part at this place between initial and final one.
    Inner(usize),
    /// For the initial or the final part.
    Outer(Box<Finder<'static>>),
}

impl PartFinder {
    fn of_longest(parts: &Substrings) -> Self {
        let longest = parts.longest();
        let inner = parts
            .any
            .iter()
            .position(|finder| finder.needle().len() == longest.len());
        match inner {
            Some(place) => Self::Inner(place),
            None => Self::Outer(Box::new(Finder::new(longest).into_owned())),
        }
    }
}

impl Candidates {
    /// The candidates from place `from` on; `by_name` goes through ranges in the order of names.
    #[inline(always)] // It has one caller, which would otherwise copy what it returns.
    pub(crate) fn new(source: CandidateSource, from: Place, by_name: bool) -> Self {
        let finder = match &source {
            CandidateSource::Scan { parts, .. } => Some(PartFinder::of_longest(parts)),
            _ => None,
        };
        let mut candidates = Self {
            source,
            by_name,
            index: 0,
            next: from,
            key: None,
            finder,
            containers: 0,
            pending: None,
        };
        match &candidates.source {
            CandidateSource::Walk(walk) => candidates.index = walk.start,
            _ if from == Place::FIRST => {}
            CandidateSource::Places(places) => {
                candidates.index = places.partition_point(|&place| place < from)
            }
            CandidateSource::Ranges(ranges) => {
                candidates.index = ranges.partition_point(|range| range.end <= from)
            }
            CandidateSource::Scan { containers, .. } => {
                candidates.containers = containers.partition_point(|&container| container < from);
            }
        }
        candidates
    }

    /// Octets on the heap.
    pub(crate) fn memory(&self) -> usize {
        match &self.source {
            CandidateSource::Places(places) => places.capacity() * size_of::<Place>(),
            CandidateSource::Ranges(ranges) => ranges.capacity() * size_of::<PlaceRange>(),
            // Their parts are those of the filter, once more.
            CandidateSource::Scan { parts, .. } => parts.memory(),
            CandidateSource::Walk(_) => 0,
        }
    }

    /// Advances to the next candidate, or a bounded part of the way. Adds to `work` what it took.
    #[inline]
    pub(crate) fn step(
        &mut self,
        context: &Context<'_>,
        layout: Layout,
        work: &mut usize,
    ) -> Result<Step, WrongNumber> {
        *work += STEP_WORK;
        Ok(match &self.source {
            CandidateSource::Places(places) => match places.get(self.index) {
                Some(&place) => {
                    self.index += 1;
                    Step::Candidate(place)
                }
                None => Step::End,
            },
            CandidateSource::Ranges(ranges) => {
                let Some(range) = ranges.get(self.index) else {
                    return Ok(Step::End);
                };
                let place = self.next.max(range.start);
                self.next = place.next();
                if self.next >= range.end {
                    self.index += 1;
                }
                Step::Candidate(match self.by_name {
                    true => context.snapshot.name_order()?.at(layout, place)?,
                    false => place,
                })
            }
            CandidateSource::Scan { .. } => self.scan(context, layout, work)?,
            CandidateSource::Walk(walk) => match walk.get(context, self.index)? {
                Some(place) => {
                    self.index += 1;
                    Step::Candidate(place)
                }
                None => Step::End,
            },
        })
    }

    fn scan(&mut self, context: &Context<'_>, layout: Layout, work: &mut usize) -> Result<Step, WrongNumber> {
        let found = match self.pending.take() {
            Some(place) => Step::Candidate(place),
            None => self.scan_tables(context, layout, work)?,
        };
        let CandidateSource::Scan { containers, .. } = &self.source else {
            return Ok(Step::End);
        };
        // Containers come at their places between the others.
        Ok(match (containers.get(self.containers), found) {
            (Some(&container), Step::Candidate(place)) if container < place => {
                self.containers += 1;
                self.pending = Some(place);
                Step::Candidate(container)
            }
            (Some(&container), Step::End) => {
                self.containers += 1;
                Step::Candidate(container)
            }
            _ => found,
        })
    }

    fn scan_tables(
        &mut self,
        context: &Context<'_>,
        layout: Layout,
        work: &mut usize,
    ) -> Result<Step, WrongNumber> {
        let CandidateSource::Scan { tables, parts, .. } = &self.source else {
            return Ok(Step::End);
        };
        let finder = match &self.finder {
            Some(PartFinder::Inner(place)) => parts.any.get(*place),
            Some(PartFinder::Outer(finder)) => Some(&**finder),
            None => None,
        };
        let Some(finder) = finder else {
            return Ok(Step::End);
        };
        let Some(table) = tables.get(self.index) else {
            return Ok(Step::End);
        };
        let keys = context.snapshot.text_keys(table.attribute)?;
        let enough = work.saturating_add(SCAN_STEP);
        let mut key = self
            .key
            .unwrap_or_else(|| first_key(keys, *table, layout, self.next));
        while key < keys.len() {
            let start = keys.start(key);
            // At least the whole key, however long it is.
            let end = start
                .saturating_add(SCAN_STEP * SCAN_RATE)
                .max(keys.start(key + 1));
            let window = keys.octets().get(start..end.min(keys.octets().len()));
            let window = window.ok_or(WrongNumber::Key)?;
            let found = finder.find(window);
            *work += STEP_WORK + found.unwrap_or(window.len()) / SCAN_RATE;
            let Some(offset) = found else {
                // What begins near the end of the window is looked at again.
                let seen = window
                    .len()
                    .saturating_sub(finder.needle().len().saturating_sub(1))
                    .max(1);
                key = match start + seen < keys.octets().len() {
                    true => keys.covering(start + seen, key).max(key + 1),
                    false => keys.len(),
                };
                break;
            };
            key = keys.covering(start + offset, key);
            let octets = keys.key(key)?;
            *work += STEP_WORK + octets.len();
            if parts.matches(octets) {
                let place = place_of(*table, layout, keys.record(key)?)?;
                key = keys.after_record(key);
                if let Some(place) = place {
                    self.key = Some(key);
                    return Ok(Step::Candidate(place));
                }
            } else {
                key += 1;
            }
            if *work >= enough {
                break;
            }
        }
        self.key = Some(key);
        if key >= keys.len() {
            self.index += 1;
            self.key = None;
        }
        Ok(Step::Nothing)
    }
}

/// The first key in a table of the entries from place `from` on.
fn first_key(keys: &KeyTable, table: Table, layout: Layout, from: Place) -> usize {
    let behind = |start: Place| from.get().saturating_sub(start.get());
    keys.first_of(RecordIx::new(match table.virtual_groups {
        true => behind(layout.children(Container::VirtualGroups).start),
        // Groups follow users, except for their container.
        false if from > layout.container(Container::Groups) => behind(Place::new(3)),
        false => behind(layout.children(Container::Users).start),
    }))
}

fn place_of(table: Table, layout: Layout, record: RecordIx) -> Result<Option<Place>, WrongNumber> {
    match (table.virtual_groups, layout.user_of(record)) {
        (false, _) => layout.of_record(record).map(Some),
        (true, Some(user)) => layout.virtual_group(user).map(Some),
        (true, None) => Ok(None),
    }
}
