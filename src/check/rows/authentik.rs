//! The way to authentik, the token, and the outpost it stands for.

use akldap_authentik::{ApiError, Unreachable};

use crate::check::facts::Facts;
use crate::check::row::{Area, Check, Verdict, fault_if};

/// Seconds by which clocks may differ before codes and certificates are judged differently.
const CLOCK_TOLERANCE: i64 = 10;
/// Seconds after which one-time codes stop to work.
const CLOCK_LIMIT: i64 = 60;
/// The releases of authentik whose answers were recorded, by year and month.
const TESTED: [(u32, u32); 2] = [(2025, 10), (2026, 5)];

pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "AK101",
        area: Area::Reach,
        title: "authentik's host name has an address",
        why: "without one nobody can log in and the directory grows old",
        fix: "correct the host in AUTHENTIK_HOST, or the resolver of this machine or container",
        judge: |facts| match &facts.addresses {
            _ if facts.settings.has_proxy => Verdict::NotSeen("the proxy looks the name up".to_owned()),
            Ok(addresses) => Verdict::Well(addresses.join(", ")),
            Err(error) => Verdict::Fault(error.clone()),
        },
    },
    Check {
        code: "AK102",
        area: Area::Reach,
        title: "something listens there",
        why: "without a connection nobody can log in and the directory grows old",
        fix: "correct host and port in AUTHENTIK_HOST; start authentik; open the way in firewalls and network policies",
        judge: |facts| match unreachable(facts) {
            Some(cause @ (Unreachable::Refused | Unreachable::Network(_) | Unreachable::ConnectTimeout)) => {
                Verdict::Fault(format!("{}: {cause}", facts.settings.host))
            }
            Some(Unreachable::Dns(_)) => after("AK101"),
            _ => Verdict::Well(facts.settings.host.clone()),
        },
    },
    Check {
        code: "AK103",
        area: Area::Reach,
        title: "authentik's certificate is trusted",
        why: "the token and passwords go over this connection",
        fix: "name the CA with AUTHENTIK_LDAP__CA_FILE; use a host name that the certificate covers; renew it in authentik's reverse proxy",
        judge: |facts| match unreachable(facts) {
            Some(
                Unreachable::Dns(_)
                | Unreachable::Refused
                | Unreachable::Network(_)
                | Unreachable::ConnectTimeout,
            ) => after("AK102"),
            Some(cause) => Verdict::Fault(cause.to_string()),
            None if !facts.settings.is_https => Verdict::NotSeen("AUTHENTIK_HOST is not https".to_owned()),
            None if facts.settings.insecure => {
                Verdict::Warning("AUTHENTIK_INSECURE is set: nobody looked at it".to_owned())
            }
            None => Verdict::Well("chain, name and dates".to_owned()),
        },
    },
    Check {
        code: "AK104",
        area: Area::Reach,
        title: "authentik answers",
        why: "another service, a login page of a proxy or a redirect in its place answers no question",
        fix: "set AUTHENTIK_HOST to the final URL of authentik, path included; let the outpost reach it past other proxies' logins",
        judge: |facts| match &facts.first_call {
            Err(ApiError::Unreachable { .. }) => after("AK102"),
            Ok(()) | Err(ApiError::TokenInvalid { .. }) => Verdict::Well("its API".to_owned()),
            Err(error) => Verdict::Fault(said(error)),
        },
    },
    Check {
        code: "AK105",
        area: Area::Reach,
        title: "the clocks agree",
        why: "one-time codes, sessions and certificates are judged by the time",
        fix: "synchronise this machine and authentik's by NTP",
        judge: |facts| {
            let Some(ahead) = facts.clock_ahead else {
                return Verdict::NotSeen("authentik did not say its time".to_owned());
            };
            let seen = format!(
                "this machine is {} s {}",
                ahead.abs(),
                if ahead < 0 { "behind" } else { "ahead" }
            );
            match ahead.abs() {
                0..=CLOCK_TOLERANCE => Verdict::Well(seen),
                ..=CLOCK_LIMIT => Verdict::Warning(seen),
                _ => Verdict::Fault(seen),
            }
        },
    },
    Check {
        code: "AK106",
        area: Area::Reach,
        title: "authentik is asked by the scheme it believes in",
        why: "by http passwords are readable on the way; where a proxy does not forward the scheme, authentik writes wrong links and cookies",
        fix: "use https in AUTHENTIK_HOST; let the reverse proxy set X-Forwarded-Proto and trust it (authentik: listen.trusted_proxy_cidrs)",
        judge: |facts| {
            let secure = facts
                .flows
                .iter()
                .find_map(|flow| flow.first.as_ref().ok()?.secure_cookie);
            match (facts.settings.is_https, secure) {
                (true, Some(false)) => {
                    Verdict::Warning("AUTHENTIK_HOST is https, but authentik sees http".to_owned())
                }
                (false, Some(true)) => {
                    Verdict::Warning("AUTHENTIK_HOST is http, but authentik sees https".to_owned())
                }
                (false, _) if !facts.settings.is_local => {
                    Verdict::Warning("passwords go unencrypted to another machine".to_owned())
                }
                (_, None) => Verdict::NotSeen("no flow set a session cookie".to_owned()),
                (is_https, _) => Verdict::Well(
                    if is_https {
                        "https"
                    } else {
                        "http, on this machine"
                    }
                    .to_owned(),
                ),
            }
        },
    },
    Check {
        code: "AK201",
        area: Area::Token,
        title: "authentik takes the token",
        why: "without it nothing is shown to this server",
        fix: "Applications > Outposts > the outpost > View Deployment Info: copy the token to AUTHENTIK_TOKEN",
        judge: |facts| {
            let outpost = facts.outpost.as_ref().and_then(|outpost| outpost.as_ref().err());
            let errors = [facts.first_call.as_ref().err(), outpost];
            let refused = errors
                .into_iter()
                .flatten()
                .find(|error| matches!(error, ApiError::TokenInvalid { .. }));
            match (refused, &facts.outpost) {
                (Some(error), _) => Verdict::Fault(error.to_string()),
                (None, None) => after("AK104"),
                (None, Some(_)) => Verdict::Well("accepted".to_owned()),
            }
        },
    },
    Check {
        code: "AK202",
        area: Area::Token,
        title: "the token is an outpost's own",
        why: "another token shows nothing, or far too much",
        fix: "Applications > Outposts: create an outpost of type LDAP; copy the token from View Deployment Info",
        judge: |facts| match &facts.outpost {
            Some(Ok(choice)) if choice.visible > 1 => Verdict::Fault(format!(
                "the token sees {} outposts: it is a person's",
                choice.visible
            )),
            Some(Ok(choice)) => Verdict::Well(format!("outpost {:?}", choice.outpost.name)),
            Some(Err(error @ ApiError::NoOutpost { .. })) => Verdict::Fault(error.to_string()),
            Some(Err(ApiError::TokenInvalid { .. })) | None => after("AK201"),
            Some(Err(error)) => Verdict::Fault(said(error)),
        },
    },
    Check {
        code: "AK203",
        area: Area::Token,
        title: "the outpost is of type LDAP",
        why: "outposts of other types have no LDAP providers",
        fix: "Applications > Outposts: create one with Type: LDAP, and use its token",
        judge: |facts| match &facts.outpost {
            Some(Ok(choice)) => {
                let kind = &choice.outpost.kind;
                fault_if((kind != "ldap").then(|| format!("its type is {kind:?}")), "ldap")
            }
            _ => after("AK202"),
        },
    },
    Check {
        code: "AK204",
        area: Area::Token,
        title: "the token may read providers, users and groups",
        why: "what it may not read is missing from the directory",
        fix: "save the outpost in authentik once more, which gives its account the permissions again",
        judge: |facts| {
            let providers = facts
                .providers
                .as_ref()
                .and_then(|providers| providers.as_ref().err());
            let people = facts.people.as_ref().and_then(|people| people.as_ref().err());
            match providers.or(people) {
                Some(error) => Verdict::Fault(said(error)),
                None if facts.providers.is_none() => after("AK202"),
                None => Verdict::Well("it may".to_owned()),
            }
        },
    },
    Check {
        code: "AK205",
        area: Area::Token,
        title: "authentik's release is one this server was tested with",
        why: "older and newer releases may answer differently",
        fix: "update akldap or authentik; the releases tested are in docs/compatibility.md",
        judge: |facts| {
            let Some(release) = &facts.release else {
                return Verdict::NotSeen("authentik did not say".to_owned());
            };
            let mut numbers = release.split('.').map_while(|number| number.parse::<u32>().ok());
            let seen = format!("authentik {release}, akldap {}", env!("CARGO_PKG_VERSION"));
            match numbers.next().zip(numbers.next()) {
                Some(number) if (TESTED[0]..=TESTED[1]).contains(&number) => Verdict::Well(seen),
                _ => Verdict::Warning(seen),
            }
        },
    },
];

fn unreachable(facts: &Facts) -> Option<&Unreachable> {
    match &facts.first_call {
        Err(ApiError::Unreachable { cause, .. }) => Some(cause),
        _ => None,
    }
}

fn said(error: &ApiError) -> String {
    format!("{error}: {}", error.hint())
}

fn after(code: &str) -> Verdict {
    Verdict::NotSeen(format!("see {code} first"))
}
