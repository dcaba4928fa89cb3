use super::*;
use crate::build::record::{FULL, GroupRecord, MAX_WARNINGS, UserRecord};
use crate::fixture::*;

fn warnings(builder: Builder) -> Vec<String> {
    builder
        .finish()
        .unwrap()
        .1
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn users_are_found_by_pk_uid_and_name() {
    let snapshot = snapshot();
    assert_eq!((snapshot.user_count(), snapshot.group_count()), (5, 4));
    let bob = snapshot.user_by_pk(2).unwrap();
    assert_eq!(snapshot.user_by_uid(&uid(2)), Ok(Some(bob)));
    assert_eq!(snapshot.users_by_name(b"BOB").unwrap(), [bob]);
    let summary = snapshot.user(bob).unwrap();
    assert_eq!(
        (summary.pk, summary.username, summary.uid),
        (2, "bob", uid(2).as_str())
    );
    assert_eq!((summary.is_active, summary.is_superuser), (true, false));
    assert_eq!(summary.uuid.unwrap().to_string(), uuid(2));
    assert_eq!(summary.password_change_date, Some(1_767_323_045_678_901));
    assert_eq!(
        snapshot
            .user(snapshot.user_by_pk(4).unwrap())
            .unwrap()
            .password_change_date,
        None
    );
    assert_eq!(
        (snapshot.user_by_pk(9), snapshot.user_by_uid("x")),
        (None, Ok(None))
    );
    assert_eq!(snapshot.users_by_name(b"nobody").unwrap(), []);
    let alice = snapshot.user_by_pk(1).unwrap();
    assert_eq!(snapshot.groups_of(alice).unwrap(), ["staff", "admins"]);
    assert_eq!(
        snapshot
            .users()
            .map(|user| snapshot.user(user).unwrap().pk)
            .collect::<Vec<_>>(),
        [1, 2, 3, 4, 5]
    );
}

#[test]
fn what_cannot_be_served_is_named_and_the_rest_is_served() {
    let mut builder = builder();
    builder.add_user(&UserRecord {
        pk: 50,
        username: "",
        ..UserRecord::default()
    });
    builder.add_user(&UserRecord {
        pk: 51,
        uuid: "no",
        username: "u51",
        attributes: Some(r#"{"//":1,"ok":2}"#),
        ..UserRecord::default()
    });
    builder.add_user(&UserRecord {
        pk: 52,
        uuid: &uuid(52),
        username: "u52",
        attributes: Some("[1]"),
        ..UserRecord::default()
    });
    add_user(&mut builder, 1, "again", "{}");
    builder.add_group(&GroupRecord {
        uuid: "nonsense",
        name: "bad",
        ..GroupRecord::default()
    });
    add_group(&mut builder, EMPTY, "twice", &[], &[], "{}");
    add_group(
        &mut builder,
        "50000000-0000-4000-8000-000000000005",
        "ghosts",
        &[STAFF, &uuid(77)],
        &[1, 2, 998, 999],
        "{}",
    );
    let (snapshot, warnings) = builder.finish().unwrap();
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "user \"pk 50\" is not served: it has no name",
            "attribute \"//\" of user \"u51\" is not served: nothing of its name can be an attribute name",
            "entryUUID of user \"u51\" is not served: \"no\" cannot be read",
            "the custom attributes of user \"u52\" are not served: they are not a JSON object",
            "group \"bad\" is not served: its primary key is not a UUID",
            "user \"again\" is not served: another one with the same primary key came before",
            "group \"twice\" is not served: another one with the same primary key came before",
            "group \"ghosts\" names 3 members or parents that were not received; they are left out",
        ]
    );
    assert_eq!((snapshot.user_count(), snapshot.group_count()), (7, 5));
    assert_eq!(
        snapshot.user(snapshot.user_by_pk(1).unwrap()).unwrap().username,
        "alice"
    );
}

#[test]
fn shared_group_numbers_are_warned_of_unless_replaced() {
    let mut builder = Builder::new();
    add_group(
        &mut builder,
        "12345000-0000-4000-8000-000000000001",
        "one",
        &[],
        &[],
        "{}",
    );
    add_group(
        &mut builder,
        "12345000-0000-4000-8000-000000000002",
        "two",
        &[],
        &[],
        "{}",
    );
    add_group(
        &mut builder,
        "12345000-0000-4000-8000-000000000003",
        "three",
        &[],
        &[],
        r#"{"gidNumber":"9"}"#,
    );
    assert_eq!(
        warnings(builder),
        [
            "groups \"one\" and \"two\" share the group number 12345; set the attribute gidNumber on one of them"
        ]
    );
}

