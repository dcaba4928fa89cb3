//! The state that changes: which providers there are, who may do what, which directory is current.
//!
//! Knows authentik (through the client) and the directory, and keeps both in step with each other. Must not know
//! sockets or how LDAP messages look.

pub mod access;
mod aside;
mod audit;
pub mod bind;
mod call_timings;
mod capabilities;
pub mod certificates;
mod direct_search;
pub mod directory;
mod error;
mod events;
mod measures;
pub mod monitor;
pub mod outage;
mod outpost_uuid;
mod outside;
mod parts;
pub mod password;
pub mod provider;
pub mod providers;
mod refresh;
mod release;
pub mod server_entries;
mod snapshot_file;
mod sound;
pub mod status;
mod version;

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, ProviderConfigs};
use crate::logging::LogControl;
use crate::metrics::{ApplicationMetrics, Metrics, OutpostLabels};
use akldap_authentik::TokenRenewal;
use akldap_directory::{CustomPolicy, Snapshot, subschema};

use access::Identity;
use bind::{Binds, unbind};
pub use capabilities::Capabilities;
use certificates::CertificateTable;
use direct_search::DirectSearches;
pub use error::OutpostError;
use events::EventFollower;
pub use outside::Outside;
use parts::Parts;
use password::PasswordChanges;
use provider::Provider;
use providers::table::ProviderTable;
use refresh::{DirectorySettings, Refresh};
use server_entries::ServerEntries;
use snapshot_file::SnapshotFile;
use snapshot_file::task::SnapshotFileTask;
use status::Status;
pub use version::VERSION;
use version::build_hash;

