//! What a request carried that nobody is to read in an answer to it.
//!
//! Must not know what the answer says.

use std::collections::BTreeMap;

use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::struck::Secrets;

/// The headers whose values are secret besides those of HTTP itself.
pub(super) const OUTPOST_TOKEN: HeaderName = HeaderName::from_static("x-authentik-outpost-token");
pub(super) const CSRF_TOKEN: HeaderName = HeaderName::from_static("x-authentik-csrf");

/// Octets of the shortest cookie that may name a session.
const LEAST_COOKIE: usize = 8;
/// What is no secret in a body.
const PUBLIC: [&str; 2] = ["component", "uid_field"];

/// The headers and the body of a request.
#[derive(Default)]
pub(crate) struct Sent {
    headers: HeaderMap,
    body: Option<Zeroizing<Vec<u8>>>,
}

impl Sent {
    pub(super) fn of(headers: &HeaderMap, body: Option<&Zeroizing<Vec<u8>>>) -> Self {
        Self {
            headers: headers.clone(),
            body: body.cloned(),
        }
    }

    /// The token, the cookies, and the texts in the body.
    pub(super) fn secrets(&self) -> Secrets {
        let texts = self.texts();
        let texts = texts.iter().map(|text| text.as_bytes());
        let header = |name| self.headers.get(name).and_then(|value| value.to_str().ok());
        let token = header(&AUTHORIZATION).map(|value| value.strip_prefix("Bearer ").unwrap_or(value));
        let cookies = header(&COOKIE).unwrap_or_default().split("; ");
        let cookies = cookies
            .filter_map(|pair| pair.split_once('='))
            .map(|(_, value)| value)
            .filter(|value| value.len() >= LEAST_COOKIE);
        let headers = [token, header(&OUTPOST_TOKEN), header(&CSRF_TOKEN)]
            .into_iter()
            .flatten()
            .chain(cookies);
        Secrets::of(headers.map(str::as_bytes).chain(texts))
    }

    fn texts(&self) -> Vec<Zeroizing<String>> {
        let body = self.body.as_ref().map(|body| body.as_slice()).unwrap_or_default();
        let fields: BTreeMap<String, &RawValue> = serde_json::from_slice(body).unwrap_or_default();
        let secret = fields
            .into_iter()
            .filter(|(name, _)| !PUBLIC.contains(&name.as_str()));
        secret
            .filter_map(|(_, value)| serde_json::from_str(value.get()).ok())
            .map(Zeroizing::new)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn the_token_the_cookies_and_what_the_body_says_are_secret() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (AUTHORIZATION, "Bearer the-token"),
            (CSRF_TOKEN, "csrf-value"),
            (COOKIE, "lang=en; authentik_session=head.payload.sig"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let body = br#"{"component":"ak-stage-x","uid_field":"alice","password":"p\"ss word","code":"123456","n":1}"#;
        let secrets = Sent::of(&headers, Some(&Zeroizing::new(body.to_vec()))).secrets();
        let mut text = format!(
            "Bearer the-token; csrf-value; lang=en; authentik_session=head.payload.sig; {}",
            String::from_utf8_lossy(body)
        );
        secrets.strike(&mut text);
        assert_eq!(
            text,
            "Bearer [struck out]; [struck out]; lang=en; authentik_session=[struck out]; \
             {\"component\":\"ak-stage-x\",\"uid_field\":\"alice\",\"password\":\"[struck out]\",\"code\":\"[struck out]\",\"n\":1}"
        );
    }
}
