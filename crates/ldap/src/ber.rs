//! The subset of BER that LDAP uses (RFC 4511 section 5.1): definite lengths, single-octet tags.
//!
//! Knows tags, lengths and the primitive types. Must not know what any message means.

use thiserror::Error;

use super::steps;

/// Universal tag of BOOLEAN.
pub const BOOLEAN: u8 = 0x01;
/// Universal tag of INTEGER.
pub const INTEGER: u8 = 0x02;
/// Universal tag of OCTET STRING.
pub const OCTET_STRING: u8 = 0x04;
/// Universal tag of ENUMERATED.
pub const ENUMERATED: u8 = 0x0a;
/// Universal tag of a constructed SEQUENCE.
pub const SEQUENCE: u8 = 0x30;
/// Universal tag of a constructed SET.
pub const SET: u8 = 0x31;

/// The first octet of a tag that takes several has these bits.
const LONG_TAG: u8 = 0x1f;
/// Most octets of a tag number behind that one: 28 bits are more than any protocol numbers.
const MAX_TAG_OCTETS: usize = 4;
/// Ends an element of indefinite length; no element itself.
const END_OF_CONTENTS: u8 = 0;

/// More length octets than this are refused: eight hold any length a 64-bit machine could serve.
const MAX_LENGTH_OCTETS: usize = 8;

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
    /// Constructed elements are nested deeper than any request has them.
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

/// The bit of a tag that says that the contents are elements.
pub(super) const CONSTRUCTED: u8 = 0x20;

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

    /// Reads an INTEGER that must lie in `0..=2^31-1` (`INTEGER (0 .. maxInt)` of RFC 4511).
    pub fn max_int(&mut self) -> Result<u32, BerError> {
        parse_max_int(self.expect(INTEGER)?)
    }

    /// Reads what is left of a SEQUENCE whose own elements have the tags `known`. Whole elements with other tags are
    /// ignored: RFC 4511 section 4 asks for that, so that the protocol can grow.
    ///
    /// # Errors
    /// When an element is broken, or known and so out of its place.
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
            if known.contains(&tag) || tag == END_OF_CONTENTS {
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

/// What follows the octets of a tag number that does not fit into the first (X.690 section 8.1.2.4.2).
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

/// `maxInt` of RFC 4511 section 4.1.1.
pub const MAX_INT: u32 = 0x7fff_ffff;

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

/// The value of the contents of an INTEGER that must lie in `0..=2^31-1`.
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

/// How many octets the length `length` takes in the shortest definite form.
#[inline]
#[must_use]
pub fn length_size(length: usize) -> usize {
    match length {
        0..0x80 => 1,
        0x80..0x100 => 2,
        0x100..0x1_0000 => 3,
        0x1_0000..0x100_0000 => 4,
        0x100_0000..0x1_0000_0000 => 5,
        _ => 9,
    }
}

/// How many octets an element with `length` octets of contents takes.
#[inline]
#[must_use]
pub fn element_size(length: usize) -> usize {
    1 + length_size(length) + length
}

/// A tag and a length, encoded.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    octets: [u8; MAX_HEADER],
    size: usize,
}

/// Octets of the longest header: the tag, and a length of eight octets with its own.
pub(super) const MAX_HEADER: usize = 10;

impl Header {
    /// The header of an element with `length` octets of contents.
    #[inline]
    #[must_use]
    pub fn new(tag: u8, length: usize) -> Self {
        let mut octets = [0; MAX_HEADER];
        octets[0] = tag;
        if length < 0x80 {
            octets[1] = length as u8;
            return Self { octets, size: 2 };
        }
        let count = length_size(length) - 1;
        octets[1] = 0x80 | count as u8;
        let shifted = (length as u64) << (64 - 8 * count);
        octets[2..].copy_from_slice(&shifted.to_be_bytes());
        Self {
            octets,
            size: 2 + count,
        }
    }

    /// How many octets a header takes.
    #[inline]
    #[must_use]
    pub fn size(length: usize) -> usize {
        1 + length_size(length)
    }

    /// Copies the header to `place` of `octets` and gives the place behind it; there must be room for the longest.
    #[inline]
    pub(super) fn put(&self, octets: &mut [u8], place: usize) -> usize {
        if let Some(room) = octets.get_mut(place..place + MAX_HEADER) {
            room.copy_from_slice(&self.octets);
        }
        place + self.size
    }

    /// The encoded header.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.size).unwrap_or(&self.octets)
    }
}

/// Appends a tag and the length of the contents that will follow.
#[inline]
pub fn write_header(out: &mut Vec<u8>, tag: u8, length: usize) {
    if length < 0x80 {
        out.extend_from_slice(&[tag, length as u8]);
    } else {
        out.extend_from_slice(Header::new(tag, length).as_bytes());
    }
}

/// Appends a whole element.
#[inline]
pub fn write_element(out: &mut Vec<u8>, tag: u8, contents: &[u8]) {
    write_header(out, tag, contents.len());
    out.extend_from_slice(contents);
}

/// Appends an element whose contents are what `write` appends.
pub fn write_constructed(out: &mut Vec<u8>, tag: u8, write: impl FnOnce(&mut Vec<u8>)) {
    write_constructed_about(out, tag, 0, write);
}

