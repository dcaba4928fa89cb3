//! Metrics: the official outpost's families under their official names and labels, and a few of our own that begin with
//! `akldap_`. Knows names, labels and numbers; must not know what causes them. Handles for the hot path are looked up
//! once per provider, because a look-up by label takes a lock.

mod application;
mod authentik;
mod binds;
mod clients;
mod durations;
pub mod exposition;
mod gauge;
mod labels;
mod operations;
mod process;
mod refusals;
mod samples;
mod slow_searches;
mod snapshot;
pub mod words;

#[cfg(test)]
mod page_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

pub use application::ApplicationMetrics;
pub use authentik::{AuthentikMetrics, RefreshKind, RefreshOutcome};
pub use binds::{BindMetrics, CacheEviction, CacheLookup, Turns};
pub use clients::{ClientMetrics, CountedConnection, HandshakeFailure, Limit, Port, Protection};
pub use durations::DurationTally;
use labels::{
    BuildLabels, CertificateLabels, ConnectionLabels, DirectSearchLabels, FlowLabels, LogLabels,
    RejectedLabels, RequestLabels, label_of,
};
pub use labels::{DirectSearchOutcome, OutpostLabels, RejectReason, RequestType};
use operations::Operations;
pub use operations::{LdapOperation, OperationPlan, UNANSWERED};
use process::ProcessCollector;
use refusals::RefusalTable;
pub use refusals::Refusals;
pub use samples::{SAMPLE_INTERVAL, SAMPLES, SampleInterval};
use samples::{Sample, SampleRing};
use slow_searches::SlowSearches;
pub use slow_searches::{SLOW, SlowSearch};
use snapshot::SnapshotCollector;

/// The default buckets of the Go client, in seconds, which the official dashboards expect.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

type FloatGauge = Gauge<f64, AtomicU64>;
type HistogramFamily<L> = Family<L, Histogram, fn() -> Histogram>;

/// Every metric of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    started: SystemTime,
    outpost: Mutex<OutpostLabels>,
    info: Family<OutpostLabels, Gauge>,
    last_update: Family<OutpostLabels, FloatGauge>,
    connection: Family<ConnectionLabels, Gauge>,
    request_duration: HistogramFamily<RequestLabels>,
    requests_rejected: Family<RejectedLabels, Counter>,
    flow_get: HistogramFamily<FlowLabels>,
    flow_post: HistogramFamily<FlowLabels>,
    snapshot: Arc<SnapshotCollector>,
    build_info: Family<BuildLabels, Gauge>,
    operations: Arc<Operations>,
    authentik: AuthentikMetrics,
    binds: BindMetrics,
    certificates: Family<CertificateLabels, Gauge>,
    log_lines_lost: Family<LogLabels, Counter>,
    direct_searches: Family<DirectSearchLabels, Counter>,
    directory_damage: DirectoryDamage,
    template_failures: Counter,
    clients: ClientMetrics,
    refusals: RefusalTable,
    samples: SampleRing,
    slow_searches: SlowSearches,
}

/// How often the directory in memory was found damaged. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct DirectoryDamage(Counter);

impl DirectoryDamage {
    /// Counts once more.
    pub fn met(&self) {
        self.0.inc();
    }

    /// How often so far.
    #[must_use]
    pub fn times(&self) -> u64 {
        self.0.get()
    }
}

