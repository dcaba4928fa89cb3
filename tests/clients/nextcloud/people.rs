//! Logins, lists and what is known about a person.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{JPEG, Nextcloud, PEOPLE, PNG, Scenery, installed, kept};
use crate::recorder::message::{BIND, EXTENDED, SEARCH};
use crate::transport::{STRANGER, Transport, over_tls};
use akldap_testing::client_test::client_test;
use akldap_testing::program;
use akldap_testing::stage::{BASE, Stage};

const MODIFY: u8 = 0x66;

#[client_test]
async fn logins() {
    let Some(_exercise) = installed() else {
        return;
    };
    let mut scenery = Scenery::new(PEOPLE, |_| {}).await;
    for (typed, password, name, accepted) in [
        ("alice", "demo-alice", Some("alice"), true),
        ("ALICE", "demo-alice", Some("alice"), true),
        ("bob@example.com", "demo-bob", Some("bob"), true),
        ("zoë", "demo-zoë", Some("zoe"), true),
        ("pat o'brien", "demo-pat o'brien", Some("pat_obrien"), true),
        (
            "sales, \"emea\" + partners",
            "demo-sales, \"emea\" + partners",
            Some("sales_emea_+_partners"),
            true,
        ),
        ("alice", "wrong", Some("alice"), false),
        ("mallory", "demo-mallory", Some("mallory"), false),
        ("inactive", "demo-inactive", Some("inactive"), false),
        ("nobody", "x", None, false),
        // Not a pattern.
        ("*", "demo-alice", None, false),
        ("ali*", "demo-alice", None, false),
        ("alice)(cn=*", "demo-alice", None, false),
        // Not one of Nextcloud's people.
        ("akadmin", "demo-akadmin", None, false),
    ] {
        let order = json!({"do": "login", "typed": typed, "password": password});
        let result = scenery.nextcloud.result(order).await;
        assert_eq!(result, json!({"name": name, "accepted": accepted}), "{typed}");
    }
    let (_, log) = scenery
        .cost(json!({"do": "login", "typed": "alice", "password": "demo-alice"}))
        .await;
    assert_eq!((log.count(SEARCH), log.count(BIND), log.connections), (1, 1, 11));
    let profile = scenery
        .nextcloud
        .result(json!({"do": "profile", "name": "alice"}))
        .await;
    assert_eq!(profile["shown"], json!("Alice Example"));
    assert_eq!(profile["email"], json!("alice@example.com"));
    assert_eq!(profile["quota"], json!("10 GB"));
    assert_eq!(
        profile["login"].as_str().map(str::len),
        Some(64),
        "uid is authentik's hash"
    );
    assert!(profile["avatar"].is_string());
    for (name, quota) in [("bob", json!("none")), ("zoe", json!(null))] {
        let profile = scenery
            .nextcloud
            .result(json!({"do": "profile", "name": name}))
            .await;
        assert_eq!(profile["quota"], quota, "{name}");
    }
}

/// From nothing configured to the first login, by the commands of the page as they stand, over LDAPS.
#[client_test]
async fn the_page_of_the_documentation_works_as_it_stands() {
    let Some(_exercise) = installed() else {
        return;
    };
    let stage = Stage::with(super::directory(PEOPLE), |_| {}).await;
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("state.json");
    // By address: libldap puts the name of the machine in the place of "localhost" when it looks at the certificate.
    let run = async |password: &str| {
        let script = format!(
            "occ() {{ php tests/clients/nextcloud/occ.php \"$@\"; }}\n\
             host=ldaps://127.0.0.1\nport={}\nbase='{BASE}'\npassword='{password}'\n{}",
            stage.ldaps().port(),
            super::commands()
        );
        program::command("bash")
            .args(["-euo", "pipefail", "-c", &script])
            .env("OCC_STATE", &state)
            .env("LDAPTLS_CACERT", "certs/ca.pem")
            .output()
            .await
            .expect("bash starts")
    };
    let refused = run("wrong").await;
    assert!(!refused.status.success(), "{refused:?}");
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("the bind failed"),
        "{refused:?}"
    );
    std::fs::remove_file(&state).expect("a state to forget");
    let output = run("demo-ldapservice").await;
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("the connection could be established"), "{said}");

    let kept: Value = serde_json::from_slice(&std::fs::read(&state).expect("a state")).expect("JSON");
    assert_eq!(kept["jobs"], json!("cron"));
    let set = kept["configurations"]["s01"].as_object().expect("settings");
    let mut settings = super::page();
    // Nothing is set that the other tests do not use, and the other way round.
    let names: BTreeSet<&String> = settings.as_object().expect("settings").keys().collect();
    assert_eq!(names, set.keys().collect());
    settings["ldapPort"] = json!(stage.ldaps().port());
    let mut nextcloud = Nextcloud::with(settings).await;
    let login = json!({"do": "login", "typed": "zoe@example.com", "password": "demo-zoë"});
    assert_eq!(
        nextcloud.result(login).await["accepted"],
        json!(true),
        "the first login"
    );
    assert_eq!(
        nextcloud.result(json!({"do": "sync"})).await["found"],
        json!(PEOPLE)
    );
    let groups = nextcloud.names(json!({"do": "groups of", "name": "zoe"})).await;
    assert!(
        groups.contains(&"company".to_owned()),
        "by way of sales: {groups:?}"
    );
    for (term, name) in [("zoe@", "zoe"), ("bob", "bob")] {
        let found = nextcloud.names(json!({"do": "list", "term": term})).await;
        assert!(found.contains(&name.to_owned()), "{term} finds {found:?}");
    }
}

