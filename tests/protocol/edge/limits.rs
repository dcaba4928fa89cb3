//! Each limit, crossed: connections per address and in total, slow senders, silent handshakes, idle strangers.

use std::time::Duration;

use akldap_simulator::Directory;
use ldap3_proto::proto::{LdapOp, LdapSearchScope};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

use akldap_testing::client::{Client, search};
use akldap_testing::stage::{BASE, Stage, user_dn};

const PATIENCE: Duration = Duration::from_secs(50);
/// A bind request as alice, cut off before its end.
const BEGUN: &[u8] = &[0x30, 0x3c, 0x02, 0x01, 0x01, 0x60, 0x37, 0x02, 0x01, 0x03, 0x04];

/// Waits until the server closes; what it said until then.
async fn end_of(stream: &mut TcpStream) -> Vec<u8> {
    let mut octets = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut octets)).await;
    let _ = read.expect("the server closes in time");
    octets
}

#[tokio::test]
async fn an_address_has_its_share_of_connections_and_others_theirs() {
    let stage = Stage::with(Directory::sample(0, 0), |settings| {
        settings.set("AUTHENTIK_LDAP__MAX_CONNECTIONS_PER_ADDRESS", "3");
        // Whoever says nothing is refused when no PROXY header can come any more.
        settings.set("AUTHENTIK_LDAP__HANDSHAKE_TIMEOUT", "1s");
    })
    .await;
    let mut greedy = Vec::new();
    for _ in 0..3 {
        let mut client = stage.client().await;
        assert_eq!(client.read("", &[]).await.outcome.code, 0);
        greedy.push(client);
    }
    let mut refused = stage.client().await;
    let notice = refused.receive().await.expect("it is told why");
    let LdapOp::ExtendedResponse(response) = notice.op else {
        panic!("{notice:?}")
    };
    assert_eq!(
        (notice.msgid, response.name.as_deref()),
        (0, Some("1.3.6.1.4.1.1466.20036"))
    );
    assert!(response.res.message.contains("too many connections"));
    assert!(refused.receive().await.is_none());
    // The TLS port counts too, and says nothing that would not be TLS.
    let mut stream = TcpStream::connect(stage.ldaps()).await.unwrap();
    assert_eq!(end_of(&mut stream).await, b"");
    // Another address is not affected, neither directly nor behind the same proxy.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.9:0".parse().unwrap()).unwrap();
    let other = socket.connect(stage.ldap()).await.unwrap();
    assert_eq!(Client::over(Box::new(other)).read("", &[]).await.outcome.code, 0);
    let mut proxied = TcpStream::connect(stage.ldap()).await.unwrap();
    let header = b"PROXY TCP4 192.0.2.1 127.0.0.1 5000 389\r\n";
    proxied.write_all(header).await.unwrap();
    assert_eq!(
        Client::over(Box::new(proxied)).read("", &[]).await.outcome.code,
        0
    );
    // Whoever leaves makes room.
    drop(greedy.pop());
    let begin = Instant::now();
    loop {
        let mut client = stage.client().await;
        client.send(LdapOp::UnbindRequest, vec![]).await;
        if client.receive().await.is_none() {
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "the place becomes free");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn beyond_the_limit_in_all_clients_wait_and_then_are_served() {
    let stage = Stage::with(Directory::sample(0, 0), |settings| {
        settings.set("AUTHENTIK_LDAP__MAX_CONNECTIONS", "2");
    })
    .await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut client = stage.client().await;
        assert_eq!(client.read("", &[]).await.outcome.code, 0);
        open.push(client);
    }
    let mut waiting = Vec::new();
    for _ in 0..5 {
        let address = stage.ldap();
        waiting.push(tokio::spawn(async move {
            Client::connect(address).await.read("", &[]).await.outcome.code
        }));
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(waiting.iter().all(|client| !client.is_finished()));
    drop(open);
    for client in waiting {
        assert_eq!(timeout(PATIENCE, client).await.unwrap().unwrap(), 0);
    }
}

/// How long a message may take that arrives one octet at a time: progress of a kind, but not enough.
async fn time_for_a_message(message_timeout: &str, handshake_timeout: &str, bound: bool) -> Duration {
    let stage = Stage::with(Directory::sample(0, 0), |settings| {
        settings.set("AUTHENTIK_LDAP__MESSAGE_TIMEOUT", message_timeout);
        settings.set("AUTHENTIK_LDAP__HANDSHAKE_TIMEOUT", handshake_timeout);
    })
    .await;
    let mut client = stage.client().await;
    if bound {
        assert_eq!(client.bind(&user_dn("alice"), "demo-alice").await.code, 0);
    }
    let (mut reader, mut writer) = tokio::io::split(client.into_stream());
    let begin = Instant::now();
    let drip = async {
        for octet in BEGUN.iter().chain(std::iter::repeat(&0)) {
            let _ = writer.write_all(&[*octet]).await;
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    };
    let mut answer = Vec::new();
    tokio::select! {
        () = drip => {}
        read = timeout(PATIENCE, reader.read_to_end(&mut answer)) => {
            let _ = read.expect("the server closes in time");
        }
    }
    let took = begin.elapsed();
    let text = String::from_utf8_lossy(&answer);
    assert!(text.contains("did not arrive in time"), "{text}");
    took
}

#[tokio::test]
async fn a_message_begun_has_to_end() {
    // Each waits for the shorter time only if that is the one that applies.
    let stranger = time_for_a_message("1h", "1s", false).await;
    assert!(stranger >= Duration::from_secs(1), "{stranger:?}");
    let bound = time_for_a_message("3s", "1s", true).await;
    assert!(bound >= Duration::from_secs(3), "{bound:?}");
}

#[tokio::test]
async fn strangers_who_sit_there_go_when_places_are_short() {
    let stage = Stage::with(Directory::sample(0, 0), |settings| {
        settings.set("AUTHENTIK_LDAP__MAX_CONNECTIONS", "2");
    })
    .await;
    let mut bound = stage.bound("alice").await;
    let mut stranger = stage.client().await;
    assert_eq!(stranger.read("", &[]).await.outcome.code, 0);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    let notice = stranger.receive().await.expect("a notice first");
    let LdapOp::ExtendedResponse(response) = notice.op else {
        panic!("{notice:?}")
    };
    assert!(response.res.message.contains("idle"), "{response:?}");
    assert!(bound.who_am_i().await.contains("alice"));
    // With a connection free again, a stranger may stay idle as long as anybody.
    drop(stranger);
    let stage = Stage::with(Directory::sample(0, 0), |settings| {
        settings.set("AUTHENTIK_LDAP__MAX_CONNECTIONS", "100");
    })
    .await;
    let mut stranger = stage.client().await;
    assert_eq!(stranger.read("", &[]).await.outcome.code, 0);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(121)).await;
    tokio::time::resume();
    assert_eq!(stranger.read("", &[]).await.outcome.code, 0);
}

#[tokio::test]
async fn strangers_who_keep_speaking_go_when_places_are_short() {
    let stage = Stage::with(Directory::sample(0, 0), |settings| {
        settings.set("AUTHENTIK_LDAP__MAX_CONNECTIONS", "2");
    })
    .await;
    let mut bound = stage.bound("alice").await;
    let mut stranger = stage.client().await;
    let mut said = Vec::new();
    // Well within any time-out between two requests, which was once all that mattered.
    for _ in 0..20 {
        stranger
            .send(
                LdapOp::SearchRequest(search("", LdapSearchScope::Base, "(objectClass=*)", &["1.1"])),
                Vec::new(),
            )
            .await;
        match stranger.receive().await.map(|message| message.op) {
            Some(LdapOp::SearchResultEntry(_)) => {
                assert!(matches!(
                    stranger.receive().await.unwrap().op,
                    LdapOp::SearchResultDone(_)
                ));
            }
            Some(LdapOp::ExtendedResponse(response)) => {
                said.push(response.res.message);
                break;
            }
            other => panic!("{other:?}"),
        }
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(8)).await;
        tokio::time::resume();
    }
    assert!(
        said.iter().any(|text| text.contains("unbound for too long")),
        "{said:?}"
    );
    assert!(bound.who_am_i().await.contains("alice"), "who has bound stays");
    let mut probe = stage.client().await;
    assert_eq!(probe.read("", &[]).await.outcome.code, 0, "and a place is free");
}

#[tokio::test]
async fn half_a_handshake_ends_soon_and_a_silent_client_may_stay() {
    let stage = Stage::with(Directory::sample(0, 0), |settings| {
        settings.set("AUTHENTIK_LDAP__HANDSHAKE_TIMEOUT", "1s");
    })
    .await;
    let mut silent = stage.client().await;
    let begin = Instant::now();
    let mut quiet = TcpStream::connect(stage.ldaps()).await.unwrap();
    let mut half = TcpStream::connect(stage.ldaps()).await.unwrap();
    half.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00])
        .await
        .unwrap();
    let mut header = TcpStream::connect(stage.ldap()).await.unwrap();
    header.write_all(b"PROXY TCP4 192.0").await.unwrap();
    for stream in [&mut quiet, &mut half, &mut header] {
        end_of(stream).await;
    }
    assert!(begin.elapsed() >= Duration::from_millis(900));
    assert_eq!(
        silent.read("", &[]).await.outcome.code,
        0,
        "nothing was begun, so nothing had to end"
    );
}

