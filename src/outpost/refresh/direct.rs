//! Looks that searches wait for, at providers in direct search mode. All that ask at the same moment share a look.
//!
//! Knows when looks began and how they ended; the loop that keeps the directory up to date takes them. Must not know how authentik
//! is asked, nor what is searched for.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

/// How long a search waits for its confirmation: as long as authentik gives an answer itself.
const CONFIRMATION_TIME: Duration = Duration::from_secs(60);

/// What a look covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::outpost) enum LookKind {
    /// Changed users, and how many there are.
    Users,
    /// The groups too.
    Everything,
}

/// The newest looks, each by the moment it began.
#[derive(Clone, Copy, Debug, Default)]
struct NewestLooks {
    users: Option<Instant>,
    everything: Option<Instant>,
    failed: Option<Instant>,
    /// How long the last finished one took.
    took: Duration,
}

/// Who wants a look, and which looks there were.
#[derive(Debug)]
pub(in crate::outpost) struct DirectLooks {
    wanted: Notify,
    users_wanted: Notify,
    /// The oldest beginning that is good enough for the search that asked last for a look at users.
    users_since: Mutex<Option<Instant>>,
    newest: watch::Sender<NewestLooks>,
}

/// The outcome of waiting for a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::outpost) enum LookAwaited {
    /// What is served shows the state when the look began.
    Looked,
    /// authentik could not be asked.
    Failed,
    /// It takes too long.
    Late,
}

impl Default for DirectLooks {
    fn default() -> Self {
        Self {
            wanted: Notify::new(),
            users_wanted: Notify::new(),
            users_since: Mutex::default(),
            newest: watch::Sender::new(NewestLooks::default()),
        }
    }
}

impl DirectLooks {
    /// Whether a search may be answered without another look, because one begun this long ago has ended, successfully or not.
    pub(in crate::outpost) fn is_recent(&self, max_age: Duration) -> bool {
        let newest = *self.newest.borrow();
        since(max_age).is_none_or(|since| newest.users.max(newest.failed) >= Some(since))
    }

    /// Waits, at most this long, for a look at the users that is not older than this.
    pub(in crate::outpost) async fn fresh(&self, max_age: Duration, patience: Duration) -> LookAwaited {
        let Some(since) = since(max_age) else {
            return LookAwaited::Looked;
        };
        let mut newest = self.newest.subscribe();
        let took = newest.borrow().took;
        *self.users_since.lock().unwrap_or_else(PoisonError::into_inner) = Some(since);
        self.users_wanted.notify_one();
        if took > patience {
            return LookAwaited::Late;
        }
        let looked = newest.wait_for(|newest| newest.users.max(newest.failed) >= Some(since));
        match timeout(patience, looked).await {
            Ok(Ok(newest)) if newest.users >= Some(since) => LookAwaited::Looked,
            Ok(_) => LookAwaited::Failed,
            Err(_) => LookAwaited::Late,
        }
    }

    /// Waits for a look of this kind that begins from now on.
    pub(in crate::outpost) async fn live(&self, kind: LookKind) -> LookAwaited {
        let now = Instant::now();
        let mut newest = self.newest.subscribe();
        match kind {
            LookKind::Everything => self.wanted.notify_one(),
            LookKind::Users => {
                *self.users_since.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
                self.users_wanted.notify_one();
            }
        }
        let covered = |newest: &NewestLooks| match kind {
            LookKind::Everything => newest.everything,
            LookKind::Users => newest.users,
        };
        let looked = newest.wait_for(|newest| covered(newest).max(newest.failed) >= Some(now));
        match timeout(CONFIRMATION_TIME, looked).await {
            Ok(Ok(newest)) if covered(&newest) >= Some(now) => LookAwaited::Looked,
            Ok(_) => LookAwaited::Failed,
            Err(_) => LookAwaited::Late,
        }
    }

    /// Waits until somebody wants a look.
    pub(super) async fn wanted(&self) -> LookKind {
        loop {
            tokio::select! {
                biased;
                () = self.wanted.notified() => return LookKind::Everything,
                // Whoever asked during a look may have been served by it.
                () = self.users_wanted.notified() => if self.lacks_users() {
                    return LookKind::Users;
                },
            }
        }
    }

    /// Whether no look at users was good enough for the search that asked last.
    fn lacks_users(&self) -> bool {
        let since = *self.users_since.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = *self.newest.borrow();
        newest.users.max(newest.failed) < since
    }

