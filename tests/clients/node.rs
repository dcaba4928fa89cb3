//! The two LDAP clients of npm: ldapts, as Bitwarden's directory connector uses it, and ldapjs.

use serde_json::json;

use crate::conversation::Conversation;
use crate::setting::USERS;
use crate::transport::{Target, Transport, over_tls};
use crate::version::npm;
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{Need, exercise, node_modules};
use akldap_testing::program::command;
use akldap_testing::stage::SUFFIX;

/// Starts a script, after it has refused a server that it does not trust.
async fn start(name: &str, target: &Target) -> Conversation {
    let script = |authority: &str| {
        let mut command = command("node");
        command
            .arg(format!("tests/clients/node/{name}.js"))
            .args(target.arguments(authority))
            .env("NODE_PATH", node_modules());
        command
    };
    Conversation::trusting(target.transport, script).await
}

/// Bitwarden's shape: people and groups in pages, members by DN, a critical control refused, and what changed since.
#[client_test]
async fn ldapts_syncs_people_groups_and_changes() {
    ldapts(Transport::Clear).await;
}

over_tls! {
    /// The same over LDAPS.
    ldapts_over_ldaps,
    /// The same over StartTLS.
    ldapts_over_start_tls: ldapts
}

async fn ldapts(transport: Transport) {
    let Some(_exercise) = exercise(&[Need::Program("node"), Need::NodePackage("ldapts")]) else {
        return;
    };
    let stage = transport.demo().await;
    let target = transport.to(&stage).await;
    let mut script = start("ldapts", &target).await;
    let report = script.report().await;
    target.keep("ldapts", "bitwarden", &npm("ldapts"));
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
#[client_test]
async fn ldapjs_pages_and_logins() {
    ldapjs(Transport::Clear).await;
}

over_tls! {
    /// The same over LDAPS.
    ldapjs_over_ldaps,
    /// The same over StartTLS.
    ldapjs_over_start_tls: ldapjs
}

async fn ldapjs(transport: Transport) {
    let Some(_exercise) = exercise(&[Need::Program("node"), Need::NodePackage("ldapjs")]) else {
        return;
    };
    let stage = transport.demo().await;
    let target = transport.to(&stage).await;
    let report = start("ldapjs", &target).await.only_report().await;
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
    target.keep("ldapjs", "tour", &npm("ldapjs"));
}
