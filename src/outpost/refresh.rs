//! Keeps up with authentik: the outpost's configuration, providers and certificates in one loop, the directory in
//! another, flow warm-ups in a third. Each has its own back-off, and the failure of one never delays another.
//!
//! A directory is installed whole or not at all. Must not know LDAP.

mod assembly;
mod deletions;
mod group_list;
mod load;
mod miss;
mod observation;
mod records;
mod settling;
mod source;
mod warnings;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, LogLevel};
use akldap_authentik::paging::ScanOptions;
use akldap_authentik::{ApiError, Backoff, LdapProvider};
use akldap_directory::CustomPolicy;
use akldap_directory::rootdse::Reader;

use super::providers::{Provider, ProviderTable};
use super::{Outpost, access::Ending};
use load::{Extent, LoadError, Loader, Reading};
pub(super) use miss::Misses;

/// Between refreshes when the outpost's configuration names no time, as authentik's default says.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(300);
/// The shortest time between refreshes, as in the official outpost.
const MIN_INTERVAL: Duration = Duration::from_secs(30);
/// The waits after failures. They stay short: what is asked then is one page, and an outage ends for us when it ends for
/// authentik.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(1));
/// How far refreshes on a timer may come early, as a part of the interval, so that the replicas of an outpost spread.
const EARLIEST: f64 = 0.85;
/// The longest wait after an event, for the same reason. The official outpost waits up to nine seconds.
const EVENT_SPREAD: Duration = Duration::from_millis(200);
/// After an outage of this length everything is read: the database may have been restored from a backup meanwhile,
/// which puts its clocks back.
const LONG_OUTAGE: Duration = Duration::from_secs(600);
/// Room for looks, and for tries that fail, before a directory is called stale.
const STALE_MARGIN: Duration = Duration::from_secs(60);
/// How long authentik keeps a flow's plan if it does not say.
const DEFAULT_FLOW_CACHE: Duration = Duration::from_secs(300);

/// What the loops tell each other.
#[derive(Debug)]
pub(super) struct Pace {
    interval_s: AtomicU64,
    outpost: watch::Sender<Option<String>>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            interval_s: AtomicU64::new(DEFAULT_INTERVAL.as_secs()),
            outpost: watch::Sender::new(None),
        }
    }
}

impl Pace {
    fn interval(&self) -> Duration {
        Duration::from_secs(self.interval_s.load(Ordering::Relaxed))
    }
}

impl Outpost {
    /// The outpost's UUID, once authentik said it.
    pub(super) async fn outpost_uuid(&self) -> String {
        let mut outpost = self.pace.outpost.subscribe();
        loop {
            if let Some(uuid) = outpost.borrow_and_update().clone() {
                return uuid;
            }
            if outpost.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// What the configuration allows of custom attributes.
pub(super) fn custom_policy(config: &Config) -> CustomPolicy {
    // A test compares the two lists of names.
    CustomPolicy::serving(config.served_passwords.iter().copied())
        .unwrap_or_default()
        .with_legal_names(config.legal_attribute_names)
}

/// Starts the loops.
pub(super) fn start(outpost: &Arc<Outpost>, tasks: &TaskTracker, shutdown: &CancellationToken) {
    let configuration = Arc::clone(outpost);
    let stop = shutdown.clone();
    tasks.spawn(async move {
        let mut failures = 0;
        loop {
            let wait = match load_configuration(&configuration).await {
                Ok(()) => {
                    failures = 0;
                    configuration.configuration_loaded();
                    configuration.pace.interval()
                }
                Err(error) => {
                    let wait = BACKOFF
                        .wait(failures, fastrand::f64())
                        .max(error.retry_after().unwrap_or_default());
                    failures += 1;
                    tell_failure(
                        &configuration,
                        "the outpost's configuration",
                        &error,
                        error.hint(),
                        wait,
                        failures,
                    );
                    configuration.status.configuration_failed(error.to_string());
                    wait
                }
            };
            if pause(wait, &configuration.refresh_configuration, &stop)
                .await
                .is_err()
            {
                return;
            }
        }
    });
    let directory = Arc::clone(outpost);
    let stop = shutdown.clone();
    tasks.spawn(async move { follow_directory(&directory, &stop).await });
    let certificates = Arc::clone(&outpost.certificates);
    let stop = shutdown.clone();
    tasks.spawn(async move { certificates.follow_files(stop).await });
    let misses = Arc::clone(outpost);
    let stop = shutdown.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = misses.fetch_wanted_users() => {}
        }
    });
    let warm_up = Arc::clone(outpost);
    let stop = shutdown.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = keep_flows_warm(&warm_up) => {}
        }
    });
}

