//! Certificate key pairs as `crypto/certificatekeypairs/` shows them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_RSA_SHA256, RsaKeySize,
};
use serde_json::{Value, json};
use uuid::Uuid;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::clock::iso;

/// One certificate with its key.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// Primary key.
    pub pk: Uuid,
    /// Display name.
    pub name: String,
    /// Certificate, possibly a chain, leaf first.
    pub certificate_pem: String,
    /// Private key in any PEM form; empty when there is none.
    pub key_pem: String,
}

/// The algorithm of a generated key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// P-256.
    Ec,
    /// RSA with 2048 bit.
    Rsa,
}

/// The PEM form of a generated key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// `PRIVATE KEY` (RFC 5958).
    Pkcs8,
    /// `EC PRIVATE KEY` (SEC 1) or `RSA PRIVATE KEY` (PKCS#1), which is what authentik itself writes.
    Traditional,
}

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[error("could not make a certificate for the simulator: {0}")]
pub struct CertificateError(String);

impl Certificate {
    /// A fresh self-signed certificate for these names or addresses.
    ///
    /// # Errors
    ///
    /// When a name cannot be in a certificate or no key can be made.
    pub fn generate(
        pk: Uuid,
        hosts: &[&str],
        algorithm: KeyAlgorithm,
        form: KeyForm,
    ) -> Result<Self, CertificateError> {
        let key = new_key(algorithm)?;
        let certificate = parameters(hosts)?.self_signed(&key).map_err(failed)?;
        Self::assemble(pk, hosts, certificate.pem(), &key, algorithm, form)
    }

    /// The same followed by its own issuing certificate: the PEM text has both, leaf first.
    ///
    /// # Errors
    ///
    /// As for [`Certificate::generate`].
    pub fn generate_chain(
        pk: Uuid,
        hosts: &[&str],
        algorithm: KeyAlgorithm,
        form: KeyForm,
    ) -> Result<Self, CertificateError> {
        let authority_key = new_key(KeyAlgorithm::Ec)?;
        let mut authority = parameters(&[])?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority
            .distinguished_name
            .push(DnType::CommonName, "simulator authority");
        let authority_pem = authority.self_signed(&authority_key).map_err(failed)?.pem();
        let issuer = Issuer::new(authority, authority_key);
        let key = new_key(algorithm)?;
        let leaf = parameters(hosts)?.signed_by(&key, &issuer).map_err(failed)?;
        Self::assemble(
            pk,
            hosts,
            format!("{}{authority_pem}", leaf.pem()),
            &key,
            algorithm,
            form,
        )
    }

    fn assemble(
        pk: Uuid,
        hosts: &[&str],
        certificate_pem: String,
        key: &KeyPair,
        algorithm: KeyAlgorithm,
        form: KeyForm,
    ) -> Result<Self, CertificateError> {
        let key_pem = match (form, algorithm) {
            (KeyForm::Pkcs8, _) => key.serialize_pem(),
            (KeyForm::Traditional, algorithm) => {
                let label = if algorithm == KeyAlgorithm::Ec {
                    "EC PRIVATE KEY"
                } else {
                    "RSA PRIVATE KEY"
                };
                let inner = inner_key(key.serialized_der())
                    .ok_or_else(|| CertificateError("the key is no PKCS#8 structure".into()))?;
                pem(label, inner)
            }
        };
        let name = hosts.first().copied().unwrap_or("certificate").to_owned();
        Ok(Self {
            pk,
            name,
            certificate_pem,
            key_pem,
        })
    }

    /// DER of the first certificate.
    fn leaf(&self) -> Option<Vec<u8>> {
        let (_, rest) = self.certificate_pem.split_once("-----BEGIN CERTIFICATE-----")?;
        let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
        STANDARD.decode(body.split_whitespace().collect::<String>()).ok()
    }

