//! The clock by which time passes: tokio's, so that a test can pause and advance it. Must not know what is timed.

use std::time::Instant;

/// This moment.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
