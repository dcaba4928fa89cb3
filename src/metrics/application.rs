//! Handles for what is counted of the requests of one application. Must not know how they are answered.

use std::time::{Duration, SystemTime};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

use super::labels::{RejectReason, RejectedLabels, RequestType};
use super::refusals::RefusalTable;

/// Handles for the requests of one application. Cheap to clone and to use.
#[derive(Debug, Clone)]
pub struct ApplicationMetrics {
    pub(super) durations: [Histogram; RequestType::TIMED.len()],
    pub(super) rejected: Family<RejectedLabels, Counter>,
    pub(super) refusals: RefusalTable,
    pub(super) outpost_name: String,
    pub(super) app: String,
}

impl ApplicationMetrics {
    /// Records how long a request took.
    pub fn observe(&self, r#type: RequestType, took: Duration) {
        for (known, histogram) in RequestType::TIMED.iter().zip(&self.durations) {
            if *known == r#type {
                histogram.observe(took.as_secs_f64());
            }
        }
    }

    /// Counts a refused request. Looks the counter up, as refusals are not the hot path.
    pub fn rejected(&self, r#type: RequestType, reason: RejectReason) {
        let labels = RejectedLabels {
            outpost_name: self.outpost_name.clone(),
            r#type,
            reason,
            app: self.app.clone(),
        };
        self.rejected.get_or_create(&labels).inc();
        self.refusals.note(reason, SystemTime::now());
    }
}
