//! Values of the attribute syntaxes: the forms in which they are compared and ordered.
//!
//! Knows the matching rules of RFC 4517 section 4.2 as far as they prepare values. A value that is not valid for its
//! attribute (authentik lets admins put anything anywhere) still compares as text. Must not know attributes or
//! entries.

use std::borrow::Cow;

use crate::schema::{self, Syntax};
use akldap_ldap::dn::Dn;
use akldap_ldap::text::{self, Position};

mod time;

pub use time::{UnixTime, parse_generalized_time};

/// First octet of a comparison key that is mere text; no normal form of a syntax that can refuse a value begins with it.
const TEXT_KEY: u8 = 0xff;

/// The normal form of a value: the same octets exactly if the syntax's equality rule matches. `None` if the octets
/// are not a value of the syntax.
#[must_use]
pub fn normalize(syntax: Syntax, value: &[u8]) -> Option<Cow<'_, [u8]>> {
    match syntax {
        Syntax::DirectoryString | Syntax::Ia5String => Some(text::fold(value)),
        Syntax::CaseExactString => Some(text::prepare_exact(value)),
        Syntax::AccountName => Some(text::fold_case(value)),
        Syntax::OctetString => Some(Cow::Borrowed(value)),
        Syntax::DistinguishedName => Dn::parse(value).ok().map(|dn| Cow::Owned(dn.normal_form())),
        Syntax::NameAndOptionalUid => name_and_uid(value).map(Cow::Owned),
        Syntax::Integer => Integer::parse(value).map(Integer::normal),
        Syntax::Boolean => boolean(value).map(|truth| {
            let normal: &[u8] = if truth { b"TRUE" } else { b"FALSE" };
            Cow::Borrowed(normal)
        }),
        Syntax::GeneralizedTime => {
            parse_generalized_time(value).map(|instant| Cow::Owned(instant.key().to_vec()))
        }
        Syntax::TelephoneNumber => Some(telephone(value)),
        Syntax::Oid => oid(value),
        Syntax::Uuid => uuid(value).map(|uuid| Cow::Owned(uuid.to_vec())),
        Syntax::AttributeTypeDescription
        | Syntax::ObjectClassDescription
        | Syntax::MatchingRuleDescription
        | Syntax::MatchingRuleUseDescription
        | Syntax::LdapSyntaxDescription
        | Syntax::DitContentRuleDescription => first_component(value),
    }
}

/// The form in which values of an attribute are indexed and compared, for stored and asserted values alike: the
/// normal form, or, for what is not a value of the syntax, its folded text, marked so that it equals no normal form.
#[must_use]
pub fn equality_key(syntax: Syntax, value: &[u8]) -> Cow<'_, [u8]> {
    normalize(syntax, value).unwrap_or_else(|| Cow::Owned(text_key(value)))
}

/// The [`equality_key`] of an asserted value, and whether it is a value of the syntax.
#[must_use]
#[inline]
pub fn assertion_key(syntax: Syntax, value: &[u8]) -> (Cow<'_, [u8]>, bool) {
    match normalize(syntax, value) {
        Some(key) => (key, can_hold(syntax, value)),
        None => (Cow::Owned(text_key(value)), false),
    }
}

/// Whether the octets are a value of the syntax. Text of any kind is a value if it is UTF-8, the empty string included,
/// because authentik has such values.
#[must_use]
pub fn is_value(syntax: Syntax, value: &[u8]) -> bool {
    assertion_key(syntax, value).1
}

/// Whether octets can be a part of a value of the syntax: all but octet strings are written in UTF-8.
#[must_use]
#[inline]
pub fn can_hold(syntax: Syntax, octets: &[u8]) -> bool {
    // Nearly all are ASCII.
    octets.is_ascii() || syntax == Syntax::OctetString || std::str::from_utf8(octets).is_ok()
}

fn text_key(value: &[u8]) -> Vec<u8> {
    let mut key = vec![TEXT_KEY];
    text::fold_into(&mut key, value, Position::Whole);
    key
}

/// The form whose octet order is the syntax's ordering (RFC 4517; for syntaxes without an ordering rule the order of
/// their normal forms). `None` if the octets are not a value of the syntax.
#[must_use]
pub fn ordering_key(syntax: Syntax, value: &[u8]) -> Option<Cow<'_, [u8]>> {
    match syntax {
        Syntax::Integer => Integer::parse(value).map(|integer| Cow::Owned(integer.ordering_key())),
        _ => normalize(syntax, value),
    }
}

/// The form of a stored value in which [`substring_part`]s are looked for, in order and without overlap.
#[must_use]
pub fn substring_value(syntax: Syntax, value: &[u8]) -> Cow<'_, [u8]> {
    match syntax {
        Syntax::CaseExactString => text::prepare_exact(value),
        Syntax::AccountName => text::fold_case(value),
        Syntax::OctetString => Cow::Borrowed(value),
        Syntax::TelephoneNumber => telephone(value),
        _ => text::fold(value),
    }
}

/// Appends a part of a substring assertion in the form in which it occurs in [`substring_value`]s.
pub fn substring_part(syntax: Syntax, part: &[u8], position: Position, out: &mut Vec<u8>) {
    match syntax {
        Syntax::CaseExactString => text::prepare_exact_into(out, part, position),
        Syntax::AccountName => text::fold_case_into(out, part),
        Syntax::OctetString => out.extend_from_slice(part),
        Syntax::TelephoneNumber => out.extend_from_slice(&telephone(part)),
        _ => text::fold_into(out, part, position),
    }
}

