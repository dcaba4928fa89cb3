//! Perl's Net::LDAP, as Proxmox VE uses it.

use serde_json::json;

use crate::conversation::Conversation;
use crate::exercise::{Need, exercise};
use crate::program::command;
use crate::recorder::{DEMO, Recorder};
use crate::setting::{USERS, demo};
use crate::stage::{BASE, SUFFIX};
use crate::version::package;

/// Proxmox VE's shape: base from the root DSE, users and groups synced in pages, an abandoned page list, schema, logins.
#[tokio::test]
async fn realm_sync_and_logins() {
    let Some(_exercise) = exercise(&[Need::PerlModule("Net::LDAP")]) else {
        return;
    };
    let stage = demo().await;
    let recorder = Recorder::start(stage.ldap()).await;
    let mut script =
        Conversation::start(command("perl").args(["tests/clients/perl/proxmox.pl", &recorder.uri()]));
    let report = script.report().await;
    script.end().await;
    assert_eq!(
        report,
        json!({
            "base": SUFFIX,
            "contexts": [SUFFIX],
            "paging": 1,
            "users": USERS,
            "user_pages": 3,
            "distinct": USERS,
            "mail": "alice@example.com",
            "groups": 25,
            "group_pages": 3,
            "backend": ["alice", "inactive"],
            "emea": ["pat o'brien", "sales, \"emea\" + partners"],
            "given_up": 0,
            "classes": 1,
            "attributes": 1,
            "missing": 32,
            "matched": BASE,
            "logins": {
                "right": 0, "quote": 0, "wrong": 49, "refused": 50, "inactive": 49, "star": "unknown", "nobody": "unknown",
            },
        })
    );
    recorder.keep("net-ldap-perl", "realm-sync", &package("libnet-ldap-perl"), DEMO);
}
