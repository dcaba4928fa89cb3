//! Walks the candidates of a plan in the order of answers, from any place, a little at a time.
//!
//! Must not know what makes a candidate a match.

use memchr::memmem;

use super::entry::{Context, Entry, Layout, Ordinal, Special};
use super::index::KeyTable;
use super::plan::{Source, Table};
use super::row::Record;

/// How many octets one step of a scan looks through: some 50 µs of work.
const SCAN_STEP: usize = 1 << 20;

/// The outcome of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Candidate(Ordinal),
    /// None here; there may be more.
    Nothing,
    End,
}

/// Candidates still to come.
#[derive(Debug)]
pub(super) struct Candidates {
    source: Source,
    /// Index into the ordinals, the ranges, the tables.
    index: usize,
    /// Ranges: the next place. Scans: the first place wanted.
    next: Ordinal,
    /// Scans: the next octet of the table, once it is known.
    position: Option<usize>,
    /// Scans: how many specials are done, and the match found behind the next one.
    specials: usize,
    pending: Option<Ordinal>,
}

impl Candidates {
    /// The candidates from place `from` on.
    pub(super) fn new(source: Source, from: Ordinal) -> Self {
        let mut candidates = Self {
            source,
            index: 0,
            next: from,
            position: None,
            specials: 0,
            pending: None,
        };
        match &candidates.source {
            Source::Ordinals(ordinals) => {
                candidates.index = ordinals.partition_point(|&ordinal| ordinal < from)
            }
            Source::Ranges(ranges) => candidates.index = ranges.partition_point(|range| range.end <= from),
            Source::Scan { specials, .. } => {
                candidates.specials = specials.partition_point(|&special| special < from);
            }
        }
        candidates
    }

    pub(super) fn step(&mut self, context: &Context<'_>, layout: Layout) -> Step {
        match &self.source {
            Source::Ordinals(ordinals) => match ordinals.get(self.index) {
                Some(&ordinal) => {
                    self.index += 1;
                    Step::Candidate(ordinal)
                }
                None => Step::End,
            },
            Source::Ranges(ranges) => {
                let Some(range) = ranges.get(self.index) else {
                    return Step::End;
                };
                let ordinal = self.next.max(range.start);
                self.next = ordinal + 1;
                if self.next >= range.end {
                    self.index += 1;
                }
                Step::Candidate(ordinal)
            }
            Source::Scan { .. } => self.scan(context, layout),
        }
    }

    fn scan(&mut self, context: &Context<'_>, layout: Layout) -> Step {
        let found = match self.pending.take() {
            Some(ordinal) => Step::Candidate(ordinal),
            None => self.scan_tables(context, layout),
        };
        let Source::Scan { specials, .. } = &self.source else {
            return Step::End;
        };
        // Base and containers come at their places between the others.
        match (specials.get(self.specials), found) {
            (Some(&special), Step::Candidate(ordinal)) if special < ordinal => {
                self.specials += 1;
                self.pending = Some(ordinal);
                Step::Candidate(special)
            }
            (Some(&special), Step::End) => {
                self.specials += 1;
                Step::Candidate(special)
            }
            _ => found,
        }
    }

    fn scan_tables(&mut self, context: &Context<'_>, layout: Layout) -> Step {
        let Source::Scan { tables, needle, .. } = &self.source else {
            return Step::End;
        };
        let Some(table) = tables.get(self.index) else {
            return Step::End;
        };
        let keys = context.snapshot.text_keys(table.attribute);
        let start = match self.position {
            Some(position) => position,
            None => start_of(keys, *table, layout, self.next),
        };
        let octets = keys.octets();
        let end = octets.len().min(start.saturating_add(SCAN_STEP + needle.len()));
        let window = octets.get(start..end).unwrap_or_default();
        let Some(offset) = memmem::find(window, needle) else {
            if end == octets.len() {
                self.index += 1;
                self.position = None;
            } else {
                self.position = Some(end - needle.len());
            }
            return Step::Nothing;
        };
        let (record, next) = keys.covering(start + offset);
        self.position = Some(next);
        match record.and_then(|record| place_of(*table, layout, record)) {
            Some(ordinal) => Step::Candidate(ordinal),
            None => Step::Nothing,
        }
    }
}

/// Where in a table the keys of the entries from place `from` on begin.
fn start_of(keys: &KeyTable, table: Table, layout: Layout, from: Ordinal) -> usize {
    let first = if table.virtual_groups {
        from.saturating_sub(layout.ordinal(Entry::VirtualGroup(0)))
    } else {
        let groups = layout.ordinal(Entry::Special(Special::Groups));
        from.saturating_sub(if from > groups { 3 } else { 2 })
    };
    keys.position_of(first)
}

fn place_of(table: Table, layout: Layout, record: Record) -> Option<Ordinal> {
    if !table.virtual_groups {
        return Some(layout.of_record(record));
    }
    let place = layout.of_record(record);
    matches!(layout.entry(place), Entry::User(_)).then(|| layout.ordinal(Entry::VirtualGroup(record)))
}
