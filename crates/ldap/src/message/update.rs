//! The requests that change entries: modify, add, delete and rename. Each is kept as BER, its elements complete: a modify for
//! [`ModifyRequest`](super::ModifyRequest), the others, which are never carried out, for an LDAP library to read. They may
//! contain a password, which is wiped.
//!
//! Knows where such a library needs help: `ldap3_proto` drops the rest of a constructed element that has a broken part, and
//! has no place for elements beyond those of RFC 4511. Must not know the grammar of the requests.

use zeroize::Zeroizing;

use super::error::OperationError;
use super::kind::OperationKind;
use crate::ber::{self, BerError, Element, Reader};
use crate::steps;

/// How deep the BER may nest; a modify has the most levels, six.
pub const MAX_DEPTH: usize = 16;

/// The tags that these requests have in a SEQUENCE; the last is that of a rename's `newSuperior`.
const KNOWN: &[u8] = &[
    ber::OCTET_STRING,
    ber::ENUMERATED,
    ber::BOOLEAN,
    ber::SEQUENCE,
    ber::SET,
    0x80,
];
/// Octets of the longest header of an element.
const MAX_HEADER: usize = 16;
/// The level of the lists of changes and of attributes, counted from the request itself.
const LISTS: usize = 1;

/// A request to change entries. Its elements are complete; whether they follow the grammar is not checked yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Update {
    kind: OperationKind,
    message: Zeroizing<Vec<u8>>,
}

impl Update {
    /// Frames the operation alone, without its controls.
    pub(super) fn read(kind: OperationKind, element: Element<'_>) -> Result<Self, OperationError> {
        let contents = known_elements(element.tag, element.contents, 0)?;
        // Framed here, and then read twice by whoever knows the grammar.
        steps::add(contents.len() * 5);
        // Room for everything at once, because a growing buffer leaves copies behind.
        let mut message = Zeroizing::new(Vec::with_capacity(contents.len() + 2 * MAX_HEADER));
        ber::write_constructed(&mut message, ber::SEQUENCE, |out| {
            ber::write_integer(out, ber::INTEGER, 1);
            ber::write_element(out, element.tag, &contents);
        });
        Ok(Self { kind, message })
    }

    /// Which of the four it is.
    #[must_use]
    pub fn kind(&self) -> OperationKind {
        self.kind
    }

    /// The request as a separate LDAPMessage with the id 1, without controls and without what RFC 4511 section 4 tells servers to
    /// ignore: unknown elements at the end of a SEQUENCE. May hold a password.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        &self.message
    }
}

impl std::fmt::Debug for Update {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Update {{ kind: {:?} }}", self.kind)
    }
}

/// The contents of an element, without unknown elements at the end of its SEQUENCEs. Everything inside must consist of
/// complete elements.
fn known_elements(tag: u8, contents: &[u8], level: usize) -> Result<Zeroizing<Vec<u8>>, BerError> {
    steps::add(contents.len());
    if tag & ber::CONSTRUCTED == 0 {
        return Ok(Zeroizing::new(contents.to_vec()));
    }
    if level >= MAX_DEPTH {
        return Err(BerError::TooDeep);
    }
    let of_one_kind = tag == ber::SET || level == LISTS;
    let mut out = Zeroizing::new(Vec::with_capacity(contents.len()));
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
        assert_eq!(
            known(&[0x30, 4, 0x31, 2, 4, 0], above),
            Ok(Zeroizing::new(vec![0x31, 2, 4, 0]))
        );
        assert_eq!(known(&[0x30, 4, 0x31, 2, 4, 0], deepest), Err(BerError::TooDeep));
        assert_eq!(known(&[0x30, 4, 0x31, 2, 4, 1], above), Err(BerError::Truncated));
        assert_eq!(
            known(&[0x30, 5, 0x31, 2, 4, 0, 0], above),
            Err(BerError::TrailingData)
        );
        assert_eq!(known(&[4, 1, 9], MAX_DEPTH), Ok(Zeroizing::new(vec![9])));
    }
}
