//! TLS on our own ports: which certificate a client gets, under one server configuration that lives as long as the
//! process, so that tickets survive a renewed certificate.
//!
//! Knows rustls and the outpost's certificate table. Must not know LDAP.

use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::outpost::certificates::CertificateTable;

/// Chooses by SNI, then the common certificate, then the self-signed one: see [`CertificateTable::choose`].
struct Resolver {
    certificates: Arc<CertificateTable>,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.certificates.choose(hello.server_name()))
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Resolver")
    }
}

/// The configuration for both LDAPS and StartTLS: TLS 1.2 and 1.3, tickets, no client certificates.
pub(super) fn server_config(certificates: Arc<CertificateTable>) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Resolver { certificates }));
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    Ok(Arc::new(config))
}
