//! The certificates of the LDAPS and StartTLS ports, as authentik has them.

use std::time::SystemTime;

use crate::check::certificate::Certificate;
use crate::check::facts::{CertificateFacts, Facts};
use crate::check::row::{Area, Check, Verdict, fault_if, joined};

/// Days before the end of a certificate from which on it is warned.
const DAYS: i64 = 21;

pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "AK401",
        area: Area::Certificates,
        title: "every provider has a certificate",
        why: "without one the TLS ports show a self-signed certificate, which clients refuse",
        fix: "Applications > Providers > the provider > Edit > Protocol settings > Certificate; or AUTHENTIK_LDAP__TLS_CERTIFICATE_FILE",
        judge: |facts| {
            if facts.certificates.is_empty() {
                return after("AK301");
            }
            let without = facts
                .certificates
                .iter()
                .filter(|facts| facts.certificate.is_none());
            let without = joined(without.map(|facts| format!("provider {:?} has none", facts.provider)));
            without.map_or_else(|| Verdict::Well("they have".to_owned()), Verdict::Warning)
        },
    },
    Check {
        code: "AK402",
        area: Area::Certificates,
        title: "the outpost may read it",
        why: "a certificate that is not shown to the outpost cannot be served",
        fix: "save the outpost in authentik once more, which gives its account the permission; System > Certificates has the certificate",
        judge: |facts| {
            let problem = |facts: &CertificateFacts| match facts.certificate.as_ref()? {
                Err(error) => Some(format!("{:?}: {error}", facts.provider)),
                Ok(certificate) => Some(format!("{:?}: {}", facts.provider, certificate.broken.as_ref()?)),
            };
            any(facts, |facts| {
                fault_if(joined(facts.iter().filter_map(problem)), "it may")
            })
        },
    },
    Check {
        code: "AK403",
        area: Area::Certificates,
        title: "its private key belongs to it",
        why: "without its key a certificate cannot be served",
        fix: "System > Certificates > the certificate > Edit > Private Key",
        judge: |facts| {
            let problem = |(name, certificate): (&str, &Certificate)| {
                Some(format!("{name:?}: {}", certificate.key_problem.as_ref()?))
            };
            any(facts, |facts| {
                fault_if(joined(read(facts).filter_map(problem)), "it does")
            })
        },
    },
    Check {
        code: "AK404",
        area: Area::Certificates,
        title: "it is valid today and for a while",
        why: "clients refuse an expired certificate",
        fix: "System > Certificates: renew it, or have it discovered again from the folder certs",
        judge: |facts| {
            let now = SystemTime::now();
            let days = |(_, certificate): (&str, &Certificate)| certificate.days_left(now);
            any(facts, |facts| {
                let early = read(facts).find(|(_, certificate)| certificate.is_early(now));
                let Some(least) = read(facts).min_by_key(|pair| days(*pair)) else {
                    return after("AK402");
                };
                let left = days(least);
                match (early, left) {
                    (Some((name, _)), _) => Verdict::Fault(format!("{name:?}: it is not valid yet")),
                    (None, ..0) => Verdict::Fault(format!("{:?}: it expired {} days ago", least.0, -left)),
                    (None, 0..DAYS) => Verdict::Warning(format!("{:?}: {left} days left", least.0)),
                    (None, _) => Verdict::Well(format!("{left} days left")),
                }
            })
        },
    },
    Check {
        code: "AK405",
        area: Area::Certificates,
        title: "it names the server",
        why: "clients compare the name they connect to with the names in the certificate",
        fix: "System > Certificates: use one with the server's name among its subject alternative names; TLS Server name in the provider must be one of them",
        judge: |facts| {
            let problem = |facts: &CertificateFacts| {
                let certificate = facts
                    .certificate
                    .as_ref()?
                    .as_ref()
                    .ok()
                    .filter(|found| found.broken.is_none())?;
                let name = &facts.server_name;
                let provider = &facts.provider;
                if certificate.names.is_empty() {
                    Some(format!("{provider:?}: it has no subject alternative name"))
                } else if !name.is_empty() && !certificate.covers(name) {
                    Some(format!(
                        "{provider:?}: it is for {}, not {name}",
                        certificate.names.join(", ")
                    ))
                } else {
                    None
                }
            };
            any(facts, |facts| {
                let names: Vec<&str> = read(facts)
                    .flat_map(|(_, found)| &found.names)
                    .map(String::as_str)
                    .collect();
                fault_if(joined(facts.iter().filter_map(problem)), names.join(", "))
            })
        },
    },
    Check {
        code: "AK406",
        area: Area::Certificates,
        title: "its chain is whole",
        why: "clients know roots, not the intermediates between them and the server",
        fix: "System > Certificates > the certificate > Edit > Certificate: the server's certificate first, then each issuer's",
        judge: |facts| {
            let problem = |(name, certificate): (&str, &Certificate)| {
                if !certificate.is_in_order {
                    Some(format!("{name:?}: a certificate is not followed by its issuer's"))
                } else if certificate.lacks_intermediates {
                    Some(format!(
                        "{name:?}: it stands alone; that is right only if a root issued it itself"
                    ))
                } else {
                    None
                }
            };
            any(facts, |facts| {
                let problems = joined(read(facts).filter_map(problem));
                problems.map_or_else(|| Verdict::Well("it is".to_owned()), Verdict::Warning)
            })
        },
    },
];

fn any(facts: &Facts, judge: impl FnOnce(&[CertificateFacts]) -> Verdict) -> Verdict {
    let some = facts.certificates.iter().any(|facts| facts.certificate.is_some());
    if some {
        judge(&facts.certificates)
    } else {
        after("AK401")
    }
}

/// Those that could be read.
fn read(facts: &[CertificateFacts]) -> impl Iterator<Item = (&str, &Certificate)> {
    facts.iter().filter_map(|facts| {
        let certificate = facts.certificate.as_ref()?.as_ref().ok()?;
        certificate
            .broken
            .is_none()
            .then_some((facts.provider.as_str(), certificate))
    })
}

fn after(code: &str) -> Verdict {
    Verdict::NotSeen(format!("see {code} first"))
}