/// Keeps the directory up to date until shutdown.
async fn follow_directory(outpost: &Outpost, shutdown: &CancellationToken) {
    let mut loader = Loader::default();
    let mut extent = Extent::Full;
    let reading = Reading {
        options: options(outpost),
        page_size: outpost.config.authentik.page_size,
        policy: custom_policy(&outpost.config),
    };
    let (mut failures, mut last_full, mut last_good) = (0, None, Instant::now());
    // Whether there is anything to serve decides nothing here, but a wrong token need not be tried twice.
    tokio::select! {
        () = shutdown.cancelled() => return,
        _ = outpost.outpost_uuid() => {}
    }
    loop {
        let refreshed = tokio::select! {
            () = shutdown.cancelled() => return,
            refreshed = loader.refresh(&outpost.client, outpost, &reading, extent) => refreshed,
        };
        let wait = match refreshed {
            Ok(refreshed) => {
                (failures, last_good) = (0, Instant::now());
                if refreshed.extent == Extent::Full {
                    last_full = Some(last_good);
                }
                let look_s = refreshed.longest_look.as_secs_f64();
                tracing::trace!(extent = ?refreshed.extent, look_s, "looked at the directory");
                outpost.directory_refreshed(refreshed.made);
                extent = Extent::Changes;
                outpost
                    .directory_interval()
                    .mul_f64(EARLIEST + (1.0 - EARLIEST) * fastrand::f64())
            }
            Err(error) => {
                let wait = BACKOFF.wait(failures, fastrand::f64());
                failures += 1;
                let kept = if outpost.snapshot.load().is_some() {
                    "the directory loaded before stays in use"
                } else {
                    "until it is loaded, searches are answered 52"
                };
                tell_failure(outpost, "the directory", &error, kept, wait, failures);
                outpost.status.directory_failed(error.to_string());
                if last_good.elapsed() >= LONG_OUTAGE {
                    extent = Extent::Full;
                }
                wait
            }
        };
        let asked = tokio::select! {
            () = shutdown.cancelled() => return,
            () = outpost.refresh_directory.notified() => Extent::Full,
            () = announced(outpost) => Extent::Changes,
            () = tokio::time::sleep(wait) => Extent::Changes,
        };
        let every = outpost
            .pace
            .interval()
            .saturating_mul(outpost.config.refresh_full_every)
            .mul_f64(EARLIEST);
        let due = last_full.is_none_or(|full: Instant| full.elapsed() >= every);
        extent = extent
            .max(asked)
            .max(if due { Extent::Full } else { Extent::Changes });
    }
}

/// How lists are read.
fn options(outpost: &Outpost) -> ScanOptions {
    let defaults = ScanOptions::default();
    ScanOptions {
        timeout: defaults.timeout.min(outpost.config.authentik.request_timeout),
        ..defaults
    }
}

/// Waits for an event, and a moment longer.
async fn announced(outpost: &Outpost) {
    outpost.update_directory.notified().await;
    tokio::time::sleep(EVENT_SPREAD.mul_f64(fastrand::f64())).await;
}

