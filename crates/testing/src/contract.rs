//! The contract with authentik: users and groups, and the entries that its LDAP outpost makes from them, built the slow way.
//!
//! Knows only the rules, and shares no code with the server. Who may see what, and how filters match, is up to its users.

use serde_json::Value;

/// A JSON value of a custom attribute.
#[derive(Clone, Debug)]
pub enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl From<&Value> for Json {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Number(number) => Self::Number(number.to_string()),
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(members) => {
                let member = |(key, value): (&String, &Value)| (key.clone(), Self::from(value));
                Self::Object(members.iter().map(member).collect())
            }
        }
    }
}

impl Json {
    /// Its compact text.
    pub fn text(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(truth) => truth.to_string(),
            Self::Number(number) => number.clone(),
            Self::Text(text) => serde_json::to_string(text).unwrap(),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::text).collect();
                format!("[{}]", items.join(","))
            }
            Self::Object(members) => object(members),
        }
    }

    /// The value as an attribute value; `None` for null.
    fn value(&self, username: Option<&str>) -> Option<Vec<u8>> {
        let text = match self {
            Self::Null => return None,
            Self::Text(text) => match username {
                Some(username) => text.replace("%s", username),
                None => text.clone(),
            },
            // As Go prints it: without an exponent.
            Self::Number(number) if number.contains(['.', 'e', 'E']) => {
                number.parse::<f64>().unwrap().to_string()
            }
            other => other.text(),
        };
        Some(text.into_bytes())
    }

    fn values(&self, username: Option<&str>) -> Vec<Vec<u8>> {
        match self {
            Self::List(items) => items.iter().filter_map(|item| item.value(username)).collect(),
            other => other.value(username).into_iter().collect(),
        }
    }
}

/// The compact text of an object.
pub fn object(members: &[(String, Json)]) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(key, value)| format!("{}:{}", serde_json::to_string(key).unwrap(), value.text()))
        .collect();
    format!("{{{}}}", members.join(","))
}

#[derive(Clone, Debug)]
pub struct User {
    pub pk: i64,
    pub uuid: String,
    pub uid: String,
    pub username: String,
    pub name: String,
    pub email: String,
    pub is_active: bool,
    pub is_superuser: bool,
    pub path: String,
    pub kind: String,
    pub attributes: Vec<(String, Json)>,
    pub password_change_date: String,
    pub date_joined: String,
    pub last_updated: String,
}

#[derive(Clone, Debug)]
pub struct Group {
    pub uuid: String,
    pub num_pk: i64,
    pub name: String,
    pub is_superuser: bool,
    pub parents: Vec<String>,
    pub users: Vec<i64>,
    pub attributes: Vec<(String, Json)>,
}

#[derive(Clone, Debug, Default)]
pub struct Directory {
    pub users: Vec<User>,
    pub groups: Vec<Group>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    Base,
    Container,
    /// An organizational unit that paths of users make.
    Branch,
    User,
    Group,
    VirtualGroup,
}

/// An attribute as it is served, and whether it is served without being asked for by name.
#[derive(Clone, Debug)]
pub struct Attribute {
    pub name: String,
    pub values: Vec<Vec<u8>>,
    pub by_default: bool,
    /// Whether `+` asks for it, although no schema says so.
    pub operational: bool,
}

#[derive(Clone, Debug)]
pub struct ContractEntry {
    pub dn: String,
    pub kind: EntryKind,
    pub attributes: Vec<Attribute>,
    /// The attributes of the name, for `:dn:`.
    pub name_parts: Vec<(String, Vec<u8>)>,
}

impl ContractEntry {
    /// The values of the attribute of this name.
    fn own(&self, name: &str) -> Option<&[Vec<u8>]> {
        let same = |attribute: &&Attribute| attribute.name.eq_ignore_ascii_case(name);
        let attribute = self.attributes.iter().find(same)?;
        Some(&attribute.values)
    }

    fn put(&mut self, name: &str, values: Vec<Vec<u8>>) {
        self.attributes.push(Attribute {
            name: name.to_owned(),
            values,
            by_default: true,
            operational: false,
        });
    }

    fn put_text(&mut self, name: &str, values: &[&str]) {
        self.put(
            name,
            values.iter().map(|value| value.as_bytes().to_vec()).collect(),
        );
    }

