//! The outpost's token is replaced in authentik while we serve: the file it is read from is looked at again, and nobody
//! notices.

use std::fs;
use std::path::{Path, PathBuf};

use akldap_simulator::{Directory, Options, RecordedRequest, Simulator};

use akldap_testing::captured_log::Log;
use akldap_testing::stage::{Stage, eventually, user_dn};

/// A server whose token comes from a file, and that file.
async fn serving(folder: &Path) -> (Stage, PathBuf) {
    let options = Options {
        record_requests: true,
        ..Options::default()
    };
    let simulator = Simulator::start(Directory::sample(20, 5), options).await.unwrap();
    let file = folder.join("token");
    fs::write(&file, format!("{}\n", simulator.token())).unwrap();
    (stage_of(simulator, folder).await, file)
}

async fn stage_of(simulator: Simulator, folder: &Path) -> Stage {
    let (token, snapshot) = (folder.join("token"), folder.join("directory"));
    let stage = Stage::of(simulator, |settings| {
        settings.set("AUTHENTIK_TOKEN", format!("file://{}", token.display()));
        settings.set("AUTHENTIK_LDAP__SNAPSHOT_FILE", snapshot.to_str().unwrap());
    })
    .await;
    stage.ready().await;
    stage
}

#[tokio::test]
async fn a_refused_token_is_read_again_from_its_file() {
    let (log, _guard) = Log::listen();
    let folder = tempfile::tempdir().unwrap();
    let (stage, file) = serving(folder.path()).await;
    let snapshot = folder.path().join("directory");
    eventually("the snapshot file is written", || snapshot.exists()).await;
    let before = fs::read(&snapshot).unwrap();
    let mut open = stage.bound("alice").await;

    let token = stage.simulator.rotate_token();
    let outpost = stage.server.outpost();
    outpost.refresh_requests().all();
    eventually("the token was refused", || {
        log.text().contains("there is no newer one") || log.text().contains("refused the outpost token")
    })
    .await;
    fs::write(&file, &token).unwrap();
    stage.refresh().await;
    assert!(
        log.text().contains("using the one that is in its file now"),
        "{}",
        log.text()
    );
    assert!(!log.text().contains(&token));

    // New logins carry it, the events come back with it, and nothing was restarted.
    stage.simulator.requests().clear();
    assert_eq!(stage.bind(&user_dn("bob"), "demo-bob").await.code, 0);
    let flows = stage.simulator.requests().to("/flows/executor/");
    assert!(
        flows
            .iter()
            .all(|request| request.header("x-authentik-outpost-token") == Some(token.as_str()))
    );
    stage.simulator.recycle_worker();
    let connects = stage.simulator.websocket_connects();
    eventually("the events are back", || {
        stage.simulator.websocket_connects() > connects
    })
    .await;
    assert!(open.who_am_i().await.contains("alice"), "open connections stay");

    // What is kept for the next start is kept under the new token.
    eventually("the snapshot file is written again", || {
        fs::read(&snapshot).unwrap() != before
    })
    .await;
    stage.server.shutdown().await;
    let Stage { simulator, .. } = stage;
    simulator.restart(std::time::Duration::from_secs(3600));
    let stage = stage_of(simulator, folder.path()).await;
    assert!(
        stage.server.outpost().directory().snapshot().is_some(),
        "read with the new token"
    );
}

#[tokio::test]
async fn a_token_can_be_renewed_before_it_is_refused() {
    let (log, _guard) = Log::listen();
    let folder = tempfile::tempdir().unwrap();
    let (stage, file) = serving(folder.path()).await;
    let outpost = stage.server.outpost();
    outpost.renew_token().await;
    assert!(log.text().contains("has not changed"));
    fs::write(&file, "two words").unwrap();
    outpost.renew_token().await;
    assert!(log.text().contains("does not hold a token"));
    stage.settled().await;
    stage.refresh().await;

    let requests = stage.simulator.requests();
    requests.clear();
    let token = stage.simulator.rotate_token();
    fs::write(&file, &token).unwrap();
    outpost.renew_token().await;
    assert!(log.text().contains("has changed"));
    stage.refresh().await;
    // None but those that were under way by then were refused, and none of those is lost.
    let with_it = |request: &&RecordedRequest| {
        request
            .header("authorization")
            .is_some_and(|value| value.ends_with(&token))
    };
    let outdated = requests.all().iter().filter(|request| !with_it(request)).count();
    let refused = log.text().matches("authentik refused").count();
    assert!(
        refused <= outdated,
        "{outdated} outdated requests: {}",
        log.text()
    );
    assert!(outpost.status().directory().failure.is_none());
    requests.clear();
    stage.refresh().await;
    let lists = requests.to("/core/");
    assert!(!lists.is_empty() && lists.iter().all(|request| with_it(&request)));
    assert!(!log.text().contains(&token));
}
