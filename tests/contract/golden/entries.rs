//! The rows of authentik's API as the contract takes them, and entries of the server compared with what the contract
//! makes.
//!
//! Knows only JSON and the rules of the contract, and shares no code with the server.

use std::collections::BTreeSet;

use akldap_testing::client::Entry;
use akldap_testing::contract::{ContractTree, Directory, EntryKind, Group, Json, Names, User};
use serde_json::Value;

const SUFFIX: &str = "dc=ldap,dc=goauthentik,dc=io";

/// How far the order of an attribute's values is fixed: values in one part may come in any order, parts may not.
#[derive(Debug, Clone)]
pub struct Values(Vec<BTreeSet<String>>);

/// What an entry must have, exactly.
#[derive(Debug, Clone, Default)]
pub struct ExpectedEntry(Vec<(String, Values)>);

fn text(row: &Value, key: &str) -> String {
    let text = row[key].as_str();
    text.unwrap_or_else(|| panic!("{key} is no text in {row}"))
        .to_owned()
}

fn number(row: &Value, key: &str) -> i64 {
    row[key]
        .as_i64()
        .unwrap_or_else(|| panic!("{key} is no number in {row}"))
}

fn truth(row: &Value, key: &str) -> bool {
    row[key]
        .as_bool()
        .unwrap_or_else(|| panic!("{key} is no truth in {row}"))
}

fn list<'a>(row: &'a Value, key: &str) -> &'a [Value] {
    row[key]
        .as_array()
        .unwrap_or_else(|| panic!("{key} is no list in {row}"))
}

fn custom(row: &Value) -> Vec<(String, Json)> {
    let attributes = row["attributes"].as_object().expect("attributes");
    attributes
        .iter()
        .map(|(key, json)| (key.clone(), Json::from(json)))
        .collect()
}

/// Where a provider puts its directory.
pub fn place(provider: &Value) -> ContractTree {
    ContractTree {
        base_dn: text(provider, "base_dn"),
        uid_start: number(provider, "uid_start_number"),
        gid_start: number(provider, "gid_start_number"),
        names: Names::default(),
        virtual_groups: true,
    }
}

/// The directory of these rows.
pub fn directory(users: &[Value], groups: &[Value]) -> Directory {
    assert_agreed(users, groups);
    let user = |row: &Value| User {
        pk: number(row, "pk"),
        uuid: text(row, "uuid"),
        uid: text(row, "uid"),
        username: text(row, "username"),
        name: text(row, "name"),
        email: text(row, "email"),
        is_active: truth(row, "is_active"),
        is_superuser: truth(row, "is_superuser"),
        path: text(row, "path"),
        kind: text(row, "type"),
        attributes: custom(row),
        password_change_date: text(row, "password_change_date"),
        date_joined: text(row, "date_joined"),
        last_updated: text(row, "last_updated"),
    };
    let group = |row: &Value| Group {
        uuid: text(row, "pk"),
        num_pk: number(row, "num_pk"),
        name: text(row, "name"),
        is_superuser: truth(row, "is_superuser"),
        parents: list(row, "parents")
            .iter()
            .map(|pk| pk.as_str().expect("a UUID").to_owned())
            .collect(),
        users: list(row, "users")
            .iter()
            .map(|pk| pk.as_i64().expect("a pk"))
            .collect(),
        attributes: custom(row),
    };
    Directory {
        users: users.iter().map(user).collect(),
        groups: groups.iter().map(group).collect(),
    }
}

/// The rows name each membership on both sides.
fn assert_agreed(users: &[Value], groups: &[Value]) {
    type Pairs = BTreeSet<(String, String)>;
    let pairs = |rows: &[Value], key: &str, is_left: bool| -> Pairs {
        let pair = |row: &Value, other: &Value| match is_left {
            true => (row["pk"].to_string(), other.to_string()),
            false => (other.to_string(), row["pk"].to_string()),
        };
        rows.iter()
            .flat_map(|row| list(row, key).iter().map(move |other| pair(row, other)))
            .collect()
    };
    assert_eq!(pairs(users, "groups", true), pairs(groups, "users", false));
    assert_eq!(pairs(groups, "parents", true), pairs(groups, "children", false));
}

