//! What a certificate and its key are good for. Knows PEM and X.509; must not know where they came from.

use std::time::{Duration, SystemTime};

use akldap_authentik::pem;
use rustls_pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::outpost::certificates::{CertificateError, certified_chain, certified_key};

/// Days before a certificate expires from which there is a warning.
const DAYS: i64 = 21;

/// A chain and its key, examined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Certificate {
    /// Why it cannot be read at all.
    pub broken: Option<String>,
    /// What is wrong with the key.
    pub key_problem: Option<String>,
    /// The subject of the certificate in the chain that the key belongs to, if that is not the first one.
    pub misplaced: Option<String>,
    /// Names and addresses it is for.
    pub names: Vec<String>,
    /// When it is valid.
    pub valid: Validity,
    /// The certificates that follow it.
    pub issuers: Vec<IssuerCertificate>,
    /// Whether each certificate is followed by the one that issued it, up to one that is left out or issued itself.
    pub is_in_order: bool,
    /// Whether it is a single certificate that somebody else issued.
    pub lacks_intermediates: bool,
}

/// From when and until when something is valid, in seconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Validity {
    /// From when.
    pub from: i64,
    /// Until when.
    pub until: i64,
}

/// What is wrong with the dates of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DateProblem {
    /// Whether it is more than a warning.
    pub is_fault: bool,
    /// What it is.
    pub told: String,
}

/// A certificate of a chain that is not the server's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IssuerCertificate {
    /// Whose it is.
    pub subject: String,
    /// When it is valid.
    pub valid: Validity,
    /// Whether it may issue certificates.
    pub is_authority: bool,
    /// Whether it issued itself, as roots do, which clients need not be sent.
    pub is_root: bool,
}

impl Validity {
    fn of(certificate: &X509Certificate<'_>) -> Self {
        let validity = certificate.validity();
        Self {
            from: validity.not_before.timestamp(),
            until: validity.not_after.timestamp(),
        }
    }

    /// Whole days until it ends; negative once it has.
    pub(super) fn days_left(&self, now: SystemTime) -> i64 {
        (self.until.saturating_sub(seconds(now))).div_euclid(24 * 60 * 60)
    }

    /// Whether it has not begun yet.
    pub(super) fn is_to_come(&self, now: SystemTime) -> bool {
        seconds(now) < self.from
    }
}

impl Certificate {
    /// Examines a chain and a key in PEM. An empty key is a missing one.
    pub(super) fn examine(chain_pem: &[u8], key_pem: &[u8]) -> Self {
        let chain = match pem::certificates(chain_pem) {
            Ok(chain) => chain,
            Err(error) => {
                return Self {
                    broken: Some(error.to_string()),
                    ..Self::default()
                };
            }
        };
        let found = Self::of_chain(&chain);
        if found.broken.is_some() {
            return found;
        }
        Self {
            misplaced: misplaced(&chain, key_pem),
            key_problem: certified_key(chain_pem, key_pem).err().map(|error| match error {
                // What to choose in authentik is another check's to say.
                CertificateError::NoKey => "it has no private key".to_owned(),
                error => error.to_string(),
            }),
            ..found
        }
    }

    /// The same of a chain that was shown, and whose key is not.
    pub(super) fn of_chain(chain: &[CertificateDer<'_>]) -> Self {
        let parsed = chain
            .iter()
            .map(|octets| X509Certificate::from_der(octets).map(|(_, certificate)| certificate));
        let parsed = parsed.collect::<Result<Vec<_>, _>>().unwrap_or_default();
        let Some((leaf, issuers)) = parsed.split_first() else {
            return Self {
                broken: Some(CertificateError::NotX509.to_string()),
                ..Self::default()
            };
        };
        let issuer = |certificate: &X509Certificate<'_>| IssuerCertificate {
            subject: certificate.subject().to_string(),
            valid: Validity::of(certificate),
            is_authority: certificate.is_ca(),
            is_root: certificate.issuer() == certificate.subject(),
        };
        let follows = parsed.iter().zip(parsed.iter().skip(1));
        Self {
            broken: None,
            key_problem: None,
            misplaced: None,
            names: names(leaf),
            valid: Validity::of(leaf),
            issuers: issuers.iter().map(issuer).collect(),
            is_in_order: follows.fold(true, |order, (one, next)| order && one.issuer() == next.subject()),
            lacks_intermediates: parsed.len() == 1 && leaf.issuer() != leaf.subject(),
        }
    }

    /// What is wrong with the dates of the whole chain.
    pub(super) fn date_problems(&self, now: SystemTime) -> Vec<DateProblem> {
        let own = ("it".to_owned(), &self.valid, false);
        let issuers = self.issuers.iter().map(|issuer| {
            let whose = format!("the certificate of its issuer {}", issuer.subject);
            (whose, &issuer.valid, issuer.is_root)
        });
        let problem = |(what, valid, is_root): (String, &Validity, bool)| {
            let left = valid.until.saturating_sub(seconds(now));
            let span = span(left);
            let (is_fault, told) = match valid.days_left(now) {
                _ if valid.is_to_come(now) => (true, format!("{what} is not valid yet")),
                // Clients that know a newer one do not look at it.
                ..0 if is_root => (false, format!("{what}, a root, expired {span} ago")),
                ..0 => (true, format!("{what} expired {span} ago")),
                0..DAYS if !is_root => (false, format!("{what} has {span} left")),
                _ => return None,
            };
            Some(DateProblem { is_fault, told })
        };
        std::iter::once(own).chain(issuers).filter_map(problem).collect()
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

/// The certificate of a chain, other than the first, that a key belongs to: its subject.
fn misplaced(chain: &[CertificateDer<'_>], key_pem: &[u8]) -> Option<String> {
    let mut others = chain.iter().skip(1);
    let its = others.find(|octets| certified_chain(vec![(*octets).clone().into_owned()], key_pem).is_ok())?;
    let (_, certificate) = X509Certificate::from_der(its).ok()?;
    Some(certificate.subject().to_string())
}

/// A number of seconds, whatever its sign, in whole days, or in hours where it is less.
fn span(seconds: i64) -> String {
    const HOUR: u64 = 60 * 60;
    let (number, unit) = match seconds.unsigned_abs() {
        less if less < HOUR => return "less than an hour".to_owned(),
        less if less < 24 * HOUR => (less / HOUR, "hour"),
        more => (more / (24 * HOUR), "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

fn seconds(time: SystemTime) -> i64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
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
        assert!(sound.valid.days_left(SystemTime::now()) > 1000);
        assert!(
            pair("expired.pem", "expired.key")
                .valid
                .days_left(SystemTime::now())
                < 0
        );
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
