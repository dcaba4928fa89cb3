//! What a search at a provider in direct search mode waits for, before it is answered from the directory in memory as any other.
//! Knows the settings and counts what happened; must not know how authentik is asked.

use std::future::Future;
use std::sync::Arc;

use tokio::time::Instant;

use crate::config::{DirectSearch, DirectSearchConfig};
use crate::metrics::{DirectSearchOutcome, Metrics};
use akldap_directory::Search;

use super::outage::Outage;
use super::provider::Provider;
use super::refresh::confirmation::{Confirmations, MAX_CONFIRMED};
use super::refresh::direct::{DirectLooks, LookAwaited, LookKind};

/// Has authentik asked before searches are answered.
pub(crate) struct DirectSearches {
    looks: Arc<DirectLooks>,
    confirmations: Arc<Confirmations>,
    outage: Arc<Outage>,
    metrics: Arc<Metrics>,
}

/// Work done at a time for a search that has to be confirmed: a fraction of a millisecond.
const WORK: usize = 200_000;

impl DirectSearches {
    pub(super) fn new(
        looks: Arc<DirectLooks>,
        confirmations: Arc<Confirmations>,
        outage: Arc<Outage>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            looks,
            confirmations,
            outage,
            metrics,
        }
    }

    /// What a search at this provider waits for: whether it may be answered then. `None`: it need not wait. Whether it needs
    /// groups is asked only where that matters.
    pub(crate) fn before(
        &self,
        provider: &Provider,
        needs_groups: &dyn Fn() -> bool,
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
        let kind = match mode {
            DirectSearch::Live if needs_groups() => LookKind::Everything,
            DirectSearch::Live | DirectSearch::Fresh => LookKind::Users,
        };
        let (looks, metrics) = (Arc::clone(&self.looks), Arc::clone(&self.metrics));
        Some(async move {
            let outcome = match mode {
                DirectSearch::Fresh => match looks.fresh(max_age, patience).await {
                    LookAwaited::Looked => DirectSearchOutcome::Looked,
                    LookAwaited::Failed => DirectSearchOutcome::Away,
                    LookAwaited::Late => DirectSearchOutcome::Late,
                },
                DirectSearch::Live => match looks.live(kind).await {
                    // Counted when the users it finds are confirmed, too.
                    LookAwaited::Looked => return true,
                    LookAwaited::Failed | LookAwaited::Late => DirectSearchOutcome::Unavailable,
                },
            };
            metrics.direct_search(outcome);
            outcome != DirectSearchOutcome::Unavailable
        })
    }
    /// What else a search waits for, after the look: that authentik confirms the users it finds, if they are few. The search
    /// arrived at this moment. `None`: it need not wait.
    pub(crate) fn confirm(
        &self,
        provider: &Provider,
        search: &dyn Fn() -> Option<Search>,
        arrived: Instant,
    ) -> Option<impl Future<Output = bool> + Send + 'static + use<>> {
        if !provider.searches_directly() || provider.config().direct_search.mode != DirectSearch::Live {
            return None;
        }
        let search = search();
        let (confirmations, metrics) = (Arc::clone(&self.confirmations), Arc::clone(&self.metrics));
        if search.is_none() {
            metrics.direct_search(DirectSearchOutcome::Confirmed);
        }
        let mut search = search?;
        Some(async move {
            let mut users = Vec::new();
            // The search that is answered meets a wrong number as well, and reports it.
            while let Ok(false) = search.note_users(&mut users, MAX_CONFIRMED, WORK) {
                tokio::task::yield_now().await;
            }
            let few = search.entries() <= MAX_CONFIRMED;
            drop(search);
            let confirmed = !few || confirmations.confirm(users, arrived).await;
            metrics.direct_search(match confirmed {
                true => DirectSearchOutcome::Confirmed,
                false => DirectSearchOutcome::Unavailable,
            });
            confirmed
        })
    }
}
