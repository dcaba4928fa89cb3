//! Certificates as people have them: what is in their files besides certificates, and chains of which one certificate is not valid any more.

use std::io::Write as _;
use std::sync::Arc;

use akldap::config::TlsFiles;
use akldap::outpost::certificates::CertificateTable;
use akldap_simulator::Certificate;
use akldap_testing::certificates::file;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::*;

/// A chain of three whose intermediate certificate is valid until the end of this year; and its key, and the root.
struct Chain {
    chain: String,
    key: String,
    root: String,
    intermediate: String,
}

fn chain(intermediate_until: i32) -> Chain {
    let authority = |name: &str| {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters
    };
    let (root_key, root) = (KeyPair::generate().expect("a key"), authority("Test Root"));
    let root_pem = root.self_signed(&root_key).expect("a root").pem();
    let root = Issuer::new(root, root_key);
    let mut intermediate = authority("Test Intermediate");
    intermediate.not_before = rcgen::date_time_ymd(2020, 1, 1);
    intermediate.not_after = rcgen::date_time_ymd(intermediate_until, 12, 31);
    let intermediate_key = KeyPair::generate().expect("a key");
    let intermediate_pem = intermediate
        .signed_by(&intermediate_key, &root)
        .expect("an intermediate")
        .pem();
    let intermediate = Issuer::new(intermediate, intermediate_key);
    let key = KeyPair::generate().expect("a key");
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let leaf = CertificateParams::new(names).expect("names");
    let leaf = leaf.signed_by(&key, &intermediate).expect("a certificate").pem();
    Chain {
        chain: format!("{leaf}{intermediate_pem}"),
        key: key.serialize_pem(),
        root: root_pem,
        intermediate: intermediate_pem,
    }
}

fn faults(report: &Report) -> Vec<&'static str> {
    super::faults(report)
}

#[tokio::test]
async fn certificates_are_judged_whatever_else_is_in_their_file() {
    let (one, key, other) = (file("p256.pem"), file("p256.key"), file("ca.pem"));
    let mark = "\u{feff}";
    let utf16 = || {
        let units = one.encode_utf16().flat_map(u16::to_le_bytes);
        [0xff, 0xfe].into_iter().chain(units).collect::<Vec<u8>>()
    };
    let old = chain(2021);
    for (what, certificate, key, expected, words) in [
        (
            "marks",
            format!("{mark}{one}{mark}{other}").into_bytes(),
            format!("{mark}{key}"),
            &[][..],
            "",
        ),
        (
            "CRLF",
            one.replace('\n', "\r\n").into_bytes(),
            key.replace('\n', "\r\n"),
            &[],
            "",
        ),
        (
            "text",
            format!("subject=CN é\n{one}\n{other}").into_bytes(),
            format!("Bag Attributes\n{key}"),
            &[],
            "",
        ),
        (
            "no line break",
            format!("{}{other}", one.trim_end()).into_bytes(),
            key.clone(),
            &[],
            "",
        ),
        ("UTF-16", utf16(), key.clone(), &["AK408"], "UTF-16"),
        (
            "another file",
            key.clone().into_bytes(),
            key.clone(),
            &["AK408"],
            "but PRIVATE KEY",
        ),
        (
            "version 1",
            file("version1.pem").into_bytes(),
            file("version1.key"),
            &["AK405"],
            "no subject alternative name",
        ),
        (
            "version 1, another's key",
            file("version1.pem").into_bytes(),
            key.clone(),
            &["AK403", "AK405"],
            "another certificate",
        ),
        (
            "an old intermediate",
            old.chain.clone().into_bytes(),
            old.key.clone(),
            &["AK404"],
            "CN=Test Intermediate",
        ),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let files = TlsFiles {
            certificate: folder.path().join("chain.pem"),
            key: folder.path().join("key.pem"),
        };
        std::fs::write(&files.certificate, &certificate).expect("a file");
        std::fs::write(&files.key, &key).expect("a file");
        let mut set_up = SetUp::of(sound());
        for (name, path) in [
            ("AUTHENTIK_LDAP__TLS_CERTIFICATE_FILE", &files.certificate),
            ("AUTHENTIK_LDAP__TLS_KEY_FILE", &files.key),
        ] {
            set_up.settings.push((name, path.display().to_string()));
        }
        let report = set_up.check(&[Area::Certificates]).await;
        let text = report.text();
        assert_eq!(faults(&report), expected, "{what}: {text}");
        assert!(text.contains(words), "{what}: {text}");
        let is_served = CertificateTable::new(Some(&files)).is_ok();
        let should_be = !expected.iter().any(|code| ["AK403", "AK408"].contains(code));
        assert_eq!(is_served, should_be, "{what}");
        // The same from authentik.
        let Ok(certificate_pem) = String::from_utf8(certificate) else {
            continue;
        };
        let pair = Certificate {
            certificate_pem,
            key_pem: key,
            ..pair("p256")
        };
        let report = SetUp::of(serving(sound(), pair))
            .check(&[Area::Certificates])
            .await;
        let expected: Vec<&str> = expected
            .iter()
            .map(|code| if *code == "AK408" { "AK402" } else { code })
            .collect();
        assert_eq!(faults(&report), expected, "{what}: {}", report.text());
    }
}

