//! Certificates with their keys, made usable. Must not know where they come from.

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use thiserror::Error;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;

use akldap_authentik::ApiError;
use akldap_authentik::pem::{self, PemError};

/// The shortest RSA key that the library signs with.
const LEAST_RSA_BITS: usize = 2048;

/// Why a certificate cannot be used.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {path}, which {option} names: {source}")]
    File {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A pair of files cannot be used.
    #[error("the certificate in {certificate} and the key in {key} cannot be used: {problem}")]
    Pair {
        /// The file of the chain.
        certificate: String,
        /// The file of the key.
        key: String,
        /// Why not.
        problem: Box<CertificateError>,
    },
    /// The chain is not PEM or empty.
    #[error("{0}")]
    Chain(PemError),
    /// The chain begins with what is no certificate.
    #[error("it holds a certificate that is not X.509")]
    NotX509,
    /// The key is missing.
    #[error("it has no private key: choose a certificate with its key in authentik")]
    NoKey,
    /// The key is malformed.
    #[error("its private key is not PEM of PKCS#1, PKCS#8 or SEC1 form: {0}")]
    Key(PemError),
    /// The key is too short.
    #[error(
        "its RSA key has {bits} bits, and at least {LEAST_RSA_BITS} are needed: make a new key and certificate"
    )]
    ShortKey {
        /// How long it is.
        bits: usize,
    },
    /// The key is of a kind that cannot be used.
    #[error("its private key cannot be used: {0}")]
    UnusableKey(#[from] rustls::Error),
    /// The key does not belong to the certificate.
    #[error("its private key belongs to another certificate")]
    OtherKey,
    /// authentik could not be asked.
    #[error("{0}; {hint}", hint = .0.hint())]
    Api(#[from] ApiError),
    /// No self-signed certificate could be made.
    #[error("no self-signed certificate can be made: {0}")]
    SelfSigned(#[from] rcgen::Error),
}

/// Makes a certificate with its key usable.
///
/// # Errors
/// When either is missing or malformed or they do not belong together.
pub(crate) fn certified_key(chain_pem: &[u8], key_pem: &[u8]) -> Result<CertifiedKey, CertificateError> {
    certified_chain(
        pem::certificates(chain_pem).map_err(CertificateError::Chain)?,
        key_pem,
    )
}

/// The same for certificates that were read before.
pub(crate) fn certified_chain(
    chain: Vec<CertificateDer<'static>>,
    key_pem: &[u8],
) -> Result<CertifiedKey, CertificateError> {
    if key_pem.trim_ascii().is_empty() {
        return Err(CertificateError::NoKey);
    }
    let key = pem::private_key(key_pem).map_err(CertificateError::Key)?;
    let signing = any_supported_type(&key).map_err(|error| short_key(&chain).unwrap_or(error.into()))?;
    let certified = CertifiedKey::new(chain, signing);
    if !belong_together(&certified)? {
        return Err(CertificateError::OtherKey);
    }
    Ok(certified)
}

/// The library's words for a short key do not say so.
fn short_key(chain: &[CertificateDer<'_>]) -> Option<CertificateError> {
    let (_, certificate) = X509Certificate::from_der(chain.first()?).ok()?;
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) if key.key_size() < LEAST_RSA_BITS => {
            Some(CertificateError::ShortKey { bits: key.key_size() })
        }
        _ => None,
    }
}

/// Whether the key is the certificate's. rustls can say it too, but of X.509 version 3 only, and home-made certificates may have version 1.
fn belong_together(certified: &CertifiedKey) -> Result<bool, CertificateError> {
    let (_, certificate) =
        X509Certificate::from_der(certified.end_entity_cert()?).map_err(|_| CertificateError::NotX509)?;
    let known = certified.key.public_key();
    Ok(known.is_some_and(|known| known.as_ref() == certificate.public_key().raw))
}

/// Like the official outpost's fallback: any name, one year, new at each start; P-256, which costs a third of RSA.
pub(super) fn self_signed() -> Result<CertifiedKey, CertificateError> {
    let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned(), "*".to_owned()])?;
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters
        .distinguished_name
        .push(rcgen::DnType::CommonName, "authentik default certificate");
    parameters
        .distinguished_name
        .push(rcgen::DnType::OrganizationName, "authentik");
    let key = rcgen::KeyPair::generate()?;
    let certificate = parameters.self_signed(&key)?;
    certified_key(certificate.pem().as_bytes(), key.serialize_pem().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> Vec<u8> {
        std::fs::read(format!("{}/certs/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    #[test]
    fn pairs_must_be_whole_and_fit() {
        let (p256, rsa) = (file("p256.pem"), file("rsa2048.pem"));
        assert!(certified_key(&p256, &file("p256.key")).is_ok());
        assert!(certified_key(&rsa, &file("rsa2048.key")).is_ok());
        assert!(matches!(
            certified_key(&rsa, &file("p256.key")),
            Err(CertificateError::OtherKey)
        ));
        assert!(matches!(
            certified_key(&rsa, b" \n"),
            Err(CertificateError::NoKey)
        ));
        assert!(matches!(
            certified_key(b"", &file("p256.key")),
            Err(CertificateError::Chain(PemError::Empty))
        ));
        assert!(matches!(
            certified_key(&rsa, b"no key"),
            Err(CertificateError::Key(_))
        ));
    }

    /// RFC 5280 section 4.1.2.1. Nobody who verifies it takes it for a server's, but not everybody verifies.
    #[test]
    fn a_certificate_of_the_first_version_and_its_key_belong_together() {
        let (certificate, key) = (file("version1.pem"), file("version1.key"));
        assert!(certified_key(&certificate, &key).is_ok());
        assert!(matches!(
            certified_key(&certificate, &file("p256.key")),
            Err(CertificateError::OtherKey)
        ));
    }

    #[test]
    fn keys_of_every_form_and_whole_chains_are_taken() {
        use akldap_simulator::{Certificate, KeyAlgorithm, KeyForm};
        for algorithm in [KeyAlgorithm::Ec, KeyAlgorithm::Rsa] {
            for form in [KeyForm::Pkcs8, KeyForm::Traditional] {
                let pair =
                    Certificate::generate_chain(uuid::Uuid::nil(), &["ldap.test"], algorithm, form).unwrap();
                let label = pair.key_pem.lines().next().unwrap();
                let key = certified_key(pair.certificate_pem.as_bytes(), pair.key_pem.as_bytes());
                let key = key.unwrap_or_else(|error| panic!("{label}: {error}"));
                assert_eq!(key.cert.len(), 2, "{label}: the issuer is sent too");
            }
        }
    }
}