/// One outpost of authentik: what it serves and how it keeps up with authentik.
pub struct Outpost {
    parts: Parts,
    log: Option<LogControl>,
    entries: ServerEntries,
    binds: Arc<Binds>,
    passwords: Arc<PasswordChanges>,
    direct_searches: DirectSearches,
    refresh: Refresh,
    events: Arc<EventFollower>,
    snapshot_file: Option<Arc<SnapshotFileTask>>,
    /// Authenticates paging cookies; new in each process, shared by all its connections.
    cookie_key: [u8; 32],
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
        outside: Outside,
    ) -> Result<Arc<Self>, OutpostError> {
        // First of all: what draws random numbers below relies on there being some.
        let cookie_key = random_key()?;
        let instance = uuid::Uuid::new_v4();
        let labels = OutpostLabels::new(instance.to_string(), VERSION, build_hash(&config));
        let metrics = Arc::new(Metrics::new(labels));
        let policy = custom_policy(&config);
        let capabilities = Arc::new(capabilities);
        let (unneeded, unneeded_sessions) = unbind::queue();
        let parts = Parts::new(&config, Arc::clone(&capabilities), metrics, unneeded, outside)?;
        let binds = Binds::new(&parts.of_binds(), &config.bind, unneeded_sessions);
        let passwords = PasswordChanges::new(parts.of_passwords(&binds));
        let direct_searches = parts.direct_searches();
        let entries = ServerEntries::new(
            capabilities,
            Arc::clone(&parts.providers),
            Arc::clone(&parts.directory),
        );
        let snapshot_file = SnapshotFile::new(&config, policy).map(Arc::new);
        let refresh = Refresh {
            configuration: Arc::new(parts.configuration_refresh(log.clone(), snapshot_file.clone())),
            directory: Arc::new(
                parts.directory_refresh(DirectorySettings::new(&config, policy), snapshot_file.clone()),
            ),
            flows: Arc::new(parts.flow_planning()),
        };
        let events = parts.event_follower(instance, build_hash(&config));
        let snapshot_file = snapshot_file.map(|file| Arc::new(parts.snapshot_file_task(file)));
        Ok(Arc::new(Self {
            parts,
            log,
            entries,
            binds: Arc::new(binds),
            passwords: Arc::new(passwords),
            direct_searches,
            refresh,
            events: Arc::new(events),
            snapshot_file,
            cookie_key,
        }))
    }

    /// Starts to follow authentik: configuration, directory and events, each on its own, until `shutdown`.
    pub fn start(&self, tasks: &TaskTracker, shutdown: &CancellationToken) {
        match &self.snapshot_file {
            Some(file) => file.start(&self.parts.file_read, tasks, shutdown),
            None => self.parts.file_read.cancel(),
        }
        self.refresh.start(tasks, shutdown);
        self.parts.certificates.start(tasks, shutdown);
        self.parts.users.start(tasks, shutdown);
        self.events.start(tasks, shutdown);
        self.parts.outage.start(tasks, shutdown);
        self.binds.start(tasks, shutdown);
    }

    /// The directory as it was last loaded; `None` before the first time.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.parts.directory.snapshot()
    }

    /// The same as a provider shows it; `None` also while it is being put into that shape.
    pub fn snapshot_of(&self, provider: &Provider) -> Option<Arc<Snapshot>> {
        self.parts.directory.in_shape(provider.shape())
    }

    /// Whether searches may go on reading a directory: the current one, or the one before it.
    pub fn is_served(&self, snapshot: &Arc<Snapshot>) -> bool {
        self.parts.directory.is_served(snapshot)
    }

    /// Changes when searches have to look whether theirs may still be read.
    pub fn retirements(&self) -> watch::Receiver<u64> {
        self.parts.directory.retirements()
    }

    /// Binds.
    pub fn binds(&self) -> &Arc<Binds> {
        &self.binds
    }

    /// Changes of passwords.
    pub fn passwords(&self) -> &Arc<PasswordChanges> {
        &self.passwords
    }

    /// What the rootDSE says to somebody.
    pub fn root_dse_attributes(&self, identity: Option<&Identity>) -> subschema::Attributes {
        self.entries.root_dse(identity)
    }

    /// What the subschema says to somebody. How admins name their attributes is for those who may log in.
    /// `None` where the directory in memory is damaged.
    pub fn subschema_attributes(&self, identity: Option<&Identity>) -> Option<subschema::Attributes> {
        self.entries.subschema(identity)
    }

    /// Has a user fetched whom the directory does not show, without waiting.
    pub fn fetch_user_soon(&self, pk: i64) {
        self.parts.users.soon(pk);
    }

    /// What a search at a provider waits for, in direct search mode: whether it may be answered then. `None`: it need not wait.
    pub fn before_search(
        &self,
        provider: &Provider,
    ) -> Option<impl Future<Output = bool> + Send + 'static + use<>> {
        self.direct_searches.before(provider)
    }

    /// Whether authentik is known to be unreachable at this moment.
    pub fn outage(&self) -> Option<outage::Details> {
        self.parts.outage.under_way()
    }

    /// The age from which on the directory served is called stale.
    pub fn stale_after(&self) -> Duration {
        self.parts.schedule.directory_stale_after()
    }

    /// The same for the configuration.
    pub fn configuration_stale_after(&self) -> Duration {
        self.parts.schedule.configuration_stale_after()
    }

    /// The providers of the moment.
    pub fn providers(&self) -> arc_swap::Guard<Arc<ProviderTable>> {
        self.parts.providers.current()
    }

    /// The DN of who is bound, as the newest directory shows it: `uid=alice,…` bound `cn=alice,…`, and a renamed user has a
    /// new one. The name the client bound with if the directory does not know the user.
    pub fn bound_dn<'a>(&self, identity: &'a Identity) -> Cow<'a, str> {
        let bound_to = identity.provider();
        let current = self.providers().by_pk(bound_to.pk());
        let provider = current.as_ref().unwrap_or(bound_to);
        let shown = identity.entry_dn(self.snapshot().as_deref(), provider);
        self.parts
            .directory
            .sound(shown)
            .flatten()
            .map_or(Cow::Borrowed(identity.dn()), Cow::Owned)
    }

    /// The certificates of the moment.
    pub fn certificates(&self) -> &Arc<CertificateTable> {
        &self.parts.certificates
    }

    /// What is counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.parts.metrics
    }

    /// Counts requests outside every provider.
    pub fn unclaimed(&self) -> arc_swap::Guard<Arc<ApplicationMetrics>> {
        self.parts.providers.unclaimed()
    }

    /// How things stand, for readiness.
    pub fn status(&self) -> &Status {
        &self.parts.status
    }

    /// Whether searches can be answered: a provider and a directory are there, be they of before.
    pub fn can_search(&self) -> bool {
        !self.providers().is_empty() && self.parts.directory.is_loaded()
    }

    /// Whether clients may be sent here: searches can be answered, and each port has the certificate that it is to have. Behind a
    /// directory of before that is not waited for: authentik may be away for long.
    pub fn is_ready(&self) -> bool {
        let status = self.status();
        self.can_search() && (status.configured() || status.directory().is_restored())
    }

    /// Whether binds can be judged: a provider is there, and authentik has answered this process and can be reached.
    pub fn can_bind(&self) -> bool {
        !self.providers().is_empty()
            && self.parts.client.contact().last_answer().is_some()
            && self.parts.outage.under_way().is_none()
    }

    /// The key of paging cookies.
    pub fn cookie_key(&self) -> [u8; 32] {
        self.cookie_key
    }

    /// Asks for everything to be read again now, the whole directory included; many requests at once make one refresh.
    pub fn request_refresh(&self) {
        self.parts.requests.all();
    }

    /// Reads the outpost's token from its file again, if it came from one, and says in the log what came of it.
    pub async fn renew_token(&self) {
        match self.parts.client.renew_token().await {
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
        self.parts.certificates.look_at_files();
        self.request_update();
    }

    /// From now on these settings of ours hold for the providers. Whether they differ from those before.
    pub async fn reconfigure(&self, providers: &ProviderConfigs) -> bool {
        let differ = self.refresh.configuration.reconfigure(providers).await;
        if differ {
            self.request_refresh();
        }
        differ
    }

    /// Asks for the configuration and for what changed in the directory; many requests at once make one refresh.
    pub fn request_update(&self) {
        self.parts.requests.update();
    }

    /// Writes what was counted instead of logged and whose time has come.
    pub fn tell_repeated(&self, now: Instant) {
        self.binds.tell_repeated(now);
        self.passwords.tell_repeated(now);
        if let Some(log) = &self.log {
            log.tell_repeated(now);
        }
    }

    /// Writes everything that was counted instead of logged, at the end of the process.
    pub fn tell_all_repeated(&self) {
        self.binds.tell_all_repeated();
        self.passwords.tell_all_repeated();
    }
}