impl Outpost {
    /// Notes that what is served shows what a look begun at this moment showed, whether or not anything had changed.
    fn directory_refreshed(&self, made: SystemTime) {
        self.status.directory_loaded(made);
        self.metrics.refreshed(SystemTime::now());
        self.metrics.snapshot_read(made, self.stale_after());
        self.binds.directory_read(self.directory_interval());
        self.note_load();
    }

    /// The age from which on the directory served is called stale: what a healthy one never gets to, since it is looked
    /// at once an interval and a look takes seconds. A whole load of a very large one may take longer.
    pub fn stale_after(&self) -> Duration {
        self.directory_interval() * 2 + STALE_MARGIN
    }

    /// The same for the configuration.
    pub fn configuration_stale_after(&self) -> Duration {
        self.pace.interval() * 2 + STALE_MARGIN
    }

    fn directory_interval(&self) -> Duration {
        let interval = self.pace.interval();
        self.config
            .refresh_delta_interval
            .map_or(interval, |delta| delta.min(interval))
    }
}

/// Waits until the time is up or a refresh is asked for; fails at shutdown.
async fn pause(wait: Duration, asked: &Notify, shutdown: &CancellationToken) -> Result<(), ()> {
    tokio::select! {
        () = shutdown.cancelled() => Err(()),
        () = asked.notified() => Ok(()),
        () = tokio::time::sleep(wait) => Ok(()),
    }
}

fn tell_failure(
    outpost: &Outpost,
    what: &str,
    error: &dyn std::fmt::Display,
    hint: &str,
    wait: Duration,
    failures: u32,
) {
    let retry_s = wait.as_secs_f64();
    // Tries follow each other closely; the log need not, and an outage is told for all of them.
    if failures == 1 || (failures.is_power_of_two() && outpost.outage().is_none()) {
        tracing::warn!(%error, hint, retry_s, failures, "cannot load {what} from authentik; trying again");
    } else {
        tracing::debug!(%error, hint, retry_s, failures, "cannot load {what} from authentik; trying again");
    }
}

async fn load_configuration(outpost: &Outpost) -> Result<(), ApiError> {
    let choice = outpost.client.outpost().await?;
    if let Some(advice) = choice.advice() {
        tracing::warn!("{advice}");
    }
    let own = &choice.outpost;
    if let Some(log) = &outpost.log
        && own.managed.is_none()
        && own.log_level().is_some()
    {
        log.set_level(LogLevel::from_outpost(own.log_level()));
    }
    let interval = refresh_interval(own.refresh_interval_s);
    outpost
        .pace
        .interval_s
        .store(interval.as_secs(), Ordering::Relaxed);
    outpost.metrics.set_outpost_name(&own.name);
    outpost.unclaimed.store(Arc::new(outpost.metrics.application("")));
    outpost.pace.outpost.send_if_modified(|known| {
        let changed = known.as_deref() != Some(own.pk.as_str());
        if changed {
            tracing::info!(outpost = own.name, uuid = own.pk, "this is the outpost");
            *known = Some(own.pk.clone());
        }
        changed
    });
    outpost.learn_release().await;
    let (settings, warnings) = outpost.client.ldap_providers().await?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    install_providers(outpost, settings);
    let providers = outpost.providers().clone();
    outpost.certificates.refresh(&outpost.client, &providers).await;
    Ok(())
}

fn install_providers(outpost: &Outpost, settings: Vec<LdapProvider>) {
    let before = outpost.providers().clone();
    let table = provider_table(outpost, &before, settings);
    if table.is_empty() && (!before.is_empty() || !outpost.status.configured()) {
        tracing::warn!(
            "no LDAP provider is served: assign one with an application to this outpost in authentik"
        );
    }
    let table = Arc::new(table);
    outpost.providers.store(Arc::clone(&table));
    outpost.logins.end_where(|login| {
        table
            .by_pk(login.provider().pk())
            .is_none()
            .then_some(Ending::AccessLost)
    });
    outpost.logins.withhold(|login| {
        let pk = login.provider().pk();
        match (before.by_pk(pk), table.by_pk(pk)) {
            (Some(before), Some(now)) => !Arc::ptr_eq(&before, &now),
            (None, now) => now.is_some(),
            (Some(_), None) => false,
        }
    });
}

