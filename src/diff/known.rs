//! The intended differences from authentik's own LDAP outpost: the rules of `docs/differences.md`, and how a difference is
//! recognised as one of them.
//!
//! A rule applies only if the other server is that outpost. That attributes and values come in any order applies to all.

use super::difference::{Difference, DifferenceKind, Side};
use super::name;
use super::rules::*;
use super::search::{ComparedSearch, SearchScope};

/// Names that it does not know for attributes it has.
const FURTHER_NAMES: [&str; 3] = ["commonName", "surname", "userid"];

/// The search that a difference was found in, and how it ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<'a> {
    /// The search.
    pub search: &'a ComparedSearch,
    /// The base DN of the directory.
    pub base: &'a str,
    /// The result code here.
    pub our_code: Option<i64>,
    /// The result code there.
    pub their_code: Option<i64>,
    /// How many entries came there.
    pub their_entries: usize,
}

/// Whether a difference follows a rule.
type Follows = fn(&Case<'_>, &Difference) -> bool;

/// The rules that are recognised, in the order in which they are tried. That a timestamp is the moment of the answer cannot be
/// seen in it, so there is none for [`TIMESTAMPS`]; the two about orders are counted, not recognised.
const RECOGNISED: &[(Rule, Follows)] = &[
    (CONNECTION_STAYS, |case, difference| {
        let failed = case.their_code != Some(0);
        failed && matches!(difference, Difference::Closed { ours: false })
    }),
    (ROOT_DSE, |_, difference| difference.dn() == Some(b"")),
    (SCHEMA, |case, difference| {
        let is_schema = |dn: &[u8]| dn.eq_ignore_ascii_case(b"cn=subschema");
        let about_code = difference.kind() == DifferenceKind::Code && is_schema(case.search.base.as_bytes());
        difference.dn().is_some_and(is_schema) || about_code
    }),
    (EVALUATED, |case, difference| {
        let signs = [">=", "<=", "~=", ":=", "\\29"];
        let evaluated = signs.iter().any(|sign| case.search.filter.contains(sign));
        evaluated && case.is_error_there(difference)
    }),
    (MEMBER_SPELLING, |case, difference| {
        case.filter_names(&["member", "memberOf"]) && case.is_error_there(difference)
    }),
    (UNBOUND, |case, difference| {
        let refused = case.search.unbound && case.our_code == Some(50) && case.their_entries == 0;
        refused && difference.kind() == DifferenceKind::Code
    }),
    (NO_SUCH_BASE, |case, difference| {
        case.is_empty_success_there(difference, 32)
    }),
    (NO_BASE, |case, difference| {
        case.is_empty_success_there(difference, 34)
    }),
    (SIZE_LIMIT, |case, difference| {
        let cut = usize::try_from(case.search.size_limit) == Ok(case.their_entries);
        let codes = (case.our_code, case.their_code) == (Some(4), Some(0));
        cut && codes && difference.kind() == DifferenceKind::Code
    }),
    (TYPES_ONLY, |case, difference| {
        let Difference::Attribute { ours, .. } = difference else {
            return false;
        };
        case.search.types_only && ours.is_there && ours.values.is_empty()
    }),
    (CONTAINERS, |case, difference| {
        let is_container = |dn: &[u8]| {
            let ends_so = name::normal_form(dn).ends_with(&name::normal_form(case.base.as_bytes()));
            ends_so
                && (is_name(dn, case.base)
                    || dn
                        .get(..3)
                        .is_some_and(|start| start.eq_ignore_ascii_case(b"ou=")))
        };
        let is_attribute = matches!(
            difference.kind(),
            DifferenceKind::Attribute | DifferenceKind::Spelling
        );
        is_attribute && difference.dn().is_some_and(is_container)
    }),
    (ESCAPED, |_, difference| match difference {
        Difference::Name { ours, theirs } => is_escaped_here(ours, theirs),
        Difference::Attribute { ours, theirs, .. } => are_escaped_here(ours, theirs),
        _ => false,
    }),
    (COMMAS_FOUND, |case, difference| {
        let by_name = matches!(case.search.scope, SearchScope::Base | SearchScope::One);
        let code = difference.kind() == DifferenceKind::Code
            && case.their_entries == 0
            && has_comma(&case.search.base);
        by_name && (is_more(difference, |dn| dn.contains(&b'\\')) || code)
    }),
    (EMPTY_BASE, |case, difference| {
        let below = case.search.base.is_empty() && case.search.scope != SearchScope::Base;
        below && is_more(difference, |_| true)
    }),
    (DN_MATCH, |case, difference| {
        let spelled = |text: &str| {
            ["CN=", "OU=", ", ou=", ", dc="]
                .iter()
                .any(|odd| text.contains(odd))
        };
        (spelled(&case.search.base) || spelled(&case.search.filter)) && is_more(difference, |_| true)
    }),
    (CLASSES, |case, difference| {
        let filter = case.search.filter.to_lowercase();
        let several = filter.starts_with("(|(objectclass=user)") || filter.starts_with("(!(objectclass=");
        several && is_more(difference, |dn| !is_in(dn, "virtual-groups"))
    }),
    (UNKNOWN_CLASS, |case, difference| {
        let filter = case.search.filter.to_lowercase();
        filter.contains("(|(objectclass=") && is_more(difference, |dn| is_in(dn, "groups"))
    }),
    (OPERATIONAL, |case, difference| match difference {
        Difference::Attribute {
            name, ours, theirs, ..
        } => {
            let is_added = ADDED
                .iter()
                .any(|added| name.eq_ignore_ascii_case(added.as_bytes()));
            is_added && ours.is_there && !theirs.is_there
        }
        Difference::More(_) => case.filter_names(&ADDED),
        _ => false,
    }),
    (PLUS, |case, difference| {
        let asked = case.search.attributes.iter().any(|name| name == "+");
        asked
            && matches!(difference, Difference::Attribute { ours, theirs, .. } if ours.is_there && !theirs.is_there)
    }),
    (PARENTS, |case, difference| match difference {
        Difference::Attribute {
            dn,
            name,
            ours,
            theirs,
        } => {
            let added = !ours.values.is_empty() && theirs.values.is_empty();
            added && name.eq_ignore_ascii_case(b"memberOf") && is_in(dn, "groups")
        }
        Difference::More(entry) => case.filter_names(&["memberOf"]) && is_in(&entry.dn, "groups"),
        _ => false,
    }),
    (PRESENCE, |case, difference| {
        let filter = case.search.filter.to_lowercase();
        let asked = filter.contains("(mail=*)") || filter.contains("(memberof=*)");
        asked && difference.kind() == DifferenceKind::Missing
    }),
    (SUBSTRINGS, |case, difference| {
        let values = case
            .search
            .filter
            .split(['(', ')'])
            .filter_map(|item| item.split_once('='));
        let mut parts = values.map(|(_, value)| value.split('*').filter(|part| !part.is_empty()).count());
        parts.any(|count| count > 1) && difference.kind() == DifferenceKind::Missing
    }),
    (DESCRIPTIONS, |case, difference| {
        let mut asked = case.search.attributes.iter();
        let odd = asked.any(|name| name.contains([',', ';', '.']) || FURTHER_NAMES.contains(&name.as_str()));
        odd && matches!(
            difference.kind(),
            DifferenceKind::Attribute | DifferenceKind::Spelling
        )
    }),
    (PAGES, |case, difference| {
        case.search.page.is_some() && difference.kind() == DifferenceKind::Order
    }),
];

/// The rule that a difference from authentik's own outpost follows.
pub(super) fn recognise(case: &Case<'_>, difference: &Difference) -> Option<Rule> {
    let mut rules = RECOGNISED.iter();
    rules
        .find(|(_, follows)| follows(case, difference))
        .map(|(rule, _)| *rule)
}

impl Case<'_> {
    fn filter_names(&self, attributes: &[&str]) -> bool {
        let filter = self.search.filter.to_lowercase();
        let mut names = attributes.iter();
        names.any(|name| filter.contains(&format!("({}=", name.to_lowercase())))
    }

    /// The other server does not carry the search out at all.
    fn is_error_there(&self, difference: &Difference) -> bool {
        let error = self.their_code == Some(1) && self.our_code == Some(0);
        error && matches!(difference.kind(), DifferenceKind::Code | DifferenceKind::More)
    }

    fn is_empty_success_there(&self, difference: &Difference, code: i64) -> bool {
        let codes = self.our_code == Some(code) && self.their_code == Some(0);
        codes && self.their_entries == 0 && difference.kind() == DifferenceKind::Code
    }
}

