//! TLS on our own ports: certificate, versions, cipher suites, and whether it is required. Knows these settings and
//! what they are read into; must not know what the values are used for.

use std::path::PathBuf;

use super::cipher::{CIPHER_SUITES, CipherSuite, TlsVersion};
use super::error::ConfigError;
use super::kind::{CipherSuites, Optional, Path, Switch, Unset, Version};
use super::reader::SettingReader;
use super::setting::{Setting, own};

pub(super) static REQUIRE_TLS: Setting<Switch> = own(
    "AUTHENTIK_LDAP__REQUIRE_TLS",
    "require-tls",
    Switch,
    false,
    "Refuse binds on the plain port before StartTLS with confidentialityRequired (13).",
);

pub(super) static TLS_MIN_VERSION: Setting<Version> = own(
    "AUTHENTIK_LDAP__TLS_MIN_VERSION",
    "tls-min-version",
    Version,
    TlsVersion::V1_2,
    "Oldest version of TLS for LDAPS and StartTLS. Printers and storage systems in use often support nothing newer than 1.2.",
);

pub(super) static TLS_CIPHER_SUITES: Setting<Optional<CipherSuites>> = own(
    "AUTHENTIK_LDAP__TLS_CIPHER_SUITES",
    "tls-cipher-suites",
    Optional(CipherSuites),
    Unset,
    "The cipher suites to offer, by their IANA or OpenSSL names. Unset: all that are supported, none of which is weak.",
);

pub(super) static TLS_CERTIFICATE_FILE: Setting<Optional<Path>> = own(
    "AUTHENTIK_LDAP__TLS_CERTIFICATE_FILE",
    "tls-certificate-file",
    Optional(Path),
    Unset,
    "PEM file of the certificate chain to serve instead of the providers' certificates. Needs the key file too. Both are checked every ten seconds and read again when they change.",
);

pub(super) static TLS_KEY_FILE: Setting<Optional<Path>> = own(
    "AUTHENTIK_LDAP__TLS_KEY_FILE",
    "tls-key-file",
    Optional(Path),
    Unset,
    "PEM file of the private key of that certificate.",
);

/// TLS on our own ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// Certificate chain and key files that replace the providers' certificates.
    pub files: Option<TlsFiles>,
    /// Refuse binds without TLS.
    pub required: bool,
    /// The oldest version to speak.
    pub min_version: TlsVersion,
    /// The suites to offer, best first; never empty.
    pub cipher_suites: Vec<&'static CipherSuite>,
}

/// A certificate from files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
}

impl TlsConfig {
    pub(super) fn read(reader: &mut SettingReader<'_>) -> Result<Self, ConfigError> {
        let certificate = reader.value(&TLS_CERTIFICATE_FILE)?;
        let key = reader.value(&TLS_KEY_FILE)?;
        let files = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
            (None, None) => None,
            (Some(_), None) => {
                return Err(reader.lonely(&TLS_KEY_FILE, &TLS_CERTIFICATE_FILE));
            }
            (None, Some(_)) => {
                return Err(reader.lonely(&TLS_CERTIFICATE_FILE, &TLS_KEY_FILE));
            }
        };
        let min_version = reader.value(&TLS_MIN_VERSION)?;
        let cipher_suites = reader
            .value(&TLS_CIPHER_SUITES)?
            .unwrap_or_else(|| CIPHER_SUITES.iter().collect());
        if cipher_suites.iter().all(|suite| suite.version < min_version) {
            return Err(ConfigError::Conflict {
                name: reader.strings.spelling(TLS_CIPHER_SUITES.variable),
                other: reader.strings.spelling(TLS_MIN_VERSION.variable),
                problem: "no cipher suite in the list belongs to an allowed version of TLS",
            });
        }
        Ok(Self {
            files,
            required: reader.value(&REQUIRE_TLS)?,
            min_version,
            cipher_suites,
        })
    }
}
