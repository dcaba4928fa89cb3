//! `akldap check`: broken set-ups of a simulated authentik, each named by its code, and the command's exit codes.

use std::process::Stdio;
use std::time::Duration;

use akldap::check::{self, Area, CheckRequest, Report, Verdict};
use akldap::config::{Config, StringMap};
use akldap_simulator::{Directory, Fault, Identification, Options, Rule, Simulator, Stage};
use akldap_testing::certificates::{pair, serving, with_second_provider};
use akldap_testing::scenery::{FLOW, LOGOUT, change, directory, recommended};
use akldap_testing::stage::{BASE, Stage as ServedStage, settings, user_dn};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

mod causes;
mod chains;
mod overlooked;

/// Whose login is tried unless something else is said.
const SERVICE: &str = "ldapservice";

fn sound() -> Directory {
    let mut directory = directory("cached", recommended());
    change(&mut directory, |provider| {
        provider.unbind_flow = Some(LOGOUT.to_owned())
    });
    serving(directory, pair("p256"))
}

fn with_stages(stages: Vec<Stage>) -> Directory {
    let mut directory = sound();
    let flow = akldap_simulator::Flow::new(FLOW, "Binds", stages);
    directory.flows.insert(FLOW.into(), flow);
    directory
}

/// A set-up: what authentik holds, who logs in, what is set, what goes wrong on the way.
struct SetUp {
    directory: Directory,
    account: (String, String),
    settings: Vec<(&'static str, String)>,
    rules: Vec<Rule>,
    largest_page: usize,
    is_down: bool,
    within: Option<Duration>,
}

impl SetUp {
    fn of(directory: Directory) -> Self {
        Self {
            directory,
            account: (user_dn(SERVICE), format!("demo-{SERVICE}")),
            settings: Vec::new(),
            rules: Vec::new(),
            largest_page: 100,
            is_down: false,
            within: None,
        }
    }

    fn changed(change: impl FnOnce(&mut Directory)) -> Self {
        let mut directory = sound();
        change(&mut directory);
        Self::of(directory)
    }

    fn bound_as(name: &str) -> Self {
        let mut set_up = Self::of(sound());
        set_up.account = (user_dn(name), format!("demo-{name}"));
        set_up
    }

    fn set(name: &'static str, value: &str) -> Self {
        Self::of(sound()).with(&[(name, value)])
    }

