//! The snapshot file over restarts: what is served from it, for how long, and that it lets nobody in.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use akldap::config::StringMap;
use akldap_simulator::{Directory, Fault, Options, Rule, Simulator};

use akldap_testing::captured_log::Log;
use akldap_testing::http;
use akldap_testing::stage::{BASE, SUFFIX, Stage, eventually, user_dn};

const EVERYTHING: &str = "(objectClass=*)";

fn keeping(path: &Path) -> impl FnOnce(&mut StringMap) {
    let path = path.to_str().unwrap().to_owned();
    move |settings| settings.set("AUTHENTIK_LDAP__SNAPSHOT_FILE", path)
}

async fn simulator() -> Simulator {
    Simulator::start(Directory::sample(60, 12), Options::default())
        .await
        .unwrap()
}

/// Ends the server; authentik goes on.
async fn end(stage: Stage) -> Simulator {
    stage.server.shutdown().await;
    stage.simulator
}

/// A file of the sample directory, and the authentik it belongs to.
async fn written(folder: &Path) -> (Simulator, PathBuf) {
    let path = folder.join("directory");
    let stage = Stage::of(simulator().await, keeping(&path)).await;
    stage.ready().await;
    eventually("the file is written", || path.exists()).await;
    (end(stage).await, path)
}

