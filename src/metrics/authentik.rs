//! What is counted about authentik: calls by endpoint and status, and refreshes. Must not know what is asked, or of
//! whom.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::durations::{DurationTally, Durations};
use super::words::{WordCounts, words};

words! {
    /// What is read from authentik again and again.
    RefreshKind as "kind" {
        /// The outpost's settings, providers and certificates.
        Configuration = "configuration",
        /// What changed in the directory.
        Changes = "changes",
        /// The whole directory.
        Full = "full",
    }
}

words! {
    /// The outcome of a refresh.
    RefreshOutcome as "outcome" {
        /// It succeeded.
        Done = "done",
        /// It failed, and what was served before stays.
        Failed = "failed",
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    endpoint: &'static str,
    status: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefreshLabels {
    kind: RefreshKind,
    outcome: RefreshOutcome,
}

/// Calls and refreshes. Clones share their counts.
#[derive(Debug, Clone)]
pub struct AuthentikMetrics {
    reachable: Gauge,
    calls: Family<CallLabels, Durations>,
    refreshes: Family<RefreshLabels, Durations>,
    rows: WordCounts<RefreshKind>,
    requests: WordCounts<RefreshKind>,
}

impl Default for AuthentikMetrics {
    fn default() -> Self {
        let metrics = Self {
            reachable: Gauge::default(),
            calls: Family::default(),
            refreshes: Family::default(),
            rows: WordCounts::default(),
            requests: WordCounts::default(),
        };
        metrics.reachable.set(1);
        metrics
    }
}

impl AuthentikMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "akldap_authentik_reachable",
            "0 while authentik is known to be unreachable",
            self.reachable.clone(),
        );
        registry.register(
            "akldap_authentik_request_duration_seconds",
            "Seconds a request to authentik took, by endpoint and status",
            self.calls.clone(),
        );
        registry.register(
            "akldap_refresh_duration_seconds",
            "Seconds a refresh took, by kind and outcome",
            self.refreshes.clone(),
        );
        registry.register(
            "akldap_refresh_rows",
            "Rows of users and groups read from authentik",
            self.rows.clone(),
        );
        registry.register(
            "akldap_refresh_requests",
            "Requests made to read the directory",
            self.requests.clone(),
        );
    }

    /// Records whether authentik can be reached.
    pub fn set_reachable(&self, reachable: bool) {
        self.reachable.set(i64::from(reachable));
    }

    /// Counts a request to one of a fixed set of endpoints. `status` is a number or a word for what came instead of one.
    pub fn called(&self, endpoint: &'static str, status: impl Into<String>, took: Duration) {
        let status = status.into();
        self.calls
            .get_or_create(&CallLabels { endpoint, status })
            .observe(took);
    }

    /// Counts a refresh.
    pub fn refreshed(&self, kind: RefreshKind, outcome: RefreshOutcome, took: Duration) {
        self.refreshes
            .get_or_create(&RefreshLabels { kind, outcome })
            .observe(took);
    }

    /// What was counted about refreshes of this kind with this outcome.
    #[must_use]
    pub fn refreshes(&self, kind: RefreshKind, outcome: RefreshOutcome) -> DurationTally {
        let known = self.refreshes.get(&RefreshLabels { kind, outcome });
        known.map_or_else(DurationTally::default, |durations| durations.tally())
    }

    /// Counts what a refresh of the directory read, and with how many requests.
    pub fn read(&self, kind: RefreshKind, rows: u64, requests: u64) {
        self.rows.add(kind, rows);
        self.requests.add(kind, requests);
    }
}
