//! A user as `core/users/` shows it.

use std::fmt::Write;
use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

use super::attributes::{Attributes, Stored, write_text};
use super::clock::iso;

/// authentik's kinds of user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UserType {
    /// A member of the organisation.
    #[default]
    Internal,
    /// A partner or customer.
    External,
    /// A service account that an admin made.
    ServiceAccount,
    /// An account that authentik made for itself, such as an outpost's.
    InternalServiceAccount,
}

impl UserType {
    /// The word the API uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::External => "external",
            Self::ServiceAccount => "service_account",
            Self::InternalServiceAccount => "internal_service_account",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [
            Self::Internal,
            Self::External,
            Self::ServiceAccount,
            Self::InternalServiceAccount,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == text)
    }
}

/// What a password is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Password {
    /// No password is right.
    #[default]
    Unusable,
    /// `demo-<username>`, not stored so that a million of them cost nothing.
    Demo,
    /// This text.
    Text(Box<str>),
}

/// One user. Times are microseconds since the Unix epoch.
#[derive(Debug, Clone)]
pub struct User {
    /// Primary key.
    pub pk: i32,
    /// Name to log in with, unique in its exact spelling.
    pub username: Box<str>,
    /// Display name.
    pub name: Box<str>,
    /// E-mail address, may be empty, may be shared.
    pub email: Box<str>,
    /// Deactivated users cannot log in but stay in the list.
    pub is_active: bool,
    /// Last login, if there was one.
    pub last_login: Option<i64>,
    /// When the account was made.
    pub date_joined: i64,
    /// When the password was last set; below zero: the field is left out.
    pub password_change_date: i64,
    /// When the row was last saved.
    pub last_updated: i64,
    /// Random id of the row.
    pub uuid: Uuid,
    /// Hashed id, shown as 64 hex digits.
    pub uid: [u8; 32],
    /// Folder in the admin interface.
    pub path: Arc<str>,
    /// Kind of account.
    pub kind: UserType,
    /// Roles given to the user itself.
    pub roles: Vec<Uuid>,
    /// What the password is compared with.
    pub password: Password,
    pub(crate) attributes: Stored,
    /// Keys of the groups the user is directly in, in the order they were joined.
    pub(crate) groups: Vec<u32>,
}

impl User {
    /// A user with fixed, derived ids and times: the same pk and name always give the same user.
    pub fn new(pk: i32, username: &str, name: &str, email: &str) -> Self {
        let joined = FIRST_JOINED + i64::from(pk) * 1_000_003;
        Self {
            pk,
            username: username.into(),
            name: name.into(),
            email: email.into(),
            is_active: true,
            last_login: None,
            date_joined: joined,
            password_change_date: joined + 250_017,
            last_updated: joined + 500_029,
            uuid: Uuid::new_v5(&Uuid::NAMESPACE_OID, username.as_bytes()),
            uid: derived_uid(pk),
            path: "users".into(),
            kind: UserType::Internal,
            roles: Vec::new(),
            password: Password::Unusable,
            attributes: Stored::default(),
            groups: Vec::new(),
        }
    }

    /// The custom attributes.
    pub fn attributes(&self) -> Attributes {
        self.attributes.read()
    }

    /// Replaces the custom attributes.
    pub fn set_attributes(&mut self, attributes: &Attributes) {
        self.attributes = Stored::new(attributes);
    }

    /// The uid as the API shows it.
    pub fn uid_hex(&self) -> String {
        hex(&self.uid)
    }

    /// Whether `typed` is the password, compared in constant time.
    pub fn password_is(&self, typed: &str) -> bool {
        match &self.password {
            Password::Unusable => false,
            Password::Demo => constant_time(typed, &format!("demo-{}", self.username)),
            Password::Text(text) => constant_time(typed, text),
        }
    }

    /// The picture with initials that authentik draws if no other avatar is configured.
    pub(crate) fn avatar(&self) -> String {
        avatar(&self.name, &self.username)
    }
}

/// 2026-01-01T00:00:00Z, the day the sample directory began.
const FIRST_JOINED: i64 = 1_767_225_600_000_000;

pub(crate) fn derived_uid(pk: i32) -> [u8; 32] {
    sha256(format!("{pk}-simulator").as_bytes())
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    for (to, from) in out
        .iter_mut()
        .zip(digest::digest(&digest::SHA256, bytes).as_ref())
    {
        *to = *from;
    }
    out
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

pub(crate) fn constant_time(a: &str, b: &str) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a.as_bytes(), b.as_bytes()).is_ok()
}

