//! Photos: authentik keeps custom attributes as JSON, which has no octets, so an image is there as base64 or as a data URL.
//!
//! Knows which attributes hold images and how images begin. A value that does not decode to an image stays text.

use crate::values::base64;

/// The attributes clients read images from: RFC 2798 section 2.6, and Active Directory's.
const ATTRIBUTES: [&str; 2] = ["jpegPhoto", "thumbnailPhoto"];

/// How JPEG, PNG, GIF and WebP files begin.
const BEGINNINGS: [&[u8]; 4] = [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"RIFF"];

/// Whether values of this attribute are images.
pub(crate) fn is_photo(attribute: &str) -> bool {
    ATTRIBUTES
        .iter()
        .any(|known| known.eq_ignore_ascii_case(attribute))
}

/// The octets of an image given as base64 (RFC 4648 section 4) or as a data URL (RFC 2397) of it; anything else as it is.
pub(crate) fn octets(value: Vec<u8>) -> Vec<u8> {
    let text = value.trim_ascii();
    let encoded = match text.strip_prefix(b"data:") {
        Some(url) => match url.iter().position(|&octet| octet == b',') {
            Some(comma) if url.get(..comma).is_some_and(|kind| kind.ends_with(b";base64")) => {
                url.get(comma + 1..).unwrap_or_default()
            }
            _ => return value,
        },
        None => text,
    };
    let encoded = encoded.trim_ascii();
    // Padding is often left out, and it says nothing.
    let end = encoded
        .iter()
        .rposition(|&letter| letter != b'=')
        .map_or(0, |last| last + 1);
    match base64::decode(encoded.iter().copied().take(end)) {
        Some(image) if BEGINNINGS.iter().any(|beginning| image.starts_with(beginning)) => image,
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_become_octets() {
        for text in [
            "/9j/4AA=",
            "/9j/4AA",
            " /9j/\n4AA=\n",
            "/9j/\r\n\t4 AA\r\n=\r\n",
            "/9j/4AA====",
            "data:image/jpeg;base64,/9j/4AA=",
            "data:;base64,/9j/4AA=",
        ] {
            assert_eq!(octets(text.into()), b"\xff\xd8\xff\xe0\x00", "{text}");
        }
        assert_eq!(
            octets(b"iVBORw0KGgo=".to_vec()),
            b"\x89PNG\r\n\x1a\n",
            "eight octets of PNG"
        );
    }

    #[test]
    fn everything_else_stays() {
        for text in [
            "",
            "=",
            "data:",
            "data:image/jpeg,/9j/4AA=",
            "data:image/jpeg;base64",
            "https://example.com/alice.jpg",
            // Not an image.
            "aGVsbG8gd29ybGQ=",
            // Not base64: a wrong letter, a lone one, bits that carry nothing, padding in the middle.
            "/9j/4AA-",
            "/9j/4AAAA",
            "/9j/4AB=",
            "/9j/=4AA=",
        ] {
            assert_eq!(octets(text.into()), text.as_bytes(), "{text}");
        }
        assert!(is_photo("JPEGPhoto") && is_photo("thumbnailphoto") && !is_photo("photo"));
    }
}
