//! A directory that changes all the time: every snapshot installed is what authentik held at one moment.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use akldap::simulator::{Directory, Simulator, User};

use crate::scenery::{served, stage, truth, update};
use crate::stage::eventually;

/// Set for the whole of it: 200 refreshes instead of a few.
const LONG: &str = "AKLDAP_TEST_LONG";
/// Changes made at one moment. With the time from one moment to the next it is a thousand changes a second.
const BURST: usize = 40;
const EVERY: Duration = Duration::from_millis(40);

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
            let mut next = Instant::now();
            while !stop.load(Ordering::SeqCst) {
                let number = bursts.load(Ordering::SeqCst) + 1;
                burst(&stage.simulator, &mut random, number);
                states
                    .lock()
                    .unwrap()
                    .insert(truth(&stage.simulator).fingerprint(), number);
                bursts.store(number, Ordering::SeqCst);
                next += EVERY;
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        })
    };
    let began = Instant::now();
    let mut seen = 0;
    for refresh in 0..refreshes {
        let before = bursts.load(Ordering::SeqCst);
        if refresh % 4 == 0 {
            stage.refresh().await;
        } else {
            update(&stage).await;
        }
        let fingerprint = served(&stage).fingerprint();
        let find = || states.lock().unwrap().get(&fingerprint).copied();
        // The state of a burst is noted a moment after the burst.
        eventually("the snapshot is a state of the simulator", || find().is_some()).await;
        let state = find().unwrap();
        assert!(
            state >= before,
            "refresh {refresh} shows state {state}, {before} was there when it began"
        );
        assert!(state >= seen, "refresh {refresh} goes back");
        seen = state;
    }
    let rate = (BURST * bursts.load(Ordering::SeqCst)) as f64 / began.elapsed().as_secs_f64();
    println!("{refreshes} refreshes, {seen} states, {rate:.0} changes a second");
    stop.store(true, Ordering::SeqCst);
    changing.join().unwrap();
    assert!(seen > refreshes / 4, "{seen} states in {refreshes} refreshes");
    update(&stage).await;
    assert_eq!(
        served(&stage).fingerprint(),
        truth(&stage.simulator).fingerprint()
    );
}
