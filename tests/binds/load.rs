//! Many binds at once: one flow for equal ones, turns for others, and none in another's way.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use akldap_simulator::{Directory, Endpoint, Fault, Flow, Rule};
use futures_util::future::join_all;

use akldap_testing::scenery::{FLOW, change, flow_requests, of, recommended, stage};
use akldap_testing::stage::{BASE, Stage, eventually, user_dn};

/// Bind DN and password.
type Attempt = (String, String);

fn attempt(username: &str, password: &str) -> Attempt {
    (user_dn(username), password.to_owned())
}

async fn codes(stage: &Stage, attempts: Vec<Attempt>) -> HashMap<i64, usize> {
    let outpost = stage.server.outpost();
    let mut codes = HashMap::new();
    let binds = attempts.iter().map(|(bind_dn, password)| {
        outpost
            .binds()
            .bind(bind_dn.as_bytes(), password.as_bytes(), [127, 0, 0, 1].into())
    });
    for answer in join_all(binds).await {
        *codes.entry(answer.result().code as i64).or_default() += 1;
    }
    codes
}

#[tokio::test]
async fn a_thousand_binds_of_one_account_run_one_flow() {
    let stage = stage("cached", recommended(), &[]).await;
    stage.simulator.faults().set_latency(Duration::from_millis(50));
    stage.simulator.requests().clear();
    let attempts = (0..1000).map(|_| attempt("alice", "demo-alice")).collect();
    assert_eq!(codes(&stage, attempts).await, HashMap::from([(0, 1000)]));
    assert_eq!(
        (
            flow_requests(&stage.simulator),
            stage.simulator.requests().count(Endpoint::CheckAccess)
        ),
        (2, 1)
    );
    // The same over a hundred sockets, with a secret that is wrong.
    stage.simulator.requests().clear();
    let dn = user_dn("alice");
    for outcome in join_all((0..100).map(|_| stage.bind(&dn, "wrong"))).await {
        assert_eq!(outcome.code, 49);
    }
    assert_eq!(flow_requests(&stage.simulator), 1);
}

#[tokio::test]
async fn a_thousand_accounts_are_answered_in_order_of_arrival() {
    let mut directory = Directory::sample(1100, 12);
    directory
        .flows
        .insert(FLOW.into(), Flow::new(FLOW, "Binds", recommended()));
    change(&mut directory, |provider| provider.bind_flow = FLOW.into());
    let stage = of(
        directory,
        &[("FLOW_QUEUE_TIMEOUT", "600s"), ("MAX_CONCURRENT_FLOWS", "8")],
    )
    .await;
    stage.simulator.faults().set_latency(Duration::from_millis(50));
    stage.simulator.requests().clear();
    let started = Instant::now();
    let names: Vec<String> = (1..=1000).map(|number| format!("user{number:06}")).collect();
    let attempts = names
        .iter()
        .map(|name| attempt(name, &format!("demo-{name}")))
        .collect();
    assert_eq!(codes(&stage, attempts).await, HashMap::from([(0, 1000)]));
    // Eight at a time, three requests of 50 ms each.
    let least = Duration::from_millis(1000 / 8 * 150);
    assert!(
        started.elapsed() >= least.mul_f32(0.95),
        "more than eight at once: {:?}",
        started.elapsed()
    );
    let posts: Vec<String> = stage
        .simulator
        .requests()
        .all()
        .iter()
        .filter(|request| request.method == "POST")
        .filter_map(|request| {
            let body: serde_json::Value = serde_json::from_slice(&request.body).ok()?;
            Some(body.get("uid_field")?.as_str()?.to_owned())
        })
        .collect();
    assert_eq!(posts.len(), 1000);
    for (place, name) in posts.iter().enumerate() {
        let arrived = names.iter().position(|other| other == name).unwrap();
        assert!(
            place.abs_diff(arrived) <= 16,
            "{name} came as number {arrived} and had its turn as number {place}"
        );
    }
}

#[tokio::test]
async fn beyond_the_queue_binds_are_told_to_come_back() {
    let settings = [
        ("MAX_CONCURRENT_FLOWS", "2"),
        ("FLOW_QUEUE_LIMIT", "3"),
        ("FLOW_QUEUE_TIMEOUT", "1s"),
    ];
    let stage = stage("direct", recommended(), &settings).await;
    stage.simulator.faults().set_latency(Duration::from_millis(100));
    let attempts = (0..20).map(|_| attempt("alice", "demo-alice")).collect();
    assert_eq!(
        codes(&stage, attempts).await,
        HashMap::from([(0, 5), (51, 15)]),
        "two and three that wait"
    );
    stage.simulator.faults().set_latency(Duration::from_millis(700));
    let attempts = (0..5).map(|_| attempt("alice", "demo-alice")).collect();
    assert_eq!(
        codes(&stage, attempts).await,
        HashMap::from([(0, 2), (51, 3)]),
        "a turn later than a second is none"
    );
    stage.simulator.faults().set_latency(Duration::ZERO);
    assert_eq!(
        codes(&stage, vec![attempt("alice", "demo-alice")]).await,
        HashMap::from([(0, 1)])
    );
}

#[tokio::test]
async fn wrong_binds_of_a_service_account_never_disturb_its_good_connections() {
    for mode in ["direct", "cached"] {
        let stage = stage(mode, recommended(), &[]).await;
        let workers = (0..64).map(|worker| {
            let stage = &stage;
            async move {
                let mut client = stage.bound("ldapservice").await;
                let mut failed = 0;
                for round in 0..10 {
                    // One bind in a hundred is wrong, on its own connection.
                    if (worker * 10 + round) % 100 == 0 {
                        assert_eq!(stage.bind(&user_dn("ldapservice"), "wrong").await.code, 49);
                    }
                    let found = client
                        .subtree(BASE, "(&(objectClass=user)(cn=alice))", &["cn"])
                        .await;
                    failed += usize::from((found.outcome.code, found.entries.len()) != (0, 1));
                }
                failed
            }
        });
        let failed: usize = join_all(workers).await.into_iter().sum();
        assert_eq!(failed, 0, "{mode}");
    }
}

#[tokio::test]
async fn one_slow_flow_does_not_hold_up_cached_binds() {
    let stage = stage("cached", recommended(), &[("MAX_CONCURRENT_FLOWS", "1")]).await;
    stage.bound("alice").await;
    stage
        .simulator
        .faults()
        .add(Rule::new("/flows/executor/", Fault::Hang));
    let dn = user_dn("bob");
    let slow = stage.bind(&dn, "demo-bob");
    let quick = async {
        eventually("the flow hangs", || {
            stage.simulator.requests().under_way(Endpoint::FlowExecutor) > 0
        })
        .await;
        stage.bound("alice").await;
    };
    // The only turn is taken all the while.
    tokio::select! {
        outcome = slow => panic!("{outcome:?}"),
        () = quick => {}
    }
}
