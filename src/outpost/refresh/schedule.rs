//! How often the configuration and the directory are read, and when what was read counts as stale. Must not know how they
//! are read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use akldap_authentik::Backoff;

/// The time between refreshes when the outpost's configuration names none: authentik's default.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(300);
/// The shortest time between refreshes, as in the official outpost.
const MIN_INTERVAL: Duration = Duration::from_secs(30);
/// Time allowed for looks, and for failed tries, before a directory is called stale.
const STALE_MARGIN: Duration = Duration::from_secs(60);

/// The waits after failures. They stay short: only one page is asked for then, and an outage ends for us when it ends for
/// authentik.
pub(super) const BACKOFF: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(1));

/// The times between refreshes.
#[derive(Debug)]
pub struct Schedule {
    interval_s: AtomicU64,
    /// Between looks at what changed in the directory, if that is less.
    delta_interval: Option<Duration>,
}

impl Schedule {
    /// The default times, until authentik says others.
    pub(in crate::outpost) fn new(delta_interval: Option<Duration>) -> Self {
        Self {
            interval_s: AtomicU64::new(DEFAULT_INTERVAL.as_secs()),
            delta_interval,
        }
    }

    /// Takes the outpost's `refresh_interval_s`.
    pub(super) fn set_interval(&self, seconds: i64) {
        let interval = refresh_interval(seconds);
        self.interval_s.store(interval.as_secs(), Ordering::Relaxed);
    }

    /// Between two readings of the configuration.
    pub(super) fn interval(&self) -> Duration {
        Duration::from_secs(self.interval_s.load(Ordering::Relaxed))
    }

    /// Between two looks at the directory.
    pub(super) fn directory_interval(&self) -> Duration {
        let interval = self.interval();
        self.delta_interval.map_or(interval, |delta| delta.min(interval))
    }

    /// The age from which the served directory is called stale: a healthy one never gets there, because there is one look
    /// per interval and a look takes seconds. A whole load of a very large one may take longer.
    pub fn directory_stale_after(&self) -> Duration {
        self.directory_interval() * 2 + STALE_MARGIN
    }

    /// The same for the configuration.
    pub fn configuration_stale_after(&self) -> Duration {
        self.interval() * 2 + STALE_MARGIN
    }
}

/// The time between refreshes for the outpost's `refresh_interval_s`.
fn refresh_interval(seconds: i64) -> Duration {
    match u64::try_from(seconds) {
        Ok(0) | Err(_) => DEFAULT_INTERVAL,
        Ok(seconds) => Duration::from_secs(seconds).max(MIN_INTERVAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_the_outposts_within_reason() {
        for (seconds, expected) in [(-1, 300), (0, 300), (1, 30), (30, 30), (31, 31), (86_400, 86_400)] {
            assert_eq!(
                refresh_interval(seconds),
                Duration::from_secs(expected),
                "{seconds}"
            );
        }
    }
}
