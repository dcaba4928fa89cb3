//! Sessions and the signed cookie that names them.

use std::collections::HashMap;
use std::fmt::Write;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::clock::{micros, system_time};
use super::plan::Plan;
use super::users::{hex, sha256};

const DAY: i64 = 86_400_000_000;
/// Expired sessions are removed each time this many were opened, so that memory does not grow with every bind.
const SWEEP_EVERY: usize = 4096;
const SID_LENGTH: usize = 32;

/// One session row.
#[derive(Debug, Clone)]
pub struct Session {
    /// The session key.
    pub sid: String,
    /// The user logged in, if any.
    pub user: Option<i32>,
    /// Expiry date, microseconds since the epoch.
    pub expires: i64,
    /// The cookie carries the expiry date; otherwise it lives until the browser closes.
    pub(crate) explicit_expiry: bool,
    pub(crate) last_ip: String,
    pub(crate) plan: Option<Plan>,
}

impl Session {
    /// The id a session-end frame names: lower-case hex SHA-256 of the key.
    pub fn id(&self) -> String {
        hex(&sha256(self.sid.as_bytes()))
    }
}

#[derive(Debug)]
pub(crate) struct Sessions {
    rows: HashMap<String, Session>,
    key: hmac::Key,
    opened: usize,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            rows: HashMap::new(),
            key: hmac::Key::new(hmac::HMAC_SHA256, b"simulator secret key"),
            opened: 0,
        }
    }
}

impl Sessions {
    /// The session a cookie names, if it is genuine and alive.
    pub(crate) fn find(&self, cookie: &str, now: i64) -> Option<String> {
        let sid = self.decode(cookie)?;
        self.rows
            .get(&sid)
            .filter(|session| session.expires > now)
            .map(|session| session.sid.clone())
    }

    pub(crate) fn get(&self, sid: &str) -> Option<&Session> {
        self.rows.get(sid)
    }

    pub(crate) fn get_mut(&mut self, sid: &str) -> Option<&mut Session> {
        self.rows.get_mut(sid)
    }

    /// Opens an anonymous session.
    pub(crate) fn open(&mut self, ip: &str, now: i64) -> String {
        self.opened += 1;
        if self.opened.is_multiple_of(SWEEP_EVERY) {
            self.rows.retain(|_, session| session.expires > now);
        }
        let sid = random_text(SID_LENGTH);
        let session = Session {
            sid: sid.clone(),
            user: None,
            expires: now.saturating_add(DAY),
            explicit_expiry: false,
            last_ip: ip.to_owned(),
            plan: None,
        };
        self.rows.insert(sid.clone(), session);
        sid
    }

    /// Logs a user in: the key changes. Returns the new key.
    pub(crate) fn log_in(
        &mut self,
        sid: &str,
        user: i32,
        lifetime: std::time::Duration,
        ip: &str,
        now: i64,
    ) -> String {
        self.rows.remove(sid);
        let sid = self.open(ip, now);
        if let Some(session) = self.rows.get_mut(&sid) {
            session.user = Some(user);
            session.explicit_expiry = !lifetime.is_zero();
            session.expires = now.saturating_add(if lifetime.is_zero() { DAY } else { micros(lifetime) });
        }
        sid
    }

    /// Gives a session another key, as authentik does with a new password. Returns it, and the row under the old one, whose
    /// end is announced like any other: no recording shows whether authentik does, and this is the harder case.
    pub(crate) fn change_key(&mut self, sid: &str) -> (String, Option<Session>) {
        let Some(old) = self.rows.remove(sid) else {
            return (sid.to_owned(), None);
        };
        let new = random_text(SID_LENGTH);
        let session = Session {
            sid: new.clone(),
            ..old.clone()
        };
        self.rows.insert(new.clone(), session);
        (new, Some(old))
    }

    /// Extends a saved session, unless the login stage set its end.
    pub(crate) fn save(&mut self, sid: &str, now: i64) {
        if let Some(session) = self.rows.get_mut(sid).filter(|session| !session.explicit_expiry) {
            session.expires = now.saturating_add(DAY);
        }
    }

    pub(crate) fn remove(&mut self, sid: &str) -> Option<Session> {
        self.rows.remove(sid)
    }

    /// Ends all sessions of a user and returns them.
    pub(crate) fn end_of(&mut self, user: i32, except: Option<&str>) -> Vec<Session> {
        let ended: Vec<String> = self
            .rows
            .values()
            .filter(|session| session.user == Some(user) && Some(session.sid.as_str()) != except)
            .map(|session| session.sid.clone())
            .collect();
        ended.iter().filter_map(|sid| self.rows.remove(sid)).collect()
    }

    /// All sessions of users.
    pub(crate) fn logged_in(&self) -> Vec<Session> {
        self.rows
            .values()
            .filter(|session| session.user.is_some())
            .cloned()
            .collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Removes what has expired and returns the sessions of users, whose end is announced.
    pub(crate) fn sweep(&mut self, now: i64) -> Vec<Session> {
        let (dead, alive) = std::mem::take(&mut self.rows)
            .into_iter()
            .partition(|(_, row)| row.expires <= now);
        self.rows = alive;
        let dead: HashMap<String, Session> = dead;
        dead.into_values()
            .filter(|session| session.user.is_some())
            .collect()
    }

    /// The JWT for a session; `uid` is that of the user, none for an anonymous one.
    pub(crate) fn encode(&self, sid: &str, uid: Option<&str>) -> String {
        self.sign(&json!({
            "sid": sid, "iss": "authentik", "sub": uid.unwrap_or("anonymous"),
            "authenticated": uid.is_some(), "acr": "goauthentik.io/core/default",
        }))
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let mut token = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = hmac::sign(&self.key, token.as_bytes());
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(signature.as_ref()));
        token
    }

    fn decode(&self, token: &str) -> Option<String> {
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        hmac::verify(&self.key, signed.as_bytes(), &signature).ok()?;
        let (_, claims) = signed.split_once('.')?;
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        claims.get("sid")?.as_str().map(str::to_owned)
    }
}

/// Lower-case letters and digits.
pub(crate) fn random_text(length: usize) -> String {
    const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    (0..length)
        .filter_map(|_| fastrand::choice(ALPHABET))
        .map(|octet| char::from(*octet))
        .collect()
}

/// A `Set-Cookie` value as Django writes one.
pub(crate) struct Cookie<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a str,
    /// Microseconds since the epoch.
    pub(crate) expires: Option<i64>,
    pub(crate) http_only: bool,
    pub(crate) cross_site: bool,
    pub(crate) secure: bool,
}

impl Cookie<'_> {
    pub(crate) fn write(&self, now: i64) -> String {
        let mut out = format!("{}={}", self.name, self.value);
        if let Some(at) = self.expires {
            let _ = write!(out, "; expires={}", httpdate::fmt_http_date(system_time(at)));
        }
        if self.http_only {
            out.push_str("; HttpOnly");
        }
        if let Some(at) = self.expires {
            let _ = write!(out, "; Max-Age={}", (at - now).max(0) / 1_000_000);
        }
        out.push_str("; Path=/");
        out.push_str(if self.cross_site {
            "; SameSite=None"
        } else {
            "; SameSite=Lax"
        });
        if self.secure {
            out.push_str("; Secure");
        }
        out
    }
}

/// The `Set-Cookie` value that removes the session cookie.
pub(crate) const NO_SESSION: &str =
    "authentik_session=\"\"; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; SameSite=Lax";
