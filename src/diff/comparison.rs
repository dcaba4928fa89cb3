//! Two servers' answers to one search, side by side. Knows how to find what differs without holding either answer: both are read
//! once for the marks of their entries, and where those differ once more for the entries themselves.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::answer::{AskedServer, Mark, NameHash, SearchAnswer};
use super::connection::{ConnectionError, ReceivedEntry};
use super::difference::{Difference, between, between_references};
use super::search::ComparedSearch;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// The first.
    Ours,
    /// The one it is compared with.
    Theirs,
}

/// A server that could not be asked.
#[derive(Debug)]
pub(super) struct ServerFailure {
    /// Which one.
    pub which: Which,
    /// Why.
    pub error: ConnectionError,
}

/// What an answer was, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The result code; `None` if the server hung up.
    pub code: Option<i64>,
    /// How many entries.
    pub entries: usize,
    /// How long it took.
    pub took: Duration,
}

impl Summary {
    fn of(answer: &SearchAnswer) -> Self {
        Self {
            code: answer.code(),
            entries: answer.marks.len(),
            took: answer.took,
        }
    }
}

/// What one search showed.
#[derive(Clone, Debug)]
pub(super) struct SearchComparison {
    /// The answer here.
    pub ours: Summary,
    /// The answer there.
    pub theirs: Summary,
    /// What is different.
    pub differences: Vec<Difference>,
    /// Entries that are different beyond those that are reported.
    pub untold: usize,
    /// Entries that are alike except for the order of their attributes.
    pub names_order: usize,
    /// Entries that are alike except for the order of some attribute's values.
    pub values_order: usize,
    /// The entries that are the same on both sides.
    pub same: HashSet<NameHash>,
}

/// Runs one search on both servers. `look` sees each of our entries.
///
/// # Errors
/// When one of them cannot be asked.
pub(super) async fn compare(
    search: &ComparedSearch,
    ours: &mut AskedServer<'_>,
    theirs: &mut AskedServer<'_>,
    most: usize,
    mut look: impl FnMut(NameHash, &ReceivedEntry),
) -> Result<SearchComparison, ServerFailure> {
    let (our_answer, their_answer) = both(ours.ask(search, &mut look), theirs.ask(search, |_, _| {})).await?;
    let matching = Matching::of(&our_answer.marks, &their_answer.marks);
    let mut comparison = SearchComparison {
        ours: Summary::of(&our_answer),
        theirs: Summary::of(&their_answer),
        differences: Vec::new(),
        untold: matching.different.len().saturating_sub(most),
        names_order: matching.names_order,
        values_order: matching.values_order,
        same: matching.same,
    };
    if our_answer.code() != their_answer.code() {
        comparison.differences.push(Difference::Code {
            ours: our_answer.outcome,
            theirs: their_answer.outcome,
        });
    }
    if our_answer.closed != their_answer.closed {
        let ours = our_answer.closed;
        comparison.differences.push(Difference::Closed { ours });
    }
    let references = between_references(&our_answer.references, &their_answer.references);
    comparison.differences.extend(references);
    let told: Vec<NameHash> = matching.different.into_iter().take(most).collect();
    let mut wanted: HashSet<NameHash> = told.iter().copied().collect();
    wanted.extend(matching.order.iter().flat_map(|(here, there)| [*here, *there]));
    if wanted.is_empty() {
        return Ok(comparison);
    }
    let (mut here, mut there) = (HashMap::new(), HashMap::new());
    let keep = |entries: &mut HashMap<NameHash, ReceivedEntry>, key: NameHash, entry: &ReceivedEntry| {
        if wanted.contains(&key) {
            entries.insert(key, entry.clone());
        }
    };
    let (again, their_again) = both(
        ours.ask(search, |key, entry| keep(&mut here, key, entry)),
        theirs.ask(search, |key, entry| keep(&mut there, key, entry)),
    )
    .await?;
    // An answer that broke off this time says nothing about what is missing.
    if (again.code(), their_again.code()) != (comparison.ours.code, comparison.theirs.code) {
        comparison.untold = wanted.len();
        return Ok(comparison);
    }
    for key in &told {
        match (here.get(key), there.get(key)) {
            (Some(here), Some(there)) => comparison.differences.extend(between(here, there)),
            (Some(here), None) => comparison.differences.push(Difference::More(here.clone())),
            (None, Some(there)) => comparison.differences.push(Difference::Missing(there.clone())),
            // It disappeared while it was looked at.
            (None, None) => {}
        }
    }
    if let Some((first, other)) = matching.order
        && let (Some(first), Some(other)) = (here.get(&first), there.get(&other))
    {
        comparison.differences.push(Difference::Order {
            ours: first.dn.clone(),
            theirs: other.dn.clone(),
        });
    }
    Ok(comparison)
}

