//! The clock by which times pass: tokio's, so that a test can hold it and set it on. The time of day is not told here.

use std::time::{Duration, Instant};

/// This moment.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// How long ago a moment was.
pub(crate) fn since(moment: Instant) -> Duration {
    now().saturating_duration_since(moment)
}
