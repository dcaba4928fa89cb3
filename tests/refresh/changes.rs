//! Changes are read, not everything; and what is read is all that changed.

use std::time::{Duration, Instant};

use akldap_simulator::{Directory, Endpoint};
use serde_json::json;

use crate::scenery::{is_current, pages, served, stage, update};
use akldap_testing::stage::{Stage, eventually};

/// A change is late when it shows after this many times what a load takes at another moment: an event or a timer is
/// followed by two looks, and a busy machine slows down each of their steps.
const LOADS: u32 = 20;

/// Lets the changes so far leave the window that each look covers.
fn later(stage: &Stage) {
    stage.simulator.advance(Duration::from_secs(300));
}

#[tokio::test]
async fn nothing_changed_costs_few_requests_and_no_snapshot() {
    let stage = stage(Directory::sample(3000, 25), 100, &[]).await;
    later(&stage);
    update(&stage).await;
    let before = served(&stage);
    stage.simulator.requests().clear();
    for _ in 0..3 {
        update(&stage).await;
    }
    let (users, groups) = pages(&stage);
    assert_eq!((users, groups), (6, 3));
    assert!(std::sync::Arc::ptr_eq(&before, &served(&stage)));
}

#[tokio::test]
async fn every_kind_of_change_is_seen_without_reading_all() {
    let stage = stage(Directory::sample(700, 30), 50, &[]).await;
    assert!(is_current(&stage));
    let simulator = &stage.simulator;
    let pk = |name: &str| simulator.user_pk(name).unwrap();
    let group = |name: &str| simulator.look(|directory| directory.group_named(name).unwrap().pk);
    type Change<'a> = (&'a str, Box<dyn Fn() -> bool + 'a>);
    let join = |user: &str, name: &str| {
        simulator.join(pk(user), name);
        true
    };
    let superuser =
        |name: &str, superuser| simulator.save_group(group(name), |group| group.is_superuser = superuser);
    let shoe = json!({"shoe": 42}).as_object().cloned().unwrap();
    let changes: Vec<Change<'_>> = vec![
        (
            "a new user",
            Box::new(|| simulator.create_user("carol", "Carol", "carol@example.com") > 0),
        ),
        ("a member", Box::new(|| join("carol", "group0001"))),
        (
            "a new name",
            Box::new(|| simulator.rename_user(pk("user000010"), "renamed")),
        ),
        (
            "a deactivation",
            Box::new(|| simulator.set_active(pk("user000011"), false)),
        ),
        (
            "a password",
            Box::new(|| simulator.set_password(pk("user000012"), "new")),
        ),
        (
            "attributes",
            Box::new(|| simulator.set_user_attributes(pk("user000013"), &shoe)),
        ),
        (
            "no member any more",
            Box::new(|| {
                simulator.leave(pk("carol"), "group0001");
                true
            }),
        ),
        (
            "a group's name",
            Box::new(|| simulator.rename_group(group("group0002"), "renamed")),
        ),
        (
            "a group's parents",
            Box::new(|| {
                simulator.set_parents(group("group0003"), &[group("group0004")]);
                true
            }),
        ),
        ("superusers", Box::new(|| superuser("group0004", true))),
        ("no superusers", Box::new(|| superuser("group0004", false))),
        (
            "a new group",
            Box::new(|| !simulator.create_group("brand new").is_nil()),
        ),
        (
            "no such group",
            Box::new(|| simulator.delete_group(group("group0005"))),
        ),
        ("a deletion", Box::new(|| simulator.delete_user(pk("user000300")))),
        (
            "the last user deleted",
            Box::new(|| simulator.delete_user(pk("carol"))),
        ),
        (
            "several deletions and a new user",
            Box::new(|| {
                let gone = [5, 6, 7, 350, 660].map(|number| pk(&format!("user{number:06}")));
                gone.into_iter().all(|pk| simulator.delete_user(pk))
                    && simulator.create_user("dora", "Dora", "") > 0
            }),
        ),
    ];
    for (what, change) in changes {
        later(&stage);
        update(&stage).await;
        simulator.requests().clear();
        assert!(change(), "{what}");
        update(&stage).await;
        assert!(is_current(&stage), "{what}");
        // Two looks of three requests each, and the search for the deleted.
        let users = pages(&stage).0;
        let deletions = if what.contains("delet") { 40 } else { 0 };
        assert!(users <= 6 + deletions, "{what}: {users} requests for users");
    }
}

