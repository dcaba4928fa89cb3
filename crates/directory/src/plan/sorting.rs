//! Sorted answers (RFC 2891): keys of the matches, sorted a little at a time.
//!
//! Knows how several keys, missing values and reverse order become one string of octets. Must not know how matches
//! are found.

use std::cmp::Ordering;
use std::collections::VecDeque;

use crate::index::order::{OrderKey, ordering_key, write_key};
use crate::model::attribute::AttributeRef;
use crate::model::number::{WrongNumber, count_of};
use crate::model::place::{Entry, Place};
use crate::schema::{self, Comparison, Syntax};
use crate::view::context::Context;
use akldap_ldap::control::SortKey;

/// Matches sorted at once; longer runs would keep others waiting.
const RUN: usize = 2048;

/// One key of a sort order.
#[derive(Clone, Debug)]
struct Criterion {
    attribute: AttributeRef,
    syntax: Syntax,
    reverse: bool,
}

/// The order of an answer.
#[derive(Clone, Debug)]
pub(crate) struct SortOrder(Vec<Criterion>);

/// Why an answer cannot be sorted: a code of RFC 2891 section 1.2, and the attribute at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SortError {
    pub(crate) code: u8,
    pub(crate) attribute: Vec<u8>,
}

const NO_SUCH_ATTRIBUTE: u8 = 16;
const INAPPROPRIATE_MATCHING: u8 = 18;

impl SortOrder {
    /// The order that keys ask for. With `lenient` attributes that no entry has are missing in all.
    pub(crate) fn new(
        context: &Context<'_>,
        keys: &[SortKey],
        lenient: bool,
    ) -> Result<Result<Self, SortError>, WrongNumber> {
        let mut criteria = Vec::with_capacity(keys.len());
        for key in keys {
            let error = |code| SortError {
                code,
                attribute: key.attribute.clone(),
            };
            let attribute = context.resolve(&key.attribute);
            if attribute.first.is_none() && attribute.known.is_none() && !lenient {
                return Ok(Err(error(NO_SUCH_ATTRIBUTE)));
            }
            let own = context.syntax(&attribute)?;
            let syntax = match &key.ordering_rule {
                None => own,
                Some(rule) => match schema::matching_rule(rule) {
                    Some(rule) if rule.comparison == Comparison::Ordering => rule.syntax.comparing(own),
                    _ => return Ok(Err(error(INAPPROPRIATE_MATCHING))),
                },
            };
            criteria.push(Criterion {
                attribute,
                syntax,
                reverse: key.reverse_order,
            });
        }
        Ok(Ok(Self(criteria)))
    }

    /// What distinguishes the order from others, if it has one key whose values are stored.
    pub(crate) fn key(&self) -> Option<OrderKey> {
        let [criterion] = self.0.as_slice() else {
            return None;
        };
        let AttributeRef { first, second, .. } = criterion.attribute;
        let stored = first.is_some() && criterion.attribute.ids().all(|id| !id.is_computed());
        stored.then_some(OrderKey {
            first,
            second,
            syntax: criterion.syntax,
            reverse: criterion.reverse,
        })
    }

    /// Appends the key of an entry: the least value of each attribute.
    pub(crate) fn write_key(
        &self,
        context: &Context<'_>,
        entry: Entry,
        scratch: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(), WrongNumber> {
        for criterion in &self.0 {
            let mut least: Option<Vec<u8>> = None;
            if let Some(attribute) = context.find(entry, &criterion.attribute)? {
                attribute.values()?.any(context, scratch, |value| {
                    let key = ordering_key(criterion.syntax, value);
                    if least.as_ref().is_none_or(|least| key < *least) {
                        least = Some(key);
                    }
                    false
                })?;
            }
            write_key(least.as_deref(), criterion.reverse, out);
        }
        Ok(())
    }

    /// The key of an entry.
    pub(crate) fn key_of(&self, context: &Context<'_>, entry: Entry) -> Result<Vec<u8>, WrongNumber> {
        let mut key = Vec::new();
        self.write_key(context, entry, &mut Vec::new(), &mut key)?;
        Ok(key)
    }

    /// The beginning of the keys of entries whose first attribute has this value.
    pub(crate) fn first_key(&self, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(first) = self.0.first() {
            write_key(Some(&ordering_key(first.syntax, value)), first.reverse, &mut out);
        }
        out
    }
}

/// A match, and where its key is among all keys.
#[derive(Clone, Copy, Debug)]
struct Item {
    start: usize,
    length: u32,
    place: Place,
}

/// Sorts matches.
#[derive(Debug)]
pub(crate) struct Sorter {
    pub(crate) order: SortOrder,
    /// Matches before this key and place are left out.
    from: Option<(Vec<u8>, Place)>,
    keys: Vec<u8>,
    scratch: Vec<u8>,
    /// How many were added.
    items: usize,
    run: Vec<Item>,
    runs: VecDeque<Vec<Item>>,
    merge: Option<Merge>,
}

#[derive(Debug)]
struct Merge {
    left: (Vec<Item>, usize),
    right: (Vec<Item>, usize),
    out: Vec<Item>,
}

impl Sorter {
    pub(crate) fn new(order: SortOrder, from: Option<(Vec<u8>, Place)>) -> Self {
        Self {
            order,
            from,
            keys: Vec::new(),
            scratch: Vec::new(),
            items: 0,
            run: Vec::new(),
            runs: VecDeque::new(),
            merge: None,
        }
    }

