//! What binds cost authentik: requests, and sessions that stay behind.

use std::time::Duration;

use akldap_simulator::{Directory, Endpoint, NotConfigured, Stage as FlowStage};

use akldap_testing::captured_log::Log;
use akldap_testing::scenery::{LOGOUT, change, directory, flow_requests, of, recommended, separate, stage};
use akldap_testing::stage::{BASE, Stage, eventually, user_dn};

fn logging_out(mode: &str) -> Directory {
    let mut directory = directory(mode, recommended());
    change(&mut directory, |provider| {
        provider.unbind_flow = Some(LOGOUT.into())
    });
    directory
}

async fn cost(stage: &Stage, username: &str, password: &str, code: i32) -> (u64, u64, u64) {
    stage.simulator.requests().clear();
    let outcome = stage.bind(&user_dn(username), password).await;
    assert_eq!(outcome.code, code, "{outcome:?}");
    let requests = stage.simulator.requests();
    (
        flow_requests(&stage.simulator),
        requests.count(Endpoint::CheckAccess),
        requests.count(Endpoint::UsersMe),
    )
}

#[tokio::test]
async fn a_bind_takes_as_few_requests_as_its_flow_allows() {
    for (stages, expected) in [
        (recommended(), (2, 1, 0)),
        (
            vec![
                FlowStage::identification_with_password(),
                FlowStage::mfa(NotConfigured::Skip),
                FlowStage::login(),
            ],
            (3, 1, 0),
        ),
        (separate(), (4, 1, 0)),
    ] {
        for mode in ["direct", "cached"] {
            let stage = stage(mode, stages.clone(), &[]).await;
            assert_eq!(cost(&stage, "alice", "demo-alice", 0).await, expected, "{mode}");
            assert_eq!(cost(&stage, "bob", "demo-bob", 0).await, expected, "{mode}");
            let again = if mode == "cached" { (0, 0, 0) } else { expected };
            assert_eq!(cost(&stage, "alice", "demo-alice", 0).await, again, "{mode}");
        }
    }
    let stage = stage("cached", recommended(), &[]).await;
    assert_eq!(cost(&stage, "alice", "wrong", 49).await, (1, 0, 0));
    assert_eq!(
        cost(&stage, "alice", "wrong", 49).await,
        (0, 0, 0),
        "remembered for a moment"
    );
    assert_eq!(cost(&stage, "nobody", "wrong", 49).await, (1, 0, 0));
    // Only somebody whom the directory does not know is asked about.
    let pk = stage.simulator.create_user("fresh", "Fresh", "fresh@example.com");
    stage.simulator.set_password(pk, "fresh");
    assert_eq!(cost(&stage, "fresh", "fresh", 0).await, (2, 1, 1));
    // Requests made as a user carry the user's session, the client's address and no API token.
    let all = stage.simulator.requests().all();
    // Whom the directory does not know is fetched afterwards, by the outpost.
    let by_outpost = format!("/core/users/{pk}/");
    let as_user = |path: &str| !path.contains("/ws/") && !path.ends_with(&by_outpost);
    for request in all.iter().filter(|request| as_user(&request.path)) {
        assert_eq!(request.header("authorization"), None, "{}", request.path);
        assert_eq!(
            request.header("x-authentik-remote-ip"),
            Some("127.0.0.1"),
            "{}",
            request.path
        );
        assert_eq!(
            request.header("cookie").is_some(),
            request.method != "POST",
            "{}",
            request.path
        );
    }
}

#[tokio::test]
async fn a_flow_that_begins_otherwise_is_learned_anew() {
    let stage = stage("direct", recommended(), &[]).await;
    assert_eq!(cost(&stage, "alice", "demo-alice", 0).await.0, 2);
    let set = |stages: Vec<FlowStage>| {
        stage.simulator.edit(|directory| {
            let flow = directory.flows.get_mut(akldap_testing::scenery::FLOW).unwrap();
            flow.stages = stages
                .into_iter()
                .map(akldap_simulator::StageBinding::new)
                .collect();
        });
    };
    set(vec![FlowStage::Deny {
        message: "maintenance".into(),
    }]);
    assert_eq!(cost(&stage, "alice", "demo-alice", 49).await.0, 1);
    set(recommended());
    assert_eq!(
        cost(&stage, "alice", "demo-alice", 0).await.0,
        3,
        "the ordinary way"
    );
    assert_eq!(cost(&stage, "alice", "demo-alice", 0).await.0, 2, "learned again");
}

#[tokio::test]
async fn direct_binds_leave_no_session_behind() {
    let stage = of(logging_out("direct"), &[]).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(stage.bound("alice").await);
    }
    assert_eq!(stage.simulator.sessions().len(), 20);
    // Binding again, unbinding and going away all end the previous session.
    assert_eq!(clients[0].bind(&user_dn("bob"), "demo-bob").await.code, 0);
    assert_eq!(clients[1].bind(&user_dn("alice"), "wrong").await.code, 49);
    clients[2]
        .send(ldap3_proto::proto::LdapOp::UnbindRequest, vec![])
        .await;
    eventually("three sessions ended", || stage.simulator.sessions().len() == 18).await;
    drop(clients);
    eventually("all sessions ended", || stage.simulator.sessions().is_empty()).await;
    // Somebody who may not use the application was logged in for a moment, too.
    assert_eq!(stage.bind(&user_dn("mallory"), "demo-mallory").await.code, 50);
    eventually("mallory's session ended", || {
        stage.simulator.sessions().is_empty()
    })
    .await;
}

