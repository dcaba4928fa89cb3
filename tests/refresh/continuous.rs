//! A directory that changes all the time, but not within every look: every snapshot installed is what authentik held at
//! one moment.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use akldap_simulator::{Directory, Simulator, User};

use crate::scenery::{pages, served, stage, truth, update};
use akldap_testing::stage::{Stage, eventually};

/// Set for the whole of it: 200 refreshes instead of a few.
const LONG: &str = "AKLDAP_TEST_LONG";
/// Changes made at one moment.
const BURST: usize = 40;
/// Pages asked for from one moment to the next: there are always two looks within.
const EVERY: u64 = 30;

/// Creates, deletes, renames and moves users at one moment.
fn burst(simulator: &Simulator, random: &mut fastrand::Rng, number: usize) {
    let now = simulator
        .now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_micros() as i64;
    simulator.edit(|directory| {
        let groups: Vec<uuid::Uuid> = (1..=6)
            .filter_map(|group| {
                directory
                    .group_named(&format!("group{group:04}"))
                    .map(|group| group.pk)
            })
            .collect();
        for change in 0..BURST {
            let pks: Vec<i32> = directory
                .users()
                .iter()
                .filter(|user| user.username.starts_with("user") || user.username.starts_with("new"))
                .map(|user| user.pk)
                .collect();
            let pk = pks[random.usize(..pks.len())];
            let group = groups[random.usize(..groups.len())];
            match random.u8(..10) {
                0 if pks.len() < 80 => {
                    let pk = directory.next_user_pk();
                    let mut user = User::new(pk, &format!("new-{number}-{change}"), "New", "");
                    user.last_updated = now;
                    directory.add_user(user);
                    directory.join(pk, group);
                }
                1 if pks.len() > 40 => drop(directory.remove_user(pk)),
                2..=3 => drop(directory.change_user(pk, |user| {
                    user.username = format!("user-{number}-{change}").into();
                    user.last_updated = now;
                })),
                4..=6 => directory.leave(pk, group),
                _ => directory.join(pk, group),
            }
        }
    });
}

/// What is served, and whether the server knows that it was like this at one moment.
fn shown(stage: &Stage) -> ([u8; 32], bool) {
    let snapshot = served(stage);
    let settled = stage.server.outpost().directory().is_settled(&snapshot);
    (snapshot.fingerprint(), settled)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_installed_snapshot_was_true_at_a_moment_of_its_load() {
    let refreshes = if std::env::var_os(LONG).is_some() { 200 } else { 20 };
    let stage = Arc::new(stage(Directory::sample(60, 22), 25, &[]).await);
    let states: Arc<Mutex<HashMap<[u8; 32], usize>>> = Arc::default();
    let (bursts, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    states
        .lock()
        .unwrap()
        .insert(truth(&stage.simulator).fingerprint(), 0);
    let changing = {
        let (stage, states, bursts, stop) = (
            Arc::clone(&stage),
            Arc::clone(&states),
            Arc::clone(&bursts),
            Arc::clone(&stop),
        );
        std::thread::spawn(move || {
            let mut random = fastrand::Rng::with_seed(11);
            let asked = || {
                let (users, groups) = pages(&stage);
                users + groups
            };
            let mut next;
            while !stop.load(Ordering::SeqCst) {
                let number = bursts.load(Ordering::SeqCst) + 1;
                burst(&stage.simulator, &mut random, number);
                states
                    .lock()
                    .unwrap()
                    .insert(truth(&stage.simulator).fingerprint(), number);
                bursts.store(number, Ordering::SeqCst);
                // Counted from now: a thread that had to wait for its turn must not make up for it with bursts in quick
                // succession.
                next = asked() + EVERY;
                while asked() < next && !stop.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        })
    };
    let (mut seen, mut held) = (0, 0);
    for refresh in 0..refreshes {
        let before = bursts.load(Ordering::SeqCst);
        if refresh % 4 == 0 {
            stage.refresh().await;
        } else {
            update(&stage).await;
        }
        let (fingerprint, settled) = shown(&stage);
        let find = || states.lock().unwrap().get(&fingerprint).copied();
        // Where it takes seconds to read two pages, the newest look is served as it is, and the server says so.
        if settled {
            // The state of a burst is noted a moment after the burst.
            eventually("the snapshot is a state of the simulator", || find().is_some()).await;
        }
        let Some(state) = find() else { continue };
        held += 1;
        assert!(
            state >= before,
            "refresh {refresh} shows state {state}, {before} was there when it began"
        );
        assert!(state >= seen, "refresh {refresh} goes back");
        seen = state;
    }
    println!("{refreshes} refreshes, {held} held against {seen} states");
    stop.store(true, Ordering::SeqCst);
    changing.join().unwrap();
    assert!(held == 0 || seen > 0, "{seen} states in {held} refreshes");
    update(&stage).await;
    assert_eq!(
        served(&stage).fingerprint(),
        truth(&stage.simulator).fingerprint()
    );
}
