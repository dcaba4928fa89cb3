use std::collections::BTreeSet;
use std::time::Duration;

use akldap_authentik::events::Disconnect;
use akldap_authentik::flow::{FirstStage, FlowError};
use akldap_authentik::{ApiError, LdapProvider, OutpostChoice, Unreachable};

use super::*;
use crate::check::certificate::{Certificate, IssuerCertificate, Validity};
use crate::check::facts::{
    AccountFacts, CertificateFacts, CutOffList, Facts, FileFacts, FlowFacts, ListError, MachineFacts, People,
    SettingsFacts,
};
use crate::check::spoken::Spoken;
use crate::check::verdict::Verdict;

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
        valid: Validity {
            from: 0,
            until: i64::MAX,
        },
        issuers: Vec::new(),
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
        spoken: None,
        shown: None,
        clock_ahead: Some(1),
        outpost: None,
        release: Some(Ok("2026.5.1".to_owned())),
        providers: None,
        unreadable_providers: Vec::new(),
        base_in_container: Vec::new(),
        certificates: vec![CertificateFacts {
            provider: "ldap".to_owned(),
            server_name: String::new(),
            certificate: Some(Ok(certificate)),
            key: None,
        }],
        files: None,
        flows: vec![FlowFacts {
            slug: "binds".to_owned(),
            first: Ok(first),
        }],
        account_given: true,
        account: Some(AccountFacts::default()),
        users: Some(Ok(())),
        groups: Some(Ok(())),
        people: People {
            users: 1000,
            groups: 10,
            users_read: 1000,
            groups_read: 10,
            first_page: 100,
            has_more_pages: true,
            took: Duration::from_millis(200),
            ..People::default()
        },
        events: Some(Ok(())),
        machine: MachineFacts {
            max_connections: 1000,
            open_files: Some(65_536),
            ..MachineFacts::default()
        },
        memory: Some(4_000_000_000),
        cut_short: None,
    }
}

fn verdict(code: &str, facts: &Facts) -> Verdict {
    let check = all().find(|check| check.code == code);
    let check = check.unwrap_or_else(|| panic!("no check {code}"));
    (check.judge)(facts)
}

fn unreached(cause: Unreachable) -> ApiError {
    let url = "https://authentik.example.org/".to_owned();
    ApiError::Unreachable { url, cause }
}

fn unreachable(cause: Unreachable) -> Result<(), ApiError> {
    Err(unreached(cause))
}

/// Facts when nothing but this was seen.
fn nothing_but(first_call: Result<(), ApiError>) -> Facts {
    let mut facts = facts();
    facts.first_call = first_call;
    (facts.users, facts.groups, facts.events, facts.release) = (None, None, None, None);
    facts.flows.clear();
    facts.certificates.clear();
    facts.account = None;
    facts
}

/// By authentik.
fn answered(status: u16) -> ApiError {
    status_of(status, Some("No."), "")
}

/// By something else.
fn page(status: u16) -> ApiError {
    status_of(status, None, "<html>Blocked")
}

fn status_of(status: u16, detail: Option<&str>, excerpt: &str) -> ApiError {
    ApiError::Status {
        url: "https://authentik.example.org/api/v3/".to_owned(),
        status,
        request_id: None,
        detail: detail.map(str::to_owned),
        excerpt: excerpt.to_owned(),
        plain_text: false,
    }
}

fn list_error(page: u32, error: ApiError) -> Result<(), ListError> {
    Err(ListError { page, error })
}

fn faults(facts: &Facts) -> Vec<&'static str> {
    all()
        .filter(|check| matches!((check.judge)(facts), Verdict::Fault(_)))
        .map(|check| check.code)
        .collect()
}

/// A code without a test could say anything.
#[test]
fn every_code_is_tested() {
    let tests = concat!(
        include_str!("tests.rs"),
        include_str!("../../../tests/process/check.rs"),
        include_str!("../../../tests/process/check/overlooked.rs")
    );
    let untested: Vec<&str> = all()
        .map(|check| check.code)
        .filter(|code| !tests.contains(&format!("\"{code}\"")))
        .collect();
    assert_eq!(untested, [""; 0]);
}

/// A useless answer is not a question of permissions, and that advice would be wrong.
#[test]
fn a_server_in_trouble_is_not_taken_for_a_missing_permission() {
    for status in [500, 502, 503] {
        let mut facts = facts();
        facts.users = Some(list_error(1, answered(status)));
        facts.groups = Some(list_error(1, answered(status)));
        facts.providers = Some(Err(answered(status)));
        for code in ["AK204", "AK206", "AK207"] {
            assert_eq!(
                verdict(code, &facts),
                Verdict::NotSeen("see AK107 first".to_owned()),
                "{code}"
            );
        }
    }
}

