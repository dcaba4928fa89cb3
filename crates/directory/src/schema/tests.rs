use std::collections::HashSet;

use super::*;

#[test]
fn attributes_are_found_by_every_name() {
    for description in [
        &b"cn"[..],
        b"CN",
        b"commonName",
        b"2.5.4.3",
        b"OID.2.5.4.3",
        b"oid.2.5.4.3",
        b"COMMONNAME;binary",
        b" cn ",
    ] {
        assert_eq!(
            attribute_type(description).map(|attribute| attribute.name),
            Some("cn")
        );
        assert_eq!(canonical_name(description), "cn");
    }
    assert_eq!(canonical_name(b"sAMAccountName"), "samaccountname");
    assert_eq!(canonical_name(b"rfc822Mailbox"), "mail");
    assert_eq!(canonical_name(b"userid"), "uid");
    assert_eq!(canonical_name(b"domainComponent"), "dc");
    assert_eq!(canonical_name(b"gn"), "givenname");
}

#[test]
fn options_but_binary_make_a_subtype() {
    for description in [&b"cn;lang-en"[..], b"CN;binary;x", b"cn;", b"2.5.4.3;x-y"] {
        assert!(attribute_type(description).is_none());
        assert_eq!(syntax_of(description), Syntax::AccountName);
    }
    assert_eq!(canonical_name(b"CN;lang-EN"), "cn;lang-en");
    for description in [&b"jpegPhoto;binary"[..], b"JPEGPHOTO;Binary"] {
        assert_eq!(canonical_name(description), "jpegphoto");
    }
    assert_eq!(canonical_name(b"userCertificate;binary"), "usercertificate");
    // Classes and rules have no options.
    assert!(object_class(b"person;x").is_none());
    assert!(matching_rule(b"caseIgnoreMatch;x").is_none());
}

#[test]
fn custom_attributes_are_known_by_their_lower_case() {
    assert!(attribute_type(b"extraAttribute").is_none());
    assert_eq!(canonical_name(b"extraAttribute;x-y"), "extraattribute;x-y");
    assert_eq!(syntax_of(b"extraAttribute"), Syntax::DirectoryString);
    let long = "A".repeat(500);
    assert_eq!(canonical_name(long.as_bytes()), "a".repeat(500));
    assert_eq!(canonical_name(b"\xff"), "\u{fffd}");
    assert_eq!(canonical_name(b""), "");
    assert_eq!(canonical_name("é".as_bytes()), "é");
}

#[test]
fn classes_and_rules_are_found_by_name_and_oid() {
    assert_eq!(
        object_class(b"GOAUTHENTIK.IO/ldap/User").map(|class| class.name),
        Some("goauthentik.io/ldap/user")
    );
    assert_eq!(object_class(b"2.5.6.6").map(|class| class.name), Some("person"));
    assert_eq!(
        matching_rule(b"caseignorematch").map(|rule| rule.oid),
        Some("2.5.13.2")
    );
    assert_eq!(
        matching_rule(IN_CHAIN.as_bytes()).map(|rule| rule.comparison),
        Some(Comparison::InChain)
    );
    assert!(matching_rule(b"1.2.3").is_none());
}

#[test]
fn names_and_oids_are_unambiguous_and_keys_are_the_lower_case_names() {
    let mut names = HashSet::new();
    for attribute in ATTRIBUTE_TYPES {
        assert_eq!(attribute.key, attribute.name.to_ascii_lowercase());
        for name in [attribute.name, attribute.oid].iter().chain(attribute.names) {
            assert!(names.insert(name.to_ascii_lowercase()), "{name}");
            assert!(name.len() <= MAX_NAME);
        }
    }
    let mut names = HashSet::new();
    for class in OBJECT_CLASSES {
        assert_eq!(class.key, class.name.to_ascii_lowercase());
        assert!(
            names.insert(class.key) && names.insert(class.oid),
            "{}",
            class.name
        );
    }
    let mut names = HashSet::new();
    for rule in MATCHING_RULES {
        assert!(names.insert(rule.name) && names.insert(rule.oid), "{}", rule.name);
    }
}

#[test]
fn the_short_names_of_dns_and_of_the_schema_agree() {
    use akldap_ldap::dn::Dn;
    for attribute in ATTRIBUTE_TYPES {
        for name in [attribute.oid].iter().chain(attribute.names) {
            let normal = Dn::parse(format!("{name}=x").as_bytes()).unwrap().normal_form();
            let expected = format!("{}=x", attribute.key).into_bytes();
            if [
                "cn", "sn", "c", "l", "st", "street", "o", "ou", "uid", "dc", "mail",
            ]
            .contains(&attribute.key)
            {
                assert_eq!(normal, expected);
            }
        }
    }
}

#[test]
fn rules_apply_to_the_attributes_they_can_compare() {
    let rule = |name: &str| matching_rule(name.as_bytes()).unwrap();
    assert!(rule("caseExactMatch").applies_to(Syntax::DirectoryString));
    assert!(rule("caseIgnoreMatch").applies_to(Syntax::Ia5String));
    assert!(!rule("caseIgnoreMatch").applies_to(Syntax::Integer));
    assert!(rule("integerMatch").applies_to(Syntax::Integer));
    assert!(rule(BIT_AND).applies_to(Syntax::Integer));
    assert!(rule(IN_CHAIN).applies_to(Syntax::DistinguishedName));
    assert!(!rule(IN_CHAIN).applies_to(Syntax::DirectoryString));
}
