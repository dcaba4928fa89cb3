//! The certificates of the LDAPS and StartTLS ports, as authentik has them or as they are in files.

use std::time::SystemTime;

use akldap_authentik::ApiError;

use crate::check::cause::{code_of, without_providers};
use crate::check::certificate::Certificate;
use crate::check::facts::{CertificateFacts, Facts};
use crate::check::verdict::{Area, Check, Verdict, after, fault_if, joined, said};
use crate::outpost::certificates::server_name;

pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "AK401",
        area: Area::Certificates,
        title: "every provider has a certificate",
        why: "without one the TLS ports show a self-signed certificate, which clients refuse",
        fix: "Applications > Providers > the provider > Edit > Protocol settings > Certificate; or AUTHENTIK_LDAP__TLS_CERTIFICATE_FILE and AUTHENTIK_LDAP__TLS_KEY_FILE",
        judge: |facts| {
            if let Some(files) = &facts.files {
                return Verdict::Well(format!("the one in {} is served for all", files.path));
            }
            if facts.certificates.is_empty() {
                return without_providers(facts);
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
                Err(error) => Some(format!("{:?}: {}", facts.provider, said(error))),
                Ok(certificate) => Some(format!("{:?}: {}", facts.provider, certificate.broken.as_ref()?)),
            };
            if facts.files.is_some() {
                return Verdict::Well(IN_FILES.to_owned());
            }
            any(facts, || {
                let certificates = || facts.certificates.iter();
                let errors = certificates().filter_map(|facts| facts.certificate.as_ref()?.as_ref().err());
                refused_or(errors, joined(certificates().filter_map(problem)))
            })
        },
    },
    Check {
        code: "AK403",
        area: Area::Certificates,
        title: "its private key belongs to it",
        why: "without its key a certificate cannot be served",
        fix: "System > Certificates > the certificate > Edit > Private Key; or the file of AUTHENTIK_LDAP__TLS_KEY_FILE",
        judge: |facts| {
            let problem = |(name, certificate): (&str, &Certificate)| {
                Some(format!("{name:?}: {}", certificate.key_problem.as_ref()?))
            };
            any(facts, || {
                if read(facts).any(|(_, certificate)| certificate.misplaced.is_some()) {
                    return after("AK406");
                }
                if facts.certificates.iter().any(|facts| facts.key.is_some()) {
                    return after("AK407");
                }
                fault_if(joined(read(facts).filter_map(problem)), "it does")
            })
        },
    },
    Check {
        code: "AK404",
        area: Area::Certificates,
        title: "it and its issuers' are valid today and for a while",
        why: "clients refuse an expired certificate, and one whose issuer's has expired",
        fix: "System > Certificates: renew it together with its issuers' certificates, or have it discovered again from the folder certs; or renew the files of AUTHENTIK_LDAP__TLS_CERTIFICATE_FILE and AUTHENTIK_LDAP__TLS_KEY_FILE",
        judge: |facts| {
            any(facts, || {
                if read(facts).next().is_none() {
                    return after("AK402");
                }
                let now = SystemTime::now();
                let told = |is_fault: bool| {
                    joined(read(facts).flat_map(move |(name, certificate)| {
                        let problems = certificate.date_problems(now).into_iter();
                        let problems = problems.filter(move |problem| problem.is_fault == is_fault);
                        problems.map(move |problem| format!("{name:?}: {}", problem.told))
                    }))
                };
                let left = read(facts).map(|(_, certificate)| certificate.valid.days_left(now));
                match (told(true), told(false)) {
                    (Some(fault), _) => Verdict::Fault(fault),
                    (None, Some(warning)) => Verdict::Warning(warning),
                    (None, None) => Verdict::Well(match left.min().unwrap_or(0) {
                        1 => "1 day left".to_owned(),
                        days => format!("{days} days left"),
                    }),
                }
            })
        },
    },
    Check {
        code: "AK405",
        area: Area::Certificates,
        title: "it names the server",
        why: "clients compare the name they connect to with the names in the certificate",
        fix: "System > Certificates: use one with the server's name among its subject alternative names; TLS Server name in the provider must be one of them; the same goes for the one in the file of AUTHENTIK_LDAP__TLS_CERTIFICATE_FILE",
        judge: |facts| {
            let problem = |(name, certificate): (&str, &Certificate)| {
                if certificate.names.is_empty() {
                    return Some(format!("{name:?}: it has no subject alternative name"));
                }
                let missing = server_names(facts, name).find(|wanted| !certificate.covers(wanted))?;
                Some(format!(
                    "{name:?}: it is for {}, not {missing}",
                    certificate.names.join(", ")
                ))
            };
            any(facts, || {
                // The names of another certificate say nothing.
                if read(facts).any(|(_, certificate)| certificate.misplaced.is_some()) {
                    return after("AK406");
                }
                let names: Vec<&str> = read(facts)
                    .flat_map(|(_, found)| &found.names)
                    .map(String::as_str)
                    .collect();
                let unaskable = read(facts).flat_map(|(name, _)| {
                    server_names(facts, name).filter_map(move |wanted| {
                        let problem = server_name(wanted).err()?;
                        Some(format!("{name:?}: the TLS Server name {wanted} {problem}"))
                    })
                });
                match (joined(read(facts).filter_map(problem)), joined(unaskable)) {
                    (Some(missing), _) => Verdict::Fault(missing),
                    (None, Some(unaskable)) => Verdict::Warning(unaskable),
                    (None, None) => Verdict::Well(names.join(", ")),
                }
            })
        },
    },
    Check {
        code: "AK406",
        area: Area::Certificates,
        title: "its chain is complete",
        why: "clients know roots, not the intermediates between them and the server",
        fix: "System > Certificates > the certificate > Edit > Certificate: the server's certificate first, then each issuer's; in the file of AUTHENTIK_LDAP__TLS_CERTIFICATE_FILE likewise",
        judge: |facts| {
            let problem = |(name, certificate): (&str, &Certificate)| {
                if !certificate.is_in_order {
                    Some(format!("{name:?}: a certificate is not followed by its issuer's"))
                } else if certificate.lacks_intermediates {
                    Some(format!(
                        "{name:?}: it comes without an issuer's certificate; that is right only if a root \
                         issued it"
                    ))
                } else {
                    None
                }
            };
            // With these no client gets through.
            let refused = |(name, certificate): (&str, &Certificate)| {
                if let Some(subject) = &certificate.misplaced {
                    return Some(format!(
                        "{name:?}: the certificate of {subject}, to which the key belongs, is not the first"
                    ));
                }
                let mut issuers = certificate.issuers.iter();
                let other = issuers.find(|issuer| !issuer.is_root && !issuer.is_authority)?;
                Some(format!(
                    "{name:?}: the certificate of its issuer {} is not one of a CA",
                    other.subject
                ))
            };
            any(facts, || {
                if let Some(refused) = joined(read(facts).filter_map(refused)) {
                    return Verdict::Fault(refused);
                }
                let problems = joined(read(facts).filter_map(problem));
                problems.map_or_else(|| Verdict::Well("it is".to_owned()), Verdict::Warning)
            })
        },
    },
    Check {
        code: "AK407",
        area: Area::Certificates,
        title: "the outpost may read its private key",
        why: "a certificate whose key is not shown to the outpost cannot be served",
        fix: "save the outpost in authentik once more, which gives its account the permission to view the key of this certificate",
        judge: |facts| {
            let problem = |facts: &CertificateFacts| {
                Some(format!("{:?}: {}", facts.provider, said(facts.key.as_ref()?)))
            };
            if facts.files.is_some() {
                return Verdict::Well(IN_FILES.to_owned());
            }
            any(facts, || {
                let certificates = || facts.certificates.iter();
                let errors = certificates().filter_map(|facts| facts.key.as_ref());
                refused_or(errors, joined(certificates().filter_map(problem)))
            })
        },
    },
    Check {
        code: "AK408",
        area: Area::Certificates,
        title: "the certificate files can be used",
        why: "this server does not start with files that it cannot read or use, and does not take changed ones",
        fix: "AUTHENTIK_LDAP__TLS_CERTIFICATE_FILE: a PEM file with the server's certificate first, then each issuer's; AUTHENTIK_LDAP__TLS_KEY_FILE: \
              a PEM file with its private key; this server's account must be able to read both, in a container too",
        judge: |facts| match &facts.files {
            None => Verdict::Well("none are named".to_owned()),
            Some(files) => match &files.certificate {
                Err(error) => Verdict::Fault(error.clone()),
                Ok(found) if found.misplaced.is_some() => after("AK406"),
                Ok(found) if found.key_problem.is_some() => after("AK403"),
                Ok(_) => Verdict::Well(files.path.clone()),
            },
        },
    },
];