/// The truth a boolean value states. RFC 4517 has `TRUE` and `FALSE`; authentik's outpost writes lower case for
/// groups, and its documentation filters with it.
#[must_use]
pub fn boolean(value: &[u8]) -> Option<bool> {
    let value = value.trim_ascii();
    if value.eq_ignore_ascii_case(b"TRUE") {
        Some(true)
    } else if value.eq_ignore_ascii_case(b"FALSE") {
        Some(false)
    } else {
        None
    }
}

/// A whole number of any size, as sign and digits.
struct Integer<'a> {
    negative: bool,
    /// Without leading zeros; empty for zero.
    digits: &'a [u8],
}

impl<'a> Integer<'a> {
    /// Reads what RFC 4517 section 3.3.16 allows, and also a leading plus and leading zeros.
    fn parse(value: &'a [u8]) -> Option<Self> {
        let value = value.trim_ascii();
        let (negative, digits) = match value.split_first()? {
            (b'-', digits) => (true, digits),
            (b'+', digits) => (false, digits),
            _ => (false, value),
        };
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
        let digits = digits.get(zeros..)?;
        Some(Self {
            negative: negative && !digits.is_empty(),
            digits,
        })
    }

    fn normal(self) -> Cow<'a, [u8]> {
        if self.digits.is_empty() {
            Cow::Borrowed(b"0")
        } else if self.negative {
            Cow::Owned([b"-", self.digits].concat())
        } else {
            Cow::Borrowed(self.digits)
        }
    }

    /// Sign, then the number of digits, then the digits; the latter two inverted below zero.
    fn ordering_key(&self) -> Vec<u8> {
        let length = u32::try_from(self.digits.len()).unwrap_or(u32::MAX);
        let mut key = vec![u8::from(!self.negative)];
        key.extend_from_slice(&length.to_be_bytes());
        key.extend_from_slice(self.digits);
        if self.negative {
            key.iter_mut().skip(1).for_each(|octet| *octet = !*octet);
        }
        key
    }
}

/// Telephone numbers compare without spaces and hyphens (RFC 4518 section 2.6.3).
fn telephone(value: &[u8]) -> Cow<'_, [u8]> {
    let folded = text::fold(value);
    let insignificant = |text: &str| text.contains(is_telephone_filler);
    match std::str::from_utf8(&folded) {
        Ok(text) if insignificant(text) => Cow::Owned(text.replace(is_telephone_filler, "").into_bytes()),
        _ => folded,
    }
}

fn is_telephone_filler(character: char) -> bool {
    matches!(
        character,
        ' ' | '-' | '\u{58a}' | '\u{2010}' | '\u{2011}' | '\u{2212}' | '\u{fe63}' | '\u{ff0d}'
    )
}

/// Object identifiers compare by what they name: a name and its OID are equal.
fn oid(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    match schema::object_class(value) {
        Some(class) => Some(Cow::Borrowed(class.key.as_bytes())),
        None => name_or_oid(value),
    }
}

/// A name or OID that the schema does not know. Any text without spaces may be one: the names of authentik's own classes
/// have dots and slashes, and those that admins choose may have anything.
fn name_or_oid(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let folded = text::fold(value);
    let is_name = std::str::from_utf8(&folded).is_ok_and(|name| !name.is_empty() && !name.contains(' '));
    is_name.then_some(folded)
}

/// The OID a schema definition defines, or the OID of the element an assertion names.
fn first_component(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let value = value.trim_ascii();
    if let Some(definition) = value.strip_prefix(b"(") {
        let definition = definition.trim_ascii_start();
        let end = definition
            .iter()
            .position(|&octet| octet == b')' || octet.is_ascii_whitespace())
            .unwrap_or(definition.len());
        return name_or_oid(definition.get(..end).unwrap_or(definition));
    }
    let oid = schema::attribute_type(value)
        .map(|attribute| attribute.oid)
        .or_else(|| schema::object_class(value).map(|class| class.oid))
        .or_else(|| schema::matching_rule(value).map(|rule| rule.oid));
    match oid {
        Some(oid) => Some(Cow::Borrowed(oid.as_bytes())),
        None => name_or_oid(value),
    }
}

/// A name, and the bit string that may follow it (RFC 4517 section 3.3.21).
fn name_and_uid(value: &[u8]) -> Option<Vec<u8>> {
    let (name, uid) = split_uid(value).unwrap_or((value, b""));
    let mut normal = Dn::parse(name).ok()?.normal_form();
    normal.extend_from_slice(uid);
    Some(normal)
}

fn split_uid(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = value.strip_suffix(b"'B")?;
    let start = inner.iter().rposition(|octet| !matches!(octet, b'0' | b'1'))?;
    let hash = start.checked_sub(1)?;
    (value.get(hash..=start)? == b"#'").then(|| value.split_at(hash))
}

/// The 32 hexadecimal digits of a UUID in lower case (RFC 4530 section 2.1), in any of its usual spellings.
fn uuid(value: &[u8]) -> Option<[u8; 32]> {
    let text = std::str::from_utf8(value.trim_ascii()).ok()?;
    let uuid = uuid::Uuid::try_parse(text).ok()?;
    let mut digits = [0; 32];
    uuid.simple().encode_lower(&mut digits);
    Some(digits)
}

#[cfg(test)]
mod tests;
