//! The same assertions with a worse server fail: paging, entryUUID, the in-chain rule or the result code of an outage taken
//! away, one at a time.

use serde_json::json;

use super::jobs::{CROWD, clean_up, synchronise};
use super::{Nextcloud, PEOPLE, Scenery, groups, installed, outage, recommended};
use crate::recorder::tamper::Tamper;
use akldap_testing::client_test::client_test;

#[client_test]
async fn without_paging_people_are_missed() {
    let Some(_exercise) = installed() else {
        return;
    };
    let mut scenery = Scenery::new(CROWD, |_| {}).await;
    for tamper in [Tamper::NoPaging, Tamper::NoCookie] {
        scenery.recorder.spoil(tamper);
        scenery.nextcloud = Nextcloud::start(&scenery.recorder, recommended()).await;
        let missed = synchronise(&mut scenery).await.expect_err("people are missed");
        assert!(missed.contains("instead of 500 from 500"), "{tamper:?}: {missed}");
        scenery.nextcloud.process().await;
        let second = scenery
            .nextcloud
            .names(json!({"do": "list", "limit": 50, "offset": 50}))
            .await;
        assert_eq!(second, Vec::<String>::new(), "the second page is empty");
    }
}

#[client_test]
async fn without_entry_uuid_there_is_nobody() {
    let Some(_exercise) = installed() else {
        return;
    };
    let mut scenery = Scenery::new(PEOPLE, |_| {}).await;
    assert_eq!(scenery.nextcloud.names(json!({"do": "list"})).await.len(), PEOPLE);
    scenery.recorder.spoil(Tamper::NoEntryUuid);
    // Those who are already known are lost by a change of name.
    let alice = scenery.stage.simulator.user_pk("alice").expect("alice");
    scenery.stage.simulator.rename_user(alice, "alicia");
    scenery.stage.refresh().await;
    let lost = clean_up(&mut scenery, PEOPLE).await.expect_err("alice is lost");
    assert!(lost.contains("alice"), "{lost}");

    let mut scenery = Scenery::new(PEOPLE, |_| {}).await;
    scenery.recorder.spoil(Tamper::NoEntryUuid);
    assert_eq!(
        scenery.nextcloud.names(json!({"do": "list"})).await,
        Vec::<String>::new()
    );
    let login = json!({"do": "login", "typed": "alice", "password": "demo-alice"});
    assert_eq!(scenery.nextcloud.result(login).await["accepted"], json!(false));
}

#[client_test]
async fn without_the_in_chain_rule_it_is_noticed() {
    let Some(_exercise) = installed() else {
        return;
    };
    let mut scenery = Scenery::new(PEOPLE, |settings| {
        settings["ldapNestedGroups"] = json!(true);
        settings["ldapUserFilter"] = json!(groups::direct_members());
    })
    .await;
    scenery.recorder.spoil(Tamper::NoInChain);
    let noticed = groups::nested(&mut scenery)
        .await
        .expect_err("the rule is missing");
    assert!(noticed.contains("unavailable"), "{noticed}");
}

#[client_test]
async fn when_an_outage_looks_like_success_everybody_is_lost() {
    let Some(_exercise) = installed() else {
        return;
    };
    let mut scenery = Scenery::new(PEOPLE, |_| {}).await;
    scenery.nextcloud.result(json!({"do": "sync"})).await;
    scenery.nextcloud.result(json!({"do": "update groups"})).await;
    scenery.stage.simulator.refuse_connections(true);
    let _server = outage::restart(&scenery).await;
    scenery.recorder.spoil(Tamper::OutageAsSuccess);
    let answered = outage::endure(&mut scenery).await;
    assert!(answered.len() >= 6, "{answered:?}");
    let deleted = scenery.nextcloud.names(json!({"do": "deleted"})).await;
    assert_eq!(deleted.len(), 50, "all of those looked at");
    let lost = answered
        .iter()
        .any(|answer| answer.contains("\"nextcloud\"") && answer.starts_with("update groups"));
    assert!(lost, "and every group: {answered:?}");
}
