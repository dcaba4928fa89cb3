//! One request to the API as it came in, and the conditions under which it is answered.
//!
//! Must not know who called.

use std::net::IpAddr;
use std::time::Duration;

use axum::http::{HeaderMap, Method, header};

use super::pages::Sizes;

/// One request, read.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) raw_query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    pub(crate) peer: IpAddr,
    pub(crate) tls: bool,
}

impl Request<'_> {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header_text(self.headers, name)
    }

    /// The value of a cookie; the last one of the name counts.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value)
            .next_back()
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.tls || self.header("x-forwarded-proto") == Some("https")
    }
}

/// The value of a header if it is text.
pub(crate) fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Which options and faults affect answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances {
    pub(crate) sizes: Sizes,
    pub(crate) hash_cost: Duration,
    pub(crate) suppress_login: bool,
    pub(crate) passing_for_anyone: bool,
}
