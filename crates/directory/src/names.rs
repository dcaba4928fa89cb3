//! Names of accounts and groups are distinguished by everything but case, however they are asked for, as authentik
//! distinguishes them.

use proptest::prelude::*;

use super::{Builder, GroupRecord, Tree, compare};
use crate::fixture::*;
use akldap_ldap::dn;
use akldap_ldap::dn::Name;
use akldap_ldap::filter::{AttributeValueAssertion, Filter, MatchingRuleAssertion, SubstringFilter};
use akldap_ldap::message::{Scope, SearchRequest};
use akldap_ldap::response::ResultCode;

use super::{Search, SearchControls, Viewer};

/// Names that look alike or that other matching rules take for the same; those in one row differ only in case.
const NAMES: &[&[&str]] = &[
    &["alice", "ALICE", "Alice"],
    &["ａlice"],
    &["al\u{200b}ice"],
    &["al\u{ad}ice"],
    &["аlice"],
    &["alice\u{0}"],
    &["zoë", "ZOË"],
    &["zoe\u{308}", "ZOE\u{308}"],
    &["a b", "A B"],
    &["a  b"],
    &["a\u{a0}b"],
    &["straße"],
    &["strasse", "STRASSE"],
    &["kelvin", "\u{212a}elvin"],
    &["ﬁne"],
    &["fine"],
    &["γιώργος", "ΓΙΏΡΓΟΣ"],
];

/// Rules of other attributes that fold more than case, or less.
const RULES: &[&str] = &[
    "caseIgnoreMatch",
    "caseIgnoreIA5Match",
    "telephoneNumberMatch",
    "objectIdentifierMatch",
    "objectIdentifierFirstComponentMatch",
    "caseExactMatch",
    "caseExactIA5Match",
];

struct Names {
    snapshot: std::sync::Arc<super::Snapshot>,
    tree: std::sync::Arc<Tree>,
}

impl Names {
    /// A directory of users with these names, each in its own group of the same name.
    fn of(names: &[&str]) -> Self {
        let mut builder = Builder::new();
        for (pk, name) in (1..).zip(names) {
            add_user(&mut builder, pk, name, "{}");
            let uuid = uuid::Uuid::from_u128(pk as u128).to_string();
            builder.add_group(&GroupRecord {
                uuid: &uuid,
                num_pk: Some(pk),
                name,
                users: &[pk],
                ..GroupRecord::default()
            });
        }
        Self {
            snapshot: std::sync::Arc::new(builder.finish().unwrap().0),
            tree: tree(),
        }
    }

    /// The names of the entries of a container that a filter finds.
    fn found(&self, container: &str, filter: Filter<'_>) -> Vec<String> {
        let base = format!("ou={container},{BASE}");
        let entries = self.search(base.as_bytes(), Scope::SingleLevel, filter);
        let mut names: Vec<String> = entries
            .unwrap_or_default()
            .iter()
            .map(|entry| entry.get("cn").concat())
            .collect();
        names.sort();
        names
    }

    fn search(&self, base: &[u8], scope: Scope, filter: Filter<'_>) -> Result<Vec<Returned>, ResultCode> {
        let request = SearchRequest {
            scope,
            ..subtree_request(base, filter, vec![b"cn"])
        };
        let mut search = Search::new(
            std::sync::Arc::clone(&self.snapshot),
            std::sync::Arc::clone(&self.tree),
            Viewer::Full,
            &request,
            &SearchControls::default(),
        )
        .map_err(|refused| refused.code)?;
        Ok(drive(&mut search, (1 << 20, 1 << 30)).0)
    }
}

/// Go's `strings.EqualFold`, by which authentik's own outpost compares, for the characters in use here.
fn fold(character: char) -> char {
    match character {
        'ſ' => 's',
        'ς' => 'σ',
        '\u{212a}' => 'k',
        other => other.to_lowercase().next().unwrap_or(other),
    }
}

fn equality<'a>(attribute: &'a str, value: &'a str) -> Filter<'a> {
    Filter::Equality(AttributeValueAssertion {
        attribute: attribute.as_bytes(),
        value: value.as_bytes(),
    })
}

fn by_rule<'a>(attribute: Option<&'a str>, rule: &'a str, value: &'a str, dn: bool) -> Filter<'a> {
    Filter::Extensible(MatchingRuleAssertion {
        matching_rule: Some(rule.as_bytes()),
        attribute: attribute.map(str::as_bytes),
        value: value.as_bytes(),
        dn_attributes: dn,
    })
}

