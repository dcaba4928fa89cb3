use super::*;
use crate::build::builder::Builder;
use crate::build::octets::canonical;
use crate::fixture::{self, add_group, add_user};
use crate::model::built_in::AttributeId;
use crate::model::encoded::Elements;
use crate::{GroupRecord, UserRecord};
use akldap_ldap::response::write_attribute;

/// The fixture, and records that strain every field.
fn rich() -> Snapshot {
    let mut builder = fixture::builder();
    for (pk, attributes) in [
        (20, r#"{"uidNumber":7,"gidNumber":8,"uid":"own","CN":"Other"}"#),
        (21, r#"{"uidNumber":"9","memberOf":["x","y"],"objectClass":"z"}"#),
        (
            22,
            r#"{"uidNumber":"9","gidNumber":["1","2"],"ak-superuser":"maybe"}"#,
        ),
        (23, r#"{"x":"","large":[1,2,3],"surname":"S"}"#),
    ] {
        add_user(&mut builder, pk, &format!("u{pk}"), attributes);
    }
    builder.add_user(&UserRecord {
        pk: 24,
        uuid: "none",
        username: "#bare, one",
        is_superuser: true,
        ..UserRecord::default()
    });
    let long = format!("{{\"description\":\"{}\"}}", "x".repeat(70_000));
    add_user(&mut builder, -3, "long", &long);
    add_group(
        &mut builder,
        "50000000-0000-4000-8000-000000000005",
        "numbered",
        &[fixture::STAFF],
        &[20, 21, -3],
        r#"{"gidNumber":77,"member":"cn=x","note":["a","b"]}"#,
    );
    builder.add_group(&GroupRecord {
        uuid: "60000000-0000-4000-8000-000000000006",
        num_pk: Some(-1),
        name: "a+b",
        is_superuser: true,
        ..GroupRecord::default()
    });
    builder.finish().unwrap().0
}

fn users(snapshot: &Snapshot) -> Vec<Vec<u8>> {
    let encode = |user| {
        let mut out = Vec::new();
        snapshot.carried_user(user).unwrap().encode(&mut out);
        out
    };
    snapshot.users().map(encode).collect()
}

fn groups(snapshot: &Snapshot) -> Vec<Vec<u8>> {
    let encode = |group| {
        let mut out = Vec::new();
        snapshot.carried_group(group).unwrap().encode(&mut out);
        out
    };
    snapshot.groups().map(encode).collect()
}

#[test]
fn a_snapshot_made_of_carried_rows_is_the_same() {
    let snapshot = rich();
    let mut builder = Builder::new();
    for group in snapshot.groups() {
        builder.carry_group(&snapshot.carried_group(group).unwrap());
    }
    for user in snapshot.users() {
        builder.carry_user(&snapshot.carried_user(user).unwrap());
    }
    let (again, warnings) = builder.finish().unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(again.fingerprint(), snapshot.fingerprint());
    let bare = again.users_by_name(b"#bare, one").unwrap();
    assert_eq!(
        again
            .records
            .user_record(bare[0])
            .and_then(|bare| again.records.rdn(bare)),
        Ok(&b"cn=\\#bare\\, one"[..])
    );
    for user in snapshot.users() {
        assert_eq!(again.user(user), snapshot.user(user));
        assert_eq!(
            again.user_by_uid(again.user(user).unwrap().uid),
            snapshot.user_by_uid(snapshot.user(user).unwrap().uid)
        );
    }
}

#[test]
fn a_snapshot_is_the_same_after_a_way_through_octets() {
    let snapshot = rich();
    let mut builder = Builder::new();
    let (users, groups) = (users(&snapshot), groups(&snapshot));
    for octets in &users {
        builder.carry_user(&CarriedUser::decode(octets).unwrap());
    }
    for octets in &groups {
        builder.carry_group(&CarriedGroup::decode(octets).unwrap());
    }
    assert_eq!(builder.finish().unwrap().0.fingerprint(), snapshot.fingerprint());
}

#[test]
fn path_and_type_are_kept_and_a_file_may_be_older_than_they_are() {
    let build = |path, kind| {
        let mut builder = Builder::new();
        builder.add_user(&UserRecord {
            pk: 1,
            uuid: &fixture::uuid(1),
            username: "alice",
            path,
            kind,
            ..UserRecord::default()
        });
        builder.finish().unwrap().0
    };
    let account = |snapshot: &Snapshot| {
        let user = snapshot.users().next().unwrap();
        let account = snapshot.records.users.accounts.of(user).unwrap();
        (account.path.to_string(), account.kind.to_string())
    };
    let octets = |snapshot: &Snapshot| users(snapshot).remove(0);
    let (filed, plain) = (build("users/staff", "external"), build("", ""));
    assert_ne!(filed.fingerprint(), plain.fingerprint());
    // Without them a user is written as before they existed.
    let more = octets(&filed).len() - octets(&plain).len();
    assert_eq!(more, 2 * size_of::<u64>() + "users/staffexternal".len());
    for snapshot in [&filed, &plain] {
        let mut builder = Builder::new();
        builder.carry_user(&CarriedUser::decode(&octets(snapshot)).unwrap());
        let again = builder.finish().unwrap().0;
        assert_eq!(account(&again), account(snapshot));
        assert_eq!(again.fingerprint(), snapshot.fingerprint());
    }
}

#[test]
fn a_carried_row_is_the_same_as_one_read_again() {
    // The same users, some carried and one read again, in a different order.
    let snapshot = fixture::snapshot();
    let mut builder = fixture::builder();
    builder.retain_users(|pk| pk == 2);
    for user in snapshot.users().collect::<Vec<_>>().into_iter().rev() {
        let carried = snapshot.carried_user(user).unwrap();
        if carried.pk() != 2 {
            builder.carry_user(&carried);
        }
    }
    assert_eq!(builder.finish().unwrap().0.fingerprint(), snapshot.fingerprint());
}

#[test]
fn superusers_are_made_and_unmade() {
    let build = |superuser| {
        let mut builder = Builder::new();
        for (pk, attributes) in [(1, None), (2, Some(r#"{"ak-superuser":"own"}"#))] {
            builder.add_user(&UserRecord {
                pk,
                username: "u",
                is_superuser: superuser,
                attributes,
                ..UserRecord::default()
            });
        }
        builder.finish().unwrap().0
    };
    let (plain, superusers) = (build(false), build(true));
    for (from, to, superuser) in [(&plain, &superusers, true), (&superusers, &plain, false)] {
        let mut builder = Builder::new();
        for user in from.users() {
            let mut carried = from.carried_user(user).unwrap();
            carried.set_superuser(superuser).unwrap();
            assert_eq!(carried.is_superuser(), superuser);
            builder.carry_user(&carried);
        }
        assert_eq!(builder.finish().unwrap().0.fingerprint(), to.fingerprint());
    }
}

#[test]
fn members_are_added_once_and_unknown_ones_left_out() {
    let snapshot = fixture::snapshot();
    let staff = snapshot.group_by_uuid(fixture::STAFF.parse().unwrap()).unwrap();
    let mut carried = snapshot.carried_group(staff).unwrap();
    assert_eq!(carried.members, [1, 2]);
    carried.add_member(2);
    carried.add_member(3);
    carried.add_member(99);
    let mut builder = Builder::new();
    snapshot
        .users()
        .for_each(|user| builder.carry_user(&snapshot.carried_user(user).unwrap()));
    builder.carry_group(&carried);
    let (again, warnings) = builder.finish().unwrap();
    let staff = again.groups().next().unwrap();
    assert_eq!(again.carried_group(staff).unwrap().members, [1, 2, 3]);
    assert_eq!(warnings.len(), 1);
    assert_eq!(again.group_by_uuid(Uuid::nil()), None);
}

#[test]
fn damaged_octets_are_refused_or_make_another_sound_record() {
    let snapshot = rich();
    let mut seed = 7_u64;
    let mut random = move |bound: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % bound
    };
    let small = |octets: &Vec<u8>| octets.len() < 2000;
    for original in users(&snapshot)
        .iter()
        .chain(&groups(&snapshot))
        .filter(|octets| small(octets))
    {
        for cut in (0..original.len()).step_by(3) {
            assert!(CarriedUser::decode(&original[..cut]).is_none());
            assert!(CarriedGroup::decode(&original[..cut]).is_none());
        }
        let longer = [original.as_slice(), &[0]].concat();
        assert!(CarriedUser::decode(&longer).is_none() && CarriedGroup::decode(&longer).is_none());
        for _ in 0..100 {
            let mut damaged = original.clone();
            for _ in 0..=random(3) {
                let place = random(damaged.len());
                damaged[place] ^= 1 << random(8);
            }
            let mut again = Vec::new();
            let mut builder = Builder::new();
            if let Some(user) = CarriedUser::decode(&damaged) {
                user.encode(&mut again);
                builder.carry_user(&user);
            } else if let Some(group) = CarriedGroup::decode(&damaged) {
                group.encode(&mut again);
                builder.carry_group(&group);
            } else {
                continue;
            }
            assert_eq!(again, damaged);
            let (snapshot, _) = builder.finish().unwrap();
            assert_eq!(snapshot.records.all.len(), 1);
            let record = snapshot.records.get(RecordIx::new(0)).unwrap();
            let block = snapshot.records.block(record).unwrap();
            assert_eq!(canonical(block), block);
        }
    }
}

#[test]
fn contradictions_are_refused() {
    let snapshot = fixture::snapshot();
    let sound = |change: &dyn Fn(&mut CarriedUser<'_>)| {
        let mut user = snapshot.carried_user(snapshot.user_by_pk(1).unwrap()).unwrap();
        change(&mut user);
        let mut out = Vec::new();
        user.encode(&mut out);
        CarriedUser::decode(&out).is_some()
    };
    assert!(sound(&|_| {}));
    assert!(!sound(&|user| user.record.name = "mallory"), "cn says otherwise");
    assert!(!sound(&|user| user.record.name = ""), "no name");
    assert!(!sound(&|user| user.active = false), "ak-active says otherwise");
    assert!(
        !sound(&|user| user.record.superuser = true),
        "ak-superuser says otherwise"
    );
    assert!(!sound(&|user| user.uid = "other"), "uid says otherwise");
    assert!(
        !sound(&|user| user.number_source = record::OWN_GID_NUMBER),
        "no such number"
    );
    let attributes = |change: &dyn Fn(&mut Vec<u8>)| {
        sound(&|user| {
            let mut attributes = user.record.attributes.to_vec();
            change(&mut attributes);
            user.record.attributes = Cow::Owned(attributes);
        })
    };
    let one = |name: &'static [u8], values: &'static [&'static [u8]]| {
        attributes(&|octets| write_attribute(octets, name, values.iter().copied()))
    };
    let with_sn = |replaced: u32| {
        sound(&|user| {
            let mut attributes = Vec::new();
            for element in Elements(&user.record.attributes) {
                let element = element.unwrap();
                match encoded::attribute(&element) {
                    Ok((b"sn", _)) => write_attribute(&mut attributes, b"sn", [&b"Other"[..]]),
                    _ => attributes.extend_from_slice(element.whole),
                }
            }
            user.record.attributes = Cow::Owned(attributes);
            user.record.replaced |= replaced;
        })
    };
    assert!(!with_sn(0), "name and displayName say otherwise");
    assert!(with_sn(AttributeId::SN.override_bit()));
    assert!(one(b"custom", &[b"a", b"b"]));
    assert!(!one(b"custom", &[]), "without a value");
    assert!(!one(b"cn", &[b"alice"]), "twice");
    assert!(!one(b"memberOf", &[b"x"]), "computed, yet nothing is replaced");
    assert!(!one(b" rdn", &[b"x"]), "no attribute name");
    assert!(!one(b"-", &[b"x"]), "no attribute name");
    assert!(
        !attributes(&|octets| octets.extend([0x30, 0x81, 5, 4, 1, b'x', 0x31, 0])),
        "not as we write it"
    );
    assert!(!attributes(&|octets| octets.clear()), "nothing at all");
}

/// Attributes that end in the middle, or are not attributes, come from a damaged snapshot.
#[test]
fn what_is_carried_over_in_part_builds_nothing() {
    let whole = rich();
    let user = whole.users().next().unwrap();
    let carried = whole.carried_user(user).unwrap();
    let attributes = carried.record.attributes.to_vec();
    let cut = attributes[..attributes.len() - 1].to_vec();
    let no_attribute = [&attributes[..], &[0x30, 0x00]].concat();
    let mut broken_value = attributes.clone();
    // The last value ends one octet early.
    let last = Elements(&attributes).last().unwrap().unwrap();
    let (_, set) = encoded::attribute(&last).unwrap();
    let value = encoded::values(set).last().unwrap().unwrap();
    broken_value[attributes.len() - value.len() - 1] -= 1;
    for damaged in [cut, no_attribute, broken_value] {
        let mut carried = carried.clone();
        carried.record.attributes = damaged.into();
        let mut builder = Builder::like(&whole);
        builder.carry_user(&carried);
        assert_eq!(builder.finish().err(), Some(WrongNumber::Octets));
    }
}
