//! Memory that clients make the server hold, from many connections: half messages, answers that nobody reads, and connections
//! that strangers keep.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use akldap_simulator::Directory;
use ldap3_proto::proto::{LdapOp, LdapSearchScope};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::hostile::process::Server;
use crate::hostile::searches::service;
use akldap_testing::child::PATIENCE;
use akldap_testing::client::{Client, search};
use akldap_testing::stage::{BASE, user_dn};

const BUDGET: u64 = 32 << 20;
/// What the process itself, the allocator and the kernel's accounting may add to what is counted.
const MARGIN: u64 = 48 << 20;

fn settings() -> Vec<(&'static str, &'static str)> {
    vec![
        ("AUTHENTIK_LDAP__CLIENT_MEMORY_LIMIT", "32MiB"),
        ("AUTHENTIK_LDAP__HANDSHAKE_TIMEOUT", "120s"),
        ("AUTHENTIK_LDAP__MESSAGE_TIMEOUT", "120s"),
    ]
}

async fn from(local: &str, server: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{local}:0").parse().unwrap()).unwrap();
    socket.connect(server).await.unwrap()
}

/// The beginning of a message of `length` octets, all but its last.
fn half(length: usize) -> Vec<u8> {
    let content = u32::try_from(length - 6).unwrap().to_be_bytes();
    let mut octets = vec![0x30, 0x84];
    octets.extend(content);
    octets.extend([0x02, 0x01, 0x01]);
    octets.resize(length - 1, 0x04);
    octets
}

