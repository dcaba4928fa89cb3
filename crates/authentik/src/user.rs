//! A user as `GET core/users/` lists it, with the fields an LDAP directory needs.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::page::{Listed, RowFields, check_attributes, nullable};
use super::role::{self, ListedRole};
use super::timestamp::Timestamp;

/// A user. Every field but `pk` and `username` may be missing in the answer and is then empty.
#[derive(Clone, Debug, Deserialize)]
pub struct User {
    /// Primary key, ascending with creation.
    pub pk: i64,
    /// Log-in name; never empty. Any characters, up to 150.
    pub username: String,
    /// Display name; may be empty.
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
    /// E-mail address; may be empty and need not be unique.
    #[serde(default, deserialize_with = "nullable")]
    pub email: String,
    /// Whether the account is active. Missing counts as inactive.
    #[serde(default, deserialize_with = "nullable")]
    pub is_active: bool,
    /// Whether the user or any group above is superuser.
    #[serde(default, deserialize_with = "nullable")]
    pub is_superuser: bool,
    /// 64 hexadecimal digits, authentik's stable opaque id; `sub` of the user's sessions.
    #[serde(default, deserialize_with = "nullable")]
    pub uid: String,
    /// UUID with dashes.
    #[serde(default, deserialize_with = "nullable")]
    pub uuid: String,
    /// Folder, such as `users` or `goauthentik.io/outposts`.
    #[serde(default, deserialize_with = "nullable")]
    pub path: String,
    /// `internal`, `external`, `service_account`, `internal_service_account`, or what a later release adds.
    #[serde(default, rename = "type", deserialize_with = "nullable")]
    pub kind: String,
    /// Primary keys (UUIDs) of the groups the user is a direct member of.
    #[serde(default, deserialize_with = "nullable")]
    pub groups: Vec<String>,
    /// Primary keys (UUIDs) and names of the roles that the user has itself. 2025.10 shows those of groups only.
    #[serde(default, rename = "roles_obj", deserialize_with = "role::pairs")]
    pub roles: Vec<(String, String)>,
    /// The JSON text of the attributes, always an object, as sent: number literals matter. It may be nested as
    /// deeply as the sender likes.
    #[serde(default)]
    pub attributes: Option<Box<RawValue>>,
    /// When the row was last changed.
    #[serde(default, deserialize_with = "nullable")]
    pub last_updated: Timestamp,
    /// When the account was created.
    #[serde(default, deserialize_with = "nullable")]
    pub date_joined: Timestamp,
    /// When the password was last set.
    #[serde(default, deserialize_with = "nullable")]
    pub password_change_date: Timestamp,
}

impl Listed for User {
    type Key = i64;
    const KIND: &'static str = "user";

    fn key(&self) -> i64 {
        self.pk
    }

    fn label(&self) -> &str {
        &self.username
    }

    fn version(&self) -> u64 {
        version(self.last_updated)
    }

    fn parse_key(text: &str) -> Option<i64> {
        text.parse().ok()
    }

    fn salvage(fields: &mut RowFields<'_>) -> Result<Self, String> {
        Ok(Self {
            pk: fields.required("pk")?,
            username: fields.required("username")?,
            name: fields.optional("name"),
            email: fields.optional("email"),
            is_active: fields.optional("is_active"),
            is_superuser: fields.optional("is_superuser"),
            uid: fields.optional("uid"),
            uuid: fields.optional("uuid"),
            path: fields.optional("path"),
            kind: fields.optional("type"),
            groups: fields.list("groups"),
            roles: fields
                .list::<ListedRole>("roles_obj")
                .into_iter()
                .map(ListedRole::into)
                .collect(),
            attributes: fields.optional("attributes"),
            last_updated: fields.optional("last_updated"),
            date_joined: fields.optional("date_joined"),
            password_change_date: fields.optional("password_change_date"),
        })
    }

    fn check(&mut self) -> Vec<(&'static str, String)> {
        check_attributes(&mut self.attributes).into_iter().collect()
    }
}

/// A number for a time. Never 0, which means a row that could not be read.
fn version(last_updated: Timestamp) -> u64 {
    let mut hasher = DefaultHasher::new();
    last_updated.hash(&mut hasher);
    hasher.finish() | 1
}
