use crate::Builder;
use crate::fixture::*;
use crate::schema::{self, Syntax};

/// Names below the base that a filter finds.
fn find(filter: &str) -> Vec<String> {
    query(filter).names()
}

fn users(filter: &str) -> Vec<String> {
    let names = query(filter).base(&format!("ou=users,{SUFFIX}")).names();
    names
        .iter()
        .map(|name| {
            name.trim_end_matches(",ou=users")
                .trim_start_matches("cn=")
                .to_owned()
        })
        .collect()
}

fn groups(filter: &str) -> Vec<String> {
    let names = query(filter).base(&format!("ou=groups,{SUFFIX}")).names();
    names
        .iter()
        .map(|name| {
            name.trim_end_matches(",ou=groups")
                .trim_start_matches("cn=")
                .to_owned()
        })
        .collect()
}

const ALL_USERS: [&str; 5] = ["alice", "bob", "plain", "x\\, y\\+z", "zoë"];
const CHAIN: &str = "1.2.840.113556.1.4.1941";

#[test]
fn names_and_telephone_numbers_of_custom_attributes_compare_as_such() {
    let names: Vec<&str> = schema::ATTRIBUTE_TYPES
        .iter()
        .filter(|known| known.syntax == Syntax::DistinguishedName && !known.operational)
        .filter(|known| !matches!(known.key, "member" | "distinguishedname"))
        .map(|known| known.name)
        .collect();
    let numbers: Vec<&str> = schema::ATTRIBUTE_TYPES
        .iter()
        .filter(|known| known.syntax == Syntax::TelephoneNumber)
        .map(|known| known.name)
        .collect();
    for name in [
        "owner",
        "roleOccupant",
        "manager",
        "secretary",
        "seeAlso",
        "managedBy",
    ] {
        assert!(names.contains(&name), "{name}");
    }
    for name in [
        "pager",
        "mobile",
        "homePhone",
        "facsimileTelephoneNumber",
        "otherMobile",
        "ipPhone",
    ] {
        assert!(numbers.contains(&name), "{name}");
    }
    let mut attributes = serde_json::Map::new();
    for name in &names {
        attributes.insert(
            (*name).to_owned(),
            format!("CN=Alice Smith,  OU=users, {BASE}").into(),
        );
    }
    for name in &numbers {
        attributes.insert((*name).to_owned(), "+49 30-12 34".into());
    }
    let mut builder = Builder::new();
    add_user(
        &mut builder,
        9,
        "nine",
        &serde_json::Value::Object(attributes).to_string(),
    );
    let snapshot = std::sync::Arc::new(builder.finish().unwrap().0);
    let found = |filter: &str| {
        let mut query = query(&format!("(&(objectClass=user){filter})"));
        query.snapshot = std::sync::Arc::clone(&snapshot);
        query.entries().len()
    };
    for name in &names {
        for spelling in [
            "cn=alice smith,ou=Users",
            "cn = Alice Smith , ou=users",
            "2.5.4.3=alice\\20smith,ou=users",
        ] {
            assert_eq!(
                found(&format!("({name}={spelling},{SUFFIX})")),
                1,
                "{name} {spelling}"
            );
        }
        assert_eq!(found(&format!("({name}=cn=bob,ou=users,{SUFFIX})")), 0, "{name}");
    }
    for name in &numbers {
        for filter in ["=+49301234", "=+49 30 12-34", "=+49-30*34", "=*3012*"] {
            assert_eq!(found(&format!("({name}{filter})")), 1, "{name}{filter}");
        }
        assert_eq!(found(&format!("({name}=+49301235)")), 0, "{name}");
    }
}

