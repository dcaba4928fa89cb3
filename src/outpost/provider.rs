//! One LDAP provider as authentik configures it. Must not know the others.

use std::sync::Arc;

use crate::config::ProviderConfig;
use crate::metrics::{ApplicationMetrics, Metrics};
use akldap_authentik::{LdapProvider, Mode};
use akldap_directory::shape::location::Location;
use akldap_directory::subschema::EntryAttributes;
use akldap_directory::{Shape, Tree};
use akldap_ldap::dn::DnError;

/// One provider as authentik configures it, with its place in the directory.
#[derive(Debug)]
pub struct Provider {
    settings: LdapProvider,
    config: Arc<ProviderConfig>,
    tree: Arc<Tree>,
    shape: Option<Arc<Shape>>,
    metrics: ApplicationMetrics,
}

impl Provider {
    /// A provider from authentik's settings and ours; its base entry has `base_attributes` besides its
    /// own.
    ///
    /// # Errors
    /// When its base DN is not a distinguished name.
    pub fn new(
        settings: LdapProvider,
        config: Arc<ProviderConfig>,
        base_attributes: &EntryAttributes,
        metrics: &Metrics,
    ) -> Result<Self, DnError> {
        let tree = Tree::new(
            &settings.base_dn,
            settings.uid_start_number,
            settings.gid_start_number,
        )?
        .in_direct_mode(settings.search_mode == Mode::Direct)
        .with_base_attributes(base_attributes);
        let entries = &config.entries;
        let tree = Arc::new(tree.in_style(entries.style.clone(), entries.virtual_groups));
        let metrics = metrics.application(&settings.application_slug);
        let mut shape = Shape {
            users: config.users.clone(),
            groups: config.groups.clone(),
            visible_users: entries.visible_users.clone(),
            visible_groups: entries.visible_groups.clone(),
            membership: entries.membership,
            user_rdn: entries.style.user_rdn,
            users_by_path: entries.style.by_path,
            numbers: entries.numbers.clone(),
            roles_as_groups: entries.roles_as_groups,
            ..Shape::default()
        };
        if shape.depends_on_location() {
            shape.location = Some(Location::of(Arc::clone(&tree)));
        }
        let shape = (!shape.is_default()).then(|| Arc::new(shape));
        Ok(Self {
            settings,
            config,
            tree,
            shape,
            metrics,
        })
    }

    /// authentik's id of the provider.
    pub fn pk(&self) -> i64 {
        self.settings.pk
    }

    /// The provider's name.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Everything authentik says about it.
    pub fn settings(&self) -> &LdapProvider {
        &self.settings
    }

    /// What is set for it here.
    pub fn config(&self) -> &Arc<ProviderConfig> {
        &self.config
    }

    /// Its place in the directory.
    pub fn tree(&self) -> &Arc<Tree> {
        &self.tree
    }

    /// The shape of its entries; `None` is the default one.
    pub fn shape(&self) -> Option<&Arc<Shape>> {
        self.shape.as_ref()
    }

    /// Its metrics.
    pub fn metrics(&self) -> &ApplicationMetrics {
        &self.metrics
    }

    /// Whether searches must ask authentik each time.
    pub fn searches_directly(&self) -> bool {
        self.settings.search_mode == Mode::Direct
    }
}
