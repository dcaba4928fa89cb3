//! Java's JNDI, as Keycloak and Jenkins use it.

use serde_json::json;

use crate::conversation::Conversation;
use crate::exercise::{Need, exercise};
use crate::program::command;
use crate::recorder::{DEMO, Recorder};
use crate::setting::{USERS, demo};
use crate::stage::SUFFIX;
use crate::version::said;

/// Keycloak's shape: sync in critical pages, look-up by entryUUID, groups, logins, and the sync of what changed since.
/// Jenkins' shape: root, logins, groups, names that are not there, limits, a list left unread.
#[tokio::test]
async fn syncs_and_logins() {
    let Some(_exercise) = exercise(&[Need::Program("javac")]) else {
        return;
    };
    let stage = demo().await;
    let recorder = Recorder::start(stage.ldap()).await;
    // One short run: compiling well would take longer than running badly.
    let mut script = Conversation::start(
        command("java")
            .args(["-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8"])
            .args(["tests/clients/java/Keycloak.java", &recorder.uri()]),
    );
    let report = script.report().await;
    recorder.keep(
        "jndi",
        "keycloak-and-jenkins",
        &said("javac", &["-version"]),
        DEMO,
    );
    assert_eq!(
        report,
        json!({
            "keycloak": {
                "users": USERS,
                "pages": 4,
                "uuids": USERS,
                "without times": 0,
                "again": ["alice"],
                "groups": ["backend", "everyone"],
                "all groups": ["backend", "company", "engineering", "everyone"],
                "lists": true,
                "logins": {"right": "in", "wrong": "wrong", "inactive": "wrong", "mallory": "refused"},
            },
            "jenkins": {
                "root": SUFFIX,
                "groups": ["Sales, EMEA", "everyone", "sales"],
                "comma": format!("cn=Sales\\, EMEA,ou=groups,{SUFFIX}"),
                "read": "Sales, EMEA",
                "missing": true,
                "limited": true,
                "entries": 3,
                "after": USERS,
                "star": 0,
            },
            "newest": report["newest"],
        })
    );

    let bob = stage.simulator.user_pk("bob").expect("bob");
    stage
        .simulator
        .save_user(bob, |user| user.email = "robert@example.com".into());
    stage.refresh().await;
    script.go_on().await;
    let changes = script.report().await;
    script.end().await;
    // The newest of before are found again, since the time asked for is theirs.
    let changed = changes["changed"].as_array().expect("names");
    assert!(changed.contains(&json!("bob")) && changed.len() < 5, "{changes}");
    assert_eq!(changes["mail"], json!(["robert@example.com"]));
    assert_eq!(changes["everything"], json!(USERS));
}
