//! Whose cached binds were voided lately because the password was changed here: a login that was judged before that and is kept
//! after it is to be found out.
//!
//! Must not know what is cached.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Users remembered. Beyond it all are forgotten, and every login under way counts as judged before.
const MAX_USERS: usize = 4096;

/// The memory.
#[derive(Debug, Default)]
pub(super) struct Voids(Mutex<KnownVoids>);

#[derive(Debug, Default)]
struct KnownVoids {
    count: u64,
    /// The count of each user's last.
    last: HashMap<i64, u64>,
    /// The count up to which they were forgotten.
    forgotten: u64,
}

impl Voids {
    /// How many there were so far.
    pub(super) fn count(&self) -> u64 {
        self.lock().count
    }

    /// One more, of this user.
    pub(super) fn note(&self, user_pk: i64) {
        let mut known = self.lock();
        known.count += 1;
        let count = known.count;
        if known.last.len() >= MAX_USERS && !known.last.contains_key(&user_pk) {
            known.last.clear();
            known.forgotten = count;
        }
        known.last.insert(user_pk, count);
    }

    /// Whether this user had one since there were `count`.
    pub(super) fn since(&self, user_pk: i64, count: u64) -> bool {
        let known = self.lock();
        known.forgotten > count || known.last.get(&user_pk).is_some_and(|last| *last > count)
    }

    fn lock(&self) -> MutexGuard<'_, KnownVoids> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_was_forgotten_counts_as_voided() {
        let voids = Voids::default();
        let before = voids.count();
        voids.note(7);
        let between = voids.count();
        assert!(voids.since(7, before) && !voids.since(7, between) && !voids.since(8, before));
        for user in 0..MAX_USERS {
            voids.note(100 + i64::try_from(user).unwrap());
        }
        assert!(voids.since(7, between) && voids.since(8, between));
        let now = voids.count();
        assert!(!voids.since(7, now) && !voids.since(8, now));
        assert!(voids.lock().last.len() <= MAX_USERS);
    }
}
