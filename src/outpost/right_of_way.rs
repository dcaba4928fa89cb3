//! Who goes first at authentik: whoever logs in, before the lists of users and groups.
//!
//! authentik has few web workers, and a page keeps one of them busy for a long time. While somebody logs in, and a moment longer,
//! the whole list of users is read one page at a time. Must not know how either is done.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::clock;

/// Logins come in bursts: the way is kept free for another one for this long after the last.
const LINGERS: Duration = Duration::from_secs(2);

/// Whether somebody logs in.
#[derive(Debug, Default)]
pub(super) struct RightOfWay(Mutex<RunningLogins>);

#[derive(Debug, Default)]
struct RunningLogins {
    running: usize,
    last: Option<Instant>,
}

/// A login under way, until it is dropped.
#[derive(Debug)]
pub(super) struct LoginOnItsWay(Arc<RightOfWay>);

impl Drop for LoginOnItsWay {
    fn drop(&mut self) {
        let mut logins = self.0.lock();
        logins.running = logins.running.saturating_sub(1);
        logins.last = Some(clock::now());
    }
}

impl RightOfWay {
    /// Somebody logs in until what this gives is dropped.
    pub(super) fn take(self: &Arc<Self>) -> LoginOnItsWay {
        self.lock().running += 1;
        LoginOnItsWay(Arc::clone(self))
    }

    /// Whether somebody logs in, or did a moment ago.
    pub(super) fn is_taken(&self) -> bool {
        let logins = self.lock();
        logins.running > 0 || logins.last.is_some_and(|last| clock::since(last) < LINGERS)
    }

    fn lock(&self) -> MutexGuard<'_, RunningLogins> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_taken_until_a_moment_after_the_last_login() {
        let way = Arc::new(RightOfWay::default());
        assert!(!way.is_taken(), "nobody has logged in yet");
        let (one, other) = (way.take(), way.take());
        drop(one);
        tokio::time::advance(LINGERS * 10).await;
        assert!(way.is_taken(), "one is under way still");
        drop(other);
        assert!(way.is_taken());
        tokio::time::advance(LINGERS).await;
        assert!(!way.is_taken());
    }
}
