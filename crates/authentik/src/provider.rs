//! An LDAP provider as `GET outposts/ldap/` lists it: what serves one base DN.

use serde::{Deserialize, Serialize};

use super::page::{Listed, RowFields, nullable};

/// authentik's default for a new provider.
const DEFAULT_UID_START: i64 = 2000;
/// authentik's default for a new provider.
const DEFAULT_GID_START: i64 = 4000;

/// How binds or searches of a provider are to be answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Mode {
    /// From authentik each time.
    #[default]
    Direct,
    /// From memory.
    Cached,
    /// A mode this release does not know.
    Other(String),
}

impl From<String> for Mode {
    fn from(text: String) -> Self {
        match text.as_str() {
            "" | "direct" => Self::Direct,
            "cached" => Self::Cached,
            _ => Self::Other(text),
        }
    }
}

impl From<Mode> for String {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Direct => "direct".to_owned(),
            Mode::Cached => "cached".to_owned(),
            Mode::Other(text) => text,
        }
    }
}

/// An LDAP provider with an application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LdapProvider {
    /// Primary key, used to check access.
    pub pk: i64,
    /// Its unique name.
    pub name: String,
    /// The base DN as the admin typed it.
    pub base_dn: String,
    /// The flow that answers binds.
    pub bind_flow_slug: String,
    /// The flow that ends sessions.
    #[serde(default)]
    pub unbind_flow_slug: Option<String>,
    /// The application whose bindings decide on access.
    pub application_slug: String,
    /// UUID of the certificate for LDAPS and StartTLS.
    #[serde(default)]
    pub certificate: Option<String>,
    /// The SNI name of that certificate; may be empty.
    #[serde(default, deserialize_with = "nullable")]
    pub tls_server_name: String,
    /// Added to a user's pk for uidNumber.
    #[serde(default = "default_uid_start")]
    pub uid_start_number: i64,
    /// Added to a group's num_pk for gidNumber.
    #[serde(default = "default_gid_start")]
    pub gid_start_number: i64,
    /// How searches are answered.
    #[serde(default, deserialize_with = "nullable")]
    pub search_mode: Mode,
    /// How binds are answered.
    #[serde(default, deserialize_with = "nullable")]
    pub bind_mode: Mode,
    /// Whether `password;code` is split.
    #[serde(default = "default_mfa_support")]
    pub mfa_support: bool,
}

fn default_uid_start() -> i64 {
    DEFAULT_UID_START
}

fn default_gid_start() -> i64 {
    DEFAULT_GID_START
}

fn default_mfa_support() -> bool {
    true
}

impl Listed for LdapProvider {
    type Key = i64;
    const KIND: &'static str = "provider";

    fn key(&self) -> i64 {
        self.pk
    }

    fn label(&self) -> &str {
        &self.name
    }

    fn parse_key(text: &str) -> Option<i64> {
        text.parse().ok()
    }

    fn salvage(fields: &mut RowFields<'_>) -> Result<Self, String> {
        Ok(Self {
            pk: fields.required("pk")?,
            name: fields.required("name")?,
            base_dn: fields.required("base_dn")?,
            bind_flow_slug: fields.required("bind_flow_slug")?,
            unbind_flow_slug: fields.optional("unbind_flow_slug"),
            application_slug: fields.required("application_slug")?,
            certificate: fields.optional("certificate"),
            tls_server_name: fields.optional("tls_server_name"),
            uid_start_number: fields
                .optional::<Option<i64>>("uid_start_number")
                .unwrap_or(DEFAULT_UID_START),
            gid_start_number: fields
                .optional::<Option<i64>>("gid_start_number")
                .unwrap_or(DEFAULT_GID_START),
            search_mode: fields.optional("search_mode"),
            bind_mode: fields.optional("bind_mode"),
            mfa_support: fields.optional::<Option<bool>>("mfa_support").unwrap_or(true),
        })
    }
}
