//! Configuration: the variables of authentik's LDAP outpost and our own options, read once at start into one typed
//! value. Knows names, defaults and ranges; must not know what the values are used for. Reads through [`Strings`], so
//! that tests never touch the process environment. The top of `src/config/provider.rs` says how to add an option that can differ
//! from provider to provider.

mod attributes;
mod authentik;
mod bind;
mod cipher;
mod client;
mod direct_search;
mod effective;
mod entries;
mod error;
mod file;
mod file_position;
mod kind;
mod limits;
mod listen;
mod log;
mod log_level;
mod nearest;
mod official_files;
pub mod options;
mod page;
mod password_attributes;
mod password_change;
mod problems;
mod process;
mod profile_name;
mod profiles;
mod provider;
mod providers;
mod quantity;
mod reader;
mod refresh;
mod setting;
mod status;
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
pub use direct_search::{DirectSearch, DirectSearchConfig};
pub use effective::effective;
pub use error::{ConfigError, ConfigWarning};
use file::ConfigFile;
pub use file_position::FilePosition;
pub use limits::{LimitConfig, SearchClassConfig, SearchConfig};
pub use listen::ListenConfig;
pub use log::{LogConfig, SearchLogConfig};
pub use log_level::{LogFormat, LogLevel};
pub use official_files::unread_files;
pub use page::options_page;
pub use password_change::{PasswordChange, PasswordChangeConfig};
pub use provider::ProviderConfig;
pub use providers::ProviderConfigs;
use reader::SettingReader;
pub use status::StatusConfig;
pub use strings::{Environment, Layered, NotUnicode, StringMap, Strings, TextOrigin};
pub use tls::{TlsConfig, TlsFiles};
pub(crate) use traces::decoded;
pub use traces::{TraceConfig, TraceSampler};

/// The exit code for a configuration that cannot be used: `EX_USAGE` of sysexits.h.
pub const EXIT_BAD_CONFIGURATION: u8 = 64;

/// The unix socket for health and metrics, without needing any `AUTHENTIK_…` variable: `$TMPDIR` or `/tmp`. A configuration file
/// is used if it is valid; if not, a running server keeps its settings, and must still be asked.
///
/// # Errors
/// `TMPDIR` is not UTF-8 or points nowhere.
pub fn metrics_socket(strings: &dyn Strings) -> Result<PathBuf, ConfigError> {
    match ConfigFile::named_by(strings) {
        Ok(Some(file)) => process::read_metrics_socket(&mut SettingReader::new(&Layered {
            upper: strings,
            lower: &file.common,
        })),
        Ok(None) | Err(_) => process::read_metrics_socket(&mut SettingReader::new(strings)),
    }
}

/// Everything the server is told at start.
#[derive(Debug, Clone)]
pub struct Config {
    /// How to reach authentik.
    pub authentik: AuthentikConfig,
    /// Where to listen.
    pub listen: ListenConfig,
    /// The status page.
    pub status: StatusConfig,
    /// TLS on our own ports.
    pub tls: TlsConfig,
    /// What one client may cost.
    pub limits: LimitConfig,
    /// How binds are run and kept.
    pub bind: BindConfig,
    /// What can differ from provider to provider.
    pub providers: ProviderConfigs,
    /// The configuration file.
    pub file: Option<PathBuf>,
    /// Extra refreshes between those the outpost's configuration asks for. `None`: no extra ones.
    pub refresh_delta_interval: Option<Duration>,
    /// Where the directory is kept for the next start. `None`: nowhere.
    pub snapshot_file: Option<PathBuf>,
    /// Custom attributes that hold passwords but are still served.
    pub served_passwords: Vec<&'static str>,
    /// Serve custom attributes under names that RFC 4512 allows.
    pub legal_attribute_names: bool,
    /// After this many refresh intervals the whole directory is read instead of what changed in it.
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
    /// Oddities, to be logged.
    pub warnings: Vec<ConfigWarning>,
}

impl Config {
    /// Reads the whole configuration.
    ///
    /// # Errors
    /// Everything that is wrong in the configuration file; otherwise every value that is missing or malformed, and the first
    /// that contradicts another.
    pub fn read(strings: &dyn Strings) -> Result<Self, ConfigError> {
        let Some(file) = ConfigFile::named_by(strings)? else {
            let read = Self::read_with(&mut SettingReader::new(strings));
            return read.map_err(|first| problems::all(strings, first));
        };
        let layered = Layered {
            upper: strings,
            lower: &file.common,
        };
        let mut config = Self::read_with(&mut SettingReader::new(&layered))
            .map_err(|first| problems::all(&layered, first))?;
        let common = ProviderConfig::read(&mut SettingReader::new(&layered), &[file.common.attributes()])?;
        config.providers = ProviderConfigs::common(common).with_sections(&file, strings)?;
        Ok(config)
    }

    fn read_with(reader: &mut SettingReader<'_>) -> Result<Self, ConfigError> {
        let authentik = AuthentikConfig::read(reader)?;
        let listen = ListenConfig::read(reader)?;
        let status = StatusConfig::read(reader)?;
        let tls = TlsConfig::read(reader)?;
        let limits = LimitConfig::read(reader)?;
        let bind = BindConfig::read(reader)?;
        let providers = ProviderConfigs::common(ProviderConfig::read(reader, &[])?);
        let file = reader.value(&process::CONFIG_FILE)?;
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
            status,
            tls,
            limits,
            bind,
            providers,
            file,
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
