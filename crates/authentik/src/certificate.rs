//! A certificate key pair: what to poll, and how a change is recognised.

use serde::Deserialize;

use super::page::nullable;

/// A key pair as `GET crypto/certificatekeypairs/{uuid}/` describes it, without its material.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CertificateKeyPair {
    /// UUID with dashes.
    pub pk: String,
    /// The name the admin gave it.
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
    /// SHA-256 of the certificate: fetch the material again when it changes.
    #[serde(default)]
    pub fingerprint_sha256: Option<String>,
    /// Whether there is a key; a certificate without one cannot serve.
    #[serde(default, deserialize_with = "nullable")]
    pub private_key_available: bool,
}
