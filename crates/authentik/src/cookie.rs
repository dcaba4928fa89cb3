//! The cookies of one flow: kept by name, because authentik is a single origin.
//!
//! Domain, Path and Secure are ignored on purpose: authentik may be reached under an internal name for which a
//! standard jar would refuse its cookies, and then no login would ever complete. Knows nothing about what a cookie
//! means.

use std::fmt;
use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, HeaderValue, SET_COOKIE};
use zeroize::Zeroizing;

/// Cookies kept at most. authentik sets five; more mean that the server has gone wrong.
const MAX_COOKIES: usize = 32;
/// Bytes of one cookie kept at most; browsers stop at 4096.
const MAX_COOKIE_BYTES: usize = 8192;

#[derive(Clone)]
struct Cookie {
    name: String,
    value: Zeroizing<String>,
    expires: Option<SystemTime>,
    secure: bool,
}

/// The jar. Its `Debug` shows names only.
#[derive(Clone, Default)]
pub(crate) struct CookieJar {
    jar: Vec<Cookie>,
}

impl fmt::Debug for CookieJar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.jar.iter().map(|cookie| &cookie.name))
            .finish()
    }
}

impl CookieJar {
    /// Adopts every `Set-Cookie` of an answer received at `now`, including deletions.
    pub(crate) fn absorb(&mut self, headers: &HeaderMap, now: SystemTime) {
        for header in headers.get_all(SET_COOKIE) {
            if let Ok(text) = header.to_str() {
                self.set(text, now);
            }
        }
    }

    fn set(&mut self, text: &str, now: SystemTime) {
        let mut parts = text.split(';');
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
            return;
        };
        let (name, value) = (name.trim(), value.trim().trim_matches('"'));
        if name.is_empty() || name.len() + value.len() > MAX_COOKIE_BYTES {
            return;
        }
        let (mut max_age, mut expires, mut secure) = (None, None, false);
        for attribute in parts {
            let Some((key, value)) = attribute.split_once('=') else {
                secure |= attribute.trim().eq_ignore_ascii_case("secure");
                continue;
            };
            match key.trim().to_ascii_lowercase().as_str() {
                "max-age" => max_age = value.trim().parse::<i64>().ok(),
                "expires" => expires = httpdate::parse_http_date(value.trim()).ok(),
                _ => {}
            }
        }
        // RFC 6265 5.2.2: Max-Age wins over Expires.
        let expires = match max_age {
            Some(seconds) => match u64::try_from(seconds) {
                Ok(seconds) if seconds > 0 => now.checked_add(Duration::from_secs(seconds)),
                _ => Some(SystemTime::UNIX_EPOCH),
            },
            None => expires,
        };
        self.jar.retain(|cookie| cookie.name != name);
        let dead = value.is_empty() || expires.is_some_and(|at| at <= now);
        if !dead && self.jar.len() < MAX_COOKIES {
            self.jar.push(Cookie {
                name: name.to_owned(),
                value: Zeroizing::new(value.to_owned()),
                expires,
                secure,
            });
        }
    }

    /// Whether a cookie came with the attribute Secure, which says that the server believes it is asked over https.
    pub(crate) fn is_secure(&self, name: &str) -> Option<bool> {
        self.find(name).map(|cookie| cookie.secure)
    }

    /// The value of a cookie.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.find(name).map(|cookie| cookie.value.as_str())
    }

    /// When a cookie expires; `None` also for one that lasts as long as the session.
    pub(crate) fn expires(&self, name: &str) -> Option<SystemTime> {
        self.find(name).and_then(|cookie| cookie.expires)
    }

    fn find(&self, name: &str) -> Option<&Cookie> {
        self.jar.iter().find(|cookie| cookie.name == name)
    }

    /// The `Cookie` header, or `None` for an empty jar.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        if self.jar.is_empty() {
            return None;
        }
        let length = self
            .jar
            .iter()
            .map(|cookie| cookie.name.len() + cookie.value.len() + 3)
            .sum();
        let mut text = Zeroizing::new(String::with_capacity(length));
        for cookie in &self.jar {
            if !text.is_empty() {
                text.push_str("; ");
            }
            text.push_str(&cookie.name);
            text.push('=');
            text.push_str(&cookie.value);
        }
        let mut header = HeaderValue::from_str(&text).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jar(lines: &[&str], now: SystemTime) -> CookieJar {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(SET_COOKIE, HeaderValue::from_str(line).unwrap());
        }
        let mut cookies = CookieJar::default();
        cookies.absorb(&headers, now);
        cookies
    }

    #[test]
    fn the_newest_wins_whatever_its_attributes() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let cookies = jar(
            &[
                "a=1; Domain=elsewhere.example; Path=/deep; Secure; HttpOnly; SameSite=None",
                "b=x=y==; Path=/",
                "a=2; Domain=company.tld",
            ],
            now,
        );
        assert_eq!(cookies.get("a"), Some("2"));
        assert_eq!(cookies.get("b"), Some("x=y=="));
        assert_eq!(cookies.header().unwrap().to_str().unwrap(), "b=x=y==; a=2");
        assert_eq!(format!("{cookies:?}"), r#"["b", "a"]"#);
        assert!(jar(&["nothing", "=x", ""], now).header().is_none());
    }

    #[test]
    fn expiry_and_deletion() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let cookies = jar(
            &["a=1; Max-Age=60; expires=Thu, 01 Jan 1970 00:00:00 GMT", "b=2"],
            now,
        );
        assert_eq!(cookies.expires("a"), Some(now + Duration::from_secs(60)));
        assert_eq!(cookies.expires("b"), None);
        let gone = jar(
            &[
                "a=1",
                "b=1",
                "c=1",
                "a=\"\"; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/",
                "b=2; Max-Age=-5",
                "c=; Path=/",
            ],
            now,
        );
        assert!(gone.header().is_none());
        let far = jar(&["a=1; Max-Age=9223372036854775807"], now);
        assert_eq!(far.get("a"), Some("1"));
    }

    #[test]
    fn the_jar_is_bounded() {
        let lines: Vec<String> = (0..100).map(|n| format!("c{n}=v")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let cookies = jar(&lines, SystemTime::UNIX_EPOCH);
        assert_eq!(cookies.jar.len(), MAX_COOKIES);
        let long = format!("a={}", "x".repeat(MAX_COOKIE_BYTES + 1));
        assert!(jar(&[&long], SystemTime::UNIX_EPOCH).get("a").is_none());
    }
}
