//! Names that are long in every possible way: before a bind, and in requests of somebody bound.

use akldap_simulator::Directory;

use crate::hostile::process::Server;
use akldap_testing::client::Client;
use akldap_testing::stage::{SUFFIX, user_dn};

/// Octets of a name that fits into a message before a bind, and after it.
const UNBOUND: usize = 60_000;
const BOUND: usize = 120_000;

/// `front`, then `piece` over and over, then `end`.
fn name(front: &str, piece: &str, end: &str, octets: usize) -> String {
    format!("{front}{}{end}", piece.repeat(octets / piece.len()))
}

fn names(octets: usize) -> Vec<String> {
    let below = format!(",{SUFFIX}");
    let user = format!(",ou=users,{SUFFIX}");
    vec![
        name("x", ",a=b", "", octets),
        name("x", ",a=b", &below, octets),
        name("cn=a", ",a=b", &below, octets),
        name("x", &below, "", octets),
        name("cn=a", ",", &user, octets),
        name("cn=a", "+a=b", &user, octets),
        name("cn=a", "\\2c", &user, octets),
        name("cn=\"a", "\",\"", &user, octets),
        name("cn=a,ou=users,dc=", "Ä", ",dc=goauthentik,dc=io", octets),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn names_before_a_bind_cost_what_their_octets_cost() {
    let server = Server::start(&[]).await;
    let before = server.usage();
    for name in names(UNBOUND) {
        let mut client = Client::connect(server.ldap).await;
        for _ in 0..3 {
            let outcome = client.bind(&name, "secret").await;
            assert_ne!(outcome.code, 0, "{outcome:?}");
            assert_ne!(client.read(&name, &["1.1"]).await.outcome.code, 0);
            assert_ne!(client.compare(&name, "cn", b"x").await.code, 5);
        }
    }
    // One of these once took a hundred seconds in a build like this.
    server.assert_used(before, 20.0, 64 << 20);
    let mut honest = Client::connect(server.ldap).await;
    assert_eq!(honest.bind(&user_dn("alice"), "demo-alice").await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_in_searches_cost_what_their_octets_cost() {
    let server = Server::with(Directory::sample(20, 5), &[]).await;
    let mut client = Client::connect(server.ldap).await;
    assert_eq!(client.bind(&user_dn("alice"), "demo-alice").await.code, 0);
    let before = server.usage();
    for name in names(BOUND) {
        assert_ne!(client.read(&name, &["1.1"]).await.outcome.code, 0);
        assert_ne!(client.compare(&name, "cn", b"x").await.code, 6);
        let escaped = name.replace('\\', "\\5c");
        for attribute in ["member", "memberOf", "memberUid", "entryDN", "cn"] {
            let filter = format!("({attribute}={escaped})");
            let found = client.subtree(SUFFIX, &filter, &["1.1"]).await;
            assert!(found.entries.is_empty());
        }
    }
    server.assert_used(before, 20.0, 64 << 20);
}

/// What is asserted before a bind is looked for in every definition of the schema.
#[tokio::test(flavor = "multi_thread")]
async fn filters_before_a_bind_are_small() {
    let server = Server::start(&[]).await;
    let before = server.usage();
    let mut client = Client::connect(server.ldap).await;
    for base in ["", "cn=subschema"] {
        for each in ["(attributeTypes=*e*x*)", "(:2.5.13.2:=x)", "(objectClass=x)"] {
            let filter = format!("(|{})", each.repeat(2_000));
            let found = client.subtree(base, &filter, &["1.1"]).await;
            assert_eq!(
                (found.outcome.code, found.entries.len()),
                (11, 0),
                "{}",
                found.outcome.message
            );
            let filter = format!("(|{})", each.repeat(20));
            let found = client.subtree(base, &filter, &["1.1"]).await;
            assert_eq!(found.outcome.code, 0, "{}", found.outcome.message);
        }
    }
    assert_eq!(
        client
            .read("cn=subschema", &["attributeTypes"])
            .await
            .entries
            .len(),
        1
    );
    server.assert_used(before, 10.0, 64 << 20);
}