impl Metrics {
    /// All families, registered, for the outpost these labels name.
    #[must_use]
    pub fn new(outpost: OutpostLabels) -> Self {
        let metrics = Self {
            registry: Registry::default(),
            started: SystemTime::now(),
            outpost: Mutex::new(outpost.clone()),
            info: Family::default(),
            last_update: Family::default(),
            connection: Family::default(),
            request_duration: HistogramFamily::new_with_constructor(histogram),
            requests_rejected: Family::default(),
            flow_get: HistogramFamily::new_with_constructor(histogram),
            flow_post: HistogramFamily::new_with_constructor(histogram),
            snapshot: Arc::default(),
            build_info: Family::default(),
            operations: Arc::default(),
            authentik: AuthentikMetrics::default(),
            binds: BindMetrics::default(),
            certificates: Family::default(),
            log_lines_lost: Family::default(),
            direct_searches: Family::default(),
            directory_damage: DirectoryDamage::default(),
            template_failures: Counter::default(),
            clients: ClientMetrics::default(),
            refusals: RefusalTable::default(),
            samples: SampleRing::default(),
            slow_searches: SlowSearches::default(),
        };
        metrics.set_log_lines_lost(0, 0);
        metrics.info.get_or_create(&outpost).set(1);
        metrics.connection.get_or_create(&outpost.connection()).set(0);
        let build = BuildLabels::from(&outpost);
        metrics.build_info.get_or_create(&build).set(1);
        for outcome in DirectSearchOutcome::ALL {
            drop(metrics.direct_searches.get_or_create(&outcome.into()));
        }
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register("authentik_outpost_info", "Outpost info", self.info.clone());
        registry.register(
            "authentik_outpost_last_update",
            "Unix time of the last successful refresh",
            self.last_update.clone(),
        );
        registry.register(
            "authentik_outpost_connection",
            "Whether the websocket to authentik is connected",
            self.connection.clone(),
        );
        registry.register(
            "authentik_outpost_ldap_request_duration_seconds",
            "Seconds from the receipt of an LDAP request to the end of its answer",
            self.request_duration.clone(),
        );
        registry.register(
            "authentik_outpost_ldap_requests_rejected",
            "Refused LDAP requests",
            self.requests_rejected.clone(),
        );
        registry.register(
            "authentik_outpost_flow_timing_get_seconds",
            "Seconds a GET request of a flow took",
            self.flow_get.clone(),
        );
        registry.register(
            "authentik_outpost_flow_timing_post_seconds",
            "Seconds a POST request of a flow took",
            self.flow_post.clone(),
        );
        registry.register("akldap_build_info", "What is running", self.build_info.clone());
        self.authentik.register(registry);
        self.binds.register(registry);
        self.clients.register(registry);
        registry.register(
            "akldap_certificate_expiry_timestamp_seconds",
            "Unix time at which a certificate in use expires",
            self.certificates.clone(),
        );
        registry.register(
            "akldap_direct_searches",
            "Searches in direct search mode, by what they were answered from",
            self.direct_searches.clone(),
        );
        registry.register(
            "akldap_log_lines_lost",
            "Log lines lost because the log was not read fast enough",
            self.log_lines_lost.clone(),
        );
        registry.register(
            "akldap_template_failures",
            "Entries for which the template of an attribute failed, once for each directory that was built",
            self.template_failures.clone(),
        );
        registry.register(
            "akldap_directory_damage",
            "Times the directory in memory was found damaged: what was asked was refused, or counted as \
             missing",
            self.directory_damage.0.clone(),
        );
        registry.register_collector(Box::new(Arc::clone(&self.operations)));
        registry.register_collector(Box::new(Arc::clone(&self.snapshot)));
        registry.register_collector(Box::new(ProcessCollector::new()));
        self
    }

    /// Puts the outpost's name, once authentik has given or changed it, into the outpost's own families. Handles from
    /// [`Metrics::application`] keep the name they were made with; make new ones.
    pub fn set_outpost_name(&self, name: &str) {
        let name = label_of(name);
        let mut outpost = self.outpost.lock().unwrap_or_else(PoisonError::into_inner);
        if outpost.outpost_name == name {
            return;
        }
        let before = outpost.clone();
        outpost.outpost_name = name;
        self.info.get_or_create(&outpost).set(1);
        self.info.remove(&before);
        let connected = self.connection.get_or_create(&before.connection()).get();
        self.connection
            .get_or_create(&outpost.connection())
            .set(connected);
        self.connection.remove(&before.connection());
        // Read first: the families' locks are not re-entrant.
        let updated = self.last_update.get(&before).map(|gauge| gauge.get());
        if let Some(updated) = updated {
            self.last_update.get_or_create(&outpost).set(updated);
            self.last_update.remove(&before);
        }
    }

    /// Records a successful refresh at this moment.
    pub fn refreshed(&self, now: SystemTime) {
        let outpost = self.outpost();
        self.last_update.get_or_create(&outpost).set(unix_seconds(now));
    }

    /// Records whether the websocket to authentik is connected.
    pub fn set_connected(&self, connected: bool) {
        self.connection
            .get_or_create(&self.outpost().connection())
            .set(i64::from(connected));
    }

    /// Records how long a GET request of a flow took, by the component that was answered.
    pub fn flow_get(&self, stage: &str, flow: &str, took: Duration) {
        self.flow_get
            .get_or_create(&FlowLabels::new(stage, flow))
            .observe(took.as_secs_f64());
    }

    /// Records how long a POST request of a flow took, by the component that was answered.
    pub fn flow_post(&self, stage: &str, flow: &str, took: Duration) {
        self.flow_post
            .get_or_create(&FlowLabels::new(stage, flow))
            .observe(took.as_secs_f64());
    }

