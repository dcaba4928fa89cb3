//! Users who come and go all the time, from a distance: an import or a sync, as the HTTP client and the simulator see it.
//! The whole matrix of latencies, rates and kinds of change runs without either, in `src/outpost/refresh/load/tests.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use akldap_simulator::{Directory, Options, Simulator};

use crate::scenery::{is_current, served, unready, update};
use akldap_testing::stage::{Stage, eventually};

/// A change this often.
const EVERY: Duration = Duration::from_millis(400);

async fn follow(latency: u64) {
    let options = Options {
        max_page_size: 40,
        latency: Duration::from_millis(latency),
        ..Options::default()
    };
    let simulator = Simulator::start(Directory::sample(120, 50), options)
        .await
        .unwrap();
    let stage = Arc::new(unready(simulator, &[("REFRESH_DELTA_INTERVAL", "1s")]).await);
    let (stop, changes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let changing = {
        let (stage, stop, changes) = (Arc::clone(&stage), Arc::clone(&stop), Arc::clone(&changes));
        std::thread::spawn(move || {
            let mut created = Vec::new();
            while !stop.load(Ordering::SeqCst) {
                let number = changes.fetch_add(1, Ordering::SeqCst);
                match number % 3 {
                    2 => drop(
                        stage
                            .simulator
                            .delete_user(created.swap_remove(created.len() / 2)),
                    ),
                    _ => created.push(stage.simulator.create_user(&format!("stream{number}"), "", "")),
                }
                std::thread::sleep(EVERY);
            }
        })
    };
    // A start during it.
    stage.ready().await;
    let simulator = &stage.simulator;
    let pk = |name: &str| simulator.user_pk(name).unwrap();
    let shown = |pk: i32| {
        let snapshot = served(&stage);
        let user = snapshot.user_by_pk(pk.into())?;
        Some((
            snapshot.user(user).unwrap().username.to_owned(),
            snapshot
                .groups_of(user)
                .unwrap()
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        ))
    };
    let renamed = pk("user000020");
    assert!(simulator.rename_user(renamed, "renamed"));
    eventually("a rename", || {
        shown(renamed).is_some_and(|(name, _)| name == "renamed")
    })
    .await;
    let moved = pk("user000021");
    let group = simulator.look(|directory| directory.group_named("group0004").unwrap().name.to_string());
    simulator.join(moved, &group);
    eventually("a membership", || {
        shown(moved).is_some_and(|(_, groups)| groups.contains(&group))
    })
    .await;
    simulator.leave(moved, &group);
    eventually("a lost one", || {
        shown(moved).is_some_and(|(_, groups)| !groups.contains(&group))
    })
    .await;
    let changed = |snapshot: &akldap_directory::Snapshot, pk: i32| {
        let user = snapshot.user_by_pk(pk.into()).unwrap();
        snapshot.user(user).unwrap().password_change_date
    };
    let (other, before) = (pk("user000022"), served(&stage));
    assert!(simulator.set_password(other, "new"));
    eventually("a password", || {
        changed(&served(&stage), other) != changed(&before, other)
    })
    .await;
    let deleted = pk("user000023");
    assert!(simulator.delete_user(deleted));
    eventually("a deletion", || shown(deleted).is_none()).await;
    let outpost = stage.server.outpost();
    assert!(
        !outpost
            .status()
            .directory()
            .is_stale(outpost.schedule().directory_stale_after())
    );
    assert!(changes.load(Ordering::SeqCst) > 3, "it went on");
    stop.store(true, Ordering::SeqCst);
    tokio::task::spawn_blocking(|| changing.join().unwrap())
        .await
        .unwrap();
    update(&stage).await;
    eventually("all is as authentik has it", || is_current(&stage)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_show_while_users_come_and_go_near_by() {
    follow(30).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_show_while_users_come_and_go_far_away() {
    follow(150).await;
}

#[tokio::test]
async fn a_directory_is_stale_by_the_age_of_what_it_shows() {
    let stage: Stage = crate::scenery::stage(
        Directory::sample(20, 2),
        100,
        &[("REFRESH_DELTA_INTERVAL", "30s")],
    )
    .await;
    let outpost = stage.server.outpost();
    let directory = outpost.status().directory();
    let bound = outpost.schedule().directory_stale_after();
    assert_eq!(bound, Duration::from_secs(2 * 30 + 60));
    assert!(!directory.is_stale(bound));
    // Without a failure, and without anything restored.
    assert_eq!((directory.failure.clone(), directory.restored), (None, None));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(directory.is_stale(Duration::from_millis(10)));
    // A look that shows nothing new makes it newer.
    let before = served(&stage);
    update(&stage).await;
    assert!(Arc::ptr_eq(&before, &served(&stage)));
    assert!(outpost.status().directory().read > directory.read);
}
