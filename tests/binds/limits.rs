//! Limits: failed binds, and the longest time a bind may take. And what the process keeps to itself.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use akldap_simulator::{Device, DeviceKind, DuoOutcome, Fault, NotConfigured, Rule, Stage as FlowStage};

use futures_util::future::join_all;
use ldap3_proto::proto::{LdapBindCred, LdapBindRequest, LdapOp};

use akldap_testing::scenery::{directory, flow_requests, of, recommended, stage};
use akldap_testing::stage::{BASE, NEVER, Stage, eventually, user_dn};

/// What authentik was sent as passwords of these tests.
fn logins_sent(stage: &Stage) -> usize {
    let requests = stage.simulator.requests().to("/flows/executor/");
    requests.iter().filter(|request| request.method == "POST").count()
}

#[tokio::test]
async fn twenty_wrong_passwords_of_a_person_at_an_address_are_the_default_limit() {
    for mode in ["direct", "cached"] {
        let stage = stage(mode, recommended(), &[]).await;
        stage.bound("alice").await;
        stage.simulator.requests().clear();
        // User name and e-mail address are one person.
        let names = [
            user_dn("alice"),
            format!("mail=alice@example.com,ou=users,{BASE}"),
        ];
        for number in 0..20 {
            let outcome = stage.bind(&names[number % 2], &format!("wrong{number}")).await;
            assert_eq!(outcome.code, 49, "{number}");
        }
        for name in &names {
            let outcome = stage.bind(name, "another").await;
            assert_eq!(outcome.code, 51, "{outcome:?}");
            assert!(outcome.message.contains("try again in"), "{outcome:?}");
        }
        assert_eq!(logins_sent(&stage), 20);
        // Nobody else is affected, and a good cached bind is always answered.
        assert_eq!(stage.bind(&user_dn("bob"), "demo-bob").await.code, 0);
        let own = stage.bind(&user_dn("alice"), "demo-alice").await;
        assert_eq!(own.code, if mode == "cached" { 0 } else { 51 }, "{own:?}");
        let (dn, elsewhere) = (user_dn("alice"), [192, 0, 2, 1].into());
        let elsewhere = stage
            .server
            .outpost()
            .binds()
            .bind(dn.as_bytes(), b"demo-alice", elsewhere);
        assert_eq!(elsewhere.await.result().code as i64, 0);
    }
}

#[tokio::test]
async fn last_years_password_locks_nobody_out() {
    let stage = stage("direct", recommended(), &[("FAILED_BIND_LIMIT", "2")]).await;
    for _ in 0..10 {
        assert_eq!(stage.bind(&user_dn("alice"), "last year's").await.code, 49);
    }
    assert_eq!(stage.bind(&user_dn("alice"), "demo-alice").await.code, 0);
}

#[tokio::test]
async fn parallel_guesses_do_not_overshoot() {
    for mode in ["direct", "cached"] {
        let stage = stage(mode, recommended(), &[]).await;
        stage.simulator.faults().set_latency(Duration::from_millis(50));
        stage.simulator.requests().clear();
        let dn = user_dn("alice");
        let guesses = join_all((0..200).map(|number| {
            let (dn, secret) = (dn.clone(), format!("wrong{number}"));
            let outpost = stage.server.outpost();
            async move {
                outpost
                    .binds()
                    .bind(dn.as_bytes(), secret.as_bytes(), [192, 0, 2, 1].into())
                    .await
            }
        }))
        .await;
        let refused = guesses
            .iter()
            .filter(|answer| answer.result().code as i64 == 51)
            .count();
        assert_eq!((refused, logins_sent(&stage)), (180, 20), "{mode}");
    }
}

#[tokio::test]
async fn equal_guesses_side_by_side_are_sent_once() {
    for mode in ["direct", "cached"] {
        let stage = stage(mode, recommended(), &[("MAX_CONCURRENT_FLOWS", "1")]).await;
        stage.simulator.faults().set_latency(Duration::from_millis(50));
        stage.simulator.requests().clear();
        let dn = user_dn("alice");
        for outcome in join_all((0..50).map(|_| stage.bind(&dn, "wrong"))).await {
            assert_eq!(outcome.code, 49);
        }
        assert_eq!(logins_sent(&stage), 1, "{mode}");
    }
}

#[tokio::test]
async fn too_many_failed_binds_have_to_wait() {
    for mode in ["direct", "cached"] {
        let settings = [("FAILED_BIND_LIMIT", "3"), ("FAILED_BIND_WINDOW", "2s")];
        let stage = stage(mode, recommended(), &settings).await;
        for number in 0..3 {
            let outcome = stage.bind(&user_dn("alice"), &format!("wrong{number}")).await;
            assert_eq!(outcome.code, 49);
        }
        stage.simulator.requests().clear();
        let refused = stage.bind(&user_dn("alice"), "demo-alice").await;
        // On a machine that took longer than the window for these, there is nothing to see.
        if refused.code == 51 {
            assert_eq!(flow_requests(&stage.simulator), 0, "authentik is not asked");
        }
        let mut code = refused.code;
        while code != 0 {
            assert_eq!(code, 51, "being refused does not count");
            tokio::time::sleep(Duration::from_millis(100)).await;
            code = stage.bind(&user_dn("alice"), "demo-alice").await.code;
        }
    }
}

#[tokio::test]
async fn a_bind_whose_client_has_gone_is_never_sent() {
    join_all(["direct", "cached"].map(gone_before_the_turn)).await;
}

async fn gone_before_the_turn(mode: &str) {
    let settings = [("MAX_CONCURRENT_FLOWS", "1"), ("BIND_TIMEOUT", "8s")];
    let stage = stage(mode, recommended(), &settings).await;
    let hang = stage
        .simulator
        .faults()
        .add(Rule::new("/flows/executor/", Fault::Hang));
    stage.simulator.requests().clear();
    let dn = user_dn("bob");
    let gone = async {
        eventually("the only turn is taken", || flow_requests(&stage.simulator) > 0).await;
        stage.simulator.faults().remove(hang);
        for number in 0..30 {
            let mut client = stage.client().await;
            let request = LdapBindRequest {
                dn: user_dn("alice"),
                cred: LdapBindCred::Simple(format!("wrong{number}")),
                version: 3,
            };
            client.send(LdapOp::BindRequest(request), vec![]).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let (slow, ()) = tokio::join!(stage.bind(&dn, "demo-bob"), gone);
    assert_eq!(slow.code, 52, "{slow:?}");
    assert_eq!(stage.bind(&user_dn("alice"), "demo-alice").await.code, 0);
    let sent = stage.simulator.requests().to("/flows/executor/");
    let wrong = sent
        .iter()
        .filter(|request| String::from_utf8_lossy(&request.body).contains("wrong"));
    assert_eq!(wrong.count(), 0, "{mode}");
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
            &[("REQUEST_TIMEOUT", "10m"), ("BIND_TIMEOUT", "1s")],
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
            // Requests have ten minutes.
            assert!(started.elapsed() < NEVER, "{fault:?}: {:?}", started.elapsed());
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
        // Ten seconds, and less than the minute a request has.
        (9..40).contains(&started.elapsed().as_secs()),
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
    // Others cannot read where the memory of a process is that may not be dumped.
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
