//! What stands between this server and authentik, and the certificate in files: each cause is told by its own code and words.

use std::net::SocketAddr;
use std::path::PathBuf;

use akldap::config::TlsFiles;
use akldap::outpost::certificates::CertificateTable;
use akldap_simulator::When;
use reqwest::Method;
use tokio::io::AsyncReadExt as _;

use super::*;

const HTML: &str = "<html><title>403 Forbidden</title>Blocked by the gateway</html>";

fn faults(report: &Report) -> Vec<&'static str> {
    let faults = report
        .findings
        .iter()
        .filter(|finding| matches!(finding.verdict, Verdict::Fault(_)));
    faults.map(check::Finding::code).collect()
}

fn files(certificate: &str, key: &str) -> TlsFiles {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("certs");
    TlsFiles {
        certificate: folder.join(certificate),
        key: folder.join(key),
    }
}

fn served_from(files: &TlsFiles, set_up: SetUp) -> SetUp {
    let [certificate, key] = [&files.certificate, &files.key].map(|path| path.display().to_string());
    set_up.with(&[
        ("AUTHENTIK_LDAP__TLS_CERTIFICATE_FILE", &certificate),
        ("AUTHENTIK_LDAP__TLS_KEY_FILE", &key),
    ])
}

/// What the server would not start with is a fault, and what it would serve is judged as a certificate of authentik's.
#[tokio::test]
async fn certificate_files_are_judged_as_the_server_reads_them() {
    let without = || SetUp::changed(|directory| change(directory, |provider| provider.certificate = None));
    for (code, files, set_up) in [
        (None, files("p256.pem", "p256.key"), without()),
        // What authentik has is not served then.
        (
            None,
            files("p256.pem", "p256.key"),
            SetUp::of(serving(sound(), pair("expired"))),
        ),
        (Some("AK404"), files("expired.pem", "expired.key"), without()),
        (Some("AK403"), files("p256.pem", "rsa2048.key"), without()),
        (Some("AK403"), files("p256.pem", "p256.pem"), without()),
        (Some("AK408"), files("p256.key", "p256.key"), without()),
        (Some("AK408"), files("none.pem", "p256.key"), without()),
        (Some("AK408"), files("p256.pem", "none.key"), without()),
        // A folder cannot be read as a file.
        (Some("AK408"), files("", "p256.key"), without()),
        (
            Some("AK405"),
            files("p256.pem", "p256.key"),
            SetUp::changed(|directory| {
                change(directory, |provider| {
                    provider.tls_server_name = "ldap.other.example".to_owned()
                })
            }),
        ),
    ] {
        let starts = CertificateTable::new(Some(&files)).is_ok();
        let report = served_from(&files, set_up).check(&[Area::Certificates]).await;
        assert_eq!(
            faults(&report),
            code.into_iter().collect::<Vec<_>>(),
            "{files:?}: {}",
            report.text()
        );
        assert!(!bad(&report).contains(&"AK401"), "{files:?}: {}", report.text());
        assert_eq!(
            starts,
            !matches!(code, Some("AK403" | "AK408")),
            "{files:?}: {}",
            report.text()
        );
        if let Some(code) = code.filter(|code| *code != "AK404") {
            let named = [&files.certificate, &files.key]
                .iter()
                .any(|path| report.text().contains(&path.display().to_string()));
            assert!(named, "{code} does not name the file: {}", report.text());
        }
    }
    // Files are on this machine: they are judged while authentik is away.
    let mut away = served_from(&files("expired.pem", "expired.key"), without());
    away.is_down = true;
    let report = away.check(&[Area::Certificates]).await;
    assert!(faults(&report).contains(&"AK404"), "{}", report.text());
}

