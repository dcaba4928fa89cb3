//! Sorting (RFC 2891), virtual list view, dereference, manageDsaIT, and unknown controls.

use ldap3_proto::control::LdapControl;
use ldap3_proto::proto::LdapSearchScope;

use crate::conformance::controls::{
    DEREF, MANAGE_DSA_IT, SORT, control, dereference, entries_with_controls, raw_answer, sorted, value_of,
    view, view_from, view_of,
};
use akldap_testing::client::search;
use akldap_testing::stage::{BASE, SUFFIX, Stage, user_dn};

fn users() -> ldap3_proto::proto::LdapSearchRequest {
    search(
        BASE,
        LdapSearchScope::Subtree,
        "(objectClass=user)",
        &["cn", "uidNumber", "displayName"],
    )
}

fn sort_response(controls: &[LdapControl]) -> bool {
    controls
        .iter()
        .any(|control| matches!(control, LdapControl::ServerSortResult { .. }))
}

#[tokio::test]
async fn answers_are_sorted_as_asked() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    for (keys, turned) in [(&["cn"][..], false), (&["-cn"], true)] {
        let found = client.search_with(users(), vec![sorted(keys, true)]).await;
        assert!(sort_response(&found.outcome.controls), "{:?}", found.outcome);
        let names: Vec<String> = found
            .entries
            .iter()
            .map(|entry| entry.one("cn").to_lowercase())
            .collect();
        let mut expected = names.clone();
        expected.sort();
        if turned {
            expected.reverse();
        }
        assert_eq!(names, expected, "{keys:?}");
    }
    let found = client
        .search_with(users(), vec![sorted(&["uidNumber"], true)])
        .await;
    let numbers: Vec<i64> = found
        .entries
        .iter()
        .map(|entry| entry.one("uidNumber").parse().unwrap())
        .collect();
    assert!(numbers.is_sorted(), "numbers are sorted as numbers: {numbers:?}");
    let found = client
        .search_with(users(), vec![sorted(&["title", "-cn"], true)])
        .await;
    assert_eq!(
        found.entries.len(),
        60,
        "those without the attribute are there too"
    );
}

#[tokio::test]
async fn what_cannot_be_sorted_is_refused_if_critical_and_unsorted_otherwise() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    let found = client
        .search_with(users(), vec![control(SORT, false, Some(vec![0x30, 0]))])
        .await;
    assert_eq!(found.outcome.code, 2, "a sort request without keys is malformed");
    for (critical, code, entries) in [(true, 12, 0), (false, 0, 60)] {
        let client = stage.bound("ldapservice").await;
        let answer = raw_answer(client, users(), vec![sorted(&["nosuchattribute"], critical)]).await;
        assert_eq!((answer.code, answer.entries), (code, entries));
        // noSuchAttribute, and which.
        let value = [&[0x30, 20, 10, 1, 16, 0x80, 15], &b"nosuchattribute"[..]].concat();
        assert_eq!(answer.controls, [(b"1.2.840.113556.1.4.474".to_vec(), value)]);
    }
}

#[tokio::test]
async fn a_view_that_cannot_be_shown_says_why() {
    let stage = Stage::sample().await;
    let unsorted = raw_answer(stage.bound("ldapservice").await, users(), vec![view(0, 9, 1, 0)]).await;
    assert_eq!((unsorted.code, unsorted.entries), (60, 0), "{unsorted:?}");
    let controls = vec![sorted(&["cn"], true), view(0, 9, 0, 0)];
    let nowhere = raw_answer(stage.bound("ldapservice").await, users(), controls).await;
    assert_eq!((nowhere.code, nowhere.entries), (61, 0), "{nowhere:?}");
    assert!(
        nowhere
            .controls
            .iter()
            .any(|(oid, _)| oid == b"2.16.840.1.113730.3.4.10")
    );
}

