//! Makes authentik plan the providers' bind flows before somebody binds. authentik keeps the plan of a flow for a while
//! after somebody looked at it; looking regularly saves each bind that work. Must not know how flows are run.

use std::sync::Arc;
use std::time::Duration;

use crate::outpost::outpost_uuid::OutpostUuid;
use crate::outpost::providers::Providers;
use akldap_authentik::Client;
use akldap_authentik::flow::Executor;

use super::schedule::BACKOFF;

/// How long authentik keeps a flow's plan if it does not say.
const DEFAULT_FLOW_CACHE: Duration = Duration::from_secs(300);
/// What it takes to look at the flows.
pub(in crate::outpost) struct FlowPlanning {
    pub(in crate::outpost) client: Client,
    pub(in crate::outpost) executor: Arc<Executor>,
    pub(in crate::outpost) providers: Arc<Providers>,
    pub(in crate::outpost) uuid: Arc<OutpostUuid>,
}

impl FlowPlanning {
    /// Looks at the flows for ever.
    pub(super) async fn run(&self) {
        let _ = self.uuid.known().await;
        let mut without_providers = 0_u32;
        loop {
            let mut flows: Vec<String> = self
                .providers
                .current()
                .iter()
                .map(|provider| provider.settings().bind_flow_slug.clone())
                .collect();
            if flows.is_empty() {
                // The providers are loaded a moment after the outpost is known. Waiting for them sends no request, so
                // outposts need not be spread.
                tokio::time::sleep(BACKOFF.wait(without_providers, 0.0)).await;
                without_providers = without_providers.saturating_add(1);
                continue;
            }
            without_providers = 0;
            let period = match self.client.root_config().await {
                Ok(config) if config.cache_timeout_flows > 0 => {
                    Duration::from_secs(config.cache_timeout_flows)
                }
                Ok(_) => DEFAULT_FLOW_CACHE,
                Err(error) => {
                    tracing::debug!(%error, "authentik's public configuration could not be read");
                    DEFAULT_FLOW_CACHE
                }
            };
            flows.sort_unstable();
            flows.dedup();
            for flow in flows {
                if let Err(error) = self.executor.warm_up(&flow).await {
                    tracing::warn!(flow, %error, hint = error.hint(), "the bind flow cannot be read");
                }
            }
            tokio::time::sleep(period).await;
        }
    }
}
