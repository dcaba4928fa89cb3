use std::collections::BTreeSet;
use std::time::Duration;

use akldap_authentik::flow::{FirstStage, FlowError};
use akldap_authentik::{ApiError, Unreachable};

use super::*;
use crate::check::certificate::Certificate;
use crate::check::facts::{
    AccountFacts, CertificateFacts, Facts, FlowFacts, MachineFacts, People, SettingsFacts,
};
use crate::check::row::Verdict;

#[test]
fn codes_are_unique_in_order_and_explained_on_the_page() {
    let page = include_str!("../../../docs/troubleshooting.md");
    let codes: Vec<&str> = all().map(|check| check.code).collect();
    let unique: BTreeSet<&str> = codes.iter().copied().collect();
    assert_eq!(unique.len(), codes.len());
    assert!(codes.is_sorted(), "{codes:?}");
    for check in all() {
        let heading = format!("\n### {}\n", check.code);
        assert!(
            page.contains(&heading),
            "docs/troubleshooting.md has no section {}",
            check.code
        );
        assert!(
            page.contains(check.fix),
            "docs/troubleshooting.md does not have the fix of {}",
            check.code
        );
    }
}

/// A set-up in which these checks find nothing wrong.
fn facts() -> Facts {
    let certificate = Certificate {
        names: vec!["ldap.example.org".to_owned()],
        valid: (0, i64::MAX),
        is_in_order: true,
        ..Certificate::default()
    };
    let first = FirstStage {
        component: "ak-stage-identification".to_owned(),
        secure_cookie: Some(true),
        ..FirstStage::default()
    };
    Facts {
        settings: SettingsFacts {
            host: "https://authentik.example.org/".to_owned(),
            is_https: true,
            page_size: 100,
            proxy_networks_set: true,
            ..SettingsFacts::default()
        },
        addresses: Ok(vec!["192.0.2.1".to_owned()]),
        first_call: Ok(()),
        clock_ahead: Some(1),
        outpost: None,
        release: Some("2026.5.1".to_owned()),
        providers: None,
        certificates: vec![CertificateFacts {
            provider: "ldap".to_owned(),
            server_name: String::new(),
            certificate: Some(Ok(certificate)),
        }],
        flows: vec![FlowFacts {
            slug: "binds".to_owned(),
            first: Ok(first),
        }],
        account: Some(AccountFacts::default()),
        people: Some(Ok(People {
            users: 1000,
            first_page: 100,
            has_more_pages: true,
            took: Duration::from_millis(200),
            is_complete: true,
            ..People::default()
        })),
        events: Some(Ok(())),
        machine: MachineFacts {
            max_connections: 1000,
            open_files: Some(65_536),
            ..MachineFacts::default()
        },
    }
}

fn verdict(code: &str, facts: &Facts) -> Verdict {
    let check = all().find(|check| check.code == code);
    let check = check.unwrap_or_else(|| panic!("no check {code}"));
    (check.judge)(facts)
}

fn unreachable(cause: Unreachable) -> Result<(), ApiError> {
    let url = "https://authentik.example.org/".to_owned();
    Err(ApiError::Unreachable { url, cause })
}

