//! Start, readiness, outages and shutdown.

use std::time::Duration;

use akldap_simulator::{Directory, Endpoint, Fault, Options, Rule, Simulator};
use ldap3_proto::proto::{LdapOp, LdapSearchScope};
use tokio::net::TcpStream;

use akldap_testing::captured_log::Log;
use akldap_testing::client::{Client, search};
use akldap_testing::http;
use akldap_testing::stage::{BASE, Stage, eventually, user_dn};

async fn down() -> Stage {
    let simulator = Simulator::start(Directory::sample(30, 5), Options::default())
        .await
        .unwrap();
    simulator.refuse_connections(true);
    Stage::of(simulator, |_| {}).await
}

#[tokio::test]
async fn the_server_starts_without_authentik_and_finds_it_later() {
    let stage = down().await;
    assert_eq!(
        http::get(stage.http(), "/outpost.goauthentik.io/ping").await.0,
        204
    );
    assert_eq!(http::get(stage.http(), "/ready").await.0, 503);
    let mut client = stage.client().await;
    assert_eq!(
        client.read("", &[]).await.outcome.code,
        0,
        "the rootDSE works at once"
    );
    let outcome = client.bind(&user_dn("alice"), "demo-alice").await;
    assert_eq!(outcome.code, 52, "{outcome:?}");
    assert!(outcome.message.contains("not been loaded"), "{outcome:?}");
    let found = client.subtree(BASE, "(objectClass=*)", &[]).await;
    assert_eq!(
        (found.outcome.code, found.entries.len()),
        (52, 0),
        "{:?}",
        found.outcome
    );
    assert_eq!(client.compare(BASE, "dc", b"ldap").await.code, 52);
    stage.simulator.refuse_connections(false);
    stage.ready().await;
    assert_eq!(http::get(stage.http(), "/ready").await.0, 200);
    assert_eq!(
        client.bind(&user_dn("alice"), "demo-alice").await.code,
        0,
        "the same connection"
    );
}

#[tokio::test]
async fn searches_are_unavailable_until_the_first_directory_is_whole() {
    let simulator = Simulator::start(Directory::sample(30, 5), Options::default())
        .await
        .unwrap();
    simulator
        .faults()
        .add(Rule::new("/core/groups/", Fault::WorkerLost));
    let stage = Stage::of(simulator, |_| {}).await;
    eventually("providers are loaded", || {
        !stage.server.outpost().providers().current().is_empty()
    })
    .await;
    let mut client = stage.bound("ldapservice").await;
    let found = client.subtree(BASE, "(objectClass=user)", &[]).await;
    assert_eq!((found.outcome.code, found.entries.len()), (52, 0));
    stage.simulator.faults().clear();
    stage.ready().await;
    assert_eq!(
        client
            .subtree(BASE, "(&(objectClass=user)(cn=alice))", &[])
            .await
            .entries
            .len(),
        1
    );
}

#[tokio::test]
async fn a_failing_refresh_keeps_the_directory_there_was() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    let before = client
        .subtree(BASE, "(objectClass=*)", &["1.1"])
        .await
        .entries
        .len();
    for fault in [
        Fault::Reset,
        Fault::Truncated,
        Fault::EmptyBody,
        Fault::BadGateway,
    ] {
        stage.simulator.faults().add(Rule::new("/core/users/", fault));
        let failures = || stage.server.outpost().status().directory().failure;
        stage.server.outpost().refresh_requests().all();
        eventually("the refresh has failed", || failures().is_some()).await;
        assert_eq!(
            client
                .subtree(BASE, "(objectClass=*)", &["1.1"])
                .await
                .entries
                .len(),
            before
        );
        stage.simulator.faults().clear();
        stage.refresh().await;
    }
}

