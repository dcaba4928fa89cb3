//! Searches over the wire: entries as clients know them, views, filters, scopes, results.

use ldap3_proto::proto::{LdapOp, LdapSearchScope};

use akldap_testing::client::search;
use akldap_testing::stage::{BASE, SUFFIX, Stage, user_dn};

#[tokio::test]
async fn the_service_account_sees_every_user() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    let found = client.subtree(BASE, "(objectClass=user)", &[]).await;
    let users = stage.simulator.look(|directory| directory.users().len());
    assert_eq!((found.outcome.code, found.entries.len()), (0, users));
    let alice = found.entry(&format!("cn=alice,ou=users,{SUFFIX}"));
    assert_eq!(
        alice.get("objectClass").unwrap(),
        [
            "top",
            "person",
            "organizationalPerson",
            "inetOrgPerson",
            "user",
            "posixAccount",
            "goauthentik.io/ldap/user"
        ]
    );
    for (name, value) in [
        ("cn", "alice"),
        ("sAMAccountName", "alice"),
        ("name", "Alice Example"),
        ("displayName", "Alice Example"),
        ("sn", "Alice Example"),
        ("mail", "alice@example.com"),
        ("uidNumber", "5001"),
        ("homeDirectory", "/home/alice"),
        ("ak-active", "TRUE"),
        ("ak-superuser", "FALSE"),
        ("loginShell", "/bin/zsh"),
        ("goauthentikio-user-debug", "true"),
    ] {
        assert_eq!(alice.get(name).unwrap(), [value], "{name}");
    }
    assert_eq!(alice.one("uid").len(), 64);
    assert_eq!(alice.get("telephoneNumber").unwrap(), ["+49 30 1", "+49 30 2"]);
    let mut groups = alice.get("memberOf").unwrap();
    groups.sort();
    assert_eq!(
        groups,
        [
            format!("cn=backend,ou=groups,{SUFFIX}"),
            format!("cn=everyone,ou=groups,{SUFFIX}")
        ]
    );
    assert!(alice.get("entryUUID").is_none(), "only when asked for");
}

#[tokio::test]
async fn a_user_sees_only_what_is_theirs() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("alice").await;
    let found = client
        .subtree(BASE, "(objectClass=*)", &["member", "memberOf"])
        .await;
    let mut dns = found.dns();
    dns.sort_unstable();
    let mut expected = vec![
        BASE.to_owned(),
        format!("ou=users,{SUFFIX}"),
        format!("cn=alice,ou=users,{SUFFIX}"),
        format!("ou=groups,{SUFFIX}"),
        format!("cn=backend,ou=groups,{SUFFIX}"),
        format!("cn=everyone,ou=groups,{SUFFIX}"),
        format!("ou=virtual-groups,{SUFFIX}"),
        format!("cn=alice,ou=virtual-groups,{SUFFIX}"),
    ];
    expected.sort_unstable();
    assert_eq!(dns, expected);
    let everyone = found.entry(&format!("cn=everyone,ou=groups,{SUFFIX}"));
    assert_eq!(
        everyone.get("member").unwrap(),
        [format!("cn=alice,ou=users,{SUFFIX}")]
    );
    let backend = found.entry(&format!("cn=backend,ou=groups,{SUFFIX}"));
    assert!(
        backend.get("memberOf").unwrap_or_default().is_empty(),
        "parents are not shown"
    );
    assert_eq!(
        client
            .read(&format!("cn=bob,ou=users,{SUFFIX}"), &[])
            .await
            .outcome
            .code,
        32
    );
}

#[tokio::test]
async fn names_and_filters_with_awkward_characters_work() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    let group = format!("cn=Sales\\, EMEA,ou=groups,{SUFFIX}");
    let found = client
        .subtree(
            BASE,
            "(&(objectClass=groupOfNames)(cn=sales\\2c\\20emea))",
            &["cn"],
        )
        .await;
    assert_eq!(found.dns(), [group.as_str()]);
    for base in [
        group.clone(),
        format!("CN=sales\\2c emea, OU=groups,{BASE}"),
        format!("cn=Sales, EMEA,ou=groups,{BASE}"),
    ] {
        let found = client.read(&base, &["cn"]).await;
        assert_eq!(
            (found.outcome.code, found.dns()),
            (0, vec![group.as_str()]),
            "{base}"
        );
        let members = client
            .subtree(
                BASE,
                &format!("(memberOf={})", base.replace('\\', "\\5c").replace(' ', "\\20")),
                &["cn"],
            )
            .await;
        assert_eq!(members.entries.len(), 2, "{base}: {:?}", members.dns());
    }
    let star = client.subtree(BASE, "(cn=\\2a)", &["cn"]).await;
    assert_eq!(
        (star.outcome.code, star.entries.len()),
        (0, 0),
        "an escaped star is a star"
    );
}

