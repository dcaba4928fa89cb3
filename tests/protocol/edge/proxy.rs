//! A proxy between us and authentik, as `HTTPS_PROXY` names one: lists, logins and the websocket go through its tunnels,
//! in which it sees nothing.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use akldap_simulator::{Directory, Options, Simulator};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use akldap_testing::certificates::path;
use akldap_testing::stage::{Stage, eventually, user_dn};

/// A proxy that leads every tunnel to `target`, and the heads of the requests it received.
async fn proxy(target: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(tunnel(stream, target, Arc::clone(&seen)));
        }
    });
    (address, heads)
}

async fn tunnel(mut client: TcpStream, target: SocketAddr, heads: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match client.read_u8().await {
            Ok(octet) => head.push(octet),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let is_tunnel = head.starts_with("CONNECT ");
    heads.lock().unwrap().push(head);
    if !is_tunnel {
        return;
    }
    let mut server = TcpStream::connect(target).await.unwrap();
    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await.unwrap();
    let _ = copy_bidirectional(&mut client, &mut server).await;
}

fn tls() -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = CertificateDer::pem_file_iter(path("p256.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(path("p256.key")).unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

#[tokio::test]
async fn everything_goes_through_the_tunnels_of_the_proxy() {
    let options = Options {
        tls: Some(tls()),
        ..Options::default()
    };
    let simulator = Simulator::start(Directory::sample(20, 5), options).await.unwrap();
    let (address, heads) = proxy(simulator.address()).await;
    let stage = Stage::of(simulator, |settings| {
        // Nobody but the proxy knows such a host.
        settings.set("AUTHENTIK_HOST", "https://authentik.invalid");
        settings.set("AUTHENTIK_INSECURE", "true");
        settings.set("https_proxy", format!("http://name:word@{address}"));
    })
    .await;
    stage.ready().await;
    assert_eq!(stage.bind(&user_dn("alice"), "demo-alice").await.code, 0);
    eventually("the events are heard", || stage.simulator.websockets() > 0).await;
    let heads = heads.lock().unwrap().clone();
    assert!(heads.len() >= 3, "lists, logins and the websocket: {heads:?}");
    let token = stage.simulator.token();
    for head in heads {
        assert!(
            head.starts_with("CONNECT authentik.invalid:443 HTTP/1.1\r\n"),
            "{head}"
        );
        let head = head.to_ascii_lowercase();
        assert!(head.contains("proxy-authorization: basic "), "{head}");
        assert!(
            !head.contains("\r\nauthorization:") && !head.contains(&token),
            "{head}"
        );
    }
}