#[test]
fn an_option_makes_another_attribute_that_nobody_has() {
    for filter in [
        "(cn;lang-de=alice)",
        "(cn;lang-de=*)",
        "(cn;lang-de=al*)",
        "(cn;lang-de~=alice)",
        "(cn;lang-de>=a)",
        "(cn;lang-de<=z)",
        "(cn;lang-de:=alice)",
        "(cn;lang-de:caseExactMatch:=alice)",
        "(2.5.4.3;x-y=alice)",
        "(objectClass;lang-de=user)",
        "(memberOf;lang-de=*)",
        "(mail;lang-de=*)",
        "(extraAttribute;lang-de=bar)",
        "(cn;binary;lang-de=alice)",
    ] {
        assert_eq!(users(filter), [""; 0], "{filter}");
    }
    for filter in [
        "(cn;binary=alice)",
        "(CN;BINARY=al*)",
        "(&(mail;binary=*)(cn=alice))",
    ] {
        assert_eq!(users(filter), ["alice"], "{filter}");
    }
    assert_eq!(users("(extraAttribute;binary=bar)"), ["bob"]);
}

#[test]
fn equality_is_case_insensitive_on_every_attribute() {
    for filter in [
        "(cn=ALICE)",
        "(commonName=alice)",
        "(2.5.4.3=aLiCe)",
        "(OID.2.5.4.3;binary=alice)",
        "(mail=ALICE@example.COM)",
        "(name=alice   example)",
        "(sn=Alice Example)",
        "(surname=Alice Example)",
        "(displayname=alice example)",
        "(samaccountname=Alice)",
        "(homeDirectory=/SRV/alice)",
        "(uidNumber=2001)",
        "(uidNumber=02001)",
        "(gidnumber=2001)",
        "(cn~=alice)",
        "(createTimestamp=20250102020405Z)",
        "(createTimestamp=20250102030405.0+0100)",
        "(modifytimestamp=20260304050601Z)",
    ] {
        assert!(users(filter).contains(&"alice".to_owned()), "{filter}");
    }
    assert_eq!(users("(uid=alice)"), [""; 0]);
    assert_eq!(users(&format!("(uid={})", uid(1).to_uppercase())), ["alice"]);
    assert_eq!(users("(ak-active=true)").len(), 4);
    assert_eq!(users("(ak-active=FALSE)"), ["plain"]);
    assert_eq!(groups("(ak-superuser=TRUE)"), ["admins"]);
    assert_eq!(users("(tags=y)"), ["bob"]);
    assert_eq!(users("(department=r & d)"), ["bob"]);
}

#[test]
fn an_attribute_called_like_an_alias_is_looked_at_first() {
    assert_eq!(users("(surname=zimmer)"), ["zoë"]);
    assert_eq!(users("(surname=zoë example)"), [""; 0]);
    assert_eq!(users("(sn=zoë example)"), ["zoë"]);
    assert_eq!(users("(surname=bob example)"), ["bob"]);
}

#[test]
fn assertion_values_are_never_patterns() {
    for filter in [
        "(cn=\\2a)",
        "(cn=a\\2a)",
        "(cn=x\\29\\28cn=\\2a)",
        "(cn=)",
        "(cn=\\ff)",
        "(cn=\\00)",
    ] {
        assert_eq!(find(filter), [""; 0], "{filter}");
    }
    assert_eq!(users("(mail=)"), ["plain"]);
}

#[test]
fn substrings_match_all_their_parts_in_order() {
    for (filter, expected) in [
        ("(mail=ALI*)", vec!["alice"]),
        ("(mail=*@example.com)", vec!["alice", "bob", "x\\, y\\+z", "zoë"]),
        ("(mail=a*e@*.com)", vec!["alice"]),
        ("(mail=a*e@*e@*.com)", vec![]),
        ("(cn=b*zzz)", vec![]),
        ("(cn=*O*)", vec!["bob", "zoë"]),
        ("(cn=bob*bob)", vec![]),
        ("(cn=ZO\\c3\\8b*)", vec!["zoë"]),
        ("(uidNumber=20*1)", vec!["alice"]),
        ("(uidNumber=7*)", vec!["x\\, y\\+z"]),
        ("(memberOf=cn=adm*)", vec!["alice"]),
        ("(entryUUID=*0000000002)", vec!["bob"]),
        ("(objectClass=posix*)", ALL_USERS.to_vec()),
        ("(tags=*)", vec!["bob"]),
    ] {
        assert_eq!(users(filter), expected, "{filter}");
    }
    assert_eq!(
        find("(cn=*lic*)"),
        ["cn=alice,ou=users", "cn=alice,ou=virtual-groups"]
    );
    assert_eq!(
        find("(cn=ali*)"),
        ["cn=alice,ou=users", "cn=alice,ou=virtual-groups"]
    );
    assert_eq!(find("(commonName=*rtual*)"), ["ou=virtual-groups"]);
    assert_eq!(find("(cn=*rtual*)"), [""; 0]);
}

