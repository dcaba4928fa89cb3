//! Photos: authentik keeps custom attributes as JSON, which has no octets, so an image is there as base64 or as a data URL.
//!
//! Knows which attributes hold images and how images begin. A value that does not decode to an image stays the text it is.

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
    match decode(encoded) {
        Some(image) if BEGINNINGS.iter().any(|beginning| image.starts_with(beginning)) => image,
        _ => value,
    }
}

/// Base64 with or without its padding, broken into lines or not.
fn decode(encoded: &[u8]) -> Option<Vec<u8>> {
    let encoded = encoded.trim_ascii();
    let end = encoded.iter().rposition(|&letter| letter != b'=')?;
    let unpadded = encoded.get(..=end)?;
    let mut octets = Vec::with_capacity(unpadded.len() / 4 * 3 + 2);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for &letter in unpadded.iter().filter(|letter| !letter.is_ascii_whitespace()) {
        let six = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            let [.., octet] = (bits >> count).to_be_bytes();
            octets.push(octet);
            bits &= (1 << count) - 1;
        }
    }
    // What is left of the last letter carries nothing.
    (count < 6 && bits == 0).then_some(octets)
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
