//! How many pages to ask for at once: as many as pay.
//!
//! Knows how long pages took at each level. Climbs while more at once give more pages a second, and steps back where
//! they only wait longer, or where tries fail. Must not know a clock.

use std::time::Duration;

/// Readers at the beginning: authentik has two web workers by default.
const FIRST_LEVEL: usize = 2;
/// Pages that make a measurement, for each reader.
const SAMPLE: u32 = 3;
/// How much more a further reader has to bring to be kept.
const WORTHWHILE: f64 = 1.1;

#[derive(Debug)]
pub(super) struct Parallel {
    level: usize,
    /// Pages a second at the level below, once it was measured.
    below: Option<f64>,
    settled: bool,
    total: Duration,
    pages: u32,
}

impl Default for Parallel {
    fn default() -> Self {
        Self {
            level: FIRST_LEVEL,
            below: None,
            settled: false,
            total: Duration::ZERO,
            pages: 0,
        }
    }
}

impl Parallel {
    /// How many pages may be in flight.
    pub(super) fn level(&self, most: usize) -> usize {
        self.level.clamp(1, most.max(1))
    }

    /// Notes a page that took this long; `smooth` if the first try had it.
    pub(super) fn note(&mut self, took: Duration, smooth: bool) {
        if !smooth {
            // What fails under load fails less under less.
            self.level = (self.level / 2).max(1);
            self.settled = true;
            self.restart();
            return;
        }
        self.total += took;
        self.pages += 1;
        if self.settled || self.pages < SAMPLE * u32::try_from(self.level).unwrap_or(SAMPLE) {
            return;
        }
        let mean = self.total.as_secs_f64() / f64::from(self.pages);
        let rate = f64::from(u32::try_from(self.level).unwrap_or(1)) / mean.max(1e-6);
        if self.below.is_some_and(|below| rate < below * WORTHWHILE) {
            self.level -= 1;
            self.settled = true;
        } else {
            self.below = Some(rate);
            self.level += 1;
        }
        self.restart();
    }

    fn restart(&mut self) {
        self.total = Duration::ZERO;
        self.pages = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads many pages from a server that answers so many at once in `each`, and queues the rest.
    fn settle(workers: f64, each: f64) -> usize {
        let mut parallel = Parallel::default();
        for _ in 0..200 {
            let level = parallel.level(4) as f64;
            parallel.note(Duration::from_secs_f64(each * (level / workers).max(1.0)), true);
        }
        parallel.level(4)
    }

    #[test]
    fn as_many_readers_as_the_server_has_workers() {
        assert_eq!(settle(2.0, 0.4), 2);
        assert_eq!(settle(3.0, 0.4), 3);
        assert_eq!(settle(16.0, 0.001), 4);
    }

    #[test]
    fn failures_slow_it_down() {
        let mut parallel = Parallel::default();
        parallel.note(Duration::from_secs(1), false);
        assert_eq!(parallel.level(4), 1);
        for _ in 0..100 {
            parallel.note(Duration::from_secs(1), true);
        }
        assert_eq!(parallel.level(4), 1);
        assert_eq!(Parallel::default().level(1), 1);
    }
}
