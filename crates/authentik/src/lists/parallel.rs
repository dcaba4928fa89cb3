//! How many pages to ask for at once: as many as are worthwhile.
//!
//! Knows how long pages took at each level. It climbs while more at once give more pages per second, and steps back if they
//! only wait longer, or immediately if tries fail. It keeps watching, since a server that is busy with other work for a while
//! has less time for us. Must not know a clock.

use std::time::Duration;

/// Readers at the beginning: authentik has two web workers by default.
const FIRST_LEVEL: usize = 2;
/// Pages per reader that make a measurement.
const SAMPLE: u32 = 3;
/// How much more another reader has to bring to be kept.
const WORTHWHILE: f64 = 1.1;
/// Pages that take this many times as long as they did when a level was found right: fewer readers are tried.
const SLOWER: f64 = 1.5;
/// Measurements after which another reader is tried again.
const REST: u32 = 8;

#[derive(Debug)]
pub(super) struct Parallel {
    level: usize,
    trial: Trial,
    /// Whether the first level was compared with the one below it.
    is_first_tried: bool,
    total: Duration,
    pages: u32,
}

/// What the pages of a level showed.
#[derive(Clone, Copy, Debug)]
struct Measured {
    /// Seconds that a page took.
    mean: f64,
    /// Pages per second.
    rate: f64,
}

/// What the pages of a level are measured for.
#[derive(Debug)]
enum Trial {
    /// Whether there are more per second than at the level below, once that was measured.
    Climbing { below: Option<Measured> },
    /// Whether they take much longer than when the level was found right; then in seconds.
    Resting { usual: Option<f64>, left: u32 },
    /// Whether there are nearly as many per second as at the level above.
    Descending { above: Measured },
}

impl Trial {
    fn rest(usual: Option<f64>) -> Self {
        Self::Resting { usual, left: REST }
    }
}

impl Default for Parallel {
    fn default() -> Self {
        Self {
            level: FIRST_LEVEL,
            trial: Trial::Climbing { below: None },
            is_first_tried: false,
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

    /// Forgets what was measured since the level was changed: the measurement was disturbed.
    pub(super) fn disturbed(&mut self) {
        self.total = Duration::ZERO;
        self.pages = 0;
    }

    /// Notes a page that took this long; `smooth` if the first try had it. At `most` this many may be in flight.
    pub(super) fn note(&mut self, took: Duration, smooth: bool, most: usize) {
        self.level = self.level(most);
        if !smooth {
            // What fails under load fails less under less load.
            self.level = (self.level / 2).max(1);
            self.trial = Trial::rest(None);
            self.disturbed();
            return;
        }
        self.total += took;
        self.pages += 1;
        let readers = u32::try_from(self.level).unwrap_or(1);
        if self.pages < SAMPLE * readers {
            return;
        }
        let mean = (self.total.as_secs_f64() / f64::from(self.pages)).max(1e-6);
        self.disturbed();
        let rate = f64::from(readers) / mean;
        self.judge(Measured { mean, rate }, most.max(1));
    }

    /// Takes a measurement of this level.
    fn judge(&mut self, now: Measured, most: usize) {
        match self.trial {
            Trial::Climbing { below: Some(below) } if now.rate < below.rate * WORTHWHILE => {
                self.level = self.level.saturating_sub(1).max(1);
                if self.level == FIRST_LEVEL && !self.is_first_tried {
                    self.is_first_tried = true;
                    self.descend(below);
                } else {
                    self.trial = Trial::rest(Some(below.mean));
                }
            }
            Trial::Climbing { .. } => self.climb(now, most),
            Trial::Resting { usual, left } => {
                let usual = usual.unwrap_or(now.mean);
                if now.mean > usual * SLOWER && self.level > 1 {
                    self.descend(now);
                } else if left <= 1 && self.level < most {
                    self.climb(now, most);
                } else {
                    self.trial = Trial::Resting {
                        usual: Some(usual.min(now.mean)),
                        left: left.saturating_sub(1),
                    };
                }
            }
            Trial::Descending { above } if now.rate * WORTHWHILE < above.rate => {
                self.level = (self.level + 1).min(most);
                self.trial = Trial::rest(Some(above.mean));
            }
            Trial::Descending { .. } => self.descend(now),
        }
    }

    /// Tries one more, after this was measured.
    fn climb(&mut self, now: Measured, most: usize) {
        self.trial = if self.level < most {
            self.level += 1;
            Trial::Climbing { below: Some(now) }
        } else {
            Trial::rest(Some(now.mean))
        };
    }

    /// Tries one less, after this was measured.
    fn descend(&mut self, now: Measured) {
        self.trial = if self.level > 1 {
            self.level -= 1;
            Trial::Descending { above: now }
        } else {
            Trial::rest(Some(now.mean))
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads many pages from a server that answers this many at once in `each`, and queues the rest.
    fn read(parallel: &mut Parallel, workers: f64, each: f64) -> usize {
        // Ends in the middle of a rest, not in a trial.
        for _ in 0..400 {
            let level = parallel.level(MOST) as f64;
            parallel.note(
                Duration::from_secs_f64(each * (level / workers).max(1.0)),
                true,
                MOST,
            );
        }
        while !matches!(parallel.trial, Trial::Resting { .. }) {
            let level = parallel.level(MOST) as f64;
            parallel.note(
                Duration::from_secs_f64(each * (level / workers).max(1.0)),
                true,
                MOST,
            );
        }
        parallel.level(MOST)
    }

    const MOST: usize = 8;

    #[test]
    fn as_many_readers_as_the_server_has_workers() {
        let settle = |workers, each| read(&mut Parallel::default(), workers, each);
        assert_eq!(settle(1.0, 0.4), 1);
        assert_eq!(settle(2.0, 0.4), 2);
        assert_eq!(settle(3.0, 0.4), 3);
        assert_eq!(settle(16.0, 0.001), 8);
    }

    #[test]
    fn a_server_with_less_time_is_asked_for_less_and_later_for_more_again() {
        let mut parallel = Parallel::default();
        assert_eq!(read(&mut parallel, 6.0, 0.1), 6);
        assert_eq!(read(&mut parallel, 2.0, 0.1), 2);
        assert_eq!(read(&mut parallel, 4.0, 0.1), 4);
    }

    #[test]
    fn failures_slow_it_down_at_once_and_for_a_while() {
        let mut parallel = Parallel::default();
        parallel.note(Duration::from_secs(1), false, MOST);
        assert_eq!(parallel.level(MOST), 1);
        for _ in 0..SAMPLE * REST - 1 {
            parallel.note(Duration::from_secs(1), true, MOST);
            assert_eq!(parallel.level(MOST), 1);
        }
        parallel.note(Duration::from_secs(1), true, MOST);
        assert_eq!(parallel.level(MOST), 2, "it is tried again");
        assert_eq!(Parallel::default().level(1), 1);
    }

    #[test]
    fn what_is_measured_beside_a_login_does_not_count() {
        let mut parallel = Parallel::default();
        for _ in 0..100 {
            parallel.note(Duration::from_secs(1), true, MOST);
            parallel.disturbed();
        }
        assert_eq!(parallel.level(MOST), FIRST_LEVEL);
    }
}
