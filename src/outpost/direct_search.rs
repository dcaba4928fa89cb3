//! What a search at a provider in direct search mode waits for, before it is answered from the directory in memory as any other.
//! Knows the settings and counts what came of it; must not know how authentik is asked.

use std::future::Future;
use std::sync::Arc;

use crate::config::{DirectSearch, DirectSearchConfig};
use crate::metrics::{DirectSearchOutcome, Metrics};

use super::outage::Outage;
use super::provider::Provider;
use super::refresh::direct::{DirectLooks, LookAwaited};

/// Has authentik asked before searches are answered.
pub(super) struct DirectSearches {
    looks: Arc<DirectLooks>,
    outage: Arc<Outage>,
    metrics: Arc<Metrics>,
}

impl DirectSearches {
    pub(super) fn new(looks: Arc<DirectLooks>, outage: Arc<Outage>, metrics: Arc<Metrics>) -> Self {
        Self {
            looks,
            outage,
            metrics,
        }
    }

    /// What a search at this provider waits for: whether it may be answered then. `None`: it need not wait.
    pub(super) fn before(
        &self,
        provider: &Provider,
    ) -> Option<impl Future<Output = bool> + Send + 'static + use<>> {
        if !provider.searches_directly() {
            return None;
        }
        let DirectSearchConfig {
            mode,
            max_age,
            patience,
        } = provider.config().direct_search;
        if mode == DirectSearch::Fresh {
            let outcome = if self.outage.under_way().is_some() {
                Some(DirectSearchOutcome::Away)
            } else if self.looks.is_recent(max_age) {
                Some(DirectSearchOutcome::Recent)
            } else {
                None
            };
            if let Some(outcome) = outcome {
                self.metrics.direct_search(outcome);
                return None;
            }
        }
        let (looks, metrics) = (Arc::clone(&self.looks), Arc::clone(&self.metrics));
        Some(async move {
            let outcome = match mode {
                DirectSearch::Fresh => match looks.fresh(max_age, patience).await {
                    LookAwaited::Looked => DirectSearchOutcome::Looked,
                    LookAwaited::Failed => DirectSearchOutcome::Away,
                    LookAwaited::Late => DirectSearchOutcome::Late,
                },
                DirectSearch::Live => match looks.live().await {
                    LookAwaited::Looked => DirectSearchOutcome::Confirmed,
                    LookAwaited::Failed | LookAwaited::Late => DirectSearchOutcome::Unavailable,
                },
            };
            metrics.direct_search(outcome);
            outcome != DirectSearchOutcome::Unavailable
        })
    }
}
