//! The filters of templates beside those of Jinja.
//!
//! Must not know entries.

use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind};
use unicode_normalization::UnicodeNormalization as _;
use uuid::Uuid;

/// What base64 stands for, whatever it is wrapped in.
fn base64(text: &str) -> Result<Value, Error> {
    let wrong = || Error::new(ErrorKind::InvalidOperation, "it is not base64");
    let (mut octets, mut bits, mut held) = (Vec::with_capacity(text.len() / 4 * 3), 0u32, 0u32);
    let digits = text.bytes().filter(|octet| !octet.is_ascii_whitespace());
    for digit in digits.take_while(|octet| *octet != b'=') {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return Err(wrong()),
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            octets.extend(u8::try_from(bits >> held & 0xff));
            bits &= (1 << held) - 1;
        }
    }
    // A single digit is no octet, and what is left over of the last one must be nothing.
    if held >= 6 || bits != 0 {
        return Err(wrong());
    }
    Ok(Value::from_bytes(octets))
}

fn uuid(text: &str) -> Result<Uuid, Error> {
    Uuid::try_parse(text).map_err(|_| Error::new(ErrorKind::InvalidOperation, "it is not a UUID"))
}

/// A UUID as Active Directory keeps it in `objectGUID`: the first three fields begin with their last octet.
fn guid(text: &str) -> Result<Value, Error> {
    Ok(Value::from_bytes(uuid(text)?.to_bytes_le().to_vec()))
}

/// The sixteen octets of a UUID in the order in which they are written.
fn octets(text: &str) -> Result<Value, Error> {
    Ok(Value::from_bytes(uuid(text)?.into_bytes().to_vec()))
}

/// Text without what is not ASCII: letters without their accents, nothing for the rest.
fn ascii(text: &str) -> String {
    let letters = text.chars().flat_map(|character| {
        let like = match character {
            'ß' => "ss",
            'ẞ' => "SS",
            'æ' => "ae",
            'Æ' => "AE",
            'ø' => "o",
            'Ø' => "O",
            'œ' => "oe",
            'Œ' => "OE",
            'ł' => "l",
            'Ł' => "L",
            'đ' => "d",
            'Đ' => "D",
            _ => "",
        };
        like.chars().chain(like.is_empty().then_some(character))
    });
    letters.nfkd().filter(char::is_ascii).collect()
}

pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_filter("base64", |text: &str| base64(text));
    environment.add_filter("guid", |text: &str| guid(text));
    environment.add_filter("octets", |text: &str| octets(text));
    environment.add_filter("ascii", |text: &str| ascii(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_in_all_its_spellings_and_nothing_else_is() {
        let read = |text: &str| base64(text).ok().map(|value| value.as_bytes().unwrap().to_vec());
        for (text, octets) in [
            ("", &b""[..]),
            ("Zg==", b"f"),
            ("Zg", b"f"),
            ("Zm8=", b"fo"),
            ("Zm9v", b"foo"),
            (" Zm9v\nYmFy ", b"foobar"),
            ("+/8=", b"\xfb\xff"),
            ("-_8", b"\xfb\xff"),
        ] {
            assert_eq!(read(text).as_deref(), Some(octets), "{text}");
        }
        for text in ["Z", "Zm9vZ", "Zh==", "Zm9!", "\u{e9}\u{e9}"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn letters_lose_their_accents_and_what_is_no_letter_goes() {
        for (text, plain) in [
            ("Zoë Müller-Groß", "Zoe Muller-Gross"),
            ("Łukasz Ærø", "Lukasz AEro"),
            ("ﬁn, Ⅷ", "fin, VIII"),
            ("ключ 1", " 1"),
        ] {
            assert_eq!(ascii(text), plain);
        }
    }

    #[test]
    fn the_octets_of_a_uuid_come_in_both_orders() {
        let text = "00112233-4455-6677-8899-aabbccddeeff";
        let of = |value: Result<Value, Error>| value.unwrap().as_bytes().unwrap().to_vec();
        assert_eq!(of(octets(text))[..4], [0x00, 0x11, 0x22, 0x33]);
        assert_eq!(
            of(guid(text))[..8],
            [0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66]
        );
        assert_eq!(of(guid(text))[8..], of(octets(text))[8..]);
        assert!(guid("no").is_err());
    }
}
