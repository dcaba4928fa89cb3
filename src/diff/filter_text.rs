//! Filters as people write them (RFC 4515), turned into what goes over the wire. Knows the grammar and nothing of attributes.

use akldap_ldap::ber;

/// How deep filters may nest: deeper ones are written by nobody, and the reading recurses.
const MAX_DEPTH: usize = 64;

const AND: u8 = 0xa0;
const OR: u8 = 0xa1;
const NOT: u8 = 0xa2;
const EQUALITY: u8 = 0xa3;
const SUBSTRINGS: u8 = 0xa4;
const GREATER_OR_EQUAL: u8 = 0xa5;
const LESS_OR_EQUAL: u8 = 0xa6;
const PRESENT: u8 = 0x87;
const APPROX: u8 = 0xa8;
const EXTENSIBLE: u8 = 0xa9;

const INITIAL: u8 = 0x80;
const ANY: u8 = 0x81;
const FINAL: u8 = 0x82;

const MATCHING_RULE: u8 = 0x81;
const TYPE: u8 = 0x82;
const MATCH_VALUE: u8 = 0x83;
const DN_ATTRIBUTES: u8 = 0x84;

/// Appends the filter in `text` as BER.
///
/// # Errors
/// When it is no filter, in words.
pub(super) fn write(text: &str, out: &mut Vec<u8>) -> Result<(), String> {
    let mut rest = text;
    component(&mut rest, 0, out)?;
    if rest.is_empty() {
        Ok(())
    } else {
        Err(format!("{rest:?} follows the filter"))
    }
}

/// A value as filters spell it (RFC 4515 section 3).
pub(super) fn escape(value: &[u8]) -> String {
    let mut text = String::new();
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '*' | '(' | ')' | '\\' | '\0' => text += &format!("\\{:02x}", u32::from(character)),
                other => text.push(other),
            }
        }
        let octets = chunk.invalid().iter();
        text.extend(octets.map(|octet| format!("\\{octet:02x}")));
    }
    text
}

fn component(rest: &mut &str, depth: usize, out: &mut Vec<u8>) -> Result<(), String> {
    if depth >= MAX_DEPTH {
        return Err(format!("the filter is nested more than {MAX_DEPTH} levels deep"));
    }
    take(rest, '(')?;
    let set = match rest.chars().next() {
        Some('&') => Some(AND),
        Some('|') => Some(OR),
        Some('!') => Some(NOT),
        _ => None,
    };
    if let Some(tag) = set {
        *rest = rest.get(1..).unwrap_or_default();
        let mut contents = Vec::new();
        if tag == NOT {
            component(rest, depth + 1, &mut contents)?;
        } else {
            while rest.starts_with('(') {
                component(rest, depth + 1, &mut contents)?;
            }
        }
        ber::write_element(out, tag, &contents);
    } else {
        let end = rest.find(')').ok_or("a parenthesis is not closed")?;
        let (text, after) = rest.split_at(end);
        item(text, out)?;
        *rest = after;
    }
    take(rest, ')')
}

fn take(rest: &mut &str, wanted: char) -> Result<(), String> {
    *rest = rest
        .strip_prefix(wanted)
        .ok_or_else(|| format!("{wanted:?} is missing before {rest:?}"))?;
    Ok(())
}

fn item(text: &str, out: &mut Vec<u8>) -> Result<(), String> {
    let (left, value) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} has no '='"))?;
    for (sign, tag) in [
        ('>', GREATER_OR_EQUAL),
        ('<', LESS_OR_EQUAL),
        ('~', APPROX),
        (':', EXTENSIBLE),
    ] {
        match left.strip_suffix(sign) {
            Some(left) if tag == EXTENSIBLE => return extensible(left, value, out),
            Some(attribute) => return assertion(tag, attribute, value, out),
            None => {}
        }
    }
    if value == "*" {
        ber::write_element(out, PRESENT, left.as_bytes());
        Ok(())
    } else if value.contains('*') {
        substrings(left, value, out)
    } else {
        assertion(EQUALITY, left, value, out)
    }
}

