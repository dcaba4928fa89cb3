//! The simulator's flows on the sample directory: who logs in, second factors, stages in the way, sessions.

use std::time::Duration;

use super::browser::{Browser, FLOW, json_of, start};
use akldap_simulator::{
    Device, DeviceKind, DuoOutcome, Fault, Flow, NotConfigured, Options, Rule, Stage, StageBinding,
    demo_secrets, totp_code,
};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn everybody_of_the_sample_can_or_cannot_log_in_as_meant() {
    let simulator = start(40, Options::default()).await;
    let mut browser = Browser::new(&simulator);
    for name in [
        "alice",
        "bob",
        "zoë",
        "pat o'brien",
        "sales, \"emea\" + partners",
        "mallory",
        "user000001",
        "ldapservice",
    ] {
        assert!(browser.logs_in(name, &format!("demo-{name}")).await, "{name}");
        assert!(
            !browser.logs_in(name, "wrong").await,
            "{name} with a wrong password"
        );
    }
    assert!(
        browser.logs_in("ALICE@example.com", "demo-alice").await,
        "by address"
    );
    assert!(
        browser.logs_in("ldapservice", &demo_secrets().app_password).await,
        "app password"
    );
    assert!(!browser.logs_in("inactive", "demo-inactive").await);
    assert!(!browser.logs_in("totp", "demo-totp").await, "a code is missing");
    for (name, passing, search) in [
        ("mallory", false, false),
        ("alice", true, false),
        ("ldapservice", true, true),
    ] {
        assert!(browser.logs_in(name, &format!("demo-{name}")).await);
        let access = json_of(
            browser
                .get("/api/v3/outposts/ldap/1/check_access/?app_slug=ldap")
                .await,
        )
        .await;
        assert_eq!(
            (
                access["access"]["passing"].as_bool(),
                access["has_search_permission"].as_bool()
            ),
            (Some(passing), Some(search)),
            "{name}"
        );
    }
}

#[tokio::test]
async fn second_factors_let_in_once() {
    let simulator = start(0, Options::default()).await;
    let secrets = demo_secrets();
    let code = totp_code(&secrets.totp_key, simulator.now());
    let token = secrets.static_tokens[0].clone();
    for (name, code) in [("totp", code), ("static", token)] {
        for (attempt, status) in [(1, 302), (2, 200)] {
            let mut browser = Browser::new(&simulator);
            assert_eq!(
                browser.identify(name, &format!("demo-{name}")).await.status(),
                302
            );
            let challenge = browser.follow().await;
            assert_eq!(challenge["component"], "ak-stage-authenticator-validate");
            assert_eq!(challenge["device_challenges"][0]["device_class"], name);
            let posted = browser
                .send(Method::POST, FLOW, Some(json!({"code": code})))
                .await;
            assert_eq!(posted.status(), status, "{name}, attempt {attempt}");
        }
    }
}

#[tokio::test]
async fn duo_answers_as_scripted() {
    let simulator = start(0, Options::default()).await;
    let alice = simulator.user_pk("alice").expect("alice");
    for (outcome, status) in [
        (DuoOutcome::Accept(Duration::ZERO), 302),
        (DuoOutcome::Deny(Duration::ZERO), 200),
    ] {
        simulator.edit(|directory| {
            directory
                .devices
                .insert(alice, vec![Device::new(7, DeviceKind::Duo(outcome))]);
        });
        let mut browser = Browser::new(&simulator);
        browser.identify("alice", "demo-alice").await;
        browser.follow().await;
        let posted = browser.send(Method::POST, FLOW, Some(json!({"duo": 7}))).await;
        assert_eq!(posted.status(), status);
        if status == 200 {
            assert_eq!(
                json_of(posted).await["response_errors"]["duo"][0]["code"],
                "denied"
            );
        }
    }
}

