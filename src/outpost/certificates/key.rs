//! Certificates with their keys, made usable. Must not know where they come from.

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

use akldap_authentik::ApiError;

/// Why a certificate cannot be used.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
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
    #[error("it has no certificate in PEM form")]
    NoCertificate,
    /// The key is missing.
    #[error("it has no private key: choose a certificate with its key in authentik")]
    NoKey,
    /// The key is malformed.
    #[error("its private key is not PEM of PKCS#1, PKCS#8 or SEC1 form")]
    MalformedKey,
    /// The key does not belong to the certificate, or is of a kind that cannot be used.
    #[error("its private key cannot be used with it: {0}")]
    Unusable(#[from] rustls::Error),
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
pub(super) fn certified_key(chain_pem: &[u8], key_pem: &[u8]) -> Result<CertifiedKey, CertificateError> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain_pem)
        .collect::<Result<_, _>>()
        .map_err(|_| CertificateError::NoCertificate)?;
    if chain.is_empty() {
        return Err(CertificateError::NoCertificate);
    }
    if key_pem.trim_ascii().is_empty() {
        return Err(CertificateError::NoKey);
    }
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|_| CertificateError::MalformedKey)?;
    let certified = CertifiedKey::new(chain, any_supported_type(&key)?);
    certified.keys_match()?;
    Ok(certified)
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
            Err(CertificateError::Unusable(_))
        ));
        assert!(matches!(
            certified_key(&rsa, b" \n"),
            Err(CertificateError::NoKey)
        ));
        assert!(matches!(
            certified_key(b"", &file("p256.key")),
            Err(CertificateError::NoCertificate)
        ));
        assert!(matches!(
            certified_key(&rsa, b"no key"),
            Err(CertificateError::MalformedKey)
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
