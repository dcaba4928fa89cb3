//! What a provider shows with a profile and an admin's choices, against the naive directory brought into that view by hand: templates,
//! attributes that are hidden or always shown, virtual groups, inherited memberships, roles, names, and who is shown.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use akldap::config::{Config, ProviderConfig, StringMap};
use akldap::metrics::{Metrics, OutpostLabels};
use akldap::outpost::provider::Provider;
use akldap_authentik::LdapProvider;
use akldap_directory::shape::numbers::NumberRange;
use akldap_directory::shape::visibility::{About, Visibility};
use akldap_directory::shape::{Made, Membership, RecordKind, Shape, Show, Template};
use akldap_directory::{VirtualGroups, schema};
use akldap_testing::contract::{Attribute, Group, Json, User};

use super::oracle::evaluation::is_value;
use super::shapes::{Told, inherit, is_plain, nest, style, user_condition, visibility, without};
use super::*;

/// The profiles, but for the one that says nothing.
const PROFILES: [(&str, &str); 7] = [
    ("authentik", ""),
    (
        "nextcloud",
        include_str!("../../../src/config/profiles/nextcloud.toml"),
    ),
    (
        "rfc2307bis",
        include_str!("../../../src/config/profiles/rfc2307bis.toml"),
    ),
    (
        "openldap",
        include_str!("../../../src/config/profiles/openldap.toml"),
    ),
    (
        "vsphere",
        include_str!("../../../src/config/profiles/vsphere.toml"),
    ),
    ("nas", include_str!("../../../src/config/profiles/nas.toml")),
    (
        "phonebook",
        include_str!("../../../src/config/profiles/phonebook.toml"),
    ),
];

/// Templates that an admin might add.
const OF_USERS: &[(&str, &[&str])] = &[
    ("title", &["{{ groups }}"]),
    ("title", &["{{ all_groups }}"]),
    ("description", &["{{ all_groups }}"]),
    ("gecos", &["{{ name | default(username, true) | ascii }}"]),
    ("employeeNumber", &["{{ pk }}"]),
    ("givenName", &["{{ name | split | first }}"]),
    ("mail", &["{{ attributes.title | default(email) }}"]),
    ("homeDirectory", &["/srv/home/{{ username }}"]),
    ("extraAttribute", &["{{ path }}"]),
    (
        "loginShell",
        &["{{ attributes.loginShell | default('/bin/sh') }}"],
    ),
    ("cn", &["{{ username }}", "{{ name }}"]),
    ("uid", &["{{ username }}"]),
    ("displayName", &["{{ email }}"]),
    ("above", &["{{ type }}"]),
    ("manager", &["{{ attributes.title }}"]),
    ("objectClass", &["top", "person", "posixAccount"]),
];
const OF_GROUPS: &[(&str, &[&str])] = &[
    ("above", &["{{ parents }}"]),
    ("above", &["{{ all_parents }}"]),
    ("title", &["{{ members }}"]),
    ("description", &["{{ uuid }}"]),
    ("employeeNumber", &["{{ num_pk }}"]),
    ("displayName", &["{{ name }}"]),
    ("objectClass", &["top", "groupOfNames"]),
];
const HIDDEN_OF_USERS: &[&str] = &[
    "mail",
    "uid",
    "memberOf",
    "title",
    "gidNumber",
    "uidNumber",
    "name",
    "sn",
    "homeDirectory",
    "ak-active",
    "description",
    "sAMAccountName",
    "createTimestamp",
];
const HIDDEN_OF_GROUPS: &[&str] = &[
    "member",
    "memberUid",
    "uniqueMember",
    "memberOf",
    "description",
    "gidNumber",
    "uid",
    "sAMAccountName",
];
const MEMBERSHIPS: [&str; 4] = ["member", "memberOf", "uniqueMember", "memberUid"];

/// What is to be shown of an attribute.
#[derive(Clone, Debug)]
struct ShapeRule {
    name: String,
    shows: ShownAs,
}

#[derive(Clone, Debug)]
enum ShownAs {
    Nothing,
    Always,
    Made {
        templates: Vec<String>,
        operational: bool,
    },
}