/// Lists and configuration cannot be read; logins work.
fn spoil_lists(simulator: &Simulator) {
    for path in [
        "/core/users/?",
        "/core/groups/?",
        "/outposts/instances/",
        "/outposts/ldap/?",
    ] {
        simulator.faults().add(Rule::new(path, Fault::BadGateway));
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn while_lists_fail_those_who_can_log_in_find_the_earlier_directory() {
    let (log, _guard) = Log::listen();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory");
    let stage = Stage::of(simulator().await, keeping(&path)).await;
    stage.ready().await;
    let mut service = stage.bound("ldapservice").await;
    let whole = service.subtree(BASE, EVERYTHING, &["*", "+"]).await.entries;
    assert!(whole.len() > 60);
    let own = stage
        .bound("alice")
        .await
        .subtree(BASE, EVERYTHING, &["*"])
        .await
        .entries;
    eventually("the file is written", || path.exists()).await;
    assert_eq!(http::ready(stage.http()).await["directory"]["stale"], false);
    assert_eq!(
        http::metric(stage.http(), "akldap_snapshot_stale").await,
        Some(0.0)
    );
    let simulator = end(stage).await;
    assert_eq!(names(folder.path()), ["directory"]);

    spoil_lists(&simulator);
    let deleted = simulator.user_pk("bob").unwrap();
    simulator.delete_user(deleted);
    let stage = Stage::of(simulator, keeping(&path)).await;
    stage.ready().await;
    let ready = http::ready(stage.http()).await;
    for part in ["configuration", "directory"] {
        assert_eq!(ready[part]["stale"], true, "{ready}");
        assert!(ready[part]["age_s"].is_u64(), "{ready}");
    }
    assert_eq!(
        http::metric(stage.http(), "akldap_snapshot_stale").await,
        Some(1.0)
    );
    let age = http::metric(stage.http(), "akldap_snapshot_age_seconds")
        .await
        .unwrap();
    assert!((0.0..60.0).contains(&age), "{age}");
    assert_eq!(
        log.text().matches("which may be out of date").count(),
        1,
        "{}",
        log.text()
    );
    // authentik decides who may log in, and what they may see.
    let mut service = stage.bound("ldapservice").await;
    assert_eq!(
        service.subtree(BASE, EVERYTHING, &["*", "+"]).await.entries,
        whole
    );
    let mut alice = stage.bound("alice").await;
    assert_eq!(alice.subtree(BASE, EVERYTHING, &["*"]).await.entries, own);
    let code = async |username: &str, password: &str| stage.bind(&user_dn(username), password).await.code;
    assert_eq!(code("alice", "wrong").await, 49);
    assert_eq!(
        code("bob", "demo-bob").await,
        49,
        "he is still found, but not let in"
    );
    assert_eq!(code("mallory", "demo-mallory").await, 50);
    let elsewhere = stage
        .bind("cn=alice,ou=users,dc=new,dc=example", "demo-alice")
        .await;
    assert_eq!(
        elsewhere.code, 52,
        "a provider may have been added: {elsewhere:?}"
    );
    let elsewhere = alice.subtree("dc=new,dc=example", EVERYTHING, &[]).await;
    assert_eq!(elsewhere.outcome.code, 52);

    // One who came later is fetched alone, which makes the rest no newer.
    let newcomer = stage
        .simulator
        .create_user("newcomer", "New Comer", "new@example.com");
    stage.simulator.set_password(newcomer, "first");
    let mut new = stage.client().await;
    assert_eq!(new.bind(&user_dn("newcomer"), "first").await.code, 0);
    let found = new
        .subtree(BASE, "(&(objectClass=user)(cn=newcomer))", &["cn"])
        .await;
    assert_eq!((found.outcome.code, found.entries.len()), (0, 1));
    assert_eq!(
        http::metric(stage.http(), "akldap_snapshot_stale").await,
        Some(1.0)
    );

    stage.simulator.faults().clear();
    eventually("the directory is read again", || {
        !stage.server.outpost().status().directory().is_restored()
            && !stage.server.outpost().status().configuration().is_restored()
    })
    .await;
    assert_eq!(
        http::metric(stage.http(), "akldap_snapshot_stale").await,
        Some(0.0)
    );
    let now = service.subtree(BASE, "(&(objectClass=user)(cn=bob))", &[]).await;
    assert_eq!((now.outcome.code, now.entries.len()), (0, 0));
    assert_eq!(
        alice.read(BASE, &["1.1"]).await.outcome.code,
        0,
        "nobody was logged out"
    );
    let elsewhere = stage
        .bind("cn=alice,ou=users,dc=new,dc=example", "demo-alice")
        .await;
    assert_eq!(elsewhere.code, 50);
}

#[tokio::test]
async fn with_authentik_down_nobody_gets_in() {
    let folder = tempfile::tempdir().unwrap();
    let (simulator, path) = written(folder.path()).await;
    simulator.refuse_connections(true);
    let stage = Stage::of(simulator, keeping(&path)).await;
    stage.ready().await;
    let mut client = stage.client().await;
    let root = client.read("", &["namingContexts"]).await;
    assert_eq!(root.entries[0].one("namingContexts"), SUFFIX);
    for (username, password) in [
        ("alice", "demo-alice"),
        ("alice", "wrong"),
        ("ldapservice", "demo-ldapservice"),
    ] {
        assert_eq!(client.bind(&user_dn(username), password).await.code, 52);
    }
    let found = client.subtree(BASE, EVERYTHING, &[]).await;
    assert_eq!(
        (found.outcome.code, found.entries.len()),
        (50, 0),
        "without a bind nothing is readable"
    );
    let ready = http::ready(stage.http()).await;
    assert_eq!(ready["ready"], true, "{ready}");
    assert_eq!(ready["authentik"]["reachable"], false, "{ready}");
    stage.simulator.refuse_connections(false);
    assert_eq!(
        client
            .bind(&user_dn("ldapservice"), "demo-ldapservice")
            .await
            .code,
        0
    );
    assert!(client.subtree(BASE, EVERYTHING, &[]).await.entries.len() > 60);
}

#[tokio::test]
async fn a_file_that_cannot_be_used_costs_one_warning() {
    let folder = tempfile::tempdir().unwrap();
    let (mut simulator, path) = written(folder.path()).await;
    let whole = fs::read(&path).unwrap();
    let middle = whole.len() / 2;
    let mut flipped = whole.clone();
    flipped[middle] ^= 1;
    let mut newer = whole.clone();
    newer[8] = 200;
    let files: [(&str, Vec<u8>); 6] = [
        ("empty", Vec::new()),
        ("cut off", whole[..middle].to_vec()),
        ("changed", flipped),
        ("of another version", newer),
        ("something else", b"#!/bin/sh\n".repeat(1000)),
        ("of another token", whole.clone()),
    ];
    for (what, octets) in files {
        let (log, _guard) = Log::listen();
        fs::write(&path, octets).unwrap();
        fs::write(folder.path().join("directory.tmp"), "left by a killed process").unwrap();
        if what == "of another token" {
            simulator.rotate_token();
        }
        simulator.faults().add(Rule::new(
            "/core/users/?",
            Fault::Stall(Duration::from_millis(300)),
        ));
        let stage = Stage::of(simulator, keeping(&path)).await;
        let ignored = || log.text().matches("the snapshot file is ignored").count();
        eventually(what, || ignored() == 1).await;
        assert!(!stage.server.outpost().can_search(), "{what}");
        stage.ready().await;
        assert!(!stage.server.outpost().status().directory().is_restored());
        eventually("a good file is written", || {
            fs::read(&path).is_ok_and(|octets| octets.len() >= whole.len() && octets != whole)
        })
        .await;
        simulator = end(stage).await;
        simulator.faults().clear();
        assert_eq!(ignored(), 1, "{what}: {}", log.text());
        assert_eq!(names(folder.path()), ["directory"], "{what}");
    }
    // And the one written last can be used.
    spoil_lists(&simulator);
    let stage = Stage::of(simulator, keeping(&path)).await;
    stage.ready().await;
    assert!(stage.server.outpost().status().directory().is_restored());
}

#[tokio::test]
async fn a_file_that_cannot_be_written_harms_nothing() {
    let (log, _guard) = Log::listen();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").join("directory");
    let stage = Stage::of(simulator().await, keeping(&path)).await;
    stage.ready().await;
    let said = || log.text().matches("cannot write the snapshot file").count();
    eventually("it is told", || said() == 1).await;
    stage.refresh().await;
    assert_eq!(stage.bind(&user_dn("alice"), "demo-alice").await.code, 0);
    end(stage).await;
    assert_eq!(said(), 1, "{}", log.text());
}

#[tokio::test]
async fn an_unchanged_directory_is_written_once_and_none_without_the_option() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory");
    let stage = Stage::of(simulator().await, keeping(&path)).await;
    stage.ready().await;
    eventually("the file is written", || path.exists()).await;
    let first = fs::read(&path).unwrap();
    stage.refresh().await;
    // The last word of a server that ends.
    let simulator = end(stage).await;
    assert_eq!(fs::read(&path).unwrap(), first);
    let stage = Stage::of(simulator, keeping(&path)).await;
    stage.ready().await;
    stage
        .simulator
        .create_user("newcomer", "New Comer", "new@example.com");
    stage.refresh().await;
    let simulator = end(stage).await;
    assert_ne!(
        fs::read(&path).unwrap(),
        first,
        "what has changed is written at the end at the latest"
    );
    let stage = Stage::of(simulator, |_| {}).await;
    stage.ready().await;
    let temporary = names(stage.temporary.path());
    assert_eq!(temporary, ["authentik-metrics.sock"]);
}
