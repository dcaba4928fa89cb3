//! What a certificate and its key are good for. Knows PEM and X.509; must not know where they came from.

use std::time::{Duration, SystemTime};

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A chain and its key, examined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Certificate {
    /// Why it cannot be read at all.
    pub broken: Option<String>,
    /// What is wrong with the key.
    pub key_problem: Option<String>,
    /// Names and addresses it is for.
    pub names: Vec<String>,
    /// Seconds since 1970 from when and until when it is valid.
    pub valid: (i64, i64),
    /// Whether each certificate is followed by the one that issued it, up to one that is left out or issued itself.
    pub is_in_order: bool,
    /// Whether it is a single certificate that somebody else issued.
    pub lacks_intermediates: bool,
}

impl Certificate {
    /// Examines a chain and a key in PEM. An empty key is a missing one.
    pub(super) fn examine(chain_pem: &[u8], key_pem: &[u8]) -> Self {
        let broken = |why: &str| Self {
            broken: Some(why.to_owned()),
            ..Self::default()
        };
        let chain: Result<Vec<CertificateDer<'static>>, _> =
            CertificateDer::pem_slice_iter(chain_pem).collect();
        let Some(chain) = chain.ok().filter(|chain| !chain.is_empty()) else {
            return broken("it holds no certificate in PEM form");
        };
        let parsed = chain
            .iter()
            .map(|octets| X509Certificate::from_der(octets).map(|(_, certificate)| certificate));
        let Ok(parsed) = parsed.collect::<Result<Vec<_>, _>>() else {
            return broken("it holds a certificate that is not X.509");
        };
        let Some(leaf) = parsed.first() else {
            return broken("it holds no certificate in PEM form");
        };
        let follows = parsed.iter().zip(parsed.iter().skip(1));
        Self {
            broken: None,
            key_problem: key_problem(chain.clone(), key_pem),
            names: names(leaf),
            valid: (
                leaf.validity().not_before.timestamp(),
                leaf.validity().not_after.timestamp(),
            ),
            is_in_order: follows.fold(true, |order, (one, next)| order && one.issuer() == next.subject()),
            lacks_intermediates: parsed.len() == 1 && leaf.issuer() != leaf.subject(),
        }
    }

    /// Whole days until it expires; negative once it has.
    pub(super) fn days_left(&self, now: SystemTime) -> i64 {
        (self.valid.1 - seconds(now)).div_euclid(24 * 60 * 60)
    }

    /// Whether it is not valid yet.
    pub(super) fn is_early(&self, now: SystemTime) -> bool {
        seconds(now) < self.valid.0
    }

    /// Whether it is for a name, wildcards included.
    pub(super) fn covers(&self, name: &str) -> bool {
        self.names.iter().any(|known| {
            let wildcard = known.strip_prefix("*.").zip(name.split_once('.'));
            known.eq_ignore_ascii_case(name)
                || wildcard.is_some_and(|(domain, (_, below))| domain.eq_ignore_ascii_case(below))
        })
    }
}

fn seconds(time: SystemTime) -> i64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn key_problem(chain: Vec<CertificateDer<'static>>, key_pem: &[u8]) -> Option<String> {
    if key_pem.trim_ascii().is_empty() {
        return Some("it has no private key".to_owned());
    }
    let Ok(key) = PrivateKeyDer::from_pem_slice(key_pem) else {
        return Some("its private key is not PEM of PKCS#1, PKCS#8 or SEC1 form".to_owned());
    };
    let key = match any_supported_type(&key) {
        Ok(key) => key,
        Err(error) => return Some(format!("its private key cannot be used: {error}")),
    };
    let matches = CertifiedKey::new(chain, key).keys_match();
    matches
        .err()
        .map(|_| "its private key belongs to another certificate".to_owned())
}

fn names(leaf: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternatives)) = leaf.subject_alternative_name() else {
        return Vec::new();
    };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(octets) => match octets.len() {
            4 => <[u8; 4]>::try_from(*octets)
                .ok()
                .map(|octets| std::net::IpAddr::from(octets).to_string()),
            _ => <[u8; 16]>::try_from(*octets)
                .ok()
                .map(|octets| std::net::IpAddr::from(octets).to_string()),
        },
        _ => None,
    };
    alternatives.value.general_names.iter().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(certificate: &str, key: &str) -> Certificate {
        let read = |name: &str| {
            let path = format!("{}/certs/{name}", env!("CARGO_MANIFEST_DIR"));
            std::fs::read(path).expect("a test certificate")
        };
        Certificate::examine(&read(certificate), &read(key))
    }

    #[test]
    fn a_pair_is_examined() {
        let sound = pair("p256.pem", "p256.key");
        assert_eq!((&sound.broken, &sound.key_problem), (&None, &None));
        assert!(sound.covers("localhost") && sound.covers("127.0.0.1") && !sound.covers("example.org"));
        assert!(sound.days_left(SystemTime::now()) > 1000);
        assert!(pair("expired.pem", "expired.key").days_left(SystemTime::now()) < 0);
        let other = pair("p256.pem", "rsa2048.key")
            .key_problem
            .expect("another's key");
        assert!(other.contains("another certificate"), "{other}");
        assert!(Certificate::examine(b"nonsense", b"").broken.is_some());
        let keyless = Certificate::examine(&std::fs::read("certs/p256.pem").expect("a file"), b"\n");
        assert_eq!(keyless.key_problem.as_deref(), Some("it has no private key"));
    }

    #[test]
    fn wildcards_cover_one_label() {
        let certificate = Certificate {
            names: vec!["*.example.org".to_owned()],
            ..Certificate::default()
        };
        assert!(certificate.covers("ldap.Example.org"));
        assert!(!certificate.covers("a.ldap.example.org") && !certificate.covers("example.org"));
    }
}
