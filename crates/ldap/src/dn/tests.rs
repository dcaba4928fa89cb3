use proptest::prelude::*;

use super::*;

fn dn(string: &str) -> Dn {
    Dn::parse(string.as_bytes()).unwrap()
}

fn normal(string: &str) -> String {
    String::from_utf8(dn(string).normal_form()).unwrap()
}

#[test]
fn spellings_of_one_name_have_one_normal_form() {
    let plain = normal("cn=doe\\, john,ou=users,dc=example");
    for spelling in [
        "CN=Doe\\2C John , OU = users, DC=Example",
        "commonName=\"DOE, john\";2.5.4.11=users;dc=example",
        "OID.2.5.4.3=doe\\, john,ou=#04057573657273,dc=EXAMPLE",
        "cn=doe\\2c\\20john,ou=users,dc=example",
    ] {
        assert_eq!(normal(spelling), plain, "{spelling}");
    }
    assert_eq!(normal("uid=a+cn=b,dc=x"), normal("CN=B + UID=a,dc=x"));
    assert_ne!(normal("cn=a,dc=x"), normal("cn=a\\,dc\\=x"));
    for other in [
        "cn=doe\\,  john",
        "cn=\\ doe\\, john",
        "cn=doe\\,\u{a0}john",
        "cn=ｄoe\\, john",
        "cn=do\u{200b}e\\, john",
    ] {
        assert_ne!(normal(&format!("{other},ou=users,dc=example")), plain, "{other}");
    }
    assert_eq!(normal(""), "");
    assert_eq!(normal("  "), "");
}

#[test]
fn the_oid_prefix_belongs_to_numbers_only() {
    for (name, expected) in [
        ("OID.=x", "oid.=x"),
        ("oid.OID.2.5.4.3=x", "oid.oid.2.5.4.3=x"),
        ("oid.cn=x", "oid.cn=x"),
        ("OID.2.5.4.3=x", "cn=x"),
        ("oid.9.9=x", "9.9=x"),
    ] {
        assert_eq!(normal(name), expected);
        assert_eq!(normal(expected), expected);
    }
}

#[test]
fn escaped_outer_spaces_and_hashes_survive() {
    let name = dn("cn=\\ a \\ ,dc=x");
    assert_eq!(name.rdns[0].assertions[0].value, b" a  ");
    assert_eq!(name.to_string(), "cn=\\ a \\ ,dc=x");
    assert_eq!(dn("cn=\\#1,dc=x").rdns[0].assertions[0].value, b"#1");
    assert_eq!(escape(b"#a#,+\"\\<>; "), b"\\#a#\\,\\+\\\"\\\\\\<\\>\\;\\ ");
    assert_eq!(escape(b"a\nb\xff"), b"a\\0ab\\ff");
    assert_eq!(escape("zoë".as_bytes()), "zoë".as_bytes());
}

#[test]
fn malformed_names_are_refused_with_their_reason() {
    for (string, error) in [
        ("alice", DnError::MissingEquals),
        ("cn=alice,users,dc=x", DnError::MissingEquals),
        ("=a", DnError::BadAttribute),
        ("c n=a", DnError::BadAttribute),
        ("cn=a\\", DnError::BadEscape),
        ("cn=a\\zz", DnError::BadEscape),
        ("cn=#0", DnError::BadHex),
        ("cn=#0405", DnError::BadHex),
        ("cn=\"a", DnError::UnclosedQuote),
        ("cn=a,", DnError::MissingEquals),
    ] {
        assert_eq!(Dn::parse(string.as_bytes()), Err(error), "{string}");
    }
    let of = |assertions: usize| vec!["cn=a"; assertions].join("+");
    assert!(Dn::parse(of(MAX_ASSERTIONS).as_bytes()).is_ok());
    assert_eq!(
        Dn::parse(of(MAX_ASSERTIONS + 1).as_bytes()),
        Err(DnError::TooManyAssertions)
    );
}

#[test]
fn below_counts_levels_and_not_letters() {
    let base = dn("DC=ldap,DC=goauthentik,DC=io");
    assert_eq!(dn("dc=LDAP, dc=goauthentik,dc=io").below(&base), Some(&[][..]));
    let user = dn("cn=alice,ou=users,dc=ldap,dc=goauthentik,dc=io");
    let levels = user.below(&base).unwrap();
    assert_eq!(levels[0].value_of("cn"), Some(&b"alice"[..]));
    assert_eq!(levels[1].value_of("ou"), Some(&b"users"[..]));
    assert!(dn("xdc=ldap,dc=goauthentik,dc=io").below(&base).is_none());
    assert!(dn("dc=goauthentik,dc=io").below(&base).is_none());
    assert_eq!(
        user.parent().unwrap().to_string(),
        "ou=users,dc=ldap,dc=goauthentik,dc=io"
    );
}

proptest! {
    #[test]
    fn the_normal_form_is_idempotent_and_survives_writing(values in prop::collection::vec("\\PC{0,8}", 1..4)) {
        let name = Dn {
            rdns: values
                .iter()
                .map(|value| Rdn {
                    assertions: vec![AttributeTypeAndValue { attribute: "CN".into(), value: value.clone().into_bytes() }],
                })
                .collect(),
        };
        let normal = name.normal_form();
        prop_assert_eq!(Dn::parse(&normal).unwrap().normal_form(), normal);
        let written = Dn::parse(name.to_string().as_bytes()).unwrap();
        prop_assert_eq!(written, name);
    }

    #[test]
    fn any_octets_parse_or_fail_without_panic(octets in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(name) = Dn::parse(&octets) {
            let normal = name.normal_form();
            prop_assert_eq!(Dn::parse(&normal).unwrap().normal_form(), normal);
        }
    }
}