over_tls! {
    /// Logins, lists and a round of synchronisation over LDAPS; nothing from a server whose certificate cannot be verified.
    over_ldaps,
    /// The same with StartTLS, `ldapTLS` of the settings.
    over_start_tls: over
}

async fn over(transport: Transport) {
    let Some(_exercise) = installed() else {
        return;
    };
    let stage = transport.stage(super::directory(PEOPLE)).await;
    let target = transport.to(&stage).await;
    let mut settings = super::recommended();
    settings["ldapHost"] = json!(transport.choose("", "ldaps://127.0.0.1", "127.0.0.1"));
    settings["ldapPort"] = json!(target.port());
    settings["ldapTLS"] = json!(transport == Transport::StartTls);
    let login = |typed: &str, password: &str| json!({"do": "login", "typed": typed, "password": password});
    let mut stranger = Nextcloud::trusting(STRANGER, settings.clone()).await;
    let answer = stranger.ask(login("alice", "demo-alice")).await;
    assert!(answer.get("stopped").is_some(), "{answer}");

    let mut nextcloud = Nextcloud::with(settings).await;
    for (typed, password, name, accepted) in [
        ("alice", "demo-alice", Some("alice"), true),
        ("bob@example.com", "demo-bob", Some("bob"), true),
        ("alice", "wrong", Some("alice"), false),
        ("mallory", "demo-mallory", Some("mallory"), false),
        ("nobody", "x", None, false),
    ] {
        let result = nextcloud.result(login(typed, password)).await;
        assert_eq!(result, json!({"name": name, "accepted": accepted}), "{typed}");
    }
    let found = nextcloud.result(json!({"do": "sync"})).await;
    assert_eq!(found["found"], json!(PEOPLE));
    let groups = nextcloud.names(json!({"do": "groups of", "name": "alice"})).await;
    assert!(groups.contains(&"backend".to_owned()), "{groups:?}");
    let people = nextcloud.names(json!({"do": "list", "term": "bob"})).await;
    assert!(people.contains(&"bob".to_owned()), "{people:?}");
}

/// The group of the filter may contain groups, and its filter finds their people too.
#[client_test]
async fn people_of_a_child_group_may_log_in() {
    let Some(_exercise) = installed() else {
        return;
    };
    let mut directory = super::directory(PEOPLE);
    let nextcloud = directory.group_named("nextcloud").expect("it is there").pk;
    let child = directory.add_group(Uuid::from_u128(0x6368_696c), "interns");
    directory.set_parents(child, &[nextcloud]);
    let intern = directory.users().last().expect("people").clone();
    directory.join(intern.pk, child);
    let mut scenery = Scenery::of(directory, |_| {}).await;
    let name = &*intern.username;
    let login = json!({"do": "login", "typed": name, "password": format!("demo-{name}")});
    let result = scenery.nextcloud.result(login).await;
    assert_eq!(result, json!({"name": name, "accepted": true}));
    assert_eq!(
        scenery.nextcloud.result(json!({"do": "count"})).await,
        json!(PEOPLE + 1)
    );
}