/// Every user, group and virtual group by name, with what is served of it by default.
pub fn expected(
    directory: &Directory,
    place: &ContractTree,
) -> impl Iterator<Item = (String, ExpectedEntry)> {
    let entries = directory.entries(place, None).into_iter();
    let of_rows = entries.filter(|entry| {
        matches!(
            entry.kind,
            EntryKind::User | EntryKind::Group | EntryKind::VirtualGroup
        )
    });
    of_rows.map(|entry| {
        let attributes = entry
            .attributes
            .into_iter()
            .filter(|attribute| attribute.by_default)
            .map(|attribute| {
                let values = attribute.values.into_iter();
                let values = values.map(|value| String::from_utf8(value).expect("text"));
                let parts = parts(entry.kind, &attribute.name, values.collect());
                (attribute.name, Values(parts))
            });
        (entry.dn, ExpectedEntry(attributes.collect()))
    })
}

/// Memberships come in any order, groups after users; so do the classes of a virtual group.
fn parts(kind: EntryKind, name: &str, values: Vec<String>) -> Vec<BTreeSet<String>> {
    let (front, back): (BTreeSet<String>, BTreeSet<String>) = match (kind, name) {
        (_, "member") => values
            .into_iter()
            .partition(|name| name.ends_with(&format!(",ou=users,{SUFFIX}"))),
        (_, "memberOf") | (EntryKind::VirtualGroup, "objectClass") => {
            (values.into_iter().collect(), BTreeSet::new())
        }
        _ => return values.into_iter().map(|value| BTreeSet::from([value])).collect(),
    };
    [front, back]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect()
}

impl ExpectedEntry {
    fn add(&mut self, name: &str, values: &[&str]) {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        self.0.push((name.to_owned(), Values(vec![values])));
    }
}

/// What the base entry and the containers have at least.
pub fn scaffold(dn: &str) -> Option<ExpectedEntry> {
    let mut entry = ExpectedEntry::default();
    if dn == "DC=ldap,DC=goauthentik,DC=io" {
        entry.add("objectClass", &["top", "domain"]);
        entry.add("dc", &["ldap"]);
        entry.add("subschemaSubentry", &["cn=subschema"]);
        return Some(entry);
    }
    let name = ["users", "groups", "virtual-groups"]
        .into_iter()
        .find(|name| dn == format!("ou={name},{SUFFIX}"))?;
    entry.add("distinguishedName", &[dn]);
    entry.add("objectClass", &["top", "nsContainer"]);
    entry.add("commonName", &[name]);
    entry.add("ou", &[name]);
    Some(entry)
}

/// Notes every attribute that is missing, wrong or superfluous.
pub fn differences(dn: &str, entry: &Entry, expected: &ExpectedEntry, problems: &mut Vec<String>) {
    for (name, values) in &expected.0 {
        match entry.get(name) {
            None => problems.push(format!("{dn}: {name} is missing; expected {values:?}")),
            Some(served) if !is(&served, values) => {
                problems.push(format!("{dn}: {name} is {served:?}; expected {values:?}"));
            }
            Some(_) => {}
        }
    }
    for name in entry.names() {
        if !expected.0.iter().any(|(known, _)| known == name) {
            problems.push(format!("{dn}: {name} should not be there"));
        }
    }
    let names: BTreeSet<String> = entry
        .names()
        .iter()
        .map(|name| name.to_ascii_lowercase())
        .collect();
    if names.len() != entry.names().len() {
        problems.push(format!("{dn}: an attribute comes twice in {:?}", entry.names()));
    }
}

/// Notes every attribute that lacks a value.
pub fn contains(dn: &str, entry: &Entry, expected: &ExpectedEntry, problems: &mut Vec<String>) {
    for (name, Values(parts)) in &expected.0 {
        let served = entry.get(name).unwrap_or_default();
        for value in parts.iter().flatten().filter(|value| !served.contains(value)) {
            problems.push(format!("{dn}: {name} is {served:?} without {value:?}"));
        }
    }
}

fn is(served: &[String], Values(parts): &Values) -> bool {
    let mut rest = served;
    for part in parts {
        let Some((front, back)) = rest.split_at_checked(part.len()) else {
            return false;
        };
        if front.iter().cloned().collect::<BTreeSet<_>>() != *part {
            return false;
        }
        rest = back;
    }
    rest.is_empty()
}
