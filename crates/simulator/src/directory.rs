//! Everything the simulated authentik knows, with the indexes that keep answers cheap at a million users.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;
use hashbrown::HashTable;
use serde_json::{Value, json};
use uuid::Uuid;

use super::access::{Application, Outpost, Provider, Role};
use super::certificates::Certificate;
use super::devices::Device;
use super::flows::Flow;
use super::groups::Group;
use super::orders::Orders;
use super::text::upper;
use super::users::User;

mod groups;

/// The version of authentik the simulator says it is.
pub const VERSION: &str = "2026.5.0-rc1";

/// A stage that users set up for themselves, as `stages/all/user_settings/` lists it.
#[derive(Debug, Clone)]
pub struct UserSetting {
    /// Name of the stage.
    pub title: String,
    /// What the browser shows for it.
    pub component: String,
    /// pk of the stage.
    pub stage: Uuid,
    /// Slug of the flow that sets it up; without one there is nothing to set up.
    pub flow: Option<String>,
}

/// The state a simulator starts from and works on. Tests change it through
/// [`Simulator::edit`](super::Simulator::edit) and the named methods next to it.
#[derive(Debug, Default)]
pub struct Directory {
    /// Ascending by pk.
    users: Vec<User>,
    by_username: HashTable<(u64, i32)>,
    by_email: HashTable<(u64, i32)>,
    hasher: DefaultHashBuilder,
    pub(crate) orders: Orders,
    pub(crate) groups: BTreeMap<u32, Group>,
    group_by_pk: HashMap<Uuid, u32>,
    group_by_name: HashMap<Box<str>, u32>,
    next_group: u32,
    /// Roles by pk.
    pub roles: BTreeMap<Uuid, Role>,
    /// LDAP providers by pk.
    pub providers: BTreeMap<i32, Provider>,
    /// Applications by slug.
    pub applications: BTreeMap<String, Application>,
    /// Outposts by pk.
    pub outposts: BTreeMap<Uuid, Outpost>,
    /// Certificate key pairs by pk.
    pub certificates: BTreeMap<Uuid, Certificate>,
    /// Flows by slug.
    pub flows: BTreeMap<String, Flow>,
    /// API tokens and the pks of their users.
    pub tokens: HashMap<String, i32>,
    /// Earlier passwords by user pk, as far as they were changed here.
    pub former_passwords: HashMap<i32, Vec<String>>,
    /// What the settings of a user offer; see [`UserSetting`].
    pub user_settings: Vec<UserSetting>,
    /// App passwords by user pk.
    pub app_passwords: HashMap<i32, Vec<String>>,
    /// Authenticators by user pk.
    pub devices: HashMap<i32, Vec<Device>>,
    /// The outpost that [`Simulator::token`](super::Simulator::token) and its siblings mean.
    pub outpost: Uuid,
    /// Answer of `root/config/`.
    pub root_config: Value,
    /// The release that `admin/version/` names.
    pub version: String,
}

impl Directory {
    /// An empty directory: no user, no flow, no outpost.
    pub fn new() -> Self {
        Self {
            version: VERSION.to_owned(),
            root_config: json!({
                "error_reporting": {
                    "enabled": false, "sentry_dsn": "", "environment": "customer", "send_pii": false,
                    "traces_sample_rate": 0.1,
                },
                "capabilities": ["can_impersonate"],
                "cache_timeout": 300, "cache_timeout_flows": 300, "cache_timeout_policies": 300,
            }),
            ..Self::default()
        }
    }

    /// All users, ascending by pk.
    pub fn users(&self) -> &[User] {
        &self.users
    }

    /// The user with this pk.
    pub fn user(&self, pk: i32) -> Option<&User> {
        self.position(pk).and_then(|at| self.users.get(at))
    }

    /// The user with exactly this username.
    pub fn user_named(&self, username: &str) -> Option<&User> {
        self.usernames_folding_to(username)
            .into_iter()
            .filter_map(|pk| self.user(pk))
            .find(|user| &*user.username == username)
    }

    /// The group with this pk.
    pub fn group(&self, pk: Uuid) -> Option<&Group> {
        self.group_by_pk.get(&pk).and_then(|key| self.groups.get(key))
    }

    /// The group with exactly this name.
    pub fn group_named(&self, name: &str) -> Option<&Group> {
        self.group_by_name.get(name).and_then(|key| self.groups.get(key))
    }

    /// All groups, in the order they were added.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    /// Number of groups.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// A pk no user has.
    pub fn next_user_pk(&self) -> i32 {
        self.users.last().map_or(1, |user| user.pk.saturating_add(1))
    }

    /// Adds a user; one with the same pk is replaced.
    pub fn add_user(&mut self, user: User) {
        self.remove_user(user.pk);
        self.index(&user);
        self.orders.forget();
        let at = self.users.partition_point(|other| other.pk < user.pk);
        self.users.insert(at, user);
    }

    /// Reserves room before many users are added.
    pub(crate) fn reserve(&mut self, users: usize) {
        self.users.reserve(users);
        self.by_username.reserve(users, |(hash, _)| *hash);
        self.by_email.reserve(users, |(hash, _)| *hash);
    }