fn is_name(dn: &[u8], of: &str) -> bool {
    name::normal_form(dn) == name::normal_form(of.as_bytes())
}

fn is_in(dn: &[u8], container: &str) -> bool {
    let text = String::from_utf8_lossy(dn).to_lowercase();
    text.contains(&format!(",ou={container},"))
}

fn is_more(difference: &Difference, pick: impl Fn(&[u8]) -> bool) -> bool {
    matches!(difference, Difference::More(entry) if pick(&entry.dn))
}

fn has_comma(name: &str) -> bool {
    name.contains("\\,")
        || name.to_lowercase().contains("\\2c")
        || name.split(',').any(|part| !part.contains('='))
}

/// Whether two spellings of a name differ by a backslash that is only here.
fn is_escaped_here(ours: &[u8], theirs: &[u8]) -> bool {
    let bare = |name: &[u8]| {
        name.iter()
            .copied()
            .filter(|octet| *octet != b'\\')
            .collect::<Vec<u8>>()
    };
    ours != theirs && ours.contains(&b'\\') && bare(ours) == bare(theirs)
}

/// The same for the values of an attribute, in any order.
fn are_escaped_here(ours: &Side, theirs: &Side) -> bool {
    let of = |side: &Side| {
        let mut names: Vec<Vec<u8>> = side.values.iter().map(|value| name::normal_form(value)).collect();
        names.sort();
        names
    };
    let some = ours.values.iter().any(|value| value.contains(&b'\\'));
    some && of(ours) == of(theirs)
}

