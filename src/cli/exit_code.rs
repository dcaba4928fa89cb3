//! How the program ends: one exit code for each kind of error, those of sysexits.h where one fits. Knows which errors there are;
//! must not know what led to them.

use crate::config::{ConfigError, EXIT_BAD_CONFIGURATION};
use crate::logging::LoggingError;
use crate::server::{InheritError, StartError};
use crate::traces::TraceError;

/// No answer, or a bad one: what a health check fails with, and what has no other code.
pub const FAILURE: u8 = 1;
/// A file cannot be used (`EX_NOINPUT`).
const BAD_FILE: u8 = 66;
/// A port cannot be opened (`EX_UNAVAILABLE`).
const NO_PORT: u8 = 69;
/// A call to the operating system failed (`EX_OSERR`).
pub const SYSTEM: u8 = 71;

/// The codes and what they mean, for the help and the manual page.
pub(super) const MEANINGS: &[(u8, &str)] = &[
    (0, "All is well, or the server ended when told to."),
    (
        FAILURE,
        "healthcheck: not alive, or not ready; check: something is wrong; diff: the servers differ.",
    ),
    (
        2,
        "check and diff: nothing could be checked, or what was found cannot be written. That includes a file that cannot be used, a time limit that was reached and, for check, a configuration that cannot be used, its options on the command line included.",
    ),
    (
        EXIT_BAD_CONFIGURATION,
        "The command line of any command, or the configuration, cannot be used; there is a line for each fault.",
    ),
    (
        BAD_FILE,
        "A file that the configuration names cannot be used: certificate, key or certificate authorities.",
    ),
    (NO_PORT, "A port cannot be opened."),
    (
        SYSTEM,
        "Another call to the operating system failed. That includes output that cannot be written; a reader who leaves early, as head does, is no error.",
    ),
];

/// The code for what ended a command.
pub fn of(error: &anyhow::Error) -> u8 {
    if let Some(error) = error.downcast_ref::<StartError>() {
        return match error {
            StartError::Listen { .. } => NO_PORT,
            error if error.is_about_a_file() => BAD_FILE,
            _ => SYSTEM,
        };
    }
    if error.is::<ConfigError>() || error.is::<InheritError>() {
        return EXIT_BAD_CONFIGURATION;
    }
    if error.is::<TraceError>() {
        return BAD_FILE;
    }
    if error.is::<LoggingError>() || error.is::<std::io::Error>() {
        return SYSTEM;
    }
    FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_docs_have_every_code() {
        let page = include_str!("../../docs/running.md");
        for (code, meaning) in MEANINGS {
            assert!(page.contains(&format!("| {code} | {meaning} |\n")), "{code}");
        }
    }

    #[test]
    fn each_kind_has_a_code_of_its_own() {
        let mut codes: Vec<u8> = MEANINGS.iter().map(|(code, _)| *code).collect();
        assert!(codes.is_sorted());
        codes.dedup();
        assert_eq!(codes.len(), MEANINGS.len());
        let missing = ConfigError::Missing {
            name: "X".to_owned(),
            expected: "y".to_owned(),
        };
        let taken = StartError::Listen {
            address: ([127, 0, 0, 1], 389).into(),
            variable: "X",
            cause: std::io::ErrorKind::AddrInUse.into(),
        };
        for (error, code) in [
            (missing.into(), EXIT_BAD_CONFIGURATION),
            (taken.into(), NO_PORT),
            (anyhow::Error::from(std::io::Error::other("x")), SYSTEM),
            (anyhow::anyhow!("something"), FAILURE),
        ] {
            assert_eq!(of(&error), code, "{error}");
        }
    }
}