#[tokio::test]
async fn unbinding_never_delays_a_client() {
    let stage = of(logging_out("direct"), &[]).await;
    let client = stage.bound("alice").await;
    stage.simulator.pause(true);
    drop(client);
    let flows = || {
        let requests = stage.simulator.requests();
        (
            requests.count(Endpoint::FlowExecutor),
            requests.under_way(Endpoint::FlowExecutor),
        )
    };
    eventually("the unbind flow is waited for", || flows().1 > 0).await;
    let waited_for = flows();
    let mut other = stage.client().await;
    assert_eq!(other.read("", &[]).await.outcome.code, 0);
    assert_eq!(flows(), waited_for, "it is still waited for");
    stage.simulator.pause(false);
    eventually("the session ended", || stage.simulator.sessions().is_empty()).await;
}

#[tokio::test]
async fn a_session_that_is_being_ended_at_shutdown_is_ended() {
    let stage = of(logging_out("direct"), &[]).await;
    let client = stage.bound("alice").await;
    let Stage {
        simulator, server, ..
    } = stage;
    simulator.pause(true);
    drop(client);
    eventually("the unbind flow is waited for", || {
        simulator.requests().under_way(Endpoint::FlowExecutor) > 0
    })
    .await;
    let stopping = tokio::spawn(server.shutdown());
    // Longer than it takes to learn of the shutdown.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(
        simulator.requests().under_way(Endpoint::FlowExecutor) > 0,
        "it is not given up"
    );
    simulator.pause(false);
    stopping.await.unwrap();
    assert_eq!(simulator.sessions().len(), 0);
}

#[tokio::test]
async fn an_unbind_flow_that_ends_nothing_is_not_run_again_and_again() {
    let mut directory = directory("direct", recommended());
    change(&mut directory, |provider| {
        provider.unbind_flow = Some("default-provider-invalidation-flow".into())
    });
    let stage = of(directory, &[]).await;
    drop(stage.bound("alice").await);
    let unbinds = || {
        stage
            .simulator
            .requests()
            .to("default-provider-invalidation-flow")
            .len()
    };
    eventually("the unbind flow was run", || unbinds() == 1).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    for _ in 0..5 {
        drop(stage.bound("alice").await);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(unbinds(), 1);
    assert_eq!(stage.simulator.sessions().len(), 6, "they are left to expire");
}

#[tokio::test]
async fn that_an_unbind_flow_ends_nothing_is_told_once() {
    let (log, _guard) = Log::listen();
    let flow = "default-provider-invalidation-flow";
    let mut directory = directory("direct", recommended());
    change(&mut directory, |provider| {
        provider.unbind_flow = Some(flow.into())
    });
    let stage = of(directory, &[]).await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(stage.bound("alice").await);
    }
    // As many at once as there are workers: each finds out for itself.
    stage.simulator.faults().set_latency(Duration::from_millis(200));
    drop(clients);
    eventually("several were run side by side", || {
        stage.simulator.requests().to(flow).len() > 1
    })
    .await;
    let told = || {
        log.text()
            .matches("the unbind flow did not end the session")
            .count()
    };
    eventually("it is told", || told() > 0).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(told(), 1, "{}", log.text());
}

#[tokio::test]
async fn a_cached_session_ends_when_its_entry_has_left_and_nobody_uses_it() {
    let stage = of(logging_out("cached"), &[("BIND_CACHE_MAX_AGE", "1s")]).await;
    let mut kept = stage.bound("alice").await;
    drop(stage.bound("alice").await);
    drop(stage.bound("bob").await);
    assert_eq!(stage.simulator.sessions().len(), 2);
    eventually("bob's session ended with its entry", || {
        stage.simulator.sessions().len() == 1
    })
    .await;
    assert_eq!(
        kept.read(BASE, &["1.1"]).await.outcome.code,
        0,
        "alice is still bound"
    );
    drop(kept);
    eventually("the last session ended", || stage.simulator.sessions().is_empty()).await;
}

#[tokio::test]
async fn shutting_down_ends_the_sessions() {
    for mode in ["direct", "cached"] {
        let Stage {
            simulator,
            server,
            temporary,
        } = of(logging_out(mode), &[]).await;
        let address = server.addresses().ldap[0];
        let mut client = akldap_testing::client::Client::connect(address).await;
        assert_eq!(client.bind(&user_dn("alice"), "demo-alice").await.code, 0);
        assert_eq!(simulator.sessions().len(), 1);
        server.shutdown().await;
        assert_eq!(simulator.sessions().len(), 0, "{mode}");
        drop(temporary);
    }
}
