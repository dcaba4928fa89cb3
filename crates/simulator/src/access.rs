//! Providers, applications, their bindings, roles and outposts.
//!
//! Must not know users and groups: who may do what is in `permissions`.

use serde_json::{Map, Value, json};
use uuid::Uuid;

/// An LDAP provider, as `outposts/ldap/` shows it.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Primary key, used in `check_access`.
    pub pk: i32,
    /// Unique name.
    pub name: String,
    /// Base DN of the tree.
    pub base_dn: String,
    /// Slug of the flow binds run.
    pub bind_flow: String,
    /// Slug of the flow unbinds would run.
    pub unbind_flow: Option<String>,
    /// Slug of the application that names this provider; without one the provider is invisible to outposts.
    pub application: Option<String>,
    /// The application names it as a backchannel provider.
    pub backchannel: bool,
    /// Certificate for LDAPS and StartTLS.
    pub certificate: Option<Uuid>,
    /// Name the certificate is for.
    pub tls_server_name: String,
    /// First number for users.
    pub uid_start_number: i32,
    /// First number for groups.
    pub gid_start_number: i32,
    /// `direct` or `cached`.
    pub search_mode: String,
    /// `direct` or `cached`.
    pub bind_mode: String,
    /// A one-time code may follow the password.
    pub mfa_support: bool,
}

impl Provider {
    /// A provider with authentik's defaults, bound to the flow and the application.
    pub fn new(pk: i32, name: &str, base_dn: &str, bind_flow: &str, application: Option<&str>) -> Self {
        Self {
            pk,
            name: name.into(),
            base_dn: base_dn.into(),
            bind_flow: bind_flow.into(),
            unbind_flow: Some("default-provider-invalidation-flow".into()),
            application: application.map(str::to_owned),
            backchannel: false,
            certificate: None,
            tls_server_name: String::new(),
            uid_start_number: 2000,
            gid_start_number: 4000,
            search_mode: "direct".into(),
            bind_mode: "direct".into(),
            mfa_support: true,
        }
    }

    pub(crate) fn outpost_row(&self) -> Value {
        json!({
            "pk": self.pk, "name": self.name, "base_dn": self.base_dn, "bind_flow_slug": self.bind_flow,
            "unbind_flow_slug": self.unbind_flow, "application_slug": self.application,
            "certificate": self.certificate.map(|pk| pk.to_string()), "tls_server_name": self.tls_server_name,
            "uid_start_number": self.uid_start_number, "gid_start_number": self.gid_start_number,
            "search_mode": self.search_mode, "bind_mode": self.bind_mode, "mfa_support": self.mfa_support,
        })
    }
}

/// An application: what users are given access to.
#[derive(Debug, Clone)]
pub struct Application {
    /// Slug in addresses and in `check_access`.
    pub slug: String,
    /// Display name.
    pub name: String,
    /// Who may use it; with none, everyone may, even the anonymous user. With several, one that passes is
    /// enough.
    pub bindings: Vec<Binding>,
}

/// One binding of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Binding {
    /// This user.
    User(i32),
    /// The members of this group and of the groups below it.
    Group(Uuid),
    /// A policy that passes for every logged-in user except these.
    AllBut(Vec<i32>),
    /// A policy that always passes, or never.
    Always(bool),
}

/// A role: holder of permissions.
#[derive(Debug, Clone)]
pub struct Role {
    /// Primary key.
    pub pk: Uuid,
    /// Display name.
    pub name: String,
    /// Providers whose whole directory the holder may search.
    pub search: Vec<i32>,
    /// The holder may search every provider's directory.
    pub search_everywhere: bool,
    /// Global permissions by their code names, such as `reset_user_password`.
    pub permissions: Vec<String>,
    pub(crate) rendered: String,
}

impl Role {
    /// A role without permissions.
    pub fn new(pk: Uuid, name: &str) -> Self {
        let rendered = json!({"pk": pk.to_string(), "name": name}).to_string();
        Self {
            pk,
            name: name.into(),
            search: Vec::new(),
            search_everywhere: false,
            permissions: Vec::new(),
            rendered,
        }
    }
}

/// An outpost: the configuration and identity of a server like ours.
#[derive(Debug, Clone)]
pub struct Outpost {
    /// Primary key.
    pub pk: Uuid,
    /// Display name.
    pub name: String,
    /// `ldap`, `proxy`, `radius` or `rac`.
    pub kind: String,
    /// Providers it serves, in the order the API lists them.
    pub providers: Vec<i32>,
    /// The service account whose token it uses.
    pub account: i32,
    /// Settings an admin edits, such as `log_level` and `refresh_interval`.
    pub config: Map<String, Value>,
    /// `refresh_interval` in seconds.
    pub refresh_interval_s: u64,
    /// Set for the embedded outpost.
    pub managed: Option<String>,
}

impl Outpost {
    /// An LDAP outpost with authentik's default settings.
    pub fn new(pk: Uuid, name: &str, account: i32, providers: Vec<i32>) -> Self {
        Self {
            pk,
            name: name.into(),
            kind: "ldap".into(),
            providers,
            account,
            config: default_config(),
            refresh_interval_s: 300,
            managed: None,
        }
    }
}

fn default_config() -> Map<String, Value> {
    let config = json!({
        "log_level": "info", "docker_labels": null, "authentik_host": "", "docker_network": null,
        "container_image": null, "docker_map_ports": true, "refresh_interval": "minutes=5",
        "kubernetes_replicas": 1, "kubernetes_namespace": "default", "authentik_host_browser": "",
        "object_naming_template": "ak-outpost-%(name)s", "authentik_host_insecure": false,
        "kubernetes_json_patches": null, "kubernetes_service_type": "ClusterIP",
        "kubernetes_ingress_path_type": null, "kubernetes_image_pull_secrets": [],
        "kubernetes_ingress_class_name": null, "kubernetes_disable_x509_strict": false,
        "kubernetes_disabled_components": [], "kubernetes_ingress_annotations": {},
        "kubernetes_ingress_secret_name": "authentik-outpost-tls", "kubernetes_httproute_annotations": {},
        "kubernetes_httproute_parent_refs": [],
    });
    config.as_object().cloned().unwrap_or_default()
}