/// What is said of authentik's certificates where files replace them.
const IN_FILES: &str = "it is not needed: the certificate is in files";

/// These problems, unless one of the errors is of no permission.
fn refused_or<'f>(mut errors: impl Iterator<Item = &'f ApiError>, problems: Option<String>) -> Verdict {
    errors
        .find_map(code_of)
        .map_or_else(|| fault_if(problems, "it may"), after)
}

/// Judges the certificates that can be served, if there are any.
fn any(facts: &Facts, judge: impl FnOnce() -> Verdict) -> Verdict {
    match &facts.files {
        Some(files) if files.certificate.is_err() => after("AK408"),
        Some(_) => judge(),
        None if facts.certificates.iter().any(|facts| facts.certificate.is_some()) => judge(),
        None => after("AK401"),
    }
}

/// Those that could be read, each with its provider's name or its file.
fn read(facts: &Facts) -> impl Iterator<Item = (&str, &Certificate)> {
    let in_files = facts.files.iter().filter_map(|files| {
        let certificate = files.certificate.as_ref().ok()?;
        Some((files.path.as_str(), certificate))
    });
    let from_authentik = facts.certificates.iter().filter_map(|facts| {
        let certificate = facts.certificate.as_ref()?.as_ref().ok()?;
        certificate
            .broken
            .is_none()
            .then_some((facts.provider.as_str(), certificate))
    });
    in_files.chain(from_authentik)
}

/// The server names that the certificate of a provider must cover; that in files, those of all providers.
fn server_names<'f>(facts: &'f Facts, provider: &str) -> impl Iterator<Item = &'f str> {
    let of_one = facts
        .certificates
        .iter()
        .filter(move |facts| facts.provider == provider)
        .map(|facts| facts.server_name.as_str());
    let providers = facts.providers.iter().flatten().flatten();
    let of_all = providers
        .filter(|_| facts.files.is_some())
        .map(|provider| provider.tls_server_name.as_str());
    of_one.chain(of_all).filter(|name| !name.is_empty())
}