#[test]
fn ordering_compares_numbers_times_and_text() {
    for (filter, expected) in [
        ("(uidNumber>=2004)", vec!["plain", "x\\, y\\+z"]),
        ("(uidNumber<=2001)", vec!["alice"]),
        ("(uidNumber>=99999999999999999999)", vec![]),
        ("(modifyTimestamp>=20260304050603Z)", vec!["x\\, y\\+z", "zoë"]),
        ("(modifyTimestamp<=20260304050601.5Z)", vec!["alice"]),
        ("(&(objectClass=user)(cn>=p))", vec!["plain", "x\\, y\\+z", "zoë"]),
        (
            "(&(modifyTimestamp>=20260304050603Z)(!(modifyTimestamp=20260304050603Z)))",
            vec!["x\\, y\\+z"],
        ),
    ] {
        assert_eq!(users(filter), expected, "{filter}");
    }
}

#[test]
fn presence_means_a_value() {
    assert_eq!(users("(mail=*)").len(), 4);
    assert_eq!(users("(memberOf=*)").len(), 4);
    assert_eq!(users("(displayName=*)").len(), 5);
    assert_eq!(groups("(memberOf=*)"), ["Sales\\, EMEA", "admins"]);
    assert_eq!(groups("(member=*)").len(), 3);
    assert_eq!(groups("(memberUid=*)").len(), 3);
    assert_eq!(users("(pwdChangedTime=*)").len(), 4);
    assert_eq!(users("(extraAttribute=*)"), ["bob"]);
    assert_eq!(find("(member=*)").len(), 3 + 5);
}

#[test]
fn absent_attributes_are_false_and_their_negation_true() {
    assert_eq!(users("(nosuch=x)"), [""; 0]);
    assert_eq!(users("(&(objectClass=user)(!(nosuch=x)))"), ALL_USERS);
    assert_eq!(users("(&(objectClass=user)(!(department=x)))"), ALL_USERS);
    assert_eq!(users("(&(objectClass=user)(!(userAccountControl=*)))"), ALL_USERS);
}

#[test]
fn what_a_rule_cannot_use_is_undefined_either_way() {
    for filter in [
        "(userAccountControl:1.2.3.4:=2)",
        "(uidNumber:1.2.840.113556.1.4.803:=two)",
        "(uidNumber>=many)",
        &format!("(description:{CHAIN}:=x)"),
    ] {
        assert_eq!(users(filter), [""; 0], "{filter}");
        assert_eq!(users(&format!("(!{filter})")), [""; 0], "{filter}");
        assert_eq!(users(&format!("(|(cn=bob){filter})")), ["bob"], "{filter}");
        assert!(
            users(&format!("(!(&(cn=bob){filter}))")).contains(&"alice".to_owned()),
            "{filter}"
        );
    }
    assert_eq!(users("(userAccountControl:1.2.840.113556.1.4.803:=2)"), [""; 0]);
}

#[test]
fn empty_lists_are_true_and_false() {
    assert_eq!(find("(&)").len(), 18);
    assert_eq!(find("(|)").len(), 0);
    assert_eq!(find("(!(&))").len(), 0);
    assert_eq!(find("(!(!(cn=bob)))"), find("(cn=bob)"));
}

