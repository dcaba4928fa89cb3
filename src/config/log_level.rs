//! How much is logged and in which form, and the words for both. Must not know what is logged.

use super::value::Unreadable;

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
        log_level.map_or(Self::Info, |text| level(text).unwrap_or(Self::Debug))
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// The format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line, with the official outpost's keys.
    Json,
    /// For reading.
    Text,
}

/// A log level, including the other spellings that the official outpost reads.
pub(super) fn level(text: &str) -> Result<LogLevel, Unreadable> {
    match text.to_ascii_lowercase().as_str() {
        "trace" => Ok(LogLevel::Trace),
        "debug" => Ok(LogLevel::Debug),
        "info" => Ok(LogLevel::Info),
        "warn" | "warning" => Ok(LogLevel::Warning),
        "error" | "fatal" | "panic" | "critical" => Ok(LogLevel::Error),
        _ => Err(Unreadable::PLAIN),
    }
}

/// A log format.
pub(super) fn format(text: &str) -> Result<LogFormat, Unreadable> {
    match text {
        "json" => Ok(LogFormat::Json),
        "text" => Ok(LogFormat::Text),
        _ => Err(Unreadable::PLAIN),
    }
}
