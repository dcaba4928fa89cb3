//! The event stream fails and comes back: nobody who searches notices, an admin reads of it once, and what was
//! announced in between is caught up with.

use std::time::{Duration, Instant};

use akldap_simulator::{Endpoint, Fault, Rule};

use akldap_testing::captured_log::Log;
use akldap_testing::scenery::{assert_disconnected, flow_requests, recommended, stage};
use akldap_testing::stage::{BASE, NEVER, Stage, eventually, user_dn};

async fn connected(mode: &str) -> Stage {
    // Nothing but the stream, and what follows a gap in it, tells of a change or the end of a session here.
    let settings = [("REFRESH_DELTA_INTERVAL", "0"), ("ACCESS_RECHECK_INTERVAL", "0")];
    let stage = stage(mode, recommended(), &settings).await;
    stage.settled().await;
    stage
}

#[tokio::test]
async fn a_session_that_ended_unheard_is_found_after_the_reconnect() {
    for mode in ["cached", "direct"] {
        let stage = connected(mode).await;
        let (mut alice, mut bob) = (stage.bound("alice").await, stage.bound("bob").await);
        let refuse = stage.simulator.faults().add(Rule::new("/ws/", Fault::Forbidden));
        stage.simulator.recycle_worker();
        eventually("the stream is gone", || stage.simulator.websockets() == 0).await;
        stage
            .simulator
            .end_sessions_of(stage.simulator.user_pk("alice").unwrap());
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(
            alice.read(BASE, &["1.1"]).await.outcome.code,
            0,
            "{mode}: nobody could hear it"
        );
        stage.simulator.faults().remove(refuse);
        eventually("the stream is back", || stage.simulator.websockets() > 0).await;
        assert_disconnected(&mut alice).await;
        assert_eq!(bob.read(BASE, &["1.1"]).await.outcome.code, 0, "{mode}");
        stage.simulator.requests().clear();
        assert_eq!(stage.bind(&user_dn("bob"), "demo-bob").await.code, 0);
        assert_eq!(
            flow_requests(&stage.simulator) == 0,
            mode == "cached",
            "{mode}: bob's bind stays cached"
        );
        stage.simulator.requests().clear();
        assert_eq!(stage.bind(&user_dn("alice"), "demo-alice").await.code, 0);
        assert!(flow_requests(&stage.simulator) > 0, "{mode}: alice's is not");
    }
}

#[tokio::test]
async fn changes_announced_unheard_are_there_after_the_reconnect() {
    let stage = connected("direct").await;
    let mut service = stage.bound("ldapservice").await;
    let refuse = stage.simulator.faults().add(Rule::new("/ws/", Fault::Forbidden));
    stage.simulator.recycle_worker();
    eventually("the stream is gone", || stage.simulator.websockets() == 0).await;
    stage
        .simulator
        .create_user("newcomer", "New Comer", "new@example.com");
    stage.simulator.faults().remove(refuse);
    eventually("the stream is back", || stage.simulator.websockets() > 0).await;
    let back = Instant::now();
    let filter = "(&(objectClass=user)(cn=newcomer))";
    while service.subtree(BASE, filter, &["1.1"]).await.entries.is_empty() {
        assert!(back.elapsed() < NEVER);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn whatever_comes_over_the_stream_no_search_notices_and_the_log_stays_short() {
    let (log, _guard) = Log::listen();
    let stage = connected("direct").await;
    let mut client = stage.bound("ldapservice").await;
    let whole = client.subtree(BASE, "(objectClass=*)", &["*"]).await.entries;
    let said = |what: &str| log.text().matches(what).count();
    let loads_before = said("connected to authentik's events");
    let trouble = async {
        for frame in [
            "",
            "garbage",
            "[]",
            "{}",
            "null",
            r#"{"instruction":99,"args":{"x":1}}"#,
            r#"{"instruction":3,"args":{"type":"event.provider.specific"}}"#,
            r#"{"instruction":-1}"#,
            r#"{"instruction":2}"#,
            r#"{"instruction":4,"args":{"session_id":"short"}}"#,
        ] {
            for _ in 0..20 {
                stage.simulator.send_frame(frame);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let connects = stage.simulator.websocket_connects();
        // A frame beyond all measure ends the connection.
        stage.simulator.send_frame(&" ".repeat((1 << 20) + 1));
        eventually("a new connection after the huge frame", || {
            stage.simulator.websocket_connects() > connects
        })
        .await;
        let connects = stage.simulator.websocket_connects();
        stage.simulator.recycle_worker();
        eventually("a new connection after the recycled worker", || {
            stage.simulator.websocket_connects() > connects
        })
        .await;
        eventually("the new connection holds", || stage.simulator.websockets() > 0).await;
        stage.simulator.faults().add(Rule::new("/ws/", Fault::Forbidden));
        let tries = || stage.simulator.requests().count(Endpoint::Websocket);
        let before = tries();
        stage.simulator.recycle_worker();
        eventually("it was refused again and again", || tries() >= before + 3).await;
        stage.simulator.faults().clear();
        eventually("the stream is back", || stage.simulator.websockets() > 0).await;
    };
    tokio::pin!(trouble);
    let mut searches = 0;
    loop {
        tokio::select! {
            () = &mut trouble => break,
            found = client.subtree(BASE, "(objectClass=*)", &["*"]) => {
                assert_eq!(found.outcome.code, 0);
                assert_eq!(found.entries, whole);
                searches += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
    assert!(searches > 5, "{searches}");
    // Logged once each: the connection that broke over the frame, and the one that is refused.
    assert_eq!(said("no connection to authentik's events"), 2, "{}", log.text());
    assert_eq!(said("status 403"), 1, "{}", log.text());
    eventually("the good end is told", || {
        said("connected to authentik's events") > loads_before
    })
    .await;
    assert!(
        said("connected to authentik's events") <= loads_before + 2,
        "{}",
        log.text()
    );
}
