//! The session that a finished flow leaves: proof that somebody logged in, and the key to end it again.
//!
//! Knows the claims of authentik's session cookie (a JWT that only authentik can verify: here it is decoded, over a
//! connection to authentik itself). Must not know flows or providers.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::cookie::CookieJar;

/// The name of authentik's session cookie.
pub(crate) const SESSION_COOKIE: &str = "authentik_session";
/// The `sub` claim of a session that nobody is logged in to.
const ANONYMOUS: &str = "anonymous";

/// What the session cookie says about itself.
#[derive(Deserialize)]
pub(crate) struct Claims {
    #[serde(deserialize_with = "secret")]
    pub(crate) sid: Zeroizing<String>,
    #[serde(default)]
    pub(crate) sub: String,
    #[serde(default)]
    pub(crate) authenticated: bool,
}

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

/// What a session cookie turned out to be.
pub(crate) enum SessionCookie {
    /// None was set, or it was deleted.
    Missing,
    /// A JWT with the claims.
    Claims(Claims),
    /// Something else; a bare session key in authentik's test mode.
    Plain(Zeroizing<String>),
}

impl SessionCookie {
    pub(crate) fn of(cookies: &CookieJar) -> Self {
        let Some(value) = cookies.get(SESSION_COOKIE) else {
            return Self::Missing;
        };
        match decode_claims(value) {
            Some(claims) => Self::Claims(claims),
            None => Self::Plain(Zeroizing::new(value.to_owned())),
        }
    }

    /// Whether the answer to a request with this cookie set that of another session in which nobody is logged in, as for a request
    /// without any: a login, which also changes the session, does the opposite.
    pub(crate) fn is_replaced_by(&self, next: &Self) -> bool {
        match (self, next) {
            (Self::Claims(sent), Self::Claims(next)) => sent.sid != next.sid && !next.authenticated,
            _ => false,
        }
    }
}

fn decode_claims(value: &str) -> Option<Claims> {
    let mut parts = value.split('.');
    let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let payload = Zeroizing::new(URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?);
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    (!claims.sid.is_empty()).then_some(claims)
}

/// A session in which somebody is logged in. It can only be made from a cookie that says so (or, in authentik's test
/// mode, from an answer of `users/me`), and it keeps the flow's cookies for the calls made as that user.
#[derive(Clone)]
pub struct Session {
    sid: Zeroizing<String>,
    uid: String,
    expires: Option<SystemTime>,
    cookies: CookieJar,
    code: bool,
    began: Option<SystemTime>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("uid", &self.uid)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// The session of these cookies if their newest session cookie says that somebody is logged in.
    pub(crate) fn authenticated(cookies: &CookieJar) -> Option<Self> {
        match SessionCookie::of(cookies) {
            SessionCookie::Claims(Claims {
                sid,
                sub,
                authenticated: true,
            }) if !sub.is_empty() && sub != ANONYMOUS => Some(Self::new(sid, sub, cookies)),
            _ => None,
        }
    }

    /// The same session as these cookies name it now: what is known about the flow that opened it stays.
    pub(crate) fn following(&self, cookies: &CookieJar) -> Option<Self> {
        let now = Self::authenticated(cookies)?;
        Some(Self {
            code: self.code,
            began: self.began,
            expires: now.expires.or(self.expires),
            ..now
        })
    }

    /// The session of a plain cookie whose owner `users/me` has named.
    pub(crate) fn plain(sid: Zeroizing<String>, uid: String, cookies: &CookieJar) -> Self {
        Self::new(sid, uid, cookies)
    }

    /// A session that nobody opened.
    #[cfg(feature = "fixtures")]
    pub fn for_tests(sid: &str, uid: &str, expires: Option<SystemTime>) -> Self {
        let session = Self::new(
            Zeroizing::new(sid.to_owned()),
            uid.to_owned(),
            &CookieJar::default(),
        );
        Self { expires, ..session }
    }

    fn new(sid: Zeroizing<String>, uid: String, cookies: &CookieJar) -> Self {
        Self {
            sid,
            uid,
            expires: cookies.expires(SESSION_COOKIE),
            cookies: cookies.clone(),
            code: false,
            began: None,
        }
    }

    /// Notes whether the flow took a one-time code.
    pub(crate) fn with_code(self, code: bool) -> Self {
        Self { code, ..self }
    }

    /// Notes when the flow began.
    pub(crate) fn begun(self, began: Option<SystemTime>) -> Self {
        Self { began, ..self }
    }

    /// The server's clock when the flow began, or up to a second before, if it said: no secret had been judged by then.
    pub fn began(&self) -> Option<SystemTime> {
        self.began
    }

