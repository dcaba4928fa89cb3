//! Assertion values that a syntax does not know: true where such text is stored, otherwise Undefined, so that no
//! negation is true.

use std::collections::HashSet;
use std::sync::Arc;

use crate::fixture::*;
use crate::schema::{self, Syntax};

const CHAIN: &str = "1.2.840.113556.1.4.1941";

/// Values that a syntax knows and values that it does not, none of which any entry of the fixture has; escaped as in
/// filters. `None` for a syntax that knows all octets.
fn samples(syntax: Syntax) -> Option<(Vec<String>, Vec<String>)> {
    let owned = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    let nobody = format!("cn=nobody,ou=users,{SUFFIX}");
    let (known, unknown) = match syntax {
        Syntax::OctetString => return None,
        Syntax::DirectoryString
        | Syntax::CaseExactString
        | Syntax::Ia5String
        | Syntax::AccountName
        | Syntax::TelephoneNumber => (owned(&["nothing such"]), owned(&["\\ff", "zo\\eb", "a\\c3"])),
        Syntax::DistinguishedName => (
            vec![nobody, "dc=elsewhere".to_owned(), String::new()],
            owned(&["nonsense", "cn=a,,b", "cn=a,", "=x", "cn=\\5c", "\\ff"]),
        ),
        Syntax::NameAndOptionalUid => (
            vec![format!("{nobody}#'0101'B"), nobody],
            owned(&["nonsense", "nonsense#'0101'B", "cn=a,,b"]),
        ),
        Syntax::Integer => (
            owned(&["987654321", "-5", "99999999999999999999"]),
            owned(&["", "abc", "1.5", "0x10", "1 2", "--1", "\\ff"]),
        ),
        // Those that are given have either value.
        Syntax::Boolean => (Vec::new(), owned(&["", "1", "yes", "maybe", "tru"])),
        Syntax::GeneralizedTime => (
            owned(&["19010101000000Z", "19010101000000.5+0130"]),
            owned(&["", "1901", "1901-01-01", "19011301000000Z", "yesterday"]),
        ),
        Syntax::Uuid => (
            owned(&[
                "deadbeef-0000-4000-8000-000000000000",
                "deadbeef00004000800000000000beef",
            ]),
            owned(&["", "deadbeef", "g0000000-0000-4000-8000-000000000000", "\\00\\01"]),
        ),
        Syntax::Oid => (
            owned(&["computer", "1.2.3.4", "not/there.yet", "under_score"]),
            owned(&["", "two words", "tab\\09bed", "\\ff"]),
        ),
        Syntax::AttributeTypeDescription
        | Syntax::ObjectClassDescription
        | Syntax::MatchingRuleDescription
        | Syntax::MatchingRuleUseDescription
        | Syntax::LdapSyntaxDescription
        | Syntax::DitContentRuleDescription => (
            owned(&["1.2.3.4", "nosuch", "\\28 1.2.3.4 NAME 'x' \\29"]),
            owned(&["", "two words", "\\ff"]),
        ),
    };
    Some((known, unknown))
}

/// Filters that assert a value of an attribute by its equality and ordering rules.
fn assertions(attribute: &str, syntax: Syntax, value: &str) -> Vec<String> {
    let (equality, ordering, _) = syntax.rules();
    let mut filters = vec![
        format!("({attribute}={value})"),
        format!("({attribute}~={value})"),
        format!("({attribute}:={value})"),
        format!("({attribute}:dn:={value})"),
        format!("({attribute}:{equality}:={value})"),
        format!("({attribute}:dn:{equality}:={value})"),
        format!("(:dn:{equality}:={value})"),
        format!("(:{equality}:={value})"),
    ];
    filters.extend(ordering.map(|ordering| format!("({attribute}:{ordering}:={value})")));
    filters
}

/// A directory and who looks at it.
struct Stage(Query);

impl Stage {
    fn find(&self, filter: &str) -> Vec<String> {
        let mut query = self.0.clone();
        query.filter = filter.to_owned();
        query.names()
    }

    /// What a filter finds, without the virtual groups if the assertion in it names a class: that may hide them.
    fn find_beside(&self, assertion: &str, filter: &str) -> Vec<String> {
        let mut names = self.find(filter);
        if assertion.starts_with("(objectClass") {
            names.retain(|name| !name.ends_with("ou=virtual-groups"));
        }
        names
    }

    /// Checks that an assertion is Undefined for all entries, whatever surrounds it.
    fn is_undefined(&self, assertion: &str) {
        for filter in [
            assertion.to_owned(),
            format!("(!{assertion})"),
            format!("(|{assertion}(!{assertion}))"),
            format!("(!(|{assertion}(cn=alice)))"),
            format!("(&(cn=alice)(!{assertion}))"),
            format!("(!(&(objectClass=*){assertion}))"),
        ] {
            assert_eq!(self.find(&filter), [""; 0], "{filter}");
        }
        for (filter, same) in [
            (format!("(|(cn=alice){assertion})"), "(cn=alice)"),
            (format!("(!(&(cn=alice){assertion}))"), "(!(cn=alice))"),
        ] {
            assert_eq!(
                self.find_beside(assertion, &filter),
                self.find_beside(assertion, same),
                "{filter}"
            );
        }
    }