#[test]
fn object_classes_choose_kinds() {
    let kinds = |filter: &str| {
        let names = find(filter);
        ["ou=users", "ou=groups", "ou=virtual-groups"].map(|ou| {
            names
                .iter()
                .filter(|name| name.ends_with(&format!(",{ou}")))
                .count()
        })
    };
    assert_eq!(kinds("(objectClass=USER)"), [5, 0, 0]);
    assert_eq!(kinds("(objectClass=2.16.840.1.113730.3.2.2)"), [5, 0, 0]);
    assert_eq!(kinds("(objectClass=group)"), [0, 4, 5]);
    assert_eq!(kinds("(objectClass=groupOfNames)"), [0, 4, 5]);
    assert_eq!(kinds("(objectClass=groupOfUniqueNames)"), [0, 4, 5]);
    assert_eq!(kinds("(objectClass=posixGroup)"), [0, 4, 0]);
    assert_eq!(kinds("(objectClass:dn:=posixGroup)"), [0, 4, 0]);
    assert_eq!(kinds("(objectClass=goauthentik.io/ldap/group)"), [0, 4, 0]);
    assert_eq!(
        kinds("(objectClass=goauthentik.io/ldap/virtual-group)"),
        [0, 0, 5]
    );
    assert_eq!(kinds("(|(objectClass=user)(objectClass=group))"), [5, 4, 5]);
    assert_eq!(kinds("(!(objectClass=group))"), [5, 0, 0]);
    assert_eq!(kinds("(&(objectClass=user)(!(objectClass=computer)))"), [5, 0, 0]);
    assert_eq!(
        kinds("(|(objectclass=groupOfNames)(objectclass=group)(objectclass=univentionGroup))"),
        [0, 4, 0]
    );
    let top = find("(objectClass=top)");
    assert_eq!((top.len(), top[1].as_str()), (9, "ou=users"));
    assert_eq!(find("(objectClass=nsContainer)").len(), 3);
    assert_eq!(find("(objectClass=organizationalUnit)").len(), 3);
    assert_eq!(find("(objectClass=domain)"), [""]);
    assert_eq!(find("(ou=users)"), ["ou=users"]);
    assert_eq!(find("(commonName=groups)"), ["ou=groups"]);
    assert_eq!(find("(dc=LDAP)"), [""]);
    assert_eq!(
        find(&format!("(distinguishedName=OU=users,{BASE})")),
        ["ou=users"]
    );
}

#[test]
fn names_of_entries_compare_as_names() {
    let staff = format!("cn=staff,ou=groups,{SUFFIX}");
    for value in [
        staff.clone(),
        format!("CN=Staff, OU=groups , {BASE}"),
        format!("cn=\\\\73taff,ou=groups,{SUFFIX}").replace("\\\\", "\\5c"),
    ] {
        assert_eq!(users(&format!("(memberOf={value})")), ["alice", "bob"], "{value}");
        assert_eq!(
            groups(&format!("(memberOf={value})")),
            ["Sales\\, EMEA", "admins"],
            "{value}"
        );
    }
    for value in ["cn=Sales\\5c, EMEA", "cn=sales\\5c2c emea", "cn=Sales, EMEA"] {
        assert_eq!(
            users(&format!("(memberOf={value},ou=groups,{SUFFIX})")),
            ["x\\, y\\+z", "zoë"],
            "{value}"
        );
    }
    assert_eq!(users(&format!("(memberOf=cn=staff,ou=users,{SUFFIX})")), [""; 0]);
    assert_eq!(users("(memberOf=nonsense)"), [""; 0]);
    for attribute in ["member", "uniqueMember"] {
        let alice = format!("({attribute}=cn=ALICE,ou=users,{SUFFIX})");
        assert_eq!(
            find(&alice),
            [
                "cn=admins,ou=groups",
                "cn=staff,ou=groups",
                "cn=alice,ou=virtual-groups"
            ]
        );
        assert_eq!(
            groups(&format!("({attribute}=cn=admins,ou=groups,{SUFFIX})")),
            ["staff"]
        );
    }
    assert_eq!(
        find("(memberUid=Alice)"),
        [
            "cn=admins,ou=groups",
            "cn=staff,ou=groups",
            "cn=alice,ou=virtual-groups"
        ]
    );
    assert_eq!(
        find(&format!("(entryDN=cn=Bob,ou=users,{BASE})")),
        ["cn=bob,ou=users"]
    );
    assert_eq!(
        find(&format!("(distinguishedName=cn=bob,ou=virtual-groups,{SUFFIX})")),
        ["cn=bob,ou=virtual-groups"]
    );
    assert_eq!(find(&format!("(entryDN={BASE})")), [""]);
    // A custom attribute of DN syntax.
    assert_eq!(users(&format!("(manager=cn=bob,ou=users,{SUFFIX})")), ["alice"]);
}

