//! A histogram of durations for hot paths: fixed buckets from 10 µs up, two atomic additions per observation, no lock.
//! Must not know what is measured.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::metrics::{MetricType, TypedMetric};

/// The upper bounds of the buckets, in nanoseconds and as Prometheus writes them, in seconds. Searches take tens of
/// microseconds; a bind with a Duo push takes up to a minute.
const BOUNDS: [(u64, f64); 21] = [
    (10_000, 0.000_01),
    (25_000, 0.000_025),
    (50_000, 0.000_05),
    (100_000, 0.000_1),
    (250_000, 0.000_25),
    (500_000, 0.000_5),
    (1_000_000, 0.001),
    (2_500_000, 0.002_5),
    (5_000_000, 0.005),
    (10_000_000, 0.01),
    (25_000_000, 0.025),
    (50_000_000, 0.05),
    (100_000_000, 0.1),
    (250_000_000, 0.25),
    (500_000_000, 0.5),
    (1_000_000_000, 1.0),
    (2_500_000_000, 2.5),
    (5_000_000_000, 5.0),
    (10_000_000_000, 10.0),
    (30_000_000_000, 30.0),
    (60_000_000_000, 60.0),
];
/// One more, for what takes longer.
const BUCKETS: usize = BOUNDS.len() + 1;

/// How often something took how long. Clones share their counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Durations(Arc<BucketCounts>);

#[derive(Debug, Default)]
struct BucketCounts {
    buckets: [AtomicU64; BUCKETS],
    nanoseconds: AtomicU64,
}

impl Durations {
    /// Counts one that took this long.
    #[inline]
    pub(super) fn observe(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let position = BOUNDS.partition_point(|(bound, _)| *bound < nanoseconds);
        if let Some(bucket) = self.0.buckets.get(position) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.0.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub(super) fn tally(&self) -> DurationTally {
        DurationTally {
            buckets: self
                .0
                .buckets
                .each_ref()
                .map(|bucket| bucket.load(Ordering::Relaxed)),
            nanoseconds: self.0.nanoseconds.load(Ordering::Relaxed),
        }
    }
}

impl EncodeMetric for Durations {
    fn encode(&self, encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        self.tally().encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

impl TypedMetric for Durations {
    const TYPE: MetricType = MetricType::Histogram;
}

/// What a histogram had counted at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DurationTally {
    buckets: [u64; BUCKETS],
    nanoseconds: u64,
}

impl DurationTally {
    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// What was counted since an earlier moment.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let mut since = *self;
        for (count, before) in since.buckets.iter_mut().zip(before.buckets) {
            *count = count.saturating_sub(before);
        }
        since.nanoseconds = self.nanoseconds.saturating_sub(before.nanoseconds);
        since
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let mut sum = *self;
        for (count, other) in sum.buckets.iter_mut().zip(other.buckets) {
            *count = count.saturating_add(other);
        }
        sum.nanoseconds = self.nanoseconds.saturating_add(other.nanoseconds);
        sum
    }

    /// The time within which this share of all ended (0.95: 95 of 100), as the bound of its bucket; what took longer than
    /// the last bound counts as that. `None` if there were none.
    #[must_use]
    pub fn within(&self, part: f64) -> Option<Duration> {
        let count = self.count();
        let mut seen = 0;
        let bounds = BOUNDS.iter().chain(BOUNDS.last());
        for (bucket, (bound, _)) in self.buckets.iter().zip(bounds) {
            seen += bucket;
            if seen > 0 && ratio(seen, count) >= part {
                return Some(Duration::from_nanos(*bound));
            }
        }
        None
    }

    pub(super) fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let bounds = BOUNDS.iter().map(|(_, seconds)| *seconds);
        let bounds = bounds.chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(self.buckets).collect();
        let sum = Duration::from_nanos(self.nanoseconds).as_secs_f64();
        let exemplars: Option<&HashMap<usize, Exemplar<NoLabelSet, f64>>> = None;
        encoder.encode_histogram(sum, self.count(), &buckets, exemplars)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a part of a whole; nobody sees its sixteenth digit"
)]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_the_bucket_whose_bound_it_does_not_exceed() {
        let durations = Durations::default();
        for nanoseconds in [0, 10_000, 10_001, 60_000_000_000, 60_000_000_001, u64::MAX] {
            durations.observe(Duration::from_nanos(nanoseconds));
        }
        let tally = durations.tally();
        assert_eq!(tally.count(), 6);
        assert_eq!(tally.buckets[..2], [2, 1]);
        assert_eq!(tally.buckets[BUCKETS - 2..], [1, 2]);
        for (nanoseconds, seconds) in BOUNDS {
            let bound = Duration::from_nanos(nanoseconds).as_secs_f64();
            assert!((bound - seconds).abs() < 1e-12, "{nanoseconds} {seconds}");
        }
    }

    #[test]
    fn parts_of_all_are_read_off_the_bounds() {
        let durations = Durations::default();
        assert_eq!(durations.tally().within(0.5), None);
        for _ in 0..95 {
            durations.observe(Duration::from_micros(80));
        }
        let before = durations.tally();
        for _ in 0..5 {
            durations.observe(Duration::from_secs(100));
        }
        let tally = durations.tally();
        assert_eq!(tally.within(0.95), Some(Duration::from_micros(100)));
        assert_eq!(tally.within(0.96), Some(Duration::from_secs(60)));
        assert_eq!(tally.since(&before).count(), 5);
        assert_eq!(tally.since(&before).within(0.5), Some(Duration::from_secs(60)));
        assert_eq!(tally.since(&before).plus(&before), tally);
    }
}
