//! `kill -9` at any moment: the next start serves a whole directory, and nothing piles up.

use std::path::Path;
use std::time::{Duration, Instant};

use akldap_simulator::{Directory, Fault, Options, Rule, Simulator};
use rustix::process::Signal;

use crate::outage::child;
use akldap_testing::child::Server;
use akldap_testing::client::Client;
use akldap_testing::http;
use akldap_testing::stage::{BASE, NEVER, user_dn};

/// Kills when the variable does not say otherwise: what fits into an ordinary test run.
const KILLS: usize = 20;
const KILLS_VARIABLE: &str = "AKLDAP_KILLS";
/// Several pages of users, and enough for a file of several chunks.
const USERS: usize = 400;

/// All users get this name in one step.
fn set_generation(simulator: &Simulator, generation: usize) {
    let now = simulator.now();
    let micros = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_micros();
    simulator.edit(|directory| {
        let pks: Vec<i32> = directory.users().iter().map(|user| user.pk).collect();
        for pk in pks {
            directory.change_user(pk, |user| {
                user.name = format!("generation {generation}").into();
                user.last_updated = i64::try_from(micros).unwrap();
            });
        }
    });
}

/// The one generation of which all users are, and how many there are.
async fn served(server: &Server) -> (usize, usize) {
    let mut client = Client::connect(server.ldap).await;
    let outcome = client.bind(&user_dn("ldapservice"), "demo-ldapservice").await;
    assert_eq!(outcome.code, 0, "{outcome:?}\n{}", server.log());
    let found = client.subtree(BASE, "(objectClass=user)", &["name"]).await;
    assert_eq!(found.outcome.code, 0);
    let mut names: Vec<String> = found.entries.iter().map(|entry| entry.one("name")).collect();
    names.dedup();
    assert_eq!(names.len(), 1, "a mixture: {names:?}");
    let generation = names[0].strip_prefix("generation ").unwrap().parse().unwrap();
    (generation, found.entries.len())
}

async fn wait_until(what: &str, server: &Server, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < NEVER, "{what}\n{}", server.log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn is_ready(server: &Server) -> bool {
    http::get(server.http, "/ready").await.0 == 200
}

fn assert_tidy(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(
            ["directory", "directory.tmp", "authentik-metrics.sock"]
                .iter()
                .any(|known| name == *known),
            "{name:?} was left behind"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_starts_again_with_a_whole_directory() {
    let kills = std::env::var(KILLS_VARIABLE).map_or(KILLS, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory");
    let simulator = Simulator::start(Directory::sample(USERS, 30), Options::default())
        .await
        .unwrap();
    set_generation(&simulator, 0);
    // How long a refresh takes until its file is written decides when to kill.
    let server = child::start(&simulator, folder.path(), &path);
    wait_until("the first file", &server, async || path.exists()).await;
    let users = served(&server).await.1;
    drop(server);
    let mut oldest = 0;
    let mut span = Duration::from_millis(400);
    let mut newer = 0;
    for round in 1..=kills {
        // Only the file can be served at first.
        let spoilt: Vec<u64> = ["/core/users/?", "/core/groups/?"]
            .into_iter()
            .map(|path| simulator.faults().add(Rule::new(path, Fault::WorkerLost)))
            .collect();
        let server = child::start(&simulator, folder.path(), &path);
        wait_until("the file is served", &server, async || is_ready(&server).await).await;
        let (generation, found) = served(&server).await;
        assert_eq!(found, users);
        assert!(
            (oldest..round).contains(&generation),
            "round {round}: generation {generation}, and {oldest} was served before"
        );
        newer += usize::from(generation > oldest);
        oldest = generation;
        // Then a refresh, and the end at some moment of it or of what is written after it.
        set_generation(&simulator, round);
        spoilt
            .into_iter()
            .for_each(|rule| simulator.faults().remove(rule));
        server.signal(Signal::USR1);
        if round == 1 {
            let began = Instant::now();
            let first = std::fs::metadata(&path).unwrap().modified().unwrap();
            wait_until("the second file", &server, async || {
                std::fs::metadata(&path).is_ok_and(|file| file.modified().unwrap() != first)
            })
            .await;
            span = began.elapsed().mul_f64(1.3);
        } else {
            tokio::time::sleep(span.mul_f64(fastrand::f64())).await;
        }
        assert!(!server.log().contains("panicked"), "{}", server.log());
        drop(server);
        assert_tidy(folder.path());
    }
    assert!(newer > 0, "no file was ever written: {span:?} is too short");
    // And with authentik well again everything is as new.
    let server = child::start(&simulator, folder.path(), &path);
    wait_until("the newest directory", &server, async || {
        is_ready(&server).await && served(&server).await == (kills, users)
    })
    .await;
    println!("{kills} kills within {span:?} after a refresh was asked for; {newer} left a newer file");
}
