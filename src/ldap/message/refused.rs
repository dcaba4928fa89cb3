//! The requests that are always refused, checked for their form by `ldap3_proto`: modify, add, delete and rename.
//!
//! Knows where that library has to be helped: it drops the rest of a constructed element that has a broken part, and knows no
//! elements beyond those of RFC 4511. Must not know why they are refused.

use bytes::BytesMut;
use ldap3_proto::LdapCodec;
use ldap3_proto::proto::LdapOp;
use tokio_util::codec::Decoder;

use super::{Operation, OperationError};
use crate::ldap::ber::{self, BerError, Element, Reader};
use crate::ldap::steps;

/// How deep the BER may nest; a modify has the most levels, six.
const MAX_DEPTH: usize = 16;

/// The tags that these requests have in a SEQUENCE; the last is that of a rename's `newSuperior`.
const KNOWN: &[u8] = &[
    ber::OCTET_STRING,
    ber::ENUMERATED,
    ber::BOOLEAN,
    ber::SEQUENCE,
    ber::SET,
    0x80,
];
/// The level of the lists of changes and of attributes, counted from the request itself.
const LISTS: usize = 1;

/// Frames the operation alone, without its controls, for the library.
pub(super) fn decode(element: Element<'_>) -> Result<Operation<'static>, OperationError> {
    let contents = known_elements(element.tag, element.contents, 0)?;
    // Framed and read.
    steps::add(contents.len() * 3);
    let mut frame = Vec::with_capacity(contents.len() + 16);
    ber::write_constructed(&mut frame, ber::SEQUENCE, |out| {
        ber::write_integer(out, ber::INTEGER, 1);
        ber::write_element(out, element.tag, &contents);
    });
    let mut codec = LdapCodec::new(Some(frame.len()), Some(MAX_DEPTH));
    let mut buffer = BytesMut::from(frame.as_slice());
    let message = codec
        .decode(&mut buffer)
        .ok()
        .flatten()
        .ok_or(OperationError::Grammar)?;
    Ok(match message.op {
        LdapOp::ModifyRequest(request) => Operation::Modify {
            of_password: request
                .changes
                .iter()
                .any(|change| names_password(&change.modification.atype)),
        },
        LdapOp::AddRequest(_) => Operation::Add,
        LdapOp::DelRequest(_) => Operation::Delete,
        LdapOp::ModifyDNRequest(_) => Operation::ModifyDn,
        _ => return Err(OperationError::Grammar),
    })
}

/// The contents of an element without the trailing elements of its SEQUENCEs that nobody knows. Everything inside must be
/// whole elements.
fn known_elements(tag: u8, contents: &[u8], level: usize) -> Result<Vec<u8>, BerError> {
    steps::add(contents.len());
    if tag & ber::CONSTRUCTED == 0 {
        return Ok(contents.to_vec());
    }
    if level >= MAX_DEPTH {
        return Err(BerError::TooDeep);
    }
    let of_one_kind = tag == ber::SET || level == LISTS;
    let mut out = Vec::with_capacity(contents.len());
    let mut inner = Reader::new(contents);
    while let Some(tag) = inner.peek() {
        if !of_one_kind && !KNOWN.contains(&tag) {
            inner.end_of_sequence(KNOWN)?;
            break;
        }
        let Element { tag, contents } = inner.element()?;
        let contents = known_elements(tag, contents, level + 1)?;
        ber::write_element(&mut out, tag, &contents);
    }
    Ok(out)
}

/// Whether an attribute description, options aside, is `userPassword` by its name or its number.
fn names_password(description: &str) -> bool {
    let attribute = description.split(';').next().unwrap_or_default();
    attribute.eq_ignore_ascii_case("userPassword") || attribute == "2.5.4.35"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_down_to_the_innermost_element_is_whole() {
        let known = |octets: &[u8], level| {
            let Element { tag, contents } = Reader::new(octets).element().unwrap();
            known_elements(tag, contents, level)
        };
        let (deepest, above) = (MAX_DEPTH - 1, MAX_DEPTH - 2);
        assert_eq!(known(&[0x30, 4, 0x31, 2, 4, 0], above), Ok(vec![0x31, 2, 4, 0]));
        assert_eq!(known(&[0x30, 4, 0x31, 2, 4, 0], deepest), Err(BerError::TooDeep));
        assert_eq!(known(&[0x30, 4, 0x31, 2, 4, 1], above), Err(BerError::Truncated));
        assert_eq!(
            known(&[0x30, 5, 0x31, 2, 4, 0, 0], above),
            Err(BerError::TrailingData)
        );
        assert_eq!(known(&[4, 1, 9], MAX_DEPTH), Ok(vec![9]));
    }
}
