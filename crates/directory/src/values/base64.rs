//! Base64 as people paste it: broken into lines, and without what fills it up.
//!
//! Must not know what it stands for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// What letters of the alphabet of RFC 4648 section 4 stand for, white space between them left out; they come without padding.
/// `None` if there is anything else among them, a last letter that makes no octet, or bits that are left over.
pub(crate) fn decode(letters: impl Iterator<Item = u8>) -> Option<Vec<u8>> {
    let letters: Vec<u8> = letters.filter(|letter| !letter.is_ascii_whitespace()).collect();
    STANDARD_NO_PAD.decode(letters).ok()
}
