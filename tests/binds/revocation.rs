//! When a login that was good ends: for cached binds, and for the connections they bound.

use std::time::Duration;

use akldap_simulator::{Binding, Endpoint, Fault, Rule, Stage as FlowStage, UserLogin};
use futures_util::future::join_all;

use crate::ends::{connected, move_to_another_application};
use akldap_testing::lifetime::{Lifetime, TRIES};
use akldap_testing::scenery::{assert_disconnected, flow_requests, recommended, stage};
use akldap_testing::stage::{BASE, Stage, eventually, user_dn};

async fn cached(settings: &[(&str, &str)]) -> Stage {
    let stage = stage("cached", recommended(), settings).await;
    eventually("the websocket is there", || stage.simulator.websockets() > 0).await;
    stage
}

fn pk(stage: &Stage, username: &str) -> i32 {
    stage.simulator.user_pk(username).unwrap()
}

#[tokio::test]
async fn an_old_password_ends_with_the_snapshot_that_shows_the_new_one() {
    let stage = cached(&[]).await;
    let mut bound = stage.bound("alice").await;
    stage.simulator.advance(Duration::from_secs(2));
    stage.simulator.set_password(pk(&stage, "alice"), "changed");
    stage.refresh().await;
    assert_eq!(stage.bind(&user_dn("alice"), "demo-alice").await.code, 49);
    assert_eq!(stage.bind(&user_dn("alice"), "changed").await.code, 0);
    // As in authentik, changing a password does not log out.
    assert_eq!(bound.read(BASE, &["1.1"]).await.outcome.code, 0);
    // Nobody else was disturbed, and an unchanged directory voids nothing.
    stage.refresh().await;
    stage.simulator.requests().clear();
    assert_eq!(stage.bind(&user_dn("alice"), "changed").await.code, 0);
    let old = stage.bind(&user_dn("alice"), "demo-alice").await;
    assert_eq!((old.code, flow_requests(&stage.simulator)), (49, 0), "{old:?}");
}

#[tokio::test]
async fn a_password_changed_before_the_directory_knew_the_user_is_noticed() {
    let stage = cached(&[]).await;
    let fresh = stage.simulator.create_user("fresh", "Fresh", "fresh@example.com");
    stage.simulator.set_password(fresh, "first");
    assert_eq!(stage.bind(&user_dn("fresh"), "first").await.code, 0);
    stage.simulator.set_password(fresh, "second");
    stage.refresh().await;
    assert_eq!(stage.bind(&user_dn("fresh"), "first").await.code, 49);
    assert_eq!(stage.bind(&user_dn("fresh"), "second").await.code, 0);
}

#[tokio::test]
async fn a_password_changed_while_its_flow_runs_is_noticed() {
    let stage = cached(&[]).await;
    stage.simulator.faults().add(Rule::new(
        "/check_access/",
        Fault::Stall(Duration::from_millis(600)),
    ));
    let dn = user_dn("alice");
    let (outcome, ()) = tokio::join!(stage.bind(&dn, "demo-alice"), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        stage.simulator.advance(Duration::from_secs(2));
        stage.simulator.set_password(pk(&stage, "alice"), "changed");
        stage.refresh().await;
    });
    assert_eq!(outcome.code, 0, "it was right when it was judged");
    stage.simulator.faults().clear();
    assert_eq!(stage.bind(&dn, "demo-alice").await.code, 49);
}

#[tokio::test]
async fn the_end_of_a_session_ends_its_cached_bind_and_every_connection() {
    // Nothing but the announcement ends them here.
    let stage = cached(&[("REFRESH_DELTA_INTERVAL", "0"), ("ACCESS_RECHECK_INTERVAL", "0")]).await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(stage.bound("alice").await);
    }
    let mut bystander = stage.bound("bob").await;
    stage.simulator.set_password(pk(&stage, "alice"), "changed");
    stage.simulator.end_sessions_of(pk(&stage, "alice"));
    for client in &mut clients {
        assert_disconnected(client).await;
    }
    assert_eq!(stage.bind(&user_dn("alice"), "demo-alice").await.code, 49);
    assert_eq!(bystander.read(BASE, &["1.1"]).await.outcome.code, 0);
}