#[tokio::test(flavor = "multi_thread")]
async fn half_messages_of_strangers_stay_within_a_part_of_the_budget() {
    let server = Server::start(&settings()).await;
    let mut honest = Client::connect(server.ldap).await;
    assert_eq!(honest.bind(&user_dn("alice"), "demo-alice").await.code, 0);
    let before = server.usage();
    let message = half(60_000);
    let mut greedy = Vec::new();
    for number in 0..1500 {
        let address = format!("127.0.0.{}", 2 + number % 3);
        let mut stream = from(&address, server.ldap).await;
        // Those that had to go are told while they still send.
        let _ = stream.write_all(&message).await;
        greedy.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let grown = server.usage().rss.saturating_sub(before.rss);
    assert!(grown <= BUDGET + MARGIN, "{grown} octets");
    assert!(honest.who_am_i().await.contains("alice"));
    let mut other = Client::connect(server.ldap).await;
    assert_eq!(other.bind(&user_dn("bob"), "demo-bob").await.code, 0);
    assert!(
        server.log().contains("AUTHENTIK_LDAP__CLIENT_MEMORY_LIMIT"),
        "the log says why"
    );
    let closed = count_closed(&mut greedy).await;
    assert!(closed > 1000, "{closed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_one_who_holds_most_loses_first() {
    let server = Server::start(&settings()).await;
    let mut honest = Vec::new();
    for _ in 0..20 {
        let mut client = Client::over(Box::new(from("127.0.0.2", server.ldap).await));
        assert_eq!(client.bind(&user_dn("alice"), "demo-alice").await.code, 0);
        honest.push(client);
    }
    let before = server.usage();
    let mut greedy = Vec::new();
    for _ in 0..100 {
        let mut client = Client::connect(server.ldap).await;
        assert_eq!(client.bind(&user_dn("bob"), "demo-bob").await.code, 0);
        let mut stream = client.into_stream();
        let _ = stream.write_all(&half(1_000_000)).await;
        greedy.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let grown = server.usage().rss.saturating_sub(before.rss);
    assert!(grown <= BUDGET + MARGIN, "{grown} octets");
    for client in &mut honest {
        assert!(client.who_am_i().await.contains("alice"));
    }
}

/// A connection from 127.0.0.1, which is believed by default, as that of another address.
async fn named(client: &str, server: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let header = format!("PROXY TCP4 {client} 127.0.0.1 1000 389\r\n");
    stream.write_all(header.as_bytes()).await.unwrap();
    stream
}

/// How many of these connections the server has closed, or is about to.
async fn count_closed(streams: &mut [impl AsyncRead + Unpin]) -> usize {
    let mut closed = 0;
    for stream in streams {
        let read = tokio::time::timeout(Duration::from_millis(20), stream.read_to_end(&mut Vec::new())).await;
        closed += usize::from(read.is_ok());
    }
    closed
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_gain_no_memory_by_inventing_addresses() {
    let server = Server::start(&settings()).await;
    // One honest address behind the same peer, with small pieces on many connections, and one elsewhere.
    let (mut behind, mut elsewhere) = (Vec::new(), Vec::new());
    for _ in 0..60 {
        let mut stream = named("198.51.100.7", server.ldap).await;
        stream.write_all(&half(20_000)).await.unwrap();
        behind.push(stream);
    }
    for _ in 0..4 {
        let mut stream = from("127.0.0.2", server.ldap).await;
        stream.write_all(&half(40_000)).await.unwrap();
        elsewhere.push(stream);
    }
    let mut greedy = Vec::new();
    for number in 0..300 {
        let invented = format!("203.0.{}.{}", number / 250, number % 250 + 1);
        let mut stream = named(&invented, server.ldap).await;
        let _ = stream.write_all(&half(60_000)).await;
        greedy.push(stream);
    }
    let patience = Instant::now() + Duration::from_secs(60);
    while count_closed(&mut greedy).await < 150 {
        assert!(Instant::now() < patience, "those who hold most were not closed");
    }
    assert_eq!(count_closed(&mut behind).await, 0);
    assert_eq!(count_closed(&mut elsewhere).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_user_gains_no_memory_by_inventing_addresses() {
    let server = Server::start(&settings()).await;
    let bound = async |mut client: Client, name: &str, length: usize| {
        let secret = format!("demo-{name}");
        assert_eq!(client.bind(&user_dn(name), &secret).await.code, 0);
        let mut stream = client.into_stream();
        let _ = stream.write_all(&half(length)).await;
        stream
    };
    let mut honest = Vec::new();
    for _ in 0..60 {
        let client = Client::over(Box::new(named("198.51.100.7", server.ldap).await));
        honest.push(bound(client, "alice", 40_000).await);
    }
    let mut greedy = Vec::new();
    for number in 1..=80 {
        let client = named(&format!("203.0.113.{number}"), server.ldap).await;
        greedy.push(bound(Client::over(Box::new(client)), "bob", 1_000_000).await);
    }
    let patience = Instant::now() + Duration::from_secs(60);
    while count_closed(&mut greedy).await < 40 {
        assert!(Instant::now() < patience, "those who hold most were not closed");
    }
    assert_eq!(count_closed(&mut honest).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_reads_stay_within_the_budget() {
    let server = Server::with(Directory::sample(2000, 20), &settings()).await;
    let mut honest = Client::over(Box::new(from("127.0.0.2", server.ldap).await));
    assert_eq!(honest.bind(&user_dn("alice"), "demo-alice").await.code, 0);
    let before = server.usage();
    let mut greedy = Vec::new();
    // Large filters and 60 searches on each connection, none of which makes progress.
    let alternatives: String = (0..5000).map(|number| format!("(mail=*q{number}*z*)")).collect();
    let filter = format!("(|(objectClass=*){alternatives})");
    for _ in 0..10 {
        greedy.push(service(&server).await);
    }
    let request = search(BASE, LdapSearchScope::Subtree, &filter, &["*", "+"]);
    // The server stops reading when it has enough, or ends the connection.
    let sending = greedy.iter_mut().map(async |client| {
        for _ in 0..60 {
            let op = LdapOp::SearchRequest(request.clone());
            if client.try_send(op, Vec::new()).await.is_err() {
                break;
            }
        }
    });
    let _ = tokio::time::timeout(Duration::from_secs(10), futures_util::future::join_all(sending)).await;
    // Whoever was told to go leaves after the current step of the search, which takes long on a slow machine.
    let begin = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let grown = server.usage().rss.saturating_sub(before.rss);
        if grown <= BUDGET + 2 * MARGIN {
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "{grown} octets: {}", server.log());
    }
    assert!(honest.who_am_i().await.contains("alice"));
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_hold_only_a_part_of_the_places() {
    let settings = [
        ("AUTHENTIK_LDAP__MAX_CONNECTIONS", "400"),
        ("AUTHENTIK_LDAP__MAX_CONNECTIONS_PER_ADDRESS", "0"),
    ];
    let server = Server::start(&settings).await;
    let mut bound = Client::over(Box::new(from("127.0.0.9", server.ldap).await));
    assert_eq!(bound.bind(&user_dn("alice"), "demo-alice").await.code, 0);
    let mut strangers = Vec::new();
    for number in 0..600 {
        let address = format!("127.0.0.{}", 2 + number % 2);
        strangers.push(from(&address, server.ldap).await);
    }
    // Whoever comes later is served, and whoever was there and bound notices nothing.
    for _ in 0..20 {
        let mut client = Client::over(Box::new(from("127.0.0.10", server.ldap).await));
        assert_eq!(client.read("", &[]).await.outcome.code, 0);
        assert_eq!(client.bind(&user_dn("bob"), "demo-bob").await.code, 0);
        assert!(client.who_am_i().await.contains("bob"));
    }
    assert!(bound.who_am_i().await.contains("alice"));
}

/// A bind request, written without a client that waits for its answer.
fn bind_request(message_id: u32, name: &str, secret: &str) -> Vec<u8> {
    let element = |tag: u8, content: &[u8]| {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x84], length.as_slice(), content].concat()
    };
    let parts = [
        element(0x02, &[3]),
        element(0x04, name.as_bytes()),
        element(0x80, secret.as_bytes()),
    ];
    let id = element(0x02, &message_id.to_be_bytes());
    element(0x30, &[id, element(0x60, &parts.concat())].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_who_send_bind_after_bind_hold_only_a_part_of_the_places() {
    let settings = [
        ("AUTHENTIK_LDAP__MAX_CONNECTIONS", "400"),
        ("AUTHENTIK_LDAP__MAX_CONNECTIONS_PER_ADDRESS", "0"),
    ];
    let server = Server::start(&settings).await;
    // Hardly any of their first binds have been answered when the test ends.
    server.simulator.faults().set_latency(Duration::from_secs(5));
    let mut strangers = Vec::new();
    for number in 0..300 {
        let mut stream = from("127.0.0.2", server.ldap).await;
        let binds: Vec<u8> = (1..=50)
            .flat_map(|id| bind_request(id, &user_dn(&format!("stranger{number}-{id}")), "x"))
            .collect();
        let _ = stream.write_all(&binds).await;
        strangers.push(stream);
    }
    for _ in 0..20 {
        let mut client = Client::over(Box::new(from("127.0.0.10", server.ldap).await));
        let read = tokio::time::timeout(Duration::from_secs(60), client.read("", &[])).await;
        assert_eq!(read.expect("a place").outcome.code, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn binds_under_way_count_for_the_memory_of_their_clients() {
    let mut settings = settings();
    settings.push(("AUTHENTIK_LDAP__FLOW_QUEUE_TIMEOUT", "10m"));
    let server = Server::start(&settings).await;
    server.simulator.faults().set_latency(Duration::from_secs(30));
    let before = server.usage();
    let request = bind_request(1, &user_dn("nobody"), &"x".repeat(60_000));
    let mut waiting = Vec::new();
    // None of them has been judged when the test ends.
    for number in 0..1500 {
        let mut stream = from(&format!("127.0.0.{}", 2 + number % 3), server.ldap).await;
        let _ = stream.write_all(&request).await;
        waiting.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let grown = server.usage().rss.saturating_sub(before.rss);
    assert!(grown <= BUDGET + MARGIN, "{grown} octets");
    let patience = Instant::now() + Duration::from_secs(60);
    while waiting.len() > 500 {
        assert!(Instant::now() < patience, "{} are left", waiting.len());
        let mut left = Vec::new();
        for mut stream in waiting {
            let mut said = Vec::new();
            let read = stream.read_to_end(&mut said);
            if tokio::time::timeout(Duration::from_millis(1), read)
                .await
                .is_err()
            {
                left.push(stream);
            }
        }
        waiting = left;
    }
}
