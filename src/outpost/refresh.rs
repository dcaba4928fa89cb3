//! Keeps up with authentik: the outpost's configuration, providers and certificates in one loop, the directory in
//! another, flow warm-ups in a third. Each has its own back-off, and the failure of one never delays another.
//!
//! A directory is installed whole or not at all. Must not know LDAP.

mod assembly;
pub(super) mod configuration;
pub(super) mod confirmation;
mod counted;
pub(super) mod direct;
mod failure;
pub(super) mod flows;
mod load;
mod miss;
mod oddities;
pub mod records;
pub(super) mod requests;
pub(super) mod schedule;
pub(super) mod user_fetch;
mod watched;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metrics::{Metrics, RefreshKind, RefreshOutcome};
use akldap_authentik::Client;
use akldap_authentik::lists::{ListSource, ScanOptions};
use akldap_directory::CustomPolicy;

use super::bind::cache::BindCache;
use super::directory::CurrentDirectory;
use super::outage::Outage;
use super::outpost_uuid::OutpostUuid;
use super::right_of_way::RightOfWay;
use super::snapshot_file::SnapshotFile;
use super::status::Status;
use configuration::ConfigurationRefresh;
use counted::CountedSource;
use direct::{DirectLooks, LookKind};
use failure::FailedRefresh;
use flows::FlowPlanning;
use load::{Coverage, LoadError, LoadOptions, Loader};
use requests::RefreshRequests;
use schedule::{BACKOFF, Schedule};
use user_fetch::UserFetch;
use watched::Watched;

/// How early timed refreshes may come, as a fraction of the interval, so that the replicas of an outpost spread.
const EARLIEST: f64 = 0.85;
/// The longest wait after an event, for the same reason. The official outpost waits up to nine seconds.
const EVENT_SPREAD: Duration = Duration::from_millis(200);
/// After an outage of this length everything is read: the database may have been restored from a backup meanwhile, which turns
/// its clocks back.
const LONG_OUTAGE: Duration = Duration::from_secs(600);

/// Everything that is read from authentik again and again.
pub(super) struct Refresh {
    pub(super) configuration: Arc<ConfigurationRefresh>,
    pub(super) directory: Arc<DirectoryRefresh>,
    pub(super) flows: Arc<FlowPlanning>,
}

impl Refresh {
    /// Starts the loops.
    pub(super) fn start(&self, tasks: &TaskTracker, shutdown: &CancellationToken) {
        let (configuration, stop) = (Arc::clone(&self.configuration), shutdown.clone());
        tasks.spawn(async move { configuration.run(&stop).await });
        let (directory, stop) = (Arc::clone(&self.directory), shutdown.clone());
        tasks.spawn(async move { directory.run(&stop).await });
        let (flows, stop) = (Arc::clone(&self.flows), shutdown.clone());
        tasks.spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = flows.run() => {}
            }
        });
    }
}

/// What reads the directory, and where it goes.
pub(super) struct DirectoryRefresh {
    pub(super) client: Client,
    pub(super) uuid: Arc<OutpostUuid>,
    pub(super) directory: Arc<CurrentDirectory>,
    /// Installs what was read, with the users that were fetched meanwhile.
    pub(super) users: Arc<UserFetch>,
    pub(super) cached_binds: Arc<BindCache>,
    pub(super) schedule: Arc<Schedule>,
    pub(super) requests: Arc<RefreshRequests>,
    /// Looks that searches wait for.
    pub(super) direct: Arc<DirectLooks>,
    pub(super) outage: Arc<Outage>,
    /// Whoever logs in goes first.
    pub(super) right_of_way: Arc<RightOfWay>,
    pub(super) status: Arc<Status>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) snapshot_file: Option<Arc<SnapshotFile>>,
    pub(super) settings: DirectorySettings,
}

/// How the directory is read.
pub(super) struct DirectorySettings {
    /// Rows per page.
    pub(super) page_size: u32,
    /// How long authentik may take for one.
    pub(super) request_timeout: Duration,
    /// After this many refresh intervals everything is read.
    pub(super) full_every: u32,
    pub(super) policy: CustomPolicy,
}