#[tokio::test]
async fn an_end_that_overtakes_its_bind_is_not_lost() {
    for mode in ["direct", "cached"] {
        let stage = stage(mode, recommended(), &[]).await;
        eventually("the websocket is there", || stage.simulator.websockets() > 0).await;
        stage.simulator.faults().add(Rule::new(
            "/check_access/",
            Fault::Stall(Duration::from_millis(500)),
        ));
        stage
            .simulator
            .faults()
            .add(Rule::new("/check_access/", Fault::PassingForAnyone));
        // The access check may pass for anybody, so only the announcement says that the session is dead.
        stage.simulator.edit(|directory| {
            directory
                .applications
                .values_mut()
                .for_each(|application| application.bindings.clear());
        });
        let dn = user_dn("alice");
        let (outcome, ()) = tokio::join!(stage.bind(&dn, "demo-alice"), async {
            eventually("alice has a session", || !stage.simulator.sessions().is_empty()).await;
            stage.simulator.end_sessions_of(pk(&stage, "alice"));
        });
        assert_eq!(outcome.code, 52, "{mode}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_cached_bind_is_never_older_than_the_maximum() {
    let age = Duration::from_secs(1);
    for _ in 0..TRIES {
        let stage = cached(&[("BIND_CACHE_MAX_AGE", "1s")]).await;
        let bind = async || stage.bind(&user_dn("alice"), "demo-alice").await.code;
        let mut lifetime = Lifetime::begin(bind()).await;
        stage.simulator.set_password(pk(&stage, "alice"), "changed");
        // Using it does not extend it.
        lifetime.watch(Duration::from_secs(2), bind).await;
        lifetime.assert_ends(age, 49);
        if lifetime.tells(Duration::ZERO, age) {
            return;
        }
    }
    panic!("this machine pauses too often to tell");
}

#[tokio::test]
async fn a_cached_bind_ends_with_its_session() {
    let login = UserLogin {
        session_duration: Duration::from_secs(1),
        ..UserLogin::default()
    };
    let stages = vec![
        FlowStage::identification_with_password(),
        FlowStage::UserLogin(login),
    ];
    let stage = stage("cached", stages, &[]).await;
    stage.bound("alice").await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    stage.simulator.requests().clear();
    stage.bound("alice").await;
    assert_eq!(
        stage.simulator.requests().count(Endpoint::CheckAccess),
        1,
        "asked again"
    );
}

#[tokio::test]
async fn deactivated_and_deleted_users_are_logged_out_by_the_snapshot() {
    for mode in ["direct", "cached"] {
        let stage = stage(mode, recommended(), &[]).await;
        let (mut alice, mut bob, mut zoe) = (
            stage.bound("alice").await,
            stage.bound("bob").await,
            stage.bound("zoë").await,
        );
        // Without the events that authentik sends, too.
        stage.simulator.edit(|directory| {
            let (alice, bob) = (
                directory.user_named("alice").unwrap().pk,
                directory.user_named("bob").unwrap().pk,
            );
            directory.change_user(alice, |user| {
                user.is_active = false;
                user.last_updated += 2_000_000;
            });
            directory.remove_user(bob);
        });
        stage.refresh().await;
        assert_disconnected(&mut alice).await;
        assert_disconnected(&mut bob).await;
        assert_eq!(zoe.read(BASE, &["1.1"]).await.outcome.code, 0);
        assert_eq!(
            stage.bind(&user_dn("alice"), "demo-alice").await.code,
            49,
            "{mode}"
        );
        assert_eq!(stage.bind(&user_dn("bob"), "demo-bob").await.code, 49, "{mode}");
    }
}

#[tokio::test]
async fn lost_access_is_noticed_at_the_next_check() {
    let stage = cached(&[("ACCESS_RECHECK_INTERVAL", "1s")]).await;
    let (mut alice, mut service) = (stage.bound("alice").await, stage.bound("ldapservice").await);
    stage.simulator.edit(|directory| {
        let alice = directory.user_named("alice").unwrap().pk;
        for application in directory.applications.values_mut() {
            application.bindings = vec![Binding::AllBut(vec![alice])];
        }
        directory.roles.values_mut().for_each(|role| role.search.clear());
    });
    assert_disconnected(&mut alice).await;
    assert_disconnected(&mut service).await;
    assert_eq!(stage.bind(&user_dn("alice"), "demo-alice").await.code, 50);
    let mut service = stage.bound("ldapservice").await;
    let found = service.subtree(BASE, "(objectClass=user)", &["1.1"]).await;
    assert!(found.entries.len() <= 1, "the search permission is gone");
}

#[tokio::test]
async fn a_check_that_cannot_be_made_ends_nothing() {
    let stage = cached(&[("ACCESS_RECHECK_INTERVAL", "1s")]).await;
    let mut alice = stage.bound("alice").await;
    for path in ["/check_access/", "/core/users/me/"] {
        for fault in [Fault::BadGateway, Fault::Truncated, Fault::Reset] {
            stage.simulator.faults().add(Rule::new(path, fault));
        }
    }
    stage.simulator.requests().clear();
    eventually("a check was tried", || {
        stage.simulator.requests().count(Endpoint::CheckAccess) > 0
    })
    .await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(alice.read(BASE, &["1.1"]).await.outcome.code, 0);
    assert_eq!(
        stage.bind(&user_dn("alice"), "demo-alice").await.code,
        0,
        "still cached"
    );
}

/// That there is no such application is what authentik's API says in JSON. Pages, authentik's own included, say nothing of it.
#[tokio::test]
async fn no_page_withdraws_access_and_a_verdict_does() {
    const PAGE: &str = "<html>404 Not Found</html>";
    let stage = cached(&[("ACCESS_RECHECK_INTERVAL", "1s")]).await;
    let mut alice = stage.bound("alice").await;
    for fault in [
        Fault::Intercepted(404, "text/html", PAGE),
        Fault::Intercepted(404, "application/json", r#"{"message":"no route"}"#),
        Fault::Intercepted(404, "text/plain", "404 page not found"),
        Fault::Answer(404, "text/html", PAGE),
        Fault::Intercepted(403, "text/html", PAGE),
        Fault::Intercepted(200, "text/html", PAGE),
        Fault::Moved("https://login.example/"),
    ] {
        let what = format!("{fault:?}");
        stage.simulator.faults().add(Rule::new("/check_access/", fault));
        stage.simulator.requests().clear();
        eventually("a check was made, and another", || {
            stage.simulator.requests().count(Endpoint::CheckAccess) > 1
        })
        .await;
        assert_eq!(alice.read(BASE, &["1.1"]).await.outcome.code, 0, "{what}");
        stage.simulator.faults().clear();
    }
    assert_eq!(stage.bind(&user_dn("alice"), "demo-alice").await.code, 0);
    stage
        .simulator
        .faults()
        .add(Rule::new("/check_access/", Fault::NotFound));
    assert_disconnected(&mut alice).await;
}

#[tokio::test]
async fn a_provider_that_moves_during_a_login_ends_what_it_was_judged_by() {
    join_all(["direct", "cached"].map(moved_during_a_login)).await;
}

async fn moved_during_a_login(mode: &str) {
    let stage = connected(mode, recommended(), &[("ACCESS_RECHECK_INTERVAL", "0")]).await;
    stage
        .simulator
        .faults()
        .add(Rule::new("/check_access/", Fault::Stall(Duration::from_secs(4))));
    stage.simulator.requests().clear();
    let (mut alice, dn) = (stage.client().await, user_dn("alice"));
    let (outcome, ()) = tokio::join!(alice.bind(&dn, "demo-alice"), async {
        eventually("access to the old application is asked about", || {
            stage.simulator.requests().count(Endpoint::CheckAccess) > 0
        })
        .await;
        let provider = move_to_another_application(&stage);
        stage.simulator.save_provider(provider, |_| {});
    });
    assert_eq!(outcome.code, 0, "{mode}: it was right when it was asked");
    stage.simulator.faults().clear();
    assert_disconnected(&mut alice).await;
    assert_eq!(stage.bind(&dn, "demo-alice").await.code, 50, "{mode}");
}