    /// Checks that an assertion is false for all entries.
    fn is_false(&self, assertion: &str) {
        assert_eq!(self.find(assertion), [""; 0], "{assertion}");
        assert_eq!(
            self.find_beside(assertion, &format!("(!{assertion})")),
            self.find_beside(assertion, "(objectClass=*)"),
            "{assertion}"
        );
    }
}

/// One viewer who sees everything, and one who sees little, for whom candidates are found another way.
fn stages() -> [Stage; 2] {
    let query = query("(objectClass=*)").attributes(&["1.1"]);
    [Stage(query.clone()), Stage(query.own(1))]
}

#[test]
fn a_value_that_the_syntax_does_not_know_is_undefined_for_every_attribute_and_rule() {
    let stages = stages();
    let mut seen = HashSet::new();
    for attribute in schema::ATTRIBUTE_TYPES {
        let Some((_, unknown)) = samples(attribute.syntax) else {
            continue;
        };
        // For the first attribute of a syntax, all of them.
        let count = if seen.insert(attribute.syntax) {
            unknown.len()
        } else {
            1
        };
        for value in unknown.iter().take(count) {
            let mut filters = assertions(attribute.name, attribute.syntax, value);
            filters.push(format!("({}>={value})", attribute.name));
            filters.push(format!("({}<={value})", attribute.name));
            for filter in filters {
                stages.iter().for_each(|stage| stage.is_undefined(&filter));
            }
        }
    }
    assert!(seen.len() >= 15, "{seen:?}");
}

#[test]
fn a_value_that_the_syntax_knows_and_nobody_has_is_false() {
    let stages = stages();
    let mut seen = HashSet::new();
    for attribute in schema::ATTRIBUTE_TYPES {
        let Some((known, _)) = samples(attribute.syntax) else {
            continue;
        };
        let count = if seen.insert(attribute.syntax) {
            known.len()
        } else {
            1
        };
        for value in known.iter().take(count) {
            for filter in assertions(attribute.name, attribute.syntax, value) {
                // Ordering rules find what comes before.
                if !filter.contains("OrderingMatch") && !filter.contains(":dn:") {
                    stages.iter().for_each(|stage| stage.is_false(&filter));
                }
            }
        }
    }
}

#[test]
fn attributes_that_nobody_knows_are_text() {
    for stage in stages() {
        for filter in [
            "(nosuch=x)",
            "(nosuch~=)",
            "(nosuch=x*)",
            "(nosuch>=x)",
            "(nosuch:=x)",
            "(cn;lang-de=x)",
        ] {
            stage.is_false(filter);
        }
        for filter in [
            "(nosuch=\\ff)",
            "(nosuch=\\ff*)",
            "(nosuch>=\\ff)",
            "(nosuch:=\\ff)",
            "(cn;lang-de=\\ff)",
        ] {
            stage.is_undefined(filter);
        }
    }
}

#[test]
fn parts_that_no_value_can_have_are_undefined() {
    for stage in stages() {
        for attribute in [
            "cn",
            "mail",
            "telephoneNumber",
            "objectClass",
            "memberOf",
            "uidNumber",
            "title",
        ] {
            for parts in ["\\ff*", "*\\ff", "*a*\\ff*b*", "a*\\c3"] {
                stage.is_undefined(&format!("({attribute}={parts})"));
            }
            stage.is_false(&format!("({attribute}=*no such*)"));
        }
        // Octets may be anything.
        stage.is_false("(jpegPhoto=\\ff*)");
        stage.is_false("(jpegPhoto=\\ff)");
        stage.is_undefined("(cn:caseIgnoreSubstringsMatch:=*\\ff*)");
        stage.is_undefined("(cn:caseIgnoreSubstringsMatch:=no stars)");
        stage.is_undefined("(:caseIgnoreSubstringsMatch:=*\\ff)");
    }
}