#[client_test]
async fn an_installation_by_authentiks_own_page_keeps_working() {
    let Some(_exercise) = installed() else {
        return;
    };
    let mut scenery = Scenery::new(PEOPLE, |settings| {
        for (name, value) in [
            ("ldapBaseUsers", BASE),
            ("ldapBaseGroups", BASE),
            ("ldapUserFilter", "(|(objectclass=user))"),
            ("ldapLoginFilter", "(&(|(objectclass=user))(|(cn=%uid)))"),
            ("ldapGroupFilter", "(|(objectclass=group))"),
            ("ldapGroupMemberAssocAttr", "gidNumber"),
            ("ldapUserDisplayName", "name"),
            ("ldapExpertUsernameAttr", "uid"),
            ("ldapExpertUUIDUserAttr", "uid"),
            ("ldapExpertUUIDGroupAttr", "gidNumber"),
            ("ldapEmailAttribute", "mailPrimaryAddress"),
        ] {
            settings[name] = json!(value);
        }
    })
    .await;
    let login = json!({"do": "login", "typed": "alice", "password": "demo-alice"});
    let result = scenery.nextcloud.result(login).await;
    let name = result["name"].as_str().expect("a name").to_owned();
    assert_eq!(
        (name.len(), &result["accepted"]),
        (64, &json!(true)),
        "the hash is the name"
    );
    let groups = scenery
        .nextcloud
        .names(json!({"do": "groups of", "name": name}))
        .await;
    for group in ["backend", "everyone", "nextcloud"] {
        assert!(groups.contains(&group.to_owned()), "{groups:?}");
    }
    let alice = scenery.stage.simulator.user_pk("alice").expect("alice");
    scenery.stage.simulator.rename_user(alice, "alicia");
    scenery.stage.refresh().await;
    let exists = json!({"do": "exists", "name": name});
    assert_eq!(
        scenery.nextcloud.result(exists.clone()).await,
        json!(false),
        "below the whole base her virtual group has the same uid"
    );
    let base = json!({"ldapBaseUsers": format!("ou=users,{BASE}")});
    scenery
        .nextcloud
        .result(json!({"do": "set", "settings": base}))
        .await;
    assert_eq!(
        scenery.nextcloud.result(exists).await,
        json!(true),
        "found by her uid"
    );
}

#[client_test]
async fn lists_at_every_offset() {
    let Some(_exercise) = installed() else {
        return;
    };
    let people = 620;
    let mut scenery = Scenery::new(people, |_| {}).await;
    let mut seen = BTreeSet::new();
    // A page costs its own request and those before it which this process has not made: a list of 550 is reached by 50, 500, 50.
    for (offset, limit, found, searches) in [
        (0, 50, 50, 1),
        (50, 50, 50, 2),
        (100, 50, 50, 2),
        (550, 50, 50, 3),
        (600, 50, 20, 3),
        (650, 50, 0, 2),
    ] {
        scenery.nextcloud.process().await;
        let (page, log) = scenery
            .cost(json!({"do": "list", "limit": limit, "offset": offset}))
            .await;
        let page = super::names(&page);
        assert_eq!(page.len(), found, "at {offset}");
        // People not seen before cost a read of their name each.
        assert_eq!(log.count(SEARCH), searches + found, "at {offset}");
        for name in page {
            assert!(seen.insert(name.clone()), "{name} is in two pages");
        }
    }
    // With the cookie of the page before it, each page is one request.
    scenery.nextcloud.process().await;
    let mut all = Vec::new();
    for offset in (0..people).step_by(50) {
        let (page, log) = scenery
            .cost(json!({"do": "list", "limit": 50, "offset": offset}))
            .await;
        all.extend(super::names(&page));
        assert!(log.count(SEARCH) <= 51);
    }
    assert_eq!(all.len(), people);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), people);
    assert_eq!(
        scenery.nextcloud.result(json!({"do": "count"})).await,
        json!(people)
    );
    // Everything at once, for an export.
    let list = scenery.nextcloud.names(json!({"do": "list"})).await;
    assert_eq!(list, all, "in the same order");
}

#[client_test]
async fn searches_for_people() {
    let Some(_exercise) = installed() else {
        return;
    };
    let mut scenery = Scenery::new(PEOPLE, |_| {}).await;
    let nextcloud = &mut scenery.nextcloud;
    for (term, found) in [
        ("Alice", vec!["alice"]),
        ("ali", vec!["alice"]),
        ("ALICE EXAMPLE", vec!["alice"]),
        ("xample", vec![]),
        ("*xample", vec!["alice"]),
        ("Zoë", vec!["zoe"]),
        ("a(b", vec![]),
        ("Sales, E", vec!["sales_emea_+_partners"]),
    ] {
        let names = nextcloud
            .names(json!({"do": "list", "term": term, "limit": 50}))
            .await;
        assert_eq!(names, found, "{term}");
    }
    let attributes = json!(["displayName", "mail"]);
    let set = json!({"do": "set", "settings": {"ldapAttributesForUserSearch": attributes}});
    nextcloud.result(set).await;
    for (term, found) in [
        ("bob", vec!["bob"]),
        ("Bob bob@ex", vec!["bob"]),
        ("Bob alice@ex", vec![]),
        ("zoe@", vec!["zoe"]),
    ] {
        let names = nextcloud.names(json!({"do": "list", "term": term})).await;
        assert_eq!(names, found, "{term}");
    }
    let names = nextcloud
        .names(json!({"do": "list", "term": "*@example.com"}))
        .await;
    assert_eq!(names.len(), PEOPLE);
    scenery.keep("people", PEOPLE).await;
}

