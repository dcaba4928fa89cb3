//! What is logged, and how. Knows these settings and what they are read into; must not know what the values are used
//! for.

use super::error::ConfigError;
use super::kind::{Format, Level, Optional, Switch, Unset};
use super::log_level::{LogFormat, LogLevel};
use super::reader::Reader;
use super::setting::{Setting, official, own};

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

pub(super) static AUDIT_SEARCHES: Setting<Switch> = own(
    "AUTHENTIK_LDAP__AUDIT_SEARCHES",
    "audit-searches",
    Switch,
    false,
    "Write an audit record for each search: who, what, how many entries. Logins, refusals and revocations always have one.",
);

/// What is logged, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// The level at start.
    pub level: LogLevel,
    /// The format of a line.
    pub format: LogFormat,
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
