//! The state that changes: which providers there are, who may do what, which directory is current.
//!
//! Knows authentik (through the client) and the directory, and keeps both in step with each other. Must not know
//! sockets or how LDAP messages look.

pub mod access;
mod audit;
pub mod bind;
pub mod certificates;
mod events;
mod generations;
pub mod outage;
pub mod providers;
mod refresh;
mod release;
mod root_dse;
mod snapshot_file;
pub mod status;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::logging::LogControl;
use crate::logging::audit::RequestId;
use crate::metrics::{ApplicationMetrics, Metrics, OutpostLabels, RejectReason, RequestType};
use akldap_authentik::flow::{Executor, FlowMethod, FlowObserver, FlowStep};
use akldap_authentik::{self as authentik, ApiError, Client, TokenRenewal};
use akldap_directory::Snapshot;
use akldap_ldap::response::LdapResult;

use access::{Identity, Logins};
use audit::Audit;
use bind::{BindAnswer, BindCore};
use certificates::CertificateTable;
use generations::Generations;
use outage::Outage;
use providers::ProviderTable;
use snapshot_file::SnapshotFile;
use status::Status;

/// The version we report to authentik and in the rootDSE.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// One outpost of authentik: what it serves and how it keeps up with authentik.
pub struct Outpost {
    config: Config,
    client: Client,
    metrics: Arc<Metrics>,
    /// Metrics of requests outside every provider.
    unclaimed: ArcSwap<ApplicationMetrics>,
    log: Option<LogControl>,
    /// Identifies this process among the outpost's instances.
    instance: uuid::Uuid,
    providers: ArcSwap<ProviderTable>,
    snapshot: ArcSwapOption<Snapshot>,
    snapshot_file: Option<SnapshotFile>,
    /// Cancelled once that was read, or need not be.
    file_read: CancellationToken,
    /// Counts installed snapshots.
    generation: AtomicU64,
    generations: Generations,
    certificates: Arc<CertificateTable>,
    release: release::KnownRelease,
    logins: Arc<Logins>,
    binds: BindCore,
    audit: Audit,
    status: Status,
    outage: Outage,
    pace: refresh::Pace,
    refresh_configuration: Notify,
    /// Asks for the whole directory.
    refresh_directory: Notify,
    /// Asks for what changed in it.
    update_directory: Notify,
    misses: refresh::Misses,
    /// Authenticates paging cookies; new in each process, shared by all its connections.
    cookie_key: [u8; 32],
    schema_changes: root_dse::SchemaChanges,
    capabilities: Capabilities,
    direct_search_noted: AtomicBool,
}

/// What the server above implements, for the rootDSE: generated there, published here.
#[derive(Clone, Debug, Default)]
pub struct Capabilities {
    /// OIDs for supportedControl.
    pub controls: Vec<&'static str>,
    /// OIDs for supportedExtension.
    pub extensions: Vec<&'static str>,
    /// OIDs for supportedFeatures.
    pub features: Vec<&'static str>,
}

/// Feeds the official flow timing metrics.
struct FlowTimings(Arc<Metrics>);

impl FlowObserver for FlowTimings {
    fn step(&self, step: &FlowStep<'_>) {
        match step.method {
            FlowMethod::Get => self.0.flow_get(step.component, step.flow, step.duration),
            FlowMethod::Post => self.0.flow_post(step.component, step.flow, step.duration),
        }
    }
}

