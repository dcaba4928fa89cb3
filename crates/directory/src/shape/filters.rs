//! The filters of templates besides those of Jinja.
//!
//! Must not know entries.

use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind};
use unicode_normalization::UnicodeNormalization as _;
use uuid::Uuid;

use crate::values::base64;

/// What base64 stands for, in either alphabet of RFC 4648, whatever it is wrapped in. Padding ends it.
fn base64(text: &str) -> Result<Value, Error> {
    let letters = text.bytes().take_while(|letter| *letter != b'=');
    let standard = letters.map(|letter| match letter {
        b'-' => b'+',
        b'_' => b'/',
        letter => letter,
    });
    let octets = base64::decode(standard);
    let wrong = || Error::new(ErrorKind::InvalidOperation, "it is not base64");
    octets.map(Value::from_bytes).ok_or_else(wrong)
}

fn uuid(text: &str) -> Result<Uuid, Error> {
    Uuid::try_parse(text).map_err(|_| Error::new(ErrorKind::InvalidOperation, "it is not a UUID"))
}

/// A UUID as Active Directory stores it in `objectGUID`: the first three fields begin with their last
/// octet.
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

/// The filters that make octets.
pub(super) const OF_OCTETS: [&str; 3] = ["base64", "guid", "octets"];

/// A filter that turns a missing value into nothing: no value stays no value, however it would be read.
fn of_text<T: Into<Value>>(
    filter: impl Fn(&str) -> Result<T, Error> + Send + Sync + 'static,
) -> impl Fn(Value) -> Result<Value, Error> + Send + Sync + 'static {
    move |value: Value| {
        if value.is_undefined() || value.is_none() {
            return Ok(Value::UNDEFINED);
        }
        let wrong = || Error::new(ErrorKind::InvalidOperation, "it is no text");
        filter(value.as_str().ok_or_else(wrong)?).map(Into::into)
    }
}

pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_filter("base64", of_text(base64));
    environment.add_filter("guid", of_text(guid));
    environment.add_filter("octets", of_text(octets));
    environment.add_filter("ascii", of_text(|text: &str| Ok(ascii(text))));
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
            ("-/8", b"\xfb\xff"),
            ("\tZm8\r\n=\r\n", b"fo"),
            ("Zm8==", b"fo"),
            ("====", b""),
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
