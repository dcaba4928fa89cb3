//! Requests (RFC 4511 section 4.1.1): from a frame to a typed message.
//!
//! Every request that the server carries out is decoded here, strictly. Binds and searches borrow from the buffer: their values
//! may be any octets, and they are the hot path. Requests to change entries are kept as they were sent, and only a modify is read
//! further. An error inside a readable envelope carries the message id, so that it can be answered. Must not know what an
//! operation does.

use zeroize::Zeroizing;

use crate::ber::{self, BerError, Element, Reader};
use crate::control::{CONTROLS, Control};
use crate::steps;

mod bind;
mod error;
mod kind;
mod modify;
mod search;
mod update;

pub use bind::{Authentication, BindRequest};
pub use error::{MessageError, OperationError};
pub use kind::OperationKind;
pub use modify::{Modification, ModifyKind, ModifyRequest, PASSWORD_ATTRIBUTE};
pub use search::{Scope, SearchRequest};
pub use update::{MAX_DEPTH, Update};

/// The tags of the elements of a message: its id, every operation of RFC 4511, requests and responses, and controls.
const ENVELOPE: &[u8] = &[
    ber::INTEGER,
    0x60,
    0x61,
    0x42,
    0x63,
    0x64,
    0x65,
    0x73,
    0x66,
    0x67,
    0x68,
    0x69,
    0x4a,
    0x6b,
    0x6c,
    0x6d,
    0x6e,
    0x6f,
    0x50,
    0x77,
    0x78,
    0x79,
    CONTROLS,
];

/// A request with its message id and controls.
#[derive(Clone, Debug, PartialEq)]
pub struct Message<'a> {
    /// `0..=2^31-1`; 0 is accepted though no client should send it.
    pub message_id: u32,
    /// What is asked.
    pub operation: Operation<'a>,
    /// The controls in the order sent.
    pub controls: Vec<Control<'a>>,
}

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation<'a> {
    /// RFC 4511 section 4.2
    Bind(BindRequest<'a>),
    /// RFC 4511 section 4.3
    Unbind,
    /// RFC 4511 section 4.5
    Search(SearchRequest<'a>),
    /// RFC 4511 sections 4.6 to 4.9: modify, add, delete and rename.
    Update(Update),
    /// RFC 4511 section 4.10
    Compare(CompareRequest),
    /// RFC 4511 section 4.11; the message id to abandon.
    Abandon(u32),
    /// RFC 4511 section 4.12
    Extended(ExtendedRequest),
}

/// A CompareRequest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompareRequest {
    /// The entry's DN.
    pub entry: String,
    /// The attribute description.
    pub attribute: String,
    /// The assertion value.
    pub value: Vec<u8>,
}

/// An ExtendedRequest.
#[derive(Clone, PartialEq, Eq)]
pub struct ExtendedRequest {
    /// The OID of the operation.
    pub name: String,
    /// Its value; may contain a password.
    pub value: Option<Zeroizing<Vec<u8>>>,
}

impl<'a> Message<'a> {
    /// Decodes a frame: exactly one message, as [`frame::split`](super::frame::split) finds it.
    ///
    /// # Errors
    /// When the message is malformed; the error tells whether it can be answered.
    pub fn decode(frame: &'a [u8]) -> Result<Self, MessageError> {
        let mut outer = Reader::new(frame);
        let mut envelope = outer.constructed(ber::SEQUENCE).map_err(MessageError::Envelope)?;
        let message_id = envelope.max_int().map_err(MessageError::Envelope)?;
        let tag = envelope
            .peek()
            .ok_or(MessageError::Envelope(BerError::Truncated))?;
        let kind = OperationKind::from_tag(tag).ok_or(MessageError::UnknownOperation { tag })?;
        let broken = |reason| MessageError::Operation {
            message_id,
            kind,
            reason,
        };
        let operation = envelope.element().map_err(|error| broken(error.into()))?;
        let broken_controls = |error| broken(OperationError::Controls(error));
        let controls = match envelope.optional(CONTROLS).map_err(broken_controls)? {
            Some(contents) => Control::read_all(contents).map_err(broken_controls)?,
            None => Vec::new(),
        };
        envelope.end_of_sequence(ENVELOPE).map_err(broken_controls)?;
        let operation = decode_operation(kind, operation).map_err(broken)?;
        Ok(Self {
            message_id,
            operation,
            controls,
        })
    }
}

fn decode_operation(kind: OperationKind, element: Element<'_>) -> Result<Operation<'_>, OperationError> {
    match kind {
        OperationKind::Bind => Ok(Operation::Bind(BindRequest::read(element.contents)?)),
        OperationKind::Search => Ok(Operation::Search(SearchRequest::read(element.contents)?)),
        OperationKind::Compare => Ok(Operation::Compare(CompareRequest::read(element.contents)?)),
        OperationKind::Extended => Ok(Operation::Extended(ExtendedRequest::read(element.contents)?)),
        OperationKind::Unbind => Ok(Operation::Unbind),
        OperationKind::Abandon => Ok(Operation::Abandon(ber::parse_max_int(element.contents)?)),
        OperationKind::Modify | OperationKind::Add | OperationKind::Delete | OperationKind::ModifyDn => {
            Ok(Operation::Update(Update::read(kind, element)?))
        }
    }
}

impl Operation<'_> {
    /// The kind of the request.
    #[must_use]
    pub fn kind(&self) -> OperationKind {
        match self {
            Self::Bind(_) => OperationKind::Bind,
            Self::Unbind => OperationKind::Unbind,
            Self::Search(_) => OperationKind::Search,
            Self::Update(update) => update.kind(),
            Self::Compare(_) => OperationKind::Compare,
            Self::Abandon(_) => OperationKind::Abandon,
            Self::Extended(_) => OperationKind::Extended,
        }
    }
}

impl CompareRequest {
    fn read(contents: &[u8]) -> Result<Self, OperationError> {
        let mut reader = Reader::new(contents);
        let entry = text(reader.octet_string()?)?;
        let mut assertion = reader.constructed(ber::SEQUENCE)?;
        reader.end_of_sequence(&[ber::OCTET_STRING, ber::SEQUENCE])?;
        let attribute = text(assertion.octet_string()?)?;
        let value = assertion.octet_string()?.to_vec();
        assertion.end_of_sequence(&[ber::OCTET_STRING])?;
        Ok(Self {
            entry,
            attribute,
            value,
        })
    }
}

impl ExtendedRequest {
    fn read(contents: &[u8]) -> Result<Self, OperationError> {
        let mut reader = Reader::new(contents);
        let name = text(reader.expect(0x80)?)?;
        let value = reader.optional(0x81)?.map(|value| Zeroizing::new(value.to_vec()));
        reader.end_of_sequence(&[0x80, 0x81])?;
        Ok(Self { name, value })
    }
}

fn text(octets: &[u8]) -> Result<String, OperationError> {
    steps::add(octets.len());
    String::from_utf8(octets.to_vec()).map_err(|_| OperationError::Grammar)
}

impl std::fmt::Debug for ExtendedRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "ExtendedRequest {{ name: {:?} }}", self.name)
    }
}

#[cfg(test)]
mod tests;