    /// Deletes a user and its memberships.
    pub fn remove_user(&mut self, pk: i32) -> Option<User> {
        let at = self.position(pk)?;
        let user = self.users.remove(at);
        self.unindex(&user);
        self.orders.forget();
        for key in &user.groups {
            if let Some(group) = self.groups.get_mut(key) {
                group.members.retain(|member| *member != pk);
            }
        }
        self.app_passwords.remove(&pk);
        self.devices.remove(&pk);
        Some(user)
    }

    /// Changes a user in place and keeps the indexes right. Does not touch `last_updated`. The pk must stay.
    pub fn change_user(&mut self, pk: i32, change: impl FnOnce(&mut User)) -> bool {
        let Some(at) = self.position(pk) else { return false };
        let Some(user) = self.users.get_mut(at) else {
            return false;
        };
        let (username, email) = (user.username.clone(), user.email.clone());
        change(user);
        user.pk = pk;
        self.orders.forget();
        if self
            .users
            .get(at)
            .is_some_and(|user| user.username != username || user.email != email)
        {
            self.unindex_names(pk, &username, &email);
            if let Some(user) = self.users.get(at).cloned() {
                self.index(&user);
            }
        }
        true
    }

    /// Records a login, which moves only its own timestamp.
    pub(crate) fn note_login(&mut self, pk: i32, at: i64) {
        if let Some(user) = self.position(pk).and_then(|index| self.users.get_mut(index)) {
            user.last_login = Some(at);
            self.orders.forget_logins();
        }
    }

    pub(crate) fn role_objects<'a>(&'a self, roles: &[Uuid]) -> Vec<(Uuid, &'a str)> {
        roles
            .iter()
            .filter_map(|pk| self.roles.get(pk))
            .map(|role| (role.pk, role.rendered.as_str()))
            .collect()
    }

    /// The user an identification stage finds: by any of the fields, lowest pk first.
    pub(crate) fn identify(
        &self,
        given: &str,
        by_username: bool,
        by_email: bool,
        fold_case: bool,
    ) -> Option<&User> {
        let mut found: Vec<i32> = Vec::new();
        let matches = |text: &str| fold_case || text == given;
        if by_username {
            found.extend(
                self.usernames_folding_to(given)
                    .into_iter()
                    .filter(|pk| self.user(*pk).is_some_and(|user| matches(&user.username))),
            );
        }
        if by_email {
            found.extend(
                self.emails_folding_to(given)
                    .into_iter()
                    .filter(|pk| self.user(*pk).is_some_and(|user| matches(&user.email))),
            );
        }
        found.into_iter().min().and_then(|pk| self.user(pk))
    }

    /// pks of users whose username equals `given` apart from case, in no order.
    pub(crate) fn usernames_folding_to(&self, given: &str) -> Vec<i32> {
        let folded = upper(given);
        let hash = self.hasher.hash_one(&folded);
        self.by_username
            .iter_hash(hash)
            .filter(|(other, pk)| {
                *other == hash && self.user(*pk).is_some_and(|user| upper(&user.username) == folded)
            })
            .map(|(_, pk)| *pk)
            .collect()
    }

    /// pks of users whose address equals `given` apart from case, in no order.
    pub(crate) fn emails_folding_to(&self, given: &str) -> Vec<i32> {
        let folded = upper(given);
        let hash = self.hasher.hash_one(&folded);
        self.by_email
            .iter_hash(hash)
            .filter(|(other, pk)| {
                *other == hash && self.user(*pk).is_some_and(|user| upper(&user.email) == folded)
            })
            .map(|(_, pk)| *pk)
            .collect()
    }

    pub(crate) fn group_key(&self, pk: Uuid) -> Option<u32> {
        self.group_by_pk.get(&pk).copied()
    }

    pub(crate) fn group_key_named(&self, name: &str) -> Option<u32> {
        self.group_by_name.get(name).copied()
    }

    fn position(&self, pk: i32) -> Option<usize> {
        self.users.binary_search_by_key(&pk, |user| user.pk).ok()
    }

    fn index(&mut self, user: &User) {
        let hash = self.hasher.hash_one(upper(&user.username));
        self.by_username
            .insert_unique(hash, (hash, user.pk), |(hash, _)| *hash);
        if !user.email.is_empty() {
            let hash = self.hasher.hash_one(upper(&user.email));
            self.by_email
                .insert_unique(hash, (hash, user.pk), |(hash, _)| *hash);
        }
    }

    fn unindex(&mut self, user: &User) {
        self.unindex_names(user.pk, &user.username, &user.email);
    }

    fn unindex_names(&mut self, pk: i32, username: &str, email: &str) {
        let hash = self.hasher.hash_one(upper(username));
        if let Ok(entry) = self.by_username.find_entry(hash, |(_, other)| *other == pk) {
            entry.remove();
        }
        let hash = self.hasher.hash_one(upper(email));
        if let Ok(entry) = self.by_email.find_entry(hash, |(_, other)| *other == pk) {
            entry.remove();
        }
    }
}