/// What went wrong decides about the fix, whatever was asked for.
#[test]
fn each_cause_is_told_by_one_code_wherever_it_is_met() {
    let url = || "https://authentik.example.org/api/v3/".to_owned();
    let causes = [
        ("AK107", answered(500)),
        (
            "AK107",
            ApiError::Starting {
                url: url(),
                retry_after: None,
            },
        ),
        (
            "AK108",
            ApiError::TimedOut {
                url: url(),
                after: Duration::from_secs(60),
            },
        ),
        ("AK101", unreached(Unreachable::Dns("no such name".to_owned()))),
        ("AK102", unreached(Unreachable::Refused)),
        ("AK103", unreached(Unreachable::Expired)),
        (
            "AK109",
            ApiError::Throttled {
                url: url(),
                retry_after: None,
            },
        ),
    ];
    type Spoil = fn(&mut Facts, ApiError);
    let places: [(&str, Spoil); 14] = [
        ("first call", |facts, error| facts.first_call = Err(error)),
        ("outpost", |facts, error| facts.outpost = Some(Err(error))),
        ("providers", |facts, error| facts.providers = Some(Err(error))),
        ("release", |facts, error| facts.release = Some(Err(error))),
        ("users", |facts, error| facts.users = Some(list_error(1, error))),
        ("groups", |facts, error| facts.groups = Some(list_error(1, error))),
        ("further users", |facts, error| {
            facts.users = Some(list_error(2, error))
        }),
        ("further groups", |facts, error| {
            facts.groups = Some(list_error(2, error))
        }),
        ("certificate", |facts, error| {
            facts.certificates[0].certificate = Some(Err(error))
        }),
        ("key", |facts, error| facts.certificates[0].key = Some(error)),
        ("flow", |facts, error| facts.flows[0].first = Err(error.into())),
        ("login", |facts, error| {
            facts.account.as_mut().expect("one").login = Some(Err(error.into()))
        }),
        ("whose login", |facts, error| {
            facts.account.as_mut().expect("one").owner = Some(Err(error))
        }),
        ("access", |facts, error| {
            facts.account.as_mut().expect("one").access = Some(Err(error))
        }),
    ];
    for (code, cause) in causes {
        for (place, spoil) in places {
            let mut facts = facts();
            spoil(&mut facts, cause.clone());
            // Nothing needs the release: a server that cannot name it is otherwise well.
            let expected: &[&str] = match (place, code) {
                ("release", "AK107") => &[],
                _ => &[code],
            };
            assert_eq!(faults(&facts), expected, "{cause} at {place}");
            if expected.is_empty() {
                let seen = verdict("AK205", &facts);
                assert!(
                    matches!(&seen, Verdict::NotSeen(seen) if seen.contains(&cause.to_string())),
                    "{seen:?}"
                );
            }
        }
    }
    // A page or a redirect is nobody's verdict but a proxy's, wherever it is met after authentik itself was.
    let not_json = ApiError::Malformed {
        url: url(),
        problem: "it is a page".to_owned(),
        is_page: true,
        request_id: None,
    };
    // authentik's API never asks for credentials with a 401, whatever words come with it.
    for cause in [
        page(401),
        answered(401),
        page(403),
        page(404),
        page(302),
        page(407),
        not_json,
    ] {
        for (place, spoil) in places {
            let mut facts = facts();
            spoil(&mut facts, cause.clone());
            let expected = match place {
                "first call" => &["AK104"][..],
                "release" => &[],
                _ => &["AK110"],
            };
            assert_eq!(faults(&facts), expected, "{cause} at {place}");
            if place == "release" {
                let seen = verdict("AK205", &facts);
                assert!(matches!(seen, Verdict::NotSeen(_)), "{seen:?}");
            }
        }
    }
}

/// A redirect out of a flow is a proxy's, too.
#[test]
fn a_redirect_out_of_a_flow_is_told_as_one_of_a_proxy() {
    let error = || FlowError::ForeignRedirect {
        to: "https://login.example/".to_owned(),
    };
    type Place = fn(&mut Facts, FlowError);
    let places: [Place; 3] = [
        |facts, error| facts.flows[0].first = Err(error),
        |facts, error| facts.account.as_mut().expect("one").login = Some(Err(error)),
        |facts, error| facts.account.as_mut().expect("one").logged_out = Some(Err(error)),
    ];
    for spoil in places {
        let mut facts = facts();
        spoil(&mut facts, error());
        assert_eq!(faults(&facts), ["AK110"]);
        let seen = verdict("AK110", &facts);
        assert!(
            matches!(&seen, Verdict::Fault(seen) if seen.contains("https://login.example/")),
            "{seen:?}"
        );
    }
}

