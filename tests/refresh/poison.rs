//! Rows that authentik answers 500 for: the others are served, the last known version of the row stays.

use crate::scenery::{is_current, served, stage, truth, unready, update};
use akldap_simulator::Directory;
use akldap_testing::captured_log::Log;
use serde_json::json;

#[tokio::test]
async fn a_poisoned_user_stays_as_known_and_hides_nobody() {
    let (log, _guard) = Log::listen();
    let stage = stage(Directory::sample(130, 25), 40, &[]).await;
    let before = truth(&stage.simulator).fingerprint();
    let pk = stage.simulator.user_pk("user000050").unwrap();
    stage.simulator.poison_user(pk);
    update(&stage).await;
    assert_eq!(served(&stage).fingerprint(), before, "by a look at the changes");
    stage.simulator.advance(std::time::Duration::from_secs(600));
    stage.refresh().await;
    assert_eq!(served(&stage).fingerprint(), before, "by a full load");
    let other = stage.simulator.create_user("carol", "Carol", "");
    update(&stage).await;
    assert!(served(&stage).user_by_pk(other.into()).is_some());
    assert!(served(&stage).user_by_pk(pk.into()).is_some());
    stage.refresh().await;
    let told = log.text().matches("answers 500 for a user").count();
    assert!((1..=3).contains(&told), "told {told} times: {}", log.text());
    stage
        .simulator
        .set_user_attributes(pk, &json!({"well": "again"}).as_object().cloned().unwrap());
    update(&stage).await;
    assert!(is_current(&stage));
}

#[tokio::test]
async fn poisoned_from_the_start_the_others_are_served() {
    let directory = Directory::sample(130, 25);
    let simulator = akldap_simulator::Simulator::start(
        directory,
        akldap_simulator::Options {
            max_page_size: 40,
            ..akldap_simulator::Options::default()
        },
    )
    .await
    .unwrap();
    let poisoned: Vec<i32> = ["user000001", "user000050", "user000110"]
        .iter()
        .map(|name| simulator.user_pk(name).unwrap())
        .collect();
    for pk in &poisoned {
        simulator.poison_user(*pk);
    }
    let count = simulator.look(|directory| directory.users().len());
    let stage = unready(simulator, &[]).await;
    stage.ready().await;
    assert_eq!(served(&stage).user_count(), count - poisoned.len());
    update(&stage).await;
    assert_eq!(served(&stage).user_count(), count - poisoned.len());
    for pk in &poisoned {
        stage.simulator.set_user_attributes(*pk, &serde_json::Map::new());
    }
    update(&stage).await;
    assert!(is_current(&stage));
}

#[tokio::test]
async fn a_poisoned_group_stays_as_known_and_its_members_are_served() {
    let stage = stage(Directory::sample(60, 25), 40, &[]).await;
    let before = truth(&stage.simulator).fingerprint();
    let group = stage
        .simulator
        .look(|directory| directory.group_named("group0003").unwrap().pk);
    let poison = json!({"poison": 1e30}).as_object().cloned().unwrap();
    stage.simulator.set_group_attributes(group, &poison);
    for _ in 0..2 {
        update(&stage).await;
        assert_eq!(served(&stage).fingerprint(), before);
    }
    stage.refresh().await;
    assert_eq!(served(&stage).fingerprint(), before);
    stage
        .simulator
        .set_group_attributes(group, &serde_json::Map::new());
    update(&stage).await;
    assert!(is_current(&stage));
}

/// A look asks for as many rows of a page as all users made at the last reading, and cannot cut what it gets less of.
#[tokio::test]
async fn a_poisoned_user_on_pages_that_became_smaller_hides_no_change() {
    let stage = stage(Directory::sample(90, 5), 100, &[]).await;
    let pk = stage.simulator.user_pk("user000010").unwrap();
    stage.simulator.poison_user(pk);
    stage.simulator.set_max_page_size(7);
    let changed: Vec<i32> = (20..50)
        .map(|number| stage.simulator.user_pk(&format!("user{number:06}")).unwrap())
        .collect();
    for pk in &changed {
        stage.simulator.rename_user(*pk, &format!("renamed{pk}"));
    }
    update(&stage).await;
    let shown = served(&stage);
    assert!(shown.user_by_pk(pk.into()).is_some(), "as it was known");
    for pk in changed {
        let user = shown.user_by_pk(pk.into()).unwrap();
        assert_eq!(shown.user(user).unwrap().username, format!("renamed{pk}"));
    }
}
