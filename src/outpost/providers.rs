//! The LDAP providers of the outpost. When they change, whoever is logged in at one that is gone is logged out, and the
//! logins at one that has changed are judged again.
//!
//! Must not know how authentik is asked.

pub mod table;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::{ArcSwap, Guard};

use crate::config::{DirectSearch, ProviderConfig, ProviderConfigs};
use crate::metrics::{ApplicationMetrics, Metrics};
use akldap_authentik::LdapProvider;
use akldap_directory::rootdse::RootDseReader;

use super::access::{Ending, Logins};
use super::capabilities::Capabilities;
use super::provider::Provider;
use super::status::Status;
use table::ProviderTable;

/// The providers, and what counts requests outside all of them.
pub struct Providers {
    current: ArcSwap<ProviderTable>,
    unclaimed: ArcSwap<ApplicationMetrics>,
    /// What is set here for each.
    configs: ArcSwap<ProviderConfigs>,
    /// The sections of the configuration file that belong to no provider, as last logged.
    idle_noted: Mutex<Vec<String>>,
    direct_search_noted: AtomicBool,
    /// The base entry of each provider has what the rootDSE says of them.
    capabilities: Arc<Capabilities>,
    logins: Arc<Logins>,
    status: Arc<Status>,
    metrics: Arc<Metrics>,
}

impl Providers {
    /// There are none yet.
    pub(super) fn new(
        configs: ProviderConfigs,
        capabilities: Arc<Capabilities>,
        logins: Arc<Logins>,
        status: Arc<Status>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            current: ArcSwap::from_pointee(ProviderTable::default()),
            unclaimed: ArcSwap::from_pointee(metrics.application("")),
            configs: ArcSwap::from_pointee(configs),
            idle_noted: Mutex::default(),
            direct_search_noted: AtomicBool::new(false),
            capabilities,
            logins,
            status,
            metrics,
        }
    }

    /// The current providers.
    pub fn current(&self) -> Guard<Arc<ProviderTable>> {
        self.current.load()
    }

    /// Whether there are none because authentik has not named any to this process yet.
    pub fn are_awaited(&self) -> bool {
        self.current().is_empty() && !self.status.configured()
    }

    /// Whether what is set here for any provider that authentik may name is so.
    pub fn any_config(&self, is_so: impl Fn(&ProviderConfig) -> bool) -> bool {
        self.configs.load().all().any(is_so)
    }

    /// Counts requests outside every provider.
    pub fn unclaimed(&self) -> Guard<Arc<ApplicationMetrics>> {
        self.unclaimed.load()
    }

    /// Counts those under the outpost's name of the moment from now on.
    pub(super) fn renew_unclaimed(&self) {
        self.unclaimed.store(Arc::new(self.metrics.application("")));
    }

    /// The providers that authentik names, ready to be [installed](Self::install).
    pub(super) fn prepare(&self, settings: Vec<LdapProvider>) -> ProviderTable {
        let configs = self.configs.load();
        self.note_idle(&configs, &settings);
        self.table(&self.current(), &configs, settings)
    }

    /// What is set here for each from now on; it applies to the next ones that are prepared. Returns whether it differs
    /// from before.
    pub(super) fn configure(&self, configs: &ProviderConfigs) -> bool {
        let differ = **self.configs.load() != *configs;
        if differ {
            self.configs.store(Arc::new(configs.clone()));
        }
        differ
    }

    /// Serves the providers that authentik names.
    pub(super) fn install(&self, table: ProviderTable) {
        let before = self.current().clone();
        if table.is_empty() && (!before.is_empty() || !self.status.configured()) {
            tracing::warn!(
                "no LDAP provider is served, so this server is not ready: in authentik, assign an \
                 application with an LDAP provider to this outpost"
            );
        }
        let table = Arc::new(table);
        self.current.store(Arc::clone(&table));
        self.logins.end_where(|login| {
            table
                .by_pk(login.provider().pk())
                .is_none()
                .then_some(Ending::AccessLost)
        });
        self.logins.withhold(|login| {
            let pk = login.provider().pk();
            match (before.by_pk(pk), table.by_pk(pk)) {
                (Some(before), Some(now)) => !Arc::ptr_eq(&before, &now),
                (None, now) => now.is_some(),
                (Some(_), None) => false,
            }
        });
    }

    /// Serves providers that an earlier process read, unless authentik has already named some.
    pub(super) fn restore(&self, settings: Vec<LdapProvider>, read: SystemTime) -> bool {
        let before = self.current().clone();
        if self.status.configured() || !before.is_empty() {
            return false;
        }
        let table = Arc::new(self.table(&before, &self.configs.load(), settings));
        let found = self.current.compare_and_swap(&before, table);
        let restored = Arc::ptr_eq(&found, &before);
        if restored {
            self.status.configuration_restored(read);
        }
        restored
    }

    /// A table of these providers; those that have not changed stay the same.
    fn table(
        &self,
        before: &ProviderTable,
        configs: &ProviderConfigs,
        settings: Vec<LdapProvider>,
    ) -> ProviderTable {
        let mut providers = Vec::new();
        for settings in settings {
            let config = configs.of(&settings.base_dn, &settings.application_slug);
            if let Some(same) = before
                .by_pk(settings.pk)
                .filter(|provider| *provider.settings() == settings && *provider.config() == config)
            {
                providers.push(same);
                continue;
            }
            let (name, base_dn) = (settings.name.clone(), settings.base_dn.clone());
            let passwords = config.password_change.is_on();
            let root_dse = self.capabilities.root_dse(vec![base_dn.clone()], passwords);
            let attributes = root_dse.attributes(RootDseReader::Bound {
                naming_context: &base_dn,
            });
            match Provider::new(settings, config, &attributes, &self.metrics) {
                Ok(provider) => {
                    tracing::info!(provider = name, base_dn, "provider loaded");
                    if provider.searches_directly() {
                        self.note_direct_search(&name, provider.config().direct_search.mode);
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

    /// Logs which sections of the configuration file belong to no provider, whenever that has changed.
    fn note_idle(&self, configs: &ProviderConfigs, settings: &[LdapProvider]) {
        let names = settings
            .iter()
            .map(|provider| (provider.base_dn.as_str(), provider.application_slug.as_str()));
        let idle = configs.idle(names);
        let mut noted = self.idle_noted.lock().unwrap_or_else(PoisonError::into_inner);
        for section in idle.iter().filter(|section| !noted.contains(section)) {
            tracing::warn!(
                "section {section} of the configuration file has no effect: no provider of this outpost has \
                 that base DN or application slug, or another section already names the provider by its base \
                 DN"
            );
        }
        *noted = idle;
    }

    /// Says once what direct search mode means here.
    fn note_direct_search(&self, provider: &str, mode: DirectSearch) {
        if self.direct_search_noted.swap(true, Ordering::Relaxed) {
            return;
        }
        let meaning = match mode {
            DirectSearch::Fresh => {
                "akldap looks for changed users before a search, unless it did so a moment ago"
            }
            DirectSearch::Live => "authentik confirms users and groups for each search",
        };
        tracing::info!(
            provider,
            "this provider is set to direct search mode: {meaning}; AUTHENTIK_LDAP__DIRECT_SEARCH \
             (--direct-search) decides this"
        );
    }

    /// Serves these, as if authentik had named them.
    #[cfg(test)]
    pub(super) fn set(&self, table: ProviderTable) {
        self.current.store(Arc::new(table));
    }
}
