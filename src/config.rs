//! Configuration: the variables of authentik's LDAP outpost and our own options, read once at start into one typed
//! value. Knows names, defaults and ranges; must not know what the values are used for. Reads through [`Strings`], so
//! that tests never touch the process environment.

mod cipher;
mod error;
mod nearest;
mod official_files;
pub mod options;
mod page;
mod password_attributes;
mod reader;
mod setting;
mod strings;
mod value;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

pub use cipher::{CIPHER_SUITES, CipherSuite, TlsVersion};
pub use error::{ConfigError, ConfigWarning};
pub use official_files::unread_files;
use options::Setting;
use reader::Reader;
pub use strings::{Environment, Layered, NotUnicode, StringMap, Strings};

/// The exit code for a configuration that cannot be used: `EX_USAGE` of sysexits.h.
pub const EXIT_BAD_CONFIGURATION: u8 = 64;

/// The file name of the unix socket that serves health and metrics, in the directory named by `TMPDIR`.
pub const METRICS_SOCKET: &str = "authentik-metrics.sock";

/// Everything the server is told at start.
#[derive(Debug, Clone)]
pub struct Config {
    /// How to reach authentik.
    pub authentik: AuthentikConfig,
    /// Where to listen.
    pub listen: ListenConfig,
    /// TLS on our own ports.
    pub tls: TlsConfig,
    /// What one client may cost.
    pub limits: LimitConfig,
    /// How binds are run and kept.
    pub bind: BindConfig,
    /// Extra refreshes between those the outpost's configuration asks for. `None`: no extra ones.
    pub refresh_delta_interval: Option<Duration>,
    /// Where the directory is kept for the next start. `None`: nowhere.
    pub snapshot_file: Option<PathBuf>,
    /// Custom attributes that hold passwords and are served all the same.
    pub served_passwords: Vec<&'static str>,
    /// Serve custom attributes under names that RFC 4512 allows.
    pub legal_attribute_names: bool,
    /// After so many refresh intervals the whole directory is read instead of what changed in it.
    pub refresh_full_every: u32,
    /// What is logged, and how.
    pub log: LogConfig,
    /// Whether searches have audit records too.
    pub audit_searches: bool,
    /// The build hash to report, possibly empty.
    pub build_hash: String,
    /// The unix socket for health and metrics.
    pub metrics_socket: PathBuf,
    /// What was odd; to be logged.
    pub warnings: Vec<ConfigWarning>,
}

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
    /// Further certificate authorities, PEM.
    pub ca_file: Option<PathBuf>,
    /// Objects to ask for in one page.
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

/// Where to listen. No list is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenConfig {
    /// LDAP with StartTLS.
    pub ldap: Vec<SocketAddr>,
    /// LDAPS.
    pub ldaps: Vec<SocketAddr>,
    /// HTTP: metrics, health, readiness.
    pub metrics: Vec<SocketAddr>,
    /// Networks whose PROXY protocol headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether an admin named those networks; otherwise they are the official default.
    pub trusted_proxies_set: bool,
}

/// TLS on our own ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// Certificate chain and key files that replace the providers' certificates.
    pub files: Option<TlsFiles>,
    /// Refuse binds without TLS.
    pub required: bool,
    /// The oldest version to speak.
    pub min_version: TlsVersion,
    /// The suites to offer, best first; never empty.
    pub cipher_suites: Vec<&'static CipherSuite>,
}

/// A certificate from files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
}

/// What one client may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitConfig {
    /// Bytes of one message of a bound client.
    pub max_message_size: usize,
    /// Bytes of one message before a bind.
    pub max_message_size_unbound: usize,
    /// Open connections.
    pub max_connections: usize,
    /// Open connections of one address. `None`: no limit.
    pub max_connections_per_address: Option<usize>,
    /// Close a connection without requests after this. `None`: never.
    pub idle_timeout: Option<Duration>,
    /// Close a connection that started a message and did not end it after this, octets that arrived apart.
    pub message_timeout: Duration,
    /// Close a connection that takes nothing of its answer after this.
    pub write_timeout: Duration,
    /// Limit for a TLS handshake or PROXY header.
    pub handshake_timeout: Duration,
    /// Limit for draining at shutdown. Zero: do not wait.
    pub shutdown_timeout: Duration,
    /// What a search may cost.
    pub search: SearchConfig,
    /// Bytes all clients together may make the server hold. `None`: a part of what the process may use.
    pub client_memory: Option<usize>,
}

