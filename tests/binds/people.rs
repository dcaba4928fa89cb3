//! Second factors and stages that no LDAP client can pass: one attempt, one clear word, and no push or code too many.

use std::time::Duration;

use akldap::simulator::{
    Device, DeviceKind, DuoOutcome, Identification, NotConfigured, Stage as FlowStage, StageBinding,
    demo_secrets, totp_code,
};

use crate::scenery::{FLOW, directory, flow_requests, of};
use crate::stage::{Stage, user_dn};

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

fn phone(outcome: DuoOutcome) -> Device {
    Device::new(7, DeviceKind::Duo(outcome))
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
    let stage = with_devices("direct", vec![phone(DuoOutcome::Accept(Duration::ZERO))]).await;
    stage.simulator.requests().clear();
    let outcome = stage.bind(&user_dn("alice"), "demo-alice;123456").await;
    assert_eq!((outcome.code, factors(&stage).len()), (49, 0), "{outcome:?}");
    assert!(outcome.message.contains("duo"), "{outcome:?}");
}

#[tokio::test]
async fn without_a_fitting_device_the_answer_names_those_there_are() {
    let devices = vec![
        Device::new(1, DeviceKind::WebAuthn),
        Device::new(2, DeviceKind::Sms),
    ];
    let stage = with_devices("direct", devices).await;
    stage.simulator.requests().clear();
    let outcome = stage.bind(&user_dn("alice"), "demo-alice").await;
    assert_eq!(outcome.code, 49);
    assert!(outcome.message.contains("sms, webauthn"), "{outcome:?}");
    assert!(factors(&stage).is_empty(), "no message is sent");
    let outcome = stage.bind(&user_dn("bob"), "demo-bob").await;
    assert_eq!(outcome.code, 49, "{outcome:?}");
    assert!(
        outcome
            .message
            .contains("No (allowed) MFA authenticator configured"),
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

#[tokio::test]
async fn a_password_that_only_looks_like_one_with_a_code_is_tried_whole() {
    let stage = with_devices("direct", vec![]).await;
    stage.simulator.edit(|directory| {
        let flow = directory.flows.get_mut(FLOW).unwrap();
        flow.stages = crate::scenery::recommended()
            .into_iter()
            .map(StageBinding::new)
            .collect();
    });
    let alice = stage.simulator.user_pk("alice").unwrap();
    stage.simulator.set_password(alice, "correct;horse123");
    assert_eq!(stage.bind(&user_dn("alice"), "correct;horse123").await.code, 0);
    stage.simulator.set_password(alice, "correct");
    stage.simulator.requests().clear();
    assert_eq!(stage.bind(&user_dn("alice"), "wrong;horse123").await.code, 49);
    assert_eq!(flow_requests(&stage.simulator), 2, "each form once");
}

#[tokio::test]
async fn stages_that_cannot_be_passed_are_named_after_one_attempt() {
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
            assert_eq!(outcome.code, 49, "{word}: {outcome:?}");
            assert!(outcome.message.contains(word), "{word}: {outcome:?}");
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
    let mut directory = directory("direct", crate::scenery::separate());
    for binding in &mut directory.flows.get_mut(FLOW).unwrap().stages {
        binding.restart_on_invalid = true;
    }
    let stage = of(directory, &[]).await;
    stage.simulator.requests().clear();
    let outcome = stage.bind(&user_dn("alice"), "wrong").await;
    assert_eq!(outcome.code, 49);
    assert!(outcome.message.contains("restart"), "{outcome:?}");
    let all = stage.simulator.requests().all();
    let passwords = all
        .iter()
        .filter(|request| String::from_utf8_lossy(&request.body).contains("ak-stage-password"));
    assert_eq!(passwords.count(), 1);
    assert_eq!(stage.bind(&user_dn("alice"), "demo-alice").await.code, 0);
}