fn assertion(tag: u8, attribute: &str, value: &str, out: &mut Vec<u8>) -> Result<(), String> {
    let value = unescape(value)?;
    ber::write_constructed(out, tag, |out| {
        ber::write_element(out, ber::OCTET_STRING, attribute.as_bytes());
        ber::write_element(out, ber::OCTET_STRING, &value);
    });
    Ok(())
}

fn substrings(attribute: &str, value: &str, out: &mut Vec<u8>) -> Result<(), String> {
    let last = value.split('*').count().saturating_sub(1);
    let mut parts = Vec::new();
    for (place, part) in value.split('*').enumerate() {
        let tag = match place {
            0 => INITIAL,
            _ if place == last => FINAL,
            _ => ANY,
        };
        if !part.is_empty() {
            ber::write_element(&mut parts, tag, &unescape(part)?);
        }
    }
    ber::write_constructed(out, SUBSTRINGS, |out| {
        ber::write_element(out, ber::OCTET_STRING, attribute.as_bytes());
        ber::write_element(out, ber::SEQUENCE, &parts);
    });
    Ok(())
}

fn extensible(left: &str, value: &str, out: &mut Vec<u8>) -> Result<(), String> {
    let value = unescape(value)?;
    let mut names = left.split(':');
    let attribute = names.next().unwrap_or_default();
    let (dn, rules): (Vec<&str>, Vec<&str>) = names.partition(|name| name.eq_ignore_ascii_case("dn"));
    ber::write_constructed(out, EXTENSIBLE, |out| {
        if let Some(rule) = rules.first() {
            ber::write_element(out, MATCHING_RULE, rule.as_bytes());
        }
        if !attribute.is_empty() {
            ber::write_element(out, TYPE, attribute.as_bytes());
        }
        ber::write_element(out, MATCH_VALUE, &value);
        if !dn.is_empty() {
            ber::write_element(out, DN_ATTRIBUTES, &[0xff]);
        }
    });
    Ok(())
}

fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut octets = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        if octet == b'\\' {
            let pair = rest.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
            let octet = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
            octets
                .push(octet.ok_or_else(|| format!("a backslash in {text:?} is not followed by two digits"))?);
            rest = rest.get(2..).unwrap_or_default();
        } else {
            octets.push(octet);
        }
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use akldap_ldap::ber::Reader;
    use akldap_ldap::filter::Filter;

    use super::*;

    #[test]
    fn what_is_written_is_read_as_the_same_filter() {
        for text in [
            "(cn=alice)",
            "(cn=*)",
            "(cn=a*)",
            "(cn=*a*b*)",
            "(cn=a*b*c)",
            "(uidNumber>=5)",
            "(uidNumber<=5)",
            "(cn~=alice)",
            "(&(objectClass=user)(|(cn=a)(mail=a))(!(cn=b)))",
            "(&)",
            "(cn=a\\28b\\29\\2a\\5c)",
            "(memberOf:1.2.840.113556.1.4.1941:=cn=a,dc=b)",
            "(cn:dn:caseIgnoreMatch:=x)",
            "(:caseIgnoreMatch:=x)",
            "(cn=)",
        ] {
            let mut octets = Vec::new();
            write(text, &mut octets).unwrap_or_else(|error| panic!("{text}: {error}"));
            let filter =
                Filter::read(&mut Reader::new(&octets)).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(filter.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_filter_is_said() {
        for text in [
            "", "cn=a", "(cn=a", "(cn)", "(cn=a)x", "(cn=\\2)", "(&(cn=a)", "(!)",
        ] {
            assert!(write(text, &mut Vec::new()).is_err(), "{text}");
        }
        let deep = format!("{}(a=b){}", "(!".repeat(70), ")".repeat(70));
        assert!(write(&deep, &mut Vec::new()).is_err());
    }

    #[test]
    fn escaped_values_mean_themselves() {
        let value = b"a*(b)\\\xff\0\xc3\xa4";
        assert_eq!(escape(value), "a\\2a\\28b\\29\\5c\\ff\\00\u{e4}");
        assert_eq!(unescape(&escape(value)).as_deref(), Ok(&value[..]));
    }
}