impl Outpost {
    /// Sets everything up; nothing runs and nothing is asked of authentik yet.
    ///
    /// # Errors
    /// When the trust store or CA file cannot be used or no self-signed certificate can be made.
    pub fn new(
        config: Config,
        capabilities: Capabilities,
        log: Option<LogControl>,
    ) -> Result<Arc<Self>, OutpostError> {
        let instance = uuid::Uuid::new_v4();
        let build = build_hash(&config);
        let metrics = Arc::new(Metrics::new(OutpostLabels::new(
            instance.to_string(),
            VERSION,
            build,
        )));
        let mut settings =
            authentik::Settings::new(config.authentik.host.clone(), config.authentik.token.clone());
        settings.token_file.clone_from(&config.authentik.token_file);
        settings.proxies = authentik::Proxies {
            http: config.authentik.proxies.http.clone(),
            https: config.authentik.proxies.https.clone(),
            except: config.authentik.proxies.except.clone(),
        };
        settings.insecure = config.authentik.insecure;
        settings.ca_file.clone_from(&config.authentik.ca_file);
        settings.user_agent = format!("goauthentik.io/outpost/{VERSION}+akldap");
        settings.connect_timeout = config.authentik.connect_timeout;
        settings.request_timeout = config.authentik.request_timeout;
        settings.list_timeout = config.authentik.request_timeout;
        settings.flow_timeout = config.bind.timeout;
        let client = Client::new(settings)?;
        let executor = Executor::new(client.clone(), Arc::new(FlowTimings(Arc::clone(&metrics))));
        let logins = Arc::new(Logins::default());
        let binds = BindCore::new(executor, &config.bind, Arc::clone(&logins), Arc::clone(&metrics));
        let certificates = Arc::new(CertificateTable::new(config.tls.files.as_ref())?);
        Ok(Arc::new(Self {
            client,
            unclaimed: ArcSwap::from_pointee(metrics.application("")),
            metrics,
            log,
            instance,
            providers: ArcSwap::from_pointee(ProviderTable::default()),
            snapshot: ArcSwapOption::empty(),
            snapshot_file: SnapshotFile::new(&config),
            file_read: CancellationToken::new(),
            generation: AtomicU64::new(0),
            generations: Generations::default(),
            certificates,
            release: release::KnownRelease::default(),
            logins,
            binds,
            audit: Audit::default(),
            status: Status::default(),
            outage: Outage::default(),
            pace: refresh::Pace::default(),
            refresh_configuration: Notify::new(),
            refresh_directory: Notify::new(),
            update_directory: Notify::new(),
            misses: refresh::Misses::default(),
            cookie_key: random_key()?,
            schema_changes: root_dse::SchemaChanges::default(),
            capabilities,
            direct_search_noted: AtomicBool::new(false),
            config,
        }))
    }

    /// Starts to follow authentik: configuration, directory and events, each on its own, until `shutdown`.
    pub fn start(self: &Arc<Self>, tasks: &TaskTracker, shutdown: &CancellationToken) {
        snapshot_file::start(self, tasks, shutdown);
        refresh::start(self, tasks, shutdown);
        events::start(self, tasks, shutdown);
        outage::start(self, tasks, shutdown);
        bind::start(self, tasks, shutdown);
    }

