//! What is logged, and how. Knows these settings and what they are read into; must not know what the values are used
//! for.

use super::error::ConfigError;
use super::kind::{Format, Level, Optional, Switch, Text, Unset};
use super::log_level::{LogFormat, LogLevel};
use super::quantity::Count;
use super::reader::SettingReader;
use super::setting::{Setting, official, own};

pub(super) static LOG_LEVEL: Setting<Level> = official(
    "AUTHENTIK_LOG_LEVEL",
    Level,
    LogLevel::Info,
    "Log level at start. The log level in the outpost's configuration replaces it once that is read.",
)
.with_flag("log-level");

pub(super) static DEBUG: Setting<Switch> =
    official("AUTHENTIK_DEBUG", Switch, false, "Log as text instead of JSON.");

pub(super) static NO_COLOR: Setting<Optional<Text>> = official(
    "NO_COLOR",
    Optional(Text),
    Unset,
    "Any value turns off the colours of the log, which are used on a terminal only.",
);

pub(super) static LOG_FORMAT: Setting<Optional<Format>> = own(
    "AUTHENTIK_LDAP__LOG_FORMAT",
    "log-format",
    Optional(Format),
    Unset,
    "`json` or `text`. Unset: text on a terminal and when AUTHENTIK_DEBUG is true, otherwise JSON.",
);

pub(super) static LOG_SEARCHES: Setting<Switch> = own(
    "AUTHENTIK_LDAP__LOG_SEARCHES",
    "log-searches",
    Switch,
    false,
    "Log each search at info when it ends, as the official outpost does. Off, they are logged at debug.",
);

pub(super) static LOG_SEARCHES_ONE_IN: Setting<Count<u32>> = own(
    "AUTHENTIK_LDAP__LOG_SEARCHES_ONE_IN",
    "log-searches-one-in",
    Count {
        min: 1,
        max: 1_000_000,
    },
    1,
    "Of the searches that succeed within a second, log one in this many at info. Those that fail or take longer are always logged.",
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
    /// The format of a line. `None`: whatever suits where the log goes.
    pub format: Option<LogFormat>,
    /// Whether a terminal may have colours.
    pub colour: bool,
}

/// Which searches are logged at info.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchLogConfig {
    /// Whether any is.
    pub enabled: bool,
    /// Of those that succeed soon, one in this many.
    pub one_in: u32,
}

impl SearchLogConfig {
    pub(super) fn read(reader: &mut SettingReader<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            enabled: reader.value(&LOG_SEARCHES)?,
            one_in: reader.value(&LOG_SEARCHES_ONE_IN)?,
        })
    }
}

impl LogConfig {
    pub(super) fn read(reader: &mut SettingReader<'_>) -> Result<Self, ConfigError> {
        let level = reader.value(&LOG_LEVEL)?;
        let debug = reader.value(&DEBUG)?;
        let format = reader.value(&LOG_FORMAT)?;
        Ok(Self {
            level,
            format: format.or(debug.then_some(LogFormat::Text)),
            colour: reader.value(&NO_COLOR)?.is_none(),
        })
    }
}
