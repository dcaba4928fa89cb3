//! Who has somebody waiting: known ones and others apart, each in the order of their turns. Knows numbers, not what they
//! count.

use std::collections::{BTreeMap, BTreeSet};

/// Keys with somebody waiting.
#[derive(Debug)]
pub(super) struct Rounds<K> {
    known: Round<K>,
    others: Round<K>,
    /// Whether the others have the next turn.
    others_next: bool,
    last: u64,
}

#[derive(Debug)]
struct Round<K> {
    order: BTreeMap<u64, K>,
    /// The same by how many wait.
    lengths: BTreeSet<(usize, K)>,
    waiting: usize,
}

/// The position of a key that has somebody waiting; kept next to the key's own data.
#[derive(Debug)]
pub(super) struct Spot {
    known: bool,
    number: u64,
    waiting: usize,
}

impl<K> Default for Round<K> {
    fn default() -> Self {
        Self {
            order: BTreeMap::new(),
            lengths: BTreeSet::new(),
            waiting: 0,
        }
    }
}

impl<K> Default for Rounds<K> {
    fn default() -> Self {
        Self {
            known: Round::default(),
            others: Round::default(),
            others_next: false,
            last: 0,
        }
    }
}

impl<K: Copy + Ord> Rounds<K> {
    /// How many wait in total.
    pub(super) fn waiting(&self) -> usize {
        self.known.waiting + self.others.waiting
    }

    /// One more waits for this key. Whether it is known matters only if it had nobody waiting.
    pub(super) fn add(&mut self, key: K, spot: &mut Option<Spot>, known: bool) {
        self.last += 1;
        let number = self.last;
        let spot = spot.get_or_insert(Spot {
            known,
            number,
            waiting: 0,
        });
        let round = self.round(spot.known);
        round.lengths.remove(&(spot.waiting, key));
        spot.waiting += 1;
        round.lengths.insert((spot.waiting, key));
        round.order.insert(spot.number, key);
        round.waiting += 1;
    }

    /// One fewer waits.
    pub(super) fn remove(&mut self, key: K, spot: &mut Option<Spot>) {
        let Some(taken) = spot else { return };
        let round = self.round(taken.known);
        round.lengths.remove(&(taken.waiting, key));
        round.waiting = round.waiting.saturating_sub(1);
        taken.waiting = taken.waiting.saturating_sub(1);
        if taken.waiting == 0 {
            round.order.remove(&taken.number);
            *spot = None;
        } else {
            round.lengths.insert((taken.waiting, key));
        }
    }

    /// The key has had a turn: it now comes last, and the other round first.
    pub(super) fn served(&mut self, key: K, spot: &mut Option<Spot>) {
        if let Some(taken) = spot {
            self.others_next = taken.known;
            self.last += 1;
            let number = self.last;
            let round = self.round(taken.known);
            round.order.remove(&taken.number);
            round.order.insert(number, key);
            taken.number = number;
        }
        self.remove(key, spot);
    }

    /// The keys in the order of their turns, those that are not known only if they may have one.
    pub(super) fn in_order(&self, others: bool) -> impl Iterator<Item = (K, bool)> {
        let of = |known: bool| {
            let round = if known { &self.known } else { &self.others };
            (known || others)
                .then(|| round.order.values().map(move |key| (*key, known)))
                .into_iter()
                .flatten()
        };
        of(!self.others_next).chain(of(self.others_next))
    }

    /// Whose newest has to go when too many wait: the longest line among those, known or not, who have the larger half.
    /// If equal, `newcomer`, because nobody should lose a turn to somebody who is no better off.
    pub(super) fn longest(&self, newcomer: Option<K>) -> Option<K> {
        let round = if self.others.waiting >= self.known.waiting {
            &self.others
        } else {
            &self.known
        };
        let (length, key) = *round.lengths.last()?;
        match newcomer {
            Some(newcomer) if round.lengths.contains(&(length, newcomer)) => Some(newcomer),
            _ => Some(key),
        }
    }

    fn round(&mut self, known: bool) -> &mut Round<K> {
        if known { &mut self.known } else { &mut self.others }
    }
}
