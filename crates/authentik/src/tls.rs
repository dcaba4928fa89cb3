//! The TLS client configuration shared by the HTTP clients and the websocket.
//!
//! Knows certificates and trust stores. Must not know URLs or tokens.

mod own_issuer;

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::error::ApiError;
use super::{given_file, pem};
use own_issuer::{OwnIssuer, is_own_issuer};

/// Octets read of a file of authorities at most. Those that systems trust take a quarter of a mebibyte.
const MOST_OCTETS: usize = 16 << 20;

/// Whom to trust.
#[derive(Debug)]
pub enum Trust<'a> {
    /// The system's trust store and the given file of PEM certificates.
    Authorities {
        /// Whether to read the system's trust store.
        system: bool,
        /// More CA certificates in PEM.
        ca_file: Option<AuthoritiesFile<'a>>,
    },
    /// Everybody (`AUTHENTIK_INSECURE`).
    Anybody,
}

/// A file of CA certificates in PEM.
#[derive(Clone, Copy, Debug)]
pub struct AuthoritiesFile<'a> {
    /// Where it is.
    pub path: &'a Path,
    /// The option that names it, for errors.
    pub option: &'static str,
}

/// Builds the configuration on the aws-lc-rs provider. ALPN is left empty: reqwest offers HTTP/2, the websocket not.
pub fn client_config(trust: &Trust<'_>) -> Result<ClientConfig, ApiError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| ApiError::Settings(format!("TLS cannot be set up: {error}")))?;
    Ok(match trust {
        Trust::Anybody => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(NoVerification::new(&provider)))
            .with_no_client_auth(),
        Trust::Authorities { system, ca_file } => {
            let Roots { roots, own_issuers } = roots(*system, *ca_file)?;
            if own_issuers.is_empty() {
                builder.with_root_certificates(roots).with_no_client_auth()
            } else {
                let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .map_err(|error| ApiError::Settings(format!("TLS cannot be set up: {error}")))?;
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(OwnIssuer::new(webpki, own_issuers)))
                    .with_no_client_auth()
            }
        }
    })
}

/// Who is trusted.
struct Roots {
    roots: RootCertStore,
    /// Certificates of the CA file that a server may show as its own.
    own_issuers: Vec<CertificateDer<'static>>,
}

fn roots(system: bool, ca_file: Option<AuthoritiesFile<'_>>) -> Result<Roots, ApiError> {
    let mut roots = RootCertStore::empty();
    let mut own_issuers = Vec::new();
    if system {
        let native = rustls_native_certs::load_native_certs();
        for error in &native.errors {
            tracing::warn!(%error, "part of the system's trust store cannot be read");
        }
        // System stores contain certificates that webpki does not accept; the others are still used.
        let (_, _ignored) = roots.add_parsable_certificates(native.certs);
    }
    if let Some(AuthoritiesFile { path, option }) = ca_file {
        let broken = |error: &dyn std::fmt::Display| {
            ApiError::Settings(format!("the CA file {} of {option}: {error}", path.display()))
        };
        let octets = given_file::read(path, MOST_OCTETS, given_file::patience());
        let octets = octets.map_err(|error| broken(&error))?;
        for certificate in pem::certificates(&octets).map_err(|error| broken(&error))? {
            if is_own_issuer(&certificate) {
                own_issuers.push(certificate.clone());
            }
            roots.add(certificate).map_err(|error| broken(&error))?;
        }
    }
    if roots.is_empty() && system {
        tracing::warn!("no trusted CA certificate was found: every TLS connection to authentik will fail");
    }
    Ok(Roots { roots, own_issuers })
}

/// Accepts every server certificate, as `AUTHENTIK_INSECURE` demands. Handshake signatures are still checked, so a
/// passive listener gains nothing.
#[derive(Debug)]
struct NoVerification {
    algorithms: WebPkiSupportedAlgorithms,
}

impl NoVerification {
    fn new(provider: &CryptoProvider) -> Self {
        Self {
            algorithms: provider.signature_verification_algorithms,
        }
    }
}

impl ServerCertVerifier for NoVerification {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
