//! Requests (RFC 4511 section 4.1.1): from a frame to a typed message.
//!
//! Whatever is carried out is decoded here, strictly; binds and searches borrow from the buffer, since their values may
//! be any octets and they are the hot path. Requests to change entries are never carried out: they are kept as they were sent.
//! Whatever is wrong inside a readable envelope is reported with the message id, so that it can be answered. Must not know
//! what an operation does.

use thiserror::Error;

use super::ber::{self, BerError, Element, Reader};
use super::control::Control;
use super::filter::{Filter, FilterError};
use super::steps;

mod update;

pub use update::{MAX_DEPTH, Update};

/// Tag of `controls [0]`.
pub(super) const CONTROLS: u8 = 0xa0;
/// Tags of the choices of an AuthenticationChoice.
const SIMPLE: u8 = 0x80;
const SASL: u8 = 0xa3;

/// Attribute descriptions that a search has room for at first.
const USUAL_ATTRIBUTES: usize = 4;

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
/// The tags of the elements of a SearchRequest, those of filters among them.
const SEARCH: &[u8] = &[
    ber::OCTET_STRING,
    ber::ENUMERATED,
    ber::INTEGER,
    ber::BOOLEAN,
    ber::SEQUENCE,
    0xa0,
    0xa1,
    0xa2,
    0xa3,
    0xa4,
    0xa5,
    0xa6,
    0x87,
    0xa8,
    0xa9,
];

/// The kind of a request, by its protocolOp tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperationKind {
    /// BindRequest
    Bind,
    /// UnbindRequest
    Unbind,
    /// SearchRequest
    Search,
    /// ModifyRequest
    Modify,
    /// AddRequest
    Add,
    /// DelRequest
    Delete,
    /// ModifyDNRequest
    ModifyDn,
    /// CompareRequest
    Compare,
    /// AbandonRequest
    Abandon,
    /// ExtendedRequest
    Extended,
}

impl OperationKind {
    fn from_tag(tag: u8) -> Option<Self> {
        Some(match tag {
            0x60 => Self::Bind,
            0x42 => Self::Unbind,
            0x63 => Self::Search,
            0x66 => Self::Modify,
            0x68 => Self::Add,
            0x4a => Self::Delete,
            0x6c => Self::ModifyDn,
            0x6e => Self::Compare,
            0x50 => Self::Abandon,
            0x77 => Self::Extended,
            _ => return None,
        })
    }

    /// The tag of the response that ends the operation; `None` for those without a response.
    #[must_use]
    pub fn response_tag(self) -> Option<u8> {
        Some(match self {
            Self::Bind => 0x61,
            Self::Search => 0x65,
            Self::Modify => 0x67,
            Self::Add => 0x69,
            Self::Delete => 0x6b,
            Self::ModifyDn => 0x6d,
            Self::Compare => 0x6f,
            Self::Extended => 0x78,
            Self::Unbind | Self::Abandon => return None,
        })
    }
}

/// Why a message cannot be carried out.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum MessageError {
    /// The envelope is unreadable: no message id, so no answer but a Notice of Disconnection.
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
    /// A name that is not text, or a request to change entries that is none.
    #[error("it does not follow RFC 4511")]
    Grammar,
    /// Malformed controls.
    #[error("malformed controls: {0}")]
    Controls(BerError),
}

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

/// A BindRequest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BindRequest<'a> {
    /// Protocol version; only 3 can be served.
    pub version: i64,
    /// The bind DN, as sent.
    pub name: &'a [u8],
    /// How the client proves itself.
    pub authentication: Authentication<'a>,
}

/// The authentication choice of a BindRequest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Authentication<'a> {
    /// The password, any octets.
    Simple(&'a [u8]),
    /// A SASL mechanism by its name.
    Sasl(&'a [u8]),
    /// A choice RFC 4511 does not have.
    Unknown(u8),
}

impl std::fmt::Debug for BindRequest<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let method = match self.authentication {
            Authentication::Simple(_) => "simple",
            Authentication::Sasl(_) => "sasl",
            Authentication::Unknown(_) => "unknown",
        };
        let name = String::from_utf8_lossy(self.name);
        write!(
            formatter,
            "BindRequest {{ version: {}, name: {name:?}, {method} }}",
            self.version
        )
    }
}

impl std::fmt::Debug for Authentication<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Authentication")
    }
}

/// The scope of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The base entry alone.
    BaseObject,
    /// The entries one level below the base.
    SingleLevel,
    /// The base and everything below it.
    WholeSubtree,
    /// Everything below the base but not itself (draft-sermersheim-ldap-subordinate-scope).
    SubordinateSubtree,
}