    /// What is served shows what a look showed that began then.
    pub(super) fn looked(&self, began: Instant, kind: LookKind) {
        self.newest.send_modify(|newest| {
            newest.users = Some(began);
            if kind == LookKind::Everything {
                newest.everything = Some(began);
            }
            newest.took = began.elapsed();
        });
    }

    /// A look that began then failed.
    pub(super) fn failed(&self, began: Instant) {
        self.newest.send_modify(|newest| newest.failed = Some(began));
    }
}

/// The moment this long ago; none before the clock began.
fn since(age: Duration) -> Option<Instant> {
    Instant::now().checked_sub(age)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const AGE: Duration = Duration::from_secs(5);
    const PATIENCE: Duration = Duration::from_secs(2);

    /// Takes the looks that are wanted, each within this time; returns how many there were.
    async fn look(looks: &DirectLooks, number: usize, takes: Duration) {
        for _ in 0..number {
            let kind = looks.wanted().await;
            let began = Instant::now();
            tokio::time::sleep(takes).await;
            looks.looked(began, kind);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_hundred_searches_share_one_look_and_it_counts_for_its_time() {
        let looks = Arc::new(DirectLooks::default());
        tokio::time::sleep(AGE).await;
        let searches = (0..100).map(|_| looks.fresh(AGE, PATIENCE));
        let (came, ()) = tokio::join!(
            futures_util::future::join_all(searches),
            look(&looks, 1, Duration::from_secs(1))
        );
        assert!(came.iter().all(|came| *came == LookAwaited::Looked));
        // Those who asked while it was under way do not need another.
        let again = timeout(Duration::from_millis(1), looks.wanted()).await;
        assert!(again.is_err());
        assert!(looks.is_recent(AGE) && !looks.is_recent(Duration::from_millis(900)));
        tokio::time::sleep(AGE).await;
        assert!(!looks.is_recent(AGE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_look_is_waited_for_so_long_and_the_next_not_at_all() {
        let looks = DirectLooks::default();
        tokio::time::sleep(AGE).await;
        let began = Instant::now();
        let (came, ()) = tokio::join!(looks.fresh(AGE, PATIENCE), look(&looks, 1, PATIENCE * 2));
        assert_eq!((came, began.elapsed()), (LookAwaited::Late, PATIENCE * 2));
        tokio::time::sleep(AGE).await;
        let began = Instant::now();
        assert_eq!(looks.fresh(AGE, PATIENCE).await, LookAwaited::Late);
        assert_eq!(began.elapsed(), Duration::ZERO);
        // It was still asked for, and the next one is waited for again if it is quick.
        look(&looks, 1, Duration::ZERO).await;
        tokio::time::sleep(AGE * 2).await;
        let (came, ()) = tokio::join!(looks.fresh(AGE, PATIENCE), look(&looks, 1, Duration::ZERO));
        assert_eq!(came, LookAwaited::Looked);
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_began_before_confirms_nothing() {
        let looks = DirectLooks::default();
        let before = Instant::now();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let served = async {
            looks.looked(before, LookKind::Everything);
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(looks.wanted().await, LookKind::Everything);
            // Users alone are not enough either.
            looks.looked(Instant::now(), LookKind::Users);
            tokio::time::sleep(Duration::from_secs(1)).await;
            looks.failed(Instant::now());
        };
        let began = Instant::now();
        let (came, ()) = tokio::join!(looks.live(LookKind::Everything), served);
        assert_eq!(
            (came, began.elapsed()),
            (LookAwaited::Failed, Duration::from_secs(2))
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
        let began = Instant::now();
        assert_eq!(looks.live(LookKind::Everything).await, LookAwaited::Late);
        assert_eq!(began.elapsed(), CONFIRMATION_TIME);
    }

    #[tokio::test(start_paused = true)]
    async fn what_needs_no_groups_is_confirmed_by_a_look_at_users_that_begins_from_now_on() {
        let looks = DirectLooks::default();
        looks.looked(Instant::now(), LookKind::Everything);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let served = async {
            assert_eq!(looks.wanted().await, LookKind::Users);
            looks.looked(Instant::now(), LookKind::Users);
        };
        let (came, ()) = tokio::join!(looks.live(LookKind::Users), served);
        assert_eq!(came, LookAwaited::Looked);
        // One at everything is good enough, too.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let served = async { looks.looked(Instant::now(), LookKind::Everything) };
        let (came, ()) = tokio::join!(looks.live(LookKind::Users), served);
        assert_eq!(came, LookAwaited::Looked);
    }
}