impl DirectoryRefresh {
    /// Keeps the directory up to date until shutdown.
    pub(super) async fn run(&self, shutdown: &CancellationToken) {
        let mut loader = Loader::default();
        let mut coverage = Coverage::Full;
        let load = self.settings.load(self.client.settings().time_of_day);
        let watched = Watched {
            source: &self.client,
            progress: self.status.load_progress(),
            right_of_way: &self.right_of_way,
        };
        let (mut failures, mut last_full, mut last_good) = (0, None, Instant::now());
        // Whether there is anything to serve does not matter here, but a wrong token need not be tried twice.
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            _ = self.uuid.known() => {}
        }
        loop {
            let (source, began) = (CountedSource::new(&watched), Instant::now());
            let refreshed = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                refreshed = loader.refresh(&source, &*self.users, &load, coverage) => refreshed,
            };
            let done = refreshed.as_ref().ok().map(|refreshed| refreshed.coverage);
            self.count(done, coverage, began.elapsed(), &source);
            let wait = match refreshed {
                Ok(refreshed) => {
                    (failures, last_good) = (0, Instant::now());
                    if refreshed.coverage == Coverage::Full {
                        last_full = Some(last_good);
                    }
                    let look_s = refreshed.longest_look.as_secs_f64();
                    let settled = refreshed.settled;
                    tracing::trace!(coverage = ?refreshed.coverage, look_s, settled, "the directory was read");
                    self.refreshed(refreshed.made);
                    self.direct.looked(began, LookKind::Everything);
                    coverage = Coverage::Changes;
                    self.schedule
                        .directory_interval()
                        .mul_f64(EARLIEST + (1.0 - EARLIEST) * fastrand::f64())
                }
                Err(error) => {
                    let wait = BACKOFF.wait(failures, fastrand::f64());
                    failures += 1;
                    let kept = if self.directory.is_loaded() {
                        "the directory loaded last stays in use"
                    } else {
                        "until it is loaded, searches are answered 52"
                    };
                    let failure = FailedRefresh {
                        what: "the directory",
                        error: &error,
                        hint: kept,
                        wait,
                        failures,
                    };
                    failure.tell(&self.outage);
                    self.direct.failed(began);
                    self.status.directory_failed(error.to_string());
                    if matches!(error, LoadError::Damaged(_)) {
                        self.metrics.directory_damage().met();
                    }
                    if last_good.elapsed() >= LONG_OUTAGE {
                        coverage = Coverage::Full;
                    }
                    wait
                }
            };
            let asked = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                asked = self.asked(&loader, &watched, &load, wait) => asked,
            };
            let every = self
                .schedule
                .interval()
                .saturating_mul(self.settings.full_every)
                .mul_f64(EARLIEST);
            let due = last_full.is_none_or(|full: Instant| full.elapsed() >= every);
            coverage = coverage
                .max(asked)
                .max(if due { Coverage::Full } else { Coverage::Changes });
        }
    }

    /// Counts a refresh: by what it covered if it is `done`, otherwise by what it was meant to cover.
    fn count(
        &self,
        done: Option<Coverage>,
        wanted: Coverage,
        took: Duration,
        source: &CountedSource<'_, Watched<'_, Client>>,
    ) {
        let kind = match done.unwrap_or(wanted) {
            Coverage::Changes => RefreshKind::Changes,
            Coverage::Full => RefreshKind::Full,
        };
        let outcome = match done {
            Some(_) => RefreshOutcome::Done,
            None => RefreshOutcome::Failed,
        };
        let metrics = self.metrics.authentik();
        metrics.refreshed(kind, outcome, took);
        metrics.read(kind, source.rows(), source.requests());
    }

    /// Waits until the directory has to be read, after this time at the latest; returns which part of it. Looks at the users
    /// alone for searches that want it, and goes on waiting if they are unchanged.
    async fn asked(
        &self,
        loader: &Loader,
        source: &impl ListSource,
        load: &LoadOptions,
        wait: Duration,
    ) -> Coverage {
        // One for all rounds: what is announced while users are looked at must not be missed.
        let mut announced = pin!(self.announced());
        let mut due = pin!(tokio::time::sleep(wait));
        loop {
            tokio::select! {
                biased;
                () = self.requests.for_directory() => return Coverage::Full,
                () = &mut announced => return Coverage::Changes,
                () = &mut due => return Coverage::Changes,
                kind = self.direct.wanted() => {
                    let began = Instant::now();
                    if kind == LookKind::Everything {
                        return Coverage::Changes;
                    }
                    match loader.users_stand(source, &*self.users, load).await {
                        Ok(true) => self.direct.looked(began, LookKind::Users),
                        Ok(false) => return Coverage::Changes,
                        Err(error) => {
                            tracing::debug!(%error, "the look that a search was waiting for failed");
                            self.direct.failed(began);
                            return Coverage::Changes;
                        }
                    }
                }
            }
        }
    }

    /// Waits for an event, and a moment longer.
    async fn announced(&self) {
        self.requests.for_changes().await;
        tokio::time::sleep(EVENT_SPREAD.mul_f64(fastrand::f64())).await;
    }

    /// Notes that what is served shows what a look begun at this moment showed, whether or not anything had changed.
    fn refreshed(&self, made: SystemTime) {
        self.status.directory_loaded(made);
        self.metrics.refreshed(self.client.time_of_day());
        self.metrics
            .snapshot_read(made, self.schedule.directory_stale_after());
        let next = self.schedule.directory_interval();
        self.cached_binds.directory_read(crate::clock::now(), next);
        if let Some(file) = &self.snapshot_file {
            file.note_load();
        }
    }
}

impl DirectorySettings {
    fn load(&self, time_of_day: fn() -> SystemTime) -> LoadOptions {
        let defaults = ScanOptions::default();
        LoadOptions {
            scan: ScanOptions {
                timeout: defaults.timeout.min(self.request_timeout),
                time_of_day,
                ..defaults
            },
            page_size: self.page_size,
            policy: self.policy,
        }
    }
}
