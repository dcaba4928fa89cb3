//! The HTTP client: one call, one time limit, one typed error.
//!
//! Knows which credential goes with which call: the outpost's token with the outpost's own calls, a session with
//! calls made as a user, never both (authentik lets the token win, and the answer would be about the outpost).
//! Follows no redirect, so no credential leaves for another origin.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, ORIGIN, REFERER,
    RETRY_AFTER,
};
use reqwest::{Method, redirect};
use rustls::ClientConfig;
use secrecy::ExposeSecret as _;
use url::Url;
use zeroize::Zeroizing;

use super::contact::Contact;
use super::cookie::Cookies;
use super::endpoint::{Endpoint, Settings};
use super::error::{ApiError, StatusAnswer, is_json};
use super::tls::{Trust, client_config};

/// Idle connections kept: as many as binds usually run at once, so that none pays for a TLS handshake.
const IDLE_CONNECTIONS: usize = 64;
/// Shorter than the 120 s after which authentik closes idle connections, so that few die under a request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// Bytes read of a listing. 20,000 users with all they carry are about 40 MB.
const MAX_LIST_BYTES: usize = 256 << 20;
/// Bytes read of any other answer. The largest known, a challenge with pictures in it, has some 100 kB.
const MAX_ANSWER_BYTES: usize = 4 << 20;

const REMOTE_IP: HeaderName = HeaderName::from_static("x-authentik-remote-ip");
const OUTPOST_TOKEN: HeaderName = HeaderName::from_static("x-authentik-outpost-token");
const CSRF_TOKEN: HeaderName = HeaderName::from_static("x-authentik-csrf");
const REQUEST_ID: &str = "x-authentik-id";
const CSRF_COOKIE: &str = "authentik_csrf";

/// A client for one authentik server and one token. Cloning is cheap and shares the connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    endpoint: Endpoint,
    settings: Settings,
    /// For calls with the token: lists come compressed.
    api: reqwest::Client,
    /// For calls as a user and for flows: knows no token of its own.
    user: reqwest::Client,
    /// For the websocket: HTTP/1.1 only, as upgrades want it.
    upgrading: reqwest::Client,
    bearer: HeaderValue,
    outpost_token: HeaderValue,
    contact: Contact,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.inner.endpoint).finish()
    }
}

/// As whom a call is made.
#[derive(Clone, Copy)]
pub(crate) enum Caller<'a> {
    /// The outpost, by its token.
    Outpost,
    /// A user, by the cookies of a flow; the outpost vouches for the client address.
    User {
        cookies: &'a Cookies,
        client_ip: Option<IpAddr>,
    },
}

/// A complete answer.
pub(crate) struct Answer {
    pub(crate) url: Url,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn request_id(&self) -> Option<String> {
        self.header(REQUEST_ID).map(super::error::excerpt)
    }

    /// The error for a status nobody expects.
    pub(crate) fn status_error(&self, bearer: bool) -> ApiError {
        let retry_after = self
            .header(RETRY_AFTER.as_str())
            .and_then(|text| text.parse().ok())
            .map(Duration::from_secs);
        let answer = StatusAnswer {
            status: self.status,
            content_type: self.header(CONTENT_TYPE.as_str()),
            request_id: self.header(REQUEST_ID),
            retry_after,
            body: &self.body,
        };
        ApiError::from_status(without_query(&self.url), &answer, bearer)
    }

    /// The body of a JSON answer, or what is wrong with it.
    pub(crate) fn json_body(&self) -> Result<&[u8], ApiError> {
        let kind = self.header(CONTENT_TYPE.as_str());
        if !is_json(kind) {
            return Err(self.malformed(format!(
                "its content type is {:?} instead of JSON",
                kind.unwrap_or("missing")
            )));
        }
        if self.body.is_empty() {
            return Err(self.malformed("it is empty".to_owned()));
        }
        Ok(&self.body)
    }

