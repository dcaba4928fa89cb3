//! What custom attributes cannot forge or give away.

use std::sync::Arc;

use super::super::{Builder, CarriedUser, CustomPolicy, Snapshot, Viewer, Warning, compare};
use crate::fixture::*;
use crate::schema::password_attributes::PASSWORD_ATTRIBUTES;
use akldap_ldap::dn::Name;
use akldap_ldap::response::ResultCode;

const FORGED: &str = r#"{
    "memberOf": ["cn=admins,ou=groups,dc=ldap,dc=goauthentik,dc=io"],
    "MEMBEROF;x": "cn=admins,ou=groups,dc=ldap,dc=goauthentik,dc=io",
    "member.Of;y": "cn=admins,ou=groups,dc=ldap,dc=goauthentik,dc=io",
    "member": "cn=alice,ou=users,dc=ldap,dc=goauthentik,dc=io",
    "uniqueMember": "cn=alice,ou=users,dc=ldap,dc=goauthentik,dc=io",
    "memberUid": ["forged", "alice"],
    "entryUUID": "00000000-0000-4000-8000-00000000f0f0"}"#;
const FORGED_TOO: &str = r#"{
    "entryDN": "cn=forged",
    "distinguishedName": "cn=forged",
    "structuralObjectClass": "forged",
    "hasSubordinates": "TRUE",
    "numSubordinates": 99,
    "subschemaSubentry": "cn=forged",
    "ak-superuser": "TRUE",
    "ak-active": "forged",
    "createTimestamp": "19990101000000Z"}"#;
const FORGED_CLASSES: &str = r#"{
    "modifyTimestamp": "19990101000000Z",
    "pwdChangedTime": "19990101000000Z",
    "objectClass": ["ldapPublicKey", "USER", "ldappublickey", "2.5.6.6"],
    "objectClass;x": "forged",
    "memberOf": null,
    "member/Of": "harmless"}"#;
const SECRETS: &str =
    r#"{"userPassword": "{SSHA}abc", "SAMBANTPASSWORD": ["0123"], "krbPrincipalKey;x": "k"}"#;

fn forged() -> (Arc<Snapshot>, Vec<Warning>) {
    forged_under(CustomPolicy::default())
}

fn forged_under(policy: CustomPolicy) -> (Arc<Snapshot>, Vec<Warning>) {
    let mut builder = Builder::with_policy(policy);
    add_user(&mut builder, 1, "alice", "{}");
    add_user(&mut builder, 21, "mallory", FORGED);
    add_user(&mut builder, 22, "mallet", FORGED_TOO);
    add_user(&mut builder, 23, "marvin", FORGED_CLASSES);
    add_user(&mut builder, 24, "secretive", SECRETS);
    add_group(&mut builder, ADMINS, "admins", &[], &[1], "{}");
    add_group(&mut builder, STAFF, "staff", &[], &[1], FORGED);
    add_group(&mut builder, EMPTY, "empty", &[], &[], SECRETS);
    let (snapshot, warnings) = builder.finish().unwrap();
    (Arc::new(snapshot), warnings)
}

fn find(snapshot: &Arc<Snapshot>, filter: &str) -> Vec<String> {
    let mut search = query(filter);
    search.snapshot = Arc::clone(snapshot);
    search.names()
}