/// Asks for a name in every possible way; `same` are all names that are equal except for case.
fn check(names: &Names, asked: &str, same: &[&str]) {
    let mut same: Vec<&str> = same.to_vec();
    same.sort_unstable();
    let parts = || {
        Filter::Substrings(SubstringFilter {
            attribute: b"cn",
            initial: Some(asked.as_bytes()),
            any: vec![],
            last: None,
        })
    };
    for attribute in ["cn", "commonName", "sAMAccountName"] {
        for container in ["users", "groups", "virtual-groups"] {
            assert_eq!(
                names.found(container, equality(attribute, asked)),
                same,
                "{attribute} {asked:?}"
            );
        }
    }
    assert_eq!(
        names.found("groups", equality("memberUid", asked)),
        same,
        "{asked:?}"
    );
    assert_eq!(
        names.found("virtual-groups", equality("memberUid", asked)),
        same,
        "{asked:?}"
    );
    let among = |found: Vec<String>, what: &str| {
        let foreign = found.iter().find(|found| !same.contains(&found.as_str()));
        assert_eq!(foreign, None, "{what} {asked:?}");
    };
    for rule in RULES {
        for dn in [false, true] {
            for attribute in [Some("cn"), Some("sAMAccountName"), Some("memberUid"), None] {
                let filter = by_rule(attribute, rule, asked, dn);
                among(names.found("groups", filter.clone()), rule);
                among(names.found("users", filter), rule);
            }
        }
    }
    let foreign = names.found("users", parts()).into_iter().find(|found| {
        let asked: Vec<char> = asked.chars().map(fold).collect();
        !found.chars().map(fold).collect::<Vec<char>>().starts_with(&asked)
    });
    assert_eq!(foreign, None, "{asked:?}*");
    // Names in names: the entry itself, otherwise all that differ in case.
    let escaped = String::from_utf8(dn::escape(asked.as_bytes())).unwrap();
    let exact: Vec<&str> = if same.contains(&asked) {
        vec![asked]
    } else {
        same.clone()
    };
    let dn = format!("cn={escaped},ou=users,{BASE}");
    for attribute in ["member", "uniqueMember"] {
        assert_eq!(
            names.found("groups", equality(attribute, &dn)),
            exact,
            "{attribute}={dn:?}"
        );
    }
    let group = format!("cn={escaped},ou=groups,{BASE}");
    assert_eq!(
        names.found("users", equality("memberOf", &group)),
        exact,
        "memberOf={group:?}"
    );
    assert_eq!(
        names.found("users", equality("entryDN", &dn)),
        exact,
        "entryDN={dn:?}"
    );
    let base = names.search(dn.as_bytes(), Scope::BaseObject, Filter::And(vec![]));
    match exact.first() {
        Some(name) => assert_eq!(base.unwrap()[0].get("cn"), [*name], "{dn:?}"),
        None => assert_eq!(base.unwrap_err(), ResultCode::NoSuchObject, "{dn:?}"),
    }
    let compared = compare(
        &names.snapshot,
        &names.tree,
        Viewer::Full,
        &Name::new(dn.as_bytes()),
        b"cn",
        asked.as_bytes(),
    );
    let expected = if exact.is_empty() {
        ResultCode::NoSuchObject
    } else {
        ResultCode::CompareTrue
    };
    assert_eq!(compared.code, expected, "{dn:?}");
}

#[test]
fn look_alikes_are_somebody_else() {
    let all: Vec<&str> = NAMES.concat();
    let everybody = Names::of(&all);
    for row in NAMES {
        for name in *row {
            check(&everybody, name, row);
        }
    }
    // If only one of them exists, no other name finds it.
    for row in NAMES {
        let names = Names::of(&row[..1]);
        for other in NAMES {
            for asked in *other {
                let same = if other == row { &row[..1] } else { &[] };
                check(&names, asked, same);
            }
        }
    }
}

/// The containers have names too.
#[test]
fn containers_and_bases_are_called_as_they_are() {
    let names = Names::of(&["alice"]);
    for base in [
        format!("cn=alice,ou=ｕsers,{BASE}"),
        format!("cn=alice,ou=us\u{200b}ers,{BASE}"),
        "cn=alice,ou=users,dc=ldap,dc=goauthentik,dc=ｉo".to_owned(),
        "cn=alice,ou=users,dc=ld\u{ad}ap,dc=goauthentik,dc=io".to_owned(),
    ] {
        let found = names.search(base.as_bytes(), Scope::BaseObject, Filter::And(vec![]));
        assert_eq!(found.unwrap_err(), ResultCode::NoSuchObject, "{base:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn two_names_are_one_if_they_differ_in_case_only(
        name in "[a-cA-CäÄ\u{61}\u{308}ﬁß\u{200b} １ſK]{1,5}",
        asked in "[a-cA-CäÄ\u{61}\u{308}ﬁß\u{200b} １ſK]{1,5}",
    ) {
        let equal = name.chars().map(fold).eq(asked.chars().map(fold));
        let same = [name.as_str()];
        check(&Names::of(&same), &asked, if equal { &same } else { &[] });
        check(&Names::of(&same), &name, &same);
        check(&Names::of(&same), &name.to_ascii_uppercase(), &same);
    }
}
