//! What the log says about a refresh that failed. Must not know what is done about it.

use std::fmt::Display;
use std::time::Duration;

use crate::outpost::outage::Outage;

/// A refresh that failed and is tried again.
pub(super) struct FailedRefresh<'a> {
    /// What could not be loaded.
    pub(super) what: &'static str,
    pub(super) error: &'a dyn Display,
    pub(super) hint: &'a str,
    /// Until the next try.
    pub(super) wait: Duration,
    /// Tries that failed in a row.
    pub(super) failures: u32,
}

impl FailedRefresh<'_> {
    /// Tries follow each other closely; log lines need not, and an outage is logged once for all of
    /// them.
    pub(super) fn tell(&self, outage: &Outage) {
        let Self {
            what,
            error,
            hint,
            wait,
            failures,
        } = self;
        let retry_s = wait.as_secs_f64();
        if *failures == 1 || (failures.is_power_of_two() && outage.under_way().is_none()) {
            tracing::warn!(%error, hint, retry_s, failures, "cannot load {what} from authentik; trying again");
        } else {
            tracing::debug!(%error, hint, retry_s, failures, "cannot load {what} from authentik; trying again");
        }
    }
}
