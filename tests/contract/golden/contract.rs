//! The entries that authentik's LDAP outpost makes of users and groups, written once more from the rows of its API.
//!
//! Knows JSON and the rules of the contract alone, and shares no code with the server.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use akldap_testing::client::Entry;

const SUFFIX: &str = "dc=ldap,dc=goauthentik,dc=io";
const USER_CLASSES: &[&str] = &[
    "top",
    "person",
    "organizationalPerson",
    "inetOrgPerson",
    "user",
    "posixAccount",
    "goauthentik.io/ldap/user",
];
const GROUP_CLASSES: &[&str] = &[
    "group",
    "groupOfUniqueNames",
    "groupOfNames",
    "goauthentik.io/ldap/group",
    "posixGroup",
];
/// Attributes that no custom attribute replaces, among those of the rows.
const NOT_GIVEN: &[&str] = &["memberof", "member", "ak-active", "userpassword"];
const VIRTUAL_GROUP_CLASS: &str = "goauthentik.io/ldap/virtual-group";

/// How far the order of an attribute's values is fixed: values in one part may come in any order, parts may not.
#[derive(Debug, Clone)]
pub struct Values(Vec<BTreeSet<String>>);

/// What an entry must have, exactly.
#[derive(Debug, Clone, Default)]
pub struct Attributes(Vec<(String, Values)>);

impl Attributes {
    fn one(&mut self, name: &str, value: &str) {
        self.list(name, &[value.to_owned()]);
    }

    fn list(&mut self, name: &str, values: &[String]) {
        let parts = values
            .iter()
            .map(|value| BTreeSet::from([value.clone()]))
            .collect();
        self.0.push((name.to_owned(), Values(parts)));
    }

    fn sets(&mut self, name: &str, sets: Vec<BTreeSet<String>>) {
        let parts = sets.into_iter().filter(|set| !set.is_empty()).collect();
        self.0.push((name.to_owned(), Values(parts)));
    }

    /// Puts custom attributes in the place of built-in ones of the same name, or beside them: classes are added, and
    /// memberships, states and identity cannot be given.
    fn overlay(&mut self, custom: Vec<(String, Vec<String>)>) {
        for (name, mut values) in custom {
            if NOT_GIVEN.contains(&name.to_lowercase().as_str()) {
                continue;
            }
            if name.eq_ignore_ascii_case("objectClass") {
                let own = self.0.iter().find(|(known, _)| known == "objectClass");
                let own: Vec<String> = own
                    .into_iter()
                    .flat_map(|(_, Values(parts))| parts.iter().flatten().cloned())
                    .collect();
                values.retain(|class| !own.iter().any(|known| known.eq_ignore_ascii_case(class)));
                self.0.retain(|(known, _)| known != "objectClass");
                self.list("objectClass", &[own, values].concat());
                continue;
            }
            self.0.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
            self.list(&name, &values);
        }
    }
}

/// Where a provider's numbers start.
pub struct Numbers {
    uid: i64,
    gid: i64,
}

impl Numbers {
    pub fn of(provider: &Value) -> Self {
        let number = |key: &str| provider[key].as_i64().expect("a number");
        Self {
            uid: number("uid_start_number"),
            gid: number("gid_start_number"),
        }
    }
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key]
        .as_str()
        .unwrap_or_else(|| panic!("{key} is no text in {row}"))
}

fn list(row: &Value, key: &str) -> Vec<Value> {
    row[key]
        .as_array()
        .unwrap_or_else(|| panic!("{key} is no list in {row}"))
        .clone()
}

