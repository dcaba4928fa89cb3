use uuid::Uuid;

use super::*;
use crate::Builder;
use crate::fixture::*;
use akldap_ldap::message::Scope;

fn golden(name: &str) -> String {
    query("(objectClass=*)")
        .base(&format!("{name},{SUFFIX}"))
        .scope(Scope::BaseObject)
        .ldif()
}

#[test]
fn a_user_is_served_as_authentiks_outpost_serves_it() {
    let expected = "\
dn: cn=bob,ou=users,dc=ldap,dc=goauthentik,dc=io
objectClass: top
objectClass: person
objectClass: organizationalPerson
objectClass: inetOrgPerson
objectClass: user
objectClass: posixAccount
objectClass: goauthentik.io/ldap/user
cn: bob
sAMAccountName: bob
uid: 0000000000000000000000000000000000000000000000000000000000000002
name: bob Example
displayName: bob Example
sn: bob Example
mail: bob@Example.com
homeDirectory: /home/bob
ak-active: TRUE
ak-superuser: FALSE
pwdChangedTime: 20260102030405Z
createTimestamp: 20250102020405Z
modifyTimestamp: 20260304050602Z
department: R & D
tags: x
tags: Y
extraAttribute: bar
uidNumber: 2002
gidNumber: 2002
memberOf: cn=staff,ou=groups,dc=ldap,dc=goauthentik,dc=io

";
    assert_eq!(golden("cn=bob,ou=users"), expected);
}

#[test]
fn a_user_without_anything_has_empty_values() {
    let plain = golden("cn=plain,ou=users");
    for line in [
        "name: ",
        "displayName: ",
        "sn: ",
        "mail: ",
        "ak-active: FALSE",
        "memberOf: (no values)",
    ] {
        assert!(plain.contains(&format!("\n{line}\n")), "{line}");
    }
    assert!(!plain.contains("Timestamp") && !plain.contains("pwdChangedTime"));
}

#[test]
fn groups_and_containers_are_served_as_authentiks_outpost_serves_them() {
    let expected = "\
dn: cn=staff,ou=groups,dc=ldap,dc=goauthentik,dc=io
objectClass: group
objectClass: groupOfUniqueNames
objectClass: groupOfNames
objectClass: goauthentik.io/ldap/group
objectClass: posixGroup
cn: staff
sAMAccountName: staff
uid: 10000000-0000-4000-8000-000000000001
ak-superuser: false
info: all of us
gidNumber: 14000
member: cn=alice,ou=users,dc=ldap,dc=goauthentik,dc=io
member: cn=bob,ou=users,dc=ldap,dc=goauthentik,dc=io
member: cn=admins,ou=groups,dc=ldap,dc=goauthentik,dc=io
member: cn=Sales\\, EMEA,ou=groups,dc=ldap,dc=goauthentik,dc=io
memberOf: (no values)

";
    assert_eq!(golden("cn=staff,ou=groups"), expected);
    let expected = "\
dn: ou=groups,dc=ldap,dc=goauthentik,dc=io
objectClass: top
objectClass: nsContainer
objectClass: organizationalUnit
ou: groups
commonName: groups
distinguishedName: ou=groups,dc=ldap,dc=goauthentik,dc=io

";
    assert_eq!(golden("ou=groups"), expected);
    let empty = golden("cn=empty,ou=groups");
    assert!(empty.contains("gidNumber: 77\nmemberOf: (no values)\n") && !empty.contains("member:"));
    assert!(golden("cn=admins,ou=groups").contains("ak-superuser: true\n"));
}

#[test]
fn a_virtual_group_is_its_user_as_a_group() {
    let expected = "\
dn: cn=zoë,ou=virtual-groups,dc=ldap,dc=goauthentik,dc=io
objectClass: group
objectClass: groupOfUniqueNames
objectClass: groupOfNames
objectClass: goauthentik.io/ldap/group
objectClass: posixGroup
objectClass: goauthentik.io/ldap/virtual-group
cn: zoë
sAMAccountName: zoë
uid: 0000000000000000000000000000000000000000000000000000000000000003
gidNumber: 4000
ak-superuser: false
member: cn=zoë,ou=users,dc=ldap,dc=goauthentik,dc=io
memberOf: (no values)

";
    assert_eq!(golden("cn=zoë,ou=virtual-groups"), expected);
}

#[test]
fn numbers_follow_attributes_where_they_are_single() {
    let mut builder = Builder::new();
    for (pk, attributes) in [
        (1, r#"{"uidNumber":"5000"}"#),
        (2, r#"{"gidNumber":6000}"#),
        (3, r#"{"uidNumber":5001,"gidNumber":"6001"}"#),
        (4, r#"{"uidNumber":["5002"],"gidNumber":["6002"]}"#),
        (5, r#"{"uidNumber":5003,"gidNumber":[6003]}"#),
        (6, r#"{"UIDNUMBER":5004}"#),
    ] {
        add_user(&mut builder, pk, &format!("u{pk}"), attributes);
    }
    let mut all = query("(|(objectClass=user)(objectClass=group))");
    all.snapshot = std::sync::Arc::new(builder.finish().unwrap().0);
    let entries = all.entries();
    let numbers = |index: usize| {
        let (user, group): (&Returned, &Returned) = (&entries[index], &entries[index + 6]);
        let uid = [user.get("uidNumber"), user.get("UIDNUMBER")].concat();
        [uid, user.get("gidNumber"), group.get("gidNumber")]
            .concat()
            .join(" ")
    };
    let numbers: Vec<_> = (0..6).map(numbers).collect();
    assert_eq!(
        numbers,
        [
            "5000 5000 5000",
            "2002 6000 6000",
            "5001 6001 6001",
            "5002 6002 2004",
            "5003 6003 5003",
            "5004 2006 2006"
        ]
    );
}

#[test]
fn places_and_entries_correspond() {
    let snapshot = snapshot();
    let layout = snapshot.records.layout;
    assert_eq!(layout.end().get(), 18);
    for place in layout.all().iter() {
        assert_eq!(layout.place(layout.entry(place).unwrap()), Ok(place));
    }
}

#[test]
fn the_uuid_of_a_virtual_group_leads_back_to_its_user() {
    let user = Uuid::parse_str(&uuid(1)).unwrap().into_bytes();
    let group = Uuid::from_bytes(virtual_group_uuid(user));
    assert_eq!(
        (group.get_version_num(), group.get_variant()),
        (8, uuid::Variant::RFC4122)
    );
    assert_eq!(virtual_group_uuid(group.into_bytes()), user);
}