/// A port that does not speak http. It answers a TLS client, and others, with these octets, and hangs up or not.
async fn port(to_tls: &'static [u8], to_others: &'static [u8], hangs_up: bool) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut first = [0; 4096];
                let length = stream.read(&mut first).await.unwrap_or_default();
                let is_tls = length > 0 && first[0] == 0x16;
                let _ = stream.write_all(if is_tls { to_tls } else { to_others }).await;
                if !hangs_up {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_port_of_another_protocol_is_named_with_what_it_speaks() {
    let stage = ServedStage::with(sound(), |_| {}).await;
    let alert: &[u8] = &[0x15, 3, 3, 0, 2, 2, 40];
    let tls_hangs_up = port(alert, b"", true).await;
    let tls_stays = port(alert, b"", false).await;
    let hangs_up = port(b"", b"", true).await;
    let silent = port(b"", b"", false).await;
    let http = port(b"", b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", false).await;
    for (scheme, address, code, words) in [
        (
            "http",
            tls_hangs_up,
            "AK104",
            "that port speaks TLS: write https://",
        ),
        ("http", tls_stays, "AK104", "that port speaks TLS: write https://"),
        ("http", hangs_up, "AK104", "write https://"),
        ("http", stage.ldap(), "AK104", "that port speaks LDAP"),
        ("http", stage.ldaps(), "AK104", "that port speaks LDAP"),
        (
            "https",
            http,
            "AK103",
            "that port speaks http without TLS: write http://",
        ),
        ("https", silent, "AK103", "write http://"),
        ("https", hangs_up, "AK103", "write http://"),
        ("https", stage.ldap(), "AK103", "that port speaks LDAP"),
        ("https", stage.ldaps(), "AK103", "that port speaks LDAP"),
    ] {
        let set_up = SetUp::set("AUTHENTIK_HOST", &format!("{scheme}://{address}")).with(&[
            ("AUTHENTIK_INSECURE", "true"),
            ("AUTHENTIK_LDAP__REQUEST_TIMEOUT", "4s"),
            ("AUTHENTIK_LDAP__CONNECT_TIMEOUT", "2s"),
        ]);
        let report = set_up.check(&[Area::Reach]).await;
        let text = report.text();
        assert_eq!(faults(&report), [code], "{scheme} {address}: {text}");
        assert!(text.contains(words), "{scheme} {address}: {text}");
    }
    // Whose certificate it is does not matter.
    let own = format!("https://{}", stage.ldaps());
    let report = SetUp::set("AUTHENTIK_HOST", &own).check(&[Area::Reach]).await;
    assert_eq!(faults(&report), ["AK103"], "{}", report.text());
    assert!(
        report.text().contains("that port speaks LDAP"),
        "{}",
        report.text()
    );
    // A caller that limits the time hears it, too.
    let mut set_up = SetUp::set("AUTHENTIK_HOST", &format!("http://{tls_stays}"));
    set_up.within = Some(Duration::from_secs(15));
    let report = set_up.check(&[Area::Reach]).await;
    assert_eq!(faults(&report), ["AK104"], "{}", report.text());
}

/// Refusals have a reason in JSON; a page is not authentik's verdict.
#[tokio::test]
async fn a_page_of_a_proxy_is_not_taken_for_a_refusal_of_authentik() {
    let paths = [
        ("/outposts/instances/", Area::Token),
        ("/outposts/ldap/?", Area::Token),
        ("/core/users/", Area::Token),
        ("/core/groups/", Area::Token),
        ("/view_certificate/", Area::Certificates),
        ("/view_private_key/", Area::Certificates),
        ("/flows/executor/", Area::Flows),
        ("/check_access/", Area::Account),
    ];
    for (index, (path, area)) in paths.into_iter().enumerate() {
        let answers = [
            Fault::Intercepted(401, "text/html", HTML),
            Fault::Intercepted(403, "text/html", HTML),
            Fault::Intercepted(404, "text/html", HTML),
            Fault::Intercepted(200, "text/html", HTML),
            Fault::Intercepted(403, "application/json", r#"{"message":"Forbidden"}"#),
        ];
        // Each path and each answer, though not each with each: units do that.
        for fault in [&answers[index % answers.len()], &answers[1]] {
            let report = SetUp::spoiled(Rule::new(path, fault.clone()))
                .check(&[Area::Reach, area])
                .await;
            let text = report.text();
            assert_eq!(faults(&report), ["AK110"], "{path} {fault:?}: {text}");
            assert!(
                text.contains("something in front of authentik") || text.contains("such as a proxy"),
                "{text}"
            );
        }
    }
    // authentik's own page is, and means what it says.
    let report = SetUp::spoiled(Rule::new(
        "/flows/executor/",
        Fault::Answer(404, "text/html", HTML),
    ))
    .check(&[Area::Reach, Area::Flows])
    .await;
    assert_eq!(faults(&report), ["AK501"], "{}", report.text());
    // Nothing that is needed is missing without the release.
    let report = SetUp::spoiled(Rule::new(
        "/admin/version/",
        Fault::Intercepted(403, "text/html", HTML),
    ))
    .check(&[Area::Reach, Area::Token])
    .await;
    assert!(report.is_well(), "{}", report.text());
}

/// By text and by JSON: status and URL, but nothing of what was sent.
#[tokio::test]
async fn what_an_answer_repeats_of_a_request_is_not_shown() {
    for (path, areas) in [
        ("/root/config/", &[Area::Reach][..]),
        ("/outposts/instances/", &[Area::Reach, Area::Token]),
        ("/core/users/", &[Area::Reach, Area::Token]),
        ("/flows/executor/", &[Area::Reach, Area::Account]),
        ("/check_access/", &[Area::Reach, Area::Account]),
    ] {
        for (status, kind) in [
            (403, "application/json"),
            (403, "text/html"),
            (500, "application/json"),
            (502, "text/html"),
            (200, "text/plain"),
        ] {
            let mut rule = Rule::new(path, Fault::Echoed(status, kind));
            if path == "/flows/executor/" {
                rule = rule.method(Method::POST);
            }
            let mut set_up = SetUp::spoiled(rule);
            set_up.account.1 = "Sesame \"open\" <1>".to_owned();
            if path == "/check_access/" {
                set_up.account.1 = format!("demo-{SERVICE}");
            }
            let token = set_up.directory.tokens.keys().next().cloned().expect("a token");
            let report = set_up.check(areas).await;
            let (text, json) = (report.text(), report.json());
            assert!(!faults(&report).is_empty(), "{path} {status} {kind}: {text}");
            let shown = format!("{text}{json}");
            for secret in [token.get(..12).unwrap_or(&token), "Sesame", "demo-ldapservice"] {
                assert!(!shown.contains(secret), "{path} {status} {kind}: {shown}");
            }
            if status != 200 && kind == "text/html" {
                assert!(
                    text.contains(&format!("status {status}")) && text.contains(path),
                    "{path} {status} {kind}: {text}"
                );
            }
        }
    }
}

#[tokio::test]
async fn each_refusal_of_the_websocket_is_named_by_its_cause() {
    for (code, fault) in [
        ("AK107", Fault::BadGateway),
        ("AK109", Fault::Answer(429, "text/plain", "slow down")),
        ("AK110", Fault::Intercepted(403, "text/html", HTML)),
        (
            "AK110",
            Fault::Intercepted(403, "application/json", r#"{"message":"Forbidden"}"#),
        ),
        (
            "AK110",
            Fault::Intercepted(403, "application/json", r#"{"detail":"Not allowed."}"#),
        ),
        ("AK110", Fault::Intercepted(403, "text/plain", "denied")),
        ("AK110", Fault::Intercepted(401, "text/html", HTML)),
        ("AK110", Fault::Intercepted(401, "application/json", "{}")),
        ("AK110", Fault::Moved("https://login.example/")),
        ("AK110", Fault::Intercepted(404, "text/html", HTML)),
        ("AK110", Fault::Intercepted(200, "text/html", HTML)),
        // authentik's own pages: it was asked for a page.
        ("AK801", Fault::Answer(404, "text/html", HTML)),
        ("AK801", Fault::Answer(200, "text/html", HTML)),
        ("AK801", Fault::Stripped("upgrade")),
        ("AK801", Fault::Intercepted(400, "text/html", HTML)),
        ("AK801", Fault::Answer(426, "text/plain", "")),
        ("AK802", Fault::Stripped("authorization")),
        ("AK802", Fault::Intercepted(403, "text/plain", "")),
    ] {
        let report = SetUp::spoiled(Rule::new("/ws/outpost/", fault.clone()))
            .check(&[Area::Events])
            .await;
        assert_eq!(faults(&report), [code], "{fault:?}: {}", report.text());
    }
}

/// authentik says 403 to whoever it does not know, and never 401.
#[tokio::test]
async fn a_demand_for_other_credentials_is_no_missing_permission() {
    let detail = r#"{"detail":"Unauthorized"}"#;
    for path in [
        "/outposts/instances/",
        "/outposts/ldap/?",
        "/core/users/",
        "/core/groups/",
    ] {
        for fault in [
            Fault::Intercepted(401, "application/json", detail),
            Fault::Answer(401, "application/json", detail),
        ] {
            let report = SetUp::spoiled(Rule::new(path, fault.clone()))
                .check(&[Area::Reach, Area::Token])
                .await;
            let text = report.text();
            assert_eq!(faults(&report), ["AK110"], "{path} {fault:?}: {text}");
            assert!(text.contains("demands its own credentials"), "{text}");
        }
    }
}

/// A redirect out of the flow, and one that does not end.
#[tokio::test]
async fn a_redirect_in_a_flow_is_told_as_what_it_is() {
    let login = Fault::Moved("https://login.example/");
    let round = format!("/api/v3/flows/executor/{FLOW}/?query=again");
    let round: &'static str = round.leak();
    let flow = || Rule::new("/flows/executor/", login.clone());
    for (code, what, rule) in [
        ("AK110", "https://login.example/", flow()),
        ("AK110", "https://login.example/", flow().method(Method::POST)),
        (
            "AK512",
            "the bind flow: ",
            Rule::new("/flows/executor/", Fault::Moved(round)),
        ),
    ] {
        let report = SetUp::spoiled(rule)
            .check(&[Area::Reach, Area::Flows, Area::Account])
            .await;
        assert_eq!(faults(&report), [code], "{}", report.text());
        assert!(report.text().contains(what), "{what}: {}", report.text());
    }
}

/// Set-Cookie arrives, and Cookie does not: the flow begins anew with each request.
#[tokio::test]
async fn a_cookie_that_does_not_come_back_is_not_taken_for_a_wrong_password() {
    for stages in [
        recommended(),
        vec![Stage::identification(), Stage::password(), Stage::login()],
    ] {
        let mut set_up = SetUp::of(with_stages(stages));
        set_up.rules = vec![Rule::new("", Fault::Stripped("cookie"))];
        let report = set_up.check(&[Area::Reach, Area::Flows, Area::Account]).await;
        let text = report.text();
        assert_eq!(faults(&report), ["AK509"], "{text}");
        assert!(
            text.contains("a proxy in between removes Cookie headers"),
            "{text}"
        );
    }
}

/// What is shown does not name another cause than the one told, nor something to look for that is not there.
#[tokio::test]
async fn no_hint_contradicts_the_code() {
    let users = |fault| SetUp::spoiled(Rule::new("/core/users/", fault));
    let large: &'static str = format!(r#"{{"capabilities":["{}"]}}"#, "x".repeat(5 << 20)).leak();
    let of_public = |fault| SetUp::spoiled(Rule::new("/root/config/", fault));
    let error = r#"{"component":"ak-stage-flow-error","error":"division by zero"}"#;
    for (code, set_up, never) in [
        // Something that is JSON is no page.
        (
            "AK107",
            users(Fault::Answer(200, "application/json", "{\"a\":")),
            "login page",
        ),
        ("AK107", users(page(100_000, 0, &[USER])), "login page"),
        ("AK107", users(Fault::Truncated), "login page"),
        // A proxy's page has no request id.
        (
            "AK107",
            users(Fault::Intercepted(502, "text/html", HTML)),
            "for the request id",
        ),
        ("AK107", users(Fault::WorkerLost), "login page"),
        (
            "AK511",
            SetUp::spoiled(Rule::new(
                "/flows/executor/",
                Fault::Answer(200, "application/json", error),
            )),
            "for the request id",
        ),
        // No list.
        (
            "AK104",
            of_public(Fault::Answer(200, "application/json", large)),
            "PAGE_SIZE",
        ),
    ] {
        let report = set_up.check(&[Area::Reach, Area::Token, Area::Flows]).await;
        let text = report.text();
        assert_eq!(faults(&report), [code], "{text}");
        let seen = text.lines().find(|line| line.contains(&format!("✘ {code}")));
        assert!(
            seen.is_some_and(|seen| !seen.contains(never)),
            "{never:?} is said: {text}"
        );
    }
    let with_id = users(Fault::Answer(502, "text/html", HTML))
        .check(&[Area::Reach])
        .await;
    assert!(
        with_id.text().contains("for the request id"),
        "{}",
        with_id.text()
    );
}

#[tokio::test]
async fn a_failing_question_for_the_release_is_a_fault_only_if_it_says_something_of_others() {
    for (code, fault) in [
        (None, Fault::BadGateway),
        (None, Fault::Reset),
        (None, Fault::Answer(200, "application/json", "{}")),
        (Some("AK109"), Fault::Answer(429, "application/json", "{}")),
    ] {
        let report = SetUp::spoiled(Rule::new("/admin/version/", fault.clone()))
            .check(&[Area::Reach, Area::Token])
            .await;
        let text = report.text();
        assert_eq!(
            faults(&report),
            code.into_iter().collect::<Vec<_>>(),
            "{fault:?}: {text}"
        );
        let words = match code {
            Some(_) => "authentik's release: ",
            None => "was tested with: authentik did not say: ",
        };
        assert!(text.contains(words), "{fault:?}: {text}");
    }
}

/// Which host is called by which way decides about what is named.
#[tokio::test]
async fn a_wrong_name_or_proxy_is_named_however_authentik_is_called() {
    const PROXIED: &str = "http://authentik.example.invalid";
    const LOST: &str = "http://no-such-proxy.invalid:3128";
    for (code, host, proxy, except, words) in [
        // Called directly in spite of the proxy.
        (
            "AK101",
            "https://no-such-host.invalid",
            "http://127.0.0.1:3128",
            ".invalid",
            "no-such-host.invalid: ",
        ),
        (
            "AK101",
            PROXIED,
            LOST,
            "",
            "the proxy http://no-such-proxy.invalid:3128 (HTTP_PROXY)",
        ),
        (
            "AK101",
            "https://authentik.example.invalid",
            LOST,
            "",
            "the proxy http://no-such-proxy.invalid:3128 (HTTPS_PROXY)",
        ),
        (
            "AK102",
            PROXIED,
            "http://127.0.0.1:1",
            "",
            "the proxy http://127.0.0.1:1 (HTTP_PROXY)",
        ),
    ] {
        let set_up = SetUp::set("AUTHENTIK_HOST", host).with(&[
            ("HTTP_PROXY", proxy),
            ("HTTPS_PROXY", proxy),
            ("NO_PROXY", except),
        ]);
        let report = set_up.check(&[Area::Reach]).await;
        let text = report.text();
        assert_eq!(faults(&report), [code], "{host} {proxy}: {text}");
        let told = text
            .lines()
            .any(|line| line.contains(&format!("✘ {code}")) && line.contains(words));
        assert!(told, "{host} {proxy}: {text}");
    }
}

/// A directory that would be empty is not well.
#[tokio::test]
async fn users_none_of_which_can_be_read_are_a_fault() {
    let unreadable = r#"{"pk":"nonsense","username":"two"}"#;
    let report = SetUp::spoiled(Rule::new("/core/users/", page(2, 0, &[unreadable; 2])))
        .check(&[Area::Directory])
        .await;
    assert_eq!(faults(&report), ["AK703"], "{}", report.text());
    assert!(
        report.text().contains("none of the users can: "),
        "{}",
        report.text()
    );
}

/// What is waited for is said as it was asked for.
#[tokio::test]
async fn the_limit_of_a_look_is_told_as_it_was_given() {
    let simulator = Simulator::start(sound(), Options::default())
        .await
        .expect("a simulator");
    simulator.faults().add(Rule::new("/root/config/", Fault::Hang));
    let output = Command::new(env!("CARGO_BIN_EXE_akldap"))
        .args(["check", "--wait", "1s", "--only", "token"])
        .env_clear()
        .env("AUTHENTIK_HOST", simulator.url())
        .env("AUTHENTIK_TOKEN", simulator.token())
        .stdin(Stdio::null())
        .output()
        .await
        .expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("not checked within 1 s"), "{text}");
}

#[tokio::test]
async fn a_later_page_that_fails_is_named() {
    let forbidden = r#"{"detail":"You do not have permission to perform this action."}"#;
    let invalid = r#"{"detail":"Invalid page."}"#;
    let areas = [Area::Reach, Area::Token, Area::Directory];
    for list in ["users", "groups"] {
        let second = format!("/core/{list}/?page=2&");
        for (status, body) in [(403, forbidden), (404, invalid)] {
            let mut set_up = SetUp::spoiled(Rule::new(
                &second,
                Fault::Answer(status, "application/json", body),
            ));
            set_up.largest_page = 2;
            let report = set_up.check(&areas).await;
            let text = report.text();
            assert_eq!(faults(&report), ["AK107"], "{second} {status}: {text}");
            assert!(
                text.contains(&format!("page 2 of the {list}"))
                    && text.contains("it may, but page 2 could not be used"),
                "{text}"
            );
        }
    }
}

/// Somebody was deleted while the list was read.
#[tokio::test]
async fn a_list_that_became_shorter_is_no_fault() {
    let mut set_up = SetUp::of(sound());
    set_up.largest_page = 2;
    let invalid = r#"{"detail":"Invalid page."}"#;
    let last = r#"{"pagination":{"next":0,"previous":0,"count":2,"current":1,"total_pages":1,"start_index":1,"end_index":2},"results":[]}"#;
    for list in ["users", "groups"] {
        let page = |number: u32, body, status| {
            let path = format!("/core/{list}/?page={number}&");
            Rule::new(&path, Fault::Answer(status, "application/json", body))
        };
        set_up.rules.push(page(2, invalid, 404));
        set_up.rules.push(page(1, last, 200).when(When::After(1)));
    }
    let report = set_up.check(&[Area::Reach, Area::Token, Area::Directory]).await;
    assert_eq!(faults(&report), [""; 0], "{}", report.text());
}