/// A port that speaks TLS with this chain, in front of a simulator.
async fn behind_tls(chain: &Chain, simulator: &Simulator) -> std::net::SocketAddr {
    let certificates = CertificateDer::pem_slice_iter(chain.chain.as_bytes());
    let certificates = certificates.collect::<Result<Vec<_>, _>>().expect("certificates");
    let key = PrivateKeyDer::from_pem_slice(chain.key.as_bytes()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .expect("a pair");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let authentik = simulator
        .url()
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, authentik) = (acceptor.clone(), authentik.clone());
            tokio::spawn(async move {
                let mut ours = acceptor.accept(stream).await?;
                let mut theirs = TcpStream::connect(authentik).await?;
                tokio::io::copy_bidirectional(&mut ours, &mut theirs).await
            });
        }
    });
    address
}

/// Whoever trusts the intermediate itself does not look at its dates, but others do.
#[tokio::test]
async fn an_old_certificate_in_the_chain_that_authentik_shows_is_told() {
    let simulator = Simulator::start(sound(), Options::default())
        .await
        .expect("a simulator");
    let (old, new) = (chain(2021), chain(2120));
    for (chain, trusted, is_fault, is_told) in [
        (&new, &new.root, false, false),
        (&old, &old.root, true, true),
        (&old, &old.intermediate, false, true),
    ] {
        let address = behind_tls(chain, &simulator).await;
        let mut authorities = tempfile::NamedTempFile::new().expect("a file");
        // As Windows writes it.
        write!(authorities, "\u{feff}{}", trusted.replace('\n', "\r\n")).expect("it is written");
        let temporary = tempfile::tempdir().expect("a folder");
        let mut strings = settings(&simulator, &temporary);
        strings.set("AUTHENTIK_HOST", format!("https://{address}"));
        strings.set(
            "AUTHENTIK_LDAP__CA_FILE",
            authorities.path().display().to_string(),
        );
        let config = Config::read(&strings).expect("a configuration");
        let request = CheckRequest {
            areas: vec![Area::Reach],
            ..CheckRequest::default()
        };
        let report = check::run(&config, &request, b"").await.expect("it looks");
        let text = report.text();
        assert_eq!(
            faults(&report),
            if is_fault { &["AK103"][..] } else { &[] },
            "{text}"
        );
        assert_eq!(bad(&report).contains(&"AK103"), is_told, "{text}");
        if is_told && !is_fault {
            assert!(text.contains("CN=Test Intermediate expired"), "{text}");
        }
    }
}
