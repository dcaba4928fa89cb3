//! Ruby's net-ldap, as GitLab uses it.

use serde_json::json;

use crate::conversation::Conversation;
use crate::setting::USERS;
use crate::transport::{Transport, over_tls};
use crate::version::package;
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{Need, exercise};
use akldap_testing::program::command;
use akldap_testing::stage::SUFFIX;

/// GitLab's shape: logins by name or address, access checks with Active Directory's bit test, members, nested groups, limits.
#[client_test]
async fn logins_access_checks_and_group_sync() {
    tour(Transport::Clear).await;
}

over_tls! {
    /// The same over LDAPS.
    over_ldaps,
    /// The same over StartTLS.
    over_start_tls: tour
}

async fn tour(transport: Transport) {
    let Some(_exercise) = exercise(&[Need::RubyLibrary("net/ldap")]) else {
        return;
    };
    let stage = transport.demo().await;
    let target = transport.to(&stage).await;
    let script = |authority: &str| {
        let mut command = command("ruby");
        command
            .arg("tests/clients/ruby/gitlab.rb")
            .args(target.arguments(authority));
        command
    };
    let script = Conversation::trusting(transport, script).await;
    let report = script.only_report().await;
    let user = |name: &str| format!("cn={name},ou=users,{SUFFIX}");
    assert_eq!(
        report,
        json!({
            "contexts": [SUFFIX],
            "paging": true,
            "found": {"dn": user("alice"), "cn": "alice", "mail": "alice@example.com", "name": "Alice Example"},
            "exists": true,
            "gone": false,
            "outside": false,
            "disabled": {"entries": 0, "code": 0},
            "groups": 25,
            "backend": [user("alice"), user("inactive"), format!("cn=oncall,ou=groups,{SUFFIX}")],
            "company": [
                "alice", "bob", "inactive", "pat o'brien", "sales, \"emea\" + partners", "static", "totp", "zoë",
            ],
            "everybody": USERS,
            "limited": 7,
            "awkward": user("sales\\, \\\"emea\\\" \\+ partners"),
            "logins": {
                "right": 0, "mail": 0, "wrong": 49, "refused": 50, "inactive": 49, "star": "unknown", "outside": "unknown",
            },
        })
    );
    target.keep("net-ldap-ruby", "gitlab", &package("ruby-net-ldap"));
}