    /// The handles for the requests of one application; `""` for requests outside every provider.
    #[must_use]
    pub fn application(&self, app: &str) -> ApplicationMetrics {
        let outpost_name = self.outpost().outpost_name;
        let app = label_of(app);
        let durations = RequestType::TIMED.map(|r#type| {
            let labels = RequestLabels {
                outpost_name: outpost_name.clone(),
                r#type,
                app: app.clone(),
            };
            self.request_duration.get_or_create_owned(&labels)
        });
        ApplicationMetrics {
            durations,
            rejected: self.requests_rejected.clone(),
            refusals: self.refusals.clone(),
            outpost_name,
            app,
        }
    }

    /// Records an installed snapshot.
    pub fn snapshot_installed(&self, users: usize, groups: usize) {
        self.snapshot.installed(users, groups);
    }

    /// Records that the snapshot shows what authentik held at `made`, and the age from which it is stale.
    pub fn snapshot_read(&self, made: SystemTime, stale_after: Duration) {
        self.snapshot.read(made, Some(stale_after));
    }

    /// Records a snapshot that an earlier process read from authentik at `read`.
    pub fn snapshot_restored(&self, users: usize, groups: usize, read: SystemTime) {
        self.snapshot.installed(users, groups);
        self.snapshot.read(read, None);
    }

    /// Counts an LDAP operation that ended with this result code, [`UNANSWERED`] if it has none.
    pub fn operation(&self, request: RequestType, plan: OperationPlan, code: u8, took: Duration) {
        self.operations.observe(request, plan, code, took);
    }

    /// Counts an LDAP operation whose request was received.
    pub fn operation_begins(&self, operation: LdapOperation) {
        self.operations.begin(operation);
    }

    /// How many operations were received.
    #[must_use]
    pub fn initiated(&self, operation: LdapOperation) -> u64 {
        self.operations.initiated(operation)
    }

    /// How many operations have ended.
    #[must_use]
    pub fn completed(&self, operation: LdapOperation) -> u64 {
        self.operations.completed(operation)
    }

    /// What was refused since the start, by reason, the latest first.
    #[must_use]
    pub fn refusals(&self) -> Vec<Refusals> {
        self.refusals.all()
    }

    /// Keeps a search that took longer than [`SLOW`], if it is among the slowest.
    pub fn slow_search(&self, search: SlowSearch) {
        self.slow_searches.add(search);
    }

    /// The slowest searches of the last hour.
    #[must_use]
    pub fn slow_searches(&self, now: SystemTime) -> Vec<SlowSearch> {
        self.slow_searches.all(now)
    }

    /// Adds a current sample to those of the last half hour.
    pub fn sample(&self, at: Instant) {
        self.samples.push(Sample {
            at,
            searches: self.operations(RequestType::Search),
            binds: self.operations(RequestType::Bind),
            refused: self.refusals().iter().map(|refusals| refusals.count).sum(),
            octets: self.clients.octets_sent(),
        });
    }

    /// What happened between the samples, oldest first.
    #[must_use]
    pub fn intervals(&self) -> Vec<SampleInterval> {
        self.samples.intervals()
    }

    /// When counting began.
    #[must_use]
    pub fn started(&self) -> SystemTime {
        self.started
    }

    /// How long operations of this kind took so far.
    #[must_use]
    pub fn operations(&self, request: RequestType) -> DurationTally {
        self.operations.tally(request)
    }

    /// What is counted about clients.
    #[must_use]
    pub fn clients(&self) -> &ClientMetrics {
        &self.clients
    }

    /// Counts entries for which the template of an attribute failed.
    pub fn templates_failed(&self, entries: usize) {
        self.template_failures
            .inc_by(u64::try_from(entries).unwrap_or(u64::MAX));
    }

    /// What is counted about binds besides their number.
    #[must_use]
    pub fn binds(&self) -> &BindMetrics {
        &self.binds
    }

    /// What is counted about authentik.
    #[must_use]
    pub fn authentik(&self) -> &AuthentikMetrics {
        &self.authentik
    }

    /// Records when each certificate in use expires, by a name that an admin gave it, in Unix seconds. Of those whose names are the same as
    /// labels, the first to expire counts.
    pub fn set_certificates(&self, certificates: &[(String, i64)]) {
        self.certificates.clear();
        let mut earliest = BTreeMap::new();
        for (certificate, expires) in certificates {
            let known = earliest.entry(label_of(certificate)).or_insert(*expires);
            *known = (*known).min(*expires);
        }
        for (certificate, expires) in earliest {
            self.certificates
                .get_or_create(&CertificateLabels { certificate })
                .set(expires);
        }
    }

    /// Records how much memory the snapshot in use takes, and how many snapshots are still in memory.
    pub fn set_snapshots(&self, octets: usize, alive: usize) {
        self.snapshot.held(octets, alive);
    }

    /// Counts a search in direct search mode.
    pub fn direct_search(&self, outcome: DirectSearchOutcome) {
        self.direct_searches.get_or_create(&outcome.into()).inc();
    }

    /// Records how many lines the log of the process has lost so far.
    pub fn set_log_lines_lost(&self, audit: u64, other: u64) {
        for (lines, lost) in [("audit", audit), ("other", other)] {
            let counter = self.log_lines_lost.get_or_create(&LogLabels { lines });
            counter.inner().store(lost, Ordering::Relaxed);
        }
    }

    /// The handle that counts how often the directory in memory was found damaged.
    #[must_use]
    pub fn directory_damage(&self) -> DirectoryDamage {
        self.directory_damage.clone()
    }

    /// All metrics as OpenMetrics text, to be served as [`exposition::OPENMETRICS`].
    ///
    /// # Errors
    /// Only when the text cannot be written to memory.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    fn outpost(&self) -> OutpostLabels {
        self.outpost
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
