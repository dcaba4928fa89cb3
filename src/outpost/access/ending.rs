//! The reasons why a login ends, as the client and the log are told. Must not know who finds them.

use std::fmt;

/// Why a login is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// authentik ended the session: logout, removal by an admin, deactivation, deletion.
    SessionEnded,
    /// The session has reached its end.
    SessionExpired,
    /// The user changed in a way that voids earlier binds.
    UserChanged(&'static str),
    /// The application or the search permission is no longer granted.
    AccessLost,
}

impl fmt::Display for Ending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SessionEnded => formatter.write_str("authentik ended the session of this bind: bind again"),
            Self::SessionExpired => {
                formatter.write_str("the session of this bind has reached its end in authentik: bind again")
            }
            Self::UserChanged(what) => write!(formatter, "{what}: bind again"),
            Self::AccessLost => formatter.write_str("access changed in authentik: bind again"),
        }
    }
}
