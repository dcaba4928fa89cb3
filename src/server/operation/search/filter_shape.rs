//! A filter without the values that it asserts, for the list of slow searches. Must not know how a filter is evaluated.

use akldap_ldap::filter::Filter;

/// Octets of the longest shape that is kept, about; what is beyond is left out.
const LONGEST: usize = 160;
/// Octets of the longest name of an attribute that is shown.
const LONGEST_NAME: usize = 40;

/// The shape of a filter: `(&(objectClass=?)(mail=*?*))`.
pub(super) fn of(filter: &Filter<'_>) -> String {
    let mut shape = String::new();
    write(filter, &mut shape);
    shape
}

fn write(filter: &Filter<'_>, shape: &mut String) {
    if shape.len() >= LONGEST {
        if !shape.ends_with('…') {
            shape.push('…');
        }
        return;
    }
    match filter {
        Filter::And(filters) => list(shape, '&', filters),
        Filter::Or(filters) => list(shape, '|', filters),
        Filter::Not(filter) => {
            shape.push_str("(!");
            write(filter, shape);
            shape.push(')');
        }
        Filter::Equality(of) => assertion(shape, of.attribute, "=?"),
        Filter::Approx(of) => assertion(shape, of.attribute, "~=?"),
        Filter::GreaterOrEqual(of) => assertion(shape, of.attribute, ">=?"),
        Filter::LessOrEqual(of) => assertion(shape, of.attribute, "<=?"),
        Filter::Present(attribute) => assertion(shape, attribute, "=*"),
        Filter::Substrings(of) => {
            let parts = match (of.initial.is_some(), of.any.is_empty(), of.last.is_some()) {
                (true, true, false) => "=?*",
                (false, true, true) => "=*?",
                _ => "=*?*",
            };
            assertion(shape, of.attribute, parts);
        }
        Filter::Extensible(of) => assertion(shape, of.attribute.unwrap_or_default(), ":=?"),
    }
}

fn list(shape: &mut String, operator: char, filters: &[Filter<'_>]) {
    shape.push('(');
    shape.push(operator);
    for filter in filters {
        write(filter, shape);
        if shape.len() >= LONGEST {
            break;
        }
    }
    shape.push(')');
}

/// A name that is none of an attribute may be a value that a client put in the wrong place.
fn assertion(shape: &mut String, attribute: &[u8], asserted: &str) {
    let is_name = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b';' | b'.' | b'_');
    let name = std::str::from_utf8(attribute).ok();
    let name = name.filter(|name| name.len() <= LONGEST_NAME && name.as_bytes().iter().all(is_name));
    shape.push('(');
    shape.push_str(name.unwrap_or("…"));
    shape.push_str(asserted);
    shape.push(')');
}

#[cfg(test)]
mod tests {
    use super::*;
    use akldap_ldap::ber::Reader;
    use akldap_ldap::filter::parser;

    #[test]
    fn values_are_left_out_and_the_shape_is_bounded() {
        let shape = |text: &str| {
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
            assert_eq!(shape(text), expected);
        }
        let many: String = (0..1000).map(|number| format!("(cn={number})")).collect();
        let long = shape(&format!("(|{many})"));
        assert!(long.len() < LONGEST + LONGEST_NAME + 10, "{long}");
        assert!(long.starts_with("(|(cn=?)(cn=?)"));
    }
}