    /// Adds a match. Gives the octets of its key.
    pub(crate) fn push(
        &mut self,
        context: &Context<'_>,
        entry: Entry,
        place: Place,
    ) -> Result<usize, WrongNumber> {
        let start = self.keys.len();
        self.order
            .write_key(context, entry, &mut self.scratch, &mut self.keys)?;
        let key = self.keys.get(start..).ok_or(WrongNumber::Key)?;
        let length = count_of(key, WrongNumber::Key)?;
        if let Some((from, first)) = &self.from
            && (key, place) < (from.as_slice(), *first)
        {
            self.keys.truncate(start);
            return Ok(length as usize);
        }
        self.items += 1;
        self.run.push(Item { start, length, place });
        if self.run.len() >= RUN {
            self.end_run();
        }
        Ok(length as usize)
    }

    fn end_run(&mut self) {
        let mut run = std::mem::take(&mut self.run);
        run.sort_unstable_by(|a, b| compare(&self.keys, a, b));
        self.runs.push_back(run);
    }

    /// After the last match: continues sorting for about `work` steps; true when everything is sorted.
    pub(crate) fn advance(&mut self, work: usize) -> bool {
        if !self.run.is_empty() {
            self.end_run();
        }
        for _ in 0..work {
            let Some(merge) = &mut self.merge else {
                if self.runs.len() < 2 {
                    return true;
                }
                if let (Some(left), Some(right)) = (self.runs.pop_front(), self.runs.pop_front()) {
                    self.merge = Some(Merge {
                        out: Vec::with_capacity(left.len() + right.len()),
                        left: (left, 0),
                        right: (right, 0),
                    });
                }
                continue;
            };
            match merge.next(&self.keys) {
                Some(item) => merge.out.push(item),
                None => {
                    let sorted = std::mem::take(&mut merge.out);
                    self.runs.push_back(sorted);
                    self.merge = None;
                }
            }
        }
        self.merge.is_none() && self.runs.len() < 2
    }

    /// Octets on the heap, with the room that merging takes.
    pub(crate) fn memory(&self) -> usize {
        self.keys.capacity() + self.scratch.capacity() + 2 * self.items * size_of::<Item>()
    }

    /// How many matches there are.
    pub(crate) fn len(&self) -> usize {
        self.runs.front().map_or(0, Vec::len)
    }

    /// The match with a rank, once everything is sorted.
    pub(crate) fn get(&self, rank: usize) -> Option<Place> {
        self.runs.front()?.get(rank).map(|item| item.place)
    }

    /// The rank of the first match whose key is not before one with this beginning.
    pub(crate) fn rank_of(&self, key: &[u8]) -> usize {
        self.runs.front().map_or(0, |items| {
            items.partition_point(|item| key_of(&self.keys, item) < key)
        })
    }
}

impl Merge {
    fn next(&mut self, keys: &[u8]) -> Option<Item> {
        let (left, right) = (self.left.0.get(self.left.1), self.right.0.get(self.right.1));
        let take_left = match (left, right) {
            (Some(left), Some(right)) => compare(keys, left, right) != Ordering::Greater,
            (left, _) => left.is_some(),
        };
        let (side, item) = if take_left {
            (&mut self.left.1, left)
        } else {
            (&mut self.right.1, right)
        };
        *side += 1;
        item.copied()
    }
}

fn key_of<'k>(keys: &'k [u8], item: &Item) -> &'k [u8] {
    // Keys are never removed from behind an item.
    keys.get(item.start..item.start + item.length as usize)
        .unwrap_or(&[])
}

fn compare(keys: &[u8], a: &Item, b: &Item) -> Ordering {
    key_of(keys, a).cmp(key_of(keys, b)).then(a.place.cmp(&b.place))
}
