//! What is counted about binds besides their number: the cache, and turns at authentik. Must not know who
//! binds.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::words::{WordCounts, words};

words! {
    /// What the cache knew about a bind.
    CacheLookup as "outcome" {
        /// An equal one succeeded, and is still valid.
        Hit = "hit",
        /// The same, past its age, while authentik cannot be asked.
        OutageHit = "outage_hit",
        /// An equal one was refused a moment ago.
        Refusal = "refusal",
        /// An equal one succeeded, and authentik is asked whether it is still valid.
        Doubtful = "doubtful",
        /// Nothing.
        Miss = "miss",
    }
}

words! {
    /// Why a bind left the cache.
    CacheEviction as "reason" {
        /// It reached its age.
        Expired = "expired",
        /// Others took its place.
        Full = "full",
        /// The same was proved again.
        Replaced = "replaced",
        /// The user, the password or the name changed.
        UserChanged = "user_changed",
        /// Its session or access ended.
        LoginOver = "login_over",
        /// It was disproved, or a change came between.
        Disproved = "disproved",
        /// All were dropped.
        Cleared = "cleared",
        /// It was kept for an outage that is over.
        OutageOver = "outage_over",
    }
}

/// Turns at authentik, at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Turns {
    /// Binds that wait.
    pub waiting: usize,
    /// How long the first one has waited.
    pub oldest: Duration,
    /// Flows under way.
    pub running: usize,
}

/// The cache and the turns. Clones share their counts.
#[derive(Debug, Clone, Default)]
pub struct BindMetrics {
    lookups: WordCounts<CacheLookup>,
    evictions: WordCounts<CacheEviction>,
    cached: Gauge<u64, AtomicU64>,
    waiting: Gauge,
    oldest: Gauge<f64, AtomicU64>,
    running: Gauge,
}

impl BindMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "akldap_bind_cache_lookups",
            "Binds in cached mode, by what the cache knew about them",
            self.lookups.clone(),
        );
        registry.register(
            "akldap_bind_cache_evictions",
            "Binds that left the cache, by reason",
            self.evictions.clone(),
        );
        registry.register(
            "akldap_bind_cache_entries",
            "Binds in the cache",
            self.cached.clone(),
        );
        registry.register(
            "akldap_turns_waiting",
            "Binds that wait for their turn at authentik",
            self.waiting.clone(),
        );
        registry.register(
            "akldap_turns_oldest_wait_seconds",
            "Seconds that the longest-waiting bind has waited",
            self.oldest.clone(),
        );
        registry.register(
            "akldap_turns_running",
            "Flows running at authentik for binds",
            self.running.clone(),
        );
    }

    /// Counts a bind that was looked up.
    pub fn looked_up(&self, outcome: CacheLookup) {
        self.lookups.inc(outcome);
    }

    /// How many were looked up with this outcome.
    #[must_use]
    pub fn lookups(&self, outcome: CacheLookup) -> u64 {
        self.lookups.get(outcome)
    }

    /// The share of the lookups that the cache answered; `None`: there were none.
    #[must_use]
    pub fn answered_part(&self) -> Option<f64> {
        let count = |outcome| self.lookups.get(outcome);
        let answered = count(CacheLookup::Hit) + count(CacheLookup::OutageHit) + count(CacheLookup::Refusal);
        let all = self.lookups.total();
        #[expect(clippy::cast_precision_loss, reason = "a part to be looked at")]
        (all > 0).then(|| answered as f64 / all as f64)
    }

    /// Counts a bind that left the cache.
    pub fn evicted(&self, reason: CacheEviction) {
        self.evictions.inc(reason);
    }

    /// Records how many binds the cache holds.
    pub fn set_cached(&self, binds: u64) {
        self.cached.set(binds);
    }

    /// Records the current turns.
    pub fn set_turns(&self, turns: Turns) {
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.waiting.set(count(turns.waiting));
        self.oldest.set(turns.oldest.as_secs_f64());
        self.running.set(count(turns.running));
    }
}
