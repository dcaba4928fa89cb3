//! The parts of an outpost, and which of them needs which. Must not know what they do with each other.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::{BindConfig, ProviderConfigs, TlsFiles};
use crate::logging::LogControl;
use crate::metrics::Metrics;
use akldap_authentik::flow::Executor;
use akldap_authentik::{Client, Settings};

use super::access::{Logins, UnneededSession};
use super::bind::Binds;
use super::bind::cache::BindCache;
use super::bind::parts::BindParts;
use super::call_timings::CallTimings;
use super::capabilities::Capabilities;
use super::certificates::CertificateTable;
use super::direct_search::DirectSearches;
use super::directory::CurrentDirectory;
use super::error::OutpostError;
use super::events::EventFollower;
use super::outage::Outage;
use super::outpost_uuid::OutpostUuid;
use super::outside::Outside;
use super::password::PasswordParts;
use super::providers::Providers;
use super::refresh::configuration::ConfigurationRefresh;
use super::refresh::confirmation::Confirmations;
use super::refresh::direct::DirectLooks;
use super::refresh::flows::FlowPlanning;
use super::refresh::requests::RefreshRequests;
use super::refresh::schedule::Schedule;
use super::refresh::user_fetch::UserFetch;
use super::refresh::{DirectoryRefresh, DirectorySettings};
use super::release::KnownRelease;
use super::right_of_way::RightOfWay;
use super::snapshot_file::SnapshotFile;
use super::snapshot_file::task::SnapshotFileTask;
use super::status::Status;

/// The parts.
pub(super) struct Parts {
    pub(super) client: Client,
    executor: Arc<Executor>,
    uuid: Arc<OutpostUuid>,
    release: Arc<KnownRelease>,
    pub(super) providers: Arc<Providers>,
    pub(super) directory: Arc<CurrentDirectory>,
    pub(super) users: Arc<UserFetch>,
    logins: Arc<Logins>,
    cache: Arc<BindCache>,
    pub(super) certificates: Arc<CertificateTable>,
    pub(super) requests: Arc<RefreshRequests>,
    direct: Arc<DirectLooks>,
    pub(super) schedule: Arc<Schedule>,
    pub(super) outage: Arc<Outage>,
    right_of_way: Arc<RightOfWay>,
    pub(super) status: Arc<Status>,
    pub(super) metrics: Arc<Metrics>,
    /// Cancelled once the snapshot file was read, or need not be.
    pub(super) file_read: CancellationToken,
}

/// What the parts are told at start.
pub(super) struct PartSettings<'a> {
    /// How authentik is reached.
    pub(super) client: Settings,
    pub(super) certificate_files: Option<&'a TlsFiles>,
    pub(super) bind: &'a BindConfig,
    pub(super) providers: ProviderConfigs,
    /// Extra refreshes between those the outpost's configuration asks for. `None`: no extra ones.
    pub(super) refresh_delta_interval: Option<Duration>,
}

impl Parts {
    /// Sessions that nobody needs any more are put into `unneeded`.
    pub(super) fn new(
        settings: PartSettings<'_>,
        capabilities: Arc<Capabilities>,
        metrics: Arc<Metrics>,
        unneeded: mpsc::Sender<UnneededSession>,
        outside: Outside,
    ) -> Result<Self, OutpostError> {
        let timings = Arc::new(CallTimings(Arc::clone(&metrics)));
        let mut reached = settings.client;
        reached.time_of_day = outside.time_of_day;
        reached.call_observer = Some(Arc::clone(&timings) as _);
        let client = match outside.transport {
            Some(transport) => Client::over(transport, reached)?,
            None => Client::new(reached)?,
        };
        let executor = Executor::new(client.clone(), timings);
        let status = Arc::new(Status::default());
        let requests = Arc::new(RefreshRequests::default());
        let file_read = CancellationToken::new();
        let certificates = CertificateTable::new(settings.certificate_files)?;
        let release = KnownRelease::new(client.clone(), settings.bind.mfa_second_try);
        let logins = Arc::new(Logins::new(unneeded, outside.time_of_day));
        let cache = Arc::new(BindCache::new(
            settings.bind,
            metrics.binds().clone(),
            metrics.directory_damage(),
        ));
        let providers = Providers::new(
            settings.providers,
            capabilities,
            Arc::clone(&logins),
            Arc::clone(&status),
            Arc::clone(&metrics),
        );
        let directory = Arc::new(CurrentDirectory::new(
            Arc::clone(&logins),
            Arc::clone(&cache),
            Arc::clone(&status),
            Arc::clone(&metrics),
        ));
        let outage = Outage::new(
            client.clone(),
            Arc::clone(&requests),
            file_read.clone(),
            Arc::clone(&status),
            Arc::clone(&metrics),
        );
        let users = UserFetch::new(client.clone(), Arc::clone(&directory));
        Ok(Self {
            client,
            executor: Arc::new(executor),
            uuid: Arc::default(),
            release: Arc::new(release),
            providers: Arc::new(providers),
            directory,
            users: Arc::new(users),
            logins,
            cache,
            certificates: Arc::new(certificates),
            requests,
            direct: Arc::default(),
            schedule: Arc::new(Schedule::new(settings.refresh_delta_interval)),
            outage: Arc::new(outage),
            right_of_way: Arc::default(),
            status,
            metrics,
            file_read,
        })
    }

