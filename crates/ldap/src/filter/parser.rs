//! The text form of filters (RFC 4515), read: for those who write filters as people do, which are `diff`, tests and benchmarks.
//! The server prints that form and never reads it.
//!
//! Knows the grammar of filters. Attribute descriptions are taken as they are, so that any can be sent.

use thiserror::Error;

use super::encoding::{AND, NOT, OR};
use super::{AttributeValueAssertion, Filter, MAX_DEPTH, MatchingRuleAssertion, SubstringFilter};
use crate::ber;

/// Why a text is not a filter.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ParseError<'t> {
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("the filter is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// What must come next, and what comes instead.
    #[error("{0:?} is missing before {1:?}")]
    Missing(char, &'t str),
    /// The filter of an attribute does not end.
    #[error("a parenthesis is not closed")]
    NotClosed,
    /// The filter of an attribute compares with nothing.
    #[error("{0:?} has no '='")]
    NoEqualsSign(&'t str),
    /// The value has an escape that stands for no octet.
    #[error("a backslash in {0:?} is not followed by two digits")]
    BadEscape(&'t str),
    /// The text continues after the filter.
    #[error("{0:?} follows the filter")]
    Trailing(&'t str),
}

/// The filter in `text` as BER, as [`Filter::read`] takes it.
///
/// # Errors
/// When the text is not a filter.
pub fn octets(text: &str) -> Result<Vec<u8>, ParseError<'_>> {
    let mut out = Vec::new();
    match component(text, 0, &mut out)? {
        "" => Ok(out),
        rest => Err(ParseError::Trailing(rest)),
    }
}

/// Appends the filter that `text` begins with, and returns what follows it.
fn component<'t>(text: &'t str, depth: usize, out: &mut Vec<u8>) -> Result<&'t str, ParseError<'t>> {
    if depth >= MAX_DEPTH {
        return Err(ParseError::TooDeep);
    }
    let inner = after('(', text)?;
    let rest = if let Some(filters) = inner.strip_prefix('&') {
        all(filters, AND, depth, out)?
    } else if let Some(filters) = inner.strip_prefix('|') {
        all(filters, OR, depth, out)?
    } else if let Some(filter) = inner.strip_prefix('!') {
        let mut negated = Vec::new();
        let rest = component(filter, depth + 1, &mut negated)?;
        ber::write_element(out, NOT, &negated);
        rest
    } else {
        let end = inner.find(')').ok_or(ParseError::NotClosed)?;
        let (text, rest) = inner.split_at(end);
        item(text, out)?;
        rest
    };
    after(')', rest)
}

fn after(wanted: char, text: &str) -> Result<&str, ParseError<'_>> {
    text.strip_prefix(wanted).ok_or(ParseError::Missing(wanted, text))
}

fn all<'t>(mut rest: &'t str, tag: u8, depth: usize, out: &mut Vec<u8>) -> Result<&'t str, ParseError<'t>> {
    let mut filters = Vec::new();
    while rest.starts_with('(') {
        rest = component(rest, depth + 1, &mut filters)?;
    }
    ber::write_element(out, tag, &filters);
    Ok(rest)
}

/// Appends the filter of one attribute.
fn item<'t>(text: &'t str, out: &mut Vec<u8>) -> Result<(), ParseError<'t>> {
    let (left, right) = text.split_once('=').ok_or(ParseError::NoEqualsSign(text))?;
    if let Some(left) = left.strip_suffix(':') {
        extensible(left, &unescape(right)?).write(out);
        return Ok(());
    }
    if let Some(attribute) = left.strip_suffix(['>', '<', '~']) {
        let (attribute, value) = (attribute.as_bytes(), &*unescape(right)?);
        let assertion = AttributeValueAssertion { attribute, value };
        let filter = match left.as_bytes().last() {
            Some(b'>') => Filter::GreaterOrEqual(assertion),
            Some(b'<') => Filter::LessOrEqual(assertion),
            _ => Filter::Approx(assertion),
        };
        filter.write(out);
        return Ok(());
    }
    let attribute = left.as_bytes();
    if right == "*" {
        Filter::Present(attribute).write(out);
        return Ok(());
    }
    let parts = right.split('*').map(unescape).collect::<Result<Vec<_>, _>>()?;
    let filter = match parts.as_slice() {
        [] => Filter::Equality(AttributeValueAssertion {
            attribute,
            value: b"",
        }),
        [value] => Filter::Equality(AttributeValueAssertion { attribute, value }),
        // Empty parts say nothing: `a**b` is `a*b`.
        [initial, any @ .., last] => Filter::Substrings(SubstringFilter {
            attribute,
            initial: (!initial.is_empty()).then_some(initial),
            any: any
                .iter()
                .map(Vec::as_slice)
                .filter(|part| !part.is_empty())
                .collect(),
            last: (!last.is_empty()).then_some(last),
        }),
    };
    filter.write(out);
    Ok(())
}

