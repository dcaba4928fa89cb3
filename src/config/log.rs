//! What is logged, and how. Knows these settings and what they are read into; must not know what the values are used
//! for.

use super::kind::{Format, Level, Optional, Switch, Unset};
use super::reader::Reader;
use super::setting::{Setting, official, own};
use super::{ConfigError, value};

pub(super) static LOG_LEVEL: Setting<Level> = official(
    "AUTHENTIK_LOG_LEVEL",
    Level,
    LogLevel::Info,
    "Log level at start. The log level in the outpost's configuration replaces it once that is read.",
);

pub(super) static DEBUG: Setting<Switch> =
    official("AUTHENTIK_DEBUG", Switch, false, "Log as text instead of JSON.");

pub(super) static LOG_FORMAT: Setting<Optional<Format>> = own(
    "AUTHENTIK_LDAP__LOG_FORMAT",
    "log-format",
    Optional(Format),
    Unset,
    "`json` or `text`. Unset: JSON, or text when AUTHENTIK_DEBUG is true.",
);

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

impl LogConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let level = reader.value(&LOG_LEVEL)?;
        let debug = reader.value(&DEBUG)?;
        let format = reader.value(&LOG_FORMAT)?;
        Ok(Self {
            level,
            format: format.unwrap_or(if debug { LogFormat::Text } else { LogFormat::Json }),
        })
    }
}
