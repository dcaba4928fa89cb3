//! The last half hour in samples: how many operations ended, and within what time. A ring of fixed size in memory. Must not
//! know who shows them.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::durations::DurationTally;

/// How often a sample is taken.
pub const SAMPLE_INTERVAL: Duration = Duration::from_secs(15);
/// How many are kept: half an hour, about 50 kB.
pub const SAMPLES: usize = 120;

/// What was counted up to a moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) at: Instant,
    pub(super) searches: DurationTally,
    pub(super) binds: DurationTally,
    pub(super) refused: u64,
    pub(super) octets: u64,
}

/// What happened between two samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleInterval {
    /// Searches a second.
    pub searches: f64,
    /// Binds a second.
    pub binds: f64,
    /// Refused requests a second.
    pub refused: f64,
    /// Octets sent a second.
    pub octets: f64,
    /// 95 of 100 searches ended within; `None`: there were none.
    pub search_time: Option<Duration>,
    /// The same for binds.
    pub bind_time: Option<Duration>,
}

/// The ring.
#[derive(Debug, Default)]
pub(super) struct SampleRing {
    ring: Mutex<VecDeque<Sample>>,
}

impl SampleRing {
    pub(super) fn push(&self, sample: Sample) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.len() > SAMPLES {
            ring.pop_front();
        }
        ring.push_back(sample);
    }

    pub(super) fn intervals(&self) -> Vec<SampleInterval> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.iter()
            .zip(ring.iter().skip(1))
            .map(|(from, to)| between(from, to))
            .collect()
    }
}

fn between(from: &Sample, to: &Sample) -> SampleInterval {
    let seconds = to.at.saturating_duration_since(from.at).as_secs_f64().max(1e-3);
    let (searches, binds) = (to.searches.since(&from.searches), to.binds.since(&from.binds));
    SampleInterval {
        searches: rate(searches.count(), seconds),
        binds: rate(binds.count(), seconds),
        refused: rate(to.refused.saturating_sub(from.refused), seconds),
        octets: rate(to.octets.saturating_sub(from.octets), seconds),
        search_time: searches.within(0.95),
        bind_time: binds.within(0.95),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate to be looked at")]
fn rate(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_is_bounded_and_tells_rates() {
        let (ring, start) = (SampleRing::default(), Instant::now());
        assert_eq!(ring.intervals(), []);
        for number in 0..1000 {
            ring.push(Sample {
                at: start + SAMPLE_INTERVAL * number,
                searches: DurationTally::default(),
                binds: DurationTally::default(),
                refused: u64::from(number) * 30,
                octets: 0,
            });
        }
        let intervals = ring.intervals();
        assert_eq!(intervals.len(), SAMPLES);
        assert!((intervals[0].refused - 2.0).abs() < 1e-9, "{intervals:?}");
        assert_eq!(intervals[0].search_time, None);
    }
}