fn owned(values: &[&str]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

/// The string form of a value in a DN (RFC 4514 section 2.4).
fn escape(value: &str) -> String {
    let mut out = String::new();
    let last = value.chars().count().saturating_sub(1);
    for (at, letter) in value.chars().enumerate() {
        let outer = letter == ' ' && (at == 0 || at == last) || letter == '#' && at == 0;
        // A line of LDIF or of a log must not end within a name.
        if letter.is_ascii_control() {
            out.push_str(&format!("\\{:02x}", u32::from(letter)));
            continue;
        }
        if outer || "\"+,;<>\\".contains(letter) {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

pub fn user_dn(row: &Value) -> String {
    format!("cn={},ou=users,{SUFFIX}", escape(text(row, "username")))
}

pub fn virtual_group_dn(row: &Value) -> String {
    format!("cn={},ou=virtual-groups,{SUFFIX}", escape(text(row, "username")))
}

pub fn group_dn(row: &Value) -> String {
    format!("cn={},ou=groups,{SUFFIX}", escape(text(row, "name")))
}

/// `2026-11-23T13:04:24.992281Z` as `20261123130424Z`: the fraction is cut, not rounded.
fn generalized_time(iso: &str) -> String {
    let seconds: String = iso
        .split(['.', 'Z', '+'])
        .next()
        .unwrap_or_default()
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    format!("{seconds}Z")
}

/// A JSON value as one value of an attribute; `None` for null.
fn value(json: &Value, username: Option<&str>) -> Option<String> {
    Some(match json {
        Value::Null => return None,
        Value::String(text) => username.map_or_else(|| text.clone(), |name| text.replace("%s", name)),
        Value::Bool(truth) => if *truth { "true" } else { "false" }.to_owned(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => format!("{float}"),
            _ => number.to_string(),
        },
        Value::Array(_) | Value::Object(_) => json.to_string(),
    })
}

/// The name a key gets: no dots, `-` for slashes.
fn sanitised(key: &str) -> String {
    key.replace('.', "").replace('/', "-").trim().to_owned()
}

/// The custom attributes of a row. Keys whose names are equal are merged under the first spelling.
fn custom(attributes: &Map<String, Value>, username: Option<&str>) -> Vec<(String, Vec<String>)> {
    let mut merged: Vec<(String, Vec<String>)> = Vec::new();
    for (key, json) in attributes {
        let values: Vec<String> = match json {
            Value::Array(items) => items.iter().filter_map(|item| value(item, username)).collect(),
            other => value(other, username).into_iter().collect(),
        };
        let name = sanitised(key);
        if values.is_empty() || !name.contains(char::is_alphanumeric) {
            continue;
        }
        match merged
            .iter_mut()
            .find(|(known, _)| known.eq_ignore_ascii_case(&name))
        {
            Some((_, known)) => known.extend(values),
            None => merged.push((name, values)),
        }
    }
    merged
}

fn attributes(row: &Value) -> &Map<String, Value> {
    row["attributes"].as_object().expect("attributes")
}

/// A number given as an attribute, as text or as a number.
fn given(row: &Value, key: &str) -> Option<String> {
    attributes(row)
        .get(key)
        .filter(|json| json.is_string() || json.is_number())
        .and_then(|json| value(json, None))
}

fn user_number(row: &Value, numbers: &Numbers) -> String {
    given(row, "uidNumber").unwrap_or_else(|| (numbers.uid + row["pk"].as_i64().expect("a pk")).to_string())
}

fn user_group_number(row: &Value, numbers: &Numbers) -> String {
    given(row, "gidNumber").unwrap_or_else(|| user_number(row, numbers))
}

pub fn user(row: &Value, numbers: &Numbers) -> Attributes {
    let (username, name) = (text(row, "username"), text(row, "name"));
    let truth = |key: &str| {
        if row[key].as_bool().expect("a truth") {
            "TRUE"
        } else {
            "FALSE"
        }
    };
    let mut entry = Attributes::default();
    entry.list("objectClass", &owned(USER_CLASSES));
    for attribute in ["cn", "sAMAccountName"] {
        entry.one(attribute, username);
    }
    entry.one("uid", text(row, "uid"));
    for attribute in ["name", "displayName", "sn"] {
        entry.one(attribute, name);
    }
    entry.one("mail", text(row, "email"));
    let groups = list(row, "groups_obj");
    assert_eq!(
        groups.len(),
        list(row, "groups").len(),
        "the groups were recorded with their names"
    );
    entry.sets("memberOf", vec![groups.iter().map(group_dn).collect()]);
    entry.one("uidNumber", &user_number(row, numbers));
    entry.one("gidNumber", &user_group_number(row, numbers));
    entry.one("homeDirectory", &format!("/home/{username}"));
    entry.one("ak-active", truth("is_active"));
    entry.one("ak-superuser", truth("is_superuser"));
    entry.one(
        "pwdChangedTime",
        &generalized_time(text(row, "password_change_date")),
    );
    entry.one("createTimestamp", &generalized_time(text(row, "date_joined")));
    entry.one("modifyTimestamp", &generalized_time(text(row, "last_updated")));
    entry.overlay(custom(attributes(row), Some(username)));
    entry
}

pub fn virtual_group(row: &Value, numbers: &Numbers) -> Attributes {
    let username = text(row, "username");
    let mut entry = Attributes::default();
    let classes = [GROUP_CLASSES, &[VIRTUAL_GROUP_CLASS]].concat();
    entry.sets("objectClass", vec![owned(&classes).into_iter().collect()]);
    for attribute in ["cn", "sAMAccountName"] {
        entry.one(attribute, username);
    }
    entry.one("uid", text(row, "uid"));
    entry.one("gidNumber", &user_group_number(row, numbers));
    entry.one("ak-superuser", "false");
    entry.one("member", &user_dn(row));
    entry.sets("memberOf", vec![]);
    entry
}

pub fn group(row: &Value, numbers: &Numbers, users: &[Value], groups: &[Value]) -> Attributes {
    let name = text(row, "name");
    let mut entry = Attributes::default();
    entry.list("objectClass", &owned(GROUP_CLASSES));
    for attribute in ["cn", "sAMAccountName"] {
        entry.one(attribute, name);
    }
    entry.one("uid", text(row, "pk"));
    let number = numbers.gid + row["num_pk"].as_i64().expect("a number");
    entry.one(
        "gidNumber",
        &given(row, "gidNumber").unwrap_or_else(|| number.to_string()),
    );
    entry.one(
        "ak-superuser",
        if row["is_superuser"].as_bool().expect("a truth") {
            "true"
        } else {
            "false"
        },
    );
    let named = |list: Vec<Value>, rows: &[Value], dn: fn(&Value) -> String| -> BTreeSet<String> {
        let find = |pk: &Value| {
            rows.iter()
                .find(|row| row["pk"] == *pk)
                .unwrap_or_else(|| panic!("no row {pk}"))
        };
        list.iter().map(|pk| dn(find(pk))).collect()
    };
    let members = vec![
        named(list(row, "users"), users, user_dn),
        named(list(row, "children"), groups, group_dn),
    ];
    if members.iter().any(|part| !part.is_empty()) {
        entry.sets("member", members);
    }
    entry.sets("memberOf", vec![named(list(row, "parents"), groups, group_dn)]);
    entry.overlay(custom(attributes(row), None));
    entry
}

/// What the base entry and the containers have at least.
pub fn scaffold(dn: &str) -> Option<Attributes> {
    let mut entry = Attributes::default();
    if dn == "DC=ldap,DC=goauthentik,DC=io" {
        entry.sets(
            "objectClass",
            vec![owned(&["top", "domain"]).into_iter().collect()],
        );
        entry.one("dc", "ldap");
        entry.one("subschemaSubentry", "cn=subschema");
        return Some(entry);
    }
    let name = ["users", "groups", "virtual-groups"]
        .into_iter()
        .find(|name| dn == format!("ou={name},{SUFFIX}"))?;
    entry.one("distinguishedName", dn);
    entry.sets(
        "objectClass",
        vec![owned(&["top", "nsContainer"]).into_iter().collect()],
    );
    entry.one("commonName", name);
    entry.one("ou", name);
    Some(entry)
}

/// Notes every attribute that is missing, wrong or too much.
pub fn differences(dn: &str, entry: &Entry, expected: &Attributes, problems: &mut Vec<String>) {
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
pub fn contains(dn: &str, entry: &Entry, expected: &Attributes, problems: &mut Vec<String>) {
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