    fn with(mut self, settings: &[(&'static str, &str)]) -> Self {
        let settings = settings.iter();
        self.settings
            .extend(settings.map(|(name, value)| (*name, (*value).to_owned())));
        self
    }

    fn spoiled(rule: Rule) -> Self {
        let mut set_up = Self::of(sound());
        set_up.rules.push(rule);
        set_up
    }

    async fn check(self, areas: &[Area]) -> Report {
        let options = Options {
            max_page_size: self.largest_page,
            ..Options::default()
        };
        // The simulator names it by the outpost, which there may be none of.
        let token = self.directory.tokens.keys().next().cloned().expect("a token");
        let simulator = Simulator::start(self.directory, options)
            .await
            .expect("a simulator");
        for rule in self.rules {
            simulator.faults().add(rule);
        }
        let temporary = tempfile::tempdir().expect("a folder");
        let mut strings: StringMap = settings(&simulator, &temporary);
        strings.set("AUTHENTIK_TOKEN", token);
        for (name, value) in &self.settings {
            strings.set(*name, value);
        }
        if self.is_down {
            simulator.shutdown().await;
        }
        let config = Config::read(&strings).expect("a configuration");
        let request = CheckRequest {
            is_before_start: true,
            areas: areas.to_vec(),
            bind_dn: Some(self.account.0),
            within: self.within,
            list_limit: None,
        };
        let report = check::run(&config, &request, self.account.1.as_bytes()).await;
        report.expect("it looks")
    }
}

/// The codes that report something wrong.
fn bad(report: &Report) -> Vec<&'static str> {
    let bad = report
        .findings
        .iter()
        .filter(|finding| matches!(finding.verdict, Verdict::Fault(_) | Verdict::Warning(_)));
    bad.map(check::Finding::code).collect()
}

#[tokio::test]
async fn nothing_is_wrong_with_a_sound_set_up() {
    let set_up = SetUp::set("AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS", "none");
    let report = set_up.check(&[]).await;
    // The sample has a certificate that stands alone, since a root issued it, and names that need escaping.
    let meant = ["AK406", "AK706"];
    let mut others = bad(&report);
    others.retain(|code| !meant.contains(code));
    assert!(others.is_empty() && report.is_well(), "{}", report.text());
    for area in ["The way to authentik", "The given account", "This machine"] {
        assert!(report.text().contains(area), "{}", report.text());
    }
    assert!(report.text().contains("✔ AK602 it logs in"), "{}", report.text());
}

/// Every broken set-up with the code it must be named by.
fn broken() -> Vec<(&'static str, Area, SetUp)> {
    let provider = |change_it: fn(&mut akldap_simulator::Provider)| {
        SetUp::changed(|directory| change(directory, change_it))
    };
    let outpost = |change_it: fn(&mut akldap_simulator::Outpost)| {
        SetUp::changed(|directory| directory.outposts.values_mut().for_each(change_it))
    };
    let stages = |stages: Vec<Stage>| SetUp::of(with_stages(stages));
    let certificate = |certificate: &str, key: &str| {
        let mut pair = pair(certificate);
        pair.key_pem = akldap_testing::certificates::file(&format!("{key}.key"));
        SetUp::of(serving(sound(), pair))
    };
    let forbidden = |path| {
        let detail = r#"{"detail":"You do not have permission to perform this action."}"#;
        SetUp::spoiled(Rule::new(path, Fault::Answer(403, "application/json", detail)))
    };
    let broken_down = |path| {
        let page = "<html><h1>Server Error (500)</h1></html>";
        SetUp::spoiled(Rule::new(path, Fault::Answer(500, "text/html", page)))
    };
    let throttled = |path| {
        let detail = r#"{"detail":"Request was throttled."}"#;
        SetUp::spoiled(Rule::new(path, Fault::Answer(429, "application/json", detail)))
    };
    let error = r#"{"component":"ak-stage-flow-error","error":"division by zero","request_id":"abc"}"#;
    let failing_stage = SetUp::spoiled(Rule::new(
        "/flows/executor/",
        Fault::Answer(200, "application/json", error),
    ));
    let captcha = Stage::Identification(Identification {
        password: true,
        captcha: true,
        ..Identification::default()
    });
    let login_page = Fault::Answer(200, "text/html", "<html>Log in</html>");
    let mut small_pages = SetUp::of(sound());
    small_pages.largest_page = 5;
    let mut elsewhere = SetUp::of(sound());
    elsewhere.account.0 = "cn=ldapservice,dc=elsewhere".to_owned();
    let mut wrong_password = SetUp::of(sound());
    wrong_password.account.1 = "wrong".to_owned();
    let mut down = SetUp::of(sound());
    down.is_down = true;
    let mut totp = stages(vec![
        Stage::identification_with_password(),
        Stage::mfa(akldap_simulator::NotConfigured::Skip),
        Stage::login(),
    ]);
    totp.account = (user_dn("totp"), "demo-totp".to_owned());
    let same_base = || {
        let mut directory = with_second_provider(sound(), "second.example", pair("p256"));
        change(&mut directory, |provider| provider.base_dn = BASE.to_owned());
        SetUp::of(directory)
    };
    vec![
        (
            "AK101",
            Area::Reach,
            SetUp::set("AUTHENTIK_HOST", "http://no-such-host.invalid"),
        ),
        ("AK102", Area::Reach, down),
        (
            "AK104",
            Area::Reach,
            SetUp::spoiled(Rule::new("/root/config/", login_page)),
        ),
        (
            "AK201",
            Area::Token,
            SetUp::set("AUTHENTIK_TOKEN", "no-token-of-this-authentik"),
        ),
        (
            "AK202",
            Area::Token,
            SetUp::changed(|directory| directory.outposts.clear()),
        ),
        (
            "AK203",
            Area::Token,
            outpost(|outpost| outpost.kind = "proxy".to_owned()),
        ),
        ("AK204", Area::Token, forbidden("/outposts/ldap/")),
        ("AK206", Area::Token, forbidden("/core/users/")),
        ("AK207", Area::Token, forbidden("/core/groups/")),
        ("AK107", Area::Reach, broken_down("/core/users/")),
        ("AK107", Area::Reach, broken_down("/core/groups/")),
        ("AK107", Area::Reach, broken_down("/outposts/ldap/")),
        ("AK107", Area::Reach, broken_down("/root/config/")),
        ("AK107", Area::Account, broken_down("/check_access/")),
        ("AK109", Area::Reach, throttled("/core/groups/")),
        ("AK109", Area::Flows, throttled("/flows/executor/")),
        ("AK511", Area::Flows, failing_stage),
        ("AK605", Area::Account, forbidden("/check_access/")),
        ("AK402", Area::Certificates, forbidden("/view_certificate/")),
        ("AK407", Area::Certificates, forbidden("/view_private_key/")),
        (
            "AK301",
            Area::Providers,
            outpost(|outpost| outpost.providers.clear()),
        ),
        (
            "AK302",
            Area::Providers,
            provider(|provider| provider.application = None),
        ),
        (
            "AK303",
            Area::Providers,
            provider(|provider| provider.base_dn = "nonsense".to_owned()),
        ),
        ("AK304", Area::Providers, same_base()),
        (
            "AK401",
            Area::Certificates,
            provider(|provider| provider.certificate = None),
        ),
        ("AK403", Area::Certificates, certificate("p256", "rsa2048")),
        ("AK404", Area::Certificates, certificate("expired", "expired")),
        (
            "AK405",
            Area::Certificates,
            provider(|provider| provider.tls_server_name = "ldap.other.example".to_owned()),
        ),
        (
            "AK501",
            Area::Flows,
            provider(|provider| provider.bind_flow = "no-such-flow".to_owned()),
        ),
        (
            "AK502",
            Area::Flows,
            SetUp::changed(|directory| {
                if let Some(flow) = directory.flows.get_mut(FLOW) {
                    flow.denied = Some("not from here".to_owned());
                }
            }),
        ),
        (
            "AK503",
            Area::Flows,
            stages(vec![
                Stage::Captcha,
                Stage::identification_with_password(),
                Stage::login(),
            ]),
        ),
        ("AK504", Area::Flows, stages(vec![captcha, Stage::login()])),
        (
            "AK506",
            Area::Flows,
            provider(|provider| {
                provider.unbind_flow = Some("default-provider-invalidation-flow".to_owned());
            }),
        ),
        (
            "AK507",
            Area::Flows,
            stages(vec![
                Stage::identification_with_password(),
                Stage::Consent,
                Stage::login(),
            ]),
        ),
        (
            "AK508",
            Area::Flows,
            stages(vec![Stage::identification_with_password()]),
        ),
        ("AK510", Area::Flows, totp),
        ("AK601", Area::Account, elsewhere),
        ("AK602", Area::Account, wrong_password),
        ("AK603", Area::Account, SetUp::bound_as("mallory")),
        ("AK604", Area::Account, SetUp::bound_as("alice")),
        ("AK701", Area::Directory, small_pages),
        (
            "AK705",
            Area::Directory,
            SetUp::changed(|directory| {
                let bob = directory.user_named("bob").expect("bob").pk;
                // The number that alice has by a custom attribute.
                let attributes = serde_json::json!({ "uidNumber": 5001 });
                directory.change_user(bob, |user| {
                    user.set_attributes(attributes.as_object().expect("an object"))
                });
            }),
        ),
        (
            "AK801",
            Area::Events,
            SetUp::spoiled(Rule::new("/ws/outpost/", Fault::NotFound)),
        ),
        ("AK903", Area::Machine, SetUp::of(sound())),
        (
            "AK904",
            Area::Machine,
            SetUp::set("AUTHENTIK_LDAP__IDLE_TIMOUT", "5m"),
        ),
    ]
}

#[tokio::test]
async fn every_broken_set_up_is_named_by_its_code() {
    let broken = broken();
    assert!(broken.len() >= 12);
    let mut failures = Vec::new();
    for (code, area, set_up) in broken {
        let report = set_up.check(&[area]).await;
        if !bad(&report).contains(&code) {
            failures.push(format!("{code} is not named:\n{}", report.text()));
        }
        let text = report.text();
        if bad(&report).contains(&code)
            && !text.contains(&format!("docs/troubleshooting.md#{}", code.to_lowercase()))
        {
            failures.push(format!("{code} has no address:\n{text}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A cause is named once, by one code, and nothing that follows from it is at fault.
#[tokio::test]
async fn what_stands_in_the_way_is_the_only_fault() {
    for (code, path, status, body) in [
        (
            "AK605",
            "/check_access/",
            403,
            r#"{"detail":"Authentication credentials were not provided."}"#,
        ),
        ("AK605", "/check_access/", 404, r#"{"detail":"Not found."}"#),
        ("AK107", "/check_access/", 500, "{}"),
        ("AK109", "/check_access/", 429, "{}"),
        ("AK109", "/flows/executor/", 429, "{}"),
        (
            "AK501",
            "/flows/executor/",
            404,
            r#"{"detail":"No Flow matches the given query."}"#,
        ),
        ("AK107", "/root/config/", 502, "{}"),
        ("AK104", "/root/config/", 200, "{}"),
        ("AK104", "/root/config/", 200, r#"{"capabilities":[]}"#),
    ] {
        let rule = Rule::new(path, Fault::Answer(status, "application/json", body));
        let report = SetUp::spoiled(rule)
            .check(&[Area::Reach, Area::Flows, Area::Account])
            .await;
        assert_eq!(faults(&report), [code], "{path} {status}: {}", report.text());
        assert_eq!(
            report.text().matches("choose another flow").count(),
            usize::from(status == 404 && code == "AK501")
        );
    }
}

fn faults(report: &Report) -> Vec<&'static str> {
    let faults = report.findings.iter();
    faults
        .filter(|finding| matches!(finding.verdict, Verdict::Fault(_)))
        .map(check::Finding::code)
        .collect()
}

/// What a login meets first is told once, and what follows from it is not at fault.
#[tokio::test]
async fn one_obstacle_of_a_login_is_one_fault() {
    let stages = |stages: Vec<Stage>| SetUp::of(with_stages(stages));
    let captcha = Stage::Identification(Identification {
        password: true,
        captcha: true,
        ..Identification::default()
    });
    let second_factor = |mfa_support: bool| {
        let mut directory = with_stages(vec![
            Stage::identification_with_password(),
            Stage::mfa(akldap_simulator::NotConfigured::Skip),
            Stage::login(),
        ]);
        change(&mut directory, |provider| provider.mfa_support = mfa_support);
        let mut set_up = SetUp::of(directory);
        set_up.account = (user_dn("totp"), "demo-totp".to_owned());
        set_up
    };
    let denied = SetUp::changed(|directory| {
        if let Some(flow) = directory.flows.get_mut(FLOW) {
            flow.denied = Some("not from here".to_owned());
        }
    });
    let mut fails_at_once = stages(vec![Stage::password(), Stage::login()]);
    let error = r#"{"component":"ak-stage-flow-error","error":"nobody is pending","request_id":"abc"}"#;
    let answer = Fault::Answer(200, "application/json", error);
    fails_at_once.rules = vec![Rule::new("/flows/executor/", answer).method(reqwest::Method::POST)];
    let mut wrong_code = second_factor(true);
    wrong_code.account.1 = "demo-totp;000000".to_owned();
    for (what, code, set_up) in [
        (
            "a captcha in the Identification stage",
            "AK504",
            stages(vec![captcha, Stage::login()]),
        ),
        (
            "a captcha before it",
            "AK503",
            stages(vec![
                Stage::Captcha,
                Stage::identification_with_password(),
                Stage::login(),
            ]),
        ),
        ("no stage", "AK503", stages(Vec::new())),
        (
            "a password without a name",
            "AK503",
            stages(vec![Stage::password(), Stage::login()]),
        ),
        ("a denial", "AK502", denied),
        (
            "a consent",
            "AK507",
            stages(vec![
                Stage::identification_with_password(),
                Stage::Consent,
                Stage::login(),
            ]),
        ),
        (
            "no login",
            "AK508",
            stages(vec![Stage::identification_with_password()]),
        ),
        (
            "a password without a name, and an error of that stage",
            "AK503",
            fails_at_once,
        ),
        ("no code", "AK510", second_factor(true)),
        ("no codes taken", "AK510", second_factor(false)),
        ("a wrong code", "AK602", wrong_code),
    ] {
        let report = set_up.check(&[Area::Reach, Area::Flows, Area::Account]).await;
        assert_eq!(faults(&report), [code], "{what}: {}", report.text());
    }
}

/// A page of a list, with its count, the next page and its rows.
fn page(count: u64, next: u64, rows: &[&str]) -> Fault {
    let rows = rows.join(",");
    let page = format!(
        r#"{{"pagination":{{"next":{next},"previous":0,"count":{count},"current":1,"total_pages":9}},"results":[{rows}]}}"#
    );
    Fault::Answer(200, "application/json", page.leak())
}

const USER: &str = r#"{"pk":1,"username":"one","attributes":{}}"#;

/// What does not keep its promise is told, and at once.
#[tokio::test]
async fn a_list_that_does_not_hold_what_it_promises_is_at_fault() {
    for (path, what, page) in [
        (
            "/core/users/?",
            "arrived, then an empty page",
            page(100_000, 2, &[]),
        ),
        ("/core/users/?", "it announces another page", page(1, 2, &[USER])),
        (
            "/core/users/?",
            "it ends after 1 of the 100000 rows",
            page(100_000, 0, &[USER]),
        ),
        (
            "/core/groups/",
            "arrived, then an empty page",
            page(100_000, 2, &[]),
        ),
    ] {
        let report = SetUp::spoiled(Rule::new(path, page))
            .check(&[Area::Reach, Area::Token, Area::Directory])
            .await;
        assert_eq!(faults(&report), ["AK107"], "{path}: {}", report.text());
        assert!(report.text().contains(what), "{what}: {}", report.text());
    }
}

/// A row that cannot be read takes a place on its page like any other.
#[tokio::test]
async fn an_unreadable_row_is_not_taken_for_a_small_page() {
    let simulator_page = |rows: [&str; 3]| page(4, 2, &rows);
    let unreadable = r#"{"pk":"nonsense","username":"two"}"#;
    for (rows, expected) in [
        ([USER, USER, USER], &[][..]),
        ([USER, unreadable, USER], &["AK703"]),
    ] {
        let simulator = Simulator::start(sound(), Options::default())
            .await
            .expect("a simulator");
        let faults = simulator.faults();
        faults.add(Rule::new("/core/users/?page=1&", simulator_page(rows)));
        faults.add(Rule::new("/core/users/?page=2&", page(4, 0, &[USER])));
        let temporary = tempfile::tempdir().expect("a folder");
        let mut strings: StringMap = settings(&simulator, &temporary);
        strings.set("AUTHENTIK_LDAP__PAGE_SIZE", "3");
        let config = Config::read(&strings).expect("a configuration");
        let request = CheckRequest {
            areas: vec![Area::Directory],
            ..CheckRequest::default()
        };
        let report = check::run(&config, &request, b"").await.expect("it looks");
        let mut others = bad(&report);
        // The rows are all the same user, and groups of the sample need escaping.
        others.retain(|code| !["AK705", "AK706"].contains(code));
        assert_eq!(others, expected, "{}", report.text());
    }
}

/// Somebody who waits five seconds waits five seconds.
#[tokio::test]
async fn a_look_that_stalls_is_cut_short() {
    let mut set_up = SetUp::spoiled(Rule::new("/core/users/", Fault::Hang));
    set_up.within = Some(Duration::from_secs(2));
    let report = set_up.check(&[Area::Reach, Area::Token, Area::Directory]).await;
    assert!(report.is_cut_short, "{}", report.text());
    assert_eq!(bad(&report), ["AK108"], "{}", report.text());
    assert!(
        report.text().contains("the check was ended after 2 s"),
        "{}",
        report.text()
    );
    assert!(
        report
            .text()
            .contains("– AK702 rows arrive quickly: not checked within 2 s"),
        "{}",
        report.text()
    );
}

/// That something answers on a port does not say what it is.
#[tokio::test]
async fn a_port_is_ours_only_if_this_server_answers() {
    let stage = ServedStage::with(sound(), |_| {}).await;
    let stranger = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let elsewhere = stranger.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = stranger.accept().await {
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                .await;
        }
    });
    let temporary = tempfile::tempdir().expect("a folder");
    let request = CheckRequest {
        areas: vec![Area::Machine],
        ..CheckRequest::default()
    };
    let ports =
        async |ldap: std::net::SocketAddr, ldaps: std::net::SocketAddr, http: std::net::SocketAddr| {
            let mut strings = settings(&stage.simulator, &temporary);
            strings.set("AUTHENTIK_LISTEN__LDAP", ldap.to_string());
            strings.set("AUTHENTIK_LISTEN__LDAPS", ldaps.to_string());
            strings.set("AUTHENTIK_LISTEN__METRICS", http.to_string());
            let config = Config::read(&strings).expect("a configuration");
            let report = check::run(&config, &request, b"").await.expect("it looks");
            let of_ports = report.findings.iter().find(|finding| finding.code() == "AK901");
            format!("{:?}", of_ports.expect("AK901").verdict)
        };
    let (ldap, ldaps, http) = (stage.ldap(), stage.ldaps(), stage.http());
    assert_eq!(ports(ldap, ldaps, http).await, r#"Well("this server answers")"#);
    let theirs = ports(elsewhere, elsewhere, elsewhere).await;
    assert!(
        theirs.starts_with("Fault(") && theirs.matches("another program answers there").count() == 3,
        "{theirs}"
    );
}

#[tokio::test]
async fn a_port_that_another_program_has_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let report = SetUp::set("AUTHENTIK_LISTEN__LDAP", &address)
        .check(&[Area::Machine])
        .await;
    assert!(bad(&report).contains(&"AK901"), "{}", report.text());
}

#[tokio::test]
async fn the_command_says_well_faulty_or_not_looked() {
    let simulator = Simulator::start(sound(), Options::default())
        .await
        .expect("a simulator");
    let folder = tempfile::tempdir().expect("a folder");
    let password = folder.path().join("password");
    std::fs::write(&password, "demo-ldapservice\n").expect("a file");
    let password = password.to_str().expect("text");
    let dn = user_dn(SERVICE);
    let run = async |arguments: &[&str], token: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_akldap"));
        command
            .arg("check")
            .args(arguments)
            .env_clear()
            .stdin(Stdio::null());
        command
            .env("AUTHENTIK_HOST", simulator.url())
            .env("AUTHENTIK_TOKEN", token);
        let output = command.output().await.expect("it runs");
        let text = |octets| String::from_utf8(octets).expect("text");
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        for secret in ["demo-ldapservice", token] {
            assert!(
                token.is_empty() || !stdout.contains(secret) && !stderr.contains(secret),
                "{stdout}{stderr}"
            );
        }
        (output.status.code(), stdout, stderr)
    };
    let token = simulator.token();
    let areas = [
        "--only",
        "token",
        "--only",
        "account",
        "--bind-dn",
        &dn,
        "--password-file",
        password,
    ];
    let (code, stdout, stderr) = run(&areas, &token).await;
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
    assert!(
        stdout.contains("✔ AK604") && stdout.contains("faults: 0"),
        "{stdout}"
    );
    assert!(!stdout.contains("AK301"), "only what was asked for: {stdout}");

    let (code, stdout, _) = run(&["--only", "token", "--json"], "not-the-token").await;
    assert_eq!(code, Some(1), "{stdout}");
    let report: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(
        (&report["well"], &report["checks"][0]["code"]),
        (&false.into(), &"AK201".into())
    );
    assert_eq!(report["checks"][0]["result"], "fault");

    // What could not be looked at is not called well: what prevented it is reported, too.
    for area in [
        "account",
        "providers",
        "certificates",
        "flows",
        "directory",
        "events",
    ] {
        let (code, stdout, _) = run(&["--only", area], "not-the-token").await;
        assert_eq!(code, Some(1), "{area}: {stdout}");
        assert!(stdout.contains("✘ AK201"), "{area}: {stdout}");
    }

    let (code, stdout, stderr) = run(&[], "").await;
    assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
    for arguments in [
        &["--json"][..],
        &["--json", "--bind-dn", &dn, "--password-file", "/nonexistent"],
    ] {
        let token = if arguments.len() == 1 { "" } else { token.as_str() };
        let (code, stdout, stderr) = run(arguments, token).await;
        assert_eq!(code, Some(2), "{stderr}");
        let report: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
        assert_eq!(
            (&report["well"], &report["checks"]),
            (&serde_json::Value::Null, &serde_json::json!([]))
        );
        assert!(
            report["error"].as_str().is_some_and(|error| !error.is_empty()),
            "{stdout}"
        );
    }
    let (code, _, stderr) = run(&["--no-such-option"], &token).await;
    assert_eq!(code, Some(64), "{stderr}");
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "\n").expect("a file");
    let empty = empty.to_str().expect("text");
    let (code, stdout, stderr) = run(&["--bind-dn", &dn, "--password-file", empty], &token).await;
    assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
    assert!(stderr.contains("has no password in it"), "{stderr}");
    let (code, _, stderr) = run(&["--bind-dn", &dn, "--password-file", "/nonexistent"], &token).await;
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("/nonexistent"), "{stderr}");
}

/// The account is the one that a bind with this name would log in.
#[tokio::test]
async fn an_account_is_given_as_a_bind_takes_it() {
    for name in [SERVICE.to_owned(), user_dn(SERVICE).replacen("cn=", "uid=", 1)] {
        for strict in [false, true] {
            let mut set_up = SetUp::set(
                "AUTHENTIK_LDAP__STRICT_BIND_DN",
                if strict { "true" } else { "false" },
            );
            set_up.account.0.clone_from(&name);
            let report = set_up.check(&[Area::Account]).await;
            let verdict = report.findings.iter().find(|finding| finding.code() == "AK601");
            let verdict = verdict.map(|finding| &finding.verdict);
            let is_fault = matches!(verdict, Some(Verdict::Fault(_)));
            assert_eq!(
                (is_fault, report.is_well()),
                (strict, !strict),
                "{name}: {verdict:?}"
            );
        }
    }
}

/// The walk in docs/troubleshooting.md: six faults at once, and only what `check` names first is fixed, until all is well.
#[tokio::test]
async fn by_check_alone_six_faults_become_a_working_set_up() {
    let mut directory = with_stages(vec![Stage::identification_with_password()]);
    let application = directory
        .applications
        .keys()
        .next()
        .cloned()
        .expect("an application");
    let account = directory.user_named(SERVICE).expect("the account").pk;
    change(&mut directory, |provider| {
        provider.application = None;
        provider.bind_flow = "no-such-flow".to_owned();
    });
    directory.change_user(account, |user| user.is_active = false);
    for application in directory.applications.values_mut() {
        application.bindings = vec![akldap_simulator::Binding::Always(false)];
    }
    let simulator = Simulator::start(directory, Options::default())
        .await
        .expect("a simulator");
    let temporary = tempfile::tempdir().expect("a folder");
    let mut strings = settings(&simulator, &temporary);
    strings.set("AUTHENTIK_TOKEN", "copied-from-elsewhere");
    let request = CheckRequest {
        is_before_start: true,
        areas: Vec::new(),
        bind_dn: Some(user_dn(SERVICE)),
        within: None,
        list_limit: None,
    };
    let mut walk = Vec::new();
    loop {
        let config = Config::read(&strings).expect("a configuration");
        let report = check::run(&config, &request, b"demo-ldapservice")
            .await
            .expect("it looks");
        let mut faults = report
            .findings
            .iter()
            .filter(|finding| matches!(finding.verdict, Verdict::Fault(_)));
        let Some(first) = faults.next() else { break };
        assert!(walk.len() < 6, "{}", report.text());
        walk.push(first.code());
        match first.code() {
            "AK201" => strings.set("AUTHENTIK_TOKEN", simulator.token()),
            "AK302" => simulator.edit(|directory| {
                change(directory, |provider| {
                    provider.application = Some(application.clone())
                });
            }),
            "AK501" => {
                simulator.edit(|directory| change(directory, |provider| provider.bind_flow = FLOW.to_owned()))
            }
            "AK602" => assert!(simulator.set_active(account, true)),
            "AK508" => simulator.edit(|directory| {
                let flow = akldap_simulator::Flow::new(FLOW, "Binds", recommended());
                directory.flows.insert(FLOW.into(), flow);
            }),
            "AK603" => simulator.edit(|directory| {
                directory
                    .applications
                    .values_mut()
                    .for_each(|application| application.bindings.clear());
            }),
            other => panic!("{other} is unexpected: {}", report.text()),
        }
    }
    assert_eq!(walk, ["AK201", "AK302", "AK501", "AK602", "AK508", "AK603"]);
}