#[tokio::test]
async fn a_virtual_list_shows_its_window() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    let whole: Vec<String> = client
        .search_with(users(), vec![sorted(&["cn"], true)])
        .await
        .dns()
        .into_iter()
        .map(str::to_owned)
        .collect();
    for (before, after, offset, count, window) in [
        (0, 9, 1, 0, 0..10),
        (2, 3, 10, 60, 7..13),
        (5, 0, 3, 60, 0..3),
        (0, 9, 60, 60, 59..60),
        // The client believes in 6 entries and wants the last.
        (1, 1, 6, 6, 58..60),
    ] {
        let found = client
            .search_with(
                users(),
                vec![sorted(&["cn"], true), view(before, after, offset, count)],
            )
            .await;
        assert_eq!(found.outcome.code, 0, "{:?}", found.outcome);
        assert_eq!(found.dns(), whole[window], "{before} {after} {offset} {count}");
        let (_, content_count, code) = view_of(&found.outcome).expect("a response control");
        assert_eq!((content_count, code), (60, 0));
    }
    let found = client
        .search_with(users(), vec![sorted(&["cn"], true), view_from(1, 2, "bob")])
        .await;
    let bob = whole.iter().position(|dn| dn.starts_with("cn=bob,")).unwrap();
    assert_eq!(found.dns(), whole[bob - 1..bob + 3]);
    assert_eq!(view_of(&found.outcome).unwrap().0, bob as i64 + 1);
}

#[tokio::test]
async fn dereference_brings_the_attributes_of_members() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    let request = || {
        search(
            BASE,
            LdapSearchScope::Subtree,
            "(&(objectClass=groupOfNames)(cn=backend))",
            &["cn"],
        )
    };
    for critical in [false, true] {
        let controls = vec![dereference("member", &["cn", "uidNumber"], critical)];
        let (entries, code) = entries_with_controls(&mut client, request(), controls).await;
        assert_eq!((code, entries.len()), (0, 1));
        let value = value_of(&entries[0].1, DEREF).expect("a control on the entry");
        for expected in [
            format!("cn=alice,ou=users,{SUFFIX}"),
            "uidNumber".into(),
            "5001".into(),
        ] {
            assert!(
                value
                    .windows(expected.len())
                    .any(|window| window == expected.as_bytes()),
                "{expected}: {}",
                String::from_utf8_lossy(&value)
            );
        }
    }
    let plain = client.search_with(request(), vec![]).await;
    assert_eq!(plain.entries.len(), 1);
    // An attribute that is not a name gives nothing to follow.
    let (entries, code) =
        entries_with_controls(&mut client, request(), vec![dereference("cn", &["mail"], false)]).await;
    assert_eq!((code, entries.len()), (0, 1));
    let mut own = stage.bound("alice").await;
    let (entries, _) =
        entries_with_controls(&mut own, request(), vec![dereference("member", &["cn"], true)]).await;
    let value = value_of(&entries[0].1, DEREF).unwrap_or_default();
    assert!(
        !String::from_utf8_lossy(&value).contains("cn=inactive"),
        "only what the user may see is followed"
    );
}

#[tokio::test]
async fn manage_dsa_it_changes_nothing() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    for critical in [false, true] {
        let found = client
            .search_with(users(), vec![control(MANAGE_DSA_IT, critical, None)])
            .await;
        assert_eq!((found.outcome.code, found.entries.len()), (0, 60));
    }
}

#[tokio::test]
async fn unknown_controls_are_ignored_unless_critical() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    for value in [None, Some(vec![]), Some(vec![0xff; 300])] {
        for oid in [
            "1.2.3.4.5",
            "1.3.6.1.4.1.4203.1.9.1.1",
            "2.16.840.1.113730.3.4.3",
            "not an oid",
        ] {
            let found = client
                .search_with(users(), vec![control(oid, false, value.clone())])
                .await;
            assert_eq!((found.outcome.code, found.entries.len()), (0, 60), "{oid}");
            let found = client
                .search_with(users(), vec![control(oid, true, value.clone())])
                .await;
            assert_eq!((found.outcome.code, found.entries.len()), (12, 0), "{oid}");
            assert!(!found.outcome.message.is_empty());
        }
    }
    assert_eq!(client.read(&user_dn("alice"), &["cn"]).await.entries.len(), 1);
}
