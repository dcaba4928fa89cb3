//! Distinguished names: parsing, writing and comparing (RFC 4514; values are the same if they differ in case only).
//!
//! Reads the RFC 4514 form with the liberties clients take (spaces around separators, quoted values, `OID.` prefixes,
//! unescaped specials that leave no doubt). Must not know which names exist.

use std::borrow::Cow;
use std::fmt;

use thiserror::Error;

use super::{steps, text};

mod unescaped;

pub use unescaped::Unescaped;

/// Most assertions of one RDN. More than two or three never mean anything, and comparing them sorts them.
pub const MAX_ASSERTIONS: usize = 64;

/// Why a string is not a distinguished name.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DnError {
    /// An RDN has no `=`.
    #[error("'=' is missing after an attribute type")]
    MissingEquals,
    /// The attribute type is empty or has characters that none has (RFC 4512 section 1.4).
    #[error("an attribute type is malformed")]
    BadAttribute,
    /// A backslash that escapes nothing.
    #[error("a backslash escapes nothing")]
    BadEscape,
    /// A `#` value that is not hexadecimal BER.
    #[error("a '#' value is not hexadecimal BER")]
    BadHex,
    /// A quoted value without its closing quote.
    #[error("a quoted value does not end")]
    UnclosedQuote,
    /// More than [`MAX_ASSERTIONS`].
    #[error("an RDN has more than {MAX_ASSERTIONS} assertions")]
    TooManyAssertions,
}

/// One `type=value` of an RDN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeValueAssertion {
    /// The attribute type as it was written.
    pub attribute: String,
    /// The value, unescaped.
    pub value: Vec<u8>,
}

/// One level of a name; usually a single assertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rdn {
    /// The assertions, in the order they were written; never empty.
    pub assertions: Vec<AttributeValueAssertion>,
}

/// A distinguished name, leaf first. The empty one names the rootDSE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dn {
    /// The levels, the entry's own first.
    pub rdns: Vec<Rdn>,
}

impl Dn {
    /// Reads a name from its string form.
    ///
    /// # Errors
    /// When the string is not a distinguished name.
    pub fn parse(string: &[u8]) -> Result<Self, DnError> {
        let mut parser = Parser { rest: string };
        let mut rdns = Vec::new();
        parser.skip_spaces();
        if parser.rest.is_empty() {
            return Ok(Self { rdns });
        }
        loop {
            rdns.push(parser.rdn()?);
            match parser.next() {
                None => return Ok(Self { rdns }),
                Some(_separator) => parser.skip_spaces(),
            }
        }
    }

    /// True for the name of the rootDSE.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rdns.is_empty()
    }

    /// The name one level up; `None` for the empty name.
    #[must_use]
    pub fn parent(&self) -> Option<Dn> {
        let (_, rest) = self.rdns.split_first()?;
        Some(Dn { rdns: rest.to_vec() })
    }

    /// The form in which two names are the same octets exactly if they name the same entry: attribute types by
    /// their short names in lower case, values in lower case and escaped, the assertions of an RDN sorted, no spaces around
    /// separators. It is itself a valid string form.
    #[must_use]
    pub fn normal_form(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (index, rdn) in self.rdns.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            rdn.write_normal_form(&mut out);
        }
        out
    }

    /// The normal forms of the last `most` levels, in the order of the name. A base DN that this name is at or below is
    /// the end of them.
    #[must_use]
    pub fn normal_rdns(&self, most: usize) -> Vec<Vec<u8>> {
        let skipped = self.rdns.len().saturating_sub(most);
        self.rdns.iter().skip(skipped).map(Rdn::normal_form).collect()
    }

    /// The levels of this name below `base`, leaf first; `None` if it is neither `base` nor below it.
    #[must_use]
    pub fn below<'a>(&'a self, base: &Dn) -> Option<&'a [Rdn]> {
        let own = self.rdns.len().checked_sub(base.rdns.len())?;
        let (levels, suffix) = self.rdns.split_at_checked(own)?;
        suffix
            .iter()
            .zip(&base.rdns)
            .all(|(mine, theirs)| mine.matches(theirs))
            .then_some(levels)
    }
}

impl fmt::Display for Dn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, rdn) in self.rdns.iter().enumerate() {
            if index > 0 {
                formatter.write_str(",")?;
            }
            for (index, assertion) in rdn.assertions.iter().enumerate() {
                if index > 0 {
                    formatter.write_str("+")?;
                }
                let value = escape(&assertion.value);
                write!(
                    formatter,
                    "{}={}",
                    assertion.attribute,
                    String::from_utf8_lossy(&value)
                )?;
            }
        }
        Ok(())
    }
}

