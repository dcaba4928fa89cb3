//! Whatever a bound client asks of a given directory, the work is linear in the octets of the request: counted in
//! steps, for requests of one size and of eight times that.

use super::{Search, SearchControls, Viewer};
use crate::fixture::*;
use akldap_ldap::control::{DerefSpec, SortKey, VlvRequest, VlvTarget};
use akldap_ldap::filter::{AttributeValueAssertion, Filter, MatchingRuleAssertion, SubstringFilter};
use akldap_ldap::steps;

const SMALL: usize = 4_000;
const TIMES: usize = 8;

fn fill(piece: &str, octets: usize) -> String {
    piece.repeat(octets / piece.len())
}

fn steps_of(base: &str, filter: Filter<'_>, attributes: &[&str], controls: &SearchControls) -> u64 {
    let attributes = attributes.iter().map(|name| name.as_bytes()).collect();
    let request = subtree_request(base.as_bytes(), filter, attributes);
    let (snapshot, tree) = (snapshot(), tree());
    // Indexes that are built at the first use do not count for this request.
    let run = || {
        let search = Search::new(
            std::sync::Arc::clone(&snapshot),
            std::sync::Arc::clone(&tree),
            Viewer::Full,
            &request,
            controls,
        );
        if let Ok(mut search) = search {
            drive(&mut search, (1 << 30, usize::MAX / 2));
        }
    };
    run();
    steps::count(run).1
}

fn assert_linear(name: &str, steps: impl Fn(usize) -> u64) {
    let (small, large) = (steps(SMALL), steps(SMALL * TIMES));
    assert!(
        large <= small * TIMES as u64 * 11 / 10 + 20 * steps::FIXED,
        "{name}: {small} steps, {large} for {TIMES} times the octets"
    );
}

#[test]
fn names_in_bases() {
    for (front, piece, end) in [
        ("x", ",a=b", ""),
        ("x", ",a=b", ",dc=ldap,dc=goauthentik,dc=io"),
        ("cn=a", ",a=b", ",dc=ldap,dc=goauthentik,dc=io"),
        ("cn=a", ",", ",ou=users,dc=ldap,dc=goauthentik,dc=io"),
        ("cn=a", "+a=b", ",ou=users,dc=ldap,dc=goauthentik,dc=io"),
        ("cn=a", "\\2c", ",ou=users,dc=ldap,dc=goauthentik,dc=io"),
        ("cn=a", "Ä", ",ou=users,dc=ldap,dc=goauthentik,dc=io"),
        ("cn=a", "\u{fdfa}", ",ou=users,dc=ldap,dc=goauthentik,dc=io"),
        ("cn=\"a", "\",\"", ",ou=users,dc=ldap,dc=goauthentik,dc=io"),
    ] {
        let name = |octets| format!("{front}{}{end}", fill(piece, octets));
        assert_linear(&name(20), |octets| {
            steps_of(
                &name(octets),
                Filter::Present(b"cn"),
                &["1.1"],
                &SearchControls::default(),
            )
        });
        for attribute in [
            "member",
            "memberOf",
            "entryDN",
            "memberUid",
            "cn",
            "uid",
            "seeAlso",
            "manager",
        ] {
            assert_linear(&format!("{attribute}={}", name(20)), |octets| {
                let value = name(octets);
                let filter = Filter::Equality(AttributeValueAssertion {
                    attribute: attribute.as_bytes(),
                    value: value.as_bytes(),
                });
                steps_of(BASE, filter, &["1.1"], &SearchControls::default())
            });
        }
    }
}

#[test]
fn filters() {
    let member = format!("cn=staff,ou=groups,{BASE}");
    let equality = |attribute: &'static str, value| {
        Filter::Equality(AttributeValueAssertion {
            attribute: attribute.as_bytes(),
            value,
        })
    };
    let in_chain = |value| {
        Filter::Extensible(MatchingRuleAssertion {
            matching_rule: Some(b"1.2.840.113556.1.4.1941"),
            attribute: Some(b"memberOf"),
            value,
            dn_attributes: false,
        })
    };
    let anywhere = Filter::Extensible(MatchingRuleAssertion {
        matching_rule: Some(b"2.5.13.2"),
        attribute: None,
        value: b"x",
        dn_attributes: true,
    });
    for (name, each) in [
        ("members", equality("member", member.as_bytes())),
        ("names", equality("cn", b"nobody")),
        ("member names", equality("memberUid", b"alice")),
        ("numbers", equality("uidNumber", b"7")),
        ("chains", in_chain(member.as_bytes())),
        ("all attributes", anywhere),
        ("presence", Filter::Present(b"mail")),
    ] {
        let size = each.size();
        assert_linear(name, |octets| {
            let filters = vec![Filter::Not(Box::new(each.clone())); octets / size];
            steps_of(BASE, Filter::And(filters), &["1.1"], &SearchControls::default())
        });
        assert_linear(name, |octets| {
            let filters = vec![each.clone(); octets / size];
            steps_of(BASE, Filter::Or(filters), &["1.1"], &SearchControls::default())
        });
    }
    for part in ["", "e", "zz", "\u{fdfa}"] {
        assert_linear(part, |octets| {
            let filter = Filter::Substrings(SubstringFilter {
                attribute: b"displayName",
                initial: None,
                any: vec![part.as_bytes(); octets / (part.len() + 2)],
                last: None,
            });
            steps_of(BASE, filter, &["1.1"], &SearchControls::default())
        });
    }
}

#[test]
fn what_is_asked_of_each_entry() {
    for name in [
        "cn",
        "zz",
        "@inetOrgPerson",
        "@posixAccount",
        "userid",
        "1.1",
        "+",
        ",",
    ] {
        assert_linear(name, |octets| {
            let names = vec![name; octets / (name.len() + 2)];
            steps_of(BASE, Filter::Present(b"cn"), &names, &SearchControls::default())
        });
    }
    assert_linear("a sort key", |octets| {
        let controls = SearchControls {
            sort: Some(vec![SortKey {
                attribute: fill("cn;x", octets).into_bytes(),
                ordering_rule: None,
                reverse_order: false,
            }]),
            ..SearchControls::default()
        };
        steps_of(BASE, Filter::Present(b"cn"), &["1.1"], &controls)
    });
    assert_linear("a list view target", |octets| {
        let controls = SearchControls {
            sort: Some(vec![SortKey {
                attribute: b"displayName".to_vec(),
                ordering_rule: None,
                reverse_order: false,
            }]),
            vlv: Some(VlvRequest {
                before_count: 1,
                after_count: 1,
                target: VlvTarget::GreaterOrEqual(fill("\u{fdfa}", octets).into_bytes()),
                context_id: None,
            }),
            ..SearchControls::default()
        };
        steps_of(BASE, Filter::Present(b"cn"), &["1.1"], &controls)
    });
    assert_linear("what is dereferenced", |octets| {
        let controls = SearchControls {
            deref: Some(vec![DerefSpec {
                deref_attribute: b"member".to_vec(),
                attributes: vec![fill("@person,", octets).into_bytes()],
            }]),
            ..SearchControls::default()
        };
        steps_of(BASE, Filter::Present(b"cn"), &["1.1"], &controls)
    });
}
