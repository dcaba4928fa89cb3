//! The text form of filters (RFC 4515), read: for tests and benchmarks, which write filters as people do. The server prints that
//! form and never reads it.
//!
//! Knows the grammar of filters. Attribute descriptions are taken as they stand, so that a test can send any.

use super::encoding::{AND, NOT, OR};
use super::{AttributeValueAssertion, Filter, MatchingRuleAssertion, SubstringFilter};
use crate::ber;

/// The filter in `text` as BER, as [`Filter::read`] takes it; `None` where the text is no filter.
#[must_use]
pub fn octets(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    component(text, &mut out)?.is_empty().then_some(out)
}

/// Appends the filter that `text` begins with, and returns what follows it.
fn component<'t>(text: &'t str, out: &mut Vec<u8>) -> Option<&'t str> {
    let inner = text.strip_prefix('(')?;
    let rest = if let Some(filters) = inner.strip_prefix('&') {
        all(filters, AND, out)?
    } else if let Some(filters) = inner.strip_prefix('|') {
        all(filters, OR, out)?
    } else if let Some(filter) = inner.strip_prefix('!') {
        let mut negated = Vec::new();
        let rest = component(filter, &mut negated)?;
        ber::write_element(out, NOT, &negated);
        rest
    } else {
        let (text, _) = inner.split_once(')')?;
        item(text, out)?;
        inner.strip_prefix(text)?
    };
    rest.strip_prefix(')')
}

fn all<'t>(mut rest: &'t str, tag: u8, out: &mut Vec<u8>) -> Option<&'t str> {
    let mut filters = Vec::new();
    while rest.starts_with('(') {
        rest = component(rest, &mut filters)?;
    }
    ber::write_element(out, tag, &filters);
    Some(rest)
}

/// Appends the filter of one attribute.
fn item(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let (left, right) = text.split_once('=')?;
    if let Some(left) = left.strip_suffix(':') {
        extensible(left, &unescape(right)?).write(out);
        return Some(());
    }
    if let Some(attribute) = left.strip_suffix(['>', '<', '~']) {
        let (attribute, value) = (attribute.as_bytes(), &*unescape(right)?);
        let assertion = AttributeValueAssertion { attribute, value };
        let filter = match left.as_bytes().last()? {
            b'>' => Filter::GreaterOrEqual(assertion),
            b'<' => Filter::LessOrEqual(assertion),
            _ => Filter::Approx(assertion),
        };
        filter.write(out);
        return Some(());
    }
    if right == "*" {
        Filter::Present(left.as_bytes()).write(out);
        return Some(());
    }
    let attribute = left.as_bytes();
    let parts = right.split('*').map(unescape).collect::<Option<Vec<_>>>()?;
    match parts.as_slice() {
        [value] => Filter::Equality(AttributeValueAssertion { attribute, value }).write(out),
        [initial, any @ .., last] => Filter::Substrings(SubstringFilter {
            attribute,
            initial: (!initial.is_empty()).then_some(initial),
            any: any.iter().map(Vec::as_slice).collect(),
            last: (!last.is_empty()).then_some(last),
        })
        .write(out),
        [] => return None,
    }
    Some(())
}

/// The filter of `attribute:dn:rule:=value`, where `left` is what stands before `:=`.
fn extensible<'a>(left: &'a str, value: &'a [u8]) -> Filter<'a> {
    let mut parts = left.split(':');
    let attribute = parts.next().filter(|name| !name.is_empty()).map(str::as_bytes);
    let (mut matching_rule, mut dn_attributes) = (None, false);
    for part in parts {
        if part.eq_ignore_ascii_case("dn") {
            dn_attributes = true;
        } else {
            matching_rule = Some(part.as_bytes());
        }
    }
    Filter::Extensible(MatchingRuleAssertion {
        matching_rule,
        attribute,
        value,
        dn_attributes,
    })
}

/// The octets of a value in which `\` and two hexadecimal digits stand for one.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        if octet == b'\\' {
            let digits = [octets.next()?, octets.next()?];
            out.push(u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            out.push(octet);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ber::Reader;

    fn reprinted(text: &str) -> String {
        let octets = octets(text).unwrap_or_else(|| panic!("{text}"));
        let filter =
            Filter::read(&mut Reader::new(&octets)).unwrap_or_else(|error| panic!("{text}: {error}"));
        filter.to_string()
    }

    #[test]
    fn what_is_printed_is_what_was_read() {
        for text in [
            "(&)",
            "(|(cn=a)(!(&(cn>=b)(cn<=c)(cn~=d))))",
            "(cn=*)",
            "(cn=)",
            "(cn=a=b)",
            "(cn=\\2a\\28\\29\\5c\\00)",
            "(cn=zoë)",
            "(cn=\\ff)",
            "(cn=a*)",
            "(cn=*b*c*)",
            "(cn=*d)",
            "(member:1.2.840.113556.1.4.1941:=cn=a,dc=b)",
            "(:dn:caseIgnoreMatch:=x)",
            "(ou:dn:=users)",
            "(with space;lang-de=x)",
        ] {
            assert_eq!(reprinted(text), text);
        }
    }

    #[test]
    fn no_filter_is_made_of_other_text() {
        for text in [
            "",
            "cn=a",
            "(cn=a",
            "(cn=a))",
            "(cn)",
            "(!)",
            "(&(cn=a)",
            "(cn=a)(cn=b)",
            "(cn=\\2)",
            "(cn=\\xx)",
        ] {
            assert_eq!(octets(text), None, "{text}");
        }
    }
}