impl Rdn {
    /// Reads one RDN that is all there is, but for spaces around it.
    ///
    /// # Errors
    /// When the string is not an RDN.
    pub(crate) fn parse(string: &[u8]) -> Result<Self, DnError> {
        let mut parser = Parser { rest: string };
        parser.skip_spaces();
        let rdn = parser.rdn()?;
        match parser.next() {
            None => Ok(rdn),
            Some(_separator) => Err(DnError::BadAttribute),
        }
    }

    /// The form in which two RDNs are the same octets exactly if they match; see [`Dn::normal_form`].
    #[must_use]
    pub fn normal_form(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_normal_form(&mut out);
        out
    }

    /// True if both RDNs have equal normal forms.
    #[must_use]
    pub fn matches(&self, other: &Rdn) -> bool {
        if let ([mine], [theirs]) = (self.assertions.as_slice(), other.assertions.as_slice()) {
            return short_name(&mine.attribute) == short_name(&theirs.attribute)
                && text::fold_case(&mine.value) == text::fold_case(&theirs.value);
        }
        let (mut mine, mut theirs) = (Vec::new(), Vec::new());
        self.write_normal_form(&mut mine);
        other.write_normal_form(&mut theirs);
        mine == theirs
    }

    /// The value of the RDN if it is a single assertion of `attribute` (a short name in lower case).
    #[must_use]
    pub fn value_of(&self, attribute: &str) -> Option<&[u8]> {
        match self.assertions.as_slice() {
            [assertion] if short_name(&assertion.attribute) == attribute => Some(&assertion.value),
            _ => None,
        }
    }

    fn write_normal_form(&self, out: &mut Vec<u8>) {
        let mut parts: Vec<Vec<u8>> = self
            .assertions
            .iter()
            .map(AttributeValueAssertion::normal_form)
            .collect();
        parts.sort_unstable();
        parts.dedup();
        out.extend_from_slice(&parts.join(&b'+'));
    }
}

impl AttributeValueAssertion {
    fn normal_form(&self) -> Vec<u8> {
        let mut out = short_name(&self.attribute).into_owned().into_bytes();
        out.push(b'=');
        escape_into(&mut out, &text::fold_case(&self.value));
        out
    }
}

/// The short names of RFC 4514 section 3 with their OIDs and long names (RFC 4519).
const SHORT_NAMES: &[(&str, &str, &str)] = &[
    ("cn", "2.5.4.3", "commonname"),
    ("l", "2.5.4.7", "localityname"),
    ("st", "2.5.4.8", "stateorprovincename"),
    ("o", "2.5.4.10", "organizationname"),
    ("ou", "2.5.4.11", "organizationalunitname"),
    ("c", "2.5.4.6", "countryname"),
    ("street", "2.5.4.9", "streetaddress"),
    ("dc", "0.9.2342.19200300.100.1.25", "domaincomponent"),
    ("uid", "0.9.2342.19200300.100.1.1", "userid"),
    ("sn", "2.5.4.4", "surname"),
    ("mail", "0.9.2342.19200300.100.1.3", "rfc822mailbox"),
];

fn short_name(attribute: &str) -> Cow<'_, str> {
    steps::add(attribute.len());
    let lower: Cow<'_, str> = if attribute.bytes().any(|octet| octet.is_ascii_uppercase()) {
        Cow::Owned(attribute.to_ascii_lowercase())
    } else {
        Cow::Borrowed(attribute)
    };
    // Only a numeric OID carries the prefix; stripping it from anything else could leave no name or another prefix.
    let plain = match lower.strip_prefix("oid.") {
        Some(oid) if oid.starts_with(|first: char| first.is_ascii_digit()) => oid,
        _ => &lower,
    };
    match SHORT_NAMES
        .iter()
        .find(|(_, oid, long)| *oid == plain || *long == plain)
    {
        Some((short, ..)) => Cow::Borrowed(short),
        None if plain.len() != lower.len() => Cow::Owned(plain.to_owned()),
        None => lower,
    }
}

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
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(&[
        b'\\',
        DIGITS[usize::from(octet >> 4)],
        DIGITS[usize::from(octet & 15)],
    ]);
}