    pub(crate) fn malformed(&self, problem: String) -> ApiError {
        ApiError::Malformed {
            url: without_query(&self.url).to_owned(),
            problem,
            request_id: self.request_id(),
        }
    }
}

/// Queries may hold names of users; the path says enough.
fn without_query(url: &Url) -> &str {
    let text = url.as_str();
    text.split('?').next().unwrap_or(text)
}

impl Client {
    /// Makes a client. Reads the trust store; opens no connection.
    pub fn new(settings: Settings) -> Result<Self, ApiError> {
        let endpoint = Endpoint::new(&settings.host)?;
        let trust = if settings.insecure {
            Trust::Anybody
        } else {
            Trust::Authorities {
                system: endpoint.is_tls(),
                ca_file: settings.ca_file.as_deref(),
            }
        };
        let tls = client_config(&trust)?;
        let token = settings.token.expose_secret().trim();
        let secret = |text: &str| {
            let mut value = HeaderValue::from_str(text).map_err(|_| {
                ApiError::Settings("AUTHENTIK_TOKEN contains characters that no token can have".to_owned())
            })?;
            value.set_sensitive(true);
            Ok::<_, ApiError>(value)
        };
        let bearer = secret(&Zeroizing::new(format!("Bearer {token}")))?;
        let outpost_token = secret(token)?;
        Ok(Self {
            inner: Arc::new(Inner {
                api: build(http_client(&settings, &endpoint, &tls, &[b"h2", b"http/1.1"]).gzip(true))?,
                user: build(http_client(&settings, &endpoint, &tls, &[b"h2", b"http/1.1"]))?,
                upgrading: build(http_client(&settings, &endpoint, &tls, &[b"http/1.1"]).http1_only())?,
                endpoint,
                settings,
                bearer,
                outpost_token,
                contact: Contact::default(),
            }),
        })
    }

    /// The server's URLs.
    pub fn endpoint(&self) -> &Endpoint {
        &self.inner.endpoint
    }

    /// The settings the client was made with.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// When authentik last answered and whether calls fail.
    pub fn contact(&self) -> &Contact {
        &self.inner.contact
    }

    pub(crate) fn upgrading(&self) -> &reqwest::Client {
        &self.inner.upgrading
    }

    pub(crate) fn bearer(&self) -> &HeaderValue {
        &self.inner.bearer
    }

    /// Gets an API path as JSON. A call cut off by a recycled worker is made once more: reading twice is harmless.
    pub(crate) async fn get_json(
        &self,
        url: Url,
        caller: Caller<'_>,
        kind: AnswerKind,
    ) -> Result<Answer, ApiError> {
        let bearer = matches!(caller, Caller::Outpost);
        let once = || async {
            let answer = self.send(Method::GET, url.clone(), caller, None, kind).await?;
            if answer.status != 200 {
                return Err(answer.status_error(bearer));
            }
            answer.json_body()?;
            Ok(answer)
        };
        match once().await {
            Err(error) if error.is_recycled_worker() => {
                tracing::debug!(%error, "calling authentik once more");
                once().await
            }
            other => other,
        }
    }

    /// Makes one call and reads the whole answer, whatever its status.
    pub(crate) async fn send(
        &self,
        method: Method,
        url: Url,
        caller: Caller<'_>,
        body: Option<Zeroizing<Vec<u8>>>,
        kind: AnswerKind,
    ) -> Result<Answer, ApiError> {
        let limit = kind.timeout(&self.inner.settings);
        let name = without_query(&url).to_owned();
        let request = self.request(method, url, caller, body);
        let result = match tokio::time::timeout(limit, exchange(request, kind.max_bytes(), &name)).await {
            Ok(result) => result,
            Err(_elapsed) => Err(ApiError::TimedOut {
                url: name,
                after: limit,
            }),
        };
        match &result {
            Ok(answer) => self.inner.contact.status(answer.status),
            Err(ApiError::TooLarge { .. }) => self.inner.contact.answered(),
            Err(_) => self.inner.contact.failed(),
        }
        result
    }