    /// The directory as it was last loaded; `None` before the first time.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.load_full()
    }

    /// Whether searches may go on reading a directory: the current one, or the one before it.
    pub fn is_served(&self, snapshot: &Arc<Snapshot>) -> bool {
        let current = self.snapshot.load();
        current
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, snapshot))
            || self.generations.is_before(snapshot)
    }

    /// Changes when searches have to look whether theirs may still be read.
    pub fn retirements(&self) -> watch::Receiver<u64> {
        self.generations.retirements()
    }

    /// How many snapshots were installed so far.
    fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// Puts a new directory in place of the old one and draws the consequences for those logged in: for all of them, or
    /// for those only who were put into the old one. About anybody else that says nothing.
    fn install(&self, snapshot: Snapshot, added: Option<&BTreeSet<i64>>) -> Arc<Snapshot> {
        let (users, groups) = (snapshot.user_count(), snapshot.group_count());
        // A user fetched into a directory does not make the rest of it any newer.
        self.metrics.snapshot_installed(users, groups);
        let snapshot = Arc::new(snapshot);
        let before = self.snapshot.swap(Some(Arc::clone(&snapshot)));
        self.binds
            .note_changes(before.as_deref(), &snapshot, self.generation() + 1);
        self.generations.replaced(before.as_ref());
        drop(before);
        self.generation.fetch_add(1, Ordering::SeqCst);
        bind::snapshot_installed(self, &snapshot, |pk| {
            added.is_none_or(|added| added.contains(&pk))
        });
        snapshot
    }

    /// Serves a directory that an earlier process read, unless there is one already. Nobody is logged out by it: it
    /// knows nothing of what happened since.
    fn restore(&self, snapshot: Snapshot, read: SystemTime) -> bool {
        let (users, groups) = (snapshot.user_count(), snapshot.group_count());
        let before = self
            .snapshot
            .compare_and_swap(&None::<Arc<Snapshot>>, Some(Arc::new(snapshot)));
        if before.is_some() {
            return false;
        }
        self.metrics.snapshot_restored(users, groups, read);
        self.status.directory_restored(read);
        true
    }

    /// Notes that the configuration was read whole.
    fn configuration_loaded(&self) {
        self.status.configuration_loaded();
        self.note_load();
    }

    fn note_load(&self) {
        if let Some(file) = &self.snapshot_file {
            file.note_load();
        }
    }

    /// The providers of the moment.
    pub fn providers(&self) -> arc_swap::Guard<Arc<ProviderTable>> {
        self.providers.load()
    }

    /// The DN of who is bound, as the newest directory shows it: `uid=alice,…` bound `cn=alice,…`, and a renamed user has a
    /// new one. The name the client bound with if the directory does not know the user.
    pub fn bound_dn<'a>(&self, identity: &'a Identity) -> Cow<'a, str> {
        let bound_to = identity.provider();
        let current = self.providers().by_pk(bound_to.pk());
        let provider = current.as_ref().unwrap_or(bound_to);
        identity.entry_dn(self.snapshot().as_deref(), provider)
    }

    /// The certificates of the moment.
    pub fn certificates(&self) -> &Arc<CertificateTable> {
        &self.certificates
    }

    /// What is counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Counts requests outside every provider.
    pub fn unclaimed(&self) -> arc_swap::Guard<Arc<ApplicationMetrics>> {
        self.unclaimed.load()
    }

    /// How things stand, for readiness.
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// Whether searches can be answered: a provider and a directory are there, be they of before.
    pub fn can_search(&self) -> bool {
        !self.providers().is_empty() && self.snapshot.load().is_some()
    }

    /// Whether binds can be judged: a provider is there, and authentik has answered this process and can be reached.
    pub fn can_bind(&self) -> bool {
        !self.providers().is_empty()
            && self.client.contact().last_answer().is_some()
            && self.outage().is_none()
    }

    /// The key of paging cookies.
    pub fn cookie_key(&self) -> [u8; 32] {
        self.cookie_key
    }

    /// Asks for everything to be read anew now, the whole directory included; many requests at once make one refresh.
    pub fn request_refresh(&self) {
        self.refresh_configuration.notify_one();
        self.refresh_directory.notify_one();
    }

    /// Reads the outpost's token from its file again, if it came from one, and says in the log what came of it.
    pub async fn renew_token(&self) {
        match self.client.renew_token().await {
            Ok(TokenRenewal::Replaced) => {
                tracing::info!("the token was read again from its file and has changed")
            }
            Ok(TokenRenewal::Unchanged) => {
                tracing::info!("the token was read again from its file and is the same")
            }
            Ok(TokenRenewal::NoFile) => tracing::debug!("the token does not come from a file"),
            Err(error) => tracing::warn!(%error, "the token was not renewed"),
        }
    }

    /// Reads again what files hold, the token's and the certificate's, and asks authentik for providers and their
    /// certificates.
    pub async fn reload(&self) {
        self.renew_token().await;
        self.certificates.look_at_files();
        self.request_update();
    }

    /// Asks for the configuration and for what changed in the directory; many requests at once make one refresh.
    pub fn request_update(&self) {
        self.refresh_configuration.notify_one();
        self.update_directory.notify_one();
    }

    /// Counts a finished bind under the official names, and records it.
    pub fn observe_bind(&self, request: RequestId, answer: &BindAnswer, took: Duration) {
        let unclaimed = self.unclaimed();
        let application = answer
            .provider()
            .map_or(&**unclaimed, |provider| provider.metrics());
        application.observe(RequestType::Bind, took);
        if let Some(reason) = answer.reject_reason() {
            application.rejected(RequestType::Bind, reason);
        }
        self.audit.bind(request, answer, took);
    }

    /// Counts and records a bind that was refused before it was judged.
    pub fn observe_refused_bind(
        &self,
        request: RequestId,
        client: IpAddr,
        bind_dn: &[u8],
        reason: RejectReason,
        result: &LdapResult,
    ) {
        self.unclaimed().rejected(RequestType::Bind, reason);
        self.audit.refused(&audit::Refused {
            request,
            client,
            bind_dn: &String::from_utf8_lossy(bind_dn),
            provider: "",
            code: result.code,
            reason: Some(reason),
            reference: None,
            cause: &result.diagnostic_message,
            took: Duration::ZERO,
        });
    }

    /// Writes what was counted instead of logged and whose time has come.
    pub fn tell_repeated(&self, now: Instant) {
        self.audit.tell_repeated(now);
        if let Some(log) = &self.log {
            log.tell_repeated(now);
        }
    }

    /// Writes everything that was counted instead of logged, at the end of the process.
    pub fn tell_all_repeated(&self) {
        self.audit.finish();
    }

    /// Says once that direct search mode is served from the snapshot.
    fn note_direct_search(&self, provider: &str) {
        if !self.direct_search_noted.swap(true, Ordering::Relaxed) {
            tracing::info!(
                provider,
                "this provider is set to direct search mode; its searches are answered from the directory loaded at \
                 the last refresh"
            );
        }
    }
}