struct Parser<'a> {
    rest: &'a [u8],
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn next(&mut self) -> Option<u8> {
        steps::add(1);
        let (&octet, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(octet)
    }

    fn skip_spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.next();
        }
    }

    /// Reads up to the separator after the RDN, which stays unread.
    fn rdn(&mut self) -> Result<Rdn, DnError> {
        let mut assertions = vec![self.assertion()?];
        while self.peek() == Some(b'+') {
            self.next();
            self.skip_spaces();
            if assertions.len() >= MAX_ASSERTIONS {
                return Err(DnError::TooManyAssertions);
            }
            assertions.push(self.assertion()?);
        }
        Ok(Rdn { assertions })
    }

    fn assertion(&mut self) -> Result<AttributeValueAssertion, DnError> {
        let attribute = self.attribute()?;
        self.skip_spaces();
        let value = match self.peek() {
            Some(b'#') => self.hex_value()?,
            Some(b'"') => self.quoted_value()?,
            _ => self.plain_value()?,
        };
        Ok(AttributeValueAssertion { attribute, value })
    }

    fn attribute(&mut self) -> Result<String, DnError> {
        let mut attribute = String::new();
        loop {
            match self.next() {
                None | Some(b',' | b'+') => return Err(DnError::MissingEquals),
                Some(b'=') => break,
                Some(octet)
                    if octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b';') =>
                {
                    attribute.push(char::from(octet));
                }
                Some(b' ') => {
                    self.skip_spaces();
                    if self.peek() != Some(b'=') {
                        steps::add(self.rest.len());
                        return Err(if self.rest.contains(&b'=') {
                            DnError::BadAttribute
                        } else {
                            DnError::MissingEquals
                        });
                    }
                }
                Some(_) => return Err(DnError::BadAttribute),
            }
        }
        if attribute.is_empty() {
            Err(DnError::BadAttribute)
        } else {
            Ok(attribute)
        }
    }

    fn plain_value(&mut self) -> Result<Vec<u8>, DnError> {
        let mut value = Vec::new();
        // Unescaped spaces at the end do not belong to the value; escaped ones do.
        let mut keep = 0;
        while let Some(octet) = self.peek() {
            match octet {
                b',' | b';' | b'+' => break,
                b'\\' => {
                    self.next();
                    value.push(self.escaped()?);
                    keep = value.len();
                }
                _ => {
                    self.next();
                    value.push(octet);
                    if octet != b' ' {
                        keep = value.len();
                    }
                }
            }
        }
        value.truncate(keep);
        Ok(value)
    }

    fn quoted_value(&mut self) -> Result<Vec<u8>, DnError> {
        self.next();
        let mut value = Vec::new();
        loop {
            match self.next() {
                None => return Err(DnError::UnclosedQuote),
                Some(b'"') => break,
                Some(b'\\') => value.push(self.escaped()?),
                Some(octet) => value.push(octet),
            }
        }
        self.skip_spaces();
        match self.peek() {
            None | Some(b',' | b';' | b'+') => Ok(value),
            Some(_) => Err(DnError::UnclosedQuote),
        }
    }

    /// The octet after a backslash: a hexadecimal pair, or any other character for itself.
    fn escaped(&mut self) -> Result<u8, DnError> {
        let first = self.next().ok_or(DnError::BadEscape)?;
        let digits = hex_digit(first).zip(self.peek().and_then(hex_digit));
        match digits {
            Some((high, low)) => {
                self.next();
                Ok(high << 4 | low)
            }
            None if first.is_ascii_alphanumeric() => Err(DnError::BadEscape),
            None => Ok(first),
        }
    }

    fn hex_value(&mut self) -> Result<Vec<u8>, DnError> {
        self.next();
        let mut octets = Vec::new();
        while let Some(high) = self.peek().and_then(hex_digit) {
            self.next();
            let low = self.next().and_then(hex_digit).ok_or(DnError::BadHex)?;
            octets.push(high << 4 | low);
        }
        self.skip_spaces();
        if !matches!(self.peek(), None | Some(b',' | b';' | b'+')) {
            return Err(DnError::BadHex);
        }
        let mut reader = super::ber::Reader::new(&octets);
        let element = reader.element().map_err(|_| DnError::BadHex)?;
        reader.end().map_err(|_| DnError::BadHex)?;
        Ok(element.contents.to_vec())
    }
}

