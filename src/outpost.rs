//! The state that changes: which providers there are, who may do what, which directory is current.
//!
//! Knows authentik (through the client) and the directory, and keeps both in step with each other. Must not know
//! sockets or how LDAP messages look.

pub mod access;
mod aside;
mod audit;
pub mod bind;
pub(crate) mod bound_dn;
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
mod right_of_way;
pub mod server_entries;
mod snapshot_file;
mod sound;
pub mod status;
mod version;

use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, ProviderConfigs};
use crate::logging::LogControl;
use crate::metrics::{Metrics, OutpostLabels};
use akldap_authentik::TokenRenewal;
use akldap_directory::CustomPolicy;

use bind::{Binds, unbind};
pub use capabilities::Capabilities;
use certificates::CertificateTable;
use direct_search::DirectSearches;
use directory::CurrentDirectory;
pub use error::OutpostError;
use events::EventFollower;
use outage::Outage;
pub use outside::Outside;
use parts::{PartSettings, Parts};
use password::PasswordChanges;
use providers::Providers;
pub use refresh::records;
use refresh::requests::RefreshRequests;
use refresh::schedule::Schedule;
use refresh::user_fetch::UserFetch;
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
        // What draws random numbers below relies on their being available.
        aws_lc_rs::rand::fill(&mut [0; 32]).map_err(|_| OutpostError::Random)?;
        let instance = uuid::Uuid::new_v4();
        let policy = custom_policy(&config.served_passwords, config.legal_attribute_names);
        let settings = PartSettings {
            client: config.client_settings(),
            certificate_files: config.tls.files.as_ref(),
            bind: &config.bind,
            providers: config.providers,
            refresh_delta_interval: config.refresh_delta_interval,
        };
        let reading = DirectorySettings {
            page_size: config.authentik.page_size,
            request_timeout: config.authentik.request_timeout,
            full_every: config.refresh_full_every,
            policy,
        };
        let snapshot_file = config.snapshot_file.map(|path| {
            let host = config.authentik.host.to_string();
            Arc::new(SnapshotFile::new(path, host, &config.authentik.token, policy))
        });
        let build = build_hash(config.build_hash);
        let labels = OutpostLabels::new(instance.to_string(), VERSION, build.clone());
        let metrics = Arc::new(Metrics::new(labels));
        let capabilities = Arc::new(capabilities);
        let (unneeded, unneeded_sessions) = unbind::queue();
        let parts = Parts::new(settings, Arc::clone(&capabilities), metrics, unneeded, outside)?;
        let binds = Binds::new(&parts.of_binds(), &config.bind, unneeded_sessions);
        let passwords = PasswordChanges::new(parts.of_passwords(&binds));
        let direct_searches = parts.direct_searches();
        let entries = ServerEntries::new(
            capabilities,
            Arc::clone(&parts.providers),
            Arc::clone(&parts.directory),
        );
        let refresh = Refresh {
            configuration: Arc::new(parts.configuration_refresh(log.clone(), snapshot_file.clone())),
            directory: Arc::new(parts.directory_refresh(reading, snapshot_file.clone())),
            flows: Arc::new(parts.flow_planning()),
        };
        let events = parts.event_follower(instance, build);
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
        }))
    }

    /// Starts following authentik: configuration, directory and events, each on its own, until `shutdown`.
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

    /// The current directory.
    pub fn directory(&self) -> &CurrentDirectory {
        &self.parts.directory
    }

    /// The current providers.
    pub fn providers(&self) -> &Providers {
        &self.parts.providers
    }

    /// Binds.
    pub fn binds(&self) -> &Arc<Binds> {
        &self.binds
    }

    /// Password changes.
    pub fn passwords(&self) -> &Arc<PasswordChanges> {
        &self.passwords
    }

    /// The entries that belong to no provider.
    pub fn entries(&self) -> &ServerEntries {
        &self.entries
    }

    /// Users who are fetched by themselves.
    pub(crate) fn users(&self) -> &Arc<UserFetch> {
        &self.parts.users
    }

    /// What searches wait for in direct search mode.
    pub(crate) fn direct_searches(&self) -> &DirectSearches {
        &self.direct_searches
    }

    /// Whether authentik is known to be unreachable.
    pub fn outage(&self) -> &Outage {
        &self.parts.outage
    }

    /// How often authentik is read, and how long what was read stays current.
    pub fn schedule(&self) -> &Schedule {
        &self.parts.schedule
    }

    /// Asks for authentik to be read again now.
    pub fn refresh_requests(&self) -> &RefreshRequests {
        &self.parts.requests
    }

    /// The current certificates.
    pub fn certificates(&self) -> &Arc<CertificateTable> {
        &self.parts.certificates
    }

    /// What is counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.parts.metrics
    }

    /// The state of things, for readiness.
    pub fn status(&self) -> &Status {
        &self.parts.status
    }

    /// Whether searches can be answered: a provider and a directory are there, even if they are those of an earlier process.
    pub fn can_search(&self) -> bool {
        !self.providers().current().is_empty() && self.parts.directory.is_loaded()
    }

    /// Whether clients may be sent here: searches can be answered, and each port has the certificate that it should have. With a
    /// directory from an earlier process that is not waited for: authentik may be away for a long time.
    pub fn is_ready(&self) -> bool {
        let status = self.status();
        self.can_search() && (status.configured() || status.directory().is_restored())
    }

    /// Whether binds can be judged: there is a provider, and authentik has answered this process and can be reached.
    pub fn can_bind(&self) -> bool {
        !self.providers().current().is_empty()
            && self.parts.client.contact().last_answer().is_some()
            && self.parts.outage.under_way().is_none()
    }

    /// Reads the outpost's token from its file again, if it came from one, and says in the log what happened.
    pub async fn renew_token(&self) {
        match self.parts.client.renew_token().await {
            Ok(TokenRenewal::Replaced) => {
                tracing::info!("the token was read again from its file and has changed")
            }
            Ok(TokenRenewal::Unchanged) => {
                tracing::info!("the token was read again from its file and has not changed")
            }
            Ok(TokenRenewal::NoFile) => tracing::debug!("the token does not come from a file"),
            Err(error) => tracing::warn!(%error, "the token was not renewed"),
        }
    }

    /// Reads the token and certificate files again, and asks authentik for providers and their
    /// certificates.
    pub async fn reload(&self) {
        self.renew_token().await;
        self.parts.certificates.look_at_files();
        self.parts.requests.update();
    }

    /// Applies these settings of ours to the providers from now on. Returns whether they differ from those before.
    pub async fn reconfigure(&self, providers: &ProviderConfigs) -> bool {
        let differ = self.refresh.configuration.reconfigure(providers).await;
        if differ {
            self.parts.requests.all();
        }
        differ
    }

    /// Writes what was counted instead of logged and is now due.
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

/// What is allowed of custom attributes, where these that hold passwords are served.
fn custom_policy(served_passwords: &[&'static str], legal_names: bool) -> CustomPolicy {
    // A test compares the two lists of names.
    CustomPolicy::serving(served_passwords.iter().copied())
        .unwrap_or_default()
        .with_legal_names(legal_names)
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
        outpost
            .parts
            .providers
            .set(providers::table::ProviderTable::of_bases(bases));
        outpost
    }

    /// Serves the same directory from now on, except that its attributes point nowhere.
    pub(crate) fn damage_directory(
        &self,
        damage: fn(akldap_directory::Snapshot) -> akldap_directory::Snapshot,
    ) {
        let before = self.directory().snapshot().unwrap();
        let mut builder = akldap_directory::Builder::like(&before);
        for user in before.users() {
            builder.carry_user(&before.carried_user(user).unwrap());
        }
        for group in before.groups() {
            builder.carry_group(&before.carried_group(group).unwrap());
        }
        let damaged = damage(builder.finish().unwrap().0);
        let directory = &self.parts.directory;
        directory.install(directory.shape(damaged, false).unwrap(), None);
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
