//! Directories whose providers have certificates, and TLS clients that trust the test authority.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use akldap_simulator::{Certificate, Directory, Options, Simulator};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use uuid::Uuid;

use crate::client::Client;

pub fn path(name: &str) -> PathBuf {
    crate::project().join("certs").join(name)
}

pub fn file(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap()
}

/// A pair from `certs/` under a key that is the same for all names, so that one renews the other.
pub fn pair(name: &str) -> Certificate {
    Certificate {
        pk: Uuid::from_u128(7),
        name: name.to_owned(),
        certificate_pem: file(&format!("{name}.pem")),
        key_pem: file(&format!("{name}.key")),
    }
}

/// Gives every provider this certificate.
pub fn serving(mut directory: Directory, certificate: Certificate) -> Directory {
    for provider in directory.providers.values_mut() {
        provider.certificate = Some(certificate.pk);
    }
    directory.certificates.insert(certificate.pk, certificate);
    directory
}

/// Adds a second provider with its own base, application, name and certificate.
pub fn with_second_provider(mut directory: Directory, name: &str, certificate: Certificate) -> Directory {
    let first = directory.providers.values().next().expect("a provider").clone();
    let mut application =
        directory.applications[first.application.as_deref().expect("an application")].clone();
    application.slug = "second".to_owned();
    let mut second = first;
    second.pk += 1;
    second.name = "second".to_owned();
    second.base_dn = "DC=second".to_owned();
    second.application = Some("second".to_owned());
    second.certificate = Some(certificate.pk);
    second.tls_server_name = name.to_owned();
    for outpost in directory.outposts.values_mut() {
        outpost.providers.push(second.pk);
    }
    directory
        .applications
        .insert(application.slug.clone(), application);
    directory.certificates.insert(certificate.pk, certificate);
    directory.providers.insert(second.pk, second);
    directory
}

/// A connector that trusts only the test authority.
pub fn connector() -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(file("ca.pem").as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

pub async fn ldaps(connector: &TlsConnector, address: SocketAddr) -> std::io::Result<Client> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    Ok(Client::over(Box::new(connector.connect(name, stream).await?)))
}

/// A simulator of a few people that keeps its requests, and whose provider has a certificate.
pub async fn recording_simulator() -> Simulator {
    let options = Options {
        record_requests: true,
        ..Options::default()
    };
    let directory = serving(Directory::sample(20, 5), pair("p256"));
    Simulator::start(directory, options).await.unwrap()
}
