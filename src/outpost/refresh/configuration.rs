//! Keeps up with what authentik configures: the outpost's own settings, its providers and their certificates. Must not know
//! users and groups.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::{LogLevel, ProviderConfigs};
use crate::logging::LogControl;
use crate::metrics::{Metrics, RefreshKind, RefreshOutcome};
use crate::outpost::certificates::CertificateTable;
use crate::outpost::outage::Outage;
use crate::outpost::outpost_uuid::OutpostUuid;
use crate::outpost::providers::Providers;
use crate::outpost::release::KnownRelease;
use crate::outpost::snapshot_file::SnapshotFile;
use crate::outpost::status::Status;
use akldap_authentik::{ApiError, Client, LdapProvider};

use super::failure::FailedRefresh;
use super::requests::RefreshRequests;
use super::schedule::{BACKOFF, Schedule};
use super::user_fetch::UserFetch;

/// How long what is asked for may take before it is asked for again: without a configuration nobody can bind, and a request that hangs
/// must not hold it up. Doubles with each failure, so that a slow answer is had in the end.
const PATIENCE: Duration = Duration::from_secs(20);
/// Failures after which that does not become longer: a request has a limit of its own.
const MAX_DOUBLINGS: u32 = 5;

/// What the configuration is read by, and where it goes.
pub(in crate::outpost) struct ConfigurationRefresh {
    pub(in crate::outpost) client: Client,
    pub(in crate::outpost) uuid: Arc<OutpostUuid>,
    pub(in crate::outpost) release: Arc<KnownRelease>,
    pub(in crate::outpost) providers: Arc<Providers>,
    /// Puts the directory into the shapes that providers have.
    pub(in crate::outpost) users: Arc<UserFetch>,
    pub(in crate::outpost) certificates: Arc<CertificateTable>,
    pub(in crate::outpost) schedule: Arc<Schedule>,
    pub(in crate::outpost) requests: Arc<RefreshRequests>,
    pub(in crate::outpost) outage: Arc<Outage>,
    pub(in crate::outpost) status: Arc<Status>,
    pub(in crate::outpost) metrics: Arc<Metrics>,
    pub(in crate::outpost) log: Option<LogControl>,
    pub(in crate::outpost) snapshot_file: Option<Arc<SnapshotFile>>,
    /// Held while other providers are served, which takes more than one step.
    pub(in crate::outpost) changing: Mutex<()>,
}

impl ConfigurationRefresh {
    /// Keeps the configuration up to date until shutdown.
    pub(super) async fn run(&self, shutdown: &CancellationToken) {
        let mut failures = 0;
        loop {
            let began = Instant::now();
            let loaded = self.load(PATIENCE * (1 << failures.min(MAX_DOUBLINGS))).await;
            let outcome = match loaded {
                Ok(()) => RefreshOutcome::Done,
                Err(_) => RefreshOutcome::Failed,
            };
            self.metrics
                .authentik()
                .refreshed(RefreshKind::Configuration, outcome, began.elapsed());
            let wait = match loaded {
                Ok(()) => {
                    failures = 0;
                    self.status.configuration_loaded(self.client.time_of_day());
                    if let Some(file) = &self.snapshot_file {
                        file.note_load();
                    }
                    self.schedule.interval()
                }
                Err(error) => {
                    let wait = BACKOFF
                        .wait(failures, fastrand::f64())
                        .max(error.retry_after().unwrap_or_default());
                    failures += 1;
                    let failure = FailedRefresh {
                        what: "the outpost's configuration",
                        error: &error,
                        hint: error.hint(),
                        wait,
                        failures,
                    };
                    failure.tell(&self.outage);
                    self.status.configuration_failed(error.to_string());
                    wait
                }
            };
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = self.requests.for_configuration() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Reads it, with so much time for each thing that is asked for.
    async fn load(&self, patience: Duration) -> Result<(), ApiError> {
        let choice = within(patience, "outposts/instances/", self.client.outpost()).await?;
        if let Some(advice) = choice.advice() {
            tracing::warn!("{advice}");
        }
        let own = &choice.outpost;
        if let Some(log) = &self.log
            && own.managed.is_none()
            && own.log_level().is_some()
        {
            replace_level(log, LogLevel::from_outpost(own.log_level()));
        }
        self.schedule.set_interval(own.refresh_interval_s);
        self.metrics.set_outpost_name(&own.name);
        self.providers.renew_unclaimed();
        self.uuid.learn(&own.pk, &own.name);
        self.release.learn(patience).await;
        let (settings, warnings) = within(patience, "outposts/ldap/", self.client.ldap_providers()).await?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        self.serve(|| settings).await;
        let providers = self.providers.current().clone();
        self.certificates.refresh(&self.client, &providers).await;
        Ok(())
    }

    /// Applies these settings of ours to the current providers from now on. Returns whether they differ from those before.
    pub(in crate::outpost) async fn reconfigure(&self, configs: &ProviderConfigs) -> bool {
        let differ = self.providers.configure(configs);
        if differ && !self.providers.current().is_empty() {
            let current = || {
                let providers = self.providers.current();
                providers
                    .iter()
                    .map(|provider| provider.settings().clone())
                    .collect()
            };
            self.serve(current).await;
        }
        differ
    }

    /// Serves providers, each in its shape.
    async fn serve(&self, settings: impl FnOnce() -> Vec<LdapProvider>) {
        let _changing = self.changing.lock().await;
        let table = self.providers.prepare(settings());
        let (before, next) = (self.providers.current().shapes(), table.shapes());
        // A provider must not lack its directory while that is put into the new shape.
        let new = next.iter().filter(|shape| !before.contains(shape));
        let all = before.iter().chain(new).cloned().collect();
        self.users.serve_in(all).await;
        self.providers.install(table);
        self.users.serve_in(next).await;
    }
}

/// What a call leads to, if it has ended by then.
async fn within<T>(
    limit: Duration,
    what: &str,
    call: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    timeout(limit, call).await.unwrap_or_else(|_| {
        Err(ApiError::TimedOut {
            url: what.to_owned(),
            after: limit,
        })
    })
}

/// Sets the level, and says so while lines at info are written: before it is raised, or after it was lowered.
fn replace_level(log: &LogControl, level: LogLevel) {
    let before = log.level();
    let tell = || {
        tracing::info!(
            from = before.as_str(),
            to = level.as_str(),
            "the log level in the outpost's configuration in authentik replaces AUTHENTIK_LOG_LEVEL"
        );
    };
    if level > before {
        tell();
    }
    log.set_level(level);
    if level < before {
        tell();
    }
}