/// Whatever becomes of a login that begins with something it cannot answer.
#[test]
fn what_follows_from_an_obstacle_is_not_told_besides() {
    let provider: LdapProvider = serde_json::from_str(
        r#"{"pk":1,"name":"ldap","base_dn":"dc=x","bind_flow_slug":"binds","application_slug":"ldap"}"#,
    )
    .expect("a provider");
    let met = |component: &str, error: FlowError| {
        let mut facts = facts();
        let account = facts.account.as_mut().expect("one");
        account.provider = Some(Ok(provider.clone()));
        account.login = Some(Err(error));
        facts.flows[0].first.as_mut().expect("one").component = component.to_owned();
        facts
    };
    let failed = || FlowError::StageFailed {
        request_id: None,
        error: None,
    };
    let endless = || FlowError::TooManySteps { limit: 24 };
    let nobody = || FlowError::NotLoggedIn { to: "/".to_owned() };
    for (component, code) in [
        ("ak-stage-password", "AK503"),
        ("xak-flow-redirect", "AK503"),
        ("ak-stage-access-denied", "AK502"),
    ] {
        for error in [failed(), endless(), nobody()] {
            let facts = met(component, error.clone());
            assert_eq!(faults(&facts), [code], "{component}: {error}");
            let expected = Verdict::NotSeen(format!("see {code} first"));
            assert_eq!(verdict("AK602", &facts), expected, "{component}: {error}");
        }
        // Another cause is another.
        let away = FlowError::Api(answered(502));
        assert_eq!(faults(&met(component, away)), ["AK107", code], "{component}");
    }
    for (code, error) in [("AK511", failed()), ("AK512", endless()), ("AK508", nobody())] {
        let facts = met("ak-stage-identification", error);
        assert_eq!(faults(&facts), [code]);
    }
}

/// Whoever was shown the first page may read the list.
#[test]
fn a_later_page_that_fails_is_no_question_of_permissions() {
    for error in [
        answered(403),
        answered(404),
        ApiError::InvalidPage { url: String::new() },
    ] {
        for (code, what) in [("AK206", "users"), ("AK207", "groups")] {
            let mut facts = facts();
            let failed = Some(list_error(7, error.clone()));
            match what {
                "users" => facts.users = failed,
                _ => facts.groups = failed,
            }
            assert_eq!(faults(&facts), ["AK107"], "{error}");
            let (Verdict::Well(of_list), Verdict::Fault(told)) =
                (verdict(code, &facts), verdict("AK107", &facts))
            else {
                panic!("{code}: {error}");
            };
            assert!(
                of_list.contains("page 7") && of_list.contains("AK107"),
                "{of_list}"
            );
            assert!(told.contains(&format!("page 7 of the {what}")), "{told}");
            assert!(!told.contains("the token"), "{told}");
            assert_eq!(
                verdict("AK702", &facts),
                Verdict::NotSeen("see AK107 first".to_owned())
            );
        }
    }
}

#[test]
fn each_end_of_the_websocket_has_the_code_of_its_cause() {
    let refused = |status, is_foreign| Disconnect::Refused { status, is_foreign };
    for (code, cause) in [
        ("AK101", Disconnect::Unreachable(Unreachable::Dns(String::new()))),
        ("AK102", Disconnect::Unreachable(Unreachable::Refused)),
        ("AK103", Disconnect::Unreachable(Unreachable::Expired)),
        ("AK107", refused(500, false)),
        ("AK107", refused(502, false)),
        ("AK107", refused(503, false)),
        ("AK108", refused(408, false)),
        ("AK109", refused(429, false)),
        ("AK110", refused(200, true)),
        ("AK110", refused(302, true)),
        ("AK110", refused(401, true)),
        ("AK110", refused(403, true)),
        ("AK110", refused(404, true)),
        ("AK110", refused(407, true)),
        ("AK801", refused(200, false)),
        ("AK801", refused(400, false)),
        ("AK801", refused(404, false)),
        ("AK801", refused(426, false)),
        ("AK801", Disconnect::HandshakeTimeout),
        ("AK801", Disconnect::Closed { code: None }),
        ("AK801", Disconnect::Silent(Duration::from_secs(15))),
        ("AK802", refused(403, false)),
    ] {
        let mut facts = facts();
        facts.events = Some(Err(cause.clone()));
        let told: Vec<_> = all()
            .map(|check| (check.code, (check.judge)(&facts)))
            .filter(|(_, verdict)| matches!(verdict, Verdict::Fault(_)))
            .collect();
        let words = cause.to_string();
        if code < "AK801" {
            let expected = Verdict::NotSeen(format!("see {code} first"));
            assert_eq!(verdict("AK801", &facts), expected, "{cause}");
        }
        assert!(
            matches!(told.as_slice(), [(its, Verdict::Fault(seen))] if *its == code && seen.contains(&words)),
            "{code}: {told:?}"
        );
    }
}

