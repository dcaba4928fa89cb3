//! A recorded directory of a real authentik, replayed by the simulator: its LDIF is kept in the project, and each entry is
//! compared with what the contract makes of its JSON row.
//!
//! The recordings are not part of the project: the folder is taken from `AKLDAP_RECORDINGS` or `../shared/recordings`,
//! and without one these tests say that they skipped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use akldap_simulator::Directory;
use serde_json::Value;

use crate::client::Entry;
use crate::contract::{self, Attributes, Numbers};
use crate::stage::{BASE, Stage};
use crate::{bound_with, compare, dump};

fn folder() -> Option<PathBuf> {
    let given = std::env::var_os("AKLDAP_RECORDINGS").map(PathBuf::from);
    let near = ["../shared/recordings", "../../shared/recordings"]
        .map(|path| Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
    let found = given
        .into_iter()
        .chain(near)
        .find(|path| path.join("fixtures.json").is_file());
    if found.is_none() {
        println!("skipped: there are no recordings");
    }
    found
}

fn file(folder: &Path, name: &str) -> Value {
    let text = std::fs::read_to_string(folder.join(name)).expect("a recording");
    serde_json::from_str(&text).expect("JSON")
}

/// The rows of a recorded list.
fn rows(folder: &Path, name: &str) -> Vec<Value> {
    let exchange = file(folder, name);
    let body: Value =
        serde_json::from_str(exchange["response"]["body"].as_str().expect("a body")).expect("JSON");
    assert_eq!(body["pagination"]["total_pages"], 1, "{name} is the whole list");
    body["results"].as_array().expect("results").clone()
}

async fn stage(folder: &Path) -> Stage {
    Stage::with(Directory::from_recordings(folder).expect("recordings"), |_| {}).await
}

fn searcher(folder: &Path) -> String {
    let fixtures = file(folder, "fixtures.json");
    fixtures["passwords"]["ldapservice"]
        .as_str()
        .expect("a password")
        .to_owned()
}

#[tokio::test]
async fn the_recorded_directory() {
    let Some(folder) = folder() else { return };
    let stage = stage(&folder).await;
    let mut client = bound_with(&stage, "ldapservice", &searcher(&folder)).await;
    compare("recordings.ldif", &dump(&mut client, &[]).await);
}

#[tokio::test]
async fn every_attribute_is_what_the_contract_makes_of_the_rows() {
    let Some(folder) = folder() else { return };
    let users = rows(&folder, "B-users/02-list-p1-100.json");
    let groups = rows(&folder, "C-groups/07-list-inherited-roles.json");
    let numbers = rows(&folder, "A-bootstrap/20-outposts-ldap.json");
    let provider = numbers
        .iter()
        .find(|row| row["base_dn"] == BASE)
        .expect("the provider of the base DN");
    let numbers = Numbers::of(provider);

    let stage = stage(&folder).await;
    let mut client = bound_with(&stage, "ldapservice", &searcher(&folder)).await;
    let found = client.subtree(BASE, "(objectClass=*)", &[]).await;
    assert_eq!(found.outcome.code, 0);
    let mut served: BTreeMap<String, Entry> = BTreeMap::new();
    for entry in found.entries {
        let name = entry.dn.clone();
        assert!(served.insert(name.clone(), entry).is_none(), "{name} comes twice");
    }

    let mut expected: BTreeMap<String, Attributes> = BTreeMap::new();
    for row in &users {
        expected.insert(contract::user_dn(row), contract::user(row, &numbers));
        expected.insert(
            contract::virtual_group_dn(row),
            contract::virtual_group(row, &numbers),
        );
    }
    for row in &groups {
        expected.insert(
            contract::group_dn(row),
            contract::group(row, &numbers, &users, &groups),
        );
    }
    assert_eq!(expected.len(), 2 * users.len() + groups.len(), "names are unique");

    let mut problems = Vec::new();
    for (name, expected) in &expected {
        match served.remove(name) {
            None => problems.push(format!("{name} is missing")),
            Some(entry) => contract::differences(name, &entry, expected, &mut problems),
        }
    }
    for (name, entry) in &served {
        match contract::scaffold(name) {
            None => problems.push(format!("{name} should not be there")),
            Some(expected) => contract::contains(name, entry, &expected, &mut problems),
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