/// Appends an element whose contents are what `write` appends, expected to be about `expected` octets: a good guess
/// saves moving them when their length is known.
#[inline]
pub fn write_constructed_about(
    out: &mut Vec<u8>,
    tag: u8,
    expected: usize,
    write: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    let reserved = Header::size(expected);
    reserve_header(out, reserved);
    write(out);
    let header = Header::new(tag, out.len() - start - reserved);
    replace(out, start, reserved, header.as_bytes());
}

/// Appends octets whose place a header will take.
#[inline]
pub(super) fn reserve_header(out: &mut Vec<u8>, octets: usize) {
    match octets {
        2 => out.extend_from_slice(&[0; 2]),
        4 => out.extend_from_slice(&[0; 4]),
        _ => out.resize(out.len() + octets, 0),
    }
}

/// Puts `octets` in the place of the `reserved` octets at `start`; what follows is moved if they are more or fewer.
#[inline]
pub fn replace(out: &mut Vec<u8>, start: usize, reserved: usize, octets: &[u8]) {
    if octets.len() != reserved {
        move_tail(out, start + reserved, start + octets.len());
    }
    if let Some(place) = out.get_mut(start..start + octets.len()) {
        place.copy_from_slice(octets);
    }
}

#[cold]
#[inline]
fn move_tail(out: &mut Vec<u8>, from: usize, to: usize) {
    let end = out.len();
    if to > from {
        out.resize(end + (to - from), 0);
    }
    out.copy_within(from..end, to);
    out.truncate(end - from + to);
}

/// Appends an INTEGER or ENUMERATED (by `tag`) in its shortest form.
#[inline]
pub fn write_integer(out: &mut Vec<u8>, tag: u8, number: i64) {
    let octets = number.to_be_bytes();
    let skip = (0..7)
        .take_while(|&index| {
            let (this, next) = (octets[index], octets[index + 1]);
            (this == 0 && next & 0x80 == 0) || (this == 0xff && next & 0x80 != 0)
        })
        .count();
    write_element(out, tag, &octets[skip..]);
}

/// How many octets [`write_integer`] takes for a message id.
#[inline]
#[must_use]
pub fn integer_size(number: u32) -> usize {
    match number {
        0..0x80 => 3,
        0x80..0x8000 => 4,
        0x8000..0x80_0000 => 5,
        0x80_0000..0x8000_0000 => 6,
        _ => 7,
    }
}

/// Appends a BOOLEAN in the form RFC 4511 section 5.1 asks for (true is 0xff).
#[inline]
pub fn write_boolean(out: &mut Vec<u8>, value: bool) {
    write_element(out, BOOLEAN, &[if value { 0xff } else { 0 }]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_exceeds_its_container_is_truncated() {
        assert_eq!(
            Reader::new(&[0x04, 0x05, b'a']).octet_string(),
            Err(BerError::Truncated)
        );
        assert_eq!(Reader::new(&[0x04]).element(), Err(BerError::Truncated));
        let claims = [0x04, 0x88, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(Reader::new(&claims).element(), Err(BerError::Truncated));
    }

    #[test]
    fn forms_that_ldap_forbids_are_refused() {
        assert_eq!(
            Reader::new(&[0x30, 0x80, 0, 0]).element(),
            Err(BerError::IndefiniteLength)
        );
        assert_eq!(
            Reader::new(&[0x1f, 0x81, 0x01, 0x00]).element(),
            Err(BerError::MultiOctetTag)
        );
        let nine = [0x30, 0x89, 1, 0, 0, 0, 0, 0, 0, 0, 5, 1, 2, 3, 4, 5];
        assert_eq!(Reader::new(&nine).element(), Err(BerError::LengthTooLong));
    }

    #[test]
    fn integers_round_trip_in_their_shortest_form() {
        for number in [
            0,
            1,
            127,
            128,
            255,
            256,
            32767,
            32768,
            -1,
            -128,
            -129,
            i64::MAX,
            i64::MIN,
        ] {
            let mut out = Vec::new();
            write_integer(&mut out, INTEGER, number);
            assert_eq!(Reader::new(&out).integer(), Ok(number));
            if let Ok(small) = u32::try_from(number) {
                assert_eq!(integer_size(small), out.len());
            }
        }
        assert_eq!(parse_integer(&[]), Err(BerError::BadNumber));
        assert_eq!(parse_integer(&[0; 9]), Err(BerError::BadNumber));
        assert_eq!(
            Reader::new(&[2, 5, 0, 0x80, 0, 0, 0]).max_int(),
            Err(BerError::BadNumber)
        );
        assert_eq!(Reader::new(&[2, 1, 0xff]).max_int(), Err(BerError::BadNumber));
    }

    #[test]
    fn headers_take_the_shortest_length_and_wrap_what_was_written() {
        for length in [0usize, 1, 127, 128, 255, 256, 65_535, 65_536, 20_000_000] {
            let contents = vec![7; length];
            let mut direct = vec![9];
            write_element(&mut direct, OCTET_STRING, &contents);
            assert_eq!(direct.len(), 1 + element_size(length));
            let mut wrapped = vec![9];
            write_constructed(&mut wrapped, OCTET_STRING, |out| out.extend_from_slice(&contents));
            assert_eq!(direct, wrapped);
            assert_eq!(Reader::new(&direct[1..]).octet_string(), Ok(&contents[..]));
        }
    }
}
