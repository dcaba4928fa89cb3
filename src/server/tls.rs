//! TLS on our own ports: which versions and suites are spoken and which certificate a client gets, under one server
//! configuration that lives as long as the process, so that tickets survive a renewed certificate.
//!
//! Knows rustls and the outpost's certificate table. Must not know LDAP.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

use crate::config::{TlsConfig, TlsVersion};
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

/// The configuration for both LDAPS and StartTLS: the versions and suites of the options, tickets, no client certificates.
pub(super) fn server_config(
    options: &TlsConfig,
    certificates: Arc<CertificateTable>,
) -> Result<Arc<rustls::ServerConfig>, rustls::Error> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = suites(options, &provider.cipher_suites);
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions(options))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Resolver { certificates }));
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    // The list of the options is in order of preference; without one, clients without AES instructions may choose.
    config.ignore_client_order = options.cipher_suites.len() < crate::config::CIPHER_SUITES.len();
    Ok(Arc::new(config))
}

fn suites(options: &TlsConfig, known: &[SupportedCipherSuite]) -> Vec<SupportedCipherSuite> {
    let wanted = options.cipher_suites.iter();
    wanted
        .filter_map(|wanted| {
            known
                .iter()
                .find(|known| u16::from(known.suite()) == wanted.code)
                .copied()
        })
        .collect()
}

static BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
static NEW: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
static OLD: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];

/// A version to which no suite of the list belongs is not offered either.
fn versions(options: &TlsConfig) -> &'static [&'static SupportedProtocolVersion] {
    let offered = |version| {
        options.min_version <= version && options.cipher_suites.iter().any(|suite| suite.version == version)
    };
    match (offered(TlsVersion::V1_2), offered(TlsVersion::V1_3)) {
        (true, true) => BOTH,
        (true, false) => OLD,
        (false, _) => NEW,
    }
}

#[cfg(test)]
mod tests {
    use rustls::ProtocolVersion;

    use crate::config::CIPHER_SUITES;

    use super::*;

    fn options(min_version: TlsVersion, versions: &[TlsVersion]) -> TlsConfig {
        TlsConfig {
            files: None,
            required: false,
            min_version,
            cipher_suites: CIPHER_SUITES
                .iter()
                .filter(|suite| versions.contains(&suite.version))
                .collect(),
        }
    }

    #[test]
    fn the_table_of_suites_is_that_of_the_library() {
        let provider = aws_lc_rs::default_provider();
        let table: Vec<(u16, TlsVersion)> = CIPHER_SUITES
            .iter()
            .map(|suite| (suite.code, suite.version))
            .collect();
        let library: Vec<(u16, TlsVersion)> = provider
            .cipher_suites
            .iter()
            .map(|suite| {
                let version = match suite.version().version {
                    ProtocolVersion::TLSv1_3 => TlsVersion::V1_3,
                    _ => TlsVersion::V1_2,
                };
                (u16::from(suite.suite()), version)
            })
            .collect();
        assert_eq!(table, library);
        for suite in CIPHER_SUITES {
            let known = provider
                .cipher_suites
                .iter()
                .find(|known| u16::from(known.suite()) == suite.code);
            let name = format!("{:?}", known.expect("known").suite()).replace("TLS13_", "TLS_");
            assert_eq!(name, suite.name);
        }
    }

    #[test]
    fn only_versions_with_a_suite_are_offered() {
        use TlsVersion::{V1_2, V1_3};
        for (options, count) in [
            (options(V1_2, &[V1_2, V1_3]), 2),
            (options(V1_3, &[V1_2, V1_3]), 1),
            (options(V1_2, &[V1_2]), 1),
            (options(V1_2, &[V1_3]), 1),
        ] {
            assert_eq!(versions(&options).len(), count, "{options:?}");
            let certificates = Arc::new(CertificateTable::new(None).expect("self-signed"));
            assert!(server_config(&options, certificates).is_ok(), "{options:?}");
        }
    }
}