#[tokio::test]
async fn stages_no_headless_client_can_solve_and_policies_on_stages() {
    let simulator = start(0, Options::default()).await;
    let alice = simulator.user_pk("alice").expect("alice");
    let with = |extra: StageBinding| {
        simulator.edit(|directory| {
            let mut flow = Flow::new(
                "ldap-authentication-flow",
                "t",
                vec![
                    Stage::identification_with_password(),
                    Stage::mfa(NotConfigured::Configure),
                    Stage::login(),
                ],
            );
            flow.stages.insert(1, extra);
            directory.flows.insert(flow.slug.clone(), flow);
        });
    };
    for (stage, component) in [
        (Stage::Consent, "ak-stage-consent"),
        (
            Stage::Prompt {
                fields: vec!["phone".into()],
            },
            "ak-stage-prompt",
        ),
        (Stage::Captcha, "ak-stage-captcha"),
        (Stage::Deny { message: "no".into() }, "ak-stage-access-denied"),
        (
            Stage::Redirect {
                to: "https://elsewhere.test/".into(),
            },
            "xak-flow-redirect",
        ),
    ] {
        with(StageBinding::new(stage));
        let mut browser = Browser::new(&simulator);
        assert_eq!(
            browser.identify("alice", "demo-alice").await.status(),
            302,
            "{component}"
        );
        assert_eq!(browser.follow().await["component"], component);
    }
    let deny_alice = StageBinding {
        only_for: Some(vec![alice]),
        ..StageBinding::new(Stage::Deny { message: "no".into() })
    };
    with(deny_alice);
    let mut browser = Browser::new(&simulator);
    browser.identify("alice", "demo-alice").await;
    assert_eq!(browser.follow().await["error_message"], "no");
    let mut browser = Browser::new(&simulator);
    browser.identify("bob", "demo-bob").await;
    let setup = browser.follow().await;
    assert_eq!(
        setup["component"], "ak-stage-authenticator-validate",
        "bob has to set a device up"
    );
    assert!(
        setup["configuration_stages"]
            .as_array()
            .is_some_and(|stages| !stages.is_empty())
    );
    simulator.edit(|directory| {
        let flow = directory
            .flows
            .get_mut("ldap-authentication-flow")
            .expect("the flow");
        flow.stages[0].restart_on_invalid = true;
    });
    let wrong = Browser::new(&simulator).identify("bob", "wrong").await;
    assert_eq!(wrong.status(), 302, "a wrong answer starts the flow again");
}

#[tokio::test]
async fn sessions_end_when_users_do_and_when_their_time_is_up() {
    let simulator = start(0, Options::default()).await;
    let mut browser = Browser::new(&simulator);
    let alice = simulator.user_pk("alice").expect("alice");
    assert!(browser.logs_in("alice", "demo-alice").await);
    assert_eq!(simulator.sessions().len(), 1);
    simulator.set_password(alice, "other");
    assert_eq!(
        browser.get("/api/v3/core/users/me/").await.status(),
        200,
        "a new password ends nothing"
    );
    simulator.set_active(alice, false);
    assert_eq!(browser.get("/api/v3/core/users/me/").await.status(), 403);
    assert!(simulator.sessions().is_empty());
    assert!(browser.logs_in("bob", "demo-bob").await);
    simulator.advance(Duration::from_secs(86_401));
    assert_eq!(browser.get("/api/v3/core/users/me/").await.status(), 403);
    simulator.sweep_sessions();
    assert_eq!(simulator.session_count(), 0);
}

#[tokio::test]
async fn login_and_access_can_be_made_to_lie() {
    let simulator = start(0, Options::default()).await;
    let rule = simulator
        .faults()
        .add(Rule::new("/flows/executor/", Fault::AnonymousSession));
    let mut browser = Browser::new(&simulator);
    browser.identify("alice", "demo-alice").await;
    assert_eq!(
        browser.follow().await,
        json!({"component": "xak-flow-redirect", "to": "/"})
    );
    assert_eq!(browser.get("/api/v3/core/users/me/").await.status(), 403);
    simulator.faults().remove(rule);
    simulator
        .faults()
        .add(Rule::new("/check_access/", Fault::PassingForAnyone));
    let access = json_of(
        browser
            .get("/api/v3/outposts/ldap/1/check_access/?app_slug=ldap")
            .await,
    )
    .await;
    assert_eq!(access["access"]["passing"], true);
}