/// What a search may cost, by who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchConfig {
    /// Those who may search everything.
    pub full: SearchClassConfig,
    /// Those who see themselves and their groups.
    pub own: SearchClassConfig,
    /// Those who have not bound.
    pub anonymous: SearchClassConfig,
}

/// What a search of one class of clients may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchClassConfig {
    /// Time the server works on it. `None`: no limit.
    pub time: Option<Duration>,
    /// Comparisons.
    pub comparisons: u64,
    /// Bytes.
    pub memory: usize,
    /// The variables of these, for diagnostics.
    pub variables: [&'static str; 3],
}

/// How binds are run and kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindConfig {
    /// Flows run at the same time.
    pub max_concurrent_flows: usize,
    /// Binds that may wait for their turn.
    pub flow_queue_limit: usize,
    /// How long a bind may wait for its turn.
    pub flow_queue_timeout: Duration,
    /// How long authentik may take to judge a bind, beside the wait for a turn and for a Duo push.
    pub timeout: Duration,
    /// What follows from failed binds.
    pub failed: FailedBindConfig,
    /// Longest life of a cached bind.
    pub cache_max_age: Duration,
    /// How long a cached bind may outlive that while authentik cannot be reached. `None`: not at all.
    pub cache_outage_grace: Option<Duration>,
    /// How long the same wrong secret is refused unasked. `None`: never.
    pub negative_window: Option<Duration>,
    /// Longest life of a cached bind that took a one-time code.
    pub cache_code_max_age: Duration,
    /// Such a bind counts only for the client address that gave the code.
    pub cache_code_same_address: bool,
    /// How long the users may stay unread, beyond the time to the next look, before cached binds are doubted.
    pub users_unread_limit: Duration,
    /// How often access of logins is asked again. `None`: never.
    pub access_recheck_interval: Option<Duration>,
    /// Logins in use asked about in a second at most.
    pub access_recheck_rate: usize,
    /// Try `password;code` as a whole once its password was refused.
    pub mfa_second_try: bool,
    /// Accept only `cn=name,ou=users,<base>`.
    pub strict_dn: bool,
    /// Accept names that are no DNs: `name`, `name@domain`, `DOMAIN\name`. Never with `strict_dn`.
    pub accept_bare_names: bool,
}

/// What follows from failed binds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedBindConfig {
    /// Different wrong secrets within the window after which a person at an address has to wait. 0: no limit.
    pub limit: usize,
    /// In which time they are counted.
    pub window: Duration,
}

/// What is logged, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// The level at start.
    pub level: LogLevel,
    /// The format of a line.
    pub format: LogFormat,
}

/// authentik's log levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Everything.
    Trace,
    /// For finding faults.
    Debug,
    /// What an admin wants to see.
    Info,
    /// What an admin should look at.
    Warning,
    /// What does not work.
    Error,
}

impl LogLevel {
    /// The level named `log_level` in an outpost's configuration: missing means info, and an unknown word means debug,
    /// as in the official outpost.
    #[must_use]
    pub fn from_outpost(log_level: Option<&str>) -> Self {
        log_level.map_or(Self::Info, |text| value::log_level(text).unwrap_or(Self::Debug))
    }
}

/// The format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line, with the official outpost's keys.
    Json,
    /// For reading.
    Text,
}

impl Config {
    /// Reads the whole configuration.
    ///
    /// # Errors
    /// The first value that is missing, malformed or contradicts another.
    pub fn read(strings: &dyn Strings) -> Result<Self, ConfigError> {
        Self::read_with(&mut Reader::new(strings))
    }

    fn read_with(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let authentik = AuthentikConfig::read(reader)?;
        let listen = ListenConfig::read(reader)?;
        let tls = TlsConfig::read(reader)?;
        let limits = LimitConfig::read(reader)?;
        let bind = BindConfig::read(reader)?;
        let refresh_delta_interval = reader.interval(&options::REFRESH_DELTA_INTERVAL)?;
        let snapshot_file = reader.path(&options::SNAPSHOT_FILE)?;
        let served_passwords = reader
            .optional(&options::SERVE_ATTRIBUTES, password_attributes::read)?
            .unwrap_or_default();
        let legal_attribute_names = reader.switch(&options::LEGAL_ATTRIBUTE_NAMES)?;
        let refresh_full_every =
            u32::try_from(reader.count(&options::REFRESH_FULL_EVERY)?).unwrap_or(u32::MAX);
        let log = LogConfig::read(reader)?;
        let audit_searches = reader.switch(&options::AUDIT_SEARCHES)?;
        let build_hash = reader
            .text(&options::BUILD_HASH)?
            .map_or_else(String::new, |found| found.text);
        let metrics_socket = reader
            .path_or_default(&options::TEMPORARY_DIRECTORY)?
            .join(METRICS_SOCKET);
        reader.warn_of_unknown_options();
        Ok(Self {
            authentik,
            listen,
            tls,
            limits,
            bind,
            refresh_delta_interval,
            snapshot_file,
            served_passwords,
            legal_attribute_names,
            refresh_full_every,
            log,
            audit_searches,
            build_hash,
            metrics_socket,
            warnings: std::mem::take(&mut reader.warnings),
        })
    }
}

