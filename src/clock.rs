//! The clock by which time passes: tokio's, so that a test can pause and advance it. It does not tell the time of day.

use std::time::{Duration, Instant};

/// This moment.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// How long ago a moment was.
pub(crate) fn since(moment: Instant) -> Duration {
    now().saturating_duration_since(moment)
}
