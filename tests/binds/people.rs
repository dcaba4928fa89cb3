//! Second factors and stages that no LDAP client can pass: one attempt, one clear answer, and no push or code too
//! many.

use std::time::Duration;

use akldap_simulator::{
    Device, DeviceKind, DuoOutcome, Fault, Identification, NotConfigured, Options, Rule, Simulator,
    Stage as FlowStage, StageBinding, When, demo_secrets, totp_code,
};

use akldap_testing::captured_log::Log;
use akldap_testing::client::Outcome;
use akldap_testing::scenery::{FLOW, assert_disconnected, directory, flow_requests, of, recommended};
use akldap_testing::stage::{Stage, eventually, user_dn};

fn with_second_factor() -> Vec<FlowStage> {
    vec![
        FlowStage::identification_with_password(),
        FlowStage::mfa(NotConfigured::Deny),
        FlowStage::login(),
    ]
}

async fn with_devices(mode: &str, devices: Vec<Device>) -> Stage {
    let mut directory = directory(mode, with_second_factor());
    let alice = directory.user_named("alice").unwrap().pk;
    directory.devices.insert(alice, devices);
    of(directory, &[]).await
}

fn ask_for_no_second_factor(stage: &Stage) {
    stage.simulator.edit(|directory| {
        let flow = directory.flows.get_mut(FLOW).unwrap();
        flow.stages = recommended().into_iter().map(StageBinding::new).collect();
    });
}

fn phone(outcome: DuoOutcome) -> Device {
    Device::new(7, DeviceKind::Duo(outcome))
}

/// The line of the log under the reference that the client was told.
fn cause(log: &Log, outcome: &Outcome) -> String {
    let (_, reference) = outcome.message.split_once("(reference ").expect("a reference");
    let reference = reference.trim_end_matches(')');
    let text = log.text();
    let mut lines = text.lines().filter(|line| line.contains(reference));
    let line = lines.next().expect("a line").to_owned();
    assert!(line.contains("reference="), "{line}");
    line
}

/// Bodies of the answers to the authenticator stage.
fn factors(stage: &Stage) -> Vec<String> {
    let all = stage.simulator.requests().all();
    let bodies = all
        .iter()
        .map(|request| String::from_utf8_lossy(&request.body).into_owned());
    bodies
        .filter(|body| body.contains("ak-stage-authenticator-validate"))
        .collect()
}

#[tokio::test]
async fn duo_is_pushed_when_no_code_is_given() {
    for (outcome, code) in [
        (DuoOutcome::Accept(Duration::from_millis(50)), 0),
        (DuoOutcome::Deny(Duration::from_millis(50)), 49),
        (DuoOutcome::TimeOut(Duration::from_millis(50)), 49),
    ] {
        let stage = with_devices("direct", vec![phone(outcome)]).await;
        stage.simulator.requests().clear();
        assert_eq!(
            stage.bind(&user_dn("alice"), "demo-alice").await.code,
            code,
            "{outcome:?}"
        );
        let factors = factors(&stage);
        assert_eq!(factors.len(), 1);
        assert!(factors[0].contains("\"duo\":7"), "{factors:?}");
    }
}

#[tokio::test]
async fn a_code_is_used_before_any_push() {
    let secrets = demo_secrets();
    let devices = vec![
        phone(DuoOutcome::Accept(Duration::ZERO)),
        Device::totp(1, &secrets.totp_key),
    ];
    let stage = with_devices("direct", devices).await;
    let code = totp_code(&secrets.totp_key, stage.simulator.now());
    stage.simulator.requests().clear();
    assert_eq!(
        stage
            .bind(&user_dn("alice"), &format!("demo-alice;{code}"))
            .await
            .code,
        0
    );
    assert_eq!(
        stage
            .bind(&user_dn("alice"), &format!("demo-alice;{code}"))
            .await
            .code,
        49,
        "used up"
    );
    for body in factors(&stage) {
        assert!(body.contains("\"code\"") && !body.contains("\"duo\""), "{body}");
    }
    // With a phone only, a code is no reason to push.
    let (log, _listening) = Log::listen();
    let stage = with_devices("direct", vec![phone(DuoOutcome::Accept(Duration::ZERO))]).await;
    stage.simulator.requests().clear();
    let outcome = stage.bind(&user_dn("alice"), "demo-alice;123456").await;
    assert_eq!((outcome.code, factors(&stage).len()), (49, 0), "{outcome:?}");
    assert!(cause(&log, &outcome).contains("duo"), "{outcome:?}");
}