/// The filter of `attribute:dn:rule:=value`, where `left` is what comes before `:=`.
fn extensible<'a>(left: &'a str, value: &'a [u8]) -> Filter<'a> {
    let mut parts = left.split(':');
    let attribute = parts.next().filter(|name| !name.is_empty()).map(str::as_bytes);
    let (mut matching_rule, mut dn_attributes) = (None, false);
    for part in parts {
        if part.eq_ignore_ascii_case("dn") {
            dn_attributes = true;
        } else {
            matching_rule = matching_rule.or(Some(part.as_bytes()));
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
fn unescape(text: &str) -> Result<Vec<u8>, ParseError<'_>> {
    let mut out = Vec::with_capacity(text.len());
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        out.push(if octet == b'\\' {
            escaped([octets.next(), octets.next()]).ok_or(ParseError::BadEscape(text))?
        } else {
            octet
        });
    }
    Ok(out)
}

fn escaped(digits: [Option<u8>; 2]) -> Option<u8> {
    digits.into_iter().try_fold(0, |octet, digit| {
        let digit = char::from(digit?).to_digit(16)?;
        Some(octet << 4 | u8::try_from(digit).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ber::Reader;
    use crate::filter::escape;

    fn reprinted(text: &str) -> String {
        let octets = octets(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let filter =
            Filter::read(&mut Reader::new(&octets)).unwrap_or_else(|error| panic!("{text}: {error}"));
        filter.to_string()
    }

    #[test]
    fn what_is_printed_is_what_was_read() {
        for text in [
            "(&)",
            "(&(objectClass=user)(|(cn=a)(mail=a))(!(cn=b)))",
            "(|(cn=a)(!(&(cn>=b)(cn<=c)(cn~=d))))",
            "(cn=alice)",
            "(cn~=alice)",
            "(uidNumber>=5)",
            "(uidNumber<=5)",
            "(cn=*)",
            "(cn=)",
            "(cn=a=b)",
            "(cn=\\2a\\28\\29\\5c\\00)",
            "(cn=a\\28b\\29\\2a\\5c)",
            "(cn=zoë)",
            "(cn=\\ff)",
            "(cn=a*)",
            "(cn=a*b*c)",
            "(cn=*a*b*)",
            "(cn=*b*c*)",
            "(cn=*d)",
            "(member:1.2.840.113556.1.4.1941:=cn=a,dc=b)",
            "(memberOf:1.2.840.113556.1.4.1941:=cn=a,dc=b)",
            "(cn:dn:caseIgnoreMatch:=x)",
            "(:dn:caseIgnoreMatch:=x)",
            "(:caseIgnoreMatch:=x)",
            "(ou:dn:=users)",
            "(with space;lang-de=x)",
        ] {
            assert_eq!(reprinted(text), text);
        }
    }

    #[test]
    fn empty_parts_say_nothing() {
        assert_eq!(reprinted("(cn=a**b)"), "(cn=a*b)");
        assert_eq!(reprinted("(cn=**a**)"), "(cn=*a*)");
    }

    #[test]
    fn what_is_no_filter_is_said() {
        for (text, error) in [
            ("", "'(' is missing before \"\""),
            ("cn=a", "'(' is missing before \"cn=a\""),
            ("(cn=a", "a parenthesis is not closed"),
            ("(cn=a))", "\")\" follows the filter"),
            ("(cn=a)x", "\"x\" follows the filter"),
            ("(cn)", "\"cn\" has no '='"),
            ("(!)", "'(' is missing before \")\""),
            ("(&(cn=a)", "')' is missing before \"\""),
            ("(cn=a)(cn=b)", "\"(cn=b)\" follows the filter"),
            (
                "(cn=\\2)",
                "a backslash in \"\\\\2\" is not followed by two digits",
            ),
            (
                "(cn=\\xx)",
                "a backslash in \"\\\\xx\" is not followed by two digits",
            ),
            (
                "(cn=\\+1)",
                "a backslash in \"\\\\+1\" is not followed by two digits",
            ),
        ] {
            let found = octets(text).map_err(|error| error.to_string());
            assert_eq!(found, Err(error.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_too_deep_to_be_read_back_is_no_filter() {
        let nested = |levels| format!("{}(a=b){}", "(!".repeat(levels), ")".repeat(levels));
        let (deepest, deeper) = (nested(MAX_DEPTH - 1), nested(MAX_DEPTH));
        assert_eq!(reprinted(&deepest), deepest);
        assert_eq!(octets(&deeper), Err(ParseError::TooDeep));
    }

    #[test]
    fn escaped_values_mean_themselves() {
        let value = b"a*(b)\\\xff\0\xc3\xa4\n";
        let text = escape(value).to_string();
        assert_eq!(text, "a\\2a\\28b\\29\\5c\\ff\\00\u{e4}\\0a");
        assert_eq!(unescape(&text).as_deref(), Ok(&value[..]));
    }
}
