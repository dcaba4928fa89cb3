//! The records of who was let in, who was not, and whose login ended: events under one target, which the log keeps
//! separate from everything else and writes first. `docs/audit.md` is their documentation.
//!
//! Knows their name only; what a record says is decided where it is made.

use std::fmt;

use tracing::{Level, Metadata};

/// The target of every audit record, and so the `logger` of its line.
pub const TARGET: &str = concat!(env!("CARGO_CRATE_NAME"), "::audit");

/// What names one request of one connection: the number of the connection in this process and the request's message id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId {
    /// The connection.
    pub connection: u64,
    /// The message id (RFC 4511 section 4.1.1.1).
    pub message_id: u32,
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.connection, self.message_id)
    }
}

/// Which lines are kept first when the reader of the log takes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Priority {
    /// A login or a revocation: authentik limits how many there can be.
    Record,
    /// A refusal or a search: clients can cause many, so they must not take the room of the others.
    Refusal,
    /// Not for the audit.
    Other,
}

impl Priority {
    pub(super) fn of(metadata: &Metadata<'_>) -> Self {
        let is_search = || metadata.fields().field("baseDN").is_some();
        match (
            metadata.target() == TARGET,
            *metadata.level() <= Level::WARN || is_search(),
        ) {
            (true, false) => Self::Record,
            (true, true) => Self::Refusal,
            (false, _) => Self::Other,
        }
    }
}
