//! StartTLS and LDAPS with the provider's certificate from authentik, or a self-signed one.

use std::net::SocketAddr;
use std::sync::Arc;

use akldap_simulator::{Certificate, Directory};
use ldap3_proto::proto::{LdapExtendedRequest, LdapOp};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use akldap_testing::client::{Client, Stream};
use akldap_testing::http;
use akldap_testing::stage::{BASE, Stage, user_dn};

fn file(name: &str) -> String {
    std::fs::read_to_string(format!("{}/certs/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A connector that trusts the test authority and nobody else.
pub fn connector() -> TlsConnector {
    connector_of(rustls::ALL_VERSIONS)
}

fn connector_of(versions: &[&'static rustls::SupportedProtocolVersion]) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(file("ca.pem").as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

pub fn with_certificate(mut directory: Directory, name: &str) -> Directory {
    let certificate = Certificate {
        pk: uuid::Uuid::from_u128(7),
        name: name.to_owned(),
        certificate_pem: file(&format!("{name}.pem")),
        key_pem: file(&format!("{name}.key")),
    };
    for provider in directory.providers.values_mut() {
        provider.certificate = Some(certificate.pk);
    }
    directory.certificates.insert(certificate.pk, certificate);
    directory
}

async fn secure(stream: impl Stream + 'static) -> std::io::Result<Client> {
    let name = ServerName::try_from("localhost").unwrap();
    Ok(Client::over(Box::new(connector().connect(name, stream).await?)))
}

async fn ldaps(address: SocketAddr) -> std::io::Result<Client> {
    secure(TcpStream::connect(address).await.unwrap()).await
}

pub async fn start_tls(client: Client) -> Client {
    secure(begin_tls(client).await).await.unwrap()
}

/// Sends StartTLS; returns the stream on which the handshake begins.
pub async fn begin_tls(mut client: Client) -> Box<dyn Stream> {
    let request = LdapExtendedRequest {
        name: "1.3.6.1.4.1.1466.20037".into(),
        value: None,
    };
    client.send(LdapOp::ExtendedRequest(request), vec![]).await;
    let LdapOp::ExtendedResponse(response) = client.receive().await.unwrap().op else {
        panic!()
    };
    assert_eq!(response.res.code as i32, 0);
    assert_eq!(response.name.as_deref(), Some("1.3.6.1.4.1.1466.20037"));
    client.into_stream()
}

#[tokio::test]
async fn both_kinds_of_tls_serve_the_providers_certificate() {
    for name in ["p256", "rsa2048"] {
        let stage = Stage::with(with_certificate(Directory::sample(0, 0), name), |_| {}).await;
        let mut client = ldaps(stage.ldaps()).await.unwrap();
        assert_eq!(
            client
                .bind(&user_dn("ldapservice"), "demo-ldapservice")
                .await
                .code,
            0
        );
        assert_eq!(
            client
                .subtree(BASE, "(&(objectClass=user)(cn=bob))", &["cn"])
                .await
                .entries
                .len(),
            1
        );
        let mut client = start_tls(stage.client().await).await;
        assert_eq!(client.bind(&user_dn("alice"), "demo-alice").await.code, 0);
        let again = client.extended("1.3.6.1.4.1.1466.20037", None).await;
        assert_eq!(again.res.code as i32, 1, "TLS is already in place");
        assert_eq!(client.read(BASE, &[]).await.outcome.code, 0);
    }
}

#[tokio::test]
pub async fn start_tls_forgets_who_was_bound() {
    let stage = Stage::with(with_certificate(Directory::sample(0, 0), "p256"), |_| {}).await;
    let mut client = start_tls(stage.bound("alice").await).await;
    assert_eq!(client.who_am_i().await, "");
}

#[tokio::test]
async fn a_certificate_is_renewed_in_place() {
    let stage = Stage::with(with_certificate(Directory::sample(0, 0), "p256"), |_| {}).await;
    let mut open = ldaps(stage.ldaps()).await.unwrap();
    akldap_testing::stage::eventually("the websocket is there", || stage.simulator.websockets() > 0).await;
    let before = stage.server.outpost().certificates().choose(None);
    stage.simulator.save_certificate(Certificate {
        pk: uuid::Uuid::from_u128(7),
        name: "renewed".into(),
        certificate_pem: file("rsa2048.pem"),
        key_pem: file("rsa2048.key"),
    });
    akldap_testing::stage::eventually("the new certificate is served", || {
        !Arc::ptr_eq(&before, &stage.server.outpost().certificates().choose(None))
    })
    .await;
    assert!(ldaps(stage.ldaps()).await.is_ok());
    assert_eq!(open.read("", &[]).await.outcome.code, 0, "open connections stay");
    // A certificate without its key does not replace one that works.
    let before = stage.server.outpost().certificates().choose(None);
    stage.simulator.save_certificate(Certificate {
        pk: uuid::Uuid::from_u128(7),
        name: "keyless".into(),
        certificate_pem: file("p256.pem"),
        key_pem: String::new(),
    });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(Arc::ptr_eq(
        &before,
        &stage.server.outpost().certificates().choose(None)
    ));
}

#[tokio::test]
async fn without_a_certificate_a_self_signed_one_is_served() {
    let stage = Stage::sample().await;
    assert!(ldaps(stage.ldaps()).await.is_err(), "nobody vouches for it");
    assert_eq!(stage.client().await.read("", &[]).await.outcome.code, 0);
}

#[tokio::test]
async fn tls_can_be_required() {
    let directory = with_certificate(Directory::sample(0, 0), "p256");
    let stage = Stage::with(directory, |settings| {
        settings.set("AUTHENTIK_LDAP__REQUIRE_TLS", "true")
    })
    .await;
    let mut client = stage.client().await;
    assert_eq!(client.bind(&user_dn("alice"), "demo-alice").await.code, 13);
    assert_eq!(client.read("", &[]).await.outcome.code, 13);
    let (_, text) = http::get(stage.http(), "/metrics").await;
    for request in ["bind", "search"] {
        let labels = format!("type=\"{request}\",reason=\"confidentiality_required\",app=\"\"}} 1\n");
        assert!(text.contains(&labels), "{labels} is missing in\n{text}");
    }
    let mut client = start_tls(client).await;
    assert_eq!(client.bind(&user_dn("alice"), "demo-alice").await.code, 0);
}

#[tokio::test]
async fn plain_ldap_on_the_tls_port_harms_nobody() {
    let stage = Stage::with(with_certificate(Directory::sample(0, 0), "p256"), |_| {}).await;
    let mut confused = Client::connect(stage.ldaps()).await;
    confused
        .send_raw(&[0x30, 0x05, 0x02, 0x01, 0x01, 0x42, 0x00])
        .await;
    tokio::time::timeout(std::time::Duration::from_secs(50), async {
        let mut stream = confused.into_stream();
        let mut octets = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut octets).await;
    })
    .await
    .expect("the connection ends");
    assert!(ldaps(stage.ldaps()).await.is_ok());
}

/// RFC 5246 section 7.2.1: without an answer a client cannot tell the end from an attack that cut the stream short.
#[tokio::test]
async fn the_end_of_the_session_is_answered() {
    let stage = Stage::with(with_certificate(Directory::sample(0, 0), "p256"), |_| {}).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let stream = TcpStream::connect(stage.ldaps()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = connector_of(&[version]).connect(name, stream).await.unwrap();
        stream.shutdown().await.unwrap();
        let read = stream.read_to_end(&mut Vec::new()).await;
        assert_eq!(read.expect("close_notify"), 0, "{version:?}");
    }
}
