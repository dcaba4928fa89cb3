//! Limits: failed binds, and the longest time a bind may take. And what the process keeps to itself.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use akldap::simulator::{Device, DeviceKind, DuoOutcome, Fault, NotConfigured, Rule, Stage as FlowStage};

use crate::scenery::{directory, flow_requests, of, recommended, stage};
use crate::stage::user_dn;

#[tokio::test]
async fn failed_binds_are_unlimited_unless_a_limit_is_set() {
    let stage = stage("direct", recommended(), &[]).await;
    for _ in 0..30 {
        assert_eq!(stage.bind(&user_dn("alice"), "wrong").await.code, 49);
    }
    assert_eq!(stage.bind(&user_dn("alice"), "demo-alice").await.code, 0);
}

#[tokio::test]
async fn too_many_failed_binds_have_to_wait() {
    for mode in ["direct", "cached"] {
        let settings = [("FAILED_BIND_LIMIT", "3"), ("FAILED_BIND_WINDOW", "2s")];
        let stage = stage(mode, recommended(), &settings).await;
        stage.bound("alice").await;
        for number in 0..3 {
            assert_eq!(
                stage
                    .bind(&user_dn("alice"), &format!("wrong{number}"))
                    .await
                    .code,
                49
            );
        }
        let failed = Instant::now();
        stage.simulator.requests().clear();
        for (username, password) in [("alice", "wrong"), ("alice", "demo-alice"), ("bob", "demo-bob")] {
            let outcome = stage.bind(&user_dn(username), password).await;
            assert_eq!(outcome.code, 51, "{mode} {username}: {outcome:?}");
            assert!(
                outcome
                    .message
                    .contains("too many failed binds from this address"),
                "{outcome:?}"
            );
        }
        assert_eq!(flow_requests(&stage.simulator), 0, "authentik is not asked");
        tokio::time::sleep(Duration::from_millis(2100).saturating_sub(failed.elapsed())).await;
        assert_eq!(
            stage.bind(&user_dn("alice"), "demo-alice").await.code,
            0,
            "being refused does not count"
        );
    }
}

#[tokio::test]
async fn an_outage_or_a_refusal_by_policy_is_no_failed_bind() {
    let stage = stage("direct", recommended(), &[("FAILED_BIND_LIMIT", "1")]).await;
    stage
        .simulator
        .faults()
        .add(Rule::new("/flows/executor/", Fault::Forbidden));
    assert_eq!(stage.bind(&user_dn("alice"), "demo-alice").await.code, 80);
    stage.simulator.faults().clear();
    assert_eq!(stage.bind(&user_dn("mallory"), "demo-mallory").await.code, 50);
    assert_eq!(stage.bind(&user_dn("alice"), "demo-alice").await.code, 0);
}

#[tokio::test]
async fn a_bind_never_hangs() {
    for mode in ["direct", "cached"] {
        let stage = stage(
            mode,
            recommended(),
            &[("REQUEST_TIMEOUT", "60s"), ("BIND_TIMEOUT", "1s")],
        )
        .await;
        // Each answer comes in time for its own limit, but there are too many.
        for fault in [
            Fault::Hang,
            Fault::Stall(Duration::from_millis(700)),
            Fault::SlowBody(1, Duration::from_millis(20)),
        ] {
            stage
                .simulator
                .faults()
                .add(Rule::new("/flows/executor/", fault.clone()));
            let started = Instant::now();
            let outcome = stage.bind(&user_dn("alice"), "demo-alice").await;
            stage.simulator.faults().clear();
            assert_eq!(outcome.code, 52, "{fault:?}: {outcome:?}");
            assert!(
                started.elapsed() < Duration::from_secs(2),
                "{fault:?}: {:?}",
                started.elapsed()
            );
        }
    }
}

#[tokio::test]
async fn access_has_a_limit_of_its_own() {
    let stage = stage(
        "direct",
        recommended(),
        &[("REQUEST_TIMEOUT", "60s"), ("BIND_TIMEOUT", "1s")],
    )
    .await;
    stage
        .simulator
        .faults()
        .add(Rule::new("/check_access/", Fault::Hang));
    let started = Instant::now();
    let outcome = stage.bind(&user_dn("alice"), "demo-alice").await;
    assert_eq!(outcome.code, 52, "{outcome:?}");
    assert!(
        (9..12).contains(&started.elapsed().as_secs()),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_duo_push_may_take_longer_than_a_bind() {
    let stages = vec![
        FlowStage::identification_with_password(),
        FlowStage::mfa(NotConfigured::Deny),
        FlowStage::login(),
    ];
    let mut directory = directory("direct", stages);
    let alice = directory.user_named("alice").unwrap().pk;
    let phone = Device::new(
        1,
        DeviceKind::Duo(DuoOutcome::Accept(Duration::from_millis(2500))),
    );
    directory.devices.insert(alice, vec![phone]);
    let stage = of(directory, &[("REQUEST_TIMEOUT", "1s"), ("BIND_TIMEOUT", "1s")]).await;
    let started = Instant::now();
    assert_eq!(stage.bind(&user_dn("alice"), "demo-alice").await.code, 0);
    assert!(started.elapsed() >= Duration::from_millis(2400));
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_dumps_no_core() {
    let mut process = Command::new(env!("CARGO_BIN_EXE_akldap"))
        .args([
            "demo",
            "--users",
            "0",
            "--ldap",
            "127.0.0.1:0",
            "--ldaps",
            "127.0.0.1:0",
            "--http",
            "127.0.0.1:0",
        ])
        .env("TMPDIR", std::env::temp_dir())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(process.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.id()));
    // Of a process that may not be dumped, others cannot read where its memory is.
    let memory = std::fs::read_to_string(format!("/proc/{}/maps", process.id()));
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!(first, "ready\n");
    let limits = limits.unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(
        core.split_whitespace().collect::<Vec<_>>()[4..6],
        ["0", "0"],
        "{core}"
    );
    if rustix_root() {
        return;
    }
    assert!(memory.is_err());
}

/// Root may read everything.
#[cfg(target_os = "linux")]
fn rustix_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}
