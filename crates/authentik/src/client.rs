//! The HTTP client: one call, one time limit, one typed error.
//!
//! Knows which credential goes with which call: the outpost's token with the outpost's own calls, a session with
//! calls made as a user, never both (authentik lets the token win, and the answer would be about the outpost).
//! Follows no redirect, so no credential leaves for another origin.

mod answer;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderName, ORIGIN, REFERER};
use reqwest::{Method, redirect};
use rustls::ClientConfig;
use url::Url;
use zeroize::Zeroizing;

use super::contact::Contact;
use super::cookie::Cookies;
use super::endpoint::Endpoint;
use super::error::ApiError;
use super::proxy;
use super::settings::Settings;
use super::tls::{Trust, client_config};
use super::token::{Credentials, Token, TokenFileError, TokenRenewal};
pub(crate) use answer::Answer;
use answer::without_query;

/// Idle connections kept: as many as binds usually run at once, so that none pays for a TLS handshake.
const IDLE_CONNECTIONS: usize = 64;
/// Shorter than the times after which authentik (120 s), nginx (75 s) and most load balancers (60 s) close idle
/// connections, so that few die under a request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);
/// Headers read of an answer, of which 100 are not enough: proxies and policies add theirs.
const MAX_HEADERS: usize = 1024;
/// Bytes of headers read of an answer over HTTP/2. Over HTTP/1.1 the library reads some 400 kB.
const MAX_HEADER_BYTES: u32 = 256 << 10;
/// Bytes read of a listing. 20,000 users with all they carry are about 40 MB.
const MAX_LIST_BYTES: usize = 256 << 20;
/// Bytes read of any other answer. The largest known, a challenge with pictures in it, has some 100 kB.
const MAX_ANSWER_BYTES: usize = 4 << 20;

const REMOTE_IP: HeaderName = HeaderName::from_static("x-authentik-remote-ip");
const OUTPOST_TOKEN: HeaderName = HeaderName::from_static("x-authentik-outpost-token");
const CSRF_TOKEN: HeaderName = HeaderName::from_static("x-authentik-csrf");
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
    /// For calls as a user and for flows: knows no token of its own. HTTP/1.1, where a server announces the end of a
    /// connection with the last answer on it; over HTTP/2 that end meets requests that are on their way.
    user: reqwest::Client,
    /// For the websocket: HTTP/1.1 only, as upgrades want it.
    upgrading: reqwest::Client,
    token: Token,
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
        let token = Token::new(&settings.token, settings.token_file.clone())?;
        let proxy = proxy::of(&settings, &endpoint)?;
        let http = |protocols: &[&[u8]]| http_client(&settings, proxy.clone(), &tls, protocols);
        let one_by_one = || http(&[b"http/1.1"]).http1_only().retry(reqwest::retry::never());
        Ok(Self {
            inner: Arc::new(Inner {
                api: build(http(&[b"h2", b"http/1.1"]).gzip(true))?,
                user: build(one_by_one())?,
                upgrading: build(one_by_one())?,
                endpoint,
                settings,
                token,
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

    /// Reads the token's file again, if it came from one. Requests from now on carry what it holds; nothing else changes,
    /// and nothing has to be restarted.
    ///
    /// # Errors
    /// When the file cannot be read or holds no token: the token in use stays.
    pub async fn renew_token(&self) -> Result<TokenRenewal, TokenFileError> {
        self.inner.token.renew().await
    }

    /// The token that requests carry from now on.
    pub fn current_token(&self) -> secrecy::SecretString {
        self.inner.token.secret()
    }

    /// Waits until the token has been replaced, as [`renew_token`](Self::renew_token) may do. For one waiter.
    pub async fn token_replaced(&self) {
        self.inner.token.replaced().await;
    }

    /// The token of the moment; see [`Token`].
    pub(crate) fn token(&self) -> &Token {
        &self.inner.token
    }

    /// Gets an API path as JSON. A call cut off by a recycled worker is made once more: reading twice is harmless. So is
    /// one whose token was refused, if its file holds another by now, and one that authentik throttled for a moment: a
    /// question about a user spends nothing, unlike a step of a flow.
    pub(crate) async fn get_json(
        &self,
        url: Url,
        caller: Caller<'_>,
        kind: AnswerKind,
    ) -> Result<Answer, ApiError> {
        let bearer = matches!(caller, Caller::Outpost);
        let once = || async {
            let used = self.inner.token.current();
            let answer = self
                .send_with(&used, Method::GET, url.clone(), caller, None, kind)
                .await?;
            if bearer && answer.status == 403 && self.inner.token.is_renewed_after(&used).await {
                tracing::info!("authentik refused the token; the one its file holds now is used");
                return Err(Refused::Again(answer.status_error(bearer)));
            }
            if answer.status != 200 {
                return Err(Refused::Error(answer.status_error(bearer)));
            }
            answer.json_body()?;
            Ok(answer)
        };
        match once().await {
            Ok(answer) => Ok(answer),
            Err(Refused::Again(_)) => once().await.map_err(Refused::into_error),
            Err(Refused::Error(error)) if error.is_recycled_worker() => {
                tracing::debug!(%error, "calling authentik once more");
                once().await.map_err(Refused::into_error)
            }
            Err(Refused::Error(error)) => match error.throttled_for() {
                Some(wait) => {
                    tracing::debug!(%error, wait_s = wait.as_secs_f64(), "authentik asks to wait");
                    tokio::time::sleep(wait).await;
                    once().await.map_err(Refused::into_error)
                }
                None => Err(error),
            },
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
        let credentials = self.inner.token.current();
        self.send_with(&credentials, method, url, caller, body, kind)
            .await
    }

    async fn send_with(
        &self,
        credentials: &Credentials,
        method: Method,
        url: Url,
        caller: Caller<'_>,
        body: Option<Zeroizing<Vec<u8>>>,
        kind: AnswerKind,
    ) -> Result<Answer, ApiError> {
        let limit = kind.timeout(&self.inner.settings);
        let name = without_query(&url).to_owned();
        let request = self.request(credentials, method, url, caller, body);
        let result = match tokio::time::timeout(limit, exchange(request, kind.max_bytes(), &name)).await {
            Ok(result) => result,
            Err(_elapsed) => Err(ApiError::TimedOut {
                url: name,
                after: limit,
            }),
        };
        match &result {
            Ok(answer) if answer.is_starting() => self.inner.contact.failed(),
            Ok(answer) => self.inner.contact.status(answer.status),
            Err(ApiError::TooLarge { .. }) => self.inner.contact.answered(),
            Err(_) => self.inner.contact.failed(),
        }
        result
    }

    fn request(
        &self,
        credentials: &Credentials,
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
                .header(AUTHORIZATION, credentials.bearer().clone()),
            Caller::User { cookies, client_ip } => {
                let mut request = inner
                    .user
                    .request(method, url)
                    .header(OUTPOST_TOKEN, credentials.plain().clone());
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

/// Why a call came to nothing, and whether it is to be made again at once.
enum Refused {
    Again(ApiError),
    Error(ApiError),
}

impl Refused {
    fn into_error(self) -> ApiError {
        match self {
            Self::Again(error) | Self::Error(error) => error,
        }
    }
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self::Error(error)
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
    proxy: Option<reqwest::Proxy>,
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
        .http1_max_headers(MAX_HEADERS)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        // Which proxy there is was decided with the configuration; the library reads the environment otherwise.
        .no_proxy()
        .gzip(false);
    match proxy {
        Some(proxy) => builder.proxy(proxy),
        None => builder,
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