#[tokio::test]
async fn every_kind_of_filter_is_evaluated() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    let users = stage.simulator.look(|directory| directory.users().len());
    let alice = format!("cn=alice,ou=users,{SUFFIX}");
    for (filter, expected) in [
        ("(&(objectClass=user)(cn=ALICE))".to_owned(), 1),
        (
            "(&(objectClass=user)(|(cn=alice)(cn=bob)(cn=nobody)))".to_owned(),
            2,
        ),
        ("(&(objectClass=user)(!(objectClass=computer)))".to_owned(), users),
        ("(&(objectClass=user)(cn=us*00*1))".to_owned(), 5),
        (
            "(&(objectClass=user)(uidNumber>=5001)(uidNumber<=5001))".to_owned(),
            1,
        ),
        (
            "(&(objectClass=user)(displayName~=alice\\20example))".to_owned(),
            1,
        ),
        (format!("(&(objectClass=group)(member={alice}))"), 3),
        (format!("(&(objectClass=posixGroup)(member={alice}))"), 2),
        (
            format!("(&(objectClass=user)(memberOf:1.2.840.113556.1.4.1941:=cn=company,ou=groups,{SUFFIX}))"),
            8,
        ),
        ("(userAccountControl:1.2.840.113556.1.4.803:=2)".to_owned(), 0),
        ("(modifyTimestamp>=30000101000000.0Z)".to_owned(), 0),
        ("(|(objectClass=user)(objectClass=unknown))".to_owned(), users),
        ("(&(objectClass=user)(!(nosuch=x)))".to_owned(), users),
        ("(&(objectClass=user)(mail=*))".to_owned(), users - 2),
    ] {
        let found = client.subtree(BASE, &filter, &["1.1"]).await;
        assert_eq!(
            (found.outcome.code, found.entries.len()),
            (0, expected),
            "{filter}: {:?}",
            found.dns()
        );
        assert!(found.entries.iter().all(|entry| entry.attributes.is_empty()));
    }
}

#[tokio::test]
async fn scopes_and_bases() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    let containers = client
        .search(BASE, LdapSearchScope::OneLevel, "(objectClass=*)", &["ou"])
        .await;
    let names: Vec<String> = containers.entries.iter().map(|entry| entry.one("ou")).collect();
    assert_eq!(names, ["users", "groups", "virtual-groups"]);
    let base = client.read(BASE, &["dc", "objectClass"]).await;
    assert_eq!(base.dns(), [BASE], "the base entry is spelled as configured");
    assert!(
        base.entries[0]
            .get("objectClass")
            .unwrap()
            .contains(&"domain".to_owned())
    );
    for (base, code, matched) in [
        (
            format!("cn=nobody,ou=users,{BASE}"),
            32,
            format!("ou=users,{SUFFIX}"),
        ),
        (format!("ou=nowhere,{BASE}"), 32, BASE.to_owned()),
        (format!("xou=users,{BASE}"), 32, BASE.to_owned()),
        ("dc=example,dc=com".to_owned(), 32, String::new()),
        ("not a name".to_owned(), 34, String::new()),
    ] {
        let found = client.subtree(&base, "(objectClass=*)", &[]).await;
        assert_eq!(found.outcome.code, code, "{base}: {:?}", found.outcome);
        assert!(
            found.outcome.matched_dn.eq_ignore_ascii_case(&matched),
            "{base}: {:?}",
            found.outcome
        );
        assert!(!found.outcome.message.is_empty());
    }
}