fn random_key() -> Result<[u8; 32], OutpostError> {
    let mut key = [0; 32];
    aws_lc_rs::rand::fill(&mut key).map_err(|_| OutpostError::Random)?;
    Ok(key)
}

/// What the configuration allows of custom attributes.
fn custom_policy(config: &Config) -> CustomPolicy {
    // A test compares the two lists of names.
    CustomPolicy::serving(config.served_passwords.iter().copied())
        .unwrap_or_default()
        .with_legal_names(config.legal_attribute_names)
}

#[cfg(test)]
impl Outpost {
    /// An outpost that serves these base DNs, has no directory and never asks authentik.
    pub(crate) fn of_bases(bases: &[&str]) -> Arc<Self> {
        let mut settings = crate::config::StringMap::default();
        settings.set("AUTHENTIK_HOST", "http://127.0.0.1:9");
        settings.set("AUTHENTIK_TOKEN", "token");
        let config = Config::read(&settings).unwrap();
        let outpost = Self::new(config, Capabilities::default(), None, Outside::default()).unwrap();
        outpost.parts.providers.set(ProviderTable::of_bases(bases));
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
        let outpost = Outpost::new(config, Capabilities::default(), None, Outside::default()).unwrap();
        let before = outpost.parts.certificates.choose(None);
        put("rsa2048");
        outpost.reload().await;
        assert!(!Arc::ptr_eq(&before, &outpost.parts.certificates.choose(None)));
        let renewal = outpost.parts.client.renew_token().await;
        assert!(
            matches!(renewal, Ok(TokenRenewal::Unchanged)),
            "it was read already"
        );
    }
}
