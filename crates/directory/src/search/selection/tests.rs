use super::*;
use crate::fixture::*;
use akldap_ldap::message::Scope;

fn names(dn: &str, attributes: &[&'static str]) -> Vec<String> {
    let entries = query("(objectClass=*)")
        .base(&format!("{dn},{SUFFIX}"))
        .scope(Scope::BaseObject)
        .attributes(attributes)
        .entries();
    entries[0].names().into_iter().map(str::to_owned).collect()
}

const BOB: &str = "cn=bob,ou=users";
const STAFF: &str = "cn=staff,ou=groups";

#[test]
fn an_empty_list_an_empty_name_and_a_star_mean_the_default_answer() {
    let default = names(BOB, &[]);
    assert_eq!(default.len(), 20);
    for attributes in [
        &["*"][..],
        &[""],
        &["*", "cn"],
        &["*", "+"],
        &["*", "+", "memberof"],
        &["", ""],
        &["*", "1.1"],
    ] {
        assert_eq!(names(BOB, attributes), default, "{attributes:?}");
    }
}

#[test]
fn names_are_found_by_case_alias_and_oid_and_returned_once() {
    assert_eq!(names(BOB, &["CN"]), ["cn"]);
    assert_eq!(
        names(
            BOB,
            &[
                "cn;lang-de",
                "mail;x-y",
                "memberOf;lang-de",
                "extraAttribute;lang-de"
            ]
        ),
        [""; 0]
    );
    assert_eq!(names(BOB, &["department;binary"]), ["department"]);
    assert_eq!(
        names(BOB, &["commonName", "2.5.4.3", "cn;binary", "cn", "cn"]),
        ["cn"]
    );
    assert_eq!(
        names(BOB, &["extraattribute", "nosuch", "dn"]),
        ["extraAttribute"]
    );
    assert_eq!(
        names(BOB, &["mail, CN ,,uidNumber", "department"]),
        ["mail", "cn", "uidNumber", "department"]
    );
    assert_eq!(names("ou=users", &["cn"]), [""; 0]);
    assert_eq!(names("ou=users", &["COMMONNAME"]), ["commonName"]);
    assert_eq!(names("cn=zoë,ou=users", &["surname"]), ["surname"]);
    assert_eq!(names("cn=zoë,ou=users", &["sn"]), ["sn"]);
    assert_eq!(names(BOB, &["surname"]), ["sn"]);
    assert_eq!(names(BOB, &["surname", "sn"]), ["sn"]);
}

#[test]
fn no_attributes_can_be_asked_for() {
    assert_eq!(names(BOB, &["1.1"]), [""; 0]);
    assert_eq!(names(BOB, &["nosuch"]), [""; 0]);
    assert_eq!(names(BOB, &["1.1", "cn"]), ["cn"]);
}

#[test]
fn plus_means_the_operational_attributes() {
    assert_eq!(
        names(BOB, &["+"]),
        [
            "entryUUID",
            "entryDN",
            "structuralObjectClass",
            "hasSubordinates",
            "numSubordinates",
            "subschemaSubentry",
            "createTimestamp",
            "modifyTimestamp",
            "pwdChangedTime",
            "memberOf"
        ]
    );
    let group = names(STAFF, &["*", "+"]);
    assert!(group.contains(&"entryUUID".to_owned()) && group.contains(&"member".to_owned()));
    assert_eq!(group.iter().filter(|name| *name == "memberOf").count(), 1);
    assert!(!group.contains(&"createTimestamp".to_owned()));
    assert_eq!(names("ou=users", &["+"]).len(), 6);
    assert_eq!(names(BOB, &["*", "+", "entryUUID"]).last().unwrap(), "entryUUID");
    assert_eq!(names(BOB, &["+", "cn", "entryUUID"]).len(), 11);
    let base = query("(objectClass=domain)").attributes(&["*", "+"]).entries();
    assert_eq!(
        base[0].names().iter().filter(|name| **name == "entryDN").count(),
        1
    );
}

#[test]
fn added_attributes_are_served_by_name_only() {
    for name in [
        "uniqueMember",
        "memberUid",
        "entryUUID",
        "entryDN",
        "distinguishedName",
        "hasSubordinates",
    ] {
        assert_eq!(names(STAFF, &[name]), [name]);
        assert!(!names(STAFF, &[]).contains(&name.to_owned()), "{name}");
    }
    assert_eq!(names(BOB, &["uniqueMember", "memberUid", "member"]), [""; 0]);
    let get = |dn: &str, name: &'static str| {
        let found = query("(objectClass=*)")
            .base(&format!("{dn},{SUFFIX}"))
            .scope(Scope::BaseObject);
        found.attributes(&[name]).entries()[0].get(name)
    };
    assert_eq!(get(STAFF, "uniqueMember").len(), 4);
    assert_eq!(get(STAFF, "memberUid"), ["alice", "bob"]);
    assert_eq!(get("cn=bob,ou=virtual-groups", "memberUid"), ["bob"]);
    assert_eq!(
        get("cn=bob,ou=virtual-groups", "uniqueMember"),
        [format!("{BOB},{SUFFIX}")]
    );
    assert_eq!(get(BOB, "entryUUID"), [uuid(2)]);
    assert_eq!(get(STAFF, "entryUUID"), [crate::fixture::STAFF]);
    assert_eq!(get(BOB, "entryDN"), [format!("{BOB},{SUFFIX}")]);
    assert_eq!(get("ou=users", "numSubordinates"), ["5"]);
    assert_eq!(get("ou=users", "hasSubordinates"), ["TRUE"]);
    assert_eq!(get(BOB, "hasSubordinates"), ["FALSE"]);
    assert_eq!(get(BOB, "subschemaSubentry"), ["cn=subschema"]);
    assert_eq!(get(BOB, "structuralObjectClass"), ["inetOrgPerson"]);
    assert_eq!(get("ou=users", "structuralObjectClass"), ["organizationalUnit"]);
}

