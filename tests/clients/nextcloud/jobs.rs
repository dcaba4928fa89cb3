//! What runs in the background, each time in a new process.

use std::time::Instant;

use serde_json::json;

use super::{GROUPS, Scenery, installed};
use crate::recorder::Log;
use crate::recorder::message::SEARCH;
use akldap_testing::client_test::client_test;

/// People of the synchronisation.
pub(super) const CROWD: usize = 1200;
const PAGE: usize = 500;
/// Rounds through all people.
const ROUNDS: usize = 3;

/// Three rounds of the synchronisation: everybody is updated in each, and nobody is lost. Returns what it cost.
pub(super) async fn synchronise(scenery: &mut Scenery) -> Result<Log, String> {
    scenery.recorder.take();
    for round in 0..ROUNDS {
        for (offset, expected) in [(0, PAGE), (PAGE, PAGE), (2 * PAGE, CROWD - 2 * PAGE)] {
            scenery.nextcloud.process().await;
            let run = scenery.nextcloud.result(json!({"do": "sync"})).await;
            if run != json!({"offset": offset, "found": expected}) {
                return Err(format!(
                    "round {round}: {run} instead of {expected} from {offset}"
                ));
            }
        }
    }
    let log = scenery.recorder.take();
    let known = scenery.nextcloud.result(json!({"do": "known"})).await;
    if known != json!(CROWD) {
        return Err(format!("{known} people are known"));
    }
    Ok(log)
}

/// Looks at everybody once; nobody may be marked as deleted.
pub(super) async fn clean_up(scenery: &mut Scenery, people: usize) -> Result<Log, String> {
    scenery.recorder.take();
    for _ in 0..=people / 50 {
        scenery.nextcloud.process().await;
        let answer = scenery.nextcloud.ask(json!({"do": "clean up"})).await;
        if answer.get("stopped").is_none() && answer["result"]["gone"] != json!([]) {
            return Err(format!("people are marked as deleted: {answer}"));
        }
    }
    Ok(scenery.recorder.take())
}

#[client_test]
async fn three_rounds_of_synchronisation_and_a_clean_up() {
    let Some(_exercise) = installed() else {
        return;
    };
    let mut scenery = Scenery::new(CROWD, |_| {}).await;
    let begin = Instant::now();
    let log = synchronise(&mut scenery).await.expect("everybody in every round");
    // 1, 2 and 3 pages per round, and in the first round a read of each person's name.
    assert_eq!(
        log.count(SEARCH),
        ROUNDS * (1 + 2 + 3) + CROWD,
        "{:?}",
        log.requests
    );
    println!(
        "three rounds of {CROWD} people: {} requests, {:?}",
        log.count(SEARCH),
        begin.elapsed()
    );
    scenery.keep_sync().await;
    let log = clean_up(&mut scenery, CROWD).await.expect("nobody is gone");
    assert_eq!(log.count(SEARCH), CROWD, "a read for each person");
    assert_eq!(
        scenery.nextcloud.result(json!({"do": "deleted"})).await,
        json!([])
    );
}

impl Scenery {
    /// One more round is worth a fixture; the first one has 1,200 reads.
    async fn keep_sync(&mut self) {
        self.recorder.take();
        for _ in 0..3 {
            self.nextcloud.process().await;
            self.nextcloud.result(json!({"do": "sync"})).await;
        }
        self.keep("sync", CROWD).await;
    }
}

#[client_test]
async fn groups_are_updated_and_none_is_lost() {
    let Some(_exercise) = installed() else {
        return;
    };
    let people = 60;
    for nested in [false, true] {
        let mut scenery = Scenery::new(people, |settings| settings["ldapNestedGroups"] = json!(nested)).await;
        let first = scenery.nextcloud.result(json!({"do": "update groups"})).await;
        assert_eq!(first["groups"], json!(GROUPS));
        assert_eq!(super::names(&first["created"]).len(), GROUPS);
        scenery.nextcloud.process().await;
        let (again, log) = scenery.cost(json!({"do": "update groups"})).await;
        for (what, expected) in [
            ("created", json!([])),
            ("lost", json!([])),
            ("joined", json!(0)),
            ("left", json!(0)),
        ] {
            assert_eq!(again[what], expected, "{again}");
        }
        assert_eq!(again["members"], first["members"]);
        // Nested: a list, and for each group its number, its people by number and the rule, with the primary group once.
        // Flat: every person is read once as well.
        let most = if nested {
            1 + 1 + 3 * GROUPS
        } else {
            1 + 1 + 3 * GROUPS + 80
        };
        assert!(
            log.count(SEARCH) <= most,
            "{} requests, nested: {nested}",
            log.count(SEARCH)
        );

        let simulator = &scenery.stage.simulator;
        let group = simulator.create_group("newcomers");
        simulator.join(simulator.user_pk("alice").expect("alice"), "newcomers");
        simulator.leave(simulator.user_pk("bob").expect("bob"), "frontend");
        scenery.stage.refresh().await;
        scenery.nextcloud.process().await;
        let changed = scenery.nextcloud.result(json!({"do": "update groups"})).await;
        assert_eq!(
            (&changed["created"], &changed["lost"]),
            (&json!(["newcomers"]), &json!([]))
        );
        // Nested, bob also leaves the two groups above.
        let left = if nested { 3 } else { 1 };
        assert_eq!(
            (&changed["joined"], &changed["left"]),
            (&json!(1), &json!(left)),
            "{changed}"
        );
        scenery.stage.simulator.rename_group(group, "Newcomers (2026)");
        scenery.stage.refresh().await;
        let changed = scenery.nextcloud.result(json!({"do": "update groups"})).await;
        assert_eq!(
            (&changed["created"], &changed["lost"]),
            (&json!([]), &json!([])),
            "a renamed group stays the same: {changed}"
        );
        scenery.stage.simulator.delete_group(group);
        scenery.stage.refresh().await;
        let changed = scenery.nextcloud.result(json!({"do": "update groups"})).await;
        assert_eq!(changed["lost"], json!(["newcomers"]));
    }
}
