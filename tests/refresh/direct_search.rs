//! Direct search mode: what a search sees of a change that no event announces, what it costs, and what happens to it while authentik
//! fails.

use std::time::Duration;

use akldap_simulator::{Directory, Endpoint, Fault, Rule};
use futures_util::future::join_all;

use crate::scenery::{pages, stage};
use akldap_testing::stage::{BASE, Stage, eventually};

/// A server of this mode in front of a directory whose provider is set to direct search mode.
pub async fn direct(users: usize, settings: &[(&str, &str)]) -> Stage {
    let mut directory = Directory::sample(users, 12);
    for provider in directory.providers.values_mut() {
        provider.search_mode = "direct".into();
    }
    let stage = stage(directory, 100, settings).await;
    stage.settled().await;
    stage
}

pub const LIVE: (&str, &str) = ("DIRECT_SEARCH", "live");

async fn finds(stage: &Stage, name: &str) -> bool {
    let mut client = stage.bound("ldapservice").await;
    let found = client
        .subtree(BASE, &format!("(&(objectClass=user)(cn={name}))"), &[])
        .await;
    assert_eq!(found.outcome.code, 0, "{found:?}");
    !found.entries.is_empty()
}

#[tokio::test]
async fn a_live_search_sees_what_was_changed_a_moment_ago() {
    let stage = direct(60, &[LIVE]).await;
    for round in 0..5 {
        let name = format!("carol{round}");
        let pk = stage.simulator.create_user(&name, "Carol", "");
        assert!(finds(&stage, &name).await, "{name} is new");
        stage.simulator.join(pk, "group0001");
        let mut client = stage.bound("ldapservice").await;
        let filter = format!("(&(objectClass=group)(cn=group0001)(member=cn={name},ou=users,{BASE}))");
        assert_eq!(
            client.subtree(BASE, &filter, &["cn"]).await.entries.len(),
            1,
            "{name} joined"
        );
        stage.simulator.delete_user(pk);
        assert!(!finds(&stage, &name).await, "{name} is gone");
    }
}

#[tokio::test]
async fn a_fresh_search_sees_a_new_user_once_the_last_look_is_old_enough() {
    let stage = direct(
        60,
        &[("DIRECT_SEARCH_MAX_AGE", "1s"), ("DIRECT_SEARCH_PATIENCE", "60s")],
    )
    .await;
    let pk = stage.simulator.create_user("carol", "Carol", "");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(finds(&stage, "carol").await);
    stage.simulator.delete_user(pk);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(!finds(&stage, "carol").await);
}

#[tokio::test]
async fn a_burst_of_fresh_searches_shares_one_look_of_two_requests() {
    let stage = direct(
        60,
        &[("DIRECT_SEARCH_MAX_AGE", "1h"), ("DIRECT_SEARCH_PATIENCE", "60s")],
    )
    .await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(stage.bound("ldapservice").await);
    }
    stage.simulator.requests().clear();
    // The look of the start is of this hour.
    let burst = clients.iter_mut().map(|client| async {
        for _ in 0..10 {
            let found = client.subtree(BASE, "(&(objectClass=user)(cn=alice))", &[]).await;
            assert_eq!((found.outcome.code, found.entries.len()), (0, 1));
        }
    });
    join_all(burst).await;
    assert_eq!(pages(&stage), (0, 0));
    // And an old one is followed by one look at users, whoever else asks.
    drop(stage);
    let stage = direct(
        60,
        &[("DIRECT_SEARCH_MAX_AGE", "1s"), ("DIRECT_SEARCH_PATIENCE", "60s")],
    )
    .await;
    stage.simulator.advance(Duration::from_secs(300));
    let mut clients = Vec::new();
    for _ in 0..100 {
        clients.push(stage.client().await);
    }
    join_all(clients.iter_mut().map(|client| async {
        let dn = akldap_testing::stage::user_dn("ldapservice");
        assert_eq!(client.bind(&dn, "demo-ldapservice").await.code, 0);
    }))
    .await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    stage.simulator.requests().clear();
    let began = std::time::Instant::now();
    join_all(clients.iter_mut().map(|client| async {
        assert_eq!(
            client
                .subtree(BASE, "(&(objectClass=user)(cn=alice))", &[])
                .await
                .outcome
                .code,
            0
        );
    }))
    .await;
    // A look for each second that the burst took, and two requests for each.
    let looks = began.elapsed().as_secs() + 1;
    let (users, groups) = pages(&stage);
    assert!(
        (2..=2 * looks as usize).contains(&(users as usize)) && groups == 0,
        "{users} {groups} {looks}"
    );
}

#[tokio::test]
async fn while_authentik_fails_a_fresh_search_is_answered_and_a_live_one_is_not() {
    let fresh = direct(
        60,
        &[("DIRECT_SEARCH_MAX_AGE", "1s"), ("DIRECT_SEARCH_PATIENCE", "1s")],
    )
    .await;
    let live = direct(60, &[LIVE]).await;
    let lists = ["/api/v3/core/users/", "/api/v3/core/groups/"];
    for fault in [Fault::BadGateway, Fault::Forbidden, Fault::Truncated] {
        for list in lists {
            let (mut of_fresh, mut of_live) =
                (fresh.bound("ldapservice").await, live.bound("ldapservice").await);
            fresh.simulator.faults().add(Rule::new(list, fault.clone()));
            live.simulator.faults().add(Rule::new(list, fault.clone()));
            tokio::time::sleep(Duration::from_millis(1100)).await;
            let found = of_fresh
                .subtree(BASE, "(&(objectClass=user)(cn=alice))", &[])
                .await;
            assert_eq!(
                (found.outcome.code, found.entries.len()),
                (0, 1),
                "{list} {fault:?}"
            );
            let found = of_live
                .subtree(BASE, "(&(objectClass=user)(cn=alice))", &[])
                .await;
            assert_eq!(
                (found.outcome.code, found.entries.len()),
                (52, 0),
                "{list} {fault:?}"
            );
            fresh.simulator.faults().clear();
            live.simulator.faults().clear();
            // It confirms again as soon as it can be asked.
            let mut code = 52;
            for _ in 0..100 {
                code = of_live
                    .subtree(BASE, "(&(objectClass=user)(cn=alice))", &[])
                    .await
                    .outcome
                    .code;
                if code == 0 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            assert_eq!(code, 0, "{list} {fault:?}");
        }
    }
    let requests = live.simulator.requests();
    eventually("nothing is asked any more", || {
        requests.under_way(Endpoint::UserList) == 0
    })
    .await;
}
