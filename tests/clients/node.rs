//! The two LDAP clients of npm: ldapts, as Bitwarden's directory connector uses it, and ldapjs.

use serde_json::json;
use tokio::process::Command;

use crate::conversation::Conversation;
use crate::exercise::{Need, exercise, node_modules};
use crate::program::command;
use crate::recorder::{DEMO, Recorder};
use crate::setting::{USERS, demo};
use crate::stage::SUFFIX;
use crate::version::npm;

fn script(name: &str, uri: &str) -> Command {
    let mut command = command("node");
    command
        .args([&format!("tests/clients/node/{name}.js"), uri])
        .env("NODE_PATH", node_modules());
    command
}

/// Bitwarden's shape: people and groups in pages, members by DN, a critical control refused, and what changed since.
#[tokio::test]
async fn ldapts_syncs_people_groups_and_changes() {
    let Some(_exercise) = exercise(&[Need::Program("node"), Need::NodePackage("ldapts")]) else {
        return;
    };
    let stage = demo().await;
    let recorder = Recorder::start(stage.ldap()).await;
    let mut script = Conversation::start(&mut script("ldapts", &recorder.uri()));
    let report = script.report().await;
    recorder.keep("ldapts", "bitwarden", &npm("ldapts"), DEMO);
    assert_eq!(
        report,
        json!({
            // All but the service account and the outpost's, which have no address.
            "people": USERS - 2,
            "hundreds": USERS - 2,
            "uuids": USERS - 2,
            "groups": 25,
            "backend": ["alice@example.com", "inactive@example.com"],
            "emea": ["emea@example.com", "pat@example.com"],
            "missing": "NoSuchObjectError",
            "deleted": "none",
            "right": "none",
            "wrong": "InvalidCredentialsError",
            "refused": "InsufficientAccessError",
        })
    );
    let bob = stage.simulator.user_pk("bob").expect("bob");
    stage
        .simulator
        .save_user(bob, |user| user.email = "robert@example.com".into());
    stage.refresh().await;
    script.go_on().await;
    assert_eq!(
        script.report().await,
        json!({"changed": [["bob", "robert@example.com"]]})
    );
    script.end().await;
}

/// Paged searches, which fail when an answer lacks the control; entries, literal stars, limits, compare, logins.
#[tokio::test]
async fn ldapjs_pages_and_logins() {
    let Some(_exercise) = exercise(&[Need::Program("node"), Need::NodePackage("ldapjs")]) else {
        return;
    };
    let stage = demo().await;
    let recorder = Recorder::start(stage.ldap()).await;
    let mut script = Conversation::start(&mut script("ldapjs", &recorder.uri()));
    let report = script.report().await;
    script.end().await;
    assert_eq!(
        report,
        json!({
            "bound": 0,
            "paged": [0, USERS, 5],
            "hundreds": [0, USERS],
            "one": [[format!("cn=alice,ou=users,{SUFFIX}"), "alice@example.com"]],
            "literal": 0,
            "limited": [4, 4],
            "missing": 32,
            "member": true,
            "right": 0,
            "wrong": 49,
            "refused": 50,
        })
    );
    recorder.keep("ldapjs", "tour", &npm("ldapjs"), DEMO);
}