/// What was seen on the port decides about the words.
#[test]
fn a_port_that_speaks_something_else_is_named() {
    let url = || "http://authentik.example.org/".to_owned();
    let interrupted = || ApiError::Interrupted {
        url: url(),
        cause: "closed".to_owned(),
    };
    let late = || ApiError::TimedOut {
        url: url(),
        after: Duration::from_secs(20),
    };
    let unreachable = |cause| ApiError::Unreachable { url: url(), cause };
    for (code, error, is_https, spoken, words) in [
        ("AK104", interrupted(), false, Some(Spoken::Tls), "write https://"),
        ("AK104", late(), false, Some(Spoken::Tls), "write https://"),
        ("AK104", interrupted(), false, Some(Spoken::Ldap), "speaks LDAP"),
        ("AK104", late(), false, Some(Spoken::Ldaps), "speaks LDAP"),
        (
            "AK104",
            interrupted(),
            false,
            Some(Spoken::Unknown),
            "write https://",
        ),
        ("AK107", interrupted(), false, Some(Spoken::Http), "web worker"),
        ("AK107", interrupted(), false, None, "write https://"),
        ("AK108", late(), false, Some(Spoken::Http), "overloaded"),
        ("AK108", late(), false, Some(Spoken::Unknown), "overloaded"),
        (
            "AK103",
            unreachable(Unreachable::ConnectTimeout),
            true,
            Some(Spoken::Http),
            "write http://",
        ),
        (
            "AK103",
            unreachable(Unreachable::ConnectTimeout),
            true,
            Some(Spoken::Unknown),
            "write http://",
        ),
        (
            "AK103",
            unreachable(Unreachable::Network("eof".to_owned())),
            true,
            Some(Spoken::Ldap),
            "speaks LDAP",
        ),
        (
            "AK102",
            unreachable(Unreachable::ConnectTimeout),
            true,
            None,
            "timed out",
        ),
        ("AK103", interrupted(), true, Some(Spoken::Ldaps), "speaks LDAP"),
        (
            "AK103",
            unreachable(Unreachable::UnknownAuthority),
            true,
            Some(Spoken::Ldaps),
            "speaks LDAP",
        ),
        (
            "AK103",
            unreachable(Unreachable::WrongName("a".to_owned())),
            true,
            Some(Spoken::Tls),
            "use a host name",
        ),
        // It spoke TLS a moment ago.
        (
            "AK103",
            unreachable(Unreachable::Expired),
            true,
            Some(Spoken::Unknown),
            "renew",
        ),
        ("AK103", late(), true, Some(Spoken::Http), "write http://"),
    ] {
        let mut facts = nothing_but(Err(error.clone()));
        facts.settings.is_https = is_https;
        facts.spoken = spoken;
        assert_eq!(faults(&facts), [code], "{error} {spoken:?}");
        let seen = verdict(code, &facts);
        assert!(
            matches!(&seen, Verdict::Fault(seen) if seen.contains(words)),
            "{error} {spoken:?}: {seen:?}"
        );
    }
}

/// Whatever prevents the first call is a fault: what was not seen cannot be called well.
#[test]
fn a_first_call_that_fails_is_a_fault_whatever_its_cause_and_the_way() {
    let url = || "https://authentik.example.org/api/v3/".to_owned();
    let mut causes = vec![
        answered(500),
        ApiError::TimedOut {
            url: url(),
            after: Duration::from_secs(20),
        },
        ApiError::Interrupted {
            url: url(),
            cause: "closed".to_owned(),
        },
        ApiError::Starting {
            url: url(),
            retry_after: None,
        },
        ApiError::TokenInvalid {
            url: url(),
            detail: "Token invalid/expired".to_owned(),
        },
        ApiError::Throttled {
            url: url(),
            retry_after: None,
        },
        ApiError::InvalidPage { url: url() },
        ApiError::Malformed {
            url: url(),
            problem: "it is a page".to_owned(),
            is_page: true,
            request_id: None,
        },
        ApiError::TooLarge { url: url(), limit: 1 },
        ApiError::NoOutpost { url: url() },
        ApiError::Settings("no".to_owned()),
    ];
    causes.extend([302, 400, 401, 403, 404, 407, 408, 413, 429, 502, 503].map(page));
    causes.extend(
        [
            Unreachable::Dns("no such name".to_owned()),
            Unreachable::Refused,
            Unreachable::Network("no route".to_owned()),
            Unreachable::ConnectTimeout,
            Unreachable::UnknownAuthority,
            Unreachable::WrongName("a".to_owned()),
            Unreachable::Expired,
            Unreachable::Tls("alert".to_owned()),
        ]
        .map(unreached),
    );
    for cause in causes {
        for proxy in [None, Some("http://proxy.example:3128 (HTTPS_PROXY)".to_owned())] {
            for addresses in [Ok(Vec::new()), Err("authentik.example.org: none".to_owned())] {
                let mut facts = nothing_but(Err(cause.clone()));
                facts.settings.proxy.clone_from(&proxy);
                facts.addresses = addresses;
                assert_ne!(
                    faults(&facts),
                    [""; 0],
                    "{cause}, {proxy:?}, {:?}",
                    facts.addresses
                );
            }
        }
    }
}