#[tokio::test]
async fn what_no_date_tells_comes_with_the_next_full_load() {
    let stage = stage(Directory::sample(60, 5), 100, &[]).await;
    let pk = stage.simulator.user_pk("user000020").unwrap();
    // As the e-mail stage activates users, and as hands in the database do.
    stage
        .simulator
        .edit(|directory| directory.change_user(pk, |user| user.is_active = false));
    update(&stage).await;
    assert!(!is_current(&stage));
    stage.refresh().await;
    assert!(is_current(&stage));
    // Only the count shows that there is somebody who was not announced.
    stage.simulator.edit(|directory| {
        let user = akldap_simulator::User::new(directory.next_user_pk(), "silent", "Silent", "");
        directory.add_user(user);
    });
    update(&stage).await;
    assert!(is_current(&stage));
}

#[tokio::test]
async fn a_full_load_that_shows_nothing_new_installs_nothing() {
    let stage = stage(Directory::sample(60, 5), 100, &[]).await;
    let before = served(&stage);
    stage.refresh().await;
    assert!(std::sync::Arc::ptr_eq(&before, &served(&stage)));
}

/// How long until what is served is what authentik holds.
async fn until_current(stage: &Stage, what: &str) -> Duration {
    let began = Instant::now();
    eventually(what, || is_current(stage)).await;
    began.elapsed()
}

/// What a whole load takes here and now: the machine may have other things to do.
async fn a_load(stage: &Stage) -> Duration {
    let began = Instant::now();
    stage.refresh().await;
    began.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test]
async fn an_event_shows_a_change_within_a_second() {
    let stage = stage(Directory::sample(60, 5), 100, &[]).await;
    stage.settled().await;
    let (mut times, mut loads) = (Vec::new(), Vec::new());
    for number in 0..9 {
        loads.push(a_load(&stage).await);
        stage
            .simulator
            .create_user(&format!("evelyn-{number}"), "Evelyn", "");
        stage.simulator.trigger_update(vec![stage.simulator.outpost_pk()]);
        times.push(until_current(&stage, "the event's refresh").await);
    }
    println!("visible after an event: {times:?}, loads {loads:?}");
    assert!(median(times) < Duration::from_secs(1) + LOADS * median(loads));
}

#[tokio::test]
async fn a_timer_shows_a_change_within_its_interval() {
    let interval = Duration::from_secs(1);
    let stage = stage(Directory::sample(60, 5), 100, &[("REFRESH_DELTA_INTERVAL", "1s")]).await;
    let (mut times, mut loads) = (Vec::new(), Vec::new());
    for number in 0..5 {
        loads.push(a_load(&stage).await);
        let before = stage.simulator.requests().to("/core/users/").len();
        stage.simulator.create_user(&format!("tim-{number}"), "Tim", "");
        times.push(until_current(&stage, "the timer's refresh").await);
        assert!(stage.simulator.requests().to("/core/users/").len() > before);
    }
    println!("visible by the timer: {times:?}, loads {loads:?}");
    assert!(median(times) < interval + Duration::from_millis(500) + LOADS * median(loads));
    assert_eq!(stage.simulator.requests().count(Endpoint::User), 0);
}

#[tokio::test]
async fn full_loads_come_as_often_as_asked_for() {
    let stage = stage(Directory::sample(10, 2), 100, &[("REFRESH_FULL_EVERY", "1")]).await;
    stage.simulator.requests().clear();
    update(&stage).await;
    let opening = |requests: Vec<akldap_simulator::RecordedRequest>| {
        requests
            .iter()
            .filter(|request| request.query.contains("page_size=100&ordering=-pk"))
            .count()
    };
    assert_eq!(
        opening(stage.simulator.requests().to("/core/users/")),
        0,
        "the interval has not passed"
    );
    stage.refresh().await;
    assert_eq!(opening(stage.simulator.requests().to("/core/users/")), 1);
}
