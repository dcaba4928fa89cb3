use std::io::Write as _;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::tls::{AuthoritiesFile, Trust, client_config};

/// A self-signed certificate and its key.
struct Pair {
    pem: String,
    der: rustls_pki_types::CertificateDer<'static>,
    key: KeyPair,
}

fn pair(change: impl FnOnce(&mut CertificateParams)) -> Pair {
    let mut parameters = CertificateParams::new(vec!["authentik.test".to_owned()]).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut parameters);
    let key = KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    Pair {
        pem: certificate.pem(),
        der: certificate.der().clone(),
        key,
    }
}

/// What a client that trusts the certificate `named` says to a server that shows `shown` with `key`, called `name`.
async fn handshake(named: &Pair, shown: &Pair, key: &KeyPair, name: &'static str) -> Result<(), String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(named.pem.as_bytes()).unwrap();
    let trust = Trust::Authorities {
        system: false,
        ca_file: Some(AuthoritiesFile {
            path: file.path(),
            option: "--ca-file",
        }),
    };
    let client = TlsConnector::from(std::sync::Arc::new(client_config(&trust).unwrap()));
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let signer = rustls::crypto::aws_lc_rs::sign::any_supported_type(&private).unwrap();
    // Not checked against each other here, because somebody who stole the certificate would not check either.
    let certified = rustls::sign::CertifiedKey::new(vec![shown.der.clone()], signer);
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(std::sync::Arc::new(rustls::sign::SingleCertAndKey::from(
            certified,
        )));
    let server = TlsAcceptor::from(std::sync::Arc::new(server));
    let (ours, theirs) = tokio::io::duplex(16 * 1024);
    let (result, _) = tokio::join!(
        client.connect(name.try_into().unwrap(), ours),
        server.accept(theirs)
    );
    result.map(drop).map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_certificate_that_is_its_own_authority_is_trusted_where_it_is_named() {
    let pair = pair(|_| {});
    handshake(&pair, &pair, &pair.key, "authentik.test")
        .await
        .unwrap();
}

#[tokio::test]
async fn one_that_is_no_authority_is_trusted_as_before() {
    let pair = pair(|parameters| parameters.is_ca = IsCa::ExplicitNoCa);
    handshake(&pair, &pair, &pair.key, "authentik.test")
        .await
        .unwrap();
}

#[tokio::test]
async fn another_host_name_is_refused() {
    let pair = pair(|_| {});
    let error = handshake(&pair, &pair, &pair.key, "other.test")
        .await
        .unwrap_err();
    assert!(error.contains("not valid for name"), "{error}");
}

#[tokio::test]
async fn it_is_refused_before_and_after_its_dates() {
    let past = pair(|parameters| {
        parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let error = handshake(&past, &past, &past.key, "authentik.test")
        .await
        .unwrap_err();
    assert!(error.contains("xpired"), "{error}");
    let future = pair(|parameters| parameters.not_before = rcgen::date_time_ymd(4000, 1, 1));
    let error = handshake(&future, &future, &future.key, "authentik.test")
        .await
        .unwrap_err();
    assert!(
        error.contains("not valid yet") || error.contains("NotValidYet"),
        "{error}"
    );
}

#[tokio::test]
async fn another_key_is_refused() {
    let (named, other) = (pair(|_| {}), pair(|_| {}));
    // Another certificate with the same names.
    let error = handshake(&named, &other, &other.key, "authentik.test")
        .await
        .unwrap_err();
    assert!(error.contains("invalid peer certificate"), "{error}");
    // The certificate itself, shown by somebody who does not have its key.
    let error = handshake(&named, &named, &other.key, "authentik.test")
        .await
        .unwrap_err();
    assert!(error.contains("ignature"), "{error}");
}

#[tokio::test]
async fn one_that_is_not_for_servers_is_refused() {
    let pair = pair(|parameters| {
        parameters.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    let error = handshake(&pair, &pair, &pair.key, "authentik.test")
        .await
        .unwrap_err();
    assert!(error.contains("invalid peer certificate"), "{error}");
}

#[tokio::test]
async fn what_it_issued_is_trusted_too() {
    let authority = pair(|_| {});
    let mut issuing = CertificateParams::new(vec!["authentik.test".to_owned()]).unwrap();
    issuing.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = Issuer::from_params(&issuing, &authority.key);
    let key = KeyPair::generate().unwrap();
    let issued = CertificateParams::new(vec!["ldap.test".to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let issued = Pair {
        pem: issued.pem(),
        der: issued.der().clone(),
        key,
    };
    handshake(&authority, &issued, &issued.key, "ldap.test")
        .await
        .unwrap();
    let error = handshake(&authority, &issued, &issued.key, "authentik.test")
        .await
        .unwrap_err();
    assert!(error.contains("not valid for name"), "{error}");
}