    pub(crate) fn row(&self) -> Value {
        let leaf = self.leaf();
        let parsed = leaf
            .as_deref()
            .and_then(|der| X509Certificate::from_der(der).ok())
            .map(|(_, parsed)| parsed);
        let fingerprint = |algorithm| {
            leaf.as_deref().map(|der| {
                let digest = aws_lc_rs::digest::digest(algorithm, der);
                digest
                    .as_ref()
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect::<Vec<_>>()
                    .join(":")
            })
        };
        let expiry = parsed
            .as_ref()
            .map(|parsed| iso(parsed.validity().not_after.timestamp().saturating_mul(1_000_000)));
        let subject = parsed.as_ref().map(|parsed| subject(parsed));
        let key_type = parsed.as_ref().map(|parsed| {
            if parsed.public_key().algorithm.algorithm.to_id_string() == "1.2.840.113549.1.1.1" {
                "rsa"
            } else {
                "ec"
            }
        });
        let pk = self.pk;
        json!({
            "pk": pk.to_string(), "name": self.name,
            "fingerprint_sha256": fingerprint(&aws_lc_rs::digest::SHA256),
            "fingerprint_sha1": fingerprint(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY),
            "cert_expiry": expiry, "cert_subject": subject,
            "private_key_available": !self.key_pem.is_empty(), "key_type": key_type,
            "certificate_download_url": format!("/api/v3/crypto/certificatekeypairs/{pk}/view_certificate/?download"),
            "private_key_download_url": format!("/api/v3/crypto/certificatekeypairs/{pk}/view_private_key/?download"),
            "managed": null,
        })
    }
}

/// The subject in RFC 4514 order: the last component first.
fn subject(certificate: &X509Certificate<'_>) -> String {
    let text = certificate.subject().to_string();
    text.split(", ")
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect::<Vec<_>>()
        .join(",")
}

fn failed(error: rcgen::Error) -> CertificateError {
    CertificateError(error.to_string())
}

fn new_key(algorithm: KeyAlgorithm) -> Result<KeyPair, CertificateError> {
    match algorithm {
        KeyAlgorithm::Ec => KeyPair::generate(),
        KeyAlgorithm::Rsa => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
    }
    .map_err(failed)
}

fn parameters(hosts: &[&str]) -> Result<CertificateParams, CertificateError> {
    let mut parameters =
        CertificateParams::new(hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>())
            .map_err(failed)?;
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    if let Some(host) = hosts.first() {
        parameters.distinguished_name.push(DnType::CommonName, *host);
        parameters
            .distinguished_name
            .push(DnType::OrganizationName, "authentik");
        parameters
            .distinguished_name
            .push(DnType::OrganizationalUnitName, "Self-signed");
    }
    Ok(parameters)
}

/// What a PKCS#8 structure wraps: SEQUENCE { version, algorithm, OCTET STRING <this> }.
fn inner_key(pkcs8: &[u8]) -> Option<&[u8]> {
    let (_, body, _) = element(pkcs8)?;
    let (_, _, after_version) = element(body)?;
    let (_, _, after_algorithm) = element(after_version)?;
    let (tag, key, _) = element(after_algorithm)?;
    (tag == 0x04).then_some(key)
}

/// One DER element: tag, contents, what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        (
            digits
                .iter()
                .fold(0_usize, |length, digit| (length << 8) | usize::from(*digit)),
            rest,
        )
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

fn pem(label: &str, der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, next) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = next;
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls_pki_types::pem::PemObject;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer};

    #[test]
    fn every_form_loads_into_rustls() {
        for algorithm in [KeyAlgorithm::Ec, KeyAlgorithm::Rsa] {
            for form in [KeyForm::Pkcs8, KeyForm::Traditional] {
                let pair = Certificate::generate_chain(Uuid::nil(), &["ldap.test"], algorithm, form)
                    .expect("a pair");
                let chain: Vec<CertificateDer<'_>> =
                    CertificateDer::pem_slice_iter(pair.certificate_pem.as_bytes())
                        .collect::<Result<_, _>>()
                        .expect("certificates");
                assert_eq!(chain.len(), 2);
                let key = PrivateKeyDer::from_pem_slice(pair.key_pem.as_bytes()).expect("a key");
                rustls::ServerConfig::builder_with_provider(
                    rustls::crypto::aws_lc_rs::default_provider().into(),
                )
                .with_safe_default_protocol_versions()
                .expect("versions")
                .with_no_client_auth()
                .with_single_cert(chain, key)
                .expect("a working pair");
                assert_eq!(
                    pair.row()["key_type"],
                    if algorithm == KeyAlgorithm::Ec {
                        "ec"
                    } else {
                        "rsa"
                    }
                );
                assert_eq!(
                    pair.row()["cert_subject"],
                    "OU=Self-signed,O=authentik,CN=ldap.test"
                );
            }
        }
    }
}
