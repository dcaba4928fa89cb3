//! Each profile with the requests of the clients it is for, and what they use from the answers.

use akldap_testing::client::{Client, Found};
use akldap_testing::stage::{BASE, SUFFIX, Stage};

async fn stage(profile: &str) -> (Stage, Client) {
    let sample = akldap_simulator::Directory::sample(60, 12);
    let stage = Stage::with(sample, |map| map.set("AUTHENTIK_LDAP__PROFILE", profile)).await;
    let client = stage.bound("ldapservice").await;
    (stage, client)
}

async fn found(client: &mut Client, base: &str, filter: &str, attributes: &[&str]) -> Found {
    let found = client.subtree(base, filter, attributes).await;
    assert_eq!(found.outcome.code, 0, "{filter}");
    found
}

fn dns(found: &Found) -> Vec<&str> {
    let mut dns = found.dns();
    dns.sort_unstable();
    dns
}

/// Every name of an attribute of every entry in lower case.
fn names(found: &Found) -> Vec<String> {
    let names = found.entries.iter().flat_map(|entry| entry.names());
    let mut names: Vec<String> = names.map(str::to_lowercase).collect();
    names.sort();
    names.dedup();
    names
}

#[tokio::test]
async fn sssd_with_rfc2307bis_finds_accounts_and_groups_by_dn() {
    let (_stage, mut client) = stage("rfc2307bis").await;
    let account = "(&(uid=alice)(objectclass=posixAccount)(uid=*)(&(uidNumber=*)(!(uidNumber=0))))";
    let wanted = [
        "objectClass",
        "uid",
        "uidNumber",
        "gidNumber",
        "gecos",
        "homeDirectory",
        "loginShell",
        "memberOf",
    ];
    let alice = found(&mut client, BASE, account, &wanted).await;
    let dn = format!("cn=alice,ou=users,{SUFFIX}");
    assert_eq!(dns(&alice), [dn.as_str()]);
    let entry = alice.entry(&dn);
    assert_eq!(
        (entry.one("uid"), entry.one("loginShell"), entry.one("gecos")),
        ("alice".into(), "/bin/zsh".into(), "Alice Example".into())
    );
    let number = entry.one("uidNumber");
    let by_number = format!("(&(uidNumber={number})(objectclass=posixAccount)(uid=*))");
    assert_eq!(
        dns(&found(&mut client, BASE, &by_number, &["uid"]).await),
        [dn.as_str()]
    );
    // The groups of a user, with those who have no name or number left out.
    let groups = format!("(&(member={dn})(objectClass=groupOfNames)(cn=*)(&(gidNumber=*)(!(gidNumber=0))))");
    let groups = found(
        &mut client,
        &format!("ou=groups,{SUFFIX}"),
        &groups,
        &["cn", "gidNumber", "member"],
    )
    .await;
    assert_eq!(groups.entries.len(), 2);
    for group in &groups.entries {
        assert!(group.get("member").unwrap().contains(&dn));
        assert_eq!(group.get("gidNumber").unwrap().len(), 1);
    }
    // Bob has no shell of his own.
    let bob = found(
        &mut client,
        BASE,
        "(&(uid=bob)(objectclass=posixAccount))",
        &["loginShell"],
    )
    .await;
    assert_eq!(bob.entries[0].one("loginShell"), "/bin/bash");
}

#[tokio::test]
async fn nextcloud_logs_in_by_uid_and_takes_member_for_the_members() {
    let (_stage, mut client) = stage("nextcloud").await;
    let login = "(&(|(objectclass=inetOrgPerson))(uid=alice))";
    let alice = found(
        &mut client,
        BASE,
        login,
        &[
            "entryuuid",
            "dn",
            "uid",
            "samaccountname",
            "memberof",
            "displayname",
        ],
    )
    .await;
    assert_eq!(alice.entries.len(), 1);
    assert_eq!(alice.entries[0].one("uid"), "alice");
    // The list needs a display name for everybody, and nobody is left out.
    let all = found(&mut client, BASE, "(objectclass=inetOrgPerson)", &["uid"])
        .await
        .entries
        .len();
    let named = "(&(objectclass=inetOrgPerson)(displayname=*))";
    assert_eq!(found(&mut client, BASE, named, &["uid"]).await.entries.len(), all);
    // The wizard takes what has the fewest values of the first group that has any of these.
    let wanted = [
        "uniqueMember",
        "memberUid",
        "member",
        "gidNumber",
        "zimbraMailForwardingAddress",
    ];
    let groups = found(
        &mut client,
        BASE,
        "(|(objectclass=groupOfNames)(objectclass=group))",
        &wanted,
    )
    .await;
    assert!(!groups.entries.is_empty());
    assert!(!names(&groups).contains(&"gidnumber".to_owned()));
    assert!(groups.entries.iter().all(|entry| !entry.dn.contains("virtual")));
}