#[test]
fn a_class_stands_for_its_attributes() {
    let person = names(BOB, &["@person"]);
    assert!(
        ["objectClass", "cn", "sn"]
            .iter()
            .all(|name| person.contains(&(*name).to_owned()))
    );
    assert!(!person.contains(&"mail".to_owned()));
    assert_eq!(names(BOB, &["@nosuch"]), [""; 0]);
}

#[test]
fn types_only_leaves_values_out_and_keeps_names() {
    for attributes in [&[][..], &["cn", "memberOf", "uidNumber"], &["+"]] {
        for dn in [BOB, STAFF, "ou=users", "cn=bob,ou=virtual-groups"] {
            let mut bare = query("(objectClass=*)")
                .base(&format!("{dn},{SUFFIX}"))
                .scope(Scope::BaseObject);
            bare.attributes = attributes.to_vec();
            bare.types_only = true;
            let entries = bare.entries();
            assert_eq!(entries[0].names(), names(dn, attributes));
            assert!(entries[0].attributes.iter().all(|(_, values)| values.is_empty()));
        }
    }
}

#[test]
fn replaced_attributes_come_once_under_the_key_of_the_admin() {
    let mut builder = builder();
    add_user(
        &mut builder,
        30,
        "odd",
        r#"{"UIDNUMBER":"7","Mail":"m","SN":"s","a/b":1,"a-b":2}"#,
    );
    let mut odd = query("(sAMAccountName=odd)").base(&format!("ou=users,{SUFFIX}"));
    odd.snapshot = std::sync::Arc::new(builder.finish().unwrap().0);
    let entry = odd.entries().remove(0);
    for (name, value) in [("UIDNUMBER", "7"), ("Mail", "m"), ("SN", "s")] {
        assert_eq!(entry.get(name), [value]);
        assert_eq!(
            entry
                .names()
                .iter()
                .filter(|own| own.eq_ignore_ascii_case(name))
                .count(),
            1,
            "{name}"
        );
    }
    assert_eq!(entry.get("a-b"), ["1", "2"]);
    assert_eq!(entry.dn, format!("cn=odd,ou=users,{SUFFIX}"));
}