#[test]
fn every_entry_is_found_by_its_uuid_and_numbers() {
    let entries = query("(objectClass=*)")
        .attributes(&["entryUUID", "uidNumber", "gidNumber"])
        .entries();
    let mut uuids = Vec::new();
    for entry in &entries {
        let uuid = entry.get("entryUUID")[0].clone();
        assert_eq!(find(&format!("(entryUUID={uuid})")), [short(&entry.dn)]);
        assert_eq!(
            find(&format!("(entryUUID={})", uuid.to_uppercase().replace('-', ""))),
            [short(&entry.dn)]
        );
        uuids.push(uuid);
        for name in ["uidNumber", "gidNumber"] {
            for number in entry.get(name) {
                assert!(
                    find(&format!("({name}={number})")).contains(&short(&entry.dn)),
                    "{name}={number}"
                );
            }
        }
    }
    uuids.sort_unstable();
    uuids.dedup();
    assert_eq!(uuids.len(), entries.len());
    assert_eq!(
        find("(gidNumber=4000)"),
        ["cn=zoë,ou=users", "cn=zoë,ou=virtual-groups"]
    );
    assert_eq!(
        find("(gidNumber=7000)"),
        ["cn=x\\, y\\+z,ou=users", "cn=x\\, y\\+z,ou=virtual-groups"]
    );
    assert_eq!(find("(gidNumber=2005)"), [""; 0]);
    assert_eq!(find("(gidNumber=14000)"), ["cn=staff,ou=groups"]);
    assert_eq!(find("(gidNumber=77)"), ["cn=empty,ou=groups"]);
}

#[test]
fn memberships_are_followed_through_groups_and_cycles() {
    let member_of = |group: &str| format!("(memberOf:{CHAIN}:=cn={group},ou=groups,{SUFFIX})");
    assert_eq!(users(&member_of("staff")), ["alice", "bob", "x\\, y\\+z", "zoë"]);
    assert_eq!(users(&member_of("admins")), ["alice"]);
    assert_eq!(users(&member_of("empty")), [""; 0]);
    assert_eq!(users(&member_of("nosuch")), [""; 0]);
    let member = |name: &str| format!("(member:{CHAIN}:={name},{SUFFIX})");
    assert_eq!(groups(&member("cn=zoë,ou=users")), ["Sales\\, EMEA", "staff"]);
    assert_eq!(
        find(&member("cn=bob,ou=users")),
        ["cn=staff,ou=groups", "cn=bob,ou=virtual-groups"]
    );
    assert_eq!(groups(&member("cn=admins,ou=groups")), ["staff"]);
    let mut cyclic = builder();
    let ids: Vec<String> = (0..3)
        .map(|number| format!("6000000{number}-0000-4000-8000-000000000000"))
        .collect();
    for number in 0..3 {
        let users: &[i64] = if number == 0 { &[2] } else { &[] };
        add_group(
            &mut cyclic,
            &ids[number],
            &format!("c{number}"),
            &[&ids[(number + 1) % 3]],
            users,
            "{}",
        );
    }
    let mut cycle = query(&member_of("c2"));
    cycle.snapshot = std::sync::Arc::new(cyclic.finish().unwrap().0);
    assert_eq!(
        cycle.names(),
        [
            "cn=bob,ou=users",
            "cn=c0,ou=groups",
            "cn=c1,ou=groups",
            "cn=c2,ou=groups"
        ]
    );
}

