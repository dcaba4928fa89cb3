//! Ruby's net-ldap, as GitLab uses it.

use serde_json::json;

use crate::conversation::Conversation;
use crate::exercise::{Need, exercise};
use crate::program::command;
use crate::recorder::{DEMO, Recorder};
use crate::setting::{USERS, demo};
use crate::stage::SUFFIX;
use crate::version::package;

/// GitLab's shape: logins by name or address, access checks with Active Directory's bit test, members, nested groups, limits.
#[tokio::test]
async fn logins_access_checks_and_group_sync() {
    let Some(_exercise) = exercise(&[Need::RubyLibrary("net/ldap")]) else {
        return;
    };
    let stage = demo().await;
    let recorder = Recorder::start(stage.ldap()).await;
    let mut script =
        Conversation::start(command("ruby").args(["tests/clients/ruby/gitlab.rb", &recorder.uri()]));
    let report = script.report().await;
    script.end().await;
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
    recorder.keep("net-ldap-ruby", "gitlab", &package("ruby-net-ldap"), DEMO);
}