#[tokio::test]
async fn metrics_have_their_official_names() {
    let stage = Stage::sample().await;
    stage
        .bound("ldapservice")
        .await
        .subtree(BASE, "(cn=alice)", &[])
        .await;
    stage.bind(&user_dn("alice"), "wrong").await;
    let (status, text) = http::get(stage.http(), "/metrics").await;
    assert_eq!(status, 200);
    for part in [
        "authentik_outpost_info{",
        "authentik_outpost_connection{",
        "authentik_outpost_last_update{",
        "outpost_type=\"ldap\"",
        "authentik_outpost_ldap_request_duration_seconds_count{outpost_name=\"LDAP Outpost\",type=\"bind\",app=\"ldap\"}",
        "authentik_outpost_ldap_requests_rejected_total{outpost_name=\"LDAP Outpost\",type=\"bind\",reason=\"invalid_credentials\",app=\"ldap\"}",
        "authentik_outpost_flow_timing_post_seconds_bucket{",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
}

#[tokio::test]
async fn every_refusal_is_counted_with_its_reason() {
    let stage = Stage::with(Directory::sample(30, 5), |settings| {
        settings.set("AUTHENTIK_LDAP__SEARCH_WORK_LIMIT", "1000");
    })
    .await;
    let mut client = stage.client().await;
    assert_eq!(client.subtree(BASE, "(cn=alice)", &[]).await.outcome.code, 50);
    assert_eq!(client.compare(BASE, "cn", b"alice").await.code, 50);
    let wide = format!("(|{})", "(cn=*q*z*)".repeat(3000));
    let anonymous = client.search("", LdapSearchScope::Base, &wide, &["1.1"]).await;
    assert_eq!(anonymous.outcome.code, 11);
    let mut service = stage.bound("ldapservice").await;
    assert_eq!(service.subtree(BASE, &wide, &["1.1"]).await.outcome.code, 11);
    client.extended("1.2.3.4", None).await;
    // A substring filter without substrings, a scope that does not exist, and a DN to delete that is not
    // text.
    for broken in [
        b"\x30\x20\x02\x01\x61\x63\x1b\x04\x00\x0a\x01\x00\x0a\x01\x00\x02\x01\x00\x02\x01\x00\x01\x01\x00\xa4\x06\x04\x02cn\x30\x00\x30\x00".as_slice(),
        b"\x30\x25\x02\x01\x62\x63\x20\x04\x00\x0a\x01\x09\x0a\x01\x00\x02\x01\x00\x02\x01\x00\x01\x01\x00\x87\x0bobjectClass\x30\x00",
        b"\x30\x06\x02\x01\x63\x4a\x01\xff",
    ] {
        client.send_raw(broken).await;
        assert!(client.receive().await.is_some());
    }
    let (_, text) = http::get(stage.http(), "/metrics").await;
    for (request, reason, app) in [
        ("search", "empty_bind_dn", ""),
        ("compare", "empty_bind_dn", ""),
        ("search", "limit_exceeded", ""),
        ("search", "limit_exceeded", "ldap"),
        ("extended", "protocol_error", ""),
        ("search", "filter_parse_fail", ""),
        ("search", "protocol_error", ""),
        ("update", "protocol_error", ""),
    ] {
        let sample = format!(
            "authentik_outpost_ldap_requests_rejected_total{{outpost_name=\"LDAP Outpost\",type=\"{request}\",reason=\"{reason}\",app=\"{app}\"}} 1\n"
        );
        assert!(text.contains(&sample), "{sample} is missing in\n{text}");
    }
}

#[tokio::test]
async fn the_health_check_asks_over_its_socket() {
    let stage = Stage::sample().await;
    let socket = stage.temporary.path().join("authentik-metrics.sock");
    let alive = akldap::cli::args::HealthcheckArgs { ready: false };
    akldap::cli::healthcheck::run(&socket, alive).await.unwrap();
    let missing = stage.temporary.path().join("nothing.sock");
    assert!(akldap::cli::healthcheck::run(&missing, alive).await.is_err());
}

#[tokio::test]
async fn shutdown_finishes_what_is_under_way_and_says_goodbye() {
    let stage = Stage::sample().await;
    let mut idle = stage.client().await;
    assert_eq!(idle.read("", &[]).await.outcome.code, 0);
    let mut binding = stage.client().await;
    stage.simulator.faults().set_latency(Duration::from_millis(300));
    let address = stage.ldap();
    let Stage {
        simulator,
        server,
        temporary,
    } = stage;
    let bind = tokio::spawn(async move { binding.bind(&user_dn("alice"), "demo-alice").await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.shutdown().await;
    assert_eq!(bind.await.unwrap().code, 0, "the bind under way is finished");
    let LdapOp::ExtendedResponse(notice) = idle.receive().await.expect("a notice").op else {
        panic!()
    };
    assert_eq!(notice.res.code as i32, 52);
    assert!(idle.receive().await.is_none());
    assert!(
        TcpStream::connect(address).await.is_err(),
        "nobody listens any more"
    );
    simulator.shutdown().await;
    drop(temporary);
}

/// The time limits of a connection hold at shutdown, too.
#[tokio::test]
async fn shutdown_waits_no_longer_for_one_who_reads_nothing() {
    let stage = Stage::with(Directory::sample(1000, 12), |settings| {
        settings.set("AUTHENTIK_LDAP__WRITE_TIMEOUT", "2s");
        settings.set("AUTHENTIK_LDAP__SHUTDOWN_TIMEOUT", "1h");
    })
    .await;
    let mut silent = stage.bound("ldapservice").await;
    // More than the sockets hold.
    for _ in 0..30 {
        let request = search(BASE, LdapSearchScope::Subtree, "(objectClass=*)", &["*", "+"]);
        silent.send(LdapOp::SearchRequest(request), vec![]).await;
    }
    assert!(silent.receive().await.is_some(), "they are under way");
    let Stage {
        simulator,
        server,
        temporary,
    } = stage;
    let ended = tokio::time::timeout(Duration::from_secs(60), server.shutdown()).await;
    assert!(ended.is_ok(), "it was waited for");
    drop(silent);
    simulator.shutdown().await;
    drop(temporary);
}

#[tokio::test]
async fn a_provider_that_is_gone_is_no_longer_served() {
    let stage = Stage::sample().await;
    let mut client: Client = stage.bound("ldapservice").await;
    stage.simulator.edit(|directory| directory.providers.clear());
    stage.server.outpost().refresh_requests().all();
    eventually("the provider is gone", || {
        stage.server.outpost().providers().current().is_empty()
    })
    .await;
    assert!(matches!(
        client.receive().await.map(|message| message.op),
        Some(LdapOp::ExtendedResponse(_))
    ));
    assert_eq!(stage.bind(&user_dn("alice"), "demo-alice").await.code, 50);
}

#[tokio::test]
async fn direct_search_mode_is_served_from_a_recent_look_and_said_once() {
    let (log, _guard) = Log::listen();
    let mut directory = Directory::sample(0, 0);
    for provider in directory.providers.values_mut() {
        provider.search_mode = "direct".into();
    }
    // However long this takes, the look of the start is recent.
    let stage = Stage::with(directory, |settings| {
        settings.set("AUTHENTIK_LDAP__DIRECT_SEARCH_MAX_AGE", "1h");
    })
    .await;
    let mut client = stage.bound("ldapservice").await;
    stage.simulator.requests().clear();
    assert_eq!(
        client
            .subtree(BASE, "(&(objectClass=user)(cn=alice))", &[])
            .await
            .entries
            .len(),
        1
    );
    assert_eq!(stage.simulator.requests().count(Endpoint::UserList), 0);
    // A changed provider is loaded again, which is no reason to log it again.
    stage
        .simulator
        .save_provider(1, |provider| provider.uid_start_number = 9000);
    stage.server.outpost().refresh_requests().all();
    eventually("the provider was loaded again", || {
        log.text().matches("provider loaded").count() == 2
    })
    .await;
    assert_eq!(
        log.text().matches("direct search mode").count(),
        1,
        "{}",
        log.text()
    );
}
