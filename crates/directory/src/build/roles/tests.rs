use std::sync::Arc;

use super::*;
use crate::Shape;
use crate::build::carried::CarriedUser;
use crate::build::record::UserRecord;
use crate::fixture::{Query, query};
use crate::shape::visibility::{About, Visibility, conditions};

const STAFF: &str = "00000000-0000-4000-8000-000000000001";
const NESTED: &str = "00000000-0000-4000-8000-000000000002";

fn role(number: u32, name: &str) -> (String, String) {
    (format!("ffffffff-0000-4000-8000-{number:012}"), name.to_owned())
}

/// alice has a role, and so has a group with bob below which is one with carol; dave has one that is authentik's own affair.
fn base() -> Snapshot {
    let mut builder = Builder::new();
    let readers = [
        role(2, "Readers"),
        role(3, "ak-managed-role--user-2"),
        role(2, "Readers"),
    ];
    let roles: [&[(String, String)]; 4] = [&readers, &[], &[], &readers[1..2]];
    for ((pk, name), roles) in (1..).zip(["alice", "bob", "carol", "dave"]).zip(roles) {
        builder.add_user(&UserRecord {
            pk,
            username: name,
            uuid: &format!("{pk:08}-0000-4000-8000-00000000000a"),
            roles,
            ..UserRecord::default()
        });
    }
    builder.add_group(&GroupRecord {
        uuid: STAFF,
        num_pk: Some(7),
        name: "staff",
        users: &[2],
        roles: &[role(2, "Readers"), role(4, "nested")],
        ..GroupRecord::default()
    });
    builder.add_group(&GroupRecord {
        uuid: NESTED,
        num_pk: Some(8),
        name: "nested",
        parents: &[STAFF.to_owned()],
        users: &[3],
        ..GroupRecord::default()
    });
    builder.finish().unwrap().0
}

fn with_roles(membership: Membership) -> Shape {
    Shape {
        roles_as_groups: true,
        membership,
        ..Shape::default()
    }
}

fn names(snapshot: &Arc<Snapshot>, filter: &str) -> Vec<String> {
    let mut query: Query = query(filter);
    query.snapshot = Arc::clone(snapshot);
    let found = query.attributes(&["cn"]).entries();
    let mut names: Vec<String> = found.iter().flat_map(|entry| entry.get("cn")).collect();
    names.sort();
    names
}

fn groups(snapshot: &Arc<Snapshot>, filter: &str) -> Vec<String> {
    names(
        snapshot,
        &format!("(&{filter}(objectClass=group)(!(objectClass=goauthentik.io/ldap/virtual-group)))"),
    )
}

fn members(snapshot: &Arc<Snapshot>, group: &str) -> Vec<String> {
    let mut query: Query = query(&format!("(&(objectClass=group)(cn={group}))"));
    query.snapshot = Arc::clone(snapshot);
    let mut all = query.attributes(&["member"]).entries().remove(0).get("member");
    all.iter_mut().for_each(|dn| dn.truncate(dn.find(',').unwrap()));
    all.sort();
    all
}

#[test]
fn roles_are_groups_of_those_who_have_them() {
    let base = base();
    let (snapshot, warnings) = base.shaped(&with_roles(Membership::Direct)).unwrap();
    let snapshot = Arc::new(snapshot);
    assert_eq!(groups(&snapshot, "(cn=*)"), ["Readers", "nested", "staff"]);
    assert_eq!(members(&snapshot, "Readers"), ["cn=alice", "cn=staff"]);
    let readers = "cn=Readers,ou=groups,dc=ldap,dc=goauthentik,dc=io";
    assert_eq!(
        names(&snapshot, &format!("(memberOf={readers})")),
        ["alice", "staff"]
    );
    // Whoever is in it by a group is found in the chain.
    let chain = format!("(memberOf:1.2.840.113556.1.4.1941:={readers})");
    assert_eq!(
        names(&snapshot, &chain),
        ["alice", "bob", "carol", "nested", "staff"]
    );
    // The number is what authentik would make of the UUID.
    assert_eq!(group_number(Uuid::from_u128(14_375_999)), 14_375);
    let number = 4000 + group_number(Uuid::parse_str(&role(2, "").0).unwrap());
    assert_eq!(groups(&snapshot, &format!("(gidNumber={number})")), ["Readers"]);
    // Of a role and a group with the same name the group is shown, and that is reported.
    let told: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert!(
        told.len() == 1
            && told[0].contains("group \"nested\" is not served: a role of that name is shown as a group"),
        "{told:?}"
    );

    // Without the option nothing shows that there are roles.
    let (without, warnings) = base.shaped(&Shape::default()).unwrap();
    assert_eq!(groups(&Arc::new(without), "(cn=*)"), ["nested", "staff"]);
    assert_eq!(warnings, []);
}

