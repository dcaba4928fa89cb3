//! This machine, and what this server is told.

use crate::check::facts::PortFacts;
use crate::check::verdict::{Area, Check, Verdict, fault_if, joined};

/// Open files besides those of connections: listeners, connections to authentik, logs.
const FURTHER_FILES: u64 = 128;

/// Pairs of ports of which one process can open only one.
fn twice(ports: &[PortFacts]) -> Vec<String> {
    let mut told = Vec::new();
    for (place, (name, address, _)) in ports.iter().enumerate() {
        for (other, taken, _) in ports.iter().take(place) {
            let (ip, taken_ip) = (address.ip(), taken.ip());
            let covers = ip == taken_ip
                || (ip.is_unspecified() || taken_ip.is_unspecified()) && ip.is_ipv4() == taken_ip.is_ipv4();
            if address.port() == taken.port() && address.port() != 0 && covers {
                told.push(format!("{name} {address} is the port of {other}, too"));
            }
        }
    }
    told
}

pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "AK901",
        area: Area::Machine,
        title: "the ports are free, or this server answers on them",
        why: "a port that another program uses cannot be opened, and nobody is served on one where nothing listens",
        fix: "start this server, stop the other program, or choose another address with AUTHENTIK_LISTEN__LDAP, __LDAPS or __METRICS; with --pre they must be free",
        judge: |facts| {
            let problems = facts.machine.ports.iter().filter_map(|(name, address, problem)| {
                Some(format!("{name} {address}: {}", problem.as_ref()?))
            });
            let problems = problems.chain(twice(&facts.machine.ports));
            let well = if facts.machine.is_before_start {
                "they are free"
            } else {
                "this server answers"
            };
            fault_if(joined(problems), well)
        },
    },
    Check {
        code: "AK902",
        area: Area::Machine,
        title: "enough files may be open",
        why: "each connection needs one",
        fix: "raise the hard limit (systemd: LimitNOFILE, Docker: --ulimit nofile), or lower AUTHENTIK_LDAP__MAX_CONNECTIONS",
        judge: |facts| {
            let connections = u64::try_from(facts.machine.max_connections).unwrap_or(u64::MAX);
            match facts.machine.open_files {
                None => Verdict::Well("no limit".to_owned()),
                Some(limit) => {
                    let seen = format!("{limit} files, {connections} connections");
                    if limit < connections.saturating_add(FURTHER_FILES) {
                        Verdict::Warning(seen)
                    } else {
                        Verdict::Well(seen)
                    }
                }
            }
        },
    },
    Check {
        code: "AK903",
        area: Area::Machine,
        title: "the load balancers are named",
        why: "by default every host in a private network can invent the addresses of clients with a PROXY protocol header",
        fix: "set AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS to your load balancers, or to none",
        judge: |facts| {
            if facts.settings.proxy_networks_set {
                Verdict::Well("AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS is set".to_owned())
            } else {
                Verdict::Warning("AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS is not set".to_owned())
            }
        },
    },
    Check {
        code: "AK904",
        area: Area::Machine,
        title: "every option has an effect",
        why: "a misspelt option has no effect",
        fix: "correct what is named; docs/options.md has all options",
        judge: |facts| {
            let warnings = joined(facts.settings.warnings.iter().cloned());
            warnings.map_or_else(|| Verdict::Well("nothing odd".to_owned()), Verdict::Warning)
        },
    },
];
