//! When authentik last answered, and notice of each call that got no answer. Every call through the client and
//! every frame of the event stream reports here. Must not know what follows from it: that an outage has begun or
//! ended is decided in `outpost`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::clock::now;

/// The record of one client.
#[derive(Debug)]
pub struct Contact {
    made: Instant,
    /// Microseconds after `made`, plus one; 0: never.
    answered: AtomicU64,
    failed: Notify,
}

impl Default for Contact {
    fn default() -> Self {
        Self {
            made: now(),
            answered: AtomicU64::new(0),
            failed: Notify::new(),
        }
    }
}

impl Contact {
    /// When something last came from authentik that shows it alive; `None`: never yet.
    pub fn last_answer(&self) -> Option<Instant> {
        let micros = self.answered.load(Ordering::Acquire).checked_sub(1)?;
        self.made.checked_add(Duration::from_micros(micros))
    }

    /// Waits until a call has failed that was not reported here yet; failures in between count as one. For one
    /// waiter.
    pub async fn failure(&self) {
        self.failed.notified().await;
    }

    pub(crate) fn answered(&self) {
        let micros = u64::try_from(now().duration_since(self.made).as_micros()).unwrap_or(u64::MAX);
        self.answered
            .fetch_max(micros.saturating_add(1), Ordering::AcqRel);
    }

    pub(crate) fn failed(&self) {
        self.failed.notify_one();
    }

    /// Takes the HTTP status of an answer that may be authentik's: from 500 on it may be a gateway that speaks for an absent one.
    pub(crate) fn status(&self, status: u16) {
        if status < 500 {
            self.answered();
        } else {
            self.failed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_are_timed_and_failures_are_told_once() {
        let contact = Contact::default();
        assert_eq!(contact.last_answer(), None);
        let before = Instant::now() - Duration::from_micros(1);
        contact.status(404);
        let first = contact.last_answer().unwrap();
        assert!(first >= before && first <= Instant::now());
        contact.status(502);
        contact.failed();
        assert_eq!(contact.last_answer(), Some(first));
        contact.failure().await;
        let again = tokio::time::timeout(Duration::from_millis(20), contact.failure());
        assert!(again.await.is_err());
    }
}