#[test]
fn what_the_rule_of_an_extensible_match_does_not_know_is_undefined() {
    for stage in stages() {
        for filter in [
            "(cn:integerMatch:=abc)",
            "(cn:booleanMatch:=abc)",
            "(cn:uuidMatch:=abc)",
            "(cn:generalizedTimeMatch:=abc)",
            "(cn:distinguishedNameMatch:=abc)",
            "(cn:uniqueMemberMatch:=abc)",
            "(cn:objectIdentifierMatch:=two words)",
            "(cn:caseExactMatch:=\\ff)",
            "(uidNumber:caseIgnoreMatch:=\\ff)",
            "(cn:nosuchrule:=alice)",
            "(:nosuchrule:=alice)",
            "(uidNumber:1.2.840.113556.1.4.803:=two)",
            "(uidNumber:1.2.840.113556.1.4.804:=)",
            "(:1.2.840.113556.1.4.804:=0x2)",
        ] {
            stage.is_undefined(filter);
        }
        for attribute in ["memberOf", "member", "uniqueMember", "manager"] {
            stage.is_undefined(&format!("({attribute}:{CHAIN}:=cn=a,,b)"));
            stage.is_undefined(&format!("({attribute}:dn:{CHAIN}:=nonsense)"));
            for name in ["cn=nobody,ou=groups", "cn=nobody,ou=users", "ou=nowhere"] {
                stage.is_false(&format!("({attribute}:{CHAIN}:={name},{SUFFIX})"));
            }
            stage.is_false(&format!("({attribute}:{CHAIN}:=cn=staff,ou=groups,dc=elsewhere)"));
        }
        stage.is_undefined(&format!("(description:{CHAIN}:=x)"));
        stage.is_undefined(&format!("(:{CHAIN}:=cn=x)"));
    }
}

/// authentik lets admins store anything anywhere: such text is found, and is unknown for the other entries.
#[test]
fn text_that_is_no_value_is_found_where_it_is_stored() {
    let mut builder = builder();
    let junk = r#"{"uidNumber":"Not  a number","gidNumber":"7","manager":"The Boss","objectClass":["My Class"],"seeAlso":"cn=a,,b"}"#;
    add_user(&mut builder, 30, "odd", junk);
    let mut query = query("(objectClass=*)").attributes(&["1.1"]);
    query.snapshot = Arc::new(builder.finish().unwrap().0);
    let stage = Stage(query);
    for filter in [
        "(uidNumber=not a NUMBER)",
        "(uidNumber~=not a number)",
        "(uidNumber:=not a number)",
        "(uidNumber:integerMatch:=not a number)",
        "(:integerMatch:=not a number)",
        "(manager=the boss)",
        "(manager:distinguishedNameMatch:=the boss)",
        &format!("(manager:{CHAIN}:=the boss)"),
        "(seeAlso=CN=A,,B)",
        "(objectClass=my class)",
    ] {
        assert_eq!(stage.find(filter), ["cn=odd,ou=users"], "{filter}");
        for undefined in [
            format!("(!{filter})"),
            format!("(&(cn=alice)(!{filter}))"),
            format!("(!(|(cn=odd){filter}))"),
        ] {
            assert_eq!(stage.find(&undefined), [""; 0], "{undefined}");
        }
        assert_eq!(
            stage.find_beside(filter, &format!("(|(cn=bob)(!{filter}))")),
            stage.find_beside(filter, "(cn=bob)"),
            "{filter}"
        );
    }
    // Another rule would find names that the attribute's own distinguishes.
    for value in ["odd", "ＯＤＤ", "ODD"] {
        stage.is_undefined(&format!("(cn:integerMatch:={value})"));
        stage.is_undefined(&format!("(sn:uuidMatch:={value} example)"));
    }
    // What is stored is then simply not a number: it has no place in an order and no bits.
    assert_eq!(stage.find("(uidNumber>=Not a number)"), [""; 0]);
    assert_eq!(
        stage.find("(&(cn=odd)(!(uidNumber=5)))"),
        ["cn=odd,ou=users", "cn=odd,ou=virtual-groups"]
    );
}

/// Names in the spelling of authentik's own outpost are names, whether or not there is somebody that the viewer may not
/// see.
#[test]
fn unescaped_names_are_names() {
    for stage in stages() {
        for name in ["Sales, EMEA", "Purchase, EMEA", "a, b\\5c"] {
            stage.is_false(&format!("(manager=cn={name},ou=groups,{SUFFIX})"));
        }
        stage.is_undefined("(manager=cn=Sales, EMEA,ou=groups,dc=elsewhere)");
    }
}

/// Equalities that are looked up together are Undefined if one of them is.
#[test]
fn a_long_or_with_unknown_values_is_undefined_where_it_is_not_true() {
    for stage in stages() {
        let list = |bad: &str| {
            let numbers: String = (0..20)
                .map(|number| format!("(uidNumber={})", 900_000 + number))
                .collect();
            format!("(|{numbers}{bad})")
        };
        stage.is_false(&list("(uidNumber=77777)"));
        stage.is_undefined(&list("(uidNumber=abc)"));
        let alice = stage.find("(uidNumber=2001)");
        assert_eq!(alice.len(), 1);
        let filter = list("(uidNumber=abc)(uidNumber=2001)");
        assert_eq!(stage.find(&filter), alice);
        assert_eq!(stage.find(&format!("(!{filter})")), [""; 0]);
        let junk: String = (0..20).map(|number| format!("(uidNumber=x{number})")).collect();
        stage.is_undefined(&format!("(|{junk})"));
        stage.is_undefined(&format!("(&(objectClass=*)(|{junk}))"));
    }
}
