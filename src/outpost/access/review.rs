//! When a login was last judged, and whether it has to be judged again: because time has passed, because an event may
//! have been missed, or because what it was judged by has changed.
//!
//! Knows neither authentik nor a clock: the caller says what time it is.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// After a try without an answer the next one is at least this much later: a client with a good bind is waiting for it.
pub(super) const RETRY: Duration = Duration::from_secs(10);

/// The state of one login. Read at each bind, so there is no lock.
#[derive(Debug)]
pub struct Review {
    epoch: Instant,
    /// Milliseconds from the epoch to the beginning of the last judgement.
    judged: AtomicU64,
    /// The same for the last try that gave no answer.
    tried: AtomicU64,
    /// Reasons for another judgement that came up, and how many of them the last one knew.
    raised: AtomicU64,
    settled: AtomicU64,
    /// Nobody may be let in before that judgement.
    withheld: AtomicBool,
    /// Bound somebody since the last judgement.
    used: AtomicBool,
    /// Connections bound by it.
    connections: AtomicUsize,
}

/// A judgement under way: which reasons it was made for.
#[derive(Clone, Copy, Debug)]
pub struct Judgement {
    raised: u64,
    began: Instant,
}

impl Review {
    /// Judged just now.
    pub fn new(now: Instant) -> Self {
        Self {
            epoch: now,
            judged: AtomicU64::new(0),
            tried: AtomicU64::new(0),
            raised: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            withheld: AtomicBool::new(false),
            used: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
        }
    }

    /// Time since the last judgement.
    pub fn age(&self, now: Instant) -> Duration {
        self.since(&self.judged, now)
    }

    /// Whether it must be judged before it binds anybody: it is older than `interval`, or what it was judged by is known
    /// to have changed. `None`: age does not count.
    #[inline]
    pub fn is_doubtful(&self, now: Instant, interval: Option<Duration>) -> bool {
        let old = interval.is_some_and(|interval| self.age(now) > interval && !self.was_tried(now, interval));
        old || self.is_withheld()
    }

    /// Whether the last try without an answer is so recent that another is not worthwhile.
    pub fn was_tried(&self, now: Instant, interval: Duration) -> bool {
        self.tried.load(Ordering::Relaxed) > 0 && self.since(&self.tried, now) < RETRY.min(interval / 2)
    }

    /// Whether nobody may be let in before the next judgement.
    pub fn is_withheld(&self) -> bool {
        self.withheld.load(Ordering::Acquire) && self.is_due()
    }

    /// Whether there is a reason for a judgement at once.
    pub fn is_due(&self) -> bool {
        self.raised.load(Ordering::Acquire) != self.settled.load(Ordering::Acquire)
    }

    /// Its end may have been missed: it must be judged soon.
    pub fn ask(&self) {
        self.raised.fetch_add(1, Ordering::AcqRel);
    }

    /// What it was judged by has changed: it must be judged soon, and before it binds anybody.
    pub fn withhold(&self) {
        self.withheld.store(true, Ordering::Release);
        self.ask();
    }

    /// Begins a judgement.
    pub fn begin(&self, now: Instant) -> Judgement {
        self.used.store(false, Ordering::Relaxed);
        Judgement {
            raised: self.raised.load(Ordering::Acquire),
            began: now,
        }
    }

    /// The judgement was that the login is valid. What came up meanwhile needs another one.
    pub fn holds(&self, judgement: Judgement) {
        self.judged
            .fetch_max(self.millis(judgement.began), Ordering::AcqRel);
        self.settled.fetch_max(judgement.raised, Ordering::AcqRel);
    }

    /// No judgement could be had.
    pub fn unclear(&self, now: Instant) {
        self.used.store(true, Ordering::Relaxed);
        self.tried.fetch_max(self.millis(now).max(1), Ordering::Relaxed);
    }

    /// A bind was answered with it.
    pub fn note_use(&self) {
        self.used.store(true, Ordering::Relaxed);
    }

    /// A connection is bound by it.
    pub fn connect(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// That connection is gone.
    pub fn disconnect(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether a connection is bound by it, or was bound by it since the last judgement.
    pub fn is_in_use(&self) -> bool {
        self.connections.load(Ordering::Relaxed) > 0 || self.used.load(Ordering::Relaxed)
    }

    fn since(&self, point: &AtomicU64, now: Instant) -> Duration {
        let point = Duration::from_millis(point.load(Ordering::Relaxed));
        now.saturating_duration_since(self.epoch).saturating_sub(point)
    }

    fn millis(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.epoch);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Option<Duration> = Some(Duration::from_secs(300));

    #[test]
    fn a_judgement_counts_from_its_beginning_and_for_what_it_knew() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let review = Review::new(start);
        assert!(!review.is_doubtful(at(300), INTERVAL) && review.is_doubtful(at(301), INTERVAL));
        assert!(!review.is_doubtful(at(1_000_000), None));
        let judgement = review.begin(at(301));
        // What it was judged by changes while authentik is asked.
        review.withhold();
        review.holds(judgement);
        assert!(review.is_doubtful(at(302), INTERVAL) && review.is_doubtful(at(302), None));
        review.holds(review.begin(at(302)));
        assert!(!review.is_doubtful(at(602), INTERVAL) && review.is_doubtful(at(603), INTERVAL));
        // A slow answer does not override a later one.
        let (early, late) = (review.begin(at(700)), review.begin(at(710)));
        review.holds(late);
        review.holds(early);
        assert_eq!(review.age(at(710)), Duration::ZERO);
    }

    #[test]
    fn a_missed_event_asks_for_a_judgement_and_stops_nobody() {
        let start = Instant::now();
        let review = Review::new(start);
        review.ask();
        assert!(review.is_due() && !review.is_doubtful(start, INTERVAL));
        review.holds(review.begin(start));
        assert!(!review.is_due());
    }

    #[test]
    fn what_could_not_be_judged_is_tried_again_after_a_while() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let review = Review::new(start);
        review.unclear(at(400));
        assert!(!review.is_doubtful(at(409), INTERVAL) && review.is_doubtful(at(410), INTERVAL));
        assert!(!review.is_doubtful(at(401), Some(Duration::from_secs(4))));
        assert!(review.is_doubtful(at(402), Some(Duration::from_secs(4))));
    }

    #[test]
    fn in_use_is_who_is_connected_or_was_bound_since() {
        let now = Instant::now();
        let review = Review::new(now);
        assert!(!review.is_in_use());
        review.note_use();
        assert!(review.is_in_use());
        review.begin(now);
        assert!(!review.is_in_use());
        review.connect();
        review.begin(now);
        assert!(review.is_in_use());
        review.disconnect();
        assert!(!review.is_in_use());
    }
}
