//! Whose password is being changed here, and whose was recently: what was judged before that, or meanwhile, is not kept, and what
//! is kept about them is not used.
//!
//! Must not know what is cached.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::clock;

/// How many users are remembered. Beyond that all are forgotten, and every login under way is treated as judged before.
const MAX_USERS: usize = 4096;
/// A change of unknown outcome counts as under way for this long after it was given up: authentik, or a proxy before it, may
/// still be at work on the request that writes. Longer than any time limit that these come with.
pub(super) const WRITE_ON_ITS_WAY: Duration = Duration::from_secs(300);

/// The memory.
#[derive(Debug, Default)]
pub(super) struct Voids {
    known: Mutex<KnownVoids>,
    /// How many changes are under way, for whoever only wants to know that there is none.
    open: AtomicUsize,
}

#[derive(Debug, Default)]
struct KnownVoids {
    count: u64,
    /// The count of each user's last.
    last: HashMap<i64, u64>,
    /// The count up to which they were forgotten.
    forgotten: u64,
    /// Users whose password is being changed, and by how many.
    under_way: HashMap<i64, usize>,
    /// Those of them whose outcome is unknown, soonest over first.
    unknown: VecDeque<(Instant, i64)>,
}

impl KnownVoids {
    /// Whether any of these users had one since there were `count`, or has one now. Without users: whether anybody.
    fn since(&self, users: &[i64], count: u64) -> bool {
        if users.is_empty() {
            return self.count > count || !self.under_way.is_empty();
        }
        let of = |user: &i64| self.last.get(user).is_some_and(|last| *last > count);
        self.forgotten > count
            || users
                .iter()
                .any(|user| of(user) || self.under_way.contains_key(user))
    }

    fn note(&mut self, user_pk: i64) {
        self.count += 1;
        let count = self.count;
        if self.last.len() >= MAX_USERS && !self.last.contains_key(&user_pk) {
            self.last.clear();
            self.forgotten = count;
        }
        self.last.insert(user_pk, count);
    }

    /// Whether one came to an end.
    fn end(&mut self, user_pk: i64) -> bool {
        let Some(changes) = self.under_way.get_mut(&user_pk) else {
            return false;
        };
        *changes -= 1;
        if *changes == 0 {
            self.under_way.remove(&user_pk);
        }
        true
    }

    /// Ends those of unknown end whose time is over; what was judged until now is void. Returns how many.
    fn end_unknown(&mut self, now: Instant) -> usize {
        let mut ended = 0;
        while let Some((_, user)) = self.unknown.pop_front_if(|(until, _)| *until <= now) {
            self.note(user);
            ended += usize::from(self.end(user));
        }
        ended
    }
}

impl Voids {
    /// How many there were so far.
    pub(super) fn count(&self) -> u64 {
        self.lock().count
    }

    /// A change of this user's password begins.
    pub(super) fn begin(&self, user_pk: i64) {
        let mut known = self.lock();
        known.note(user_pk);
        *known.under_way.entry(user_pk).or_default() += 1;
        self.open.fetch_add(1, Ordering::SeqCst);
    }

    /// Counts one more, for this user.
    pub(super) fn note(&self, user_pk: i64) {
        self.lock().note(user_pk);
    }