fn hex_digit(octet: u8) -> Option<u8> {
    char::from(octet)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dn(string: &str) -> Dn {
        Dn::parse(string.as_bytes()).unwrap()
    }

    fn normal(string: &str) -> String {
        String::from_utf8(dn(string).normal_form()).unwrap()
    }

    #[test]
    fn spellings_of_one_name_have_one_normal_form() {
        let plain = normal("cn=doe\\, john,ou=users,dc=example");
        for spelling in [
            "CN=Doe\\2C John , OU = users, DC=Example",
            "commonName=\"DOE, john\";2.5.4.11=users;dc=example",
            "OID.2.5.4.3=doe\\, john,ou=#04057573657273,dc=EXAMPLE",
            "cn=doe\\2c\\20john,ou=users,dc=example",
        ] {
            assert_eq!(normal(spelling), plain, "{spelling}");
        }
        assert_eq!(normal("uid=a+cn=b,dc=x"), normal("CN=B + UID=a,dc=x"));
        assert_ne!(normal("cn=a,dc=x"), normal("cn=a\\,dc\\=x"));
        for other in [
            "cn=doe\\,  john",
            "cn=\\ doe\\, john",
            "cn=doe\\,\u{a0}john",
            "cn=ｄoe\\, john",
            "cn=do\u{200b}e\\, john",
        ] {
            assert_ne!(normal(&format!("{other},ou=users,dc=example")), plain, "{other}");
        }
        assert_eq!(normal(""), "");
        assert_eq!(normal("  "), "");
    }

    #[test]
    fn the_oid_prefix_belongs_to_numbers_only() {
        for (name, expected) in [
            ("OID.=x", "oid.=x"),
            ("oid.OID.2.5.4.3=x", "oid.oid.2.5.4.3=x"),
            ("oid.cn=x", "oid.cn=x"),
            ("OID.2.5.4.3=x", "cn=x"),
            ("oid.9.9=x", "9.9=x"),
        ] {
            assert_eq!(normal(name), expected);
            assert_eq!(normal(expected), expected);
        }
    }

    #[test]
    fn escaped_outer_spaces_and_hashes_survive() {
        let name = dn("cn=\\ a \\ ,dc=x");
        assert_eq!(name.rdns[0].assertions[0].value, b" a  ");
        assert_eq!(name.to_string(), "cn=\\ a \\ ,dc=x");
        assert_eq!(dn("cn=\\#1,dc=x").rdns[0].assertions[0].value, b"#1");
        assert_eq!(escape(b"#a#,+\"\\<>; "), b"\\#a#\\,\\+\\\"\\\\\\<\\>\\;\\ ");
        assert_eq!(escape(b"a\nb\xff"), b"a\\0ab\\ff");
        assert_eq!(escape("zoë".as_bytes()), "zoë".as_bytes());
    }

    #[test]
    fn malformed_names_are_refused_with_their_reason() {
        for (string, error) in [
            ("alice", DnError::MissingEquals),
            ("cn=alice,users,dc=x", DnError::MissingEquals),
            ("=a", DnError::BadAttribute),
            ("c n=a", DnError::BadAttribute),
            ("cn=a\\", DnError::BadEscape),
            ("cn=a\\zz", DnError::BadEscape),
            ("cn=#0", DnError::BadHex),
            ("cn=#0405", DnError::BadHex),
            ("cn=\"a", DnError::UnclosedQuote),
            ("cn=a,", DnError::MissingEquals),
        ] {
            assert_eq!(Dn::parse(string.as_bytes()), Err(error), "{string}");
        }
        let of = |assertions: usize| vec!["cn=a"; assertions].join("+");
        assert!(Dn::parse(of(MAX_ASSERTIONS).as_bytes()).is_ok());
        assert_eq!(
            Dn::parse(of(MAX_ASSERTIONS + 1).as_bytes()),
            Err(DnError::TooManyAssertions)
        );
    }

    #[test]
    fn below_counts_levels_and_not_letters() {
        let base = dn("DC=ldap,DC=goauthentik,DC=io");
        assert_eq!(dn("dc=LDAP, dc=goauthentik,dc=io").below(&base), Some(&[][..]));
        let user = dn("cn=alice,ou=users,dc=ldap,dc=goauthentik,dc=io");
        let levels = user.below(&base).unwrap();
        assert_eq!(levels[0].value_of("cn"), Some(&b"alice"[..]));
        assert_eq!(levels[1].value_of("ou"), Some(&b"users"[..]));
        assert!(dn("xdc=ldap,dc=goauthentik,dc=io").below(&base).is_none());
        assert!(dn("dc=goauthentik,dc=io").below(&base).is_none());
        assert_eq!(
            user.parent().unwrap().to_string(),
            "ou=users,dc=ldap,dc=goauthentik,dc=io"
        );
    }

    proptest! {
        #[test]
        fn the_normal_form_is_idempotent_and_survives_writing(values in prop::collection::vec("\\PC{0,8}", 1..4)) {
            let name = Dn {
                rdns: values
                    .iter()
                    .map(|value| Rdn {
                        assertions: vec![AttributeValueAssertion { attribute: "CN".into(), value: value.clone().into_bytes() }],
                    })
                    .collect(),
            };
            let normal = name.normal_form();
            prop_assert_eq!(Dn::parse(&normal).unwrap().normal_form(), normal);
            let written = Dn::parse(name.to_string().as_bytes()).unwrap();
            prop_assert_eq!(written, name);
        }

        #[test]
        fn any_octets_parse_or_fail_without_panic(octets in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(name) = Dn::parse(&octets) {
                let normal = name.normal_form();
                prop_assert_eq!(Dn::parse(&normal).unwrap().normal_form(), normal);
            }
        }
    }
}