#[client_test]
async fn a_renamed_person_stays_the_same_and_a_deleted_one_is_gone() {
    let Some(_exercise) = installed() else {
        return;
    };
    let mut scenery = Scenery::new(PEOPLE, |_| {}).await;
    assert_eq!(scenery.nextcloud.names(json!({"do": "list"})).await.len(), PEOPLE);
    let uuid = scenery
        .nextcloud
        .result(json!({"do": "uuid", "name": "alice"}))
        .await;
    let known = scenery
        .stage
        .simulator
        .look(|directory| directory.user_named("alice").expect("alice").uuid.to_string());
    assert_eq!(uuid, json!(known), "as authentik knows it");
    let pk = |name: &str| scenery.stage.simulator.user_pk(name).expect("a user");
    let (alice, bob) = (pk("alice"), pk("bob"));
    scenery
        .stage
        .simulator
        .rename_user(alice, "alicia, \"the (new)\" one*");
    scenery.stage.simulator.delete_user(bob);
    scenery.stage.refresh().await;
    scenery.nextcloud.process().await;
    let (there, log) = scenery.cost(json!({"do": "exists", "name": "alice"})).await;
    assert_eq!(there, json!(true));
    assert_eq!(log.count(SEARCH), 3, "the old DN, the identifier, the new DN");
    let dn = scenery
        .nextcloud
        .result(json!({"do": "dn", "name": "alice"}))
        .await;
    assert_eq!(
        dn,
        json!(kept("alicia\\5c2C \\5c22the \\28new\\29\\5c22 one\\2A"))
    );
    assert_eq!(
        scenery
            .nextcloud
            .result(json!({"do": "exists", "name": "bob"}))
            .await,
        json!(false)
    );
    let login =
        json!({"do": "login", "typed": "alice@example.com", "password": "demo-alicia, \"the (new)\" one*"});
    assert_eq!(
        scenery.nextcloud.result(login).await,
        json!({"name": "alice", "accepted": true}),
        "the same account under the new name"
    );
    let gone = scenery.nextcloud.result(json!({"do": "clean up"})).await;
    assert_eq!(gone, json!({"checked": 50, "gone": ["bob"]}));
    let gone = scenery.nextcloud.result(json!({"do": "clean up"})).await;
    assert_eq!(gone, json!({"checked": 10, "gone": []}));
    assert_eq!(
        scenery.nextcloud.result(json!({"do": "known"})).await,
        json!(PEOPLE)
    );
}

#[client_test]
async fn avatars_are_octets() {
    let Some(_exercise) = installed() else {
        return;
    };
    let mut scenery = Scenery::new(PEOPLE, |_| {}).await;
    scenery.nextcloud.names(json!({"do": "list"})).await;
    for (name, attribute, kind, octets) in [
        ("alice", "jpegphoto", "image/jpeg", JPEG),
        ("bob", "thumbnailphoto", "image/png", PNG),
    ] {
        let avatar = scenery
            .nextcloud
            .result(json!({"do": "avatar", "name": name}))
            .await;
        assert_eq!(avatar["attribute"], json!(attribute));
        assert_eq!(avatar["type"], json!(kind), "{avatar}");
        assert_eq!(avatar["octets"], json!(octets.len()));
    }
    assert_eq!(
        scenery
            .nextcloud
            .result(json!({"do": "avatar", "name": "zoe"}))
            .await,
        json!(null)
    );
}

#[client_test]
async fn a_password_is_not_changed_here() {
    let Some(_exercise) = installed() else {
        return;
    };
    let mut scenery = Scenery::new(PEOPLE, |_| {}).await;
    scenery.nextcloud.names(json!({"do": "list"})).await;
    let (said, log) = scenery
        .cost(json!({"do": "password", "name": "alice", "password": "demo-new"}))
        .await;
    let hint = "passwords are changed in authentik: in the user settings or by its recovery flow";
    assert_eq!(said, json!(format!("Password change rejected. Hint: {hint}")));
    assert_eq!((log.count(EXTENDED), log.count(MODIFY)), (1, 0));
    assert_eq!(scenery.nextcloud.result(json!({"do": "logged"})).await, json!([]));
    let login = |password: &str| json!({"do": "login", "typed": "alice", "password": password});
    assert_eq!(
        scenery.nextcloud.result(login("demo-new")).await["accepted"],
        json!(false)
    );
    assert_eq!(
        scenery.nextcloud.result(login("demo-alice")).await["accepted"],
        json!(true)
    );
}
