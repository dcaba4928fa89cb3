//! The outpost's own object and the server's public configuration.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::page::{Listed, RowFields, RowWarning, nullable};

/// An outpost as `GET outposts/instances/` lists it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct OutpostInstance {
    /// UUID with dashes; names the websocket.
    pub pk: String,
    /// The name the admin gave it.
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
    /// `ldap` for the ones akldap serves.
    #[serde(default, rename = "type", deserialize_with = "nullable")]
    pub kind: String,
    /// Primary keys of the assigned providers, including those without an application.
    #[serde(default, deserialize_with = "nullable")]
    pub providers: Vec<i64>,
    /// The same with their applications, as far as authentik says.
    #[serde(default, rename = "providers_obj", deserialize_with = "nullable")]
    pub assigned: Vec<AssignedProvider>,
    /// Seconds between refreshes as configured; may be zero or negative.
    #[serde(default, deserialize_with = "nullable")]
    pub refresh_interval_s: i64,
    /// The outpost's free-form configuration.
    #[serde(default, deserialize_with = "nullable")]
    pub config: Map<String, Value>,
    /// Set for outposts that authentik itself maintains, such as the embedded one.
    #[serde(default)]
    pub managed: Option<String>,
}

impl OutpostInstance {
    /// The log level the admin set in the outpost's configuration.
    pub fn log_level(&self) -> Option<&str> {
        self.config.get("log_level").and_then(Value::as_str)
    }
}

impl Listed for OutpostInstance {
    type Key = String;
    const KIND: &'static str = "outpost";

    fn key(&self) -> String {
        self.pk.clone()
    }

    fn label(&self) -> &str {
        &self.name
    }

    fn parse_key(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn salvage(fields: &mut RowFields<'_>) -> Result<Self, String> {
        Ok(Self {
            pk: fields.required("pk")?,
            name: fields.optional("name"),
            kind: fields.optional("type"),
            providers: fields.list("providers"),
            assigned: fields.list("providers_obj"),
            refresh_interval_s: fields.optional("refresh_interval_s"),
            config: fields.optional("config"),
            managed: fields.optional("managed"),
        })
    }
}

/// A provider of an outpost, whether or not the outpost may see its settings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AssignedProvider {
    /// Primary key.
    pub pk: i64,
    /// Its name.
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
    /// The slug of its application.
    #[serde(default)]
    pub assigned_application_slug: Option<String>,
    /// That of the application whose backchannel it is.
    #[serde(default)]
    pub assigned_backchannel_application_slug: Option<String>,
}

impl AssignedProvider {
    /// The slug of the application that decides on access; `None` without one.
    pub fn application(&self) -> Option<&str> {
        let backchannel = self.assigned_backchannel_application_slug.as_deref();
        backchannel.or(self.assigned_application_slug.as_deref())
    }
}

/// The outpost a token stands for.
#[derive(Clone, Debug)]
pub struct OutpostChoice {
    /// The outpost.
    pub outpost: OutpostInstance,
    /// How many outposts the token sees. More than one: it is an admin's token, not an outpost's.
    pub visible: u64,
    /// Odd fields in the answer.
    pub warnings: Vec<RowWarning>,
}

impl OutpostChoice {
    /// Chooses among the outposts a token sees: the first of type `ldap`, otherwise the first.
    pub(crate) fn among(
        outposts: Vec<OutpostInstance>,
        visible: u64,
        warnings: Vec<RowWarning>,
    ) -> Option<Self> {
        let ldap = outposts
            .iter()
            .position(|outpost| outpost.kind == "ldap")
            .unwrap_or(0);
        let outpost = outposts.into_iter().nth(ldap)?;
        Some(Self {
            outpost,
            visible,
            warnings,
        })
    }

    /// What an admin should know about the choice.
    pub fn advice(&self) -> Option<String> {
        if self.visible > 1 {
            return Some(format!(
                "the token sees {} outposts, so it is not an outpost's own; serving {:?}. Use that outpost's token instead",
                self.visible, self.outpost.name
            ));
        }
        (self.outpost.kind != "ldap").then(|| {
            format!(
                "outpost {:?} is of type {:?}, not ldap: use an LDAP outpost's token",
                self.outpost.name, self.outpost.kind
            )
        })
    }
}

/// The part of `GET root/config/` that an outpost uses. An answer without it is somebody else's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RootConfig {
    /// Seconds for which authentik keeps a flow's plan: how often a warm-up makes sense.
    pub cache_timeout_flows: u64,
    /// What the installation can do.
    #[serde(default, deserialize_with = "nullable")]
    pub capabilities: Vec<Value>,
}
