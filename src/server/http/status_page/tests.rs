//! What the page says about made-up facts, including hostile ones, and to whom.

use std::time::{Duration, SystemTime};

use crate::metrics::{OperationPlan, RefreshKind, Refusals, RejectReason, SampleInterval, SlowSearch};

use super::facts::{LoadFacts, ProviderFacts, RefreshFacts};
use super::*;

const HOSTILE: &str = "</td></table><script>alert('x')</script><img src=x onerror=\"alert(1)\">&amp;";

fn working() -> StatusFacts {
    StatusFacts {
        version: "0.1.0",
        searches: true,
        binds: true,
        directory: LoadFacts {
            age: Some(Duration::from_secs(12)),
            ..LoadFacts::default()
        },
        providers: vec![ProviderFacts {
            name: "main".to_owned(),
            ..ProviderFacts::default()
        }],
        ..StatusFacts::default()
    }
}

#[test]
fn nothing_that_anybody_named_becomes_markup() {
    let facts = StatusFacts {
        outage: Some((Duration::from_secs(60), HOSTILE.to_owned())),
        providers: vec![ProviderFacts {
            name: HOSTILE.to_owned(),
            application: HOSTILE.to_owned(),
            base_dn: HOSTILE.to_owned(),
            ..ProviderFacts::default()
        }],
        certificates: vec![(HOSTILE.to_owned(), -3)],
        configuration: LoadFacts {
            failure: Some(HOSTILE.to_owned()),
            ..LoadFacts::default()
        },
        slow: vec![(
            SlowSearch {
                at: SystemTime::now(),
                took: Duration::from_secs(1),
                plan: OperationPlan::Scan,
                filter: HOSTILE.to_owned(),
                entries: 1,
            },
            Duration::ZERO,
        )],
        ..working()
    };
    let page = render(&facts);
    for mark in ["<script", "<img", "onerror=\"", "&amp;amp"] {
        assert_eq!(page.contains(mark), mark == "&amp;amp", "{mark}: {page}");
    }
    let shown = page
        .matches("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;")
        .count();
    // The certificate is on its tile, too.
    assert!(shown >= 7, "{shown}: {page}");
}

#[test]
fn a_long_name_leaves_room_for_the_rest() {
    let long = "long".repeat(5_000);
    let page = |name: &str| {
        render(&StatusFacts {
            providers: vec![ProviderFacts {
                name: name.to_owned(),
                base_dn: name.to_owned(),
                ..ProviderFacts::default()
            }],
            certificates: vec![(name.to_owned(), 3)],
            outage: Some((Duration::ZERO, name.to_owned())),
            ..working()
        })
        .len()
    };
    assert!(page(&long) < page("") + 2_000, "{}", page(&long));
}

#[test]
fn the_first_line_says_how_things_stand() {
    let banner = |facts: &StatusFacts| {
        let page = render(facts);
        let (_, rest) = page.split_once("<div class=\"banner ").unwrap();
        rest.split_once("</div>").unwrap().0.to_owned()
    };
    assert!(banner(&working()).starts_with("ok\"><strong>✔ Searches and logins work"));
    let away = StatusFacts {
        binds: false,
        outage: Some((Duration::from_secs(200), "no route to host".to_owned())),
        ..working()
    };
    let said = banner(&away);
    assert!(
        said.starts_with("warn\"><strong>! Searches work, new logins do not"),
        "{said}"
    );
    assert!(
        said.contains("authentik has been unreachable for 3 min: no route to host."),
        "{said}"
    );
    let nothing = StatusFacts {
        searches: false,
        binds: false,
        providers: Vec::new(),
        directory: LoadFacts::default(),
        ..working()
    };
    let said = banner(&nothing);
    assert!(
        said.starts_with("bad\"><strong>✘ Neither searches nor logins work"),
        "{said}"
    );
    assert!(said.contains("has not been loaded yet"), "{said}");
    assert!(
        !said.contains("No provider is served"),
        "nobody looked yet: {said}"
    );
    let unassigned = StatusFacts {
        configuration: working().directory,
        ..nothing
    };
    assert!(banner(&unassigned).contains("No provider is served"));
}