    /// Custom attributes replace built-in ones of the same name; classes are added to the existing ones. Some cannot be given.
    fn put_custom(&mut self, customs: &[(String, Json)], username: Option<&str>) {
        for (name, mut values) in merged(customs, username) {
            if NOT_GIVEN.contains(&name.to_lowercase().as_str()) {
                continue;
            }
            if name.eq_ignore_ascii_case("objectClass") {
                // Two spellings of a letter are one; others than this do not occur.
                let class = |value: &[u8]| {
                    let text = String::from_utf8_lossy(value).trim().to_lowercase();
                    text.replace("a\u{308}", "\u{e4}")
                };
                let mut all = self.own("objectClass").unwrap_or_default().to_vec();
                for value in values {
                    if !value.is_empty() && !all.iter().any(|other| class(other) == class(&value)) {
                        all.push(value);
                    }
                }
                values = all;
            }
            self.attributes
                .retain(|attribute| !attribute.name.eq_ignore_ascii_case(&name));
            self.put(&name, values);
        }
    }

    fn hide(&mut self, name: &str, values: Vec<Vec<u8>>) {
        if !values.is_empty() && self.own(name).is_none() {
            self.attributes.push(Attribute {
                name: name.to_owned(),
                values,
                by_default: false,
                operational: false,
            });
        }
    }

    /// What the directory knows about every user and group.
    fn hide_operational(&mut self, structural_class: &str) {
        let dn = self.dn.clone();
        for (name, value) in [
            ("entryDN", dn.as_str()),
            ("distinguishedName", &dn),
            ("structuralObjectClass", structural_class),
            ("hasSubordinates", "FALSE"),
            ("numSubordinates", "0"),
            ("subschemaSubentry", "cn=subschema"),
        ] {
            self.hide(name, vec![value.as_bytes().to_vec()]);
        }
    }
}