/// The unix socket for health and metrics, without needing any `AUTHENTIK_…` variable: `$TMPDIR` or `/tmp`.
///
/// # Errors
/// `TMPDIR` is not UTF-8 or points nowhere.
pub fn metrics_socket(strings: &dyn Strings) -> Result<PathBuf, ConfigError> {
    let directory = Reader::new(strings).path_or_default(&options::TEMPORARY_DIRECTORY)?;
    Ok(directory.join(METRICS_SOCKET))
}

impl AuthentikConfig {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let host = reader.required(&options::HOST, value::host)?;
        let token = reader.required(&options::TOKEN, |text| {
            value::token(text).map(|token| SecretString::from(token.to_owned()))
        })?;
        let insecure = reader.switch(&options::INSECURE)?;
        if insecure {
            let name = reader.strings.spelling(options::INSECURE.variable);
            reader.warnings.push(ConfigWarning::Insecure { name });
        }
        Ok(Self {
            host,
            token,
            token_file: reader.referenced_file(&options::TOKEN),
            proxies: ProxyConfig {
                http: reader.proxy(&options::HTTP_PROXY)?,
                https: reader.proxy(&options::HTTPS_PROXY)?,
                except: reader
                    .in_either_case(&options::NO_PROXY)?
                    .map_or_else(String::new, |found| found.text),
            },
            insecure,
            ca_file: reader.path(&options::CA_FILE)?,
            page_size: u32::try_from(reader.count(&options::PAGE_SIZE)?).unwrap_or(u32::MAX),
            request_timeout: reader.duration(&options::REQUEST_TIMEOUT)?,
            connect_timeout: reader.duration(&options::CONNECT_TIMEOUT)?,
        })
    }
}

impl ListenConfig {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let (trusted_proxies, trusted_proxies_set) = reader.networks(&options::TRUSTED_PROXIES, |name| {
            ConfigWarning::WideTrust { name }
        })?;
        Ok(Self {
            ldap: reader.value(&options::LISTEN_LDAP, value::listen)?,
            ldaps: reader.value(&options::LISTEN_LDAPS, value::listen)?,
            metrics: reader.value(&options::LISTEN_METRICS, value::listen)?,
            trusted_proxies,
            trusted_proxies_set,
        })
    }
}

impl TlsConfig {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let certificate = reader.path(&options::TLS_CERTIFICATE_FILE)?;
        let key = reader.path(&options::TLS_KEY_FILE)?;
        let files = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
            (None, None) => None,
            (Some(_), None) => {
                return Err(reader.lonely(&options::TLS_KEY_FILE, &options::TLS_CERTIFICATE_FILE));
            }
            (None, Some(_)) => {
                return Err(reader.lonely(&options::TLS_CERTIFICATE_FILE, &options::TLS_KEY_FILE));
            }
        };
        let min_version = reader.value(&options::TLS_MIN_VERSION, cipher::version)?;
        let cipher_suites = reader
            .optional(&options::TLS_CIPHER_SUITES, cipher::suites)?
            .unwrap_or_else(|| CIPHER_SUITES.iter().collect());
        if cipher_suites.iter().all(|suite| suite.version < min_version) {
            return Err(ConfigError::Conflict {
                name: reader.strings.spelling(options::TLS_CIPHER_SUITES.variable),
                other: reader.strings.spelling(options::TLS_MIN_VERSION.variable),
                problem: "no cipher suite of the list belongs to a version of TLS that is allowed",
            });
        }
        Ok(Self {
            files,
            required: reader.switch(&options::REQUIRE_TLS)?,
            min_version,
            cipher_suites,
        })
    }
}