impl ShapeRule {
    /// The rules of a profile for users or for groups.
    fn of_profile(text: &str, kind: &str) -> Vec<Self> {
        let section = format!("[common.{kind}.attributes]");
        let lines = text.lines().skip_while(|line| *line != section).skip(1);
        let rules = lines.take_while(|line| !line.starts_with('['));
        let rule = |(name, value): (&str, &str)| Self {
            name: name.to_owned(),
            shows: match value {
                "false" => ShownAs::Nothing,
                "true" => ShownAs::Always,
                templates => ShownAs::Made {
                    templates: templates
                        .split('"')
                        .skip(1)
                        .step_by(2)
                        .map(str::to_owned)
                        .collect(),
                    operational: false,
                },
            },
        };
        rules
            .filter_map(|line| line.split_once(" = "))
            .map(rule)
            .collect()
    }

    fn random(random: &mut Random, kind: RecordKind) -> Self {
        let (made, hidden) = match kind {
            RecordKind::User => (OF_USERS, HIDDEN_OF_USERS),
            RecordKind::Group => (OF_GROUPS, HIDDEN_OF_GROUPS),
        };
        let always: &[&str] = match kind {
            RecordKind::User => &["entryUUID", "entryDN"],
            RecordKind::Group => &["entryUUID", "memberUid", "uniqueMember"],
        };
        let (name, shows) = match random.below(10) {
            0..=5 => {
                let (name, templates) = random.pick(made);
                let templates = templates.iter().map(|text| (*text).to_owned()).collect();
                let operational = random.chance(20);
                (
                    *name,
                    ShownAs::Made {
                        templates,
                        operational,
                    },
                )
            }
            6..=8 => (*random.pick(hidden), ShownAs::Nothing),
            _ => (*random.pick(always), ShownAs::Always),
        };
        Self {
            name: name.to_owned(),
            shows,
        }
    }

    fn show(&self, kind: RecordKind) -> Show {
        match &self.shows {
            ShownAs::Nothing => Show::Nothing,
            ShownAs::Always => Show::Always,
            ShownAs::Made {
                templates,
                operational,
            } => {
                let templates = templates.iter().map(|text| Template::new(text, kind).unwrap());
                Show::Made(Made {
                    templates: templates.collect(),
                    syntax: None,
                    operational: *operational,
                })
            }
        }
    }
}

/// HeldRoles, each with the users and groups that have it themselves.
#[derive(Clone, Debug, Default)]
pub(super) struct HeldRoles(Vec<HeldRole>);

#[derive(Clone, Debug)]
struct HeldRole {
    uuid: String,
    name: String,
    users: Vec<i64>,
    groups: Vec<String>,
}

impl HeldRoles {
    pub(super) fn random(random: &mut Random, directory: &Directory) -> Self {
        let names = ["LDAP search", "bob", "auditors, all", "ak-managed-role--user-1"];
        let role = |(number, name): (usize, &str)| HeldRole {
            uuid: format!("{:08x}-0000-4000-8000-000000000000", 0x7000_0000 + number),
            name: name.to_owned(),
            users: directory
                .users
                .iter()
                .filter(|_| random.chance(25))
                .map(|user| user.pk)
                .collect(),
            groups: directory
                .groups
                .iter()
                .filter(|_| random.chance(25))
                .map(|group| group.uuid.clone())
                .collect(),
        };
        Self(names.into_iter().enumerate().map(role).collect())
    }

    pub(super) fn of_user(&self, pk: i64) -> Vec<(String, String)> {
        self.of(|role| role.users.contains(&pk))
    }

    pub(super) fn of_group(&self, uuid: &str) -> Vec<(String, String)> {
        self.of(|role| role.groups.iter().any(|group| group == uuid))
    }

    fn is_one(&self, uuid: &str) -> bool {
        self.0.iter().any(|role| role.uuid == uuid)
    }

    fn of(&self, has: impl Fn(&HeldRole) -> bool) -> Vec<(String, String)> {
        let has = self.0.iter().filter(|role| has(role));
        has.map(|role| (role.uuid.clone(), role.name.clone())).collect()
    }

