//! LDAP as the load generator needs it: requests encoded once, answers split into messages and hardly examined.
//!
//! Requests are encoded by `ldap3_proto`, so that the server's own codec is not measured against itself.

use bytes::BytesMut;
use ldap3_proto::LdapCodec;
use ldap3_proto::control::LdapControl;
use ldap3_proto::proto::{
    LdapBindCred, LdapBindRequest, LdapDerefAliases, LdapFilter, LdapMsg, LdapOp, LdapSearchRequest,
    LdapSearchScope,
};
use tokio_util::codec::{Decoder, Encoder};

/// Protocol operation tags (RFC 4511 section 4.2 and following).
pub const BIND_REQUEST: u8 = 0x60;
pub const BIND_RESPONSE: u8 = 0x61;
pub const SEARCH_ENTRY: u8 = 0x64;
pub const SEARCH_DONE: u8 = 0x65;

/// The highest message id of one octet; the generator uses no others.
pub const MAX_ID: usize = 127;

/// A message encoded with a message id of one octet, which can be replaced.
#[derive(Clone, Debug)]
pub struct Encoded {
    octets: Vec<u8>,
    id_at: usize,
}

impl Encoded {
    /// Encodes a request.
    ///
    /// # Errors
    /// When the codec cannot.
    pub fn new(op: LdapOp, ctrl: Vec<LdapControl>) -> std::io::Result<Self> {
        let mut octets = BytesMut::new();
        LdapCodec::default().encode(LdapMsg { msgid: 1, op, ctrl }, &mut octets)?;
        Self::of(octets.to_vec()).ok_or_else(|| std::io::Error::other("not one message"))
    }

    /// Takes a message as it is.
    pub fn of(octets: Vec<u8>) -> Option<Self> {
        let frame = Frame::first(&octets)?;
        (frame.length == octets.len() && octets.get(frame.header + 1) == Some(&1)).then_some(Self {
            id_at: frame.header + 2,
            octets,
        })
    }

    /// Appends the message with this id.
    pub fn write(&self, id: u8, out: &mut Vec<u8>) {
        let at = out.len() + self.id_at;
        out.extend_from_slice(&self.octets);
        if let Some(octet) = out.get_mut(at) {
            *octet = id;
        }
    }

    /// Length in octets.
    #[allow(clippy::len_without_is_empty, reason = "no message is empty")]
    pub fn len(&self) -> usize {
        self.octets.len()
    }
}

/// Where a message is in a buffer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// Octets of the tag and the length.
    pub header: usize,
    /// Octets of the whole message.
    pub length: usize,
}

impl Frame {
    /// The first message of `octets`, if all of it is there.
    pub fn first(octets: &[u8]) -> Option<Self> {
        let first = *octets.get(1)?;
        let (header, content) = if first < 0x80 {
            (2, usize::from(first))
        } else {
            let count = usize::from(first & 0x7f);
            let length = octets.get(2..2 + count)?;
            (
                2 + count,
                length
                    .iter()
                    .fold(0, |length, octet| length << 8 | usize::from(*octet)),
            )
        };
        let length = header + content;
        (length <= octets.len()).then_some(Self { header, length })
    }
}

/// What the generator wants to know about a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// The message id.
    pub id: usize,
    /// The operation's tag.
    pub tag: u8,
    /// The result code, if the operation is a result.
    pub code: Option<u8>,
}

impl Answer {
    /// Reads the head of a message.
    pub fn read(message: &[u8], frame: Frame) -> Option<Self> {
        let width = usize::from(*message.get(frame.header + 1)?);
        let id_at = frame.header + 2;
        let id = message
            .get(id_at..id_at + width)?
            .iter()
            .fold(0, |id, octet| id << 8 | usize::from(*octet));
        let at = id_at + width;
        let tag = *message.get(at)?;
        let code = if tag == SEARCH_ENTRY {
            None
        } else {
            let length = *message.get(at + 1)?;
            let content = at
                + if length < 0x80 {
                    2
                } else {
                    2 + usize::from(length & 0x7f)
                };
            message.get(content + 2).copied()
        };
        Some(Self { id, tag, code })
    }
}

/// A search for `filter`.
pub fn search(base: &str, scope: LdapSearchScope, filter: LdapFilter, attributes: &[&str]) -> LdapOp {
    LdapOp::SearchRequest(LdapSearchRequest {
        base: base.to_owned(),
        scope,
        aliases: LdapDerefAliases::Never,
        sizelimit: 0,
        timelimit: 0,
        typesonly: false,
        filter,
        attrs: attributes
            .iter()
            .map(|attribute| (*attribute).to_owned())
            .collect(),
    })
}

/// A simple bind.
pub fn bind(dn: &str, password: &str) -> LdapOp {
    LdapOp::BindRequest(LdapBindRequest {
        dn: dn.to_owned(),
        cred: LdapBindCred::Simple(password.to_owned()),
        version: 3,
    })
}

/// Decodes one whole message.
///
/// # Errors
/// When it is malformed.
pub fn decode(message: &[u8]) -> std::io::Result<LdapMsg> {
    let mut octets = BytesMut::from(message);
    LdapCodec::new(Some(1 << 30), Some(64))
        .decode(&mut octets)?
        .ok_or_else(|| std::io::Error::other("cut short"))
}
