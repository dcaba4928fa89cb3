//! Why a message cannot be carried out, and whether that can be answered.
//!
//! Must not know what the answer is.

use thiserror::Error;

use super::kind::OperationKind;
use crate::ber::BerError;
use crate::filter::FilterError;

/// Why a message cannot be carried out.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum MessageError {
    /// The envelope is unreadable: no message id, so no answer except a Notice of Disconnection.
    #[error("malformed message: {0}")]
    Envelope(BerError),
    /// The protocolOp is not a request (RFC 4511 section 4.1.1: Notice of Disconnection).
    #[error("0x{tag:02x} is not the tag of an LDAP request")]
    UnknownOperation {
        /// The tag found.
        tag: u8,
    },
    /// The operation or its controls are malformed; to be answered with protocolError.
    #[error("malformed {kind:?} request: {reason}")]
    Operation {
        /// Which message.
        message_id: u32,
        /// Which operation.
        kind: OperationKind,
        /// What is wrong.
        reason: OperationError,
    },
}

/// What is wrong with an operation inside a readable envelope.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum OperationError {
    /// Malformed BER.
    #[error("{0}")]
    Ber(#[from] BerError),
    /// A bad search filter.
    #[error("{0}")]
    Filter(#[from] FilterError),
    /// A scope that does not exist.
    #[error("scope {0} does not exist")]
    Scope(i64),
    /// A derefAliases value that does not exist.
    #[error("derefAliases {0} does not exist")]
    DerefAliases(i64),
    /// A name that is not text, or a request to change entries that does not follow the grammar.
    #[error("it does not follow RFC 4511")]
    Grammar,
    /// Malformed controls.
    #[error("malformed controls: {0}")]
    Controls(BerError),
}