    /// The directory with those that somebody has as groups.
    fn as_groups(&self, directory: &Directory) -> Directory {
        let mut all = directory.clone();
        for role in &self.0 {
            let is_had = directory.users.iter().any(|user| role.users.contains(&user.pk))
                || directory
                    .groups
                    .iter()
                    .any(|group| role.groups.contains(&group.uuid));
            let is_taken = directory.groups.iter().any(|group| group.name == role.name);
            if !is_had || is_taken || role.name.starts_with("ak-managed-role--") {
                continue;
            }
            for group in &mut all.groups {
                if role.groups.contains(&group.uuid) {
                    group.parents.push(role.uuid.clone());
                }
            }
            // The first five decimal digits of the UUID, as of groups.
            let digits = u128::from_str_radix(&role.uuid.replace('-', ""), 16)
                .unwrap()
                .to_string();
            all.groups.push(Group {
                uuid: role.uuid.clone(),
                num_pk: digits[..5].parse().unwrap(),
                name: role.name.clone(),
                is_superuser: false,
                parents: Vec::new(),
                users: role.users.clone(),
                attributes: Vec::new(),
            });
        }
        all
    }
}

/// What an admin chose for a provider.
pub(super) struct ShapeChoice {
    pub(super) config: ProviderConfig,
    direct: bool,
    pub(super) names: Names,
    /// What the naive directory is to show of users and of groups.
    rules: [Vec<ShapeRule>; 2],
    told: String,
}

static CONFIGS: LazyLock<Vec<Arc<ProviderConfig>>> = LazyLock::new(|| {
    let config = |(profile, _): (&str, &str)| {
        let strings: StringMap = [
            ("AUTHENTIK_HOST", "http://localhost"),
            ("AUTHENTIK_TOKEN", "token"),
            ("AUTHENTIK_LDAP__PROFILE", profile),
        ]
        .into_iter()
        .collect();
        Config::read(&strings).unwrap().providers.of("dc=x", "ldap")
    };
    PROFILES.map(config).into_iter().collect()
});

impl ShapeChoice {
    pub(super) fn random(random: &mut Random) -> Self {
        let number = random.below(PROFILES.len());
        let (profile, text) = PROFILES[number];
        let mut config = ProviderConfig::clone(&CONFIGS[number]);
        let mut rules = [(RecordKind::User, "user"), (RecordKind::Group, "group")]
            .map(|(_, name)| ShapeRule::of_profile(text, name));
        for (kind, rules) in [RecordKind::User, RecordKind::Group].into_iter().zip(&mut rules) {
            for _ in 0..random.below(4) {
                let rule = ShapeRule::random(random, kind);
                let shape = match kind {
                    RecordKind::User => &mut config.users,
                    RecordKind::Group => &mut config.groups,
                };
                if shape.set(&rule.name, rule.show(kind)).is_ok() {
                    rules.retain(|known| !known.name.eq_ignore_ascii_case(&rule.name));
                    rules.push(rule);
                }
            }
        }
        let [units_before, by_profile] = [&config.entries.style.users, &config.entries.style.groups];
        let mut names = Names {
            units: match (units_before.as_str(), by_profile.as_str()) {
                ("People", "Groups") => ["People", "Groups", "virtual-groups"],
                _ => Names::default().units,
            },
            ..Names::default()
        };
        if random.chance(50) {
            (config.entries.style, names) = style(random);
        }
        if random.chance(50) {
            config.entries.virtual_groups = *random.pick(&[
                VirtualGroups::AsCached,
                VirtualGroups::On,
                VirtualGroups::Off,
                VirtualGroups::BelowOu,
            ]);
        }
        let direct = config.entries.virtual_groups != VirtualGroups::AsRecorded && random.chance(50);
        if random.chance(50) {
            config.entries.membership = Membership::Inherited;
        }
        config.entries.roles_as_groups = random.chance(30);
        let told = format!(
            "{profile} {:?} {:?} {:?} roles {} {rules:?}",
            config.entries.membership,
            config.entries.virtual_groups,
            config.entries.style,
            config.entries.roles_as_groups
        );
        Self {
            config,
            direct,
            names,
            rules,
            told,
        }
    }

    /// Moves shared numbers in some.
    pub(super) fn draw_numbers(&mut self, random: &mut Random) {
        let range = |random: &mut Random| {
            random
                .chance(30)
                .then(|| NumberRange::read("300000-300100").unwrap())
        };
        self.config.entries.numbers.uids.shared = range(random);
        self.config.entries.numbers.gids.shared = range(random);
    }

