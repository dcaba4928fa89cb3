//! What can be wrong with a configuration, each as one line an admin can act on. Never holds a secret.

use std::path::PathBuf;

use super::file_position::FilePosition;

/// A configuration the server refuses to start with. The process exits with code 64.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A required value is absent or empty.
    #[error("{name} is not set; expected {expected}")]
    Missing {
        /// The variable.
        name: String,
        /// What is expected.
        expected: String,
    },
    /// A value cannot be understood.
    #[error("{name} is {found}; expected {expected}")]
    Invalid {
        /// The variable or flag.
        name: String,
        /// The value in quotes, or a description of it when it may be secret.
        found: String,
        /// What is expected.
        expected: String,
    },
    /// A value is not UTF-8.
    #[error("{name} is not valid UTF-8; expected {expected}")]
    NotUnicode {
        /// The variable.
        name: String,
        /// What is expected.
        expected: String,
    },
    /// A `file://` value names a file that cannot be read and gives no fallback.
    #[error(
        "{name} points to the file {path:?}, which cannot be read ({cause}); expected a readable file, or a fallback after '?'"
    )]
    UnreadableFile {
        /// The variable or flag.
        name: String,
        /// The file.
        path: String,
        /// The system's reason.
        cause: String,
    },
    /// A `file://` value names a file with nothing in it, where something is needed.
    #[error("{name} points to the file {path:?}, which is empty; expected {expected}")]
    EmptyFile {
        /// The variable or flag.
        name: String,
        /// The file.
        path: PathBuf,
        /// What is expected.
        expected: String,
    },
    /// An `env://` value names a variable that is not set and gives no fallback.
    #[error(
        "{name} points to the variable {variable:?}, which is not set; expected a set variable, or a fallback after '?'"
    )]
    UnsetVariable {
        /// The variable or flag.
        name: String,
        /// The variable it points to.
        variable: String,
    },
    /// The configuration file cannot be read.
    #[error("{name} names the file {path:?}, which cannot be read ({cause}); expected a readable TOML file")]
    UnreadableConfigFile {
        /// The variable or flag.
        name: String,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        cause: String,
    },
    /// Something in the configuration file is wrong.
    #[error("{position}: {problem}")]
    Malformed {
        /// Where.
        position: FilePosition,
        /// What, and what was expected.
        problem: String,
    },
    /// More than one thing is wrong.
    #[error("{}{}", lines(problems), further(*more))]
    Several {
        /// What, in the order of the file.
        problems: Vec<ConfigError>,
        /// How many more there are.
        more: usize,
    },
    /// Two values contradict each other.
    #[error("{name} and {other} do not fit together: {problem}")]
    Conflict {
        /// The variable or flag to change.
        name: String,
        /// The one it contradicts.
        other: String,
        /// Why.
        problem: &'static str,
    },
}

/// Something odd that does not stop the server. Log each one when logging is up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigWarning {
    /// A variable under `AUTHENTIK_LDAP__` that nothing reads, with a near known name.
    #[error("{name} is not an option of this server and has no effect; did you mean {nearest}?")]
    UnknownOption {
        /// The variable found.
        name: String,
        /// The nearest known one.
        nearest: &'static str,
    },
    /// A variable under `AUTHENTIK_LDAP__` that nothing reads and that resembles no known name.
    #[error("{name} is not an option of this server and has no effect; `--help` lists the options")]
    UnlikeAnyOption {
        /// The variable found.
        name: String,
    },
    /// An entry of a network list that is not a network. The rest of the list is used.
    #[error("{name} contains {entry:?}, which is not a network such as 10.0.0.0/8; the entry is skipped")]
    SkippedNetwork {
        /// The variable.
        name: String,
        /// The entry.
        entry: String,
    },
    /// The official default is in effect, which trusts PROXY protocol headers from every private network.
    #[error(
        "{name} is not set: clients in private networks are believed when they name another address in a PROXY protocol \
         header; set it (--trusted-proxies) to the addresses of your load balancer, or to none"
    )]
    WideTrust {
        /// The variable.
        name: String,
    },
    /// A proxy variable that names no HTTP proxy.
    #[error("{name} is ignored, and authentik is called directly: it is not {expected}")]
    UnusableProxy {
        /// The variable.
        name: String,
        /// What would be one.
        expected: String,
    },
    /// A variable of OpenTelemetry that cannot be used.
    #[error("{name} is ignored: it is not {expected}")]
    UnusableForTraces {
        /// The variable.
        name: String,
        /// What would be usable.
        expected: String,
    },
    /// Configuration files of the official outpost exist.
    #[error(
        "configuration files of the official outpost are not read here: {}{}; use variables \
         (docs/options.md), whose values may be file:// and env:// references",
        named(files),
        further(*more)
    )]
    UnreadFiles {
        /// The files.
        files: Vec<PathBuf>,
        /// How many more there are.
        more: usize,
    },
    /// authentik's certificate will not be verified.
    #[error(
        "{name} is true: authentik's certificate is not verified; prefer AUTHENTIK_LDAP__CA_FILE (--ca-file) for a private CA"
    )]
    Insecure {
        /// The variable.
        name: String,
    },
}

impl ConfigError {
    /// What is wrong besides required values that nobody has given yet.
    #[must_use]
    pub fn besides_what_is_missing(self) -> Option<Self> {
        let (problems, more) = match self {
            Self::Missing { .. } => return None,
            Self::Several { problems, more } => (problems, more),
            other => return Some(other),
        };
        let left = problems.into_iter().filter_map(Self::besides_what_is_missing);
        let mut problems: Vec<Self> = left.collect();
        match (problems.pop(), more) {
            (None, 0) => None,
            (Some(only), 0) if problems.is_empty() => Some(only),
            (last, more) => {
                problems.extend(last);
                Some(Self::Several { problems, more })
            }
        }
    }
}

fn lines(problems: &[ConfigError]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

fn named(files: &[PathBuf]) -> String {
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    names.join(", ")
}

fn further(more: usize) -> String {
    match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    }
}