#[test]
fn inherited_members_of_a_role_are_those_of_its_groups_too() {
    let (snapshot, _) = base().shaped(&with_roles(Membership::Inherited)).unwrap();
    let snapshot = Arc::new(snapshot);
    let all = ["cn=alice", "cn=bob", "cn=carol", "cn=nested", "cn=staff"];
    assert_eq!(members(&snapshot, "Readers"), all);
}

#[test]
fn whoever_is_hidden_has_no_role_that_shows_but_to_themselves() {
    let base = Arc::new(base());
    for (membership, name, pk, own) in [
        (Membership::Direct, "alice", 1, &["Readers"][..]),
        (Membership::Direct, "bob", 2, &["staff"]),
        (Membership::Inherited, "bob", 2, &["Readers", "staff"]),
        (Membership::Direct, "dave", 4, &[]),
    ] {
        let shape = Shape {
            visible_users: Visibility {
                shown: Vec::new(),
                hidden: conditions(
                    &format!("(entryUUID={pk:08}-0000-4000-8000-00000000000a)"),
                    About::Users,
                )
                .unwrap(),
            },
            ..with_roles(membership)
        };
        let shape = Shape {
            location: Some(crate::shape::location::Location::of(crate::fixture::tree())),
            ..shape
        };
        let shaped = Arc::new(base.shaped(&shape).unwrap().0);
        assert!(
            !members(&shaped, "Readers").contains(&format!("cn={name}")),
            "{name}"
        );
        let view = Arc::new(base.own_view(&shaped, &shape, pk).unwrap().unwrap());
        assert_eq!(groups(&view, "(cn=*)"), own, "{name} {membership:?}");
        for group in own {
            assert_eq!(members(&view, group), [format!("cn={name}")]);
        }
    }
}

#[test]
fn roles_are_conditions_as_groups_are() {
    let shape = Shape {
        visible_users: Visibility {
            shown: conditions("group:Readers", About::Users).unwrap(),
            hidden: Vec::new(),
        },
        ..with_roles(Membership::Direct)
    };
    let (snapshot, warnings) = base().shaped(&shape).unwrap();
    assert_eq!(snapshot.user_pks(), [1, 2, 3]);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
}

#[test]
fn roles_are_carried_on_and_tell_directories_apart() {
    let base = base();
    let mut builder = Builder::like(&base);
    let mut octets = Vec::new();
    for user in base.users() {
        octets.clear();
        base.carried_user(user).unwrap().encode(&mut octets);
        builder.carry_user(&CarriedUser::decode(&octets).expect("a user"));
    }
    for group in base.groups() {
        octets.clear();
        base.carried_group(group).unwrap().encode(&mut octets);
        builder.carry_group(&CarriedGroup::decode(&octets).expect("a group"));
    }
    let (again, _) = builder.finish().unwrap();
    assert_eq!(again.fingerprint(), base.fingerprint());
    let shape = with_roles(Membership::Direct);
    let shaped = [&base, &again].map(|snapshot| snapshot.shaped(&shape).unwrap().0.fingerprint());
    assert_eq!(shaped[0], shaped[1]);

    // One role less, of a user or of a group, is another directory.
    for forgotten in ["alice", "staff"] {
        let mut builder = Builder::like(&base);
        for user in base.users() {
            let mut user = base.carried_user(user).unwrap();
            if user.record.name == forgotten {
                user.roles.to_mut().clear();
            }
            builder.carry_user(&user);
        }
        for group in base.groups() {
            let mut group = base.carried_group(group).unwrap();
            if group.record.name == forgotten {
                group.roles.to_mut().pop();
            }
            builder.carry_group(&group);
        }
        assert_ne!(
            builder.finish().unwrap().0.fingerprint(),
            base.fingerprint(),
            "{forgotten}"
        );
    }
}

#[test]
fn roles_that_no_builder_would_write_are_refused() {
    let base = base();
    let mut octets = Vec::new();
    base.carried_user(base.user_by_pk(1).unwrap())
        .unwrap()
        .encode(&mut octets);
    let name = octets.windows(7).position(|part| part == b"Readers").unwrap();
    assert!(CarriedUser::decode(&octets).is_some());
    // One more that comes before, twice the same role, and roles out of order.
    for (other, is_sound) in [(1_u8, true), (2, false), (9, false)] {
        let at = name - 8 - 16;
        let mut twice = octets.clone();
        let whole = octets[at..name + 7].to_vec();
        twice.splice(at..at, whole);
        twice[at + 15] = other;
        twice[at - 8] = 3;
        assert_eq!(CarriedUser::decode(&twice).is_some(), is_sound, "{other}");
    }
}
