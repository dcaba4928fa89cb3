//! Hostile clients of every kind at once, next to honest ones, which must not notice. Seconds here; an hour of the
//! same is `cargo bench --bench hostile`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use akldap_simulator::Directory;
use ldap3_proto::proto::{LdapOp, LdapSearchScope};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use akldap_testing::certificates::{connector, ldaps, pair, serving};
use akldap_testing::client::{Client, search};
use akldap_testing::stage::{BASE, Stage, eventually, user_dn};

/// How long they are at it.
const SPAN: Duration = Duration::from_secs(5);
/// Of each kind of attacker.
const EACH: usize = 20;

/// Sends one octet of an endless message at a time.
async fn drip(address: SocketAddr) {
    loop {
        let Ok(mut stream) = TcpStream::connect(address).await else {
            continue;
        };
        for octet in [0x30, 0x84, 0, 0, 0x0f, 0xff]
            .iter()
            .chain(std::iter::repeat(&0x02))
        {
            if stream.write_all(&[*octet]).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(200)).await;
        }
    }
}

/// Begins a TLS handshake and goes silent until the server has had enough.
async fn half_handshake(address: SocketAddr) {
    loop {
        if let Ok(mut stream) = TcpStream::connect(address).await {
            let _ = stream
                .write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00])
                .await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    }
}

/// Connects and leaves, as fast as possible without taking the whole machine.
async fn flood(address: SocketAddr) {
    loop {
        let _ = TcpStream::connect(address).await;
        sleep(Duration::from_millis(10)).await;
    }
}

/// Asks for everything many times and reads nothing.
async fn never_read(address: SocketAddr) {
    loop {
        let mut client = Client::connect(address).await;
        let bound = client.bind(&user_dn("ldapservice"), "demo-ldapservice").await;
        assert_eq!(bound.code, 0);
        for _ in 0..40 {
            let everything = search(BASE, LdapSearchScope::Subtree, "(objectClass=*)", &["*", "+"]);
            client.send(LdapOp::SearchRequest(everything), vec![]).await;
        }
        sleep(Duration::from_secs(3)).await;
    }
}

/// Sends noise, some of it after the start of something sound.
async fn noise(address: SocketAddr, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    loop {
        if let Ok(mut stream) = TcpStream::connect(address).await {
            let mut octets: Vec<u8> = (0..random.usize(1..600)).map(|_| random.u8(..)).collect();
            if random.bool() {
                octets.splice(0..0, [0x30, 0x81, 0xff, 0x02, 0x01]);
            }
            let _ = stream.write_all(&octets).await;
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Logs in, looks something up, and leaves; any error ends the test.
async fn honest(stage: Arc<Stage>, secure: bool, until: Instant, done: Arc<AtomicUsize>) {
    let connector = connector();
    while Instant::now() < until {
        let mut client = if secure {
            ldaps(&connector, stage.ldaps()).await.unwrap()
        } else {
            stage.client().await
        };
        assert_eq!(client.bind(&user_dn("alice"), "demo-alice").await.code, 0);
        for _ in 0..5 {
            let found = client.subtree(BASE, "(cn=alice)", &["cn", "mail"]).await;
            assert_eq!((found.outcome.code, found.entries.is_empty()), (0, false));
        }
        client.send(LdapOp::UnbindRequest, vec![]).await;
        done.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn hostile_clients_of_every_kind_disturb_no_honest_one() {
    let mut directory = serving(Directory::sample(300, 20), pair("p256"));
    for provider in directory.providers.values_mut() {
        provider.bind_mode = "cached".to_owned();
    }
    let stage = Stage::with(directory, |settings| {
        settings.set("AUTHENTIK_LDAP__HANDSHAKE_TIMEOUT", "1s");
        settings.set("AUTHENTIK_LDAP__MESSAGE_TIMEOUT", "1s");
        settings.set("AUTHENTIK_LDAP__WRITE_TIMEOUT", "2s");
    })
    .await;
    let stage = Arc::new(stage);
    let mut hostile = JoinSet::new();
    for number in 0..EACH {
        let (plain, secure) = (stage.ldap(), stage.ldaps());
        hostile.spawn(drip(if number % 2 == 0 { plain } else { secure }));
        hostile.spawn(half_handshake(secure));
        hostile.spawn(noise(if number % 2 == 0 { plain } else { secure }, number as u64));
        if number % 5 == 0 {
            hostile.spawn(never_read(plain));
            hostile.spawn(flood(plain));
            hostile.spawn(flood(secure));
        }
    }
    let (until, done) = (Instant::now() + SPAN, Arc::new(AtomicUsize::new(0)));
    let mut honest_ones = JoinSet::new();
    for number in 0..4 {
        honest_ones.spawn(honest(
            Arc::clone(&stage),
            number % 2 == 0,
            until,
            Arc::clone(&done),
        ));
    }
    while let Some(ended) = honest_ones.join_next().await {
        ended.expect("no honest client sees an error");
    }
    assert!(done.load(Ordering::Relaxed) > 0, "nobody got through");
    hostile.shutdown().await;
    // Nothing of them stays.
    eventually("every connection is gone", || {
        let metrics = stage.server.outpost().metrics().encode().unwrap();
        metrics.lines().any(|line| line == "akldap_open_connections 0")
    })
    .await;
}