#[test]
fn rules_are_applied_by_name_and_oid() {
    for (filter, expected) in [
        ("(cn:caseExactMatch:=bob)", vec!["bob"]),
        ("(cn:caseExactMatch:=BOB)", vec![]),
        ("(cn:2.5.13.2:=BOB)", vec!["bob"]),
        ("(cn:caseIgnoreOrderingMatch:=bob)", vec!["alice"]),
        ("(cn:caseIgnoreSubstringsMatch:=*o*B)", vec!["bob"]),
        ("(memberOf:caseIgnoreSubstringsMatch:=cn=adm*)", vec!["alice"]),
        ("(uidNumber:caseExactMatch:=2002)", vec!["bob"]),
        (
            "(entryUUID:caseIgnoreMatch:=00000000-0000-4000-8000-000000000002)",
            vec!["bob"],
        ),
        ("(ak-active:caseIgnoreMatch:=false)", vec!["plain"]),
        ("(uidNumber:1.2.840.113556.1.4.803:=2003)", vec!["zoë"]),
        (
            "(uidNumber:integerBitOrMatch:=5000)",
            vec!["alice", "bob", "plain", "x\\, y\\+z", "zoë"],
        ),
        ("(:caseExactMatch:=Y)", vec!["bob"]),
        ("(:caseExactMatch:=y)", vec![]),
        ("(cn:=BOB)", vec!["bob"]),
    ] {
        assert_eq!(users(filter), expected, "{filter}");
    }
    assert_eq!(users("(ou:dn:=users)").len(), 6);
    assert_eq!(find("(dc:dn:caseIgnoreMatch:=GOAUTHENTIK)").len(), 18);
    assert_eq!(find("(:dn:caseExactMatch:=virtual-groups)").len(), 6);
    assert_eq!(groups("(memberUid:caseExactMatch:=alice)"), ["admins", "staff"]);
    assert_eq!(groups("(memberUid:caseExactMatch:=Alice)"), [""; 0]);
}

#[test]
fn a_long_or_finds_what_its_parts_find() {
    let many: String = (0..300)
        .map(|number| format!("(uidNumber={number})(mail=u{number}@example.com)"))
        .collect();
    let filter =
        format!("(|{many}(uidNumber=2002)(mail=ZOË@example.com)(memberOf=cn=admins,ou=groups,{SUFFIX}))");
    assert_eq!(users(&filter), ["alice", "bob", "zoë"]);
    let plan = query(&filter).open().unwrap().plan().to_string();
    assert_eq!(plan, "index, 3 candidates");
}

#[test]
fn replaced_attributes_are_found_by_their_own_values_only() {
    let mut builder = builder();
    add_user(
        &mut builder,
        20,
        "odd",
        r#"{"CN":"Other","objectClass":["sudoRole","odd"],"uid":"odd"}"#,
    );
    let snapshot = std::sync::Arc::new(builder.finish().unwrap().0);
    let users = |filter: &str| {
        let mut found = query(filter).base(&format!("ou=users,{SUFFIX}"));
        found.snapshot = std::sync::Arc::clone(&snapshot);
        found.names()
    };
    let odd = ["cn=odd,ou=users"];
    for filter in [
        "(cn=other)",
        "(objectClass=SUDOROLE)",
        "(uid=odd)",
        "(cn=oth*)",
        "(&(objectClass=odd)(cn=*the*))",
    ] {
        assert_eq!(users(filter), odd, "{filter}");
    }
    for filter in [
        "(cn=odd)",
        "(&(objectClass=group)(sAMAccountName=odd))",
        &format!("(uid={})", uid(20)),
    ] {
        assert_eq!(users(filter), [""; 0], "{filter}");
    }
    assert_eq!(
        snapshot
            .user_by_uid(&uid(20))
            .unwrap()
            .map(|id| snapshot.user(id).unwrap().pk),
        Some(20)
    );
}