/// A SearchRequest.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchRequest<'a> {
    /// The base DN, as sent.
    pub base_object: &'a [u8],
    /// How far to look.
    pub scope: Scope,
    /// `0..=3`; there are no aliases, so it changes nothing.
    pub deref_aliases: u8,
    /// Most entries wanted; 0 for no limit.
    pub size_limit: u32,
    /// Most seconds wanted; 0 for no limit.
    pub time_limit: u32,
    /// Attribute names without values.
    pub types_only: bool,
    /// Which entries.
    pub filter: Filter<'a>,
    /// Which attributes, as sent.
    pub attributes: Vec<&'a [u8]>,
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
    /// Its value; may hold a password.
    pub value: Option<Vec<u8>>,
}

impl std::fmt::Debug for ExtendedRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "ExtendedRequest {{ name: {:?} }}", self.name)
    }
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

fn text(octets: &[u8]) -> Result<String, OperationError> {
    steps::add(octets.len());
    String::from_utf8(octets.to_vec()).map_err(|_| OperationError::Grammar)
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
        let value = reader.optional(0x81)?.map(<[u8]>::to_vec);
        reader.end_of_sequence(&[0x80, 0x81])?;
        Ok(Self { name, value })
    }
}

impl<'a> BindRequest<'a> {
    fn read(contents: &'a [u8]) -> Result<Self, BerError> {
        let mut reader = Reader::new(contents);
        let version = reader.integer()?;
        let name = reader.octet_string()?;
        let choice = reader.element()?;
        let authentication = match choice.tag {
            SIMPLE => Authentication::Simple(choice.contents),
            SASL => {
                let mut sasl = Reader::new(choice.contents);
                let mechanism = sasl.octet_string()?;
                sasl.optional(ber::OCTET_STRING)?;
                sasl.end_of_sequence(&[ber::OCTET_STRING])?;
                Authentication::Sasl(mechanism)
            }
            unknown => Authentication::Unknown(unknown),
        };
        reader.end_of_sequence(&[ber::INTEGER, ber::OCTET_STRING, SIMPLE, SASL])?;
        Ok(Self {
            version,
            name,
            authentication,
        })
    }
}

impl<'a> SearchRequest<'a> {
    fn read(contents: &'a [u8]) -> Result<Self, OperationError> {
        let mut reader = Reader::new(contents);
        let base_object = reader.octet_string()?;
        let scope = match reader.enumerated()? {
            0 => Scope::BaseObject,
            1 => Scope::SingleLevel,
            2 => Scope::WholeSubtree,
            3 => Scope::SubordinateSubtree,
            other => return Err(OperationError::Scope(other)),
        };
        let deref_aliases = match reader.enumerated()? {
            known @ 0..=3 => known as u8,
            other => return Err(OperationError::DerefAliases(other)),
        };
        let size_limit = reader.max_int()?;
        let time_limit = reader.max_int()?;
        let types_only = reader.boolean()?;
        let filter = Filter::read(&mut reader)?;
        let mut names = reader.constructed(ber::SEQUENCE)?;
        reader.end_of_sequence(SEARCH)?;
        let mut attributes = Vec::with_capacity(if names.is_empty() { 0 } else { USUAL_ATTRIBUTES });
        while !names.is_empty() {
            attributes.push(names.octet_string()?);
        }
        Ok(Self {
            base_object,
            scope,
            deref_aliases,
            size_limit,
            time_limit,
            types_only,
            filter,
            attributes,
        })
    }

    /// Appends the request as BER, protocolOp tag included.
    pub fn write(&self, out: &mut Vec<u8>) {
        ber::write_constructed(out, 0x63, |out| {
            ber::write_element(out, ber::OCTET_STRING, self.base_object);
            let scope = match self.scope {
                Scope::BaseObject => 0,
                Scope::SingleLevel => 1,
                Scope::WholeSubtree => 2,
                Scope::SubordinateSubtree => 3,
            };
            ber::write_integer(out, ber::ENUMERATED, scope);
            ber::write_integer(out, ber::ENUMERATED, i64::from(self.deref_aliases));
            ber::write_integer(out, ber::INTEGER, i64::from(self.size_limit));
            ber::write_integer(out, ber::INTEGER, i64::from(self.time_limit));
            ber::write_boolean(out, self.types_only);
            self.filter.write(out);
            ber::write_constructed(out, ber::SEQUENCE, |out| {
                for attribute in &self.attributes {
                    ber::write_element(out, ber::OCTET_STRING, attribute);
                }
            });
        });
    }
}

#[cfg(test)]
mod tests;
