//! What a provider can be set to show, over the wire: who is shown, how names are spelled, which memberships there are.

use akldap_testing::client::{Found, Outcome};
use akldap_testing::stage::{BASE, SUFFIX, Stage, entry_dn, user_dn};

async fn stage(settings: &[(&str, &str)]) -> Stage {
    let sample = akldap_simulator::Directory::sample(60, 12);
    Stage::with(sample, |map| {
        for (name, value) in settings {
            map.set(format!("AUTHENTIK_LDAP__{name}"), *value);
        }
    })
    .await
}

fn names(found: &Found) -> Vec<&str> {
    let mut names = found.dns();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn who_is_not_shown_is_not_found_and_sees_themselves() {
    let stage = stage(&[("HIDDEN_USERS", "(cn=alice)")]).await;
    let mut client = stage.bound("ldapservice").await;
    let alice = entry_dn("alice");
    for filter in [
        format!("(member={alice})"),
        "(memberUid=alice)".to_owned(),
        "(cn=alice)".to_owned(),
        "(uidNumber=5001)".to_owned(),
    ] {
        let found = client.subtree(BASE, &filter, &[]).await;
        assert_eq!((found.outcome.code, found.entries.len()), (0, 0), "{filter}");
    }
    assert_eq!(client.read(&alice, &[]).await.outcome.code, 32);
    assert_eq!(client.compare(&alice, "cn", b"alice").await.code, 32);

    let mut own = stage.bound("alice").await;
    assert_eq!(own.who_am_i().await, format!("dn:{alice}"));
    let found = own
        .subtree(BASE, "(objectClass=*)", &["member", "memberOf", "mail"])
        .await;
    assert_eq!(found.entry(&alice).one("mail"), "alice@example.com");
    let groups = found.entry(&alice).get("memberOf").unwrap();
    assert_eq!(groups.len(), 2, "{groups:?}");
    for group in groups {
        assert_eq!(found.entry(&group).get("member").unwrap(), [alice.as_str()]);
    }
    assert_eq!(own.compare(&alice, "mail", b"alice@example.com").await.code, 6);
    let bob = entry_dn("bob");
    assert_eq!(own.read(&bob, &[]).await.outcome.code, 32);
}

#[tokio::test]
async fn hidden_users_can_be_kept_out() {
    let stage = stage(&[("HIDDEN_USERS", "(cn=alice)"), ("HIDDEN_USERS_BIND", "false")]).await;
    let kept_out = stage.bind(&user_dn("alice"), "demo-alice").await;
    assert_eq!(kept_out.code, 49);
    // An equal bind is known by now.
    assert_eq!(stage.bind(&user_dn("alice"), "demo-alice").await.code, 49);
    assert_eq!(stage.bind(&user_dn("bob"), "demo-bob").await.code, 0);
    // Nobody learns whether a password is right: with any name, the answers are alike except for the reference.
    let said = |outcome: &Outcome| {
        let text = outcome.message.split(" (reference ").next().unwrap().to_owned();
        (outcome.code, text, outcome.controls.clone())
    };
    let wrong_of_bob = stage.bind(&user_dn("bob"), "wrong").await;
    for name in [
        user_dn("alice"),
        "alice".to_owned(),
        "alice@example.com".to_owned(),
    ] {
        let right = stage.bind(&name, "demo-alice").await;
        let wrong = stage.bind(&name, "wrong").await;
        assert_eq!(said(&right), said(&wrong), "{name}");
        assert_eq!(said(&right), said(&wrong_of_bob), "{name}");
    }
}

#[tokio::test]
async fn names_are_spelled_in_the_style_and_understood_in_both() {
    let stage = stage(&[
        ("USER_RDN", "uid"),
        ("USERS_OU", "People"),
        ("GROUPS_OU", "Groups"),
    ])
    .await;
    let own = format!("uid=alice,ou=People,{SUFFIX}");
    for dn in [
        own.as_str(),
        &user_dn("alice"),
        &format!("UID=ALICE, OU=people, {SUFFIX}"),
    ] {
        assert_eq!(stage.bind(dn, "demo-alice").await.code, 0, "{dn}");
    }
    let mut client = stage.bound("ldapservice").await;
    assert_eq!(
        client.who_am_i().await,
        format!("dn:uid=ldapservice,ou=People,{SUFFIX}")
    );
    for base in [own.as_str(), &user_dn("alice")] {
        let found = client.read(base, &["memberOf"]).await;
        assert_eq!(found.dns(), [own.as_str()]);
        let mut groups = found.entries[0].get("memberOf").unwrap();
        groups.sort();
        assert_eq!(
            groups,
            [
                format!("cn=backend,ou=Groups,{SUFFIX}"),
                format!("cn=everyone,ou=Groups,{SUFFIX}")
            ]
        );
        let members = client.subtree(BASE, &format!("(member={base})"), &["1.1"]).await;
        assert_eq!(names(&members), {
            let mut all = groups.clone();
            all.push(format!("cn=alice,ou=virtual-groups,{SUFFIX}"));
            all.sort();
            all
        });
    }
}

/// Strict names are those of either style.
#[tokio::test]
async fn a_name_of_another_style_is_strict() {
    let stage = stage(&[
        ("USER_RDN", "uid"),
        ("USERS_OU", "People"),
        ("STRICT_BIND_DN", "true"),
    ])
    .await;
    for (dn, code) in [
        (format!("uid=alice,ou=People,{SUFFIX}"), 0),
        (user_dn("alice"), 0),
        (format!("mail=alice,ou=People,{SUFFIX}"), 50),
        (format!("uid=alice,{SUFFIX}"), 50),
    ] {
        assert_eq!(stage.bind(&dn, "demo-alice").await.code, code, "{dn}");
    }
}

#[tokio::test]
async fn inherited_memberships_are_shown_where_they_are_asked_for() {
    let direct = stage(&[]).await;
    let inherited = stage(&[("MEMBERSHIP", "inherited")]).await;
    let mut direct = direct.bound("ldapservice").await;
    let all = inherited.bound("ldapservice").await;
    let mut all = all;
    let alice = user_dn("alice");
    // What in-chain finds among direct memberships is what the others list.
    let chain = format!("(member:1.2.840.113556.1.4.1941:={alice})");
    let expected = direct
        .subtree(BASE, &format!("(&(objectClass=group){chain})"), &["1.1"])
        .await;
    let listed = all.read(&alice, &["memberOf"]).await;
    let mut groups = listed.entries[0].get("memberOf").unwrap();
    groups.sort();
    let expected: Vec<&str> = names(&expected)
        .into_iter()
        .filter(|dn| dn.contains(",ou=groups,"))
        .collect();
    assert_eq!(groups, expected);
}

#[tokio::test]
async fn roles_are_shown_as_groups() {
    let mut sample = akldap_simulator::Directory::sample(60, 12);
    let search = sample
        .roles
        .values()
        .find(|role| role.name == "LDAP search")
        .unwrap()
        .pk;
    let everyone = sample.group_named("everyone").unwrap().pk;
    assert!(sample.change_group(everyone, |group| group.roles = vec![search]));
    let stage = Stage::with(sample, |map| map.set("AUTHENTIK_LDAP__ROLES_AS_GROUPS", "true")).await;
    let mut client = stage.bound("ldapservice").await;
    let role = format!("cn=LDAP search,ou=groups,{SUFFIX}");
    let found = client.read(&role, &["member", "objectClass"]).await;
    let mut members = found.entry(&role).get("member").unwrap();
    members.sort();
    assert_eq!(
        members,
        [format!("cn=everyone,ou=groups,{SUFFIX}"), entry_dn("ldapservice")]
    );
    let found = client.subtree(BASE, &format!("(memberOf={role})"), &["cn"]).await;
    assert_eq!(names(&found).len(), 2, "{found:?}");
    // What authentik makes for accounts of its own is none.
    let managed = client.subtree(BASE, "(cn=ak-managed-role*)", &["cn"]).await;
    assert_eq!(managed.entries, []);
}