    fn request(
        &self,
        method: Method,
        url: Url,
        caller: Caller<'_>,
        body: Option<Zeroizing<Vec<u8>>>,
    ) -> reqwest::RequestBuilder {
        let inner = &*self.inner;
        let posts = method == Method::POST;
        let mut request = match caller {
            Caller::Outpost => inner
                .api
                .request(method, url)
                .header(AUTHORIZATION, inner.bearer.clone()),
            Caller::User { cookies, client_ip } => {
                let mut request = inner
                    .user
                    .request(method, url)
                    .header(OUTPOST_TOKEN, inner.outpost_token.clone());
                if let Some(ip) = client_ip {
                    // Display of an address has no brackets, zone or port; a mapped IPv4 address is shown as such.
                    request = request.header(REMOTE_IP, ip.to_canonical().to_string());
                }
                if let Some(header) = cookies.header() {
                    request = request.header(COOKIE, header);
                }
                // Demanded of a POST once the session is logged in; before that authentik sets no such cookie.
                if let Some(token) = cookies.get(CSRF_COOKIE).filter(|_| posts) {
                    let origin = inner.endpoint.origin();
                    request = request
                        .header(CSRF_TOKEN, token)
                        .header(REFERER, format!("{origin}/"))
                        .header(ORIGIN, origin);
                }
                request
            }
        };
        if let Some(body) = body {
            // The owner is zeroized when the last reference to the bytes goes.
            request = request
                .header(CONTENT_TYPE, "application/json")
                .body(Bytes::from_owner(Secret(body)));
        }
        request.header(ACCEPT, "application/json")
    }
}

/// A request body that is wiped after use.
struct Secret(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Secret {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// What kind of answer is awaited, which decides how long and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerKind {
    /// One object.
    Object,
    /// A page of a list.
    List,
    /// The answer to a Duo push.
    Push,
}

impl AnswerKind {
    fn timeout(self, settings: &Settings) -> Duration {
        match self {
            Self::Object => settings.request_timeout,
            Self::List => settings.list_timeout,
            Self::Push => settings.duo_timeout,
        }
    }

    fn max_bytes(self) -> usize {
        match self {
            Self::List => MAX_LIST_BYTES,
            Self::Object | Self::Push => MAX_ANSWER_BYTES,
        }
    }
}

fn http_client(
    settings: &Settings,
    endpoint: &Endpoint,
    tls: &ClientConfig,
    protocols: &[&[u8]],
) -> reqwest::ClientBuilder {
    let mut tls = tls.clone();
    tls.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(&settings.user_agent)
        .redirect(redirect::Policy::none())
        .referer(false)
        .connect_timeout(settings.connect_timeout)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(30))
        .gzip(false);
    if endpoint.is_loopback() {
        builder.no_proxy()
    } else {
        builder
    }
}

fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, ApiError> {
    builder
        .build()
        .map_err(|error| ApiError::Settings(format!("the HTTP client cannot be set up: {error}")))
}

async fn exchange(
    request: reqwest::RequestBuilder,
    max_bytes: usize,
    name: &str,
) -> Result<Answer, ApiError> {
    let mut response = request
        .send()
        .await
        .map_err(|error| ApiError::from_transport(name, &error))?;
    let too_large = || ApiError::TooLarge {
        url: name.to_owned(),
        limit: max_bytes,
    };
    let expected = response
        .content_length()
        .and_then(|length| usize::try_from(length).ok())
        .unwrap_or(0);
    if expected > max_bytes {
        return Err(too_large());
    }
    // What a length claims is not allocated in advance beyond one usual page.
    let mut body = Vec::with_capacity(expected.min(1 << 20));
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| ApiError::from_transport(name, &error))?
    {
        if body.len() + chunk.len() > max_bytes {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer {
        url: response.url().clone(),
        status: response.status().as_u16(),
        headers: std::mem::take(response.headers_mut()),
        body,
    })
}