/// What the simulator does not break, or that takes another machine: judged from facts.
#[test]
fn each_judgement_follows_from_facts_alone() {
    type Change = fn(&mut Facts);
    let faults: &[(&str, Change)] = &[
        ("AK101", |facts| facts.addresses = Err("no such host".to_owned())),
        ("AK102", |facts| {
            facts.first_call = unreachable(Unreachable::Refused)
        }),
        ("AK103", |facts| {
            facts.first_call = unreachable(Unreachable::UnknownAuthority)
        }),
        ("AK103", |facts| {
            facts.first_call = unreachable(Unreachable::WrongName("a".to_owned()))
        }),
        ("AK103", |facts| {
            facts.first_call = unreachable(Unreachable::Expired)
        }),
        ("AK105", |facts| facts.clock_ahead = Some(-90)),
        ("AK402", |facts| {
            for certificate in &mut facts.certificates {
                let url = String::new();
                certificate.certificate = Some(Err(ApiError::InvalidPage { url }));
            }
        }),
        ("AK509", |facts| {
            if let Some(account) = &mut facts.account {
                account.login = Some(Err(FlowError::CookieMissing));
            }
        }),
        ("AK801", |facts| facts.events = Some(Err("refused".to_owned()))),
    ];
    let warnings: &[(&str, Change)] = &[
        ("AK103", |facts| facts.settings.insecure = true),
        ("AK105", |facts| facts.clock_ahead = Some(30)),
        ("AK106", |facts| facts.settings.is_https = false),
        ("AK106", |facts| set_secure(facts, false)),
        ("AK205", |facts| facts.release = Some("2024.8.0".to_owned())),
        ("AK205", |facts| facts.release = Some("2031.2.0".to_owned())),
        ("AK406", |facts| {
            change_certificate(facts, |found| found.is_in_order = false)
        }),
        ("AK406", |facts| {
            change_certificate(facts, |found| found.lacks_intermediates = true)
        }),
        ("AK404", |facts| {
            let now = std::time::SystemTime::UNIX_EPOCH
                .elapsed()
                .expect("after 1970")
                .as_secs();
            let soon = i64::try_from(now).expect("this century") + 3 * 24 * 60 * 60;
            for facts in &mut facts.certificates {
                if let Some(Ok(found)) = &mut facts.certificate {
                    found.valid.1 = soon;
                }
            }
        }),
        ("AK701", |facts| {
            change_people(facts, |people| people.first_page = 20)
        }),
        ("AK702", |facts| {
            change_people(facts, |people| people.took = Duration::from_secs(2))
        }),
        ("AK703", |facts| {
            change_people(facts, |people| people.unreadable.push("user 5".to_owned()))
        }),
        ("AK706", |facts| {
            change_people(facts, |people| people.escaped = (1, "Doe, John".to_owned()))
        }),
        ("AK902", |facts| facts.machine.open_files = Some(1024)),
    ];
    for (code, change) in faults {
        assert!(
            !matches!(verdict(code, &facts()), Verdict::Fault(_) | Verdict::Warning(_)),
            "{code}"
        );
        let mut broken = facts();
        change(&mut broken);
        let found = verdict(code, &broken);
        assert!(matches!(found, Verdict::Fault(_)), "{code}: {found:?}");
    }
    for (code, change) in warnings {
        assert!(matches!(verdict(code, &facts()), Verdict::Well(_)), "{code}");
        let mut broken = facts();
        change(&mut broken);
        let found = verdict(code, &broken);
        assert!(matches!(found, Verdict::Warning(_)), "{code}: {found:?}");
    }
    let memory = verdict("AK704", &facts());
    assert!(
        matches!(&memory, Verdict::Well(seen) if seen.contains("1000 users") && seen.ends_with("15 MB")),
        "{memory:?}"
    );
    let mut inside = facts();
    for flow in &mut inside.flows {
        if let Ok(first) = &mut flow.first {
            first.asks_password = true;
        }
    }
    let lock_out = verdict("AK505", &inside);
    assert!(
        matches!(&lock_out, Verdict::NotSeen(seen) if seen.contains("not visible to an outpost")),
        "{lock_out:?}"
    );
}

fn set_secure(facts: &mut Facts, secure: bool) {
    for flow in &mut facts.flows {
        if let Ok(first) = &mut flow.first {
            first.secure_cookie = Some(secure);
        }
    }
}

fn change_certificate(facts: &mut Facts, change: fn(&mut Certificate)) {
    for facts in &mut facts.certificates {
        if let Some(Ok(found)) = &mut facts.certificate {
            change(found);
        }
    }
}

fn change_people(facts: &mut Facts, change: fn(&mut People)) {
    if let Some(Ok(people)) = &mut facts.people {
        change(people);
    }
}
