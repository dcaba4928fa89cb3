//! The string form of a value within a name (RFC 4514 section 2.4).
//!
//! Must not know what a name is made of.

use crate::steps;

/// Escapes a value for use in a name (RFC 4514 section 2.4).
#[must_use]
pub fn escape(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    escape_into(&mut out, value);
    out
}

/// Appends a value escaped for use in a name (RFC 4514 section 2.4). Octets that are not UTF-8, and control characters,
/// are written as hexadecimal pairs so that the result is always printable UTF-8.
pub fn escape_into(out: &mut Vec<u8>, value: &[u8]) {
    steps::add(value.len());
    let last = value.len().saturating_sub(1);
    let utf8 = std::str::from_utf8(value).is_ok();
    for (index, &octet) in value.iter().enumerate() {
        let outer = index == 0 || index == last;
        match octet {
            b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' => out.extend_from_slice(&[b'\\', octet]),
            b' ' if outer => out.extend_from_slice(b"\\ "),
            b'#' if index == 0 => out.extend_from_slice(b"\\#"),
            0..=0x1f | 0x7f => hex_pair(out, octet),
            0x80.. if !utf8 => hex_pair(out, octet),
            _ => out.push(octet),
        }
    }
}

fn hex_pair(out: &mut Vec<u8>, octet: u8) {
    let digit = |value: u8| {
        if value < 10 {
            b'0' + value
        } else {
            b'a' + (value - 10)
        }
    };
    out.extend_from_slice(&[b'\\', digit(octet >> 4), digit(octet & 15)]);
}