fn entry(snapshot: &Arc<Snapshot>, name: &str, attributes: &[&'static str]) -> Returned {
    let mut search = query("(objectClass=*)").base(&format!("{name},{SUFFIX}"));
    search.snapshot = Arc::clone(snapshot);
    search.scope = akldap_ldap::message::Scope::BaseObject;
    search.attributes = attributes.to_vec();
    search.entries().remove(0)
}

#[test]
fn membership_and_identity_are_not_forged() {
    let (snapshot, _) = forged();
    let admins = format!("cn=admins,ou=groups,{SUFFIX}");
    let alice = format!("cn=alice,ou=users,{SUFFIX}");
    assert_eq!(
        find(&snapshot, &format!("(memberOf={admins})")),
        ["cn=alice,ou=users"]
    );
    let chain = "1.2.840.113556.1.4.1941";
    assert_eq!(
        find(&snapshot, &format!("(memberOf:{chain}:={admins})")),
        ["cn=alice,ou=users"]
    );
    for filter in [
        format!("(&(objectClass=user)(member={alice}))"),
        "(memberUid=forged)".to_owned(),
        "(entryUUID=00000000-0000-4000-8000-00000000f0f0)".to_owned(),
        "(entryDN=cn=forged)".to_owned(),
        "(distinguishedName=cn=forged)".to_owned(),
        "(structuralObjectClass=forged)".to_owned(),
        "(numSubordinates=99)".to_owned(),
        "(&(objectClass=user)(ak-superuser=TRUE))".to_owned(),
        "(ak-active=forged)".to_owned(),
        "(createTimestamp<=20000101000000Z)".to_owned(),
        "(modifyTimestamp=19990101000000Z)".to_owned(),
        "(pwdChangedTime=19990101000000Z)".to_owned(),
        "(objectClass=forged)".to_owned(),
        "(objectClass;x=forged)".to_owned(),
    ] {
        assert_eq!(find(&snapshot, &filter), [""; 0], "{filter}");
    }
    let mallory = entry(&snapshot, "cn=mallory,ou=users", &["*", "+"]);
    assert_eq!(mallory.get("memberOf"), [""; 0]);
    assert!(
        mallory.names().iter().all(
            |name| !name.contains(';') && !name.to_lowercase().starts_with("member") || *name == "memberOf"
        ),
        "{:?}",
        mallory.names()
    );
    let mallet = entry(
        &snapshot,
        "cn=mallet,ou=users",
        &["*", "entryDN", "numSubordinates"],
    );
    assert_eq!(mallet.get("entryDN"), [format!("cn=mallet,ou=users,{SUFFIX}")]);
    assert_eq!(mallet.get("numSubordinates"), ["0"]);
    assert_eq!(mallet.get("ak-superuser"), ["FALSE"]);
    assert_eq!(mallet.get("ak-active"), ["TRUE"]);
    let marvin = entry(&snapshot, "cn=marvin,ou=users", &[]);
    assert_eq!(marvin.get("pwdChangedTime"), ["20260102030405Z"]);
    assert_eq!(marvin.get("member-Of"), ["harmless"]);
}

#[test]
fn groups_and_virtual_groups_are_not_forged_either() {
    let (snapshot, _) = forged();
    let staff = entry(
        &snapshot,
        "cn=staff,ou=groups",
        &["*", "memberUid", "uniqueMember", "entryUUID"],
    );
    assert_eq!(staff.get("member"), [format!("cn=alice,ou=users,{SUFFIX}")]);
    assert_eq!(staff.get("memberUid"), ["alice"]);
    assert_eq!(staff.get("entryUUID"), [STAFF]);
    assert_eq!(staff.get("memberOf"), [""; 0]);
    let own = entry(&snapshot, "cn=mallory,ou=virtual-groups", &["*", "memberUid"]);
    assert_eq!(own.get("member"), [format!("cn=mallory,ou=users,{SUFFIX}")]);
    assert_eq!(own.get("memberUid"), ["mallory"]);
}

#[test]
fn given_classes_are_added_to_our_own() {
    let (snapshot, _) = forged();
    let marvin = entry(&snapshot, "cn=marvin,ou=users", &[]);
    assert_eq!(
        marvin.get("objectClass"),
        [
            "top",
            "person",
            "organizationalPerson",
            "inetOrgPerson",
            "user",
            "posixAccount",
            "goauthentik.io/ldap/user",
            "ldapPublicKey",
        ]
    );
    assert_eq!(
        find(&snapshot, "(objectClass=LDAPPUBLICKEY)"),
        ["cn=marvin,ou=users"]
    );
    assert_eq!(find(&snapshot, "(objectClass=posixAccount)").len(), 5);
}

#[test]
fn what_is_dropped_is_named_with_its_user() {
    let (_, warnings) = forged();
    let text: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    let about = |name: &str| {
        text.iter()
            .filter(|line| line.contains(&format!("user {name:?}")))
            .count()
    };
    assert_eq!((about("mallory"), about("alice")), (7, 0), "{text:#?}");
    // The ninth of one record is only counted.
    assert_eq!(about("mallet"), 8);
    assert_eq!(warnings.last(), Some(&Warning::More(1)));
    assert!(
        text.iter()
            .any(|line| line.contains("\"member.Of;y\" of user \"mallory\""))
    );
    assert!(!text.iter().any(|line| line.contains("cn=admins")), "{text:#?}");
    let withheld: Vec<&String> = text
        .iter()
        .filter(|line| line.contains(" groups is not served"))
        .collect();
    assert_eq!(
        withheld,
        [
            "userPassword of 1 users and 1 groups is not served",
            "sambaNTPassword of 1 users and 1 groups is not served",
            "krbPrincipalKey of 1 users and 1 groups is not served",
        ]
    );
}

/// Everything that a client can learn about an attribute.
fn learnt(snapshot: &Arc<Snapshot>, name: &str, value: &str) -> Vec<String> {
    let mut learnt = Vec::new();
    for filter in [
        format!("({name}=*)"),
        format!("({name}={value})"),
        format!("({name}~={value})"),
        format!("({name}={value}*)"),
        format!("({name}>=!)"),
        format!("({name}<=~)"),
        format!("({name}:caseExactMatch:={value})"),
        format!("(:caseIgnoreMatch:={value})"),
        format!("(:caseIgnoreSubstringsMatch:={value}*)"),
    ] {
        if !find(snapshot, &filter).is_empty() {
            learnt.push(filter);
        }
    }
    let entry = entry(
        snapshot,
        "cn=secretive,ou=users",
        &["*", "+", "userPassword", "sambaNTPassword"],
    );
    learnt.extend(
        entry
            .names()
            .iter()
            .filter(|known| known.eq_ignore_ascii_case(name))
            .map(|name| (*name).to_owned()),
    );
    let dn = format!("cn=secretive,ou=users,{SUFFIX}");
    for asserted in [value, "other"] {
        let result = compare(
            snapshot,
            &tree(),
            Viewer::Full,
            &Name::new(dn.as_bytes()),
            name.as_bytes(),
            asserted.as_bytes(),
        );
        if result.code != ResultCode::NoSuchAttribute {
            learnt.push(format!("compare {asserted}"));
        }
    }
    if snapshot
        .beyond_schema()
        .unwrap()
        .custom
        .contains(&name.to_lowercase())
    {
        learnt.push("schema".to_owned());
    }
    learnt
}

#[test]
fn passwords_are_neither_shown_nor_found_nor_compared() {
    let (snapshot, _) = forged();
    for (name, value) in [("userPassword", "{SSHA}abc"), ("sambaNTPassword", "0123")] {
        assert_eq!(learnt(&snapshot, name, value), [""; 0], "{name}");
    }
    assert!(
        !find(&snapshot, "(!(userPassword={SSHA}abc))").is_empty(),
        "an attribute nobody has"
    );
}

#[test]
fn a_named_password_is_served_and_no_other() {
    let (snapshot, _) = forged_under(CustomPolicy::serving(["sambaNTPassword"]).unwrap());
    assert!(learnt(&snapshot, "sambaNTPassword", "0123").len() > 8);
    assert_eq!(learnt(&snapshot, "userPassword", "{SSHA}abc"), [""; 0]);
}

#[test]
fn records_carried_over_follow_the_policy_too() {
    let all = CustomPolicy::serving(PASSWORD_ATTRIBUTES).unwrap();
    assert_eq!(all, CustomPolicy::serving_all());
    let (served, _) = forged_under(all);
    let mut octets = Vec::new();
    let user = served.user_by_pk(24).unwrap();
    served.carried_user(user).unwrap().encode(&mut octets);
    let mut builder = Builder::new();
    builder.carry_user(&CarriedUser::decode(&octets).unwrap());
    let carried = Arc::new(builder.finish().unwrap().0);
    assert_eq!(learnt(&carried, "userPassword", "{SSHA}abc"), [""; 0]);

    let (expected, _) = forged();
    let served = Arc::try_unwrap(served).unwrap();
    let fingerprint = served.fingerprint();
    let served = served.under(all).unwrap();
    assert_eq!(served.fingerprint(), fingerprint);
    assert_eq!(
        served.under(CustomPolicy::default()).unwrap().fingerprint(),
        expected.fingerprint()
    );
}

#[test]
fn the_schema_learns_of_every_name_and_of_several_values() {
    let mut builder = Builder::new();
    add_user(
        &mut builder,
        1,
        "one",
        r#"{"nextcloud_quota":"1 GB","2fa":true,"/x":"a","with space":"b","ключ":"c","mail":["a","b"],"mobile":["1","2"],
            "surname":["x","y"],"title":"t","objectClass":["ldapPublicKey","a.b","user","LDAPPUBLICKEY"]}"#,
    );
    add_group(
        &mut builder,
        STAFF,
        "staff",
        &[],
        &[],
        r#"{"objectClass":["A.B","a/b"]}"#,
    );
    let beyond = builder.finish().unwrap().0.beyond_schema().unwrap();
    assert_eq!(
        beyond.custom,
        [
            "-x",
            "2fa",
            "nextcloud_quota",
            "u043a-u043b-u044e-u0447",
            "with-space"
        ]
    );
    assert_eq!(beyond.several, ["mail", "sn"]);
    let classes: Vec<String> = beyond
        .classes
        .iter()
        .map(|class| class.served.to_lowercase())
        .collect();
    assert_eq!(classes, ["a.b", "a/b", "ldappublickey"]);
    assert!(beyond.known.contains(&"title") && !beyond.known.contains(&"pager"));
}