/// Serves providers that an earlier process read, unless authentik has named some already.
pub(super) fn restore_providers(outpost: &Outpost, settings: Vec<LdapProvider>, read: SystemTime) -> bool {
    let before = outpost.providers().clone();
    if outpost.status.configured() || !before.is_empty() {
        return false;
    }
    let table = Arc::new(provider_table(outpost, &before, settings));
    let found = outpost.providers.compare_and_swap(&before, table);
    let restored = Arc::ptr_eq(&found, &before);
    if restored {
        outpost.status.configuration_restored(read);
    }
    restored
}

/// A table of these providers; those that have not changed stay the same.
fn provider_table(outpost: &Outpost, before: &ProviderTable, settings: Vec<LdapProvider>) -> ProviderTable {
    let mut providers = Vec::new();
    for settings in settings {
        if let Some(same) = before
            .by_pk(settings.pk)
            .filter(|provider| *provider.settings() == settings)
        {
            providers.push(same);
            continue;
        }
        let (name, base_dn) = (settings.name.clone(), settings.base_dn.clone());
        let root_dse = outpost.root_dse(Some(&base_dn));
        let attributes = root_dse.attributes(Reader::Bound {
            naming_context: &base_dn,
        });
        match Provider::new(settings, &attributes, &outpost.metrics) {
            Ok(provider) => {
                tracing::info!(provider = name, base_dn, "provider loaded");
                if provider.searches_directly() {
                    outpost.note_direct_search(&name);
                }
                providers.push(Arc::new(provider));
            }
            Err(error) => {
                tracing::error!(provider = name, base_dn, %error, "the provider's base DN is malformed: correct it in authentik");
            }
        }
    }
    let (table, clashes) = ProviderTable::new(providers);
    for (first, second) in clashes {
        tracing::warn!(
            "the providers {first:?} and {second:?} have the same base DN: only the first is served"
        );
    }
    table
}

/// authentik keeps the plan of a flow for a while after somebody looked at it; looking regularly saves each bind that
/// work.
async fn keep_flows_warm(outpost: &Outpost) {
    let _ = outpost.outpost_uuid().await;
    loop {
        let mut flows: Vec<String> = outpost
            .providers()
            .iter()
            .map(|provider| provider.settings().bind_flow_slug.clone())
            .collect();
        if flows.is_empty() {
            // The providers are loaded a moment after the outpost is known.
            tokio::time::sleep(BACKOFF.first).await;
            continue;
        }
        let period = match outpost.client.root_config().await {
            Ok(config) if config.cache_timeout_flows > 0 => Duration::from_secs(config.cache_timeout_flows),
            Ok(_) => DEFAULT_FLOW_CACHE,
            Err(error) => {
                tracing::debug!(%error, "authentik's public configuration could not be read");
                DEFAULT_FLOW_CACHE
            }
        };
        flows.sort_unstable();
        flows.dedup();
        for flow in flows {
            if let Err(error) = outpost.warm_up(&flow).await {
                tracing::warn!(flow, %error, hint = error.hint(), "the bind flow cannot be looked at");
            }
        }
        tokio::time::sleep(period).await;
    }
}

/// The time between refreshes for the outpost's `refresh_interval_s`.
fn refresh_interval(seconds: i64) -> Duration {
    match u64::try_from(seconds) {
        Ok(0) | Err(_) => DEFAULT_INTERVAL,
        Ok(seconds) => Duration::from_secs(seconds).max(MIN_INTERVAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_the_outposts_within_reason() {
        for (seconds, expected) in [(-1, 300), (0, 300), (1, 30), (30, 30), (31, 31), (86_400, 86_400)] {
            assert_eq!(
                refresh_interval(seconds),
                Duration::from_secs(expected),
                "{seconds}"
            );
        }
    }
}
