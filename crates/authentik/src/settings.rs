//! How to call authentik: where it is, with which token, through which proxies, and how long calls may take.
//!
//! Must not know where these come from, or open a connection.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use url::Url;

use super::call::CallObserver;

/// How to reach authentik. Every duration is a limit on one call.
#[derive(Clone)]
pub struct Settings {
    /// Base URL, with or without a path and a trailing slash (`AUTHENTIK_HOST`).
    pub host: Url,
    /// The outpost's API token (`AUTHENTIK_TOKEN`).
    pub token: SecretString,
    /// The file it was read from, which is read again when authentik refuses the token.
    pub token_file: Option<PathBuf>,
    /// Proxies between us and authentik.
    pub proxies: Proxies,
    /// Accept any server certificate (`AUTHENTIK_INSECURE`).
    pub insecure: bool,
    /// PEM file of CA certificates trusted in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// `User-Agent` of every request.
    pub user_agent: String,
    /// Limit on making a connection, TLS included.
    pub connect_timeout: Duration,
    /// Limit on one call from first byte to last.
    pub request_timeout: Duration,
    /// The same for a page of a list: authentik itself cuts an answer off after 60 s.
    pub list_timeout: Duration,
    /// Limit on the call that waits for a Duo push: Duo itself waits about 60 s for the user.
    pub duo_timeout: Duration,
    /// Limit on one run of a flow, the wait for a Duo push not counted.
    pub flow_timeout: Duration,
    /// Accept a session cookie that is a bare session key. Only authentik's own test mode sends those; then the
    /// login is proved by `users/me` instead of the cookie's claims.
    pub plain_session_cookie: bool,
    /// The time of day, with which authentik's dates are compared. All other times pass on tokio's clock.
    pub time_of_day: fn() -> SystemTime,
    /// Who is told about each call.
    pub call_observer: Option<Arc<dyn CallObserver>>,
}

impl Settings {
    /// Settings with the default time-outs.
    pub fn new(host: Url, token: SecretString) -> Self {
        Self {
            host,
            token,
            token_file: None,
            proxies: Proxies::default(),
            insecure: false,
            ca_file: None,
            user_agent: concat!("goauthentik.io/outpost/", env!("CARGO_PKG_VERSION"), " akldap").to_owned(),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(20),
            list_timeout: Duration::from_secs(65),
            duo_timeout: Duration::from_secs(75),
            flow_timeout: Duration::from_secs(60),
            plain_session_cookie: false,
            call_observer: None,
            time_of_day: SystemTime::now,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("host", &self.host.host_str())
            .field("insecure", &self.insecure)
            .field("ca_file", &self.ca_file)
            .field("user_agent", &self.user_agent)
            .finish_non_exhaustive()
    }
}

/// The proxies for calls to authentik.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For an `http://` host (`HTTP_PROXY`).
    pub http: Option<Url>,
    /// For an `https://` host, through a tunnel (`HTTPS_PROXY`).
    pub https: Option<Url>,
    /// Hosts that are called directly (`NO_PROXY`): names with their subdomains, addresses, networks, or `*`.
    pub except: String,
}
