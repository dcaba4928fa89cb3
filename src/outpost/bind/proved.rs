//! What is found out about a password, and the turn in which that happens. Must not know how.

use crate::outpost::access::OpenSession;

use super::queue::Turn;

/// A turn among those that are asking authentik to judge passwords now.
pub(in crate::outpost) struct ChangeTurn {
    _turn: Turn,
}

impl ChangeTurn {
    pub(super) fn new(turn: Turn) -> Self {
        Self { _turn: turn }
    }
}

/// How a password was shown to be right.
pub(in crate::outpost) enum ProvedPassword {
    /// By a login; its session ends with this.
    Session(OpenSession),
    /// authentik accepted it and asked for more.
    Accepted,
}