pub(crate) fn avatar(name: &str, username: &str) -> String {
    let shown = if name.trim().is_empty() { username } else { name };
    let mut words = shown.split_whitespace();
    let first = words.next().unwrap_or("?");
    let initials: String = match words.next_back() {
        Some(last) => first.chars().take(1).chain(last.chars().take(1)).collect(),
        None => first.chars().take(2).collect(),
    };
    let hash = sha256(username.as_bytes());
    let (red, green, blue) = (hash[0] / 2 + 55, hash[1] / 2 + 55, hash[2] / 2 + 55);
    let drawing = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"64px\" height=\"64px\" viewBox=\"0 0 64 64\" version=\"1.1\">\
         <rect fill=\"#{red:02x}{green:02x}{blue:02x}\" cx=\"32\" cy=\"32\" width=\"64\" height=\"64\" r=\"32\"/>\
         <text x=\"50%\" y=\"50%\" style=\"color: #fff; line-height: 1; font-family: sans-serif; \" fill=\"#fff\" \
         alignment-baseline=\"middle\" dominant-baseline=\"middle\" text-anchor=\"middle\" font-size=\"28\" \
         font-weight=\"400\" dy=\".1em\">{}</text></svg>",
        initials.to_uppercase().replace('&', "&amp;").replace('<', "&lt;")
    );
    format!("data:image/svg+xml;base64,{}", STANDARD.encode(drawing))
}

/// What a list or a single answer shows besides the user itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UserInclude {
    pub(crate) groups: bool,
    pub(crate) roles: bool,
}

/// What a user's row repeats from other tables, already as JSON.
pub(crate) struct Related<'a> {
    pub(crate) is_superuser: bool,
    pub(crate) groups: Vec<(Uuid, &'a str)>,
    pub(crate) roles: Vec<(Uuid, &'a str)>,
}

impl User {
    /// Appends the row as JSON.
    pub(crate) fn write(&self, out: &mut String, related: &Related<'_>, include: UserInclude) {
        let _ = write!(out, "{{\"pk\":{},\"username\":", self.pk);
        write_text(out, &self.username);
        out.push_str(",\"name\":");
        write_text(out, &self.name);
        let _ = write!(out, ",\"is_active\":{},\"last_login\":", self.is_active);
        write_time(out, self.last_login);
        let _ = write!(
            out,
            ",\"date_joined\":\"{}\",\"is_superuser\":{}",
            iso(self.date_joined),
            related.is_superuser
        );
        write_related(out, "groups", &related.groups, include.groups);
        write_related(out, "roles", &related.roles, include.roles);
        out.push_str(",\"email\":");
        write_text(out, &self.email);
        let _ = write!(
            out,
            ",\"avatar\":\"{}\",\"attributes\":{},\"uid\":\"{}\",\"path\":",
            self.avatar(),
            self.attributes.text,
            hex(&self.uid)
        );
        write_text(out, &self.path);
        let _ = write!(
            out,
            ",\"type\":\"{}\",\"uuid\":\"{}\"",
            self.kind.as_str(),
            self.uuid
        );
        if self.password_change_date >= 0 {
            let _ = write!(
                out,
                ",\"password_change_date\":\"{}\"",
                iso(self.password_change_date)
            );
        }
        let _ = write!(out, ",\"last_updated\":\"{}\"}}", iso(self.last_updated));
    }

    /// Appends the short form for a group's `users_obj`.
    pub(crate) fn write_partial(&self, out: &mut String) {
        let _ = write!(out, "{{\"pk\":{},\"username\":", self.pk);
        write_text(out, &self.username);
        out.push_str(",\"name\":");
        write_text(out, &self.name);
        let _ = write!(out, ",\"is_active\":{},\"last_login\":", self.is_active);
        write_time(out, self.last_login);
        out.push_str(",\"email\":");
        write_text(out, &self.email);
        let _ = write!(
            out,
            ",\"attributes\":{},\"uid\":\"{}\"}}",
            self.attributes.text,
            hex(&self.uid)
        );
    }
}

fn write_time(out: &mut String, at: Option<i64>) {
    match at {
        Some(at) => {
            let _ = write!(out, "\"{}\"", iso(at));
        }
        None => out.push_str("null"),
    }
}

/// `,"<name>":[pks],"<name>_obj":[objects]` with null for objects that were not asked for.
pub(crate) fn write_related(out: &mut String, name: &str, items: &[(Uuid, &str)], with_objects: bool) {
    let _ = write!(out, ",\"{name}\":[");
    for (at, (pk, _)) in items.iter().enumerate() {
        let _ = write!(out, "{}\"{pk}\"", if at == 0 { "" } else { "," });
    }
    let _ = write!(out, "],\"{name}_obj\":");
    write_objects(out, items.iter().map(|(_, object)| *object), with_objects);
}

pub(crate) fn write_objects<'a>(out: &mut String, objects: impl Iterator<Item = &'a str>, wanted: bool) {
    if !wanted {
        out.push_str("null");
        return;
    }
    out.push('[');
    for (at, object) in objects.enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(object);
    }
    out.push(']');
}
