//! Reads elements from octets, without copying them.
//!
//! Must not allocate: what a length claims may not be there.

use thiserror::Error;

use super::tag::{BOOLEAN, CONSTRUCTED, ENUMERATED, INTEGER, OCTET_STRING};
use crate::steps;

/// The first octet of a tag that takes several octets has these bits.
const LONG_TAG: u8 = 0x1f;
/// The most octets of a tag number after that first one: no protocol has tag numbers beyond 28 bits.
const MAX_TAG_OCTETS: usize = 4;
/// Ends an element of indefinite length, and is not an element itself.
const END_OF_CONTENTS: u8 = 0;
/// More length octets than this are refused: eight hold any length a 64-bit machine could serve.
const MAX_LENGTH_OCTETS: usize = 8;
/// `maxInt` of RFC 4511 section 4.1.1.
pub const MAX_INT: u32 = 0x7fff_ffff;

/// What is wrong with a piece of BER.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BerError {
    /// An element ends before its length says.
    #[error("an element is longer than what contains it")]
    Truncated,
    /// RFC 4511 section 5.1 allows only the definite form.
    #[error("indefinite lengths are not allowed")]
    IndefiniteLength,
    /// The length has too many octets.
    #[error("a length has too many octets")]
    LengthTooLong,
    /// Tag numbers above 30 do not occur in LDAP as it is.
    #[error("multi-octet tags are not allowed")]
    MultiOctetTag,
    /// Another element was expected here.
    #[error("expected tag 0x{expected:02x}, found 0x{found:02x}")]
    UnexpectedTag {
        /// The tag the grammar asks for.
        expected: u8,
        /// The tag that is there.
        found: u8,
    },
    /// An INTEGER or ENUMERATED without octets or outside its range.
    #[error("a number is malformed or out of range")]
    BadNumber,
    /// A BOOLEAN that is not one octet.
    #[error("a boolean is not one octet")]
    BadBoolean,
    /// Constructed elements are nested deeper than in any request.
    #[error("elements are nested too deep")]
    TooDeep,
    /// Octets are left over after the last element of a sequence.
    #[error("unexpected data after the last element")]
    TrailingData,
}

/// One element: its tag and its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// The identifier octet.
    pub tag: u8,
    /// The contents octets.
    pub contents: &'a [u8],
}

/// Reads elements one after the other from a slice, borrowing from it.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads the elements in `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// True when every element was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The tag of the next element, without reading it.
    #[must_use]
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Reads the next element whatever its tag.
    pub fn element(&mut self) -> Result<Element<'a>, BerError> {
        let (&tag, rest) = self.rest.split_first().ok_or(BerError::Truncated)?;
        if tag & LONG_TAG == LONG_TAG {
            return Err(BerError::MultiOctetTag);
        }
        let contents = self.contents(rest)?;
        Ok(Element { tag, contents })
    }

    /// Reads the length and the contents of the element whose tag ends before `rest`.
    fn contents(&mut self, rest: &'a [u8]) -> Result<&'a [u8], BerError> {
        steps::add(1);
        let (length, rest) = read_length(rest)?.ok_or(BerError::Truncated)?;
        let length = usize::try_from(length).map_err(|_| BerError::Truncated)?;
        let (contents, rest) = rest.split_at_checked(length).ok_or(BerError::Truncated)?;
        self.rest = rest;
        Ok(contents)
    }

    /// Reads the next element, which must have the tag `expected`, and returns its contents.
    pub fn expect(&mut self, expected: u8) -> Result<&'a [u8], BerError> {
        match self.peek() {
            None => Err(BerError::Truncated),
            Some(found) if found != expected => Err(BerError::UnexpectedTag { expected, found }),
            Some(_) => Ok(self.element()?.contents),
        }
    }

    /// Reads the next element if it has the tag `tag`.
    pub fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, BerError> {
        if self.peek() == Some(tag) {
            self.expect(tag).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Reads a constructed element and returns a reader of its contents.
    pub fn constructed(&mut self, tag: u8) -> Result<Reader<'a>, BerError> {
        self.expect(tag).map(Reader::new)
    }

    /// Reads an INTEGER.
    pub fn integer(&mut self) -> Result<i64, BerError> {
        parse_integer(self.expect(INTEGER)?)
    }

    /// Reads an ENUMERATED.
    pub fn enumerated(&mut self) -> Result<i64, BerError> {
        parse_integer(self.expect(ENUMERATED)?)
    }

    /// Reads a BOOLEAN; any octet but zero is true (X.690 8.2.2, as RFC 4511 clients send 0x01 too).
    pub fn boolean(&mut self) -> Result<bool, BerError> {
        parse_boolean(self.expect(BOOLEAN)?)
    }

    /// Reads an OCTET STRING.
    pub fn octet_string(&mut self) -> Result<&'a [u8], BerError> {
        self.expect(OCTET_STRING)
    }

    /// Reads an INTEGER that must be in `0..=2^31-1` (`INTEGER (0 .. maxInt)` of RFC 4511).
    pub fn max_int(&mut self) -> Result<u32, BerError> {
        parse_max_int(self.expect(INTEGER)?)
    }

    /// Reads what is left of a SEQUENCE whose own elements have the tags `known`. Whole elements with other tags are
    /// ignored: RFC 4511 section 4 requires that, so that the protocol can grow.
    ///
    /// # Errors
    /// When an element is broken, or is a known one and therefore out of place.
    #[inline]
    pub fn end_of_sequence(&self, known: &[u8]) -> Result<(), BerError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Reader::new(self.rest).ignore(known)
    }

    #[cold]
    #[inline(never)]
    fn ignore(mut self, known: &[u8]) -> Result<(), BerError> {
        while let Some((&tag, rest)) = self.rest.split_first() {
            // A known element that is constructed where it should be primitive, or the other way round, is not an extension
            // either.
            if known.iter().any(|known| (known ^ tag) & !CONSTRUCTED == 0) || tag == END_OF_CONTENTS {
                return Err(BerError::TrailingData);
            }
            let rest = if tag & LONG_TAG == LONG_TAG {
                after_long_tag(rest)?
            } else {
                rest
            };
            self.contents(rest)?;
        }
        Ok(())
    }

    /// Fails if anything is left.
    pub fn end(&self) -> Result<(), BerError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(BerError::TrailingData)
        }
    }
}