#[test]
fn warnings_are_bounded() {
    let mut builder = Builder::new();
    for pk in 0..MAX_WARNINGS as i64 + 7 {
        add_user(&mut builder, pk, &format!("u{pk}"), r#"{"/":1}"#);
    }
    let warnings = warnings(builder);
    assert_eq!(warnings.len(), MAX_WARNINGS + 1);
    assert_eq!(warnings.last().unwrap(), "7 more warnings are not shown");
}

#[test]
fn the_fingerprint_depends_on_contents_and_not_on_order() {
    let fingerprint = |build: &dyn Fn(&mut Builder)| {
        let mut builder = Builder::new();
        build(&mut builder);
        builder.finish().unwrap().0.fingerprint()
    };
    let one = |builder: &mut Builder| add_user(builder, 1, "a", "{}");
    let two = |builder: &mut Builder| add_user(builder, 2, "b", "{}");
    let group = |members: &'static [i64]| {
        fingerprint(&move |builder| {
            one(builder);
            two(builder);
            add_group(builder, STAFF, "staff", &[], members, "{}");
        })
    };
    let ordered = fingerprint(&|builder| {
        one(builder);
        two(builder);
    });
    assert_eq!(
        ordered,
        fingerprint(&|builder| {
            two(builder);
            one(builder);
        })
    );
    assert_ne!(
        ordered,
        fingerprint(&|builder| {
            one(builder);
            add_user(builder, 2, "b", r#"{"x":1}"#);
        })
    );
    assert_eq!(group(&[1, 2]), group(&[2, 1]));
    assert_ne!(group(&[1]), group(&[2]));
}

#[test]
fn records_with_the_same_attributes_share_their_shape() {
    let mut builder = Builder::new();
    for pk in 0..100 {
        add_user(&mut builder, pk, &format!("u{pk}"), r#"{"x":1,"y":2}"#);
    }
    assert_eq!(builder.list_numbers.len(), 1);
}

#[test]
fn a_new_snapshot_is_warmed_as_the_old_one_was_used() {
    let old = snapshot();
    let mut many = Builder::new();
    for pk in 0..1000 {
        add_user(&mut many, pk, &format!("u{pk}"), r#"{"department":"x"}"#);
    }
    let id = old.records.attributes.find(b"department").unwrap();
    let _ = old.text_keys(id);
    let new = many.finish().unwrap().0;
    let own = new.records.attributes.find(b"department").unwrap();
    new.warm_like(&old);
    assert!(new.indexes.get(own).unwrap().text.get().is_some());
    assert!(new.indexes.get(AttributeId::CN).unwrap().text.get().is_none());
}

#[test]
fn of_one_name_the_record_added_last_stays() {
    let user = |pk, username| UserRecord {
        pk,
        username,
        ..UserRecord::default()
    };
    let group = |uuid, num_pk| GroupRecord {
        uuid,
        num_pk,
        name: "staff",
        ..GroupRecord::default()
    };
    let (first, second) = (
        "00000000-0000-0000-0000-000000000001",
        "00000000-0000-0000-0000-000000000002",
    );
    let mut builder = Builder::new();
    // The later one has the lower pk, the higher pk, and a name that differs in case.
    for (pk, name) in [(7, "alice"), (3, "alice"), (1, "bob"), (9, "bob"), (5, "BOB")] {
        builder.add_user(&user(pk, name));
    }
    assert_eq!(
        builder.namesakes(&[("alice", 3), ("bob", 9), ("carol", 2)].into()),
        [7, 1]
    );
    builder.add_group(&group(second, Some(2)));
    builder.add_group(&group(first, Some(1)));
    let (snapshot, warnings) = builder.finish().unwrap();
    let pks: Vec<i64> = snapshot
        .users()
        .map(|user| snapshot.user(user).unwrap().pk)
        .collect();
    assert_eq!(pks, [3, 5, 9]);
    assert_eq!(snapshot.users_by_name(b"bob").unwrap().len(), 1);
    assert_eq!(snapshot.group_count(), 1);
    assert!(snapshot.group_by_uuid(first.parse().unwrap()).is_some());
    let told = warnings
        .iter()
        .filter(|warning| warning.to_string().contains("its name has passed to another"));
    assert_eq!(told.count(), 3);
}

#[test]
fn what_has_no_number_or_no_year_is_told_and_not_shown() {
    let mut builder = Builder::new();
    for (pk, date) in [(1, i64::MIN), (2, i64::MAX), (3, 0)] {
        builder.add_user(&UserRecord {
            pk,
            username: &format!("user{pk}"),
            uuid: "00000000-0000-4000-8000-000000000001",
            password_change_date: Some(date),
            ..UserRecord::default()
        });
    }
    builder.add_group(&GroupRecord {
        uuid: "10000000-0000-4000-8000-000000000001",
        name: "numberless",
        ..GroupRecord::default()
    });
    let (snapshot, warnings) = builder.finish().unwrap();
    let changed = snapshot.lookup(AttributeId::PWD_CHANGED_TIME, || b"").unwrap();
    assert!(changed.is_empty());
    let index = snapshot.indexes.get(AttributeId::PWD_CHANGED_TIME).unwrap();
    assert_eq!((index.records(), snapshot.group_count()), (1, 0));
    let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings[0].contains("user1") && warnings[0].contains("pwdChangedTime"));
    assert!(warnings[2].contains("numberless") && warnings[2].contains("it has no number"));
}

#[test]
fn what_there_is_no_room_for_is_left_out_and_told_of() {
    let mut builder = Builder::new();
    // Room for two short names.
    builder.rdn_room = 2 * 2 * (4 + 3 * 2);
    for (pk, username) in [(1, "aa"), (2, "bb"), (3, "c")] {
        builder.add_user(&UserRecord {
            pk,
            username,
            uuid: "00000000-0000-4000-8000-000000000001",
            ..UserRecord::default()
        });
    }
    assert!(builder.has_room_for(u32::MAX as usize, 0));
    assert!(!builder.has_room_for(1 << 32, 0) && !builder.has_room_for(0, usize::MAX));
    let (snapshot, warnings) = builder.finish().unwrap();
    assert_eq!(snapshot.user_pks(), [1, 2]);
    let told: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains(FULL), "{told:?}");
}