#[cfg(test)]
mod tests {
    use super::super::connection::{OperationEnd, ReceivedEntry};
    use super::*;

    const BASE: &str = "dc=ldap,dc=x";

    fn case<'a>(
        search: &'a ComparedSearch,
        our_code: i64,
        their_code: i64,
        their_entries: usize,
    ) -> Case<'a> {
        Case {
            search,
            base: BASE,
            our_code: Some(our_code),
            their_code: Some(their_code),
            their_entries,
        }
    }

    fn search(text: &str) -> ComparedSearch {
        ComparedSearch::parse("x", text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn attribute(dn: &str, name: &str, ours: Option<&[&str]>, theirs: Option<&[&str]>) -> Difference {
        let side = |values: Option<&[&str]>| Side {
            is_there: values.is_some(),
            values: values
                .unwrap_or_default()
                .iter()
                .map(|value| value.as_bytes().to_vec())
                .collect(),
        };
        Difference::Attribute {
            dn: dn.into(),
            name: name.into(),
            ours: side(ours),
            theirs: side(theirs),
        }
    }

    fn entry(dn: &str) -> ReceivedEntry {
        ReceivedEntry {
            dn: dn.into(),
            attributes: Vec::new(),
        }
    }

    fn code(ours: i64, theirs: i64) -> Difference {
        let outcome = |code| {
            Some(OperationEnd {
                code,
                ..OperationEnd::default()
            })
        };
        Difference::Code {
            ours: outcome(ours),
            theirs: outcome(theirs),
        }
    }

    #[test]
    fn every_rule_is_recognised_by_what_it_does() {
        let walk = "ldap:///dc=ldap,dc=x??sub?";
        let user = "cn=a,ou=users,dc=ldap,dc=x";
        let group = "cn=g,ou=groups,dc=ldap,dc=x";
        let missing = |dn| Difference::Missing(entry(dn));
        let more = |dn| Difference::More(entry(dn));
        let comma = "cn=a\\, b,ou=groups,dc=ldap,dc=x";
        let bare = "cn=a, b,ou=groups,dc=ldap,dc=x";
        let spelled = Difference::Name {
            ours: comma.into(),
            theirs: bare.into(),
        };
        let order = Difference::Order {
            ours: user.into(),
            theirs: group.into(),
        };
        type Example = (Rule, String, (i64, i64, usize), Difference);
        let examples: Vec<Example> = vec![
            (
                CONNECTION_STAYS,
                walk.into(),
                (1, 1, 0),
                Difference::Closed { ours: false },
            ),
            (
                ROOT_DSE,
                "ldap:///".into(),
                (0, 0, 1),
                attribute("", "supportedExtension", Some(&["1"]), None),
            ),
            (
                SCHEMA,
                "ldap:///cn=subschema".into(),
                (0, 0, 1),
                attribute("cn=subschema", "cn", Some(&["x"]), None),
            ),
            (
                SCHEMA,
                "ldap:///cn=subschema????x-unbound".into(),
                (0, 50, 0),
                code(0, 50),
            ),
            (EVALUATED, format!("{walk}(uidNumber>=5)"), (0, 1, 0), code(0, 1)),
            (EVALUATED, format!("{walk}(uidNumber>=5)"), (0, 1, 0), more(user)),
            (
                MEMBER_SPELLING,
                format!("{walk}(memberOf=cn=x)"),
                (0, 1, 0),
                code(0, 1),
            ),
            (UNBOUND, format!("{walk}?x-unbound"), (50, 0, 0), code(50, 0)),
            (
                NO_SUCH_BASE,
                "ldap:///ou=x,dc=ldap,dc=x".into(),
                (32, 0, 0),
                code(32, 0),
            ),
            (NO_BASE, "ldap:///x".into(), (34, 0, 0), code(34, 0)),
            (SIZE_LIMIT, format!("{walk}?x-size=3"), (4, 0, 3), code(4, 0)),
            (
                TYPES_ONLY,
                format!("{walk}?x-types"),
                (0, 0, 3),
                attribute(user, "cn", Some(&[]), Some(&["a"])),
            ),
            (
                CONTAINERS,
                walk.into(),
                (0, 0, 3),
                attribute("ou=users,dc=ldap,dc=x", "ou", Some(&["users"]), None),
            ),
            (
                CONTAINERS,
                walk.into(),
                (0, 0, 3),
                attribute("DC=ldap,DC=x", "dc", Some(&["ldap"]), None),
            ),
            (ESCAPED, walk.into(), (0, 0, 3), spelled),
            (
                ESCAPED,
                walk.into(),
                (0, 0, 3),
                attribute(user, "memberOf", Some(&[comma]), Some(&[bare])),
            ),
            (
                COMMAS_FOUND,
                format!("ldap:///ou=groups,{BASE}??one"),
                (0, 0, 3),
                more(comma),
            ),
            (EMPTY_BASE, "ldap:///??sub".into(), (0, 0, 1), more(user)),
            (
                DN_MATCH,
                format!("ldap:///OU=users,{BASE}??sub"),
                (0, 0, 0),
                more(user),
            ),
            (
                CLASSES,
                format!("{walk}(|(objectClass=user)(objectClass=group))"),
                (0, 0, 3),
                more(user),
            ),
            (
                UNKNOWN_CLASS,
                format!("{walk}(&(|(objectClass=group)(objectClass=x))(cn=*))"),
                (0, 0, 3),
                more(group),
            ),
            (
                OPERATIONAL,
                format!("ldap:///{user}?entryuuid"),
                (0, 0, 1),
                attribute(user, "entryUUID", Some(&["1"]), None),
            ),
            (OPERATIONAL, format!("{walk}(entryUUID=1)"), (0, 0, 0), more(user)),
            (
                PLUS,
                format!("ldap:///{user}?+"),
                (0, 0, 1),
                attribute(user, "createTimestamp", Some(&["1"]), None),
            ),
            (
                PARENTS,
                walk.into(),
                (0, 0, 1),
                attribute(group, "memberOf", Some(&["cn=p"]), Some(&[])),
            ),
            (PRESENCE, format!("{walk}(mail=*)"), (0, 0, 4), missing(user)),
            (SUBSTRINGS, format!("{walk}(cn=a*b)"), (0, 0, 4), missing(user)),
            (
                DESCRIPTIONS,
                format!("ldap:///{user}?commonName"),
                (0, 0, 1),
                attribute(user, "commonName", Some(&["1"]), None),
            ),
            (PAGES, format!("{walk}?x-page=5"), (0, 0, 4), order),
        ];
        for (rule, text, (ours, theirs, entries), difference) in &examples {
            let search = search(text);
            let found = recognise(&case(&search, *ours, *theirs, *entries), difference);
            assert_eq!(found, Some(*rule), "{text} {difference:?}");
        }
        for (rule, _) in RECOGNISED {
            assert!(examples.iter().any(|(tried, ..)| tried == rule), "{rule}");
        }
    }

    #[test]
    fn what_no_rule_explains_is_not_recognised() {
        let user = "cn=a,ou=users,dc=ldap,dc=x";
        let group = "cn=g,ou=groups,dc=ldap,dc=x";
        let walk = search("ldap:///dc=ldap,dc=x??sub");
        for difference in [
            attribute(user, "mail", Some(&["a"]), Some(&["b"])),
            attribute(user, "memberOf", None, Some(&["cn=g"])),
            attribute(user, "memberOf", Some(&["cn=g"]), Some(&[])),
            attribute(group, "memberOf", None, Some(&["cn=p"])),
            attribute(group, "entryUUID", Some(&["1"]), Some(&["2"])),
            Difference::Missing(entry(user)),
            Difference::More(entry(user)),
            Difference::Closed { ours: true },
            code(0, 1),
            code(52, 0),
        ] {
            assert_eq!(
                recognise(&case(&walk, 0, 0, 3), &difference),
                None,
                "{difference:?}"
            );
        }
    }
}
