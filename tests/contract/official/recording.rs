//! The recorded searches and answers, and the directory they were asked of.

use std::collections::BTreeMap;

use akldap_authentik::Timestamp;
use akldap_simulator::{Application, Directory, Outpost, Password, Provider, Role, User};
use akldap_testing::recordings;
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

/// One recorded search and its answer.
#[derive(Debug, Deserialize)]
pub struct Search {
    pub name: String,
    #[serde(rename = "as")]
    pub who: String,
    pub base: String,
    pub scope: String,
    pub filter: String,
    pub attributes: Vec<String>,
    #[serde(default)]
    pub options: Options,
    pub code: i32,
    pub closed: bool,
    pub entries: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    #[serde(default)]
    pub size: i32,
    #[serde(default)]
    pub seconds: i32,
    #[serde(default)]
    pub types: u8,
    pub paged: Option<i32>,
    #[serde(default)]
    pub crit: u8,
    pub sort: Option<String>,
    #[serde(default)]
    pub deref: u8,
    #[serde(default)]
    pub mdsait: u8,
}

/// An entry: its name, and its attributes by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub dn: String,
    pub attributes: BTreeMap<String, Vec<String>>,
    /// The names in the order they came.
    pub names: Vec<String>,
}

#[derive(Deserialize)]
struct RecordedEntry {
    dn: String,
    attributes: Vec<(String, Vec<String>)>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedAnswer {
    pub code: i32,
    pub closed: bool,
    pub entries: Vec<Entry>,
}

impl Entry {
    pub fn new(dn: String, attributes: Vec<(String, Vec<String>)>) -> Self {
        let names = attributes.iter().map(|(name, _)| name.clone()).collect();
        Self {
            dn,
            attributes: attributes.into_iter().collect(),
            names,
        }
    }
}

fn kept(name: &str) -> String {
    recordings::text(&format!("official-2025.10/{name}.json.gz"))
}

/// The entries by their keys.
pub fn entries() -> BTreeMap<String, Entry> {
    let recorded: BTreeMap<String, RecordedEntry> = serde_json::from_str(&kept("entries")).expect("entries");
    recorded
        .into_iter()
        .map(|(key, entry)| (key, Entry::new(entry.dn, entry.attributes)))
        .collect()
}

/// The searches of a mode.
pub fn searches(mode: &str) -> Vec<Search> {
    serde_json::from_str(&kept(&format!("searches-{mode}"))).expect("searches")
}

/// The recorded rows.
#[derive(Deserialize)]
pub struct Rows {
    pub provider: Map<String, Value>,
    pub passwords: BTreeMap<String, String>,
    pub users: Vec<Value>,
    pub groups: Vec<Value>,
}

impl Rows {
    pub fn read() -> Self {
        serde_json::from_str(&kept("directory")).expect("rows")
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn uuid(value: &Value) -> Uuid {
    text(value).parse().expect("a UUID")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The recorded directory in a simulated authentik whose provider has a search mode.
pub fn directory(rows: &Rows, mode: &str) -> Directory {
    let mut directory = Directory::sample(0, 0);
    let account = outpost_account(&directory).clone();
    let sample: Vec<i32> = directory.users().iter().map(|user| user.pk).collect();
    for pk in sample {
        directory.remove_user(pk);
    }
    let sample: Vec<Uuid> = directory.groups().map(|group| group.pk).collect();
    for pk in sample {
        directory.remove_group(pk);
    }
    for row in &rows.groups {
        let pk = directory.add_group(uuid(&row["pk"]), text(&row["name"]));
        directory.change_group(pk, |group| {
            group.is_superuser = row["is_superuser"] == true;
            group.set_attributes(row["attributes"].as_object().expect("attributes"));
        });
        let group = directory.group(pk).expect("a group");
        assert_eq!(Value::from(group.num_pk()), row["num_pk"]);
    }
    for row in &rows.groups {
        let parents: Vec<Uuid> = list(&row["parents"]).iter().map(uuid).collect();
        directory.set_parents(uuid(&row["pk"]), &parents);
    }
    let time = |value: &Value| {
        Timestamp::parse(text(value))
            .and_then(Timestamp::micros)
            .expect("a time")
    };
    for row in &rows.users {
        let pk = i32::try_from(row["pk"].as_i64().expect("a pk")).expect("a small pk");
        let mut user = User::new(
            pk,
            text(&row["username"]),
            text(&row["name"]),
            text(&row["email"]),
        );
        user.is_active = row["is_active"] == true;
        user.date_joined = time(&row["date_joined"]);
        user.password_change_date = time(&row["password_change_date"]);
        user.last_updated = time(&row["last_updated"]);
        user.uuid = uuid(&row["uuid"]);
        user.uid = octets(text(&row["uid"]));
        user.set_attributes(row["attributes"].as_object().expect("attributes"));
        if user.username.starts_with("ak-outpost-") {
            (user.kind, user.roles) = (account.kind, account.roles.clone());
        }
        if let Some(password) = rows.passwords.get(text(&row["username"])) {
            user.password = Password::Text(password.as_str().into());
        }
        directory.add_user(user);
        for group in list(&row["groups"]) {
            directory.join(pk, uuid(group));
        }
    }
    configure(&mut directory, rows, mode);
    directory
}

fn octets(hex: &str) -> [u8; 32] {
    let octet = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hexadecimal");
    std::array::from_fn(octet)
}

fn outpost_account(directory: &Directory) -> &User {
    directory
        .users()
        .iter()
        .find(|user| user.username.starts_with("ak-outpost-"))
        .expect("the outpost's account")
}

/// The outpost's account, the provider and who may search.
fn configure(directory: &mut Directory, rows: &Rows, mode: &str) {
    let pk_of = |directory: &Directory, name: &str| directory.user_named(name).expect("a user").pk;
    let account = outpost_account(directory).pk;
    for outpost in directory.outposts.values_mut() {
        let Outpost { account: known, .. } = outpost;
        *known = account;
    }
    directory.tokens.values_mut().for_each(|pk| *pk = account);
    let provider_pk = *directory.providers.keys().next().expect("a provider");
    for provider in directory.providers.values_mut() {
        let Provider {
            search_mode, base_dn, ..
        } = provider;
        mode.clone_into(search_mode);
        text(&rows.provider["base_dn"]).clone_into(base_dn);
    }
    for application in directory.applications.values_mut() {
        let Application { bindings, .. } = application;
        bindings.clear();
    }
    let mut role = Role::new(Uuid::from_u128(1), "LDAP search");
    role.search = vec![provider_pk];
    let service = pk_of(directory, "svc");
    directory.change_user(service, |user| user.roles = vec![role.pk]);
    directory.roles.insert(role.pk, role);
}
