//! The way to authentik, the token, and the outpost it stands for.

use std::time::SystemTime;

use akldap_authentik::ApiError;

use crate::check::cause::{
    code_of, code_of_list, code_of_release, first_fault, hidden_providers, not_reached, told_by, unseen_flow,
};
use crate::check::facts::{Facts, ListError};
use crate::check::verdict::{Area, Check, Verdict, after, fault_if, joined, said};

/// Seconds by which clocks may differ before codes and certificates are judged differently.
const CLOCK_TOLERANCE: i64 = 10;
/// Seconds after which one-time codes stop working.
const CLOCK_LIMIT: i64 = 60;
/// The releases of authentik whose answers were recorded, by year and month.
const TESTED: [(u32, u32); 2] = [(2025, 10), (2026, 5)];

pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "AK101",
        area: Area::Reach,
        title: "authentik's host name has an address",
        why: "without one nobody can log in and the directory goes out of date",
        fix: "correct the host in AUTHENTIK_HOST, or in HTTP_PROXY or HTTPS_PROXY if a proxy is named, or the resolver of this machine or container",
        judge: |facts| match (&facts.settings.proxy, &facts.addresses) {
            (None, Err(error)) => Verdict::Fault(error.clone()),
            (proxy, addresses) => match (not_reached(facts, "AK101"), addresses) {
                (Some(seen), _) => Verdict::Fault(seen),
                (None, Ok(addresses)) if proxy.is_none() => Verdict::Well(addresses.join(", ")),
                (None, _) => Verdict::NotSeen("the proxy looks the name up".to_owned()),
            },
        },
    },
    Check {
        code: "AK102",
        area: Area::Reach,
        title: "something listens there",
        why: "without a connection nobody can log in and the directory goes out of date",
        fix: "correct host and port in AUTHENTIK_HOST; if a proxy is named, correct HTTP_PROXY or HTTPS_PROXY, or name authentik's host in NO_PROXY; start authentik; allow the connection in firewalls and network policies; a proxy that asks for credentials (407) takes them from its variable: http://USER:PASSWORD@PROXY:PORT",
        judge: |facts| match (not_reached(facts, "AK102"), first_fault(facts)) {
            (Some(seen), _) => Verdict::Fault(seen),
            (None, Some(("AK101", _))) => after("AK101"),
            (None, _) => Verdict::Well(facts.settings.host.clone()),
        },
    },
    Check {
        code: "AK103",
        area: Area::Reach,
        title: "authentik's certificate is trusted",
        why: "the token and passwords go over this connection",
        fix: "name the CA with AUTHENTIK_LDAP__CA_FILE; use a host name that the certificate covers; renew it in authentik's reverse proxy; use the port that speaks https in AUTHENTIK_HOST, authentik's 9443",
        judge: |facts| match (first_fault(facts), told_by(facts, "AK103")) {
            (Some(("AK101" | "AK102", _)), _) => after("AK102"),
            (Some(("AK103", said)), _) | (_, Some(said)) => Verdict::Fault(said),
            // TLS may be what took so long.
            (Some(("AK108", _)), _) => after("AK108"),
            _ if !facts.settings.is_https => Verdict::NotSeen("AUTHENTIK_HOST is not https".to_owned()),
            _ => {
                let unchecked = "AUTHENTIK_INSECURE is set: it was not checked".to_owned();
                let problems = facts.settings.insecure.then_some(unchecked).into_iter();
                let problems = joined(problems.chain(date_problems(facts)));
                problems.map_or_else(
                    || Verdict::Well("chain, name and dates".to_owned()),
                    Verdict::Warning,
                )
            }
        },
    },
    Check {
        code: "AK104",
        area: Area::Reach,
        title: "authentik answers",
        why: "another service, a proxy's login page or a redirect in its place cannot answer requests",
        fix: "set AUTHENTIK_HOST to the final URL of authentik, including the path; let the outpost reach it past other proxies' logins; a proxy that asks for credentials (407) takes them from HTTP_PROXY: http://USER:PASSWORD@PROXY:PORT",
        judge: |facts| match &facts.first_call {
            Ok(()) | Err(ApiError::TokenInvalid { .. }) => Verdict::Well("its API".to_owned()),
            Err(_) => match first_fault(facts) {
                Some(("AK104", said)) => Verdict::Fault(said),
                other => after(other.map_or("AK104", |(code, _)| code)),
            },
        },
    },
    Check {
        code: "AK105",
        area: Area::Reach,
        title: "the clocks agree",
        why: "one-time codes, sessions and certificates depend on the time",
        fix: "synchronise this machine and authentik's by NTP",
        judge: |facts| {
            let Some(ahead) = facts.clock_ahead else {
                return match (&facts.users, first_fault(facts)) {
                    (Some(Ok(())), _) => Verdict::NotSeen("authentik did not say its time".to_owned()),
                    (Some(Err(failed)), _) => after(code_of_list(failed).unwrap_or("AK206")),
                    (None, Some((first, _))) => after(first),
                    (None, None) => after("AK202"),
                };
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
        title: "authentik is called with the scheme it expects",
        why: "over http, passwords can be read on the way; where a proxy does not forward the scheme, \
             authentik writes wrong links and cookies",
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
                (_, None) => match (
                    first_fault(facts),
                    facts.flows.iter().any(|flow| flow.first.is_ok()),
                ) {
                    (Some((first, _)), _) => after(first),
                    (None, false) => unseen_flow(facts),
                    (None, true) => Verdict::NotSeen("no flow set a session cookie".to_owned()),
                },
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
        code: "AK107",
        area: Area::Reach,
        title: "every answer from authentik can be used",
        why: "what authentik cannot answer is missing from the directory, or logins fail until it answers",
        fix: "see authentik's server log, and look for the request id in it if one is shown; look at its workers and database, and at the proxy in front of it",
        judge: |facts| told(facts, "AK107", "they are"),
    },
    Check {
        code: "AK108",
        area: Area::Reach,
        title: "authentik answers in time",
        why: "logins that wait too long fail, and the directory goes out of date",
        fix: "give authentik's server more workers, its database and its worker more resources; look at the timeouts of the proxy in front of it; for what is known to take long, raise AUTHENTIK_LDAP__REQUEST_TIMEOUT",
        judge: |facts| match (told_by(facts, "AK108"), facts.cut_short) {
            (None, Some(limit)) if facts.first_call.is_ok() => Verdict::Fault(format!(
                "the check was ended after {} s, as --wait says, with a request unanswered",
                limit.as_secs()
            )),
            _ => told(facts, "AK108", "it does"),
        },
    },
    Check {
        code: "AK109",
        area: Area::Reach,
        title: "authentik does not throttle requests",
        why: "requests that it throttles (429) fail or wait, and binds are answered busy (51)",
        fix: "raise throttle.default in authentik (AUTHENTIK_THROTTLE__DEFAULT) and rate limits of the proxy in front of it for this machine, or \
              lower AUTHENTIK_LDAP__MAX_CONCURRENT_FLOWS",
        judge: |facts| told(facts, "AK109", "it does"),
    },
    Check {
        code: "AK110",
        area: Area::Reach,
        title: "nothing answers in authentik's place",
        why: "a proxy, firewall or login page in front of authentik that answers some requests itself keeps them from authentik, whose API never saw \
              them",
        fix: "in the proxy or firewall in front of authentik, let this server's requests to /api/v3/ and /ws/outpost/ through, unchanged and \
              without a login of its own, and authentik's answers back with their bodies (nginx: proxy_intercept_errors off); or set \
              AUTHENTIK_HOST to authentik itself",
        judge: |facts| told(facts, "AK110", "nothing does"),
    },
    Check {
        code: "AK201",
        area: Area::Token,
        title: "authentik takes the token",
        why: "without it authentik shows this server nothing",
        fix: "Applications > Outposts > the outpost > View Deployment Info: copy the token to AUTHENTIK_TOKEN; if authentik says that \
              credentials were not provided, let the proxy in front of it pass the Authorization header on",
        judge: |facts| match (told_by(facts, "AK201"), &facts.outpost) {
            (Some(refused), _) => Verdict::Fault(refused),
            (None, None) => after(first_fault(facts).map_or("AK104", |(code, _)| code)),
            (None, Some(_)) => Verdict::Well("accepted".to_owned()),
        },
    },
    Check {
        code: "AK202",
        area: Area::Token,
        title: "the token belongs to an outpost",
        why: "another token shows nothing, or far too much",
        fix: "Applications > Outposts: create an outpost of type LDAP; copy the token from View Deployment Info",
        judge: |facts| match &facts.outpost {
            Some(Ok(choice)) if choice.visible > 1 => Verdict::Fault(format!(
                "the token sees {} outposts: it is a person's",
                choice.visible
            )),
            Some(Ok(choice)) => Verdict::Well(format!("outpost {:?}", choice.outpost.name)),
            Some(Err(error @ ApiError::NoOutpost { .. })) => Verdict::Fault(error.to_string()),
            None => after("AK201"),
            Some(Err(error)) => refused(error),
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
        title: "the token may read the outpost's LDAP providers",
        why: "without it there is no base DN, and nobody can log in",
        fix: "save the outpost in authentik once more, which gives its account the permission to view its providers",
        judge: |facts| match &facts.providers {
            None => after("AK202"),
            // An outpost without the permission is shown a list that lacks the provider.
            Some(Ok(_)) => {
                let hidden = hidden_providers(facts).into_iter();
                let forbidden = hidden.filter_map(|provider| {
                    let assigned = provider.assigned?;
                    let application = assigned.application()?;
                    Some(format!(
                        "authentik does not show the provider {:?} of the application {application:?}",
                        assigned.name
                    ))
                });
                fault_if(joined(forbidden), "it may")
            }
            Some(Err(error)) => refused(error),
        },
    },
    Check {
        code: "AK205",
        area: Area::Token,
        title: "authentik's release is one this server was tested with",
        why: "older and newer releases may answer differently",
        fix: "update akldap or authentik; the releases tested are in docs/compatibility.md",
        judge: |facts| {
            let release = match &facts.release {
                None => return after("AK202"),
                Some(Ok(release)) => release,
                Some(Err(error)) => {
                    return match code_of_release(error) {
                        None => Verdict::NotSeen(format!("authentik did not say: {}", said(error))),
                        Some(code) => after(code),
                    };
                }
            };
            let mut numbers = release.split('.').map_while(|number| number.parse::<u32>().ok());
            let seen = format!("authentik {release}, akldap {}", env!("CARGO_PKG_VERSION"));
            match numbers.next().zip(numbers.next()) {
                Some(number) if (TESTED[0]..=TESTED[1]).contains(&number) => Verdict::Well(seen),
                _ => Verdict::Warning(seen),
            }
        },
    },
    Check {
        code: "AK206",
        area: Area::Token,
        title: "the token may read users",
        why: "users that it may not read are missing from the directory",
        fix: "save the outpost in authentik once more, which gives its account the permission to view users",
        judge: |facts| match &facts.users {
            None => after("AK202"),
            // An outpost without the permission is shown an empty list, and its own account always
            // exists.
            Some(Ok(())) if facts.people.users == 0 => Verdict::Fault("authentik shows none".to_owned()),
            Some(Ok(())) => Verdict::Well("it may".to_owned()),
            Some(Err(failed)) => list_refused(failed),
        },
    },
    Check {
        code: "AK207",
        area: Area::Token,
        title: "the token may read groups",
        why: "groups that it may not read are missing from the directory, and from everybody's memberships",
        fix: "save the outpost in authentik once more, which gives its account the permission to view groups",
        judge: |facts| match &facts.groups {
            None => after("AK202"),
            Some(Ok(())) if facts.people.groups == 0 && facts.people.memberships > 0 => {
                Verdict::Fault(format!(
                    "authentik shows none, and {} memberships of users in groups",
                    facts.people.memberships
                ))
            }
            Some(Ok(())) if facts.people.groups == 0 => {
                Verdict::Warning("authentik shows none, which is right only if there are none".to_owned())
            }
            Some(Ok(())) => Verdict::Well("it may".to_owned()),
            Some(Err(failed)) => list_refused(failed),
        },
    },
];

/// What is wrong with the dates of the certificates that authentik shows, although they are accepted here.
fn date_problems(facts: &Facts) -> impl Iterator<Item = String> {
    let now = SystemTime::now();
    let problems = facts.shown.iter().flat_map(move |shown| shown.date_problems(now));
    problems.map(|problem| match problem.is_fault {
        true => format!(
            "{}: it is accepted here, and will be refused elsewhere",
            problem.told
        ),
        false => problem.told,
    })
}

/// What a check says that is about the answers of all calls.
fn told(facts: &Facts, code: &'static str, well: &str) -> Verdict {
    match (told_by(facts, code), first_fault(facts)) {
        (Some(seen), _) => Verdict::Fault(seen),
        (None, Some((first, _))) => after(first),
        (None, None) => Verdict::Well(well.to_owned()),
    }
}

/// A permission fault, unless something else was wrong.
fn refused(error: &ApiError) -> Verdict {
    code_of(error).map_or_else(|| Verdict::Fault(said(error)), after)
}

/// The same of a list. Whoever shows its first page does not refuse it.
fn list_refused(failed: &ListError) -> Verdict {
    match (failed.page, code_of_list(failed)) {
        (1, _) => refused(&failed.error),
        (page, code) => Verdict::Well(format!(
            "it may, but page {page} could not be used: see {}",
            code.unwrap_or("AK107")
        )),
    }
}
