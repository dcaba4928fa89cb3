//! Appends elements to a buffer, each length in its shortest form.
//!
//! Must not know whether what it appends follows the grammar of a message.

use super::tag::BOOLEAN;

/// Appends a whole element.
#[inline]
pub fn write_element(out: &mut Vec<u8>, tag: u8, contents: &[u8]) {
    write_header(out, tag, contents.len());
    out.extend_from_slice(contents);
}

/// Appends an INTEGER or ENUMERATED (by `tag`) in its shortest form.
#[inline]
pub fn write_integer(out: &mut Vec<u8>, tag: u8, number: i64) {
    let octets = number.to_be_bytes();
    // Leading octets that only repeat the sign are left out.
    let signs = (number ^ (number >> 63)).leading_zeros();
    let skip = (signs as usize - 1) / 8;
    write_element(out, tag, octets.get(skip..).unwrap_or(&octets));
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

/// Appends a BOOLEAN in the form that RFC 4511 section 5.1 requires (true is 0xff).
#[inline]
pub fn write_boolean(out: &mut Vec<u8>, value: bool) {
    write_element(out, BOOLEAN, &[if value { 0xff } else { 0 }]);
}

/// Appends an element whose contents are what `write` appends.
pub fn write_constructed(out: &mut Vec<u8>, tag: u8, write: impl FnOnce(&mut Vec<u8>)) {
    write_constructed_about(out, tag, 0, write);
}

/// Appends an element whose contents are what `write` appends, about `expected` octets. A good guess saves moving them once
/// their length is known.
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

/// Leaves room for a header.
#[inline]
pub(crate) fn reserve_header(out: &mut Vec<u8>, octets: usize) {
    match octets {
        2 => out.extend_from_slice(&[0; 2]),
        4 => out.extend_from_slice(&[0; 4]),
        _ => out.resize(out.len() + octets, 0),
    }
}

/// Replaces the `reserved` octets at `start` with `octets`; what follows is moved if there are more or fewer of them.
#[inline]
pub fn replace(out: &mut Vec<u8>, start: usize, reserved: usize, octets: &[u8]) {
    if octets.len() != reserved {
        move_tail(out, start + reserved, start + octets.len());
    }
    let Some(slot) = out.get_mut(start..start + octets.len()) else {
        return;
    };
    // The usual header is copied without a call.
    match (<&mut [u8; 4]>::try_from(&mut *slot), <&[u8; 4]>::try_from(octets)) {
        (Ok(slot), Ok(header)) => *slot = *header,
        _ => slot.copy_from_slice(octets),
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

/// Appends a tag and the length of the contents that will follow.
#[inline]
pub fn write_header(out: &mut Vec<u8>, tag: u8, length: usize) {
    if length < 0x80 {
        out.extend_from_slice(&[tag, low_octet(length)]);
    } else {
        out.extend_from_slice(Header::new(tag, length).as_bytes());
    }
}

/// A tag and a length, encoded.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    octets: [u8; MAX_HEADER],
    size: usize,
}

/// Octets of the longest header: the tag, the first octet of the length, and eight more.
const MAX_HEADER: usize = 10;

impl Header {
    /// The header of an element with `length` octets of contents.
    #[inline]
    #[must_use]
    pub fn new(tag: u8, length: usize) -> Self {
        let mut octets = [0; MAX_HEADER];
        octets[0] = tag;
        if length < 0x80 {
            octets[1] = low_octet(length);
            return Self { octets, size: 2 };
        }
        let count = length_size(length) - 1;
        octets[1] = 0x80 | low_octet(count);
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

    /// Copies the header to `position` of `octets` and returns the position after it; there must be room for the longest header.
    #[inline]
    pub(crate) fn put(&self, octets: &mut [u8], position: usize) -> usize {
        if let Some(room) = octets.get_mut(position..position + MAX_HEADER) {
            room.copy_from_slice(&self.octets);
        }
        position + self.size
    }

    /// The encoded header.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.size).unwrap_or(&self.octets)
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
        0x100_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

/// How many octets an element with `length` octets of contents takes.
#[inline]
#[must_use]
pub fn element_size(length: usize) -> usize {
    1 + length_size(length) + length
}

/// The last octet of a number; all of it if it is below 256.
#[inline]
pub(crate) fn low_octet(number: usize) -> u8 {
    let [low, ..] = number.to_le_bytes();
    low
}
