//! How authentik is reached: its URL, the token, proxies, time limits. Knows these settings and what they are read
//! into; must not know what the values are used for.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::error::{ConfigError, ConfigWarning};
use super::kind::{Host, Optional, Path, Proxy, Required, Switch, Text, Token, Unset};
use super::quantity::{Count, Period};
use super::reader::SettingReader;
use super::setting::{Setting, official, own};

pub(super) static HOST: Setting<Host> = official(
    "AUTHENTIK_HOST",
    Host,
    Required,
    "URL of authentik. A path is kept. Required.",
)
.with_flag("host");

pub(super) static TOKEN: Setting<Token> = official(
    "AUTHENTIK_TOKEN",
    Token,
    Required,
    "API token of the outpost. Required. A token from a file (`file:///path`) is read again when authentik refuses it and \
     on SIGHUP.",
)
.with_flag("token-file");

pub(super) static INSECURE: Setting<Switch> = official(
    "AUTHENTIK_INSECURE",
    Switch,
    false,
    "Do not verify authentik's certificate. For a private CA, AUTHENTIK_LDAP__CA_FILE is better.",
)
.with_flag("insecure");

pub(super) static HTTP_PROXY: Setting<Optional<Proxy>> = official(
    "HTTP_PROXY",
    Optional(Proxy),
    Unset,
    "Proxy for an http:// URL in AUTHENTIK_HOST; also `http_proxy`. It can read the outpost's token and people's passwords.",
);

pub(super) static HTTPS_PROXY: Setting<Optional<Proxy>> = official(
    "HTTPS_PROXY",
    Optional(Proxy),
    Unset,
    "Proxy for an https:// URL in AUTHENTIK_HOST, which it forwards unread (CONNECT); also `https_proxy`.",
);

pub(super) static NO_PROXY: Setting<Optional<Text>> = official(
    "NO_PROXY",
    Optional(Text),
    Unset,
    "Hosts that are called without a proxy: a comma-separated list of names (with their subdomains), addresses, networks or `*`; also `no_proxy`. localhost and loopback addresses never use one.",
);

pub(super) static PAGE_SIZE: Setting<Count<u32>> = own(
    "AUTHENTIK_LDAP__PAGE_SIZE",
    "page-size",
    Count { min: 1, max: 10_000 },
    100,
    "Users or groups requested from authentik at a time. authentik lowers it to its own maximum, 100 unless changed there.",
);

pub(super) static CA_FILE: Setting<Optional<Path>> = own(
    "AUTHENTIK_LDAP__CA_FILE",
    "ca-file",
    Optional(Path),
    Unset,
    "PEM file of additional certificate authorities to trust for authentik's certificate, besides the system's.",
);

pub(super) static REQUEST_TIMEOUT: Setting<Period> = own(
    "AUTHENTIK_LDAP__REQUEST_TIMEOUT",
    "request-timeout",
    Period {
        max: Duration::from_mins(10),
        off: false,
    },
    Duration::from_secs(60),
    "How long one request to authentik may take. authentik itself cuts an answer off after 60 seconds.",
);

pub(super) static CONNECT_TIMEOUT: Setting<Period> = own(
    "AUTHENTIK_LDAP__CONNECT_TIMEOUT",
    "connect-timeout",
    Period {
        max: Duration::from_mins(10),
        off: false,
    },
    Duration::from_secs(5),
    "How long connecting to authentik may take, including the TLS handshake.",
);

/// How to reach authentik.
#[derive(Debug, Clone)]
pub struct AuthentikConfig {
    /// The base URL, http or https, ending in `/`.
    pub host: Url,
    /// The outpost's API token. Visible ASCII.
    pub token: SecretString,
    /// The file the token was read from, if the variable names one.
    pub token_file: Option<PathBuf>,
    /// Proxies between us and authentik.
    pub proxies: ProxyConfig,
    /// Do not verify authentik's certificate.
    pub insecure: bool,
    /// More certificate authorities, PEM.
    pub ca_file: Option<PathBuf>,
    /// Objects to ask for per page.
    pub page_size: u32,
    /// Limit for one request.
    pub request_timeout: Duration,
    /// Limit for connecting.
    pub connect_timeout: Duration,
}

/// Proxies between us and authentik, by the variables that Go programs and others read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxyConfig {
    /// For an `http://` host.
    pub http: Option<Url>,
    /// For an `https://` host.
    pub https: Option<Url>,
    /// Hosts that are called directly.
    pub except: String,
}

impl AuthentikConfig {
    pub(super) fn read(reader: &mut SettingReader<'_>) -> Result<Self, ConfigError> {
        let host = reader.value(&HOST)?;
        let token = reader.value(&TOKEN)?;
        let insecure = reader.value(&INSECURE)?;
        if insecure {
            let name = reader.strings.spelling(INSECURE.variable);
            reader.warnings.push(ConfigWarning::Insecure { name });
        }
        Ok(Self {
            host,
            token,
            token_file: reader.referenced_file(&TOKEN),
            proxies: ProxyConfig {
                http: reader.proxy(&HTTP_PROXY)?,
                https: reader.proxy(&HTTPS_PROXY)?,
                except: reader
                    .in_either_case(&NO_PROXY)?
                    .map_or_else(String::new, |found| found.text),
            },
            insecure,
            ca_file: reader.value(&CA_FILE)?,
            page_size: reader.value(&PAGE_SIZE)?,
            request_timeout: reader.value(&REQUEST_TIMEOUT)?,
            connect_timeout: reader.value(&CONNECT_TIMEOUT)?,
        })
    }
}
