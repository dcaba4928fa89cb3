//! What a provider can be set to show, over the wire: who is shown, how names are spelled, which memberships there are.

use akldap_testing::client::{Found, Outcome};
use akldap_testing::stage::{BASE, SUFFIX, Stage, entry_dn, user_dn};
use ldap3_proto::proto::LdapSearchScope;

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

/// A sample in which alice and bob are filed under paths of their own, in a stage that shows them so.
async fn filed(settings: &[(&str, &str)]) -> Stage {
    let mut sample = akldap_simulator::Directory::sample(20, 4);
    for (name, path) in [("alice", "users/staff/it, all"), ("bob", "users/Staff")] {
        let pk = sample.user_named(name).expect("a user").pk;
        sample.change_user(pk, |user| user.path = path.into());
    }
    Stage::with(sample, |map| {
        map.set("AUTHENTIK_LDAP__USERS_BY_PATH", "true");
        for (name, value) in settings {
            map.set(format!("AUTHENTIK_LDAP__{name}"), *value);
        }
    })
    .await
}

#[tokio::test]
async fn people_are_below_the_organizational_units_of_their_paths() {
    let stage = filed(&[("USERS_OU", "People")]).await;
    let mut client = stage.bound("ldapservice").await;
    let people = format!("ou=People,{SUFFIX}");
    let alice = format!("cn=alice,ou=it\\, all,ou=staff,{people}");
    let bob = format!("cn=bob,ou=staff,{people}");
    // The name of authentik's outpost, the one by path, and either with other spellings.
    for base in [
        user_dn("alice"),
        format!("CN=Alice, OU=People,{SUFFIX}"),
        alice.clone(),
        format!("cn=ALICE, ou=IT\\2c ALL, ou=Staff, ou=users, {SUFFIX}"),
    ] {
        let found = client.read(&base, &["entryDN", "memberOf"]).await;
        assert_eq!(found.dns(), [alice.as_str()], "{base}");
        assert_eq!(found.entry(&alice).one("entryDN"), alice);
        assert_eq!(client.compare(&base, "cn", b"alice").await.code, 6, "{base}");
        assert_eq!(client.compare(&alice, "entryDN", base.as_bytes()).await.code, 6);
        let member = base.replace('\\', "\\5c");
        let groups = client
            .subtree(BASE, &format!("(member={member})"), &["member"])
            .await;
        assert!(groups.entries.len() >= 2, "{base}");
        for group in &groups.entries {
            assert!(group.get("member").unwrap().contains(&alice), "{group:?}");
        }
    }
    for base in [
        format!("cn=alice,ou=staff,{people}"),
        format!("cn=bob,ou=it\\, all,ou=staff,{people}"),
        format!("cn=alice,ou=nowhere,{people}"),
    ] {
        assert_eq!(client.read(&base, &[]).await.outcome.code, 32, "{base}");
    }
    let nobody = client.read(&format!("cn=nobody,ou=STAFF,{people}"), &[]).await;
    assert_eq!(nobody.outcome.matched_dn, format!("ou=staff,{people}"));

    let top = client
        .search(
            &people,
            LdapSearchScope::OneLevel,
            "(!(objectClass=user))",
            &["1.1"],
        )
        .await;
    assert!(
        top.dns().contains(&&*format!("ou=staff,{people}")),
        "{:?}",
        top.dns()
    );
    let staff = format!("ou=Staff,{people}");
    let within = client
        .search(&staff, LdapSearchScope::OneLevel, "(objectClass=*)", &["*", "+"])
        .await;
    let unit = format!("ou=it\\, all,ou=staff,{people}");
    assert_eq!(names(&within), [bob.as_str(), &unit]);
    let entry = within.entry(&unit);
    for (name, value) in [
        ("ou", "it, all"),
        ("distinguishedName", unit.as_str()),
        ("structuralObjectClass", "organizationalUnit"),
        ("hasSubordinates", "TRUE"),
        ("numSubordinates", "1"),
    ] {
        assert_eq!(entry.one(name), value, "{name}");
    }
    let uuid = entry.one("entryUUID");
    let by_uuid = client
        .subtree(BASE, &format!("(entryUUID={uuid})"), &["1.1"])
        .await;
    assert_eq!(by_uuid.dns(), [unit.as_str()]);
    let users = client.subtree(&staff, "(objectClass=user)", &["1.1"]).await;
    assert_eq!(names(&users), [alice.as_str(), &bob]);
    let all = client.subtree(BASE, "(ou=*)", &["1.1"]).await;
    assert!(all.dns().contains(&unit.as_str()) && all.dns().contains(&people.as_str()));
}