/// Why an outpost cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum OutpostError {
    /// The client for authentik cannot be made.
    #[error("cannot prepare the connection to authentik: {0}")]
    Client(#[from] ApiError),
    /// There is no usable certificate at all.
    #[error("cannot prepare TLS: {0}")]
    Certificate(#[from] certificates::CertificateError),
    /// The operating system gives no random numbers.
    #[error("the operating system gives no random numbers")]
    Random,
}

fn random_key() -> Result<[u8; 32], OutpostError> {
    let mut key = [0; 32];
    aws_lc_rs::rand::fill(&mut key).map_err(|_| OutpostError::Random)?;
    Ok(key)
}

/// What we report as the build. Never empty: with an empty one authentik compares versions and calls ours outdated.
pub(crate) fn build_hash(config: &Config) -> String {
    if config.build_hash.is_empty() {
        "akldap".to_owned()
    } else {
        config.build_hash.clone()
    }
}

#[cfg(test)]
impl Outpost {
    /// An outpost that serves these base DNs, has no directory and never asks authentik.
    pub(crate) fn of_bases(bases: &[&str]) -> Arc<Self> {
        let mut settings = crate::config::StringMap::default();
        settings.set("AUTHENTIK_HOST", "http://127.0.0.1:9");
        settings.set("AUTHENTIK_TOKEN", "token");
        let config = Config::read(&settings).unwrap();
        let outpost = Self::new(config, Capabilities::default(), None).unwrap();
        outpost
            .providers
            .store(Arc::new(providers::ProviderTable::of_bases(bases)));
        outpost
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::config::StringMap;

    /// No task looks at the files here, as the server's does every few seconds.
    #[tokio::test]
    async fn a_reload_reads_token_and_certificate_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = |kind: &str| folder.path().join(kind);
        let put = |name: &str| {
            for kind in ["pem", "key"] {
                let certs = Path::new(env!("CARGO_MANIFEST_DIR")).join("certs");
                fs::copy(certs.join(format!("{name}.{kind}")), file(kind)).unwrap();
            }
            fs::write(file("token"), name).unwrap();
        };
        put("p256");
        let mut settings = StringMap::default();
        settings.set("AUTHENTIK_HOST", "http://127.0.0.1:9");
        settings.set("AUTHENTIK_TOKEN", format!("file://{}", file("token").display()));
        settings.set(
            "AUTHENTIK_LDAP__TLS_CERTIFICATE_FILE",
            file("pem").to_str().unwrap(),
        );
        settings.set("AUTHENTIK_LDAP__TLS_KEY_FILE", file("key").to_str().unwrap());
        let config = Config::read(&settings).unwrap();
        let outpost = Outpost::new(config, Capabilities::default(), None).unwrap();
        let before = outpost.certificates.choose(None);
        put("rsa2048");
        outpost.reload().await;
        assert!(!Arc::ptr_eq(&before, &outpost.certificates.choose(None)));
        let renewal = outpost.client.renew_token().await;
        assert!(
            matches!(renewal, Ok(TokenRenewal::Unchanged)),
            "it was read already"
        );
    }
}