async fn both(
    ours: impl Future<Output = Result<SearchAnswer, ConnectionError>>,
    theirs: impl Future<Output = Result<SearchAnswer, ConnectionError>>,
) -> Result<(SearchAnswer, SearchAnswer), ServerFailure> {
    let of = |which| move |error| ServerFailure { which, error };
    // Nobody waits for the answer of one when the other cannot be asked.
    tokio::try_join!(async { ours.await.map_err(of(Which::Ours)) }, async {
        theirs.await.map_err(of(Which::Theirs))
    })
}

/// What the marks of two answers have in common.
struct Matching {
    same: HashSet<NameHash>,
    /// Those that only one has or that say something else, ours first and in their order.
    different: Vec<NameHash>,
    names_order: usize,
    values_order: usize,
    /// The first two that come at the same place among those that both have, but are not the same.
    order: Option<(NameHash, NameHash)>,
}

impl Matching {
    fn of(ours: &[Mark], theirs: &[Mark]) -> Self {
        let there: HashMap<NameHash, &Mark> = theirs.iter().map(|mark| (mark.key, mark)).collect();
        let here: HashSet<NameHash> = ours.iter().map(|mark| mark.key).collect();
        let mut matching = Self {
            same: HashSet::new(),
            different: Vec::new(),
            names_order: 0,
            values_order: 0,
            order: None,
        };
        for mark in ours {
            match there.get(&mark.key) {
                Some(other) if other.contents == mark.contents => {
                    matching.same.insert(mark.key);
                    matching.names_order += usize::from(other.names_order != mark.names_order);
                    matching.values_order += usize::from(other.values_order != mark.values_order);
                }
                _ => matching.different.push(mark.key),
            }
        }
        let missing = theirs.iter().map(|mark| mark.key);
        matching
            .different
            .extend(missing.filter(|key| !here.contains(key)));
        let common = ours
            .iter()
            .map(|mark| mark.key)
            .filter(|key| there.contains_key(key));
        let their_common = theirs
            .iter()
            .map(|mark| mark.key)
            .filter(|key| here.contains(key));
        matching.order = common.zip(their_common).find(|(one, other)| one != other);
        matching
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(key: NameHash, contents: u128) -> Mark {
        Mark {
            key,
            contents,
            names_order: 0,
            values_order: 0,
        }
    }

    #[test]
    fn marks_tell_what_is_missing_more_other_and_out_of_order() {
        let matching = Matching::of(
            &[mark(1, 0), mark(2, 0), mark(3, 0), mark(9, 0)],
            &[mark(8, 0), mark(1, 0), mark(3, 7), mark(2, 0)],
        );
        assert_eq!(matching.same, HashSet::from([1, 2]));
        assert_eq!(matching.different, [3, 9, 8]);
        assert_eq!(matching.order, Some((2, 3)));
    }

    #[test]
    fn the_order_of_attributes_and_values_is_counted() {
        let mut other = mark(1, 0);
        other.values_order = 5;
        let matching = Matching::of(&[mark(1, 0)], &[other]);
        assert_eq!((matching.names_order, matching.values_order), (0, 1));
        assert_eq!((matching.different.len(), matching.order), (0, None));
    }
}