#[tokio::test]
async fn without_a_fitting_device_the_log_names_those_there_are() {
    let (log, _listening) = Log::listen();
    let devices = vec![
        Device::new(1, DeviceKind::WebAuthn),
        Device::new(2, DeviceKind::Sms),
    ];
    let stage = with_devices("direct", devices).await;
    stage.simulator.requests().clear();
    let outcome = stage.bind(&user_dn("alice"), "demo-alice").await;
    assert_eq!(outcome.code, 49);
    assert!(cause(&log, &outcome).contains("sms, webauthn"), "{outcome:?}");
    assert!(
        outcome.message.starts_with("this login needs a second factor"),
        "{outcome:?}"
    );
    assert!(factors(&stage).is_empty(), "no message is sent");
    let outcome = stage.bind(&user_dn("bob"), "demo-bob").await;
    assert_eq!(outcome.code, 49, "{outcome:?}");
    assert!(
        cause(&log, &outcome).contains("No (allowed) MFA authenticator configured"),
        "{outcome:?}"
    );
    assert!(
        outcome.message.starts_with("authentik denies this login ("),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn equal_binds_with_a_code_use_it_once_and_polling_with_it_works() {
    let secrets = demo_secrets();
    let stage = with_devices("cached", vec![Device::totp(1, &secrets.totp_key)]).await;
    let password = format!(
        "demo-alice;{}",
        totp_code(&secrets.totp_key, stage.simulator.now())
    );
    stage.simulator.requests().clear();
    let dn = user_dn("alice");
    for outcome in futures_util::future::join_all((0..30).map(|_| stage.bind(&dn, &password))).await {
        assert_eq!(outcome.code, 0, "{outcome:?}");
    }
    assert_eq!(stage.bind(&dn, &password).await.code, 0);
    assert_eq!(factors(&stage).len(), 1);
}

/// Waits until the directory shows a user as active or not.
async fn shown(stage: &Stage, pk: i32, active: bool) {
    let outpost = stage.server.outpost();
    eventually("the directory shows it", || {
        outpost.directory().snapshot().is_some_and(|snapshot| {
            let user = snapshot.user_by_pk(pk.into());
            user.is_some_and(|user| snapshot.user(user).unwrap().is_active == active)
        })
    })
    .await;
}

#[tokio::test]
async fn the_first_login_of_whom_the_directory_shows_otherwise_is_kept() {
    let secrets = demo_secrets();
    let mut directory = directory("cached", with_second_factor());
    let alice = directory.user_named("alice").unwrap().pk;
    directory
        .devices
        .insert(alice, vec![Device::totp(1, &secrets.totp_key)]);
    let stage = of(directory, &[("REFRESH_DELTA_INTERVAL", "0")]).await;
    let twice = async |name: &str, password: &str| {
        let first = stage.bind(&user_dn(name), password).await;
        assert_eq!(first.code, 0, "{name}: {first:?}");
        stage.simulator.requests().clear();
        let again = stage.bind(&user_dn(name), password).await;
        (again.code, flow_requests(&stage.simulator))
    };
    // Inactive in the directory, and active again in authentik.
    stage.simulator.set_active(alice, false);
    stage.server.outpost().refresh_requests().all();
    shown(&stage, alice, false).await;
    stage.simulator.set_active(alice, true);
    let password = format!(
        "demo-alice;{}",
        totp_code(&secrets.totp_key, stage.simulator.now())
    );
    assert_eq!(twice("alice", &password).await, (0, 0));

    // Renamed, and new. A password's date shows that it is older than the login.
    ask_for_no_second_factor(&stage);
    let bob = stage.simulator.user_pk("bob").unwrap();
    stage.simulator.rename_user(bob, "robert");
    assert_eq!(twice("robert", "demo-robert").await, (0, 0));
    let create = |name: &str, from_now: i64| {
        let pk = stage.simulator.create_user(name, "Fresh", "");
        stage.simulator.set_password(pk, "pw");
        stage
            .simulator
            .save_user(pk, |user| user.password_change_date += from_now * 1_000_000);
    };
    create("fresh", -60);
    assert_eq!(twice("fresh", "pw").await, (0, 0));
    // One that was changed when the login was under way may be another than what was proved.
    create("changed", 60);
    let (code, requests) = twice("changed", "pw").await;
    assert!(code == 0 && requests > 0, "{requests}");
}

#[tokio::test]
async fn a_question_about_a_login_waits_as_long_as_authentik_asks() {
    let stage = with_devices("cached", vec![Device::totp(1, &demo_secrets().totp_key)]).await;
    let code = totp_code(&demo_secrets().totp_key, stage.simulator.now());
    let throttled = Fault::Answer(429, "application/json", r#"{"detail":"Request was throttled."}"#);
    let rule = Rule::new("/check_access/", throttled).when(When::First(1));
    stage.simulator.faults().add(rule);
    let outcome = stage.bind(&user_dn("alice"), &format!("demo-alice;{code}")).await;
    assert_eq!(outcome.code, 0, "the code is not spent for nothing: {outcome:?}");
}

#[tokio::test]
async fn a_password_that_only_looks_like_one_with_a_code_is_tried_whole() {
    let stage = with_devices("direct", vec![]).await;
    ask_for_no_second_factor(&stage);
    let alice = stage.simulator.user_pk("alice").unwrap();
    stage.simulator.set_password(alice, "correct;horse123");
    assert_eq!(stage.bind(&user_dn("alice"), "correct;horse123").await.code, 0);
    stage.simulator.set_password(alice, "correct");
    stage.simulator.requests().clear();
    assert_eq!(stage.bind(&user_dn("alice"), "wrong;horse123").await.code, 49);
    assert_eq!(flow_requests(&stage.simulator), 2, "each form once");
}

#[tokio::test]
async fn stages_that_cannot_be_passed_are_named_in_the_log_after_one_attempt() {
    let (log, _listening) = Log::listen();
    let captcha = FlowStage::Identification(Identification {
        captcha: true,
        password: true,
        ..Identification::default()
    });
    let between = |stage: FlowStage| {
        vec![
            FlowStage::identification_with_password(),
            stage,
            FlowStage::login(),
        ]
    };
    for (stages, word) in [
        (between(FlowStage::Consent), "ak-stage-consent"),
        (
            between(FlowStage::Prompt {
                fields: vec!["password".into()],
            }),
            "ak-stage-prompt",
        ),
        (between(FlowStage::Captcha), "ak-stage-captcha"),
        (vec![captcha, FlowStage::login()], "ak-stage-captcha"),
        (
            between(FlowStage::Deny {
                message: "closed today".into(),
            }),
            "closed today",
        ),
        (
            between(FlowStage::Redirect {
                to: "/if/flow/other/".into(),
            }),
            "redirect",
        ),
        (
            vec![FlowStage::identification_with_password()],
            "User Login stage",
        ),
        (vec![], "User Login stage"),
    ] {
        let stage = of(directory("cached", stages), &[]).await;
        for _ in 0..2 {
            stage.simulator.requests().clear();
            let outcome = stage.bind(&user_dn("alice"), "demo-alice").await;
            // A flow that ends without a login is broken, which says nothing about the person.
            let code = if word == "User Login stage" { 52 } else { 49 };
            assert_eq!(outcome.code, code, "{word}: {outcome:?}");
            assert!(cause(&log, &outcome).contains(word), "{word}: {outcome:?}");
            assert!(!outcome.message.contains(word), "{word}: {outcome:?}");
            let posts = stage
                .simulator
                .requests()
                .all()
                .iter()
                .filter(|request| request.method == "POST")
                .count();
            assert!(posts <= 1, "{word}: {posts} answers");
        }
    }
}

#[tokio::test]
async fn a_flow_that_restarts_at_a_wrong_password_is_tried_once() {
    let (log, _listening) = Log::listen();
    let mut directory = directory("direct", akldap_testing::scenery::separate());
    for binding in &mut directory.flows.get_mut(FLOW).unwrap().stages {
        binding.restart_on_invalid = true;
    }
    let stage = of(directory, &[]).await;
    stage.simulator.requests().clear();
    let outcome = stage.bind(&user_dn("alice"), "wrong").await;
    assert_eq!(outcome.code, 49);
    assert!(cause(&log, &outcome).contains("restart"), "{outcome:?}");
    let all = stage.simulator.requests().all();
    let passwords = all
        .iter()
        .filter(|request| String::from_utf8_lossy(&request.body).contains("ak-stage-password"));
    assert_eq!(passwords.count(), 1);
    assert_eq!(stage.bind(&user_dn("alice"), "demo-alice").await.code, 0);
}

#[tokio::test]
async fn strangers_get_a_sentence_and_the_log_gets_the_cause() {
    let (log, _listening) = Log::listen();
    let flow = "/flows/executor/";
    let failed =
        r#"{"component":"ak-stage-flow-error","request_id":"0123456789abcdef","error":"secret trace"}"#;
    let elsewhere = r#"{"component":"xak-flow-redirect","to":"/if/flow/inner-name/"}"#;
    let cases = [
        (
            flow,
            Fault::Answer(200, "application/json", failed),
            52,
            "0123456789abcdef",
        ),
        (
            flow,
            Fault::Answer(500, "text/html", "<html>inner trace</html>"),
            52,
            "inner trace",
        ),
        (
            flow,
            Fault::Answer(418, "text/html", "<html>inner pot</html>"),
            80,
            "inner pot",
        ),
        (
            flow,
            Fault::Answer(404, "text/html", ""),
            52,
            "no flow with the slug",
        ),
        (flow, Fault::Answer(429, "text/html", ""), 51, "throttles"),
        (
            flow,
            Fault::Answer(413, "text/html", ""),
            80,
            "client_max_body_size",
        ),
        (
            flow,
            Fault::Answer(200, "application/json", elsewhere),
            49,
            "xak-flow-redirect",
        ),
        (flow, Fault::Forbidden, 80, "Token invalid"),
        ("/check_access/", Fault::BadGateway, 52, "502"),
        (
            "/check_access/",
            Fault::Answer(429, "text/html", ""),
            51,
            "throttles",
        ),
        ("/users/me/", Fault::Answer(429, "text/html", ""), 51, "throttles"),
        ("/check_access/", Fault::NotFound, 80, "Not found."),
        ("/users/me/", Fault::Forbidden, 1, "Token invalid"),
    ];
    let stage = of(directory("direct", akldap_testing::scenery::recommended()), &[]).await;
    let authority = stage.simulator.address().to_string();
    for (number, (path, fault, code, word)) in cases.into_iter().enumerate() {
        // Unknown to the directory, so that authentik is asked who it is.
        let name = format!("fresh{number}");
        let pk = stage.simulator.create_user(&name, "Fresh", "");
        stage.simulator.set_password(pk, "pw");
        let rule = stage.simulator.faults().add(Rule::new(path, fault.clone()));
        let outcome = stage.bind(&user_dn(&name), "pw").await;
        stage.simulator.faults().remove(rule);
        assert_eq!(outcome.code, code, "{fault:?}: {outcome:?}");
        assert!(cause(&log, &outcome).contains(word), "{fault:?}: {outcome:?}");
        for inner in [
            authority.as_str(),
            "http",
            "/api/",
            "flow-redirect",
            "request id",
            "inner",
            FLOW,
            word,
        ] {
            assert!(!outcome.message.contains(inner), "{inner}: {outcome:?}");
        }
    }
    let outcome = stage.bind(&user_dn("mallory"), "demo-mallory").await;
    assert_eq!(outcome.code, 50);
    assert!(
        outcome.message.starts_with("this account may not log in here ("),
        "{outcome:?}"
    );
    assert!(cause(&log, &outcome).contains("the policies of the application"));
    let outcome = stage.bind(&user_dn("alice"), "wrong").await;
    assert!(
        outcome.message.starts_with("invalid credentials ("),
        "{outcome:?}"
    );
    stage.simulator.refuse_connections(true);
    let outcome = stage.bind(&user_dn("alice"), "demo-alice").await;
    assert_eq!(outcome.code, 52);
    assert!(cause(&log, &outcome).contains(&authority));
    assert!(!outcome.message.contains(&authority), "{outcome:?}");
    let outcome = stage.client().await.read(&user_dn("alice"), &[]).await.outcome;
    assert!(
        outcome.code != 0 && !outcome.message.contains(&authority),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_deleted_user_is_logged_out_by_the_end_of_the_session() {
    for mode in ["direct", "cached"] {
        let stage = of(directory(mode, akldap_testing::scenery::recommended()), &[]).await;
        let mut bound = stage.bound("bob").await;
        let bob = stage.simulator.user_pk("bob").unwrap();
        // authentik announces the end of each session; nothing else is looked at in this test.
        assert!(stage.simulator.delete_user(bob));
        assert_disconnected(&mut bound).await;
        assert_eq!(stage.bind(&user_dn("bob"), "demo-bob").await.code, 49, "{mode}");
    }
}

#[tokio::test]
async fn codes_are_taken_apart_by_the_release_of_authentik() {
    let twelve = "abcdefghijkl";
    let mut directory = directory("direct", with_second_factor());
    let alice = directory.user_named("alice").unwrap().pk;
    directory
        .devices
        .insert(alice, vec![Device::static_tokens(1, &[twelve])]);
    directory.version = "2026.5.3".into();
    let stage = of(directory, &[]).await;
    let dn = user_dn("alice");
    let typed = format!("demo-alice;{twelve}");
    assert_eq!(stage.bind(&dn, &typed).await.code, 49, "the older rule");
    stage.simulator.requests().clear();
    assert_eq!(stage.bind(&dn, "wrong;123456").await.code, 49);
    let passwords = || {
        let all = stage.simulator.requests().all();
        all.iter()
            .filter(|request| String::from_utf8_lossy(&request.body).contains("\"password\":\"wrong"))
            .count()
    };
    assert_eq!(passwords(), 2, "the whole is tried, too");
    // An upgrade closes the events, and what is connected to next may be another release.
    stage
        .simulator
        .edit(|directory| directory.version = "2026.5.4".into());
    stage.simulator.recycle_worker();
    let asked = |stage: &Stage| {
        let all = stage.simulator.requests().all();
        all.iter()
            .any(|request| request.path.ends_with("/admin/version/"))
    };
    eventually("the release was asked for", || asked(&stage)).await;
    stage.refresh().await;
    assert_eq!(stage.bind(&dn, &typed).await.code, 0, "the newer rule");
    stage.simulator.requests().clear();
    assert_eq!(stage.bind(&dn, "wrong;123456").await.code, 49);
    assert_eq!(passwords(), 1, "refused is refused");
}

#[tokio::test]
async fn without_a_known_release_the_older_rule_holds() {
    let twelve = "abcdefghijkl";
    // It does not say which release it is, or what it says is not a release.
    for (version, refusal) in [("2026.5.4", Some(Fault::Forbidden)), ("main", None)] {
        let mut directory = directory("direct", with_second_factor());
        let alice = directory.user_named("alice").unwrap().pk;
        directory
            .devices
            .insert(alice, vec![Device::static_tokens(1, &[twelve, "abcd2345"])]);
        directory.version = version.into();
        let simulator = Simulator::start(directory, Options::default()).await.unwrap();
        if let Some(refusal) = refusal {
            simulator.faults().add(Rule::new("/admin/version/", refusal));
        }
        let stage = Stage::of(simulator, |_| {}).await;
        stage.ready().await;
        let dn = user_dn("alice");
        let typed = format!("demo-alice;{twelve}");
        assert_eq!(stage.bind(&dn, &typed).await.code, 49, "{version}");
        assert_eq!(stage.bind(&dn, "demo-alice;abcd2345").await.code, 0, "{version}");
    }
}

/// What a proxy says is no refusal of authentik's, which would be remembered.
#[tokio::test]
async fn a_page_in_place_of_the_release_is_asked_about_again() {
    let twelve = "abcdefghijkl";
    let mut directory = directory("direct", with_second_factor());
    let alice = directory.user_named("alice").unwrap().pk;
    directory
        .devices
        .insert(alice, vec![Device::static_tokens(1, &[twelve])]);
    directory.version = "2026.5.4".into();
    let options = Options {
        record_requests: true,
        ..Options::default()
    };
    let simulator = Simulator::start(directory, options).await.unwrap();
    let page = Fault::Intercepted(403, "text/html", "<html>Log in</html>");
    simulator.faults().add(Rule::new("/admin/version/", page));
    let stage = Stage::of(simulator, |_| {}).await;
    stage.ready().await;
    let (dn, typed) = (user_dn("alice"), format!("demo-alice;{twelve}"));
    assert_eq!(stage.bind(&dn, &typed).await.code, 49, "not known yet");
    stage.simulator.faults().clear();
    stage.simulator.requests().clear();
    stage.server.outpost().refresh_requests().all();
    eventually("the release is known", || {
        let all = stage.simulator.requests().all();
        // What is read after it.
        all.iter()
            .any(|request| request.path.ends_with("/outposts/ldap/"))
    })
    .await;
    assert_eq!(stage.bind(&dn, &typed).await.code, 0);
}

#[tokio::test]
async fn the_second_try_can_be_turned_off() {
    let stage = of(
        directory("direct", akldap_testing::scenery::recommended()),
        &[("MFA_SECOND_TRY", "false")],
    )
    .await;
    stage.simulator.requests().clear();
    assert_eq!(stage.bind(&user_dn("alice"), "wrong;123456").await.code, 49);
    assert_eq!(flow_requests(&stage.simulator), 1);
}