    /// How many binds are kept.
    pub(super) fn cached_binds(&self) -> u64 {
        self.cache.count()
    }

    /// What binds need.
    pub(super) fn of_binds(&self) -> BindParts {
        BindParts {
            client: self.client.clone(),
            executor: Arc::clone(&self.executor),
            release: Arc::clone(&self.release),
            providers: Arc::clone(&self.providers),
            directory: Arc::clone(&self.directory),
            users: Arc::clone(&self.users),
            logins: Arc::clone(&self.logins),
            cache: Arc::clone(&self.cache),
            outage: Arc::clone(&self.outage),
            right_of_way: Arc::clone(&self.right_of_way),
            status: Arc::clone(&self.status),
            metrics: Arc::clone(&self.metrics),
        }
    }

    /// What password changes need.
    pub(super) fn of_passwords(&self, binds: &Binds) -> PasswordParts {
        PasswordParts {
            client: self.client.clone(),
            executor: Arc::clone(&self.executor),
            judge: Arc::clone(binds.judge()),
            release: Arc::clone(&self.release),
            logins: Arc::clone(&self.logins),
            cache: Arc::clone(&self.cache),
            directory: Arc::clone(&self.directory),
            providers: Arc::clone(&self.providers),
        }
    }

    /// What keeps up with the configuration.
    pub(super) fn configuration_refresh(
        &self,
        log: Option<LogControl>,
        snapshot_file: Option<Arc<SnapshotFile>>,
    ) -> ConfigurationRefresh {
        ConfigurationRefresh {
            client: self.client.clone(),
            uuid: Arc::clone(&self.uuid),
            release: Arc::clone(&self.release),
            providers: Arc::clone(&self.providers),
            users: Arc::clone(&self.users),
            certificates: Arc::clone(&self.certificates),
            schedule: Arc::clone(&self.schedule),
            requests: Arc::clone(&self.requests),
            outage: Arc::clone(&self.outage),
            status: Arc::clone(&self.status),
            metrics: Arc::clone(&self.metrics),
            log,
            snapshot_file,
            changing: Mutex::default(),
        }
    }

    /// What keeps up with users and groups.
    pub(super) fn directory_refresh(
        &self,
        settings: DirectorySettings,
        snapshot_file: Option<Arc<SnapshotFile>>,
    ) -> DirectoryRefresh {
        DirectoryRefresh {
            client: self.client.clone(),
            uuid: Arc::clone(&self.uuid),
            directory: Arc::clone(&self.directory),
            users: Arc::clone(&self.users),
            cached_binds: Arc::clone(&self.cache),
            schedule: Arc::clone(&self.schedule),
            requests: Arc::clone(&self.requests),
            direct: Arc::clone(&self.direct),
            outage: Arc::clone(&self.outage),
            right_of_way: Arc::clone(&self.right_of_way),
            status: Arc::clone(&self.status),
            metrics: Arc::clone(&self.metrics),
            snapshot_file,
            settings,
        }
    }

    /// What makes authentik be asked before searches.
    pub(super) fn direct_searches(&self) -> DirectSearches {
        DirectSearches::new(
            Arc::clone(&self.direct),
            Arc::new(Confirmations::new(Arc::clone(&self.users))),
            Arc::clone(&self.outage),
            Arc::clone(&self.metrics),
        )
    }

    /// What gets flows planned.
    pub(super) fn flow_planning(&self) -> FlowPlanning {
        FlowPlanning {
            client: self.client.clone(),
            executor: Arc::clone(&self.executor),
            providers: Arc::clone(&self.providers),
            uuid: Arc::clone(&self.uuid),
        }
    }

    /// What follows authentik's events, as this `instance` of this `build`.
    pub(super) fn event_follower(&self, instance: Uuid, build: String) -> EventFollower {
        EventFollower {
            client: self.client.clone(),
            instance,
            build,
            uuid: Arc::clone(&self.uuid),
            logins: Arc::clone(&self.logins),
            requests: Arc::clone(&self.requests),
            release: Arc::clone(&self.release),
            outage: Arc::clone(&self.outage),
            metrics: Arc::clone(&self.metrics),
        }
    }

    /// What reads and writes the snapshot file.
    pub(super) fn snapshot_file_task(&self, file: Arc<SnapshotFile>) -> SnapshotFileTask {
        SnapshotFileTask {
            file,
            client: self.client.clone(),
            providers: Arc::clone(&self.providers),
            directory: Arc::clone(&self.directory),
            users: Arc::clone(&self.users),
            status: Arc::clone(&self.status),
        }
    }
}
