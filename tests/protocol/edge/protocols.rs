//! Wrong protocols on a port: recognised, logged once for each source, closed; PROXY headers on both ports; files.

use std::net::SocketAddr;
use std::time::Duration;

use akldap_simulator::Directory;
use akldap_testing::captured_log::Log;
use akldap_testing::certificates::{connector, ldaps, pair, path, serving};
use akldap_testing::client::{Client, search};
use akldap_testing::stage::{BASE, Stage, eventually, user_dn};
use bytes::BytesMut;
use ldap3_proto::LdapCodec;
use ldap3_proto::proto::{
    LdapBindCred, LdapBindRequest, LdapExtendedRequest, LdapMsg, LdapOp, LdapSearchScope,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::codec::Encoder;

const CLIENT_HELLO: &[u8] = &[0x16, 0x03, 0x01, 0x00, 0x05, 0x01, 0x00, 0x00, 0x01, 0x03];
const ANONYMOUS_BIND: &[u8] = &[
    0x30, 0x0c, 0x02, 0x01, 0x01, 0x60, 0x07, 0x02, 0x01, 0x03, 0x04, 0x00, 0x80, 0x00,
];

/// Says something to a port and waits until the server closes.
async fn say(address: SocketAddr, octets: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(octets).await.unwrap();
    let mut answer = Vec::new();
    let ended = timeout(Duration::from_secs(50), stream.read_to_end(&mut answer)).await;
    let _ = ended.expect("the server closes at once");
    answer
}

#[tokio::test]
async fn a_wrong_protocol_is_named_once_for_each_source() {
    let (log, _guard) = Log::listen();
    let stage = Stage::with(serving(Directory::sample(0, 0), pair("p256")), |settings| {
        settings.set("AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS", "127.0.0.1/32");
    })
    .await;
    for (source, (port, octets, words)) in (1..).zip([
        (stage.ldap(), CLIENT_HELLO, "TLS was spoken to the LDAP port"),
        (
            stage.ldaps(),
            ANONYMOUS_BIND,
            "plain LDAP was spoken to the LDAPS port",
        ),
        (
            stage.ldap(),
            b"GET / HTTP/1.1\r\n\r\n",
            "HTTP was spoken to the LDAP port",
        ),
        (
            stage.ldaps(),
            b"GET / HTTP/1.1\r\n\r\n",
            "HTTP was spoken to the LDAPS port",
        ),
    ]) {
        for _ in 0..3 {
            // The same client through the same proxy.
            let header = format!("PROXY TCP4 192.0.2.{source} 127.0.0.1 5000 389\r\n");
            say(port, &[header.as_bytes(), octets].concat()).await;
        }
        let text = log.text();
        let lines: Vec<&str> = text.lines().filter(|line| line.contains(words)).collect();
        assert_eq!(lines.len(), 1, "{words}: {text}");
        assert!(lines[0].contains(&format!("192.0.2.{source}")), "{}", lines[0]);
    }
    // What followed StartTLS.
    let mut client = stage.client().await;
    client.extended("1.3.6.1.4.1.1466.20037", None).await;
    client.send_raw(ANONYMOUS_BIND).await;
    let mut rest = Vec::new();
    let _ = client.into_stream().read_to_end(&mut rest).await;
    assert!(
        log.text()
            .contains("asked for StartTLS and then went on without TLS")
    );
}

#[tokio::test]
async fn a_proxy_outside_the_trusted_networks_is_named() {
    let (log, _guard) = Log::listen();
    let stage = Stage::with(Directory::sample(0, 0), |settings| {
        settings.set("AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS", "192.0.2.0/24");
    })
    .await;
    say(stage.ldap(), b"PROXY TCP4 198.51.100.7 127.0.0.1 5000 389\r\n").await;
    say(stage.ldaps(), b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00").await;
    let text = log.text();
    assert_eq!(
        text.matches("add the load balancer's address").count(),
        1,
        "{text}"
    );
    assert!(text.contains("127.0.0.1"));
}

#[tokio::test]
async fn the_address_of_a_proxy_header_reaches_authentik_from_both_ports() {
    let v1 = b"PROXY TCP4 198.51.100.7 127.0.0.1 5000 389\r\n".to_vec();
    let mut v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x24".to_vec();
    v2.extend_from_slice(&"2001:db8::7".parse::<std::net::Ipv6Addr>().unwrap().octets());
    v2.extend_from_slice(&[0; 15]);
    v2.extend_from_slice(&[1, 0x13, 0x88, 0x02, 0x7c]);
    for (header, address) in [(v1, "198.51.100.7"), (v2, "2001:db8::7")] {
        let stage = Stage::with(serving(Directory::sample(0, 0), pair("p256")), |_| {}).await;
        // What the server itself asks of the flow carries no client's address.
        stage.settled().await;
        stage.simulator.requests().clear();
        let mut stream = TcpStream::connect(stage.ldap()).await.unwrap();
        stream.write_all(&header).await.unwrap();
        let mut plain = Client::over(Box::new(stream));
        assert_eq!(plain.bind(&user_dn("alice"), "demo-alice").await.code, 0);
        let mut stream = TcpStream::connect(stage.ldaps()).await.unwrap();
        stream.write_all(&header).await.unwrap();
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let stream = connector().connect(name, stream).await.unwrap();
        let mut secure = Client::over(Box::new(stream));
        assert_eq!(secure.bind(&user_dn("bob"), "demo-bob").await.code, 0);
        let flows = stage.simulator.requests().to("/flows/executor/");
        assert!(flows.len() >= 4);
        for request in flows {
            assert_eq!(request.header("x-authentik-remote-ip"), Some(address));
        }
    }
}

/// Binds through a proxy at 127.0.0.1 that names a new client each time; the result codes.
async fn guess_from_invented_addresses(stage: &Stage, guesses: u8) -> Vec<i32> {
    let mut codes = Vec::new();
    for number in 0..guesses {
        let header = format!("PROXY TCP4 198.51.100.{number} 127.0.0.1 5000 389\r\n");
        let mut stream = TcpStream::connect(stage.ldap()).await.unwrap();
        stream.write_all(header.as_bytes()).await.unwrap();
        let mut client = Client::over(Box::new(stream));
        codes.push(
            client
                .bind(&user_dn("alice"), &format!("wrong{number}"))
                .await
                .code,
        );
    }
    codes
}

#[tokio::test]
async fn a_peer_that_is_believed_by_default_is_named_and_has_a_ceiling() {
    let (log, _guard) = Log::listen();
    let limit = ("AUTHENTIK_LDAP__FAILED_BIND_LIMIT", "2");
    let stage = Stage::with(Directory::sample(0, 0), |settings| settings.set(limit.0, limit.1)).await;
    let codes = guess_from_invented_addresses(&stage, 30).await;
    assert_eq!(codes, [[49; 20].as_slice(), [51; 10].as_slice()].concat());
    let text = log.text();
    let told =
        "set AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS (--trusted-proxies) to its address, otherwise to none";
    assert_eq!(text.matches(told).count(), 1, "{text}");
    // Nobody else is locked out.
    assert_eq!(stage.bind(&user_dn("alice"), "demo-alice").await.code, 0);
}

#[tokio::test]
async fn a_proxy_that_is_chosen_has_no_ceiling_and_others_name_no_address() {
    let (log, _guard) = Log::listen();
    let started = |networks: &'static str| {
        Stage::with(Directory::sample(0, 0), move |settings| {
            settings.set("AUTHENTIK_LDAP__FAILED_BIND_LIMIT", "2");
            settings.set("AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS", networks);
        })
    };
    let stage = started("127.0.0.1/32").await;
    assert_eq!(guess_from_invented_addresses(&stage, 30).await, [49; 30]);
    assert!(!log.text().contains("believed by default"));
    // A header from anybody else is not LDAP, so nothing is asked of authentik in the name of the address in it.
    for networks in ["none", "192.0.2.0/24"] {
        let stage = started(networks).await;
        say(stage.ldap(), b"PROXY TCP4 198.51.100.7 127.0.0.1 5000 389\r\n").await;
        assert_eq!(stage.bind(&user_dn("alice"), "demo-alice").await.code, 0);
        for request in stage.simulator.requests().to("/flows/executor/") {
            assert!(matches!(
                request.header("x-authentik-remote-ip"),
                None | Some("127.0.0.1")
            ));
        }
    }
}

#[tokio::test]
async fn a_tls_server_name_that_no_client_can_send_is_named_once() {
    let (log, _guard) = Log::listen();
    let mut directory = serving(Directory::sample(0, 0), pair("p256"));
    for provider in directory.providers.values_mut() {
        provider.tls_server_name = "two words".to_owned();
    }
    let stage = Stage::with(directory, |_| {}).await;
    let count = || log.text().matches("TLS server name is not a DNS name").count();
    eventually("it is named", || count() > 0).await;
    stage.simulator.requests().clear();
    stage.server.outpost().refresh_requests().all();
    eventually("the certificates are asked for again", || {
        !stage.simulator.requests().to("/certificatekeypairs/").is_empty()
    })
    .await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(count(), 1, "{}", log.text());
    assert!(log.text().contains("two words"), "{}", log.text());
}

#[tokio::test]
async fn certificate_files_are_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    let put = |name: &str| {
        std::fs::copy(path(&format!("{name}.pem")), &chain).unwrap();
        std::fs::copy(path(&format!("{name}.key")), &key).unwrap();
    };
    put("p256");
    let stage = Stage::with(serving(Directory::sample(0, 0), pair("sni")), |settings| {
        settings.set("AUTHENTIK_LDAP__TLS_CERTIFICATE_FILE", chain.to_str().unwrap());
        settings.set("AUTHENTIK_LDAP__TLS_KEY_FILE", key.to_str().unwrap());
    })
    .await;
    let served = || {
        stage
            .server
            .outpost()
            .certificates()
            .choose(Some("ldap.example.org"))
    };
    let first = served();
    let mut open = ldaps(&connector(), stage.ldaps())
        .await
        .expect("the files serve, not the provider's certificate");
    put("rsa2048");
    // Anybody who does not want to wait for the next look asks for a refresh, as SIGUSR1 does.
    stage.server.outpost().refresh_requests().all();
    eventually("the new files are served", || {
        !std::sync::Arc::ptr_eq(&first, &served())
    })
    .await;
    assert!(ldaps(&connector(), stage.ldaps()).await.is_ok());
    assert_eq!(open.read("", &[]).await.outcome.code, 0);
    let (second, (log, _guard)) = (served(), Log::listen());
    std::fs::write(&key, "garbage").unwrap();
    stage.server.outpost().refresh_requests().all();
    eventually("the bad file is noticed", || {
        log.text().contains("the certificate in use stays")
    })
    .await;
    assert!(std::sync::Arc::ptr_eq(&second, &served()));
}

