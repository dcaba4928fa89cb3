//! The shape of one entry in the table of options: its name, flag, default, help, and the kind and range of its value.

use akldap_directory::password_attributes::PASSWORD_ATTRIBUTES;

use super::cipher;

/// What kind of value a setting takes, and its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A secret, never shown.
    Secret,
    /// authentik's URL.
    Host,
    /// The URL of an HTTP proxy.
    Proxy,
    /// True or false.
    Switch,
    /// A number in a range.
    Count {
        /// Smallest.
        min: u64,
        /// Largest.
        max: u64,
    },
    /// Bytes in a range.
    Size {
        /// Smallest, in bytes.
        min: u64,
        /// Largest, in bytes.
        max: u64,
    },
    /// A duration in a range of seconds.
    Duration {
        /// Smallest, in seconds.
        min: u64,
        /// Largest, in seconds.
        max: u64,
        /// Whether 0 is allowed beside the range, and means off.
        off: bool,
    },
    /// A file.
    Path,
    /// A list of addresses to listen on.
    Listen,
    /// A list of networks.
    Networks,
    /// A version of TLS.
    TlsVersion,
    /// A list of cipher suites.
    CipherSuites,
    /// A list of attributes that hold passwords.
    PasswordAttributes,
    /// A log level.
    Level,
    /// A log format.
    Format,
}

impl Kind {
    /// What belongs there, for an error message.
    #[must_use]
    pub fn expected(self) -> String {
        match self {
            Self::Text => "any text".to_owned(),
            Self::Secret => "the token authentik shows for the outpost, or file:///path/to/it".to_owned(),
            Self::Host => "an http:// or https:// URL such as https://authentik.example.org/".to_owned(),
            Self::Proxy => "the URL of an HTTP proxy such as http://proxy.example.org:3128".to_owned(),
            Self::Switch => "true or false".to_owned(),
            Self::Count { min, max } => format!("a number from {min} to {max}"),
            Self::Size { min, max } => {
                format!(
                    "a size from {} to {}, such as 65536 or 64KiB",
                    show_size(min),
                    show_size(max)
                )
            }
            Self::Duration { min, max, off } => format!(
                "a duration from {} to {}, such as 30s, 5m or 1h{}",
                show_duration(min),
                show_duration(max),
                if off { ", or 0 for off" } else { "" }
            ),
            Self::Path => "the path of a file".to_owned(),
            Self::Listen => {
                "a comma-separated list of addresses with ports such as 0.0.0.0:3389, [::]:3389 or :3389"
                    .to_owned()
            }
            Self::Networks => "a comma-separated list of networks such as 10.0.0.0/8, or none".to_owned(),
            Self::TlsVersion => "1.2 or 1.3".to_owned(),
            Self::CipherSuites => format!("a comma-separated list of {}", cipher::known_names()),
            Self::PasswordAttributes => {
                format!("a comma-separated list of {}", PASSWORD_ATTRIBUTES.join(", "))
            }
            Self::Level => "trace, debug, info, warning or error".to_owned(),
            Self::Format => "json or text".to_owned(),
        }
    }

    /// The word for the value in `--help`.
    #[must_use]
    pub fn placeholder(self) -> &'static str {
        match self {
            Self::Text | Self::Level | Self::Format => "WORD",
            Self::Secret => "TOKEN",
            Self::Host | Self::Proxy => "URL",
            Self::Switch => "BOOL",
            Self::Count { .. } => "N",
            Self::Size { .. } => "SIZE",
            Self::Duration { .. } => "DURATION",
            Self::Path => "FILE",
            Self::Listen => "ADDRESSES",
            Self::Networks => "NETWORKS",
            Self::TlsVersion => "VERSION",
            Self::CipherSuites => "SUITES",
            Self::PasswordAttributes => "NAMES",
        }
    }
}

/// One variable.
#[derive(Debug)]
pub struct Setting {
    /// The environment variable.
    pub variable: &'static str,
    /// The flag without its dashes. The variables that authentik's deployments set have none.
    pub flag: Option<&'static str>,
    /// The value when unset, as an admin would write it. Empty: none.
    pub default: &'static str,
    /// What kind of value.
    pub kind: Kind,
    /// What it does, and why the default is what it is.
    pub help: &'static str,
}

fn show_size(bytes: u64) -> String {
    if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 20) {
        format!("{}MiB", bytes >> 20)
    } else if bytes >= 1 << 10 && bytes.is_multiple_of(1 << 10) {
        format!("{}KiB", bytes >> 10)
    } else {
        bytes.to_string()
    }
}

fn show_duration(seconds: u64) -> String {
    match seconds {
        0 => "0".to_owned(),
        seconds if seconds.is_multiple_of(86_400) => format!("{}d", seconds / 86_400),
        seconds if seconds.is_multiple_of(3_600) => format!("{}h", seconds / 3_600),
        seconds if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}
