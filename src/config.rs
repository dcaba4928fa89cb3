//! Configuration: the variables of authentik's LDAP outpost and our own options, read once at start into one typed
//! value. Knows names, defaults and ranges; must not know what the values are used for. Reads through [`Strings`], so
//! that tests never touch the process environment.

mod authentik;
mod bind;
mod cipher;
mod error;
mod kind;
mod limits;
mod listen;
mod log;
mod nearest;
mod official_files;
pub mod options;
mod page;
mod password_attributes;
mod reader;
mod setting;
mod strings;
mod tls;
mod value;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

pub use authentik::{AuthentikConfig, ProxyConfig};
pub use bind::{BindConfig, FailedBindConfig};
pub use cipher::{CIPHER_SUITES, CipherSuite, TlsVersion};
pub use error::{ConfigError, ConfigWarning};
use kind::{Count, Interval, Optional, PasswordAttributes, Path, Switch, Text, Unset};
pub use limits::{LimitConfig, SearchClassConfig, SearchConfig};
pub use listen::ListenConfig;
pub use log::{LogConfig, LogFormat, LogLevel};
pub use official_files::unread_files;
use reader::Reader;
use setting::{Setting, official, own};
pub use strings::{Environment, Layered, NotUnicode, StringMap, Strings};
pub use tls::{TlsConfig, TlsFiles};

/// The exit code for a configuration that cannot be used: `EX_USAGE` of sysexits.h.
pub const EXIT_BAD_CONFIGURATION: u8 = 64;

/// The file name of the unix socket that serves health and metrics, in the directory named by `TMPDIR`.
pub const METRICS_SOCKET: &str = "authentik-metrics.sock";

/// The largest duration any setting takes.
const YEAR: Duration = Duration::from_hours(365 * 24);

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

static BUILD_HASH: Setting<Optional<Text>> = official(
    "GIT_BUILD_HASH",
    Optional(Text),
    Unset,
    "Build hash reported to authentik and in the metrics.",
);

static TEMPORARY_DIRECTORY: Setting<Path> = official(
    "TMPDIR",
    Path,
    "/tmp",
    "Directory of the socket `authentik-metrics.sock`, which the health check asks. /dev/shm in the image.",
);

static REFRESH_DELTA_INTERVAL: Setting<Interval> = own(
    "AUTHENTIK_LDAP__REFRESH_DELTA_INTERVAL",
    "refresh-delta-interval",
    Interval {
        max: Duration::from_hours(24),
    },
    Some(Duration::from_secs(30)),
    "Look for changes in the directory so often, if the outpost's configuration asks for fewer refreshes. A password changed in authentik voids cached binds with the next look, so after this time and that of the look. 0: only as often as the configuration says.",
);

static REFRESH_FULL_EVERY: Setting<Count<u32>> = own(
    "AUTHENTIK_LDAP__REFRESH_FULL_EVERY",
    "refresh-full-every",
    Count { min: 1, max: 10_000 },
    12,
    "Read the whole directory at every so many refreshes, and between them only what changed. 1 reads it at each.",
);

static SNAPSHOT_FILE: Setting<Optional<Path>> = own(
    "AUTHENTIK_LDAP__SNAPSHOT_FILE",
    "snapshot-file",
    Optional(Path),
    Unset,
    "Keep the directory in this file too, encrypted with a key made of the token, and serve it after a restart until authentik's lists can be read again. One file for each process; unset: none.",
);

static SERVE_ATTRIBUTES: Setting<Optional<PasswordAttributes>> = own(
    "AUTHENTIK_LDAP__SERVE_ATTRIBUTES",
    "serve-attributes",
    Optional(PasswordAttributes),
    Unset,
    "Custom attributes that hold passwords or keys (`userPassword`, `sambaNTPassword`, …) and are to be served all the same, as FreeRADIUS with MS-CHAP needs. Whoever may search sees them.",
);

static LEGAL_ATTRIBUTE_NAMES: Setting<Switch> = own(
    "AUTHENTIK_LDAP__LEGAL_ATTRIBUTE_NAMES",
    "legal-attribute-names",
    Switch,
    false,
    "Serve custom attributes whose names RFC 4512 does not allow (`with space`, `straße`, `a;binary`) under legal ones (`with-space`, `stra-e`, `a-binary`). Both spellings are understood either way.",
);

static AUDIT_SEARCHES: Setting<Switch> = own(
    "AUTHENTIK_LDAP__AUDIT_SEARCHES",
    "audit-searches",
    Switch,
    false,
    "Write an audit record for each search: who, what, how many entries. Logins, refusals and revocations always have one.",
);

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
        let refresh_delta_interval = reader.value(&REFRESH_DELTA_INTERVAL)?;
        let snapshot_file = reader.value(&SNAPSHOT_FILE)?;
        let served_passwords = reader.value(&SERVE_ATTRIBUTES)?.unwrap_or_default();
        let legal_attribute_names = reader.value(&LEGAL_ATTRIBUTE_NAMES)?;
        let refresh_full_every = reader.value(&REFRESH_FULL_EVERY)?;
        let log = LogConfig::read(reader)?;
        let audit_searches = reader.value(&AUDIT_SEARCHES)?;
        let build_hash = reader.value(&BUILD_HASH)?.unwrap_or_default();
        let metrics_socket = reader.value(&TEMPORARY_DIRECTORY)?.join(METRICS_SOCKET);
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
    let directory = Reader::new(strings).value(&TEMPORARY_DIRECTORY)?;
    Ok(directory.join(METRICS_SOCKET))
}