    /// The change that began is over.
    pub(super) fn end(&self, user_pk: i64) {
        if self.lock().end(user_pk) {
            self.open.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Nobody knows whether the change that began is over: it is a while after `now`.
    pub(super) fn end_later(&self, user_pk: i64, now: Instant) {
        self.lock().unknown.push_back((now + WRITE_ON_ITS_WAY, user_pk));
    }

    /// Whether the end of an earlier change of this user's password is unknown.
    pub(super) fn is_unknown(&self, user_pk: i64) -> bool {
        let known = self.lock();
        known.unknown.iter().any(|(_, user)| *user == user_pk)
    }

    /// Whether the password of any of these users is being changed. Of no user in particular: anybody's.
    pub(super) fn is_under_way(&self, users: &[i64]) -> bool {
        // Every cached bind asks this, and there is hardly ever a change.
        self.open.load(Ordering::SeqCst) > 0 && self.lock().since(users, u64::MAX)
    }

    /// Whether any of these users had one since there were `count`, or has one now. Without users: whether anybody.
    pub(super) fn since(&self, users: &[i64], count: u64) -> bool {
        self.lock().since(users, count)
    }

    /// Keeps something about these users unless they had one since. None begins meanwhile, so it finds what is kept here.
    pub(super) fn unless_since(&self, users: &[i64], count: u64, keep: impl FnOnce()) {
        let known = self.lock();
        if !known.since(users, count) {
            keep();
        }
    }

    fn lock(&self) -> MutexGuard<'_, KnownVoids> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.unknown.is_empty() {
            let ended = known.end_unknown(clock::now());
            self.open.fetch_sub(ended, Ordering::SeqCst);
        }
        known
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
        assert!(voids.since(&[7], before) && !voids.since(&[7], between) && !voids.since(&[8], before));
        for user in 0..MAX_USERS {
            voids.note(100 + i64::try_from(user).unwrap());
        }
        assert!(voids.since(&[7], between) && voids.since(&[8], between));
        let now = voids.count();
        assert!(!voids.since(&[7], now) && !voids.since(&[8], now));
        assert!(voids.lock().last.len() <= MAX_USERS);
    }

    #[test]
    fn nothing_is_kept_while_a_change_is_under_way_but_of_others() {
        let voids = Voids::default();
        let kept = |users: &[i64], count| {
            let mut kept = false;
            voids.unless_since(users, count, || kept = true);
            kept
        };
        let before = voids.count();
        assert!(kept(&[7], before) && kept(&[], before) && !voids.is_under_way(&[]));
        voids.begin(7);
        let meanwhile = voids.count();
        assert!(!kept(&[7], meanwhile) && !kept(&[8, 7], meanwhile) && kept(&[8], before));
        assert!(!kept(&[], meanwhile), "it may be that user's");
        assert!(voids.is_under_way(&[7]) && voids.is_under_way(&[]) && !voids.is_under_way(&[8]));
        voids.note(7);
        voids.end(7);
        assert!(!voids.is_under_way(&[7]) && !voids.is_under_way(&[]));
        assert!(!kept(&[7], meanwhile) && !kept(&[], meanwhile) && kept(&[7], voids.count()));
        assert!(kept(&[8], before));
        voids.end(7);
        assert!(!voids.is_under_way(&[]), "none is ended twice");
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_whose_end_is_unknown_is_under_way_for_a_while() {
        let voids = Voids::default();
        let kept = |users: &[i64], count| {
            let mut kept = false;
            voids.unless_since(users, count, || kept = true);
            kept
        };
        voids.begin(7);
        assert!(!voids.is_unknown(7));
        voids.end_later(7, clock::now());
        tokio::time::advance(WRITE_ON_ITS_WAY - Duration::from_secs(1)).await;
        let meanwhile = voids.count();
        assert!(voids.is_unknown(7) && voids.is_under_way(&[7]) && !voids.is_under_way(&[8]));
        assert!(!kept(&[7], meanwhile) && kept(&[8], meanwhile));
        // Another one that ends as it should does not end this one.
        voids.begin(7);
        voids.end(7);
        assert!(voids.is_unknown(7) && voids.is_under_way(&[7]));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(
            !kept(&[7], meanwhile),
            "it was judged while the write was on its way"
        );
        assert!(!voids.is_unknown(7) && !voids.is_under_way(&[7]) && !voids.is_under_way(&[]));
        assert!(kept(&[7], voids.count()) && kept(&[8], meanwhile));
        assert_eq!(voids.open.load(Ordering::SeqCst), 0);
    }
}