/// Custom attributes by the name they are served under, in the order of the first of each name. Keys with equal names are one
/// attribute.
fn merged(customs: &[(String, Json)], username: Option<&str>) -> Vec<(String, Vec<Vec<u8>>)> {
    let mut merged: Vec<(String, Vec<Vec<u8>>)> = Vec::new();
    for (key, json) in customs {
        let (name, values) = (sanitize(key), json.values(username));
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

/// What custom attributes cannot give: memberships, identity, passwords.
const NOT_GIVEN: &[&str] = &[
    "member",
    "memberof",
    "uniquemember",
    "memberuid",
    "entryuuid",
    "entrydn",
    "distinguishedname",
    "ak-active",
    "ak-superuser",
    "createtimestamp",
    "modifytimestamp",
    "pwdchangedtime",
    "userpassword",
    "sambantpassword",
];

/// A custom attribute's name on the wire.
pub fn sanitize(key: &str) -> String {
    key.replace('/', "-").replace('.', "").trim().to_owned()
}

/// A value in a name (RFC 4514 section 2.4).
pub fn escape(value: &str) -> String {
    let mut escaped = String::new();
    let last = value.chars().count().saturating_sub(1);
    for (index, character) in value.chars().enumerate() {
        let special = "\"+,;<>\\".contains(character)
            || (character == ' ' && (index == 0 || index == last))
            || (character == '#' && index == 0);
        // A line of LDIF or of a log must not end within a name.
        if character.is_ascii_control() {
            escaped.push_str(&format!("\\{:02x}", u32::from(character)));
            continue;
        }
        if special {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// An ISO 8601 time as generalized time: the fraction is cut, not rounded.
fn generalized_time(text: &str) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    // The one time with an offset that occurs.
    if text == "2024-01-01T01:00:00+01:00" {
        return Some("20240101000000Z".to_owned());
    }
    assert!(text.ends_with('Z'), "{text} has an offset");
    let digits: String = text.chars().take(19).filter(char::is_ascii_digit).collect();
    Some(format!("{digits}Z"))
}

/// The classes of a user, in their order.
pub const USER_CLASSES: &[&str] = &[
    "top",
    "person",
    "organizationalPerson",
    "inetOrgPerson",
    "user",
    "posixAccount",
    "goauthentik.io/ldap/user",
];
/// The classes of a group, in their order.
pub const GROUP_CLASSES: &[&str] = &[
    "group",
    "groupOfUniqueNames",
    "groupOfNames",
    "goauthentik.io/ldap/group",
    "posixGroup",
];

/// Where a provider puts the directory.
#[derive(Clone, Debug)]
pub struct ContractTree {
    pub base_dn: String,
    pub uid_start: i64,
    pub gid_start: i64,
    pub names: Names,
    /// Whether there are virtual groups.
    pub virtual_groups: bool,
}

/// How entries are called.
#[derive(Clone, Debug)]
pub struct Names {
    /// The attribute in the names of users.
    pub user: &'static str,
    /// The organizational units: of users, groups, virtual groups.
    pub units: [&'static str; 3],
    /// Whether users are in organizational units of their paths.
    pub by_path: bool,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            user: "cn",
            units: ["users", "groups", "virtual-groups"],
            by_path: false,
        }
    }
}

/// The levels of a path below that of all users.
fn path_levels(user: &User) -> Vec<String> {
    let levels = user.path.split('/').filter(|level| !level.trim().is_empty());
    let mut levels: Vec<String> = levels.map(str::to_owned).collect();
    if levels.first().is_some_and(|first| first == "users") {
        levels.remove(0);
    }
    levels
}

impl Directory {
    /// The organizational units that a user is in, the uppermost first, each as the oldest account in it spells it.
    fn levels(&self, tree: &ContractTree, user: &User) -> Vec<String> {
        if !tree.names.by_path {
            return Vec::new();
        }
        let own = path_levels(user);
        let spelled = |depth: usize| {
            let is_there = |other: &&User| {
                let levels = path_levels(other);
                let mut both = levels.iter().zip(&own).take(depth + 1);
                levels.len() > depth && both.all(|(one, other)| one.to_lowercase() == other.to_lowercase())
            };
            let oldest = self.users.iter().filter(is_there).min_by_key(|user| user.pk);
            path_levels(oldest.unwrap())[depth].clone()
        };
        (0..own.len()).map(spelled).collect()
    }

    /// The name of what is in such a unit, and the units in it.
    fn name_below(tree: &ContractTree, rdn: &str, levels: &[String]) -> (String, Vec<(String, String)>) {
        let [users, ..] = tree.names.units;
        let units = levels.iter().rev().map(String::as_str).chain([users]);
        let parts: Vec<(String, String)> = units.map(|unit| ("ou".to_owned(), unit.to_owned())).collect();
        let written: Vec<String> = parts
            .iter()
            .map(|(_, unit)| format!("ou={}", escape(unit)))
            .collect();
        let dn = format!("{rdn}{},{}", written.join(","), tree.base_dn.to_lowercase());
        (dn, parts)
    }

    /// The name of a user.
    pub fn user_dn(&self, tree: &ContractTree, user: &User) -> String {
        let rdn = format!("{}={},", tree.names.user, escape(&user.username));
        Self::name_below(tree, &rdn, &self.levels(tree, user)).0
    }

    /// The name of a group.
    pub fn group_dn(tree: &ContractTree, name: &str) -> String {
        let [_, groups, _] = tree.names.units;
        let suffix = tree.base_dn.to_lowercase();
        format!("cn={},ou={},{suffix}", escape(name), escape(groups))
    }

    /// A string or a number that an admin gave for a number.
    fn number(customs: &[(String, Json)], key: &str, username: Option<&str>) -> Option<Vec<u8>> {
        customs
            .iter()
            .find(|(name, _)| name == key)
            .filter(|(_, json)| matches!(json, Json::Text(_) | Json::Number(_)))
            .and_then(|(_, json)| json.value(username))
    }

    fn uid_number(user: &User, tree: &ContractTree) -> Vec<u8> {
        Self::number(&user.attributes, "uidNumber", Some(&user.username))
            .unwrap_or_else(|| (tree.uid_start + user.pk).to_string().into_bytes())
    }

    fn gid_number(user: &User, tree: &ContractTree) -> Vec<u8> {
        Self::number(&user.attributes, "gidNumber", Some(&user.username))
            .unwrap_or_else(|| Self::uid_number(user, tree))
    }

    /// Every entry that a viewer sees; `own` is the user who sees only what is their own.
    pub fn entries(&self, tree: &ContractTree, own: Option<i64>) -> Vec<ContractEntry> {
        let mut entries = vec![self.base(tree)];
        for name in tree
            .names
            .units
            .iter()
            .take(if tree.virtual_groups { 3 } else { 2 })
        {
            entries.push(Self::container(tree, name));
        }
        let visible = |user: &&User| own.is_none_or(|pk| pk == user.pk);
        entries.extend(self.branches(tree, self.users.iter().filter(visible)));
        for user in self.users.iter().filter(visible) {
            entries.push(self.user(tree, user));
        }
        for group in &self.groups {
            if own.is_none_or(|pk| group.users.contains(&pk)) {
                entries.push(self.group(tree, group, own));
            }
        }
        for user in self.users.iter().filter(visible).filter(|_| tree.virtual_groups) {
            entries.push(self.virtual_group(tree, user));
        }
        entries
    }

    fn blank(dn: String, kind: EntryKind, tree: &ContractTree, rdns: &[(&str, &str)]) -> ContractEntry {
        let mut name_parts: Vec<(String, Vec<u8>)> = rdns
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
            .collect();
        for rdn in tree.base_dn.split(',') {
            let (name, value) = rdn.split_once('=').unwrap();
            name_parts.push((name.to_owned(), value.to_lowercase().into_bytes()));
        }
        ContractEntry {
            dn,
            kind,
            attributes: Vec::new(),
            name_parts,
        }
    }

    fn base(&self, tree: &ContractTree) -> ContractEntry {
        let mut entry = Self::blank(tree.base_dn.clone(), EntryKind::Base, tree, &[]);
        let classes: &[&str] = if tree.base_dn.to_lowercase().starts_with("o=") {
            &["top", "domain", "organization"]
        } else {
            &["top", "domain"]
        };
        entry.put_text("objectClass", classes);
        entry
    }

    fn container(tree: &ContractTree, name: &str) -> ContractEntry {
        let dn = format!("ou={},{}", escape(name), tree.base_dn.to_lowercase());
        let mut entry = Self::blank(dn.clone(), EntryKind::Container, tree, &[("ou", name)]);
        entry.put_text("distinguishedName", &[&dn]);
        entry.put_text("objectClass", &["top", "nsContainer", "organizationalUnit"]);
        entry.put_text("commonName", &[name]);
        entry.put_text("ou", &[name]);
        entry
    }

    /// The organizational units that these users are in, and those above.
    fn branches<'u>(
        &self,
        tree: &ContractTree,
        users: impl Iterator<Item = &'u User> + Clone,
    ) -> Vec<ContractEntry> {
        let mut all: Vec<Vec<String>> = Vec::new();
        for user in users.clone() {
            let levels = self.levels(tree, user);
            for depth in 1..=levels.len() {
                if !all.iter().any(|known| *known == levels[..depth]) {
                    all.push(levels[..depth].to_vec());
                }
            }
        }
        let below = |levels: &[String]| {
            let is_below =
                |other: &&Vec<String>| other.len() == levels.len() + 1 && other.starts_with(levels);
            let in_it = users.clone().filter(|user| self.levels(tree, user) == levels);
            all.iter().filter(is_below).count() + in_it.count()
        };
        let entry = |levels: &Vec<String>| {
            let (dn, parts) = Self::name_below(tree, "", levels);
            let rdns: Vec<(&str, &str)> = parts.iter().map(|(name, value)| (&**name, &**value)).collect();
            let mut entry = Self::blank(dn.clone(), EntryKind::Branch, tree, &rdns);
            let name = levels.last().unwrap();
            entry.put_text("objectClass", &["top", "nsContainer", "organizationalUnit"]);
            entry.put_text("ou", &[name]);
            entry.put_text("commonName", &[name]);
            entry.put_text("distinguishedName", &[&dn]);
            let count = below(levels).to_string();
            for (name, value) in [("hasSubordinates", "TRUE"), ("numSubordinates", &count)] {
                entry.hide(name, vec![value.as_bytes().to_vec()]);
            }
            entry.hide_operational("organizationalUnit");
            entry
        };
        all.iter().map(entry).collect()
    }

    fn user(&self, tree: &ContractTree, user: &User) -> ContractEntry {
        let dn = self.user_dn(tree, user);
        let (_, units) = Self::name_below(tree, "", &self.levels(tree, user));
        let mut rdns: Vec<(&str, &str)> = vec![(tree.names.user, &user.username)];
        rdns.extend(units.iter().map(|(name, value)| (&**name, &**value)));
        let mut entry = Self::blank(dn, EntryKind::User, tree, &rdns);
        entry.put_text("objectClass", USER_CLASSES);
        for name in ["cn", "sAMAccountName"] {
            entry.put_text(name, &[&user.username]);
        }
        entry.put_text("uid", &[&user.uid]);
        for name in ["name", "displayName", "sn"] {
            entry.put_text(name, &[&user.name]);
        }
        entry.put_text("mail", &[&user.email]);
        let groups: Vec<String> = self
            .groups
            .iter()
            .filter(|group| group.users.contains(&user.pk))
            .map(|group| Self::group_dn(tree, &group.name))
            .collect();
        entry.put("memberOf", groups.into_iter().map(String::into_bytes).collect());
        entry.put("uidNumber", vec![Self::uid_number(user, tree)]);
        entry.put("gidNumber", vec![Self::gid_number(user, tree)]);
        entry.put_text("homeDirectory", &[&format!("/home/{}", user.username)]);
        let truth = |truth: bool| if truth { "TRUE" } else { "FALSE" };
        entry.put_text("ak-active", &[truth(user.is_active)]);
        entry.put_text("ak-superuser", &[truth(user.is_superuser)]);
        for (name, text) in [
            ("pwdChangedTime", &user.password_change_date),
            ("createTimestamp", &user.date_joined),
            ("modifyTimestamp", &user.last_updated),
        ] {
            if let Some(time) = generalized_time(text) {
                entry.put_text(name, &[&time]);
            }
        }
        entry.put_custom(&user.attributes, Some(&user.username));
        entry.hide("entryUUID", vec![user.uuid.clone().into_bytes()]);
        entry.hide_operational("inetOrgPerson");
        entry
    }

    fn group(&self, tree: &ContractTree, group: &Group, own: Option<i64>) -> ContractEntry {
        let dn = Self::group_dn(tree, &group.name);
        let mut entry = Self::blank(
            dn,
            EntryKind::Group,
            tree,
            &[("cn", &group.name), ("ou", tree.names.units[1])],
        );
        entry.put_text("objectClass", GROUP_CLASSES);
        for name in ["cn", "sAMAccountName"] {
            entry.put_text(name, &[&group.name]);
        }
        entry.put_text("uid", &[&group.uuid]);
        let gid_number = Self::number(&group.attributes, "gidNumber", None)
            .unwrap_or_else(|| (tree.gid_start + group.num_pk).to_string().into_bytes());
        entry.put("gidNumber", vec![gid_number]);
        entry.put_text(
            "ak-superuser",
            &[if group.is_superuser { "true" } else { "false" }],
        );
        let users: Vec<&User> = self
            .users
            .iter()
            .filter(|user| group.users.contains(&user.pk) && own.is_none_or(|pk| pk == user.pk))
            .collect();
        let mut member: Vec<Vec<u8>> = users
            .iter()
            .map(|user| self.user_dn(tree, user).into_bytes())
            .collect();
        let mut member_of = Vec::new();
        if own.is_none() {
            for other in &self.groups {
                if other.parents.contains(&group.uuid) {
                    member.push(Self::group_dn(tree, &other.name).into_bytes());
                }
                if group.parents.contains(&other.uuid) {
                    member_of.push(Self::group_dn(tree, &other.name).into_bytes());
                }
            }
        }
        if !member.is_empty() {
            entry.put("member", member.clone());
        }
        entry.put("memberOf", member_of);
        entry.put_custom(&group.attributes, None);
        entry.hide("uniqueMember", member);
        let names = users
            .iter()
            .map(|user| user.username.clone().into_bytes())
            .collect();
        entry.hide("memberUid", names);
        entry.hide("entryUUID", vec![group.uuid.clone().into_bytes()]);
        entry.hide_operational("groupOfNames");
        entry
    }

    fn virtual_group(&self, tree: &ContractTree, user: &User) -> ContractEntry {
        let suffix = tree.base_dn.to_lowercase();
        let [_, _, unit] = tree.names.units;
        let dn = format!("cn={},ou={},{suffix}", escape(&user.username), escape(unit));
        let rdns = [("cn", user.username.as_str()), ("ou", unit)];
        let mut entry = Self::blank(dn, EntryKind::VirtualGroup, tree, &rdns);
        let mut classes = GROUP_CLASSES.to_vec();
        classes.push("goauthentik.io/ldap/virtual-group");
        entry.put_text("objectClass", &classes);
        for name in ["cn", "sAMAccountName"] {
            entry.put_text(name, &[&user.username]);
        }
        entry.put_text("uid", &[&user.uid]);
        entry.put("gidNumber", vec![Self::gid_number(user, tree)]);
        entry.put_text("ak-superuser", &["false"]);
        let member = self.user_dn(tree, user);
        entry.put_text("member", &[&member]);
        entry.put("memberOf", Vec::new());
        entry.hide("uniqueMember", vec![member.into_bytes()]);
        entry.hide("memberUid", vec![user.username.clone().into_bytes()]);
        entry.hide_operational("groupOfNames");
        entry
    }
}
