//! A recorded directory of a real authentik, replayed by the simulator: its LDIF is kept in the project, and each entry is
//! compared with what the contract makes of its JSON row.

use std::collections::BTreeMap;

use akldap_simulator::Directory;
use akldap_testing::recordings;
use serde_json::Value;

use crate::golden::entries::{self, ExpectedEntry};
use crate::golden::{bound_with, compare, dump};
use akldap_testing::client::Entry;
use akldap_testing::stage::{BASE, Stage};

/// The rows of a recorded list.
fn rows(name: &str) -> Vec<Value> {
    let exchange = &recordings::authentik()[name];
    let body: Value =
        serde_json::from_str(exchange["response"]["body"].as_str().expect("a body")).expect("JSON");
    assert_eq!(body["pagination"]["total_pages"], 1, "{name} is the whole list");
    body["results"].as_array().expect("results").clone()
}

async fn stage() -> Stage {
    let directory = Directory::from_recordings(recordings::authentik()).expect("recordings");
    Stage::with(directory, |_| {}).await
}

fn searcher() -> &'static str {
    let fixtures = &recordings::authentik()["fixtures.json"];
    fixtures["passwords"]["ldapservice"].as_str().expect("a password")
}

#[tokio::test]
async fn the_recorded_directory() {
    let stage = stage().await;
    let mut client = bound_with(&stage, "ldapservice", searcher()).await;
    compare("recordings.ldif", &dump(&mut client, &[]).await);
}

#[tokio::test]
async fn every_attribute_is_what_the_contract_makes_of_the_rows() {
    let users = rows("B-users/02-list-p1-100.json");
    let groups = rows("C-groups/07-list-inherited-roles.json");
    let numbers = rows("A-bootstrap/20-outposts-ldap.json");
    let provider = numbers
        .iter()
        .find(|row| row["base_dn"] == BASE)
        .expect("the provider of the base DN");
    let directory = entries::directory(&users, &groups);

    let stage = stage().await;
    let mut client = bound_with(&stage, "ldapservice", searcher()).await;
    let found = client.subtree(BASE, "(objectClass=*)", &[]).await;
    assert_eq!(found.outcome.code, 0);
    let mut served: BTreeMap<String, Entry> = BTreeMap::new();
    for entry in found.entries {
        let name = entry.dn.clone();
        assert!(served.insert(name.clone(), entry).is_none(), "{name} comes twice");
    }

    let place = entries::place(provider);
    let expected: BTreeMap<String, ExpectedEntry> = entries::expected(&directory, &place).collect();
    assert_eq!(expected.len(), 2 * users.len() + groups.len(), "names are unique");

    let mut problems = Vec::new();
    for (name, expected) in &expected {
        match served.remove(name) {
            None => problems.push(format!("{name} is missing")),
            Some(entry) => entries::differences(name, &entry, expected, &mut problems),
        }
    }
    for (name, entry) in &served {
        match entries::scaffold(name) {
            None => problems.push(format!("{name} should not be there")),
            Some(expected) => entries::contains(name, entry, &expected, &mut problems),
        }
    }
    assert!(
        problems.is_empty(),
        "{} problems:\n{}",
        problems.len(),
        problems.join("\n")
    );
    assert_eq!(served.len(), 4, "the base and its containers");
}
