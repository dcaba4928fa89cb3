//! What `/ready` says: searches and binds are two things.

use akldap_simulator::{Directory, Fault, Options, Rule, Simulator};
use serde_json::{Value, json};

use akldap_testing::captured_log::Log;
use akldap_testing::http;
use akldap_testing::stage::{Stage, eventually};

/// Statuses for searches and for binds, and what the answer says of both.
async fn ready(stage: &Stage) -> (u16, u16, Value, Value) {
    let (searches, body) = http::get(stage.http(), "/ready").await;
    let (binds, _) = http::get(stage.http(), "/ready?for=binds").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    (searches, binds, body["searches"].clone(), body["binds"].clone())
}

fn said(searches: bool, binds: bool) -> (u16, u16, Value, Value) {
    let status = |ready| if ready { 200 } else { 503 };
    (status(searches), status(binds), json!(searches), json!(binds))
}

async fn simulator() -> Simulator {
    Simulator::start(Directory::sample(20, 3), Options::default())
        .await
        .unwrap()
}

#[tokio::test]
async fn searches_outlast_an_outage_and_binds_do_not() {
    let stage = Stage::of(simulator().await, |_| {}).await;
    stage.ready().await;
    assert_eq!(ready(&stage).await, said(true, true));
    let body = http::ready(stage.http()).await;
    assert_eq!(body["directory"]["stale_after_s"], 120);
    stage.simulator.refuse_connections(true);
    stage.server.outpost().refresh_requests().update();
    eventually("the outage is stated", || {
        stage.server.outpost().outage().under_way().is_some()
    })
    .await;
    assert_eq!(ready(&stage).await, said(true, false));
    stage.simulator.refuse_connections(false);
    eventually("it is over", || {
        stage.server.outpost().outage().under_way().is_none()
    })
    .await;
    assert_eq!(ready(&stage).await, said(true, true));
}

#[tokio::test]
async fn nobody_is_sent_where_binds_work_and_searches_do_not() {
    let simulator = simulator().await;
    let broken = Fault::Answer(500, "application/json", "{}");
    simulator.faults().add(Rule::new("/core/users/?", broken));
    let stage = Stage::of(simulator, |_| {}).await;
    let outpost = stage.server.outpost();
    eventually("binds can be judged", || outpost.can_bind()).await;
    let (searches, binds, can_search, _) = ready(&stage).await;
    assert_eq!((searches, binds, can_search), (503, 503, json!(false)));
}

#[tokio::test]
async fn what_is_asked_for_is_known_or_refused() {
    let stage = Stage::of(simulator().await, |_| {}).await;
    stage.ready().await;
    for known in [
        "",
        "?",
        "?for=searches",
        "?for=binds",
        "?f%6Fr=bind%73&x=y",
        "?for=binds&for=searches",
    ] {
        let (status, _) = http::get(stage.http(), &format!("/ready{known}")).await;
        assert_eq!(status, 200, "{known}");
    }
    for unknown in [
        "?for=bind",
        "?for=BINDS",
        "?for=",
        "?for",
        "?for=searches&for=login",
        "?for=%ff",
    ] {
        let (status, text) = http::get(stage.http(), &format!("/ready{unknown}")).await;
        assert_eq!(status, 400, "{unknown}");
        assert!(text.contains("/ready?for=binds"), "{text}");
    }
    // Decoded: a load balancer that encodes the letters asks for binds.
    stage.simulator.refuse_connections(true);
    stage.server.outpost().refresh_requests().update();
    eventually("the outage is stated", || {
        stage.server.outpost().outage().under_way().is_some()
    })
    .await;
    for (query, expected) in [
        ("?for=bind%73", 503),
        ("?for=searches", 200),
        ("?for=searches&for=binds", 503),
    ] {
        let (status, _) = http::get(stage.http(), &format!("/ready{query}")).await;
        assert_eq!(status, expected, "{query}");
    }
}

#[tokio::test]
async fn without_a_provider_nothing_is_ready() {
    let mut directory = Directory::sample(20, 3);
    directory.providers.clear();
    let simulator = Simulator::start(directory, Options::default()).await.unwrap();
    let stage = Stage::of(simulator, |_| {}).await;
    eventually("all is loaded", || {
        let status = stage.server.outpost().status();
        status.configuration().read.is_some() && status.directory().read.is_some()
    })
    .await;
    assert_eq!(ready(&stage).await, said(false, false));
}

#[tokio::test]
async fn after_a_restart_in_an_outage_one_line_says_what_works() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory");
    let keep = |settings: &mut akldap::config::StringMap| {
        settings.set("AUTHENTIK_LDAP__SNAPSHOT_FILE", path.to_str().unwrap());
    };
    let stage = Stage::of(simulator().await, keep).await;
    stage.ready().await;
    eventually("the file is written", || path.exists()).await;
    stage.server.shutdown().await;
    let simulator = stage.simulator;
    simulator.refuse_connections(true);
    let (log, _guard) = Log::listen();
    let stage = Stage::of(simulator, keep).await;
    let outpost = stage.server.outpost();
    eventually("the outage is told", || {
        log.text().contains("authentik cannot be reached: ")
    })
    .await;
    assert!(outpost.outage().under_way().is_some() && outpost.can_search());
    assert_eq!(ready(&stage).await, said(true, false));
    let text = log.text();
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("are answered"))
        .collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert!(lines[0].contains("from the snapshot file's directory, and binds are answered 52"));
    assert!(!text.contains("nothing is loaded yet"), "{text}");
}
