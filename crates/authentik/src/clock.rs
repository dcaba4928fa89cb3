//! The clock by which times pass: tokio's, so that a test can hold it and set it on. Must not know what is timed.

use std::time::Instant;

/// This moment.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
