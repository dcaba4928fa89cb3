//! Perl's Net::LDAP, as Proxmox VE uses it.

use serde_json::json;

use crate::conversation::Conversation;
use crate::setting::USERS;
use crate::transport::{Transport, over_tls};
use crate::version::package;
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{Need, exercise};
use akldap_testing::program::command;
use akldap_testing::stage::{BASE, SUFFIX};

/// Proxmox VE's shape: base from the root DSE, users and groups synced in pages, an abandoned page list, schema, logins.
#[client_test]
async fn realm_sync_and_logins() {
    tour(Transport::Clear).await;
}

over_tls! {
    /// The same over LDAPS.
    over_ldaps,
    /// The same over StartTLS.
    over_start_tls: tour
}

async fn tour(transport: Transport) {
    let needs = [Need::PerlModule("Net::LDAP"), Need::PerlModule("IO::Socket::SSL")];
    let needed = if transport.is_secure() { 2 } else { 1 };
    let Some(_exercise) = exercise(&needs[..needed]) else {
        return;
    };
    let stage = transport.demo().await;
    let target = transport.to(&stage).await;
    let script = |authority: &str| {
        let mut command = command("perl");
        command
            .arg("tests/clients/perl/proxmox.pl")
            .args(target.arguments(authority));
        command
    };
    let script = Conversation::trusting(transport, script).await;
    let report = script.only_report().await;
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
    target.keep("net-ldap-perl", "realm-sync", &package("libnet-ldap-perl"));
}
