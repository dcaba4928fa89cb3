//! go-ldap, as Grafana, Authelia, Gitea and most programs written in Go use it.

use serde_json::json;

use crate::conversation::Conversation;
use crate::exercise::{Need, exercise, kept};
use crate::program::{command, run};
use crate::recorder::{DEMO, Recorder};
use crate::setting::{USERS, demo};
use crate::stage::entry_dn;
use crate::version::package;

/// Grafana's, Authelia's and Gitea's shapes: logins, groups, compare, who am I, password change refused, pages, limits.
#[tokio::test]
async fn logins_groups_and_pages() {
    let needs = [
        Need::Program("go"),
        Need::File(
            "/usr/share/gocode/src/github.com/go-ldap/ldap",
            "golang-github-go-ldap-ldap-dev",
        ),
    ];
    let Some(_exercise) = exercise(&needs) else {
        return;
    };
    // As `.ci/run` did before, so that there is little left to compile.
    let program = kept().join("go-ldap");
    let mut build = command("tests/clients/go/build");
    run(build.arg(&program)).await.expect(0);
    let stage = demo().await;
    let recorder = Recorder::start(stage.ldap()).await;
    let mut script = Conversation::start(command(program.to_str().expect("text")).arg(recorder.uri()));
    let report = script.report().await;
    script.end().await;
    assert_eq!(
        report,
        json!({
            "grafana": {
                "several": ["alice", "bob", "pat o'brien"],
                "mail": "alice@example.com",
                "admin": true,
                "groups": ["backend", "everyone"],
                "right": 0,
                "comma": 0,
                "wrong": 49,
                "refused": 50,
                "star": "unknown",
            },
            "authelia": {
                "versions": ["3"],
                "by mail": "Bob Builder",
                "nobody": 0,
                "injected": 0,
                "who": format!("dn:{}", entry_dn("ldapservice")),
                "member": true,
                "change": 19,
                "unauthenticated": 53,
            },
            "sync": {
                "everybody": USERS,
                "keys": 1,
                "limit": [4, 5],
                "missing": 32,
                "malformed": 34,
                "after": 2,
            },
        })
    );
    recorder.keep(
        "go-ldap",
        "tour",
        &package("golang-github-go-ldap-ldap-dev"),
        DEMO,
    );
}