    fn provider(&self, place: &ContractTree) -> Provider {
        let settings: LdapProvider = serde_json::from_value(serde_json::json!({
            "pk": 1,
            "name": "ldap",
            "base_dn": place.base_dn,
            "bind_flow_slug": "flow",
            "application_slug": "ldap",
            "uid_start_number": place.uid_start,
            "gid_start_number": place.gid_start,
            "search_mode": if self.direct { "direct" } else { "cached" },
        }))
        .unwrap();
        let metrics = Metrics::new(OutpostLabels::new("", "", ""));
        Provider::new(settings, Arc::new(self.config.clone()), &Vec::new(), &metrics).unwrap()
    }

    /// A directory as the provider shows it. The naive one is not brought into the view.
    pub(super) fn seen(&self, directory: &Directory, place: &ContractTree, snapshot: &Snapshot) -> Pair {
        let provider = self.provider(place);
        let shape = provider
            .shape()
            .map_or_else(Shape::default, |shape| Shape::clone(shape));
        let (shaped, _) = snapshot.shaped(&shape).unwrap();
        let virtual_groups = self.config.entries.virtual_groups;
        Pair {
            directory: directory.clone(),
            place: ContractTree {
                names: self.names.clone(),
                virtual_groups: virtual_groups != VirtualGroups::Off,
                ..place.clone()
            },
            view: NaiveView::default(),
            snapshot: Arc::new(shaped),
            tree: Arc::clone(provider.tree()),
        }
    }
}

/// What the naive directory shows of its entries.
#[derive(Debug, Default)]
pub(super) struct NaiveView {
    /// By the names of the entries.
    changes: BTreeMap<String, Vec<ShapedChange>>,
    /// Memberships that nobody shows.
    hidden: Vec<String>,
    virtual_groups: VirtualGroups,
}

/// What becomes of an attribute.
#[derive(Clone, Debug)]
enum ShapedChange {
    Hidden(String),
    Always(String),
    Made(Attribute),
}

impl NaiveView {
    pub(super) fn shown(&self, mut entry: ContractEntry) -> ContractEntry {
        let changes = match entry.kind {
            EntryKind::User | EntryKind::Group | EntryKind::VirtualGroup => self.changes.get(&entry.dn),
            _ => None,
        };
        for change in changes.into_iter().flatten() {
            let name = match change {
                ShapedChange::Hidden(name) | ShapedChange::Always(name) => name,
                ShapedChange::Made(attribute) => &attribute.name,
            };
            let is_it = |attribute: &Attribute| attribute.name.eq_ignore_ascii_case(name);
            match change {
                ShapedChange::Always(_) => {
                    for attribute in entry.attributes.iter_mut().filter(|attribute| is_it(attribute)) {
                        attribute.by_default = true;
                    }
                }
                _ => entry.attributes.retain(|attribute| !is_it(attribute)),
            }
            if let ShapedChange::Made(attribute) = change
                && !attribute.values.is_empty()
            {
                entry.attributes.push(attribute.clone());
            }
        }
        let is_hidden = |name: &str| self.hidden.iter().any(|hidden| hidden.eq_ignore_ascii_case(name));
        entry.attributes.retain(|attribute| !is_hidden(&attribute.name));
        entry
    }

    /// What is asked if a membership that nobody shows is an attribute that no schema knows.
    pub(super) fn asked(&self, query: &Query) -> Query {
        match self.hidden.is_empty() {
            true => query.clone(),
            false => query.renamed(&|attribute| {
                let key = |name: &str| schema::canonical_name(name.as_bytes()).into_owned();
                let is_hidden = self.hidden.iter().any(|hidden| key(hidden) == key(attribute));
                is_hidden.then(|| "noSuchAttribute".to_owned())
            }),
        }
    }

    /// Whether a search finds virtual groups if they match.
    pub(super) fn looks_at_virtual_groups(&self, pair: &Pair, asked: &Asked) -> bool {
        match self.virtual_groups {
            VirtualGroups::AsRecorded | VirtualGroups::AsCached => !asked.query.hides_virtual_groups(),
            VirtualGroups::On => true,
            VirtualGroups::Off => false,
            VirtualGroups::BelowOu => {
                let [_, _, unit] = pair.place.names.units;
                let unit = format!("ou={},{}", contract::escape(unit), pair.place.base_dn);
                let parsed = |dn: &str| Dn::parse(dn.as_bytes()).unwrap();
                parsed(&asked.base).below(&parsed(&unit)).is_some()
            }
        }
    }
}

