//! When two spellings name one entry, even if a server does not escape what RFC 4514 wants escaped.

use akldap_ldap::dn::{AttributeTypeAndValue, Dn, Rdn};

/// The same octets for every spelling of one name. What is not a name at all stands for itself, in lower case.
pub(super) fn normal_form(name: &[u8]) -> Vec<u8> {
    let parsed = Dn::parse(name).ok().or_else(|| unescaped(name));
    parsed.map_or_else(|| name.to_ascii_lowercase(), |dn| dn.normal_form())
}

/// A name whose first value holds separators as they are, as authentik's own outpost writes it (`cn=Sales, EMEA,ou=groups,dc=x`):
/// read from the end as far as it is a name, and what is left is the first level.
fn unescaped(name: &[u8]) -> Option<Dn> {
    let mut levels = Vec::new();
    let mut end = name.len();
    while let Some(comma) = name.get(..end)?.iter().rposition(|octet| *octet == b',') {
        let Ok(piece) = Dn::parse(name.get(comma + 1..end)?) else {
            break;
        };
        levels.extend(piece.rdns);
        end = comma;
    }
    let first = name.get(..end)?;
    let equals = first.iter().position(|octet| *octet == b'=')?;
    let assertion = AttributeTypeAndValue {
        attribute: String::from_utf8(first.get(..equals)?.to_vec()).ok()?,
        value: first.get(equals + 1..)?.to_vec(),
    };
    levels.push(Rdn {
        assertions: vec![assertion],
    });
    levels.reverse();
    Some(Dn { rdns: levels })
}

#[cfg(test)]
mod tests {
    use super::normal_form;

    #[test]
    fn spellings_of_one_name_are_one() {
        let escaped = normal_form(b"cn=Sales\\, EMEA,ou=groups,dc=a");
        assert_eq!(normal_form(b"cn=Sales, EMEA,ou=groups,dc=a"), escaped);
        assert_eq!(normal_form(b"CN=sales\\2C EMEA, OU=Groups,dc=A"), escaped);
        assert_ne!(normal_form(b"cn=EMEA,ou=groups,dc=a"), escaped);
        assert_ne!(normal_form(b"cn=Sales\\, EMEA,ou=users,dc=a"), escaped);
        assert_eq!(normal_form(b"No Name"), b"no name");
        assert_eq!(normal_form(b""), b"");
    }
}