#[tokio::test]
async fn a_nas_lists_accounts_with_numbers_and_groups_with_memberuid() {
    let (_stage, mut client) = stage("nas").await;
    let wanted = [
        "uid",
        "uidNumber",
        "gidNumber",
        "homeDirectory",
        "loginShell",
        "gecos",
    ];
    let accounts = found(&mut client, BASE, "(objectClass=posixAccount)", &wanted).await;
    for account in &accounts.entries {
        for name in wanted {
            assert_eq!(
                account.get(name).map(|values| values.len()),
                Some(1),
                "{} {name}",
                account.dn
            );
        }
    }
    let groups = found(
        &mut client,
        &format!("ou=groups,{SUFFIX}"),
        "(objectClass=posixGroup)",
        &[],
    )
    .await;
    let everyone = groups
        .entries
        .iter()
        .find(|group| group.one("cn") == "everyone")
        .unwrap();
    let members = everyone
        .get("memberUid")
        .expect("those who do not ask for it are shown it");
    assert!(members.contains(&"alice".to_owned()));
    let of_alice = found(
        &mut client,
        BASE,
        "(&(objectClass=posixGroup)(memberUid=alice))",
        &["cn"],
    )
    .await;
    assert!(of_alice.entries.len() >= 2);
}

#[tokio::test]
async fn a_telephone_finds_people_and_nothing_about_accounts_or_groups() {
    let (_stage, mut client) = stage("phonebook").await;
    let wanted = ["cn", "sn", "givenName", "telephoneNumber", "mail", "displayName"];
    let typed = "(&(telephoneNumber=*)(|(sn=Exam*)(cn=Exam*)(givenName=Exam*)))";
    let people = found(&mut client, BASE, typed, &wanted).await;
    assert_eq!(people.entries.len(), 1);
    assert_eq!(
        (people.entries[0].one("sn"), people.entries[0].one("givenName")),
        ("Example".into(), "Alice".into())
    );
    let all = found(&mut client, BASE, "(objectClass=inetOrgPerson)", &[]).await;
    assert!(all.entries.len() > 50);
    for hidden in [
        "uidnumber",
        "gidnumber",
        "homedirectory",
        "samaccountname",
        "ak-active",
        "ak-superuser",
        "memberof",
        "pwdchangedtime",
        "name",
    ] {
        assert!(!names(&all).contains(&hidden.to_owned()), "{hidden}");
    }
    for filter in [
        "(objectClass=group)",
        "(member=*)",
        "(memberOf=*)",
        "(uidNumber=*)",
    ] {
        assert!(
            found(&mut client, BASE, filter, &["1.1"])
                .await
                .entries
                .is_empty(),
            "{filter}"
        );
    }
}

#[tokio::test]
async fn vcenter_finds_users_by_uid_and_groups_by_uniquemember() {
    let (_stage, mut client) = stage("vsphere").await;
    let user = "(&(objectClass=inetOrgPerson)(uid=alice))";
    let alice = found(
        &mut client,
        &format!("ou=users,{SUFFIX}"),
        user,
        &["uid", "entryUUID", "givenName", "sn", "mail"],
    )
    .await;
    assert_eq!(
        (alice.entries.len(), alice.entries[0].one("uid")),
        (1, "alice".to_owned())
    );
    assert_eq!(alice.entries[0].one("entryUUID").len(), 36);
    let dn = alice.entries[0].dn.clone();
    let groups = format!("(&(objectClass=groupOfUniqueNames)(uniqueMember={dn}))");
    let groups = found(&mut client, BASE, &groups, &[]).await;
    assert_eq!(groups.entries.len(), 2);
    for group in &groups.entries {
        assert!(group.get("uniqueMember").unwrap().contains(&dn));
        assert_eq!(group.one("entryUUID").len(), 36);
    }
}

#[tokio::test]
async fn the_clients_of_an_openldap_find_what_they_found_there() {
    let (stage, mut client) = stage("openldap").await;
    let dn = format!("cn=alice,ou=People,{SUFFIX}");
    assert_eq!(stage.bind(&dn, "demo-alice").await.code, 0);
    let alice = found(
        &mut client,
        &format!("ou=People,{SUFFIX}"),
        "(&(objectClass=inetOrgPerson)(uid=alice))",
        &[],
    )
    .await;
    let entry = alice.entry(&dn);
    assert_eq!(
        (entry.one("uid"), entry.one("sn"), entry.one("givenName")),
        ("alice".into(), "Example".into(), "Alice".into())
    );
    for hidden in [
        "samaccountname",
        "ak-active",
        "ak-superuser",
        "name",
        "pwdchangedtime",
    ] {
        assert!(!names(&alice).contains(&hidden.to_owned()), "{hidden}");
    }
    let groups = format!("(&(objectClass=groupOfNames)(member={dn}))");
    let groups = found(&mut client, &format!("ou=Groups,{SUFFIX}"), &groups, &[]).await;
    assert_eq!(groups.entries.len(), 2);
    for hidden in ["samaccountname", "uid", "ak-superuser", "gidnumber"] {
        assert!(!names(&groups).contains(&hidden.to_owned()), "{hidden}");
    }
    let classes = ["top", "groupOfNames"];
    assert!(
        groups
            .entries
            .iter()
            .all(|group| group.get("objectClass").unwrap() == classes)
    );
}