/// What templates can mention.
struct Mentioned<'a> {
    /// Before anybody is left out, roles included.
    all: &'a Directory,
    /// Those who are shown.
    shown: &'a Directory,
}

impl Mentioned<'_> {
    fn names(&self, uuids: &BTreeSet<String>) -> Vec<String> {
        let groups = self.shown.groups.iter();
        let named = groups.filter(|group| uuids.contains(&group.uuid));
        named.map(|group| group.name.clone()).collect()
    }

    /// These groups and all above them.
    fn above(&self, mut uuids: BTreeSet<String>) -> BTreeSet<String> {
        loop {
            let found = self.all.groups.iter().filter(|group| uuids.contains(&group.uuid));
            let parents: BTreeSet<String> = found.flat_map(|group| group.parents.clone()).collect();
            let before = uuids.len();
            uuids.extend(parents);
            if uuids.len() == before {
                return uuids;
            }
        }
    }

    fn direct_groups(&self, user: &User) -> BTreeSet<String> {
        let groups = self
            .all
            .groups
            .iter()
            .filter(|group| group.users.contains(&user.pk));
        groups.map(|group| group.uuid.clone()).collect()
    }

    /// What a template makes of a user; `entry` has what the outpost shows of them.
    fn of_user(&self, template: &str, user: &User, entry: &ContractEntry) -> Vec<String> {
        let text = |value: &Vec<u8>| String::from_utf8(value.clone()).unwrap();
        let custom = |name: &str| -> Vec<String> { entry.values(name).map(text).collect() };
        let email = || custom("mail").into_iter().take(1).collect::<Vec<_>>();
        let name = || match user.name.is_empty() {
            true => user.username.clone(),
            false => user.name.clone(),
        };
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        match template {
            "{{ username }}" => vec![user.username.clone()],
            "{{ name }}" => vec![user.name.clone()],
            "{{ name | default(username, true) }}" => vec![name()],
            "{{ name | default(username, true) | ascii }}" => vec![ascii(&name())],
            "{{ name | split | first }}" => words(&user.name).into_iter().take(1).collect(),
            "{{ name | default(username, true) | split | last }}" => {
                words(&name()).pop().into_iter().collect()
            }
            "{{ email }}" => email(),
            "{{ pk }}" => vec![user.pk.to_string()],
            "{{ path }}" => vec![user.path.clone()],
            "{{ type }}" => vec![user.kind.clone()],
            "/srv/home/{{ username }}" => vec![format!("/srv/home/{}", user.username)],
            "{{ groups }}" => self.names(&self.direct_groups(user)),
            "{{ all_groups }}" => self.names(&self.above(self.direct_groups(user))),
            "{{ attributes.title }}" => custom("title"),
            "{{ attributes.title | default(email) }}" => match custom("title") {
                none if none.is_empty() => email(),
                titles => titles,
            },
            "{{ attributes.loginShell | default('/bin/sh') }}" => shell(custom("loginShell"), "/bin/sh"),
            "{{ attributes.loginShell | default('/bin/bash') }}" => shell(custom("loginShell"), "/bin/bash"),
            text if !text.contains('{') => vec![text.to_owned()],
            unknown => panic!("what does {unknown} make?"),
        }
    }

    fn of_group(&self, template: &str, group: &Group) -> Vec<String> {
        let parents = || group.parents.iter().cloned().collect::<BTreeSet<_>>();
        match template {
            "{{ name }}" => vec![group.name.clone()],
            "{{ uuid }}" => vec![group.uuid.clone()],
            "{{ num_pk }}" => vec![group.num_pk.to_string()],
            "{{ parents }}" => self.names(&parents()),
            "{{ all_parents }}" => self.names(&self.above(parents())),
            "{{ members }}" => {
                let shown = self.shown.users.iter();
                let members = shown.filter(|user| group.users.contains(&user.pk));
                members.map(|user| user.username.clone()).collect()
            }
            text if !text.contains('{') => vec![text.to_owned()],
            unknown => panic!("what does {unknown} make?"),
        }
    }

    /// What rules make of an entry.
    fn changes(rules: &[ShapeRule], mut make: impl FnMut(&str) -> Vec<String>) -> Vec<ShapedChange> {
        let change = |rule: &ShapeRule| match &rule.shows {
            ShownAs::Nothing => ShapedChange::Hidden(rule.name.clone()),
            ShownAs::Always => ShapedChange::Always(rule.name.clone()),
            ShownAs::Made {
                templates,
                operational,
            } => {
                let mut values: Vec<Vec<u8>> = Vec::new();
                for value in templates.iter().flat_map(|template| make(template)) {
                    let value = value.into_bytes();
                    if !value.is_empty() && !values.contains(&value) {
                        values.push(value);
                    }
                }
                let syntax = schema::syntax_of(rule.name.as_bytes());
                let fits = |value: &Vec<u8>| {
                    is_value(syntax, value) && (syntax != schema::Syntax::Ia5String || value.is_ascii())
                };
                if !values.iter().all(fits) {
                    values.clear();
                }
                ShapedChange::Made(Attribute {
                    name: rule.name.clone(),
                    values,
                    by_default: !operational,
                    operational: *operational,
                })
            }
        };
        rules.iter().map(change).collect()
    }
}

