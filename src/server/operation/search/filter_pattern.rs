//! A filter without the values that it asserts, for the list of slow searches. Must not know how a filter is evaluated.

use akldap_ldap::filter::Filter;

/// Roughly the octets of the longest pattern that is kept; the rest is left out.
const LONGEST: usize = 160;
/// Octets of the longest name of an attribute that is shown.
const LONGEST_NAME: usize = 40;

/// The pattern of a filter: `(&(objectClass=?)(mail=*?*))`.
pub(super) fn of(filter: &Filter<'_>) -> String {
    let mut pattern = String::new();
    write(filter, &mut pattern);
    pattern
}

fn write(filter: &Filter<'_>, pattern: &mut String) {
    if pattern.len() >= LONGEST {
        if !pattern.ends_with('…') {
            pattern.push('…');
        }
        return;
    }
    match filter {
        Filter::And(filters) => list(pattern, '&', filters),
        Filter::Or(filters) => list(pattern, '|', filters),
        Filter::Not(filter) => {
            pattern.push_str("(!");
            write(filter, pattern);
            pattern.push(')');
        }
        Filter::Equality(of) => assertion(pattern, of.attribute, "=?"),
        Filter::Approx(of) => assertion(pattern, of.attribute, "~=?"),
        Filter::GreaterOrEqual(of) => assertion(pattern, of.attribute, ">=?"),
        Filter::LessOrEqual(of) => assertion(pattern, of.attribute, "<=?"),
        Filter::Present(attribute) => assertion(pattern, attribute, "=*"),
        Filter::Substrings(of) => {
            let parts = match (of.initial.is_some(), of.any.is_empty(), of.last.is_some()) {
                (true, true, false) => "=?*",
                (false, true, true) => "=*?",
                _ => "=*?*",
            };
            assertion(pattern, of.attribute, parts);
        }
        Filter::Extensible(of) => assertion(pattern, of.attribute.unwrap_or_default(), ":=?"),
    }
}

fn list(pattern: &mut String, operator: char, filters: &[Filter<'_>]) {
    pattern.push('(');
    pattern.push(operator);
    for filter in filters {
        write(filter, pattern);
        if pattern.len() >= LONGEST {
            break;
        }
    }
    pattern.push(')');
}

/// A name that is not an attribute's may be a value that a client put in the wrong place.
fn assertion(pattern: &mut String, attribute: &[u8], asserted: &str) {
    let is_name = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b';' | b'.' | b'_');
    let name = std::str::from_utf8(attribute).ok();
    let name = name.filter(|name| name.len() <= LONGEST_NAME && name.as_bytes().iter().all(is_name));
    pattern.push('(');
    pattern.push_str(name.unwrap_or("…"));
    pattern.push_str(asserted);
    pattern.push(')');
}

#[cfg(test)]
mod tests {
    use super::*;
    use akldap_ldap::ber::Reader;
    use akldap_ldap::filter::parser;

    #[test]
    fn values_are_left_out_and_the_pattern_is_bounded() {
        let pattern = |text: &str| {
            let octets = parser::octets(text).unwrap();
            of(&Filter::read(&mut Reader::new(&octets)).unwrap())
        };
        for (text, expected) in [
            (
                "(&(objectClass=user)(|(cn=alice)(mail=*lic*))(!(uid>=b)))",
                "(&(objectClass=?)(|(cn=?)(mail=*?*))(!(uid>=?)))",
            ),
            ("(cn=al*)", "(cn=?*)"),
            ("(cn=*ce)", "(cn=*?)"),
            ("(cn=*)", "(cn=*)"),
            ("(memberOf:1.2.840.113556.1.4.1941:=cn=a,dc=b)", "(memberOf:=?)"),
        ] {
            assert_eq!(pattern(text), expected);
        }
        let many: String = (0..1000).map(|number| format!("(cn={number})")).collect();
        let long = pattern(&format!("(|{many})"));
        assert!(long.len() < LONGEST + LONGEST_NAME + 10, "{long}");
        assert!(long.starts_with("(|(cn=?)(cn=?)"));
    }
}
