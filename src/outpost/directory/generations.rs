//! Which directories are alive: the current one, and the one before it for as long as searches read it. When another one
//! is installed, searches on the one before that are told to end, however slow their readers are.
//!
//! Must not know searches.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::watch;

use akldap_directory::Snapshot;

/// The directories before the current one.
#[derive(Debug, Default)]
pub(super) struct Generations {
    /// In each of its shapes.
    before: Mutex<Vec<Weak<Snapshot>>>,
    /// All that were installed and may still be read, for metrics.
    installed: Mutex<Vec<Weak<Snapshot>>>,
    retirements: watch::Sender<u64>,
}

impl Generations {
    /// These are served from now on: one directory in all its shapes.
    pub(super) fn installed<'s>(&self, snapshots: impl Iterator<Item = &'s Arc<Snapshot>>) {
        let mut installed = self.installed.lock().unwrap_or_else(PoisonError::into_inner);
        installed.retain(|known| known.strong_count() > 0);
        for snapshot in snapshots {
            // One that gets another shape already has its others.
            if !installed
                .iter()
                .any(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(snapshot)))
            {
                installed.push(Arc::downgrade(snapshot));
            }
        }
    }

    /// How many of those that were installed are in memory.
    pub(super) fn alive(&self) -> usize {
        let installed = self.installed.lock().unwrap_or_else(PoisonError::into_inner);
        installed.iter().filter(|known| known.strong_count() > 0).count()
    }

    /// A directory took the place of `before`, given in all its shapes. Whatever is older and still read must be
    /// released.
    pub(super) fn replaced<'s>(&self, before: impl Iterator<Item = &'s Arc<Snapshot>>) {
        let next = before.map(Arc::downgrade).collect();
        let oldest = std::mem::replace(
            &mut *self.before.lock().unwrap_or_else(PoisonError::into_inner),
            next,
        );
        if oldest.iter().any(|snapshot| snapshot.strong_count() > 0) {
            self.look_again();
        }
    }

    /// Has every search check whether its snapshot may still be read.
    pub(super) fn look_again(&self) {
        self.retirements.send_modify(|count| *count += 1);
    }

    /// Whether this is the directory before the current one, in some shape.
    pub(super) fn is_before(&self, snapshot: &Arc<Snapshot>) -> bool {
        let before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        before
            .iter()
            .any(|before| std::ptr::eq(before.as_ptr(), Arc::as_ptr(snapshot)))
    }

    /// Changes when searches have to look whether their snapshot may still be read.
    pub(super) fn retirements(&self) -> watch::Receiver<u64> {
        self.retirements.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use akldap_directory::Builder;

    #[test]
    fn only_a_third_snapshot_makes_readers_of_the_oldest_end() {
        let snapshot = || Arc::new(Builder::new().finish().unwrap().0);
        let generations = Generations::default();
        let mut retirements = generations.retirements();
        let mut has_changed = || {
            let changed = retirements.has_changed().unwrap();
            retirements.mark_unchanged();
            changed
        };
        let (first, second, third) = (snapshot(), snapshot(), snapshot());
        generations.replaced([].iter());
        generations.replaced([&first].into_iter());
        assert!(!has_changed(), "the first is the one before the current");
        assert!(generations.is_before(&first) && !generations.is_before(&second));
        generations.replaced([&second].into_iter());
        assert!(has_changed(), "a search still reads the first");
        assert!(generations.is_before(&second) && !generations.is_before(&first));
        generations.installed([&first, &second].into_iter());
        generations.installed([&second, &third].into_iter());
        assert_eq!(generations.alive(), 3);
        drop(second);
        assert_eq!(generations.alive(), 2);
        generations.replaced([&third].into_iter());
        assert!(!has_changed(), "nobody read the second any more");
    }
}
