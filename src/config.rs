//! Configuration: the variables of authentik's LDAP outpost and our own options, read once at start into one typed
//! value. Knows names, defaults and ranges; must not know what the values are used for. Reads through [`Strings`], so
//! that tests never touch the process environment.

mod attributes;
mod authentik;
mod bind;
mod cipher;
mod client;
mod error;
mod kind;
mod limits;
mod listen;
mod log;
mod log_level;
mod official_files;
pub mod options;
mod page;
mod password_attributes;
mod process;
mod quantity;
mod reader;
mod refresh;
mod setting;
mod strings;
mod tls;
mod traces;
mod unknown_options;
mod value;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

pub use authentik::{AuthentikConfig, ProxyConfig};
pub use bind::{BindConfig, FailedBindConfig};
pub use cipher::{CIPHER_SUITES, CipherSuite, TlsVersion};
pub use error::{ConfigError, ConfigWarning};
pub use limits::{LimitConfig, SearchClassConfig, SearchConfig};
pub use listen::ListenConfig;
pub use log::{LogConfig, SearchLogConfig};
pub use log_level::{LogFormat, LogLevel};
pub use official_files::unread_files;
pub use page::options_page;
pub use process::metrics_socket;
use reader::SettingReader;
pub use strings::{Environment, Layered, NotUnicode, StringMap, Strings};
pub use tls::{TlsConfig, TlsFiles};
pub use traces::{TraceConfig, TraceSampler};

/// The exit code for a configuration that cannot be used: `EX_USAGE` of sysexits.h.
pub const EXIT_BAD_CONFIGURATION: u8 = 64;

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
    /// Which searches are logged at info.
    pub search_log: SearchLogConfig,
    /// Where spans of requests are sent.
    pub traces: TraceConfig,
    /// Whether searches have audit records too.
    pub audit_searches: bool,
    /// The build hash to report, possibly empty.
    pub build_hash: String,
    /// The unix socket for health and metrics.
    pub metrics_socket: PathBuf,
    /// What was odd; to be logged.
    pub warnings: Vec<ConfigWarning>,
}

impl Config {
    /// Reads the whole configuration.
    ///
    /// # Errors
    /// The first value that is missing, malformed or contradicts another.
    pub fn read(strings: &dyn Strings) -> Result<Self, ConfigError> {
        Self::read_with(&mut SettingReader::new(strings))
    }

    fn read_with(reader: &mut SettingReader<'_>) -> Result<Self, ConfigError> {
        let authentik = AuthentikConfig::read(reader)?;
        let listen = ListenConfig::read(reader)?;
        let tls = TlsConfig::read(reader)?;
        let limits = LimitConfig::read(reader)?;
        let bind = BindConfig::read(reader)?;
        let refresh_delta_interval = reader.value(&refresh::REFRESH_DELTA_INTERVAL)?;
        let snapshot_file = reader.value(&refresh::SNAPSHOT_FILE)?;
        let served_passwords = reader.value(&attributes::SERVE_ATTRIBUTES)?.unwrap_or_default();
        let legal_attribute_names = reader.value(&attributes::LEGAL_ATTRIBUTE_NAMES)?;
        let refresh_full_every = reader.value(&refresh::REFRESH_FULL_EVERY)?;
        let log = LogConfig::read(reader)?;
        let search_log = SearchLogConfig::read(reader)?;
        let traces = TraceConfig::read(reader)?;
        let audit_searches = reader.value(&log::AUDIT_SEARCHES)?;
        let build_hash = reader.value(&process::BUILD_HASH)?.unwrap_or_default();
        let metrics_socket = process::read_metrics_socket(reader)?;
        reader.warnings.extend(unknown_options::warnings(reader.strings));
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
            search_log,
            traces,
            audit_searches,
            build_hash,
            metrics_socket,
            warnings: std::mem::take(&mut reader.warnings),
        })
    }
}
