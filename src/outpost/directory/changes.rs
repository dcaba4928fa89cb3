//! Those about whom the directories installed during a bind say something else: only that person's bind is not
//! kept.
//!
//! Knows numbers of directories and keys of users. Must not know what changed.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Directories looked back on. One is installed every half minute or so; a bind takes seconds.
const MAX_DIRECTORIES: usize = 32;
/// More changes than that in one directory count as a change of everybody.
const MAX_CHANGES: usize = 100_000;

/// The changes, for as long as somebody may ask for them.
#[derive(Debug, Default)]
pub(super) struct RecentChanges {
    under_way: AtomicUsize,
    of: Mutex<VecDeque<Directory>>,
}

/// One that was installed.
#[derive(Debug)]
struct Directory {
    generation: u64,
    /// Keys in ascending order; `None`: everybody.
    changed: Option<Box<[i64]>>,
}

/// A bind under way; ends when dropped.
pub(in crate::outpost) struct UnderWay<'a>(&'a AtomicUsize);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl RecentChanges {
    /// Call this before the bind looks at the number of the directory.
    pub(super) fn begin(&self) -> UnderWay<'_> {
        self.under_way.fetch_add(1, Ordering::SeqCst);
        UnderWay(&self.under_way)
    }

    /// Call this before the directory gets its number. `changed` gives the keys in ascending order, `None` for
    /// everybody; it is only asked if a bind is under way.
    pub(super) fn note(&self, generation: u64, changed: impl FnOnce() -> Option<Vec<i64>>) {
        if self.under_way.load(Ordering::SeqCst) == 0 {
            return;
        }
        let changed = changed()
            .filter(|changed| changed.len() <= MAX_CHANGES)
            .map(Vec::into_boxed_slice);
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if of.len() >= MAX_DIRECTORIES {
            of.pop_front();
        }
        of.push_back(Directory { generation, changed });
    }

    /// Whether any of these directories says something else about a user. One that is no longer known may.
    pub(super) fn concern(&self, user_pk: i64, generations: RangeInclusive<u64>) -> bool {
        let of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let mut generations = generations;
        generations.any(|generation| {
            of.iter()
                .find(|directory| directory.generation == generation)
                .and_then(|directory| directory.changed.as_ref())
                .is_none_or(|changed| changed.binary_search(&user_pk).is_ok())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_changed_is_concerned_and_what_is_not_known_concerns_everybody() {
        let changes = RecentChanges::default();
        changes.note(1, || panic!("nobody is under way"));
        let under_way = changes.begin();
        changes.note(2, || Some(vec![3, 5]));
        changes.note(3, || Some(vec![]));
        changes.note(4, || None);
        let concerned = |pk, generations| changes.concern(pk, generations);
        #[expect(clippy::reversed_empty_ranges, reason = "nothing was installed")]
        let nothing = 5..=4;
        assert!(!concerned(3, nothing));
        assert!(concerned(3, 2..=3) && concerned(5, 2..=2) && !concerned(4, 2..=3));
        assert!(!concerned(3, 3..=3));
        assert!(concerned(4, 1..=2), "the first is not known");
        assert!(concerned(4, 3..=4), "the last is of everybody");
        for generation in 5..5 + MAX_DIRECTORIES as u64 {
            changes.note(generation, || Some(vec![]));
        }
        assert!(
            concerned(9, 4..=5) && !concerned(9, 5..=6),
            "those long ago are forgotten"
        );
        drop(under_way);
        changes.note(99, || panic!("nobody is under way any more"));
    }
}
