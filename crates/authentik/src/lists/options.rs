//! How lists are read, and what one request for a page asks for.
//!
//! Must not know what is listed.

use std::time::{Duration, SystemTime};

use crate::backoff::Backoff;

/// How a list is read. Times pass on tokio's clock.
#[derive(Clone, Copy, Debug)]
pub struct ScanOptions {
    /// The most pages in flight at once. authentik has two web workers of four threads by default; how many are worthwhile
    /// is measured.
    pub parallel: usize,
    /// Tries for one page, the first included.
    pub attempts: u32,
    /// The waits before the second and later tries of a page.
    pub backoff: Backoff,
    /// Limit on the first try; doubles with each later one, so that a lost answer is requested again soon and a slow one
    /// arrives in the end.
    pub timeout: Duration,
    /// The server has just answered other requests: if nothing of a page can be shown, its rows are at fault and it is
    /// not an outage.
    pub alive: bool,
    /// Gives numbers in `0.0..1.0`, with which waits are spread.
    pub jitter: fn() -> f64,
    /// The time of day.
    pub time_of_day: fn() -> SystemTime,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self {
            parallel: 8,
            attempts: 4,
            backoff: Backoff::new(Duration::from_millis(200), Duration::from_secs(2)),
            timeout: Duration::from_secs(20),
            alive: false,
            jitter: fastrand::f64,
            time_of_day: SystemTime::now,
        }
    }
}

/// One request for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// 1-based.
    pub page: u32,
    /// Rows of a page; the server caps it.
    pub size: u32,
    /// In descending order of keys.
    pub descending: bool,
    /// Without the objects of related rows, one of which may be what breaks the answer.
    pub lean: bool,
}
