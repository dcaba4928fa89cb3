//! authentik is away, the server restarts meanwhile, connections break: Nextcloud stops and draws no conclusions.

use akldap::config::Config;
use akldap::server::Server;
use akldap_simulator::{Fault, Rule};
use serde_json::json;

use super::{PEOPLE, Scenery, installed};
use crate::recorder::message::{BIND, SEARCH};
use akldap_testing::client_test::client_test;
use akldap_testing::stage::{eventually, settings};

/// Orders given while the server has nothing to answer from.
const ORDERS: [&str; 6] = ["sync", "clean up", "list", "groups", "update groups", "count"];

/// A server that starts while authentik is away, in place of the previous one.
pub(super) async fn restart(scenery: &Scenery) -> (Server, tempfile::TempDir) {
    let temporary = tempfile::tempdir().expect("a folder");
    let settings = settings(&scenery.stage.simulator, &temporary);
    let config = Config::read(&settings).expect("good settings");
    let server = Server::start(config, None).await.expect("it starts");
    scenery.recorder.redirect(server.addresses().ldap[0]);
    scenery.recorder.cut();
    (server, temporary)
}

/// Everything Nextcloud does, by itself and on demand, during an outage; nobody may be lost. The orders that were answered
/// instead of stopped are returned.
pub(super) async fn endure(scenery: &mut Scenery) -> Vec<String> {
    let mut answered = Vec::new();
    for order in ORDERS {
        scenery.nextcloud.process().await;
        let answer = scenery.nextcloud.ask(json!({"do": order})).await;
        if answer.get("stopped").is_none() {
            answered.push(format!("{order}: {answer}"));
        }
    }
    let order = json!({"do": "login", "typed": "alice", "password": "demo-alice"});
    let answer = scenery.nextcloud.ask(order).await;
    if answer.get("stopped").is_none() {
        answered.push(format!("login: {answer}"));
    }
    answered
}

#[client_test]
async fn an_outage_of_authentik_alone_is_hardly_seen() {
    let Some(_exercise) = installed() else {
        return;
    };
    let mut scenery = Scenery::new(PEOPLE, |_| {}).await;
    scenery.nextcloud.names(json!({"do": "list"})).await;
    scenery.nextcloud.result(json!({"do": "update groups"})).await;
    scenery.stage.simulator.refuse_connections(true);
    // The bound process continues with the directory the server has.
    for checked in [50, 10] {
        let result = scenery.nextcloud.result(json!({"do": "clean up"})).await;
        assert_eq!(result, json!({"checked": checked, "gone": []}));
    }
    assert_eq!(scenery.nextcloud.names(json!({"do": "list"})).await.len(), PEOPLE);
    let groups = scenery.nextcloud.result(json!({"do": "update groups"})).await;
    assert_eq!((&groups["lost"], &groups["left"]), (&json!([]), &json!(0)));
    // A password cannot be checked now, which is not a wrong password.
    let login = json!({"do": "login", "typed": "alice", "password": "demo-alice"});
    let answer = scenery.nextcloud.ask(login.clone()).await;
    assert_eq!(answer, json!({"stopped": "the server is shutting down"}));
    // A new process cannot bind, tries twice, and stops.
    scenery.nextcloud.process().await;
    scenery.recorder.take();
    let answer = scenery.nextcloud.ask(json!({"do": "clean up"})).await;
    assert_eq!(answer, json!({"stopped": "the server is shutting down"}));
    let log = scenery.recorder.take();
    assert_eq!((log.count(BIND), log.count(SEARCH)), (2, 0));
    scenery.stage.simulator.refuse_connections(false);
    assert_eq!(
        scenery.nextcloud.result(login).await["accepted"],
        json!(true),
        "at once"
    );
    assert_eq!(
        scenery.nextcloud.result(json!({"do": "deleted"})).await,
        json!([])
    );
}

#[client_test]
async fn nobody_is_lost_when_the_server_restarts_during_an_outage() {
    let Some(_exercise) = installed() else {
        return;
    };
    let mut scenery = Scenery::new(PEOPLE, |_| {}).await;
    scenery.nextcloud.result(json!({"do": "sync"})).await;
    scenery.nextcloud.result(json!({"do": "update groups"})).await;
    scenery.stage.simulator.refuse_connections(true);
    let (server, _temporary) = restart(&scenery).await;
    assert_eq!(endure(&mut scenery).await, Vec::<String>::new());

    // authentik is back, but for a while only half of the directory can be read.
    scenery
        .stage
        .simulator
        .faults()
        .add(Rule::new("/core/groups/", Fault::WorkerLost));
    scenery.stage.simulator.refuse_connections(false);
    eventually("providers are known", || {
        !server.outpost().providers().current().is_empty()
    })
    .await;
    assert_eq!(endure(&mut scenery).await, Vec::<String>::new());

    scenery.stage.simulator.faults().clear();
    eventually("the directory is loaded", || server.outpost().can_search()).await;
    scenery.nextcloud.process().await;
    let groups = scenery.nextcloud.result(json!({"do": "update groups"})).await;
    assert_eq!(
        (&groups["lost"], &groups["created"], &groups["left"]),
        (&json!([]), &json!([]), &json!(0))
    );
    for _ in 0..2 {
        let result = scenery.nextcloud.result(json!({"do": "clean up"})).await;
        assert_eq!(result["gone"], json!([]));
    }
    let result = scenery.nextcloud.result(json!({"do": "sync"})).await;
    assert_eq!(result["found"], json!(PEOPLE));
    assert_eq!(
        scenery.nextcloud.result(json!({"do": "deleted"})).await,
        json!([])
    );
}

#[client_test]
async fn a_cookie_outlives_its_connection() {
    let Some(_exercise) = installed() else {
        return;
    };
    let mut scenery = Scenery::new(PEOPLE, |_| {}).await;
    let everybody = scenery.nextcloud.names(json!({"do": "list"})).await;
    let mut pages = Vec::new();
    for offset in (0..PEOPLE).step_by(20) {
        let (page, log) = scenery
            .cost(json!({"do": "list", "limit": 20, "offset": offset}))
            .await;
        let page = super::names(&page);
        // The lost connection is noticed by the request, which is made again on a new one with the cookie of the old.
        assert_eq!(log.count(SEARCH), 1, "no page is read again");
        pages.extend(page);
        scenery.recorder.cut();
        scenery.stage.refresh().await;
    }
    assert_eq!(pages, everybody);
}
