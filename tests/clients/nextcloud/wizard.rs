//! What the settings page finds out by itself.

use serde_json::json;

use super::{GROUPS, PEOPLE, Scenery, installed};
use crate::recorder::message::{BIND, SEARCH};
use akldap_testing::client_test::client_test;
use akldap_testing::stage::{BASE, SUFFIX};

#[client_test]
async fn the_wizard_finds_what_there_is() {
    let Some(_exercise) = installed() else {
        return;
    };
    let mut scenery = Scenery::new(PEOPLE, |_| {}).await;
    let port = scenery.recorder.address().port();
    // A port that nobody listens on, as 7636 and 636 are on most hosts.
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port")
        .port();
    let nextcloud = &mut scenery.nextcloud;
    let candidates = json!([[closed, false], [port, false]]);
    let found = nextcloud
        .result(json!({"do": "port", "candidates": candidates}))
        .await;
    assert_eq!(found, json!({"port": port, "tls": false}));
    let base = nextcloud.result(json!({"do": "base", "host": "localhost"})).await;
    assert_eq!(base, json!(BASE), "the end of the agent's DN");
    assert!(nextcloud.result(json!({"do": "entries"})).await.as_u64() > Some(80));

    let classes = nextcloud.result(json!({"do": "classes"})).await;
    // The others of the five classes are not needed: each finds the same people.
    for class in [
        "inetOrgPerson",
        "person",
        "organizationalPerson",
        "user",
        "posixAccount",
    ] {
        assert_eq!(classes["found"][class], json!(PEOPLE + 20), "{class}: {classes}");
    }
    let classes = nextcloud.result(json!({"do": "classes", "groups": true})).await;
    for class in ["groupOfNames", "groupOfUniqueNames", "group", "posixGroup"] {
        assert!(
            classes["found"][class].as_u64() >= Some(GROUPS as u64),
            "{class}: {classes}"
        );
    }
    let offered = nextcloud.names(json!({"do": "offered groups"})).await;
    for group in ["nextcloud", "Sales, EMEA", "group0001"] {
        assert!(
            offered.contains(&group.to_owned()),
            "{group} is not among {offered:?}"
        );
    }

    assert_eq!(nextcloud.result(json!({"do": "member of"})).await, json!(true));
    let filter = nextcloud
        .result(json!({"do": "user filter", "class": "inetOrgPerson", "group": "nextcloud"}))
        .await;
    let group = format!("cn=nextcloud,ou=groups,{SUFFIX}");
    assert_eq!(
        filter,
        json!(format!("(&(|(objectclass=inetOrgPerson))(|(memberof={group})))")),
        "without primary group"
    );
    nextcloud
        .result(json!({"do": "set", "settings": {"ldapUserFilter": filter}}))
        .await;
    assert_eq!(nextcloud.result(json!({"do": "count"})).await, json!(PEOPLE));

    let attributes = nextcloud.result(json!({"do": "attributes"})).await;
    let names = super::names(&attributes["names"]);
    for name in ["cn", "mail", "displayName", "memberOf", "uid"] {
        assert!(
            names.contains(&name.to_lowercase()) || names.contains(&name.to_owned()),
            "{name}: {names:?}"
        );
    }
    // This is a hash; docs/nextcloud.md says to choose cn.
    assert_eq!(attributes["login"], json!("uid"));
    assert_eq!(nextcloud.result(json!({"do": "email"})).await, json!("mail"));
    assert_eq!(
        nextcloud.result(json!({"do": "display name"})).await,
        json!("displayname")
    );
    assert_eq!(
        nextcloud.result(json!({"do": "member attribute"})).await,
        json!("gidNumber"),
        "the wizard takes what has the fewest values; docs/nextcloud.md tells to choose member"
    );
    for (typed, found) in [("alice", 1), ("alice@example.com", 1), ("nobody", 0), ("*", 0)] {
        assert_eq!(
            nextcloud
                .result(json!({"do": "test login", "typed": typed}))
                .await,
            json!(found),
            "{typed}"
        );
    }
    assert_eq!(nextcloud.result(json!({"do": "set-up check"})).await, json!(true));
    assert_eq!(
        nextcloud.result(json!({"do": "logged"})).await,
        json!([]),
        "no code but 0 and 32"
    );
    let log = scenery.recorder.log();
    assert_eq!(
        (log.connections, log.count(BIND)),
        (2, 2),
        "the port's and one more"
    );
    assert!(log.count(SEARCH) <= 40, "{:?}", log.requests);
    scenery.keep("wizard", PEOPLE).await;
}

#[client_test]
async fn the_wizard_finds_a_port_with_and_without_start_tls() {
    let Some(_exercise) = installed() else {
        return;
    };
    let mut scenery = Scenery::new(PEOPLE, |settings| {
        settings["ldapAgentPassword"] = json!("wrong");
    })
    .await;
    let (port, tls_alone) = (scenery.stage.ldap().port(), scenery.stage.ldaps().port());
    // The agent's password is wrong, but a refusal is an answer; a port that speaks TLS at once is not one for this
    // URI.
    for (candidates, tls) in [
        (json!([[port, true], [port, false]]), true),
        (json!([[tls_alone, false], [port, false]]), false),
    ] {
        let order = json!({"do": "port", "candidates": candidates});
        let found = scenery.nextcloud.result(order).await;
        assert_eq!(found, json!({"port": port, "tls": tls}));
    }
}