#[test]
fn a_first_load_shows_how_far_it_is_and_that_logins_work() {
    let progress = crate::outpost::status::Status::default();
    progress.load_progress().users_begun(1200, 48_000);
    let page = render(&StatusFacts {
        searches: false,
        directory: LoadFacts::default(),
        progress: progress.progress(),
        ..working()
    });
    for text in [
        "<title>! akldap</title>",
        "! Logins work, searches do not yet",
        "The directory is being loaded for the first time: reading users: 1200 of 48000.",
        "<b class=\"warn\">not yet</b>",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(!page.contains("Neither searches nor logins"), "{page}");
    let page = render(&StatusFacts {
        searches: false,
        directory: LoadFacts {
            failure: Some("status 500".to_owned()),
            ..LoadFacts::default()
        },
        ..working()
    });
    assert!(page.contains("✘ Logins work, searches do not<"), "{page}");
}

/// Without a token that is taken no provider is shown, whatever is assigned.
#[test]
fn the_token_is_named_before_what_it_shows() {
    let refused =
        "authentik refused the outpost token at https://authentik.example.org/: Token invalid/expired";
    let failed = LoadFacts {
        failure: Some(refused.to_owned()),
        ..LoadFacts::default()
    };
    let page = render(&StatusFacts {
        searches: false,
        binds: false,
        providers: Vec::new(),
        configuration: failed.clone(),
        directory: failed,
        ..working()
    });
    assert!(page.contains("The configuration could not be read: authentik refused the outpost token"));
    assert!(!page.contains("No provider is served"), "{page}");
}

#[test]
fn refusals_come_with_what_to_do() {
    let refusals = Refusals {
        reason: RejectReason::AccessDenied,
        count: 1234,
        last: SystemTime::now(),
    };
    let interval = SampleInterval {
        searches: 12.0,
        binds: 0.5,
        refused: 0.0,
        octets: 4096.0,
        search_time: Some(Duration::from_micros(100)),
        bind_time: None,
    };
    let page = render(&StatusFacts {
        refusals: vec![(refusals, Duration::from_secs(90))],
        intervals: vec![interval; 3],
        ..working()
    });
    for text in [
        "the application does not let the person in",
        "Policy / Group / User Bindings",
        "1\u{202f}234",
        "1 min ago",
        "12.0",
        "100 µs",
        "4.0 KiB",
        "class=\"line\"",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
}

/// `AKLDAP_WRITE_STATUS_PAGE=file.html cargo test --lib status_page` writes the page of a busy server, for a look and for the
/// picture in the documentation.
#[test]
fn a_busy_server_has_a_page_without_gaps() {
    let busy = busy();
    let page = render(&busy);
    if let Some(file) = std::env::var_os("AKLDAP_WRITE_STATUS_PAGE") {
        std::fs::write(file, &page).unwrap();
    }
    assert_eq!(page.matches("<svg ").count(), 6);
    assert_eq!(page.matches("class=\"line\"").count(), 6, "{page}");
    for title in [
        "Refused",
        "Slow searches",
        "Providers",
        "Read from authentik",
        "Certificates",
    ] {
        assert!(page.contains(title), "{title}");
    }
}

fn busy() -> StatusFacts {
    let wave =
        |number: u32| 1.0 + (f64::from(number) / 9.0).sin() * 0.4 + f64::from(number * 7919 % 13) / 40.0;
    let interval = |number| SampleInterval {
        searches: 30.0 * wave(number),
        binds: 0.8 * wave(number + 20),
        refused: if number == 90 { 0.4 } else { 0.0 },
        octets: 9000.0 * wave(number),
        search_time: Some(Duration::from_micros(if number % 5 == 0 { 250 } else { 100 })),
        bind_time: Some(Duration::from_millis(if number % 7 == 0 { 250 } else { 100 })),
    };
    let refusals = |reason, count, ago| {
        let last = SystemTime::now();
        (Refusals { reason, count, last }, Duration::from_secs(ago))
    };
    let read = LoadFacts {
        age: Some(Duration::from_secs(12)),
        ..LoadFacts::default()
    };
    let refresh = |kind, done, milliseconds| RefreshFacts {
        kind,
        done,
        failed: 0,
        usual: Some(Duration::from_millis(milliseconds)),
    };
    StatusFacts {
        uptime: Duration::from_secs(4 * 86_400),
        providers: vec![ProviderFacts {
            name: "LDAP".to_owned(),
            application: "directory".to_owned(),
            base_dn: "DC=ldap,DC=example,DC=org".to_owned(),
            bind_mode: "cached",
            has_certificate: true,
        }],
        certificates: vec![("ldap.example.org".to_owned(), 61)],
        configuration: read.clone(),
        directory: read,
        users: 12_480,
        groups: 310,
        octets: 32 << 20,
        refreshes: vec![
            refresh(RefreshKind::Configuration, 1152, 100),
            refresh(RefreshKind::Changes, 11_520, 50),
            refresh(RefreshKind::Full, 96, 5000),
        ],
        cached: 412,
        cache_part: Some(0.87),
        connections: 143,
        intervals: (0..120).map(interval).collect(),
        refusals: vec![
            refusals(RejectReason::InvalidCredentials, 1234, 20),
            refusals(RejectReason::AccessDenied, 7, 190),
        ],
        slow: vec![(
            SlowSearch {
                at: SystemTime::now(),
                took: Duration::from_millis(64),
                plan: OperationPlan::Scan,
                filter: "(&(objectClass=?)(|(cn=?*)(mail=*?*)))".to_owned(),
                entries: 310,
            },
            Duration::from_secs(720),
        )],
        ..working()
    }
}

fn answered(page: &StatusPage, peer: HttpPeer, name: &str) -> Response {
    let headers = HeaderMap::from_iter([(header::HOST, name.parse().unwrap())]);
    page.answer(peer, (&Uri::from_static("/"), &headers), working)
}

#[test]
fn the_page_is_for_this_machine_and_the_networks_that_are_named() {
    let status = |networks: &[&str], peer: Option<&str>| {
        let networks = networks.iter().map(|network| network.parse().unwrap()).collect();
        let peer = HttpPeer(peer.map(|address| address.parse().unwrap()));
        let page = StatusPage::new(networks, Vec::new());
        answered(&page, peer, "localhost").status().as_u16()
    };
    for peer in [
        None,
        Some("127.0.0.1"),
        Some("127.8.0.1"),
        Some("::1"),
        Some("::ffff:127.0.0.1"),
    ] {
        assert_eq!(status(&[], peer), 200, "{peer:?}");
    }
    for peer in ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1", "0.0.0.0"] {
        assert_eq!(status(&[], Some(peer)), 403, "{peer}");
    }
    for peer in ["10.1.2.3", "::ffff:10.1.2.3"] {
        assert_eq!(status(&["10.1.2.0/24", "2001:db8::/32"], Some(peer)), 200);
    }
    assert_eq!(status(&["10.1.2.0/24"], Some("10.1.3.1")), 403);
}

#[tokio::test]
async fn browsers_are_told_to_load_and_run_nothing() {
    let page = StatusPage::new(Vec::new(), Vec::new());
    let answer = answered(&page, HttpPeer(None), "localhost");
    let header = |name| answer.headers().get(name).unwrap().to_str().unwrap().to_owned();
    let policy = header(header::CONTENT_SECURITY_POLICY);
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(header(header::CACHE_CONTROL), "no-store");
    let page = render(&working());
    assert!(
        !page.contains(" style=") && !page.contains("http://") && !page.contains("https://"),
        "{page}"
    );
    assert!(page.contains("http-equiv=\"refresh\""));
}
