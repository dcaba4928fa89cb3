//! Reads the string form of filters (RFC 4515) for tests, escapes included.

use ldap3_proto::proto::{LdapFilter, LdapMatchingRuleAssertion, LdapSubstringFilter};

/// The filter in `text`; panics on anything else.
pub fn parse(text: &str) -> LdapFilter {
    let mut rest = text;
    let filter = component(&mut rest);
    assert!(rest.is_empty(), "{rest:?} is left of {text:?}");
    filter
}

fn component(rest: &mut &str) -> LdapFilter {
    *rest = rest
        .strip_prefix('(')
        .unwrap_or_else(|| panic!("no '(' at {rest:?}"));
    let filter = match rest.chars().next() {
        Some('&') => LdapFilter::And(list(rest)),
        Some('|') => LdapFilter::Or(list(rest)),
        Some('!') => {
            *rest = &rest[1..];
            LdapFilter::Not(Box::new(component(rest)))
        }
        _ => {
            let end = rest.find(')').unwrap();
            let item = item(&rest[..end]);
            *rest = &rest[end..];
            item
        }
    };
    *rest = rest
        .strip_prefix(')')
        .unwrap_or_else(|| panic!("no ')' at {rest:?}"));
    filter
}

fn list(rest: &mut &str) -> Vec<LdapFilter> {
    *rest = &rest[1..];
    let mut filters = Vec::new();
    while rest.starts_with('(') {
        filters.push(component(rest));
    }
    filters
}

fn item(text: &str) -> LdapFilter {
    let (attribute, value) = text.split_once('=').unwrap();
    if let Some(left) = attribute.strip_suffix(':') {
        let mut parts = left.split(':');
        let attribute = parts.next().filter(|name| !name.is_empty()).map(str::to_owned);
        let mut dn_attributes = false;
        let mut matching_rule = None;
        for part in parts {
            if part.eq_ignore_ascii_case("dn") {
                dn_attributes = true
            } else {
                matching_rule = Some(part.to_owned())
            }
        }
        return LdapFilter::Extensible(LdapMatchingRuleAssertion {
            matching_rule,
            type_: attribute,
            match_value: unescape(value),
            dn_attributes,
        });
    }
    if let Some(attribute) = attribute.strip_suffix('>') {
        return LdapFilter::GreaterOrEqual(attribute.into(), unescape(value));
    }
    if let Some(attribute) = attribute.strip_suffix('<') {
        return LdapFilter::LessOrEqual(attribute.into(), unescape(value));
    }
    if let Some(attribute) = attribute.strip_suffix('~') {
        return LdapFilter::Approx(attribute.into(), unescape(value));
    }
    if value == "*" {
        return LdapFilter::Present(attribute.into());
    }
    let mut parts: Vec<String> = value.split('*').map(unescape).collect();
    if parts.len() == 1 {
        return LdapFilter::Equality(attribute.into(), parts.remove(0));
    }
    let last = parts.pop().filter(|part| !part.is_empty());
    let first = Some(parts.remove(0)).filter(|part| !part.is_empty());
    LdapFilter::Substring(
        attribute.into(),
        LdapSubstringFilter {
            initial: first,
            any: parts,
            final_: last,
        },
    )
}

fn unescape(text: &str) -> String {
    let mut octets = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        if octet == b'\\' {
            let pair = std::str::from_utf8(&rest[..2]).unwrap();
            octets.push(u8::from_str_radix(pair, 16).unwrap());
            rest = &rest[2..];
        } else {
            octets.push(octet);
        }
    }
    String::from_utf8(octets).unwrap()
}
