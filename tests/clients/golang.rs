//! go-ldap, as Grafana, Authelia, Gitea and most programs written in Go use it.

use serde_json::json;
use tokio::sync::OnceCell;

use crate::conversation::Conversation;
use crate::setting::USERS;
use crate::transport::{Transport, over_tls};
use crate::version::package;
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{Need, exercise, kept};
use akldap_testing::program::{command, run};
use akldap_testing::stage::entry_dn;

/// The program, built once for all tests: they must not write it while another runs it.
static BUILT: OnceCell<String> = OnceCell::const_new();

/// As `.ci/run` did before, so that there is little left to compile.
async fn build() -> String {
    let program = kept().join("go-ldap");
    let mut build = command("tests/clients/go/build");
    run(build.arg(&program)).await.expect(0);
    program.to_str().expect("text").to_owned()
}

/// Grafana's, Authelia's and Gitea's shapes: logins, groups, compare, who am I, password change refused, pages, limits.
#[client_test]
async fn logins_groups_and_pages() {
    tour(Transport::Clear).await;
}

over_tls! {
    /// The same over LDAPS.
    over_ldaps,
    /// The same over StartTLS.
    over_start_tls: tour
}

async fn tour(transport: Transport) {
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
    let program = BUILT.get_or_init(build).await;
    let stage = transport.demo().await;
    let target = transport.to(&stage).await;
    let script = |authority: &str| {
        let mut command = command(program);
        command.args(target.arguments(authority));
        command
    };
    let script = Conversation::trusting(transport, script).await;
    let report = script.only_report().await;
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
    target.keep("go-ldap", "tour", &package("golang-github-go-ldap-ldap-dev"));
}