/// Through a proxy, it is the proxy that is looked up and connected to, and whatever comes back came through it.
#[test]
fn a_proxy_in_use_is_named_where_the_first_call_fails() {
    const PROXY: &str = "http://proxy.example:3128 (HTTPS_PROXY)";
    for (code, error) in [
        ("AK101", unreached(Unreachable::Dns("no such name".to_owned()))),
        ("AK102", unreached(Unreachable::Refused)),
        ("AK102", unreached(Unreachable::ConnectTimeout)),
        ("AK102", unreached(Unreachable::Network("tunnel".to_owned()))),
        ("AK103", unreached(Unreachable::UnknownAuthority)),
        ("AK104", page(403)),
        ("AK107", answered(502)),
    ] {
        for proxy in [None, Some(PROXY.to_owned())] {
            let mut facts = nothing_but(Err(error.clone()));
            facts.settings.proxy.clone_from(&proxy);
            assert_eq!(faults(&facts), [code], "{error}");
            let seen = verdict(code, &facts);
            let names_it = matches!(&seen, Verdict::Fault(seen) if seen.contains(PROXY));
            assert_eq!(names_it, proxy.is_some(), "{error}: {seen:?}");
        }
    }
    // Whoever has no address for authentik's name lets the proxy look.
    let mut facts = facts();
    facts.settings.proxy = Some(PROXY.to_owned());
    facts.addresses = Err("authentik.example.org: none".to_owned());
    let expected = Verdict::NotSeen("the proxy looks the name up".to_owned());
    assert_eq!(verdict("AK101", &facts), expected);
}

/// A token that did not arrive need not be copied again.
#[test]
fn a_header_that_was_dropped_is_not_taken_for_a_wrong_token() {
    let refused = |detail: &str| {
        let mut facts = facts();
        facts.outpost = Some(Err(ApiError::TokenInvalid {
            url: "https://authentik.example.org/api/v3/".to_owned(),
            detail: detail.to_owned(),
        }));
        match verdict("AK201", &facts) {
            Verdict::Fault(seen) => seen,
            other => panic!("{other:?}"),
        }
    };
    let dropped = refused("Authentication credentials were not provided.");
    assert!(
        dropped.contains("let the proxy in front of authentik pass the Authorization header on"),
        "{dropped}"
    );
    assert!(!dropped.contains("copy the token"), "{dropped}");
    let wrong = refused("Token invalid/expired");
    assert!(
        wrong.contains("copy the token") && !wrong.contains("Authorization"),
        "{wrong}"
    );
}

/// Somebody missing is not everybody missing.
#[test]
fn a_list_of_which_nothing_can_be_read_is_a_fault() {
    for (change, what) in [
        (
            (|people| people.users_read = 0) as fn(&mut People),
            "none of the users",
        ),
        (|people| people.groups_read = 0, "none of the groups"),
    ] {
        let mut facts = facts();
        facts.people.unreadable.push("row 5".to_owned());
        assert!(matches!(verdict("AK703", &facts), Verdict::Warning(_)));
        change(&mut facts.people);
        assert_eq!(faults(&facts), ["AK703"]);
        let seen = verdict("AK703", &facts);
        assert!(
            matches!(&seen, Verdict::Fault(seen) if seen.contains(what) && seen.contains("row 5")),
            "{seen:?}"
        );
    }
}

/// The certificate in files is judged as one of authentik's, and what authentik has does not matter then.
/// Clients look at every certificate on the way to a root they know.
#[test]
fn the_dates_of_issuers_count_too() {
    let day = 24 * 60 * 60;
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970");
    let now = i64::try_from(now.as_secs()).expect("this century");
    let with_issuer = |from, until, is_root| {
        let mut facts = facts();
        for found in &mut facts.certificates {
            if let Some(Ok(found)) = &mut found.certificate {
                found.issuers.push(IssuerCertificate {
                    subject: "CN=Intermediate".to_owned(),
                    valid: Validity { from, until },
                    is_authority: true,
                    is_root,
                });
            }
        }
        verdict("AK404", &facts)
    };
    let whose = "the certificate of its issuer CN=Intermediate";
    for (from, until, expected) in [
        (
            0,
            now - day + 3600,
            format!("Fault(\"\\\"ldap\\\": {whose} expired 23 hours ago\")"),
        ),
        (
            now + day,
            now + 9 * day,
            format!("Fault(\"\\\"ldap\\\": {whose} is not valid yet\")"),
        ),
        (
            0,
            now + 3 * day + 3600,
            format!("Warning(\"\\\"ldap\\\": {whose} has 3 days left\")"),
        ),
    ] {
        assert_eq!(format!("{:?}", with_issuer(from, until, false)), expected);
    }
    let root = with_issuer(0, now - day, true);
    assert!(
        matches!(&root, Verdict::Warning(seen) if seen.contains("CN=Intermediate, a root, expired")),
        "{root:?}"
    );
    assert!(matches!(with_issuer(0, now + 90 * day, false), Verdict::Well(_)));
}