#[tokio::test]
async fn binds_take_names_with_and_without_paths() {
    let stage = filed(&[("STRICT_BIND_DN", "true")]).await;
    let alice = format!("cn=alice,ou=it\\, all,ou=staff,ou=users,{SUFFIX}");
    for (dn, code) in [
        (user_dn("alice"), 0),
        (alice.clone(), 0),
        (
            format!("CN=Alice, OU=\"IT, all\", OU=STAFF, OU=users, {SUFFIX}"),
            0,
        ),
        // Somebody else's path, and one that leads nowhere.
        (format!("cn=bob,ou=it\\, all,ou=staff,ou=users,{SUFFIX}"), 0),
        (format!("cn=alice,ou=nowhere,ou=users,{SUFFIX}"), 0),
        (format!("cn=alice,ou=staff,ou=groups,{SUFFIX}"), 50),
        (format!("cn=alice,cn=staff,ou=users,{SUFFIX}"), 50),
    ] {
        let name = if dn.contains("bob") { "bob" } else { "alice" };
        assert_eq!(stage.bind(&dn, &format!("demo-{name}")).await.code, code, "{dn}");
    }
    // With a wrong password neither who there is nor where is told.
    for name in ["alice", "bob", "nobody"] {
        for path in ["ou=it\\, all,ou=staff,", "ou=staff,", "ou=nowhere,", ""] {
            let dn = format!("cn={name},{path}ou=users,{SUFFIX}");
            let told = stage.bind(&dn, "wrong").await;
            assert_eq!((told.code, &*told.matched_dn), (49, ""), "{dn}");
        }
    }
    let mut own = stage.bound("alice").await;
    assert_eq!(own.who_am_i().await, format!("dn:{alice}"));
    // Whoever sees only their own entry sees the units that lead there and no others.
    let units = own
        .subtree(BASE, "(objectClass=organizationalUnit)", &["numSubordinates"])
        .await;
    let (staff, it) = (
        format!("ou=staff,ou=users,{SUFFIX}"),
        format!("ou=it\\, all,ou=staff,ou=users,{SUFFIX}"),
    );
    let shown: Vec<&str> = names(&units)
        .into_iter()
        .filter(|dn| dn.contains(",ou=users,"))
        .collect();
    assert_eq!(shown, [it.as_str(), &staff]);
    for dn in [&staff, &it] {
        assert_eq!(units.entry(dn).one("numSubordinates"), "1");
    }
    // What is hidden and what is not there are told alike.
    let said = async |own: &mut akldap_testing::client::Client, dn: &str| {
        let Outcome {
            code,
            matched_dn,
            message,
            ..
        } = own.read(dn, &[]).await.outcome;
        (code, matched_dn, message)
    };
    for above in [&staff[..], &it, &format!("ou=users,{SUFFIX}")] {
        let bob = said(&mut own, &format!("cn=bob,{above}")).await;
        assert_eq!(
            bob,
            said(&mut own, &format!("cn=nobody,{above}")).await,
            "{above}"
        );
    }
    let service = said(&mut own, &format!("ou=goauthentik.io,ou=users,{SUFFIX}")).await;
    assert_eq!(
        service,
        said(&mut own, &format!("ou=nowhere,ou=users,{SUFFIX}")).await
    );
}

/// Whom nobody is shown makes no organizational unit, and those who are hidden are still told their own name.
#[tokio::test]
async fn the_path_of_a_hidden_user_is_not_to_be_seen() {
    let stage = filed(&[("HIDDEN_USERS", "(cn=alice)")]).await;
    let mut client = stage.bound("ldapservice").await;
    let users = format!("ou=users,{SUFFIX}");
    let alice = format!("cn=alice,ou=it\\, all,ou=staff,{users}");
    let found = client.subtree(BASE, "(ou=*)", &["ou"]).await;
    // bob's spelling: alice's is not seen.
    let dns = found.dns();
    assert!(dns.contains(&&*format!("ou=Staff,{users}")), "{dns:?}");
    assert!(!dns.iter().any(|dn| dn.contains("it\\, all")), "{dns:?}");
    let read = client.read(&alice, &[]).await;
    assert_eq!(
        (read.outcome.code, &*read.outcome.matched_dn),
        (32, &*format!("ou=Staff,{users}"))
    );
    let mut own = stage.bound("alice").await;
    assert_eq!(own.who_am_i().await, format!("dn:{alice}"));
    let read = own.read(&user_dn("alice"), &[]).await;
    assert_eq!(read.dns(), [alice.as_str()]);
    assert_eq!(stage.bind(&alice, "demo-alice").await.code, 0);
}

/// Units come and go with the paths of users, without a restart.
#[tokio::test]
async fn units_follow_the_paths() {
    let stage = filed(&[]).await;
    let mut client = stage.bound("ldapservice").await;
    let users = format!("ou=users,{SUFFIX}");
    let old = format!("ou=it\\, all,ou=staff,{users}");
    assert_eq!(client.read(&old, &[]).await.outcome.code, 0);
    let pk = stage.simulator.user_pk("alice").unwrap();
    assert!(
        stage
            .simulator
            .save_user(pk, |user| user.path = "elsewhere".into())
    );
    stage.refresh().await;
    assert_eq!(client.read(&old, &[]).await.outcome.code, 32);
    let new = format!("ou=elsewhere,{users}");
    assert_eq!(client.read(&new, &[]).await.outcome.code, 0);
    let read = client.read(&user_dn("alice"), &[]).await;
    assert_eq!(read.dns(), [format!("cn=alice,{new}")]);
    // The oldest account left spells it.
    let staff = client.read(&format!("ou=staff,{users}"), &[]).await;
    assert_eq!(staff.dns(), [format!("ou=Staff,{users}")]);
}
