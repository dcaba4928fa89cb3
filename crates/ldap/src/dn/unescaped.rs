//! Names that do not follow RFC 4514 because their leading values are not escaped, as authentik's own outpost writes them
//! (`cn=Sales, EMEA,ou=groups,dc=example`): whether one ends with a base DN, and what comes before it.
//!
//! They are read from the end, each piece once, so the length of the name bounds the work, whatever the name looks like.
//! Must not know which bases there are.

use super::name::Rdn;

/// A name that could not be parsed as a whole.
#[derive(Debug)]
pub struct Unescaped<'a> {
    name: &'a [u8],
    /// The pieces that were read as RDNs: several bases ask for the same ones.
    pieces: Vec<RdnPiece>,
}

#[derive(Debug)]
struct RdnPiece {
    start: usize,
    end: usize,
    /// The normal form; `None` if it is not an RDN.
    normal: Option<Vec<u8>>,
}

impl<'a> Unescaped<'a> {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(name: &'a [u8]) -> Self {
        Self {
            name,
            pieces: Vec::new(),
        }
    }

    /// What comes before `base`, which is given as the normal forms of its RDNs in their order; `None` if the name does not end
    /// with a separator and `base`.
    pub fn before(&mut self, base: &[Vec<u8>]) -> Option<&'a [u8]> {
        let mut end = self.name.len();
        for rdn in base.iter().rev() {
            // A piece may hold as many separators as the base's value has, escaped or in quotes.
            let mut start = end;
            let separators = rdn.iter().filter(|octet| is_separator(**octet)).count();
            end = (0..=separators).find_map(|_| {
                let before = self.name.get(..start)?;
                start = before.iter().rposition(|octet| is_separator(*octet))?;
                crate::steps::add(before.len() - start);
                (self.normal(start + 1, end)? == rdn.as_slice()).then_some(start)
            })?;
        }
        self.name.get(..end)
    }

    fn normal(&mut self, start: usize, end: usize) -> Option<&[u8]> {
        let known = self
            .pieces
            .iter()
            .position(|piece| (piece.start, piece.end) == (start, end));
        let index = known.unwrap_or_else(|| {
            let octets = self.name.get(start..end).unwrap_or_default();
            self.pieces.push(RdnPiece {
                start,
                end,
                normal: Rdn::parse(octets).ok().map(|rdn| rdn.normal_form()),
            });
            self.pieces.len() - 1
        });
        // An unreadable piece counts as empty, which no RDN is; a longer piece may still be one.
        self.pieces
            .get(index)
            .map(|piece| piece.normal.as_deref().unwrap_or_default())
    }
}

fn is_separator(octet: u8) -> bool {
    matches!(octet, b',' | b';')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dn::Dn;

    fn base(string: &str) -> Vec<Vec<u8>> {
        Dn::parse(string.as_bytes()).unwrap().normal_rdns(usize::MAX)
    }

    fn before(name: &str, of: &str) -> Option<String> {
        let front = Unescaped::new(name.as_bytes()).before(&base(of))?;
        Some(String::from_utf8(front.to_vec()).unwrap())
    }

    #[test]
    fn a_name_ends_with_a_base_however_it_is_spelled() {
        for (of, spellings) in [
            (
                "dc=ldap,dc=io",
                &[
                    "dc=ldap,dc=io",
                    "DC = LDAP ; dc=#0402696f",
                    "dc=\"ldap\" , DC=\\69o ",
                ][..],
            ),
            (
                "o=a\\, b\\;c,dc=io",
                &["o=a\\, b\\;c,dc=io", "O=\"A, b;c\",dc=io", "o=a\\2c b\\3bc,dc=io"],
            ),
            ("cn=x+o=y,dc=io", &["o=Y + cn=x,dc=io", "cn=x+o=y,dc=io"]),
        ] {
            for spelling in spellings {
                let name = format!("cn=Sales, EMEA,ou=users,{spelling}");
                assert_eq!(
                    before(&name, of).as_deref(),
                    Some("cn=Sales, EMEA,ou=users"),
                    "{name}"
                );
            }
        }
        for name in [
            "",
            ",",
            "dc=io",
            "dc=ldap,dc=io",
            "cn=a, b,dc=ldap,dc=org",
            "cn=a,xdc=ldap,dc=io",
        ] {
            assert_eq!(before(name, "dc=ldap,dc=io"), None, "{name}");
        }
    }

    /// The same found by trying each end of the name, which takes the square of its length.
    fn by_trying(name: &[u8], of: &[Vec<u8>]) -> Option<usize> {
        let commas = (0..name.len()).filter(|&position| is_separator(name[position]));
        commas
            .filter(|&position| {
                Dn::parse(&name[position + 1..]).is_ok_and(|tail| tail.normal_rdns(usize::MAX) == of)
            })
            .max()
    }

    proptest! {
        #[test]
        fn it_finds_what_trying_every_end_finds(
            front in "[a-c=,;+\"\\\\ ]{0,12}",
            pieces in prop::collection::vec(prop::sample::select(vec![
                "dc=a", "DC = a ", "o=a\\,b", "o=\"a,b\"", "o=a\\2cb", "cn=x+o=y", "o=y+cn=x", "dc=b", "x", "\"",
            ]), 0..4),
            of in prop::sample::select(vec!["dc=a", "dc=a,dc=b", "o=a\\,b,dc=a", "cn=x+o=y", "dc=b,o=a\\,b"]),
        ) {
            let name = [vec![front.as_str()], pieces].concat().join(",");
            let of = base(of);
            let found = Unescaped::new(name.as_bytes()).before(&of).map(<[u8]>::len);
            prop_assert_eq!(found, by_trying(name.as_bytes(), &of), "{}", name);
        }
    }
}
