//! The client: one call, one time limit, one typed error.
//!
//! Knows which credential goes with which call: the outpost's token with the outpost's own calls, a session with
//! calls made as a user, never both (authentik lets the token win, and the answer would be about the outpost).
//! Must not know how a call reaches authentik.

mod answer;
mod sent;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, ORIGIN, REFERER,
};
use tokio::time::Instant;
use url::Url;
use zeroize::Zeroizing;

use super::call::{self, Call, CallOutcome};
use super::contact::Contact;
use super::cookie::CookieJar;
use super::endpoint::Endpoint;
use super::error::ApiError;
use super::events::disconnect::Disconnect;
use super::http::Http;
use super::proxy;
use super::request_ids;
use super::settings::Settings;
use super::token::{Credentials, CurrentToken, TokenFileError, TokenRenewal};
use super::transport::{Credential, Request, Transport, Wire};
pub(crate) use answer::HttpAnswer;
use answer::without_query;
pub(crate) use sent::Sent;
use sent::{CSRF_TOKEN, OUTPOST_TOKEN};

/// Bytes read from a listing. 20,000 users with all they carry are about 40 MB.
const MAX_LIST_BYTES: usize = 256 << 20;
/// Bytes read from any other answer. The largest known, a challenge with pictures in it, has about 100 kB.
const MAX_ANSWER_BYTES: usize = 4 << 20;

const REMOTE_IP: HeaderName = HeaderName::from_static("x-authentik-remote-ip");
const CSRF_COOKIE: &str = "authentik_csrf";

/// A client for one authentik server and one token. Cloning is cheap and shares the connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    endpoint: Endpoint,
    settings: Settings,
    transport: Arc<dyn Transport>,
    token: CurrentToken,
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
        cookies: &'a CookieJar,
        client_ip: Option<IpAddr>,
    },
}

impl Client {
    /// Makes a client. Reads the trust store; opens no connection.
    pub fn new(settings: Settings) -> Result<Self, ApiError> {
        let endpoint = Endpoint::new(&settings.host)?;
        let http = Http::new(&settings, &endpoint)?;
        Self::over(Arc::new(http), settings)
    }