#[test]
fn custom_names_are_served_in_one_spelling_and_found_in_both() {
    use crate::{Builder, CarriedUser, CustomPolicy};
    let attributes = r#"{"with space":"a","straße":"b","A;binary":"c","a/b.c":"d"}"#;
    let official = ["with space", "straße", "A;binary", "a-bc"];
    let legal = ["with-space", "stra-e", "A-binary", "a-bc"];
    for (turned, served) in [(false, official), (true, legal)] {
        let mut builder = Builder::with_policy(CustomPolicy::default().with_legal_names(turned));
        add_user(&mut builder, 30, "odd", attributes);
        let snapshot = builder.finish().unwrap().0;
        let mut octets = Vec::new();
        snapshot
            .carried_user(snapshot.user_by_pk(30).unwrap())
            .unwrap()
            .encode(&mut octets);
        let mut carried = Builder::like(&snapshot);
        carried.carry_user(&CarriedUser::decode(&octets).unwrap());
        for snapshot in [snapshot, carried.finish().unwrap().0] {
            let snapshot = std::sync::Arc::new(snapshot);
            for (place, value) in ["a", "b", "c", "d"].into_iter().enumerate() {
                for spelling in [
                    official[place],
                    legal[place],
                    &official[place].to_ascii_uppercase(),
                ] {
                    let mut odd = query(&format!("({spelling}={value})"));
                    odd.snapshot = std::sync::Arc::clone(&snapshot);
                    odd.attributes = vec![spelling.to_owned().leak()];
                    let entries = odd.entries();
                    assert_eq!(entries.len(), 1, "{turned} {spelling}");
                    assert_eq!(entries[0].names(), [served[place]], "{turned} {spelling}");
                }
            }
            assert_eq!(
                snapshot.beyond_schema().unwrap().custom,
                ["a", "a-bc", "a-binary", "stra-e", "with-space"]
            );
            // What the schema declares is found by its OID, too.
            for (place, declared) in ["with-space", "stra-e", "a-binary", "a-bc"]
                .into_iter()
                .enumerate()
            {
                let oid = crate::view::subschema::declared_oid(declared);
                let mut odd = query(&format!("({oid}=*)"));
                odd.snapshot = std::sync::Arc::clone(&snapshot);
                odd.attributes = vec![oid.leak()];
                let entries = odd.entries();
                assert_eq!(entries.len(), 1, "{turned} {declared}");
                assert_eq!(entries[0].names(), [served[place]], "{turned} {declared}");
            }
        }
    }
}

#[test]
fn there_is_a_limit_to_names() {
    let mut attributes = AttributeTable::new();
    let names: Vec<String> = (0..MAX_NAMES + 5).map(|number| format!("n{number}")).collect();
    names
        .iter()
        .for_each(|name| assert!(attributes.intern(name.as_bytes()).is_some()));
    let requested: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
    assert_eq!(
        Selection::new(&attributes, &requested, false).names.len(),
        MAX_NAMES
    );
}

#[test]
fn both_names_of_containers_are_returned_if_both_are_asked_for() {
    for names in [["cn", "commonName"], ["commonName", "cn"]] {
        let found = query("(ou=users)").attributes(&names).entries();
        assert_eq!(found[0].get("commonName"), ["users"], "{names:?}");
        let found = query("(&(cn=alice)(objectClass=user))")
            .attributes(&names)
            .entries();
        assert_eq!(found[0].get("cn"), ["alice"]);
    }
    assert_eq!(
        query("(ou=users)").attributes(&["cn"]).entries()[0].get("commonName"),
        [""; 0]
    );
}