/// What follows the octets of a tag number that does not fit into the first octet (X.690 section 8.1.2.4.2).
fn after_long_tag(octets: &[u8]) -> Result<&[u8], BerError> {
    let last = octets
        .iter()
        .take(MAX_TAG_OCTETS)
        .position(|octet| octet & 0x80 == 0)
        .ok_or(BerError::MultiOctetTag)?;
    match (octets.first(), octets.split_at_checked(last + 1)) {
        (Some(0x80), _) | (_, None) => Err(BerError::MultiOctetTag),
        (_, Some((_, rest))) => Ok(rest),
    }
}

/// Reads the length octets at the start of `bytes`. `Ok(None)` means that more octets are needed.
#[inline]
pub(crate) fn read_length(bytes: &[u8]) -> Result<Option<(u64, &[u8])>, BerError> {
    let Some((&first, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    if first < 0x80 {
        return Ok(Some((u64::from(first), rest)));
    }
    if first == 0x80 {
        return Err(BerError::IndefiniteLength);
    }
    let count = usize::from(first & 0x7f);
    if count > MAX_LENGTH_OCTETS {
        return Err(BerError::LengthTooLong);
    }
    let Some((octets, rest)) = rest.split_at_checked(count) else {
        return Ok(None);
    };
    let length = octets
        .iter()
        .fold(0u64, |length, &octet| length << 8 | u64::from(octet));
    Ok(Some((length, rest)))
}

/// The value of the contents of an INTEGER or ENUMERATED.
pub fn parse_integer(contents: &[u8]) -> Result<i64, BerError> {
    if contents.is_empty() || contents.len() > 8 {
        return Err(BerError::BadNumber);
    }
    let negative = contents.first().is_some_and(|first| first & 0x80 != 0);
    let start = if negative { -1i64 } else { 0 };
    Ok(contents
        .iter()
        .fold(start, |number, &octet| number << 8 | i64::from(octet)))
}

/// The value of the contents of an INTEGER that must be in `0..=2^31-1`.
pub fn parse_max_int(contents: &[u8]) -> Result<u32, BerError> {
    match u32::try_from(parse_integer(contents)?) {
        Ok(number) if number <= MAX_INT => Ok(number),
        _ => Err(BerError::BadNumber),
    }
}

/// The value of the contents of a BOOLEAN.
pub fn parse_boolean(contents: &[u8]) -> Result<bool, BerError> {
    match contents {
        [octet] => Ok(*octet != 0),
        _ => Err(BerError::BadBoolean),
    }
}