#[tokio::test]
async fn attribute_selection() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    let alice = user_dn("alice");
    for (asked, expected) in [
        (vec!["cn"], vec!["cn"]),
        (vec!["CN", "cn", "2.5.4.3"], vec!["cn"]),
        (vec!["uid, cn ,sn"], vec!["cn", "uid", "sn"]),
        (vec!["1.1"], vec![]),
        (vec!["nosuch"], vec![]),
        (vec!["entryUUID", "entryDN"], vec!["entryUUID", "entryDN"]),
    ] {
        let found = client.read(&alice, &asked).await;
        let mut names = found.entries[0].names();
        let mut expected = expected;
        names.sort_unstable();
        expected.sort_unstable();
        assert_eq!(names, expected, "{asked:?}");
    }
    let all = client.read(&alice, &[]).await;
    assert!(all.outcome.controls.is_empty(), "no control without being asked");
    assert_eq!(client.read(&alice, &["*"]).await.entries, all.entries);
    assert_eq!(client.read(&alice, &[""]).await.entries, all.entries);
    assert_eq!(
        client.read(&alice, &["*", "+"]).await.entries,
        all.entries,
        "as authentik's own tests expect"
    );
    let mut request = search(&alice, LdapSearchScope::Base, "(objectClass=*)", &["cn", "mail"]);
    request.typesonly = true;
    let types = client.search_with(request, vec![]).await;
    assert!(
        types.entries[0]
            .attributes
            .iter()
            .all(|(_, values)| values.is_empty())
    );
    assert_eq!(types.entries[0].attributes.len(), 2);
}

#[tokio::test]
async fn size_limits_say_so_only_when_more_exists() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    for (limit, entries, code) in [(10, 10, 4), (60, 60, 0), (61, 60, 0)] {
        let mut request = search(BASE, LdapSearchScope::Subtree, "(objectClass=user)", &["cn"]);
        request.sizelimit = limit;
        let found = client.search_with(request, vec![]).await;
        assert_eq!(
            (found.entries.len(), found.outcome.code),
            (entries, code),
            "{limit}"
        );
    }
}

#[tokio::test]
async fn an_error_is_an_answer_and_the_connection_lives_on() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    // A search request cut short inside a sound envelope.
    client
        .send_raw(&[0x30, 0x08, 0x02, 0x01, 0x63, 0x63, 0x03, 0x04, 0x05, b'd'])
        .await;
    let answer = client.receive().await.unwrap();
    let LdapOp::SearchResultDone(done) = answer.op else {
        panic!()
    };
    assert_eq!((answer.msgid, done.code as i32), (0x63, 2));
    assert_eq!(
        client
            .compare(&user_dn("alice"), "mail", b"ALICE@example.com")
            .await
            .code,
        6
    );
    assert_eq!(
        client
            .compare(&user_dn("alice"), "mail", b"bob@example.com")
            .await
            .code,
        5
    );
    assert_eq!(client.compare(&user_dn("alice"), "nosuch", b"x").await.code, 16);
    assert_eq!(client.compare(&user_dn("nobody"), "cn", b"x").await.code, 32);
    client.send(LdapOp::DelRequest(user_dn("alice")), vec![]).await;
    let LdapOp::DelResponse(refusal) = client.receive().await.unwrap().op else {
        panic!()
    };
    assert_eq!(refusal.code as i32, 50);
    assert_eq!(client.extended("1.2.3.4", None).await.res.code as i32, 2);
    assert_eq!(
        client.extended("1.3.6.1.4.1.4203.1.11.1", None).await.res.code as i32,
        19
    );
    client.send(LdapOp::AbandonRequest(99), vec![]).await;
    assert_eq!(client.read(BASE, &["dc"]).await.outcome.code, 0);
}

#[tokio::test]
async fn broken_framing_gets_a_notice_and_the_end() {
    let stage = Stage::sample().await;
    for octets in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0x30, 0x84, 0x80, 0, 0, 0],
        &[0x30, 0x80, 0, 0],
        &[0x30, 3, 2, 5, 1],
    ] {
        let mut client = stage.client().await;
        client.send_raw(octets).await;
        let notice = client.receive().await.expect("a notice");
        assert_eq!(notice.msgid, 0);
        let LdapOp::ExtendedResponse(response) = notice.op else {
            panic!()
        };
        assert_eq!(response.res.code as i32, 2);
        assert!(client.receive().await.is_none());
    }
}

#[tokio::test]
async fn a_refresh_shows_what_changed() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    let pk = stage
        .simulator
        .create_user("newcomer", "New Comer", "new@example.com");
    stage.simulator.join(pk, "sales");
    stage.refresh().await;
    let found = client
        .subtree(BASE, "(&(objectClass=user)(cn=newcomer))", &["memberOf"])
        .await;
    assert_eq!(
        found.entries[0].get("memberOf").unwrap(),
        [format!("cn=sales,ou=groups,{SUFFIX}")]
    );
    stage.simulator.delete_user(pk);
    stage.refresh().await;
    assert_eq!(client.subtree(BASE, "(cn=newcomer)", &[]).await.entries.len(), 0);
}
