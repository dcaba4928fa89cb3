//! Readers so slow that the directory changes many times under their searches.

use std::time::Duration;

use akldap_simulator::Directory;
use ldap3_proto::proto::{LdapOp, LdapSearchScope};

use crate::hostile::process::Server;
use crate::hostile::searches::service;
use akldap_testing::client::{Client, Found, search};
use akldap_testing::stage::BASE;

const READERS: usize = 8;
const USERS: usize = 5000;
/// A snapshot of this many users takes far less; eight of them take more.
const MEMORY: u64 = 64 << 20;
const BUSY: i32 = 51;

/// Makes authentik change without announcing anything: the server finds it at its next look.
async fn change(server: &Server, number: usize) {
    let name = format!("new{number:03}");
    server
        .simulator
        .create_user(&name, &name, &format!("{name}@example.com"));
    let mut client = service(server).await;
    for _ in 0..1500 {
        let found = client.subtree(BASE, &format!("(cn={name})"), &["1.1"]).await;
        assert_eq!(found.outcome.code, 0, "{}", found.outcome.message);
        if !found.entries.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{name} never became visible");
}

async fn reader(server: &Server) -> (Client, i32) {
    let mut client = service(server).await;
    let request = search(BASE, LdapSearchScope::Subtree, "(objectClass=*)", &["*", "+"]);
    let id = client.send(LdapOp::SearchRequest(request), vec![]).await;
    (client, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_readers_hold_one_snapshot_beside_the_current_one() {
    let settings = [
        ("AUTHENTIK_LDAP__REFRESH_DELTA_INTERVAL", "1s"),
        ("AUTHENTIK_LDAP__WRITE_TIMEOUT", "300s"),
    ];
    let server = Server::with(Directory::sample(USERS, 50), &settings).await;
    // One change and a listing first, so that what any refresh takes is already there.
    change(&server, 0).await;
    let before = server.usage();
    let mut readers = Vec::new();
    for number in 1..=READERS {
        readers.push(reader(&server).await);
        change(&server, number).await;
    }
    let grown = server.usage().rss.saturating_sub(before.rss);
    println!("{grown} octets more memory");
    assert!(grown <= MEMORY, "{grown} octets");
    // The first ones are told what happened; the last, on a snapshot that is there still, gets everything.
    let mut codes = Vec::new();
    for (client, id) in &mut readers {
        let Found { outcome, entries } = client.collect(*id).await;
        codes.push(outcome.code);
        if outcome.code == 0 {
            assert!(entries.len() > 2 * USERS);
        } else {
            assert_eq!(outcome.code, BUSY, "{}", outcome.message);
            assert!(outcome.message.contains("again"), "{}", outcome.message);
        }
    }
    // The last change followed the last reader's search: two snapshots, theirs and the current one.
    let expected: Vec<i32> = (1..=READERS)
        .map(|number| if number == READERS { 0 } else { BUSY })
        .collect();
    assert_eq!(codes, expected);
    let log = server.log();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("read slowly")).collect();
    assert_eq!(told.len(), 1, "one line an hour for one address: {told:?}");
    assert!(
        told[0].contains("\"client\"") && told[0].contains("\"connection\""),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_is_no_fault() {
    let settings = [("AUTHENTIK_LDAP__REFRESH_DELTA_INTERVAL", "1s")];
    let server = Server::with(Directory::sample(USERS, 50), &settings).await;
    let (mut client, id) = reader(&server).await;
    // One change: the reader's snapshot is the one before the current, and stays.
    change(&server, 1).await;
    let found = client.collect(id).await;
    assert_eq!(found.outcome.code, 0, "{}", found.outcome.message);
    assert!(found.entries.len() > 2 * USERS);
}
