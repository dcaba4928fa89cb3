//! What a request carried that nobody is to read in an answer to it.
//!
//! Must not know what the answer says.

use std::collections::BTreeMap;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::struck::Secrets;
use crate::transport::Request;

/// The headers whose values are secret besides those of HTTP itself.
pub(super) const OUTPOST_TOKEN: HeaderName = HeaderName::from_static("x-authentik-outpost-token");
pub(super) const CSRF_TOKEN: HeaderName = HeaderName::from_static("x-authentik-csrf");

/// Octets of the shortest cookie that may name a session.
const LEAST_COOKIE: usize = 8;
/// What is no secret in a body.
const PUBLIC: [&str; 2] = ["component", "uid_field"];

/// What may be secret of a request. It shares the octets with it: most answers repeat nothing, and each call has one.
#[derive(Default)]
pub(crate) struct Sent {
    token: Option<HeaderValue>,
    outpost_token: Option<HeaderValue>,
    csrf_token: Option<HeaderValue>,
    cookies: Option<HeaderValue>,
    body: Option<Bytes>,
}

impl Sent {
    pub(super) fn by(request: &Request) -> Self {
        let header = |name| request.headers.get(name).cloned();
        Self {
            token: header(AUTHORIZATION),
            outpost_token: header(OUTPOST_TOKEN),
            csrf_token: header(CSRF_TOKEN),
            cookies: header(COOKIE),
            body: request.body.clone(),
        }
    }

    /// The token, the cookies, and the texts in the body.
    pub(super) fn secrets(&self) -> Secrets {
        let texts = self.texts();
        let texts = texts.iter().map(|text| text.as_bytes());
        let token = text(self.token.as_ref()).map(|value| value.strip_prefix("Bearer ").unwrap_or(value));
        let cookies = text(self.cookies.as_ref()).unwrap_or_default().split("; ");
        let cookies = cookies
            .filter_map(|pair| pair.split_once('='))
            .map(|(_, value)| value)
            .filter(|value| value.len() >= LEAST_COOKIE);
        let headers = [
            token,
            text(self.outpost_token.as_ref()),
            text(self.csrf_token.as_ref()),
        ]
        .into_iter()
        .flatten()
        .chain(cookies);
        Secrets::of(headers.map(str::as_bytes).chain(texts))
    }

    fn texts(&self) -> Vec<Zeroizing<String>> {
        let body = self.body.as_deref().unwrap_or_default();
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

fn text(value: Option<&HeaderValue>) -> Option<&str> {
    value?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use reqwest::Method;
    use reqwest::header::HeaderMap;

    use super::*;
    use crate::transport::Credential;

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
        let request = Request {
            method: Method::POST,
            url: "https://authentik.test/".parse().unwrap(),
            credential: Credential::Session,
            headers,
            body: Some(Bytes::from_static(body)),
            most: 0,
        };
        let sent = Sent::by(&request);
        let shared = sent.body.as_ref().map(|body| body.as_ptr());
        assert_eq!(shared, request.body.as_ref().map(|body| body.as_ptr()));
        let secrets = sent.secrets();
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