impl LimitConfig {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let max_message_size = reader.size(&options::MAX_MESSAGE_SIZE)?;
        let max_message_size_unbound = reader.size(&options::MAX_MESSAGE_SIZE_UNBOUND)?;
        if max_message_size_unbound > max_message_size {
            return Err(ConfigError::Conflict {
                name: reader
                    .strings
                    .spelling(options::MAX_MESSAGE_SIZE_UNBOUND.variable),
                other: reader.strings.spelling(options::MAX_MESSAGE_SIZE.variable),
                problem: "an unbound client may not send larger messages than a bound one",
            });
        }
        Ok(Self {
            max_message_size,
            max_message_size_unbound,
            max_connections: reader.count(&options::MAX_CONNECTIONS)?,
            max_connections_per_address: Some(reader.count(&options::MAX_CONNECTIONS_PER_ADDRESS)?)
                .filter(|limit| *limit > 0),
            idle_timeout: reader.interval(&options::IDLE_TIMEOUT)?,
            message_timeout: reader.duration(&options::MESSAGE_TIMEOUT)?,
            write_timeout: reader.duration(&options::WRITE_TIMEOUT)?,
            handshake_timeout: reader.duration(&options::HANDSHAKE_TIMEOUT)?,
            shutdown_timeout: reader.duration(&options::SHUTDOWN_TIMEOUT)?,
            search: SearchConfig::read(reader)?,
            client_memory: reader.optional(&options::CLIENT_MEMORY_LIMIT, |text| {
                reader::within(&options::CLIENT_MEMORY_LIMIT, value::size(text)?)
            })?,
        })
    }
}

impl SearchConfig {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let mut class = |[time, work, memory]: [&'static Setting; 3]| {
            Ok(SearchClassConfig {
                time: reader.interval(time)?,
                comparisons: reader.count(work)? as u64,
                memory: reader.size(memory)?,
                variables: [time.variable, work.variable, memory.variable],
            })
        };
        Ok(Self {
            full: class([
                &options::SEARCH_TIME_LIMIT,
                &options::SEARCH_WORK_LIMIT,
                &options::SEARCH_MEMORY_LIMIT,
            ])?,
            own: class([
                &options::SEARCH_TIME_LIMIT_OWN,
                &options::SEARCH_WORK_LIMIT_OWN,
                &options::SEARCH_MEMORY_LIMIT_OWN,
            ])?,
            anonymous: class([
                &options::SEARCH_TIME_LIMIT_ANONYMOUS,
                &options::SEARCH_WORK_LIMIT_ANONYMOUS,
                &options::SEARCH_MEMORY_LIMIT_ANONYMOUS,
            ])?,
        })
    }
}

impl BindConfig {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let strict_dn = reader.switch(&options::STRICT_BIND_DN)?;
        let cache_max_age = reader.duration(&options::BIND_CACHE_MAX_AGE)?;
        Ok(Self {
            max_concurrent_flows: reader.count(&options::MAX_CONCURRENT_FLOWS)?,
            flow_queue_limit: reader.count(&options::FLOW_QUEUE_LIMIT)?,
            flow_queue_timeout: reader.duration(&options::FLOW_QUEUE_TIMEOUT)?,
            timeout: reader.duration(&options::BIND_TIMEOUT)?,
            failed: FailedBindConfig {
                limit: reader.count(&options::FAILED_BIND_LIMIT)?,
                window: reader.duration(&options::FAILED_BIND_WINDOW)?,
            },
            cache_max_age,
            cache_code_max_age: reader
                .duration_if_set(&options::BIND_CACHE_CODE_MAX_AGE)?
                .unwrap_or(cache_max_age),
            cache_code_same_address: reader.switch(&options::BIND_CACHE_CODE_SAME_ADDRESS)?,
            users_unread_limit: reader.duration(&options::USERS_UNREAD_LIMIT)?,
            cache_outage_grace: reader.interval(&options::BIND_CACHE_OUTAGE_GRACE)?,
            negative_window: reader.interval(&options::BIND_NEGATIVE_WINDOW)?,
            access_recheck_interval: reader.interval(&options::ACCESS_RECHECK_INTERVAL)?,
            access_recheck_rate: reader.count(&options::ACCESS_RECHECK_RATE)?,
            mfa_second_try: reader.switch(&options::MFA_SECOND_TRY)?,
            strict_dn,
            accept_bare_names: reader.switch(&options::ACCEPT_BARE_NAMES)? && !strict_dn,
        })
    }
}

impl LogConfig {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let level = reader.value(&options::LOG_LEVEL, value::log_level)?;
        let debug = reader.switch(&options::DEBUG)?;
        let format = reader.optional(&options::LOG_FORMAT, value::log_format)?;
        Ok(Self {
            level,
            format: format.unwrap_or(if debug { LogFormat::Text } else { LogFormat::Json }),
        })
    }
}