/// Requests as one piece of octets, so that they arrive together.
fn together(operations: Vec<LdapOp>) -> BytesMut {
    let mut octets = BytesMut::new();
    for (msgid, op) in (1..).zip(operations) {
        let message = LdapMsg {
            msgid,
            op,
            ctrl: vec![],
        };
        LdapCodec::default().encode(message, &mut octets).unwrap();
    }
    octets
}

fn start_tls() -> LdapOp {
    LdapOp::ExtendedRequest(LdapExtendedRequest {
        name: "1.3.6.1.4.1.1466.20037".to_owned(),
        value: None,
    })
}

#[tokio::test]
async fn what_follows_start_tls_in_clear_is_forgotten() {
    let stage = Stage::with(serving(Directory::sample(0, 0), pair("p256")), |_| {}).await;
    stage.simulator.requests().clear();
    let bind = LdapOp::BindRequest(LdapBindRequest {
        dn: user_dn("alice"),
        cred: LdapBindCred::Simple("demo-alice".to_owned()),
        version: 3,
    });
    let mut client = stage.client().await;
    client.send_raw(&together(vec![start_tls(), bind])).await;
    let LdapOp::ExtendedResponse(response) = client.receive().await.unwrap().op else {
        panic!()
    };
    assert_eq!(response.res.code as i32, 0);
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let stream = connector().connect(name, client.into_stream()).await.unwrap();
    let mut client = Client::over(Box::new(stream));
    assert_eq!(client.who_am_i().await, "", "the bind was not carried out");
    let flows = stage.simulator.requests().to("/flows/executor/");
    assert!(flows.iter().all(|request| request.method != "POST"), "{flows:?}");
}

#[tokio::test]
async fn start_tls_is_refused_while_a_search_runs() {
    let stage = Stage::with(serving(Directory::sample(1500, 12), pair("p256")), |_| {}).await;
    let mut client = stage.bound("ldapservice").await;
    let everything = search(BASE, LdapSearchScope::Subtree, "(objectClass=*)", &["*"]);
    client
        .send_raw(&together(vec![LdapOp::SearchRequest(everything), start_tls()]))
        .await;
    let (mut refused, mut done) = (None, None);
    while refused.is_none() || done.is_none() {
        match client.receive().await.expect("the connection lives on").op {
            LdapOp::ExtendedResponse(response) => refused = Some(response.res.code as i32),
            LdapOp::SearchResultDone(result) => done = Some(result.code as i32),
            _ => {}
        }
    }
    assert_eq!((refused, done), (Some(1), Some(0)));
    assert!(client.who_am_i().await.contains("ldapservice"), "still bound");
}