    /// Whether a one-time code was among what it was opened with: the same answers will not open another.
    pub fn took_code(&self) -> bool {
        self.code
    }

    /// The logged-in user's `uid`, equal to `uid` in the users API.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// When the cookie expires. `None`: the login stage sets no duration, and authentik keeps the session for a day.
    pub fn expires(&self) -> Option<SystemTime> {
        self.expires
    }

    /// The id under which authentik announces the end of this session.
    pub fn end_id(&self) -> SessionEndId {
        SessionEndId::of_session_key(self.sid.as_bytes())
    }

    /// Whether an answer to a request made with this session takes its cookie away: authentik does so when the session is
    /// over or its user may no longer log in, even if it then answers as to anybody.
    pub(crate) fn is_ended_by(&self, headers: &HeaderMap) -> bool {
        let mut cookies = self.cookies.clone();
        // A regular expiry is nothing new; only a deletion in this answer matters.
        cookies.absorb(headers, SystemTime::UNIX_EPOCH);
        cookies.get(SESSION_COOKIE).is_none()
    }

    pub(crate) fn cookies(&self) -> &CookieJar {
        &self.cookies
    }
}

/// The name of a session in `SESSION_END` events: SHA-256 of the session key. Not a secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionEndId([u8; 32]);

impl SessionEndId {
    pub(crate) fn of_session_key(key: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key);
        let mut id = [0; 32];
        for (to, from) in id.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        Self(id)
    }

    /// The 32 bytes of the hash.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for SessionEndId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionEndId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionEndId({self})")
    }
}

/// The text is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a session id is 64 hexadecimal digits")]
pub struct ParseSessionEndIdError;

impl FromStr for SessionEndId {
    type Err = ParseSessionEndIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(ParseSessionEndIdError);
        }
        let digit = |byte: u8| {
            char::from(byte)
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        };
        let mut id = [0; 32];
        for (to, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = pair else {
                return Err(ParseSessionEndIdError);
            };
            match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => *to = high * 16 + low,
                _ => return Err(ParseSessionEndIdError),
            }
        }
        Ok(Self(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderValue, SET_COOKIE};

    fn cookies(value: &str) -> CookieJar {
        let mut headers = HeaderMap::new();
        headers.append(
            SET_COOKIE,
            HeaderValue::from_str(&format!("{SESSION_COOKIE}={value}; Path=/")).unwrap(),
        );
        let mut cookies = CookieJar::default();
        cookies.absorb(&headers, SystemTime::UNIX_EPOCH);
        cookies
    }

    fn jwt(claims: &str) -> String {
        format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn only_authenticated_true_is_a_session() {
        let good = r#"{"sid":"abc","iss":"authentik","sub":"u1","authenticated":true,"acr":"x"}"#;
        let session = Session::authenticated(&cookies(&jwt(good))).unwrap();
        assert_eq!(session.uid(), "u1");
        assert_eq!(
            session.end_id().to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(!format!("{session:?}").contains("abc"));
        for bad in [
            r#"{"sid":"abc","sub":"anonymous","authenticated":false}"#,
            r#"{"sid":"abc","sub":"anonymous","authenticated":true}"#,
            r#"{"sid":"abc","sub":"u1","authenticated":false}"#,
            r#"{"sid":"abc","sub":"u1"}"#,
            r#"{"sid":"abc","sub":"u1","authenticated":"true"}"#,
            r#"{"sid":"abc","sub":"u1","authenticated":1}"#,
            r#"{"sid":"","sub":"u1","authenticated":true}"#,
            r#"{"sub":"u1","authenticated":true}"#,
            r#"{"sid":"abc","sub":"","authenticated":true}"#,
            r#"{"sid":"abc","authenticated":true}"#,
            "[]",
            "",
        ] {
            assert!(Session::authenticated(&cookies(&jwt(bad))).is_none(), "{bad}");
        }
        for bad in ["abc", "a.b", "a.b.c.d", "..", "a.*.c"] {
            assert!(Session::authenticated(&cookies(bad)).is_none(), "{bad}");
        }
        assert!(Session::authenticated(&CookieJar::default()).is_none());
        assert!(matches!(
            SessionCookie::of(&cookies("plainkey")),
            SessionCookie::Plain(_)
        ));
    }

    #[test]
    fn session_ids_parse_and_print() {
        let text = "40cfb7fd6365b0bbe948f1d007a12581331b98a4e253737bc81b3b0360441763";
        let id: SessionEndId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(
            id,
            SessionEndId::of_session_key(b"7zrtbismbs9tzc6098n90aerld8345l8")
        );
        for bad in ["", "40", &"g".repeat(64), &"é".repeat(32)] {
            assert!(bad.parse::<SessionEndId>().is_err());
        }
    }
}