#[tokio::test]
async fn several_addresses_of_both_families_share_the_limits() {
    let v6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    let list = if v6 {
        "127.0.0.1:0, 127.0.0.2:0, [::1]:0"
    } else {
        "127.0.0.1:0, 127.0.0.2:0"
    };
    let stage = Stage::with(Directory::sample(0, 0), |settings| {
        settings.set("AUTHENTIK_LISTEN__LDAP", list);
        settings.set("AUTHENTIK_LISTEN__LDAPS", list);
    })
    .await;
    let addresses = stage.server.addresses();
    assert_eq!(addresses.ldap.len(), list.split(',').count());
    assert_eq!(addresses.ldaps.len(), addresses.ldap.len());
    for address in &addresses.ldap {
        let mut client = Client::connect(*address).await;
        assert_eq!(client.bind(&user_dn("alice"), "demo-alice").await.code, 0);
    }
}

#[tokio::test]
async fn a_search_that_finds_nothing_does_not_go_on_for_a_client_that_has_gone() {
    let stage = Stage::with(Directory::sample(3000, 5), |_| {}).await;
    let stream = std::net::TcpStream::connect(stage.ldap()).unwrap();
    let socket = stream.try_clone().unwrap();
    stream.set_nonblocking(true).unwrap();
    let mut client = Client::over(Box::new(TcpStream::from_std(stream).unwrap()));
    let outcome = client.bind(&user_dn("ldapservice"), "demo-ldapservice").await;
    assert_eq!(outcome.code, 0);
    let alternatives: String = (0..10_000).map(|n| format!("(mail=*q{n}*z*)")).collect();
    let request = search(BASE, LdapSearchScope::Subtree, &format!("(|{alternatives})"), &[]);
    client.send(LdapOp::SearchRequest(request), Vec::new()).await;
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let began = Instant::now();
    // It may still be there to read, so there is some time; a fast machine is done before it is up.
    match client.receive().await {
        None => assert!(began.elapsed() > Duration::from_secs(4)),
        Some(message) => assert!(matches!(message.op, LdapOp::SearchResultDone(_)), "{message:?}"),
    }
    assert!(began.elapsed() < PATIENCE);
}