#[test]
fn files_are_judged_in_place_of_authentiks_certificates() {
    let in_files = |change: fn(&mut Certificate)| {
        let mut facts = facts();
        let mut found = facts.certificates[0]
            .certificate
            .clone()
            .expect("one")
            .expect("read");
        change(&mut found);
        facts.certificates.clear();
        facts.files = Some(FileFacts {
            path: "/chain.pem".to_owned(),
            certificate: Ok(found),
        });
        facts
    };
    assert_eq!(faults(&in_files(|_| {})), [""; 0]);
    for (code, change) in [
        (
            "AK403",
            (|found| found.key_problem = Some("another's".to_owned())) as fn(&mut Certificate),
        ),
        ("AK404", |found| found.valid.until = 1),
        ("AK405", |found| found.names.clear()),
    ] {
        assert_eq!(faults(&in_files(change)), [code]);
    }
    let warned = verdict("AK406", &in_files(|found| found.lacks_intermediates = true));
    assert!(
        matches!(&warned, Verdict::Warning(seen) if seen.contains("/chain.pem")),
        "{warned:?}"
    );
    let mut missing = in_files(|_| {});
    missing.files = Some(FileFacts {
        path: "/chain.pem".to_owned(),
        certificate: Err("cannot read /chain.pem".to_owned()),
    });
    assert_eq!(faults(&missing), ["AK408"]);
    assert!(matches!(verdict("AK401", &missing), Verdict::Well(_)));
    assert_eq!(
        verdict("AK404", &missing),
        Verdict::NotSeen("see AK408 first".to_owned())
    );
}

#[test]
fn a_flow_that_goes_round_is_not_taken_for_a_lost_cookie() {
    let mut facts = facts();
    facts.account.as_mut().expect("one").login = Some(Err(FlowError::TooManySteps { limit: 30 }));
    assert!(matches!(verdict("AK512", &facts), Verdict::Fault(_)));
    for code in ["AK509", "AK508", "AK602"] {
        assert!(!matches!(verdict(code, &facts), Verdict::Fault(_)), "{code}");
    }
    for (error, words) in [
        (FlowError::CookieMissing, "removes Set-Cookie headers"),
        (FlowError::CookieDropped, "removes Cookie headers"),
    ] {
        facts.account.as_mut().expect("one").login = Some(Err(error));
        assert_eq!(
            verdict("AK602", &facts),
            Verdict::NotSeen("see AK509 first".to_owned())
        );
        let told = verdict("AK509", &facts);
        assert!(
            matches!(&told, Verdict::Fault(seen) if seen.contains(words)),
            "{told:?}"
        );
    }
}

/// What comes first is named, not what was well.
#[test]
fn what_could_not_be_seen_names_the_check_that_failed() {
    let mut facts = facts();
    facts.providers = Some(Err(answered(403)));
    facts.certificates.clear();
    facts.flows.clear();
    facts.people.users = 0;
    for (code, first) in [("AK401", "AK204"), ("AK501", "AK204"), ("AK702", "AK206")] {
        let expected = Verdict::NotSeen(format!("see {first} first"));
        assert_eq!(verdict(code, &facts), expected, "{code}");
    }
}