/// A virtual group follows the number that its user states as long as it is shown.
fn number_of_own_group(rules: &[ShapeRule], user: &User, place: &ContractTree) -> Option<ShapedChange> {
    let states = |name: &str| {
        let mut stated = user.attributes.iter();
        stated.any(|(key, value)| key == name && matches!(value, Json::Text(_) | Json::Number(_)))
    };
    let hides = |name: &str| {
        let mut rules = rules.iter();
        rules.any(|rule| rule.name == name && matches!(rule.shows, ShownAs::Nothing))
    };
    let is_unknown = match states("gidNumber") {
        true => hides("gidNumber"),
        false => hides("uidNumber"),
    };
    let number = (place.uid_start + user.pk).to_string();
    is_unknown.then(|| {
        ShapedChange::Made(Attribute {
            name: "gidNumber".to_owned(),
            values: vec![number.into_bytes()],
            by_default: true,
            operational: false,
        })
    })
}

fn shell(own: Vec<String>, otherwise: &str) -> Vec<String> {
    match own.is_empty() {
        true => vec![otherwise.to_owned()],
        false => own,
    }
}

/// The letters that occur here without what is not ASCII.
fn ascii(text: &str) -> String {
    let letters = text.replace('ß', "ss").replace('ë', "e").replace('Ë', "E");
    letters.chars().filter(char::is_ascii).collect()
}

