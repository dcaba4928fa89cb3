//! A thousand triggers under load: one refresh at a time, no torn reads, flat memory, and the last one is not
//! lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use akldap_simulator::{Directory, Endpoint, Options, Simulator};
use rustix::process::Signal;

use crate::outage::child;
use akldap_testing::child::Server;
use akldap_testing::client::Client;
use akldap_testing::http;
use akldap_testing::stage::{BASE, NEVER, user_dn};

const TRIGGERS: usize = 1000;
const CLIENTS: usize = 3;
/// What the allocator and the operating system may add without anything growing.
const SLACK_KB: u64 = 16 * 1024;

fn set_state(simulator: &Simulator, state: usize) {
    let micros = simulator
        .now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_micros();
    simulator.edit(|directory| {
        let pks: Vec<i32> = directory.users().iter().map(|user| user.pk).collect();
        for pk in pks {
            directory.change_user(pk, |user| {
                user.name = format!("state {state}").into();
                user.last_updated = i64::try_from(micros).unwrap();
            });
        }
    });
}

fn resident_kb(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}

/// The state of which all users are.
async fn seen(client: &mut Client) -> usize {
    let found = client.subtree(BASE, "(objectClass=user)", &["name"]).await;
    assert_eq!(found.outcome.code, 0);
    let mut names: Vec<String> = found.entries.iter().map(|entry| entry.one("name")).collect();
    names.dedup();
    assert_eq!(names.len(), 1, "a torn read: {names:?}");
    names[0].strip_prefix("state ").unwrap().parse().unwrap()
}

async fn bound(server: &Server) -> Client {
    let mut client = Client::connect(server.ldap).await;
    let outcome = client.bind(&user_dn("ldapservice"), "demo-ldapservice").await;
    assert_eq!(outcome.code, 0, "{outcome:?}");
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_triggers_are_refreshes_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        latency: Duration::from_millis(3),
        ..Options::default()
    };
    // One page, so that each load sees one state.
    let simulator = Simulator::start(Directory::sample(60, 12), options)
        .await
        .unwrap();
    set_state(&simulator, 0);
    let server = child::start(&simulator, folder.path(), &folder.path().join("directory"));
    let began = Instant::now();
    while http::get(server.http, "/ready").await.0 != 200 || simulator.websockets() == 0 {
        assert!(began.elapsed() < NEVER, "{}", server.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    simulator.requests().clear();
    let (stop, searches) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = bound(&server).await;
        let (stop, searches) = (Arc::clone(&stop), Arc::clone(&searches));
        clients.push(tokio::spawn(async move {
            let mut newest = 0;
            while !stop.load(Ordering::Relaxed) {
                let state = seen(&mut client).await;
                assert!(state >= newest, "{state} after {newest}");
                newest = state;
                searches.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    let outpost = simulator.outpost_pk();
    let (mut first_half, mut second_half) = (0, 0);
    for trigger in 1..=TRIGGERS {
        set_state(&simulator, trigger);
        if trigger % 2 == 0 {
            server.signal(Signal::USR1);
        } else {
            simulator.trigger_update(vec![outpost]);
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
        if trigger % 20 == 0 {
            let half = if trigger <= TRIGGERS / 2 {
                &mut first_half
            } else {
                &mut second_half
            };
            *half = resident_kb(server.id()).max(*half);
        }
    }
    // The last trigger is not lost, however many came before it.
    let last = Instant::now();
    let mut client = bound(&server).await;
    while seen(&mut client).await != TRIGGERS {
        assert!(last.elapsed() < NEVER, "{}", server.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let requests = simulator.requests();
    let (loads, searches) = (
        requests.count(Endpoint::OutpostInstances),
        searches.load(Ordering::Relaxed),
    );
    for endpoint in [
        Endpoint::OutpostInstances,
        Endpoint::LdapProviders,
        Endpoint::UserList,
        Endpoint::GroupList,
    ] {
        assert_eq!(requests.peak(endpoint), 1, "{endpoint:?}: one refresh at a time");
    }
    assert!((5..=TRIGGERS as u64 + 2).contains(&loads), "{loads}");
    assert!(searches > 20, "{searches}");
    assert!(
        second_half <= first_half + SLACK_KB,
        "resident memory grew from {first_half} kB to {second_half} kB"
    );
    println!(
        "{TRIGGERS} triggers, {loads} refreshes, {searches} searches, {first_half} and {second_half} kB at most"
    );
}