/// What the simulator does not break, or what needs another machine: judged from facts.
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
        ("AK107", |facts| facts.groups = Some(list_error(1, answered(500)))),
        ("AK107", |facts| facts.providers = Some(Err(answered(502)))),
        ("AK204", |facts| facts.providers = Some(Err(answered(403)))),
        ("AK206", |facts| facts.users = Some(list_error(1, answered(403)))),
        ("AK206", |facts| facts.people.users = 0),
        ("AK207", |facts| facts.groups = Some(list_error(1, answered(403)))),
        ("AK407", |facts| {
            facts
                .certificates
                .iter_mut()
                .for_each(|facts| facts.key = Some(answered(403)))
        }),
        ("AK801", |facts| {
            facts.events = Some(Err(Disconnect::HandshakeTimeout))
        }),
    ];
    let warnings: &[(&str, Change)] = &[
        ("AK103", |facts| facts.settings.insecure = true),
        ("AK105", |facts| facts.clock_ahead = Some(30)),
        ("AK106", |facts| facts.settings.is_https = false),
        ("AK106", |facts| set_secure(facts, false)),
        ("AK205", |facts| facts.release = Some(Ok("2024.8.0".to_owned()))),
        ("AK207", |facts| facts.people.groups = 0),
        ("AK205", |facts| facts.release = Some(Ok("2031.2.0".to_owned()))),
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
                    found.valid.until = soon;
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
        ("AK705", |facts| {
            change_people(facts, |people| {
                let one = ("uidNumber", 2001, "one".to_owned(), "two".to_owned());
                people.same_numbers.push(one);
            })
        }),
        ("AK707", |facts| {
            change_people(facts, |people| {
                let one = ("uidNumber", 5, "one".to_owned(), "2000-2999".to_owned());
                people.outside_range.push(one);
            })
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
        matches!(&memory, Verdict::Well(seen) if seen.contains("1000 users") && seen.contains("about 15 MB, of 4000 MB")),
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
        matches!(&lock_out, Verdict::NotSeen(seen) if seen.contains("an outpost cannot see")),
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
    change(&mut facts.people);
}

#[test]
fn an_account_that_was_given_is_not_asked_for() {
    let mut facts = facts();
    facts.account = None;
    for (given, told) in [(true, "could not be checked"), (false, "give --bind-dn")] {
        facts.account_given = given;
        let unseen: Vec<String> = all()
            .filter_map(|check| match (check.judge)(&facts) {
                Verdict::NotSeen(seen)
                    if seen.contains("--bind-dn") || seen.contains("could not be checked") =>
                {
                    Some(seen)
                }
                _ => None,
            })
            .collect();
        assert!(unseen.len() >= 5, "{unseen:?}");
        assert!(unseen.iter().all(|seen| seen.contains(told)), "{unseen:?}");
    }
}

/// Nobody knows what is in rows that did not come.
#[test]
fn what_was_not_read_is_not_called_well() {
    let mut facts = facts();
    facts.people.cut_off.push(CutOffList {
        what: "users",
        received: 7500,
        listed: 20_000,
        within: Duration::from_secs(60),
    });
    let told = "not looked at beyond 7500 of 20000 users within 60 s";
    for code in ["AK703", "AK705", "AK706", "AK707", "AK708"] {
        let seen = verdict(code, &facts);
        assert!(
            matches!(&seen, Verdict::NotSeen(seen) if seen.starts_with(told)),
            "{code}: {seen:?}"
        );
    }
    facts.people.unreadable.push("user 5".to_owned());
    let seen = verdict("AK703", &facts);
    assert!(
        matches!(&seen, Verdict::Warning(seen) if seen.starts_with("user 5; ") && seen.ends_with(told)),
        "{seen:?}"
    );
}

#[test]
fn a_directory_is_measured_against_the_memory_there_is() {
    let of = |users, memory| {
        let mut facts = facts();
        (facts.people.users, facts.memory) = (users, memory);
        verdict("AK704", &facts)
    };
    assert!(matches!(
        of(1_000_000_000, Some(24_000_000_000)),
        Verdict::Fault(_)
    ));
    assert!(matches!(of(1_000_000, Some(1_000_000_000)), Verdict::Warning(_)));
    assert!(matches!(of(1_000_000, Some(2_000_000_000)), Verdict::Well(_)));
    assert!(matches!(of(1_000_000_000, None), Verdict::Well(_)));
}

/// An outpost with these providers, each with the slug of its application.
fn outpost(providers: &[(i64, &str, Option<&str>)]) -> Option<Result<OutpostChoice, ApiError>> {
    let assigned = providers.iter().map(|(pk, name, application)| {
        serde_json::json!({ "pk": pk, "name": name, "assigned_application_slug": application })
    });
    let pks: Vec<i64> = providers.iter().map(|(pk, ..)| *pk).collect();
    let outpost = serde_json::json!({
        "pk": "o", "type": "ldap", "providers": pks, "providers_obj": assigned.collect::<Vec<_>>(),
    });
    Some(Ok(OutpostChoice {
        outpost: serde_json::from_value(outpost).expect("an outpost"),
        visible: 1,
        warnings: Vec::new(),
    }))
}

/// authentik shows a list without what may not be seen, and refuses nothing.
#[test]
fn a_provider_that_is_not_shown_lacks_a_permission_or_an_application() {
    let mut facts = facts();
    facts.certificates.clear();
    facts.flows.clear();
    facts.providers = Some(Ok(Vec::new()));
    for (application, code, words) in [
        (
            Some("mail"),
            "AK204",
            "the provider \"people\" of the application \"mail\"",
        ),
        (None, "AK302", "the provider \"people\" has none"),
    ] {
        facts.outpost = outpost(&[(7, "people", application)]);
        assert_eq!(faults(&facts), [code]);
        let seen = verdict(code, &facts);
        assert!(
            matches!(&seen, Verdict::Fault(seen) if seen.contains(words)),
            "{seen:?}"
        );
        let first = Verdict::NotSeen(format!("see {code} first"));
        for later in ["AK303", "AK401", "AK501"] {
            assert_eq!(verdict(later, &facts), first, "{later}");
        }
    }
    // One that is shown, but not so that it could be read, lacks neither.
    facts.unreadable_providers.push(akldap_authentik::RowWarning {
        kind: "provider",
        name: Some("people".to_owned()),
        pk: Some("7".to_owned()),
        field: None,
        problem: "base_dn is null".to_owned(),
        row_skipped: true,
    });
    assert_eq!(faults(&facts), ["AK303"]);
}

#[test]
fn names_of_this_server_and_containers_are_no_base_dns() {
    let provider = |base: &str| -> LdapProvider {
        serde_json::from_value(serde_json::json!({
            "pk": 1, "name": base, "base_dn": base, "bind_flow_slug": "binds", "application_slug": "ldap",
        }))
        .expect("a provider")
    };
    for (base, is_fault) in [
        ("dc=x", false),
        ("cn=monitor,dc=x", false),
        ("CN=Monitor", true),
        ("ou=a,cn=monitor", true),
        ("cn=subschema", true),
    ] {
        let mut facts = facts();
        facts.providers = Some(Ok(vec![provider(base)]));
        assert_eq!(
            matches!(verdict("AK303", &facts), Verdict::Fault(_)),
            is_fault,
            "{base}"
        );
    }
    let mut facts = facts();
    facts.providers = Some(Ok(vec![provider("dc=x")]));
    facts.base_in_container = vec![("inner".to_owned(), "outer".to_owned())];
    assert_eq!(faults(&facts), ["AK304"]);
}

#[test]
fn one_port_is_not_opened_twice() {
    let ports = |one: &str, two: &str| {
        let mut facts = facts();
        let port = |name, address: &str| (name, address.parse().expect("an address"), None);
        facts.machine.ports = vec![port("LDAP", one), port("LDAPS", two)];
        verdict("AK901", &facts)
    };
    for (one, two) in [
        ("127.0.0.1:389", "127.0.0.1:389"),
        ("0.0.0.0:389", "127.0.0.1:389"),
        ("[::1]:389", "[::]:389"),
    ] {
        let seen = ports(one, two);
        assert!(
            matches!(&seen, Verdict::Fault(seen) if seen.contains("the port of LDAP, too")),
            "{seen:?}"
        );
    }
    for (one, two) in [
        ("127.0.0.1:389", "127.0.0.1:636"),
        ("127.0.0.1:389", "127.0.0.2:389"),
        ("0.0.0.0:389", "[::]:389"),
        ("127.0.0.1:0", "127.0.0.1:0"),
    ] {
        assert!(matches!(ports(one, two), Verdict::Well(_)), "{one} {two}");
    }
}

/// What was not asked for cannot be missing from an answer.
#[test]
fn what_was_not_asked_names_what_stood_in_the_way() {
    let mut facts = nothing_but(unreachable(Unreachable::Refused));
    facts.clock_ahead = None;
    for code in ["AK105", "AK106"] {
        let expected = Verdict::NotSeen("see AK102 first".to_owned());
        assert_eq!(verdict(code, &facts), expected, "{code}");
    }
    facts.first_call = Ok(());
    facts.users = Some(list_error(1, answered(500)));
    assert_eq!(
        verdict("AK105", &facts),
        Verdict::NotSeen("see AK107 first".to_owned())
    );
    facts.users = Some(Ok(()));
    assert!(
        matches!(verdict("AK105", &facts), Verdict::NotSeen(seen) if seen.contains("did not say its time"))
    );
}

#[test]
fn memberships_prove_that_there_are_groups() {
    let mut facts = facts();
    facts.people.groups = 0;
    assert!(matches!(verdict("AK207", &facts), Verdict::Warning(_)));
    facts.people.memberships = 3;
    assert!(matches!(verdict("AK207", &facts), Verdict::Fault(_)));
}

/// The first call needs no permission, so its refusal is not about the token.
#[test]
fn a_refusal_of_the_first_call_is_not_blamed_on_the_token() {
    let facts = nothing_but(Err(answered(403)));
    let seen = verdict("AK104", &facts);
    assert!(
        matches!(&seen, Verdict::Fault(seen) if seen.contains("in front of authentik") && !seen.contains("token")),
        "{seen:?}"
    );
}

/// The class of the device decides what can be done about it.
#[test]
fn no_code_is_advised_where_none_is_taken() {
    let told = |offered: &str, code_given| {
        let offered = vec![offered.to_owned()];
        akldap_authentik::flow::Rejection::NoCompatibleAuthenticator { offered, code_given }.to_string()
    };
    assert!(told("totp", false).contains("append ;code"));
    for class in ["webauthn", "sms"] {
        let told = told(class, false);
        assert!(told.contains("enrol TOTP") && !told.contains(";code"), "{told}");
    }
}

/// Credentials are part of the variable that names the proxy.
#[test]
fn a_proxy_that_wants_credentials_is_told_how_it_gets_them() {
    for (code, error) in [
        ("AK104", page(407)),
        ("AK102", unreached(Unreachable::Network("tunnel".to_owned()))),
    ] {
        assert_eq!(faults(&nothing_but(Err(error))), [code]);
        let check = all().find(|check| check.code == code).expect("a check");
        assert!(
            check.fix.contains("(407)") && check.fix.contains("USER:PASSWORD@"),
            "{code}"
        );
    }
}
