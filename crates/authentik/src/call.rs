//! What is reported about each call to authentik: which endpoint, what came back, and after how long. Must not know who
//! is told, nor what was asked: no name, number or query of a call is reported.

use std::fmt;
use std::time::Duration;

use super::error::ApiError;

/// The paths that are called, after `api/v3/`; what is in angle brackets differs for each call. A literal path comes
/// before the pattern that also matches it.
const ENDPOINTS: [&str; 13] = [
    "core/users/",
    "core/users/me/",
    "core/users/<pk>/",
    "core/groups/",
    "crypto/certificatekeypairs/<uuid>/",
    "crypto/certificatekeypairs/<uuid>/view_certificate/",
    "crypto/certificatekeypairs/<uuid>/view_private_key/",
    "flows/executor/<slug>/",
    "outposts/instances/",
    "outposts/ldap/",
    "outposts/ldap/<pk>/check_access/",
    "root/config/",
    "admin/version/",
];
/// Any other path.
const OTHER: &str = "other";

/// The outcome of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// An answer with this HTTP status.
    Status(u16),
    /// No complete answer in time.
    TimedOut,
    /// No connection.
    Unreachable,
    /// Anything else that is not a complete answer.
    Broken,
}

impl CallOutcome {
    pub(crate) fn of_error(error: &ApiError) -> Self {
        match error {
            ApiError::TimedOut { .. } => Self::TimedOut,
            ApiError::Unreachable { .. } => Self::Unreachable,
            _ => Self::Broken,
        }
    }
}

impl fmt::Display for CallOutcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(formatter, "{status}"),
            Self::TimedOut => formatter.write_str("timed_out"),
            Self::Unreachable => formatter.write_str("unreachable"),
            Self::Broken => formatter.write_str("broken"),
        }
    }
}

/// A call that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The path of the endpoint, with placeholders; `other` for one that is not known here.
    pub endpoint: &'static str,
    /// The outcome.
    pub outcome: CallOutcome,
    /// How long it took.
    pub duration: Duration,
}

/// Somebody who counts calls. Called from within the call: must not block.
pub trait CallObserver: Send + Sync {
    /// A call ended.
    fn called(&self, call: &Call);
}

/// The endpoint of a path after `api/v3/`.
pub(crate) fn endpoint(path: &str) -> &'static str {
    let is_placeholder = |segment: &str| segment.starts_with('<');
    let fits = |pattern: &&&'static str| {
        pattern.split('/').count() == path.split('/').count()
            && pattern.split('/').zip(path.split('/')).all(|(pattern, segment)| {
                pattern == segment || (is_placeholder(pattern) && !segment.is_empty())
            })
    };
    ENDPOINTS.iter().find(fits).copied().unwrap_or(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_by_templates() {
        for (path, expected) in [
            ("core/users/", "core/users/"),
            ("core/users/me/", "core/users/me/"),
            ("core/users/17/", "core/users/<pk>/"),
            (
                "outposts/ldap/3/check_access/",
                "outposts/ldap/<pk>/check_access/",
            ),
            ("flows/executor/my-flow/", "flows/executor/<slug>/"),
            ("flows/executor//", "other"),
            ("core/users", "other"),
            ("core/users/17/recovery/", "other"),
            ("", "other"),
        ] {
            assert_eq!(endpoint(path), expected, "{path}");
        }
        for template in ENDPOINTS {
            let path = template
                .replace("<pk>", "7")
                .replace("<uuid>", "a-b")
                .replace("<slug>", "x%2Fy");
            assert_eq!(endpoint(&path), template);
        }
    }
}