/// A directory as a provider shows it, and the naive one brought into that view.
fn viewed(random: &mut Random, users: usize, groups: usize) -> Option<(Pair, String)> {
    let mut choice = ShapeChoice::random(random);
    let pair = Pair::new(random, |random| {
        let mut directory = random::directory(random, users, groups, false);
        nest(random, &mut directory);
        directory
    });
    if !is_plain(&pair.directory) {
        return None;
    }
    let roles = HeldRoles::random(random, &pair.directory);
    let all = match choice.config.entries.roles_as_groups {
        true => roles.as_groups(&pair.directory),
        false => pair.directory.clone(),
    };
    // Who is shown is asked of the directory as it was loaded.
    let asked = Pair {
        directory: all.clone(),
        place: ContractTree {
            names: Names {
                units: choice.names.units,
                ..Names::default()
            },
            ..pair.place.clone()
        },
        view: NaiveView::default(),
        snapshot: Arc::clone(&pair.snapshot),
        tree: Arc::clone(&pair.tree),
    };
    let mut conditions = |most| {
        (0..random.below(most))
            .map(|_| user_condition(random, &asked))
            .collect::<Vec<_>>()
    };
    let (shown, hidden) = (conditions(2), conditions(3));
    let text = |told: &[Told<User>]| {
        told.iter()
            .map(|(text, _)| text.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    choice.config.entries.visible_users = visibility(&text(&shown), &text(&hidden), About::Users);
    let by_profile = choice.config.entries.visible_groups != Visibility::default();
    let hidden_group =
        (random.chance(40) && !all.groups.is_empty()).then(|| random.pick(&all.groups).uuid.clone());
    if let Some(uuid) = hidden_group.as_ref().filter(|_| !by_profile) {
        choice.config.entries.visible_groups = visibility("", &format!("(entryUUID={uuid})"), About::Groups);
    }
    let holds = |told: &[Told<User>], user: &User| told.iter().any(|(_, holds)| holds(&all, user));
    let related = match choice.config.entries.membership {
        Membership::Direct => all.clone(),
        Membership::Inherited => inherit(&all),
    };
    let left = without(
        &related,
        |user| !(shown.is_empty() || holds(&shown, user)) || holds(&hidden, user),
        |group| by_profile || hidden_group.as_ref() == Some(&group.uuid),
    );
    // A role that nobody has who is shown is not shown.
    let is_role = |group: &Group| choice.config.entries.roles_as_groups && roles.is_one(&group.uuid);
    let is_held = |role: &Group| {
        let below = left.groups.iter().any(|group| group.parents.contains(&role.uuid));
        !role.users.is_empty() || below
    };
    let unheld: Vec<String> = left
        .groups
        .iter()
        .filter(|group| is_role(group) && !is_held(group))
        .map(|group| group.uuid.clone())
        .collect();
    let left = without(&left, |_| false, |group| unheld.contains(&group.uuid));
    let told = format!("{} shown {} hidden {}", choice.told, text(&shown), text(&hidden));
    let mut seen = choice.seen(&left, &pair.place, &snapshot_with(&pair.directory, &roles));
    let mentioned = Mentioned {
        all: &all,
        shown: &left,
    };
    let plain = left.entries(&seen.place, None);
    let [of_users, of_groups] = &choice.rules;
    let mut view = NaiveView {
        virtual_groups: choice.config.entries.virtual_groups,
        ..NaiveView::default()
    };
    for rule in of_users.iter().chain(of_groups) {
        if matches!(rule.shows, ShownAs::Nothing) && MEMBERSHIPS.contains(&rule.name.as_str()) {
            view.hidden.push(rule.name.clone());
        }
    }
    for user in &left.users {
        let dn = left.user_dn(&seen.place, user);
        let entry = plain.iter().find(|entry| entry.dn == dn).unwrap();
        let changes = Mentioned::changes(of_users, |template| mentioned.of_user(template, user, entry));
        view.changes.insert(dn, changes);
        let changes = number_of_own_group(of_users, user, &seen.place);
        let own_group = plain.iter().find(|entry| {
            entry.kind == EntryKind::VirtualGroup
                && entry.values("cn").any(|name| *name == *user.username.as_bytes())
        });
        if let Some(own_group) = own_group {
            view.changes
                .insert(own_group.dn.clone(), changes.into_iter().collect());
        }
    }
    for group in &left.groups {
        let own = all.groups.iter().find(|known| known.uuid == group.uuid).unwrap();
        let changes = Mentioned::changes(of_groups, |template| mentioned.of_group(template, own));
        view.changes
            .insert(Directory::group_dn(&seen.place, &group.name), changes);
    }
    seen.view = view;
    Some((seen, told))
}

/// Whether the naive directory knows the base: it knows names in the provider's style only.
pub(super) fn knows_base(pair: &Pair, asked: &Asked) -> bool {
    let normal = |dn: &str| Dn::parse(dn.as_bytes()).unwrap_or_default().normal_form();
    let base = normal(&asked.base);
    pair.entries(asked.own)
        .iter()
        .any(|entry| normal(&entry.dn) == base)
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn a_view_shows_what_the_naive_directory_shows_in_it((seed, users, groups) in directories()) {
        let mut random = Random(seed);
        let viewed = viewed(&mut random, users, groups);
        prop_assume!(viewed.is_some());
        let (pair, told) = viewed.unwrap();
        for _ in 0..10 {
            let chain = random.chance(20);
            let asked = ask(&mut random, &pair, |random, entries| match chain {
                true => random::in_chain(random, entries),
                false => random::query(random, entries, 2),
            });
            if knows_base(&pair, &asked) {
                let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&pair, &asked)));
                prop_assert!(checked.is_ok(), "{}", told);
            }
        }
    }
}