    /// Makes a client that reaches authentik another way than over HTTP.
    ///
    /// # Errors
    /// When the settings do not allow a call.
    pub fn over(transport: Arc<dyn Transport>, settings: Settings) -> Result<Self, ApiError> {
        let endpoint = Endpoint::new(&settings.host)?;
        let token = CurrentToken::new(&settings.token, settings.token_file.clone())?;
        Ok(Self {
            inner: Arc::new(Inner {
                transport,
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

    /// The proxy through which authentik is called over HTTP, without its credentials, and the variable that names it:
    /// `http://proxy.example:3128 (HTTPS_PROXY)`. `None`: it is called directly.
    pub fn proxy_in_use(&self) -> Option<String> {
        proxy::described(&self.inner.settings, &self.inner.endpoint)
    }

    /// When authentik last answered and whether calls fail.
    pub fn contact(&self) -> &Contact {
        &self.inner.contact
    }

    /// The time of day.
    pub fn time_of_day(&self) -> SystemTime {
        (self.inner.settings.time_of_day)()
    }

    /// Asks for the stream of events at this URL.
    pub(crate) async fn events(&self, url: Url) -> Result<Wire, Disconnect> {
        let credentials = self.inner.token.current();
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, credentials.bearer().clone());
        let request = Request {
            method: Method::GET,
            url,
            credential: Credential::Token,
            headers,
            body: None,
            most: MAX_ANSWER_BYTES,
        };
        let upgrade = self
            .inner
            .transport
            .events(request)
            .await
            .inspect_err(|_| self.inner.contact.failed())?;
        if let Err(Disconnect::Refused { is_foreign: true, .. }) = &upgrade.wire {
            self.inner.contact.failed();
            return upgrade.wire;
        }
        self.inner.contact.status(upgrade.status);
        if upgrade.status == 403 {
            // Another token, if there is one by now, is for the next try.
            self.inner.token.is_renewed_after(&credentials).await;
        }
        upgrade.wire
    }

    /// Reads the token's file again, if it came from one. From now on requests carry its content; nothing else changes,
    /// and nothing has to be restarted.
    ///
    /// # Errors
    /// When the file cannot be read or contains no token: the token in use stays.
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

    /// Gets an API path as JSON. A call cut off by a recycled worker is made once more: reading twice is harmless. So is
    /// one whose token was refused, if its file has another by now, and one that authentik throttled for a moment: a
    /// question about a user uses nothing up, unlike a step of a flow.
    pub(crate) async fn get_json(
        &self,
        url: Url,
        caller: Caller<'_>,
        kind: AnswerKind,
    ) -> Result<HttpAnswer, ApiError> {
        let bearer = matches!(caller, Caller::Outpost);
        let once = || async {
            let used = self.inner.token.current();
            let answer = self
                .send_with(&used, Method::GET, url.clone(), caller, None, kind)
                .await?;
            let is_refused = bearer && answer.status == 403 && !answer.is_foreign();
            if is_refused && self.inner.token.is_renewed_after(&used).await {
                tracing::info!("authentik refused the token; using the one that is in its file now");
                return Err(FailedCall::Again(answer.status_error(bearer)));
            }
            if answer.status != 200 {
                return Err(FailedCall::Error(answer.status_error(bearer)));
            }
            answer.json_body()?;
            Ok(answer)
        };
        match once().await {
            Ok(answer) => Ok(answer),
            Err(FailedCall::Again(_)) => once().await.map_err(FailedCall::into_error),
            Err(FailedCall::Error(error)) if error.is_recycled_worker() => {
                tracing::debug!(%error, "calling authentik again");
                once().await.map_err(FailedCall::into_error)
            }
            Err(FailedCall::Error(error)) => match error.throttled_for() {
                Some(wait) => {
                    tracing::debug!(%error, wait_s = wait.as_secs_f64(), "waiting, as authentik asked");
                    tokio::time::sleep(wait).await;
                    once().await.map_err(FailedCall::into_error)
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
    ) -> Result<HttpAnswer, ApiError> {
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
    ) -> Result<HttpAnswer, ApiError> {
        let limit = kind.timeout(&self.inner.settings);
        let name = without_query(&url).to_owned();
        let (endpoint, began) = (
            call::endpoint(self.inner.endpoint.path_within_api(&url)),
            Instant::now(),
        );
        let request = self.request(credentials, method, url.clone(), caller, body, kind.max_bytes());
        let sent = Sent::by(&request);
        let result = match tokio::time::timeout(limit, self.inner.transport.call(request)).await {
            Ok(result) => result.map(|reply| HttpAnswer {
                url,
                status: reply.status,
                headers: reply.headers,
                body: reply.body,
                time_of_day: self.inner.settings.time_of_day,
                sent,
            }),
            Err(_elapsed) => Err(ApiError::TimedOut {
                url: name,
                after: limit,
            }),
        };
        if let Ok(answer) = &result {
            request_ids::note(|| answer.request_id());
        }
        if let Some(observer) = &self.inner.settings.call_observer {
            let outcome = match &result {
                Ok(answer) => CallOutcome::Status(answer.status),
                Err(error) => CallOutcome::of_error(error),
            };
            observer.called(&Call {
                endpoint,
                outcome,
                duration: began.elapsed(),
            });
        }
        match &result {
            Ok(answer) if answer.is_starting() || answer.is_foreign() => self.inner.contact.failed(),
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
        most: usize,
    ) -> Request {
        let inner = &*self.inner;
        let mut headers = HeaderMap::new();
        let credential = match caller {
            Caller::Outpost => {
                headers.insert(AUTHORIZATION, credentials.bearer().clone());
                Credential::Token
            }
            Caller::User { cookies, client_ip } => {
                headers.insert(OUTPOST_TOKEN, credentials.plain().clone());
                if let Some(ip) = client_ip {
                    // Display of an address has no brackets, zone or port; a mapped IPv4 address is shown as such.
                    insert(&mut headers, REMOTE_IP, &ip.to_canonical().to_string());
                }
                if let Some(header) = cookies.header() {
                    headers.insert(COOKIE, header);
                }
                // Demanded of a POST once the session is logged in; before that authentik sets no such cookie.
                if let Some(token) = cookies.get(CSRF_COOKIE).filter(|_| method == Method::POST) {
                    let origin = inner.endpoint.origin();
                    insert(&mut headers, CSRF_TOKEN, token);
                    insert(&mut headers, REFERER, &format!("{origin}/"));
                    insert(&mut headers, ORIGIN, &origin);
                }
                Credential::Session
            }
        };
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        Request {
            method,
            url,
            credential,
            headers,
            // The owner is wiped when the last reference to the octets goes.
            body: body.map(|body| Bytes::from_owner(SecretBody(body))),
            most,
        }
    }
}

/// A request's body.
struct SecretBody(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for SecretBody {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// What cannot be in a header is left out; authentik's own cookies and addresses can.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Why a call failed, and whether it should be repeated at once.
enum FailedCall {
    Again(ApiError),
    Error(ApiError),
}

impl FailedCall {
    fn into_error(self) -> ApiError {
        match self {
            Self::Again(error) | Self::Error(error) => error,
        }
    }
}

impl From<ApiError> for FailedCall {
    fn from(error: ApiError) -> Self {
        Self::Error(error)
    }
}

/// What kind of answer is awaited, which decides how long to wait and how much to read.
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
