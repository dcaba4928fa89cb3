//! How long a whole comparison may take: a server that is never silent for long could keep it for ever. Must not know what is waited for.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// A time limit that runs.
#[derive(Clone, Copy, Debug)]
pub struct TimeLimit {
    /// How long it was at the beginning.
    pub whole: Duration,
    /// `None`: beyond all clocks.
    until: Option<Instant>,
}

/// Time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeIsUp;

impl TimeLimit {
    /// A limit that begins now.
    #[must_use]
    pub fn of(whole: Duration) -> Self {
        Self {
            whole,
            until: Instant::now().checked_add(whole),
        }
    }

    /// Whether time is up.
    #[must_use]
    pub fn is_up(self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// What this comes to, unless time is up before.
    ///
    /// # Errors
    /// When it is.
    pub async fn hold<T>(self, work: impl Future<Output = T>) -> Result<T, TimeIsUp> {
        match self.until {
            Some(until) => timeout_at(until, work).await.map_err(|_| TimeIsUp),
            None => Ok(work.await),
        }
    }
}
