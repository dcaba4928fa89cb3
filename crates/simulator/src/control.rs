//! What an admin, a user or an accident can do to the running simulator. Each method does what authentik does: it
//! moves the timestamps authentik moves and sends the websocket frames authentik sends, no others.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use uuid::Uuid;

use super::pages::Sizes;
use super::query::Query;
use super::reply::Reply;
use super::sessions::random_text;
use super::state::State;
use super::websocket::SERVICE_RESTART;
use super::{Attributes, Certificate, Directory, Group, Outpost, Provider, Session, Simulator, User, clock};
use super::{group_list, user_list};

const TOKEN_LENGTH: usize = 60;

impl Simulator {
    fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        work(&mut self.core.state.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes anything, silently: for flows, applications, roles, devices and anything else that sends no frame.
    pub fn edit<R>(&self, change: impl FnOnce(&mut Directory) -> R) -> R {
        self.with(|state| change(&mut state.directory))
    }

    /// Looks at the directory.
    pub fn look<R>(&self, look: impl FnOnce(&Directory) -> R) -> R {
        look(
            &self
                .core
                .state
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .directory,
        )
    }

    /// All users and all groups as JSON lists, of one moment, as one page of each list would show them.
    ///
    /// # Panics
    /// When a row cannot be shown.
    pub fn lists(&self) -> (String, String) {
        let sizes = Sizes {
            default: usize::MAX,
            max: usize::MAX,
        };
        let query = Query::parse("ordering=pk&include_users=false");
        let rows = |page: Result<Reply, Reply>| {
            let page = page.unwrap_or_else(|reply| reply);
            let page: Value = serde_json::from_str(&page.body).unwrap_or_default();
            assert!(page.get("results").is_some(), "a row cannot be shown");
            page.get("results").map(Value::to_string).unwrap_or_default()
        };
        self.look(|directory| {
            (
                rows(user_list::list(directory, &query, sizes)),
                rows(group_list::list(directory, &query, sizes)),
            )
        })
    }

    /// pk of the user with this username.
    pub fn user_pk(&self, username: &str) -> Option<i32> {
        self.look(|directory| directory.user_named(username).map(|user| user.pk))
    }

    /// The API token of the outpost; empty after [`delete_token`](Self::delete_token).
    pub fn token(&self) -> String {
        self.look(|directory| {
            let account = directory
                .outposts
                .get(&directory.outpost)
                .map(|outpost| outpost.account);
            let mut tokens: Vec<&String> = directory
                .tokens
                .iter()
                .filter(|(_, pk)| Some(**pk) == account)
                .map(|(token, _)| token)
                .collect();
            tokens.sort();
            tokens.first().map(|token| (*token).clone()).unwrap_or_default()
        })
    }

    /// pk of the outpost.
    pub fn outpost_pk(&self) -> Uuid {
        self.look(|directory| directory.outpost)
    }

    /// Creates a user without a usable password and returns its pk.
    pub fn create_user(&self, username: &str, name: &str, email: &str) -> i32 {
        let now = self.core.clock.now();
        self.edit(|directory| {
            let pk = directory.next_user_pk();
            let mut user = User::new(pk, username, name, email);
            (user.date_joined, user.password_change_date, user.last_updated) = (now, now, now);
            directory.add_user(user);
            pk
        })
    }

    /// Deletes a user; its sessions end.
    pub fn delete_user(&self, pk: i32) -> bool {
        let (deleted, ended) = self.with(|state| {
            (
                state.directory.remove_user(pk).is_some(),
                state.sessions.end_of(pk, None),
            )
        });
        self.core.announce(ended);
        deleted
    }

    /// Saves a user with some change: moves `last_updated`.
    pub fn save_user(&self, pk: i32, change: impl FnOnce(&mut User)) -> bool {
        let now = self.core.clock.now();
        self.edit(|directory| {
            directory.change_user(pk, |user| {
                change(user);
                user.last_updated = now;
            })
        })
    }

    /// Renames a user.
    pub fn rename_user(&self, pk: i32, username: &str) -> bool {
        self.save_user(pk, |user| user.username = username.into())
    }

    /// Activates or deactivates a user; deactivating ends its sessions.
    pub fn set_active(&self, pk: i32, active: bool) -> bool {
        let saved = self.save_user(pk, |user| user.is_active = active);
        if saved && !active {
            self.end_sessions_of(pk);
        }
        saved
    }

    /// Sets a password; sessions continue.
    pub fn set_password(&self, pk: i32, password: &str) -> bool {
        let now = self.core.clock.now();
        self.edit(|directory| directory.write_password(pk, password, now))
    }

    /// Replaces a user's custom attributes.
    pub fn set_user_attributes(&self, pk: i32, attributes: &Attributes) -> bool {
        self.save_user(pk, |user| user.set_attributes(attributes))
    }

    /// Gives a user an integer beyond 64 bits, which makes every page that shows the user a 500.
    pub fn poison_user(&self, pk: i32) -> bool {
        let attributes = json!({"poison": 1e30}).as_object().cloned().unwrap_or_default();
        self.set_user_attributes(pk, &attributes)
    }

    /// Puts a user into the group of this name, from the group's side: moves no timestamp.
    pub fn join(&self, user: i32, group: &str) {
        self.edit(|directory| {
            if let Some(pk) = directory.group_named(group).map(|group| group.pk) {
                directory.join(user, pk);
            }
        });
    }

    /// Takes a user out of the group of this name.
    pub fn leave(&self, user: i32, group: &str) {
        self.edit(|directory| {
            if let Some(pk) = directory.group_named(group).map(|group| group.pk) {
                directory.leave(user, pk);
            }
        });
    }

    /// Creates a group, or finds the one of this name, and returns its pk.
    pub fn create_group(&self, name: &str) -> Uuid {
        self.edit(|directory| directory.add_group(Uuid::new_v4(), name))
    }

    /// Deletes a group.
    pub fn delete_group(&self, pk: Uuid) -> bool {
        self.edit(|directory| directory.remove_group(pk))
    }

    /// Saves a group with some change.
    pub fn save_group(&self, pk: Uuid, change: impl FnOnce(&mut Group)) -> bool {
        self.edit(|directory| directory.change_group(pk, change))
    }

    /// Renames a group.
    pub fn rename_group(&self, pk: Uuid, name: &str) -> bool {
        self.save_group(pk, |group| group.name = name.into())
    }

    /// Replaces a group's custom attributes.
    pub fn set_group_attributes(&self, pk: Uuid, attributes: &Attributes) -> bool {
        self.save_group(pk, |group| group.set_attributes(attributes))
    }

    /// Replaces a group's parents.
    pub fn set_parents(&self, pk: Uuid, parents: &[Uuid]) {
        self.edit(|directory| directory.set_parents(pk, parents));
    }

    /// Sessions with somebody logged in.
    pub fn sessions(&self) -> Vec<Session> {
        self.with(|state| state.sessions.logged_in())
    }

    /// Session rows in total, the anonymous ones too.
    pub fn session_count(&self) -> usize {
        self.with(|state| state.sessions.len())
    }

    /// Deletes one session, as an admin does.
    pub fn delete_session(&self, sid: &str) -> bool {
        let session = self.with(|state| state.sessions.remove(sid));
        let found = session.is_some();
        self.core.announce(
            session
                .into_iter()
                .filter(|session| session.user.is_some())
                .collect(),
        );
        found
    }

    /// Deletes all sessions of a user.
    pub fn end_sessions_of(&self, user: i32) {
        let ended = self.with(|state| state.sessions.end_of(user, None));
        self.core.announce(ended);
    }

    /// Removes expired sessions, as authentik does every five minutes; their end is announced.
    pub fn sweep_sessions(&self) {
        let now = self.core.clock.now();
        let ended = self.with(|state| state.sessions.sweep(now));
        self.core.announce(ended);
    }

    /// Saves a provider and tells its outposts.
    pub fn save_provider(&self, pk: i32, change: impl FnOnce(&mut Provider)) -> bool {
        let outposts = self.edit(|directory| {
            change(directory.providers.get_mut(&pk)?);
            Some(serving(directory, |provider| provider == pk))
        });
        let Some(outposts) = outposts else { return false };
        self.trigger_update(outposts);
        true
    }

    /// Saves an outpost and tells it. A new token is made if it has none.
    pub fn save_outpost(&self, pk: Uuid, change: impl FnOnce(&mut Outpost)) -> bool {
        let saved = self.edit(|directory| {
            let outpost = directory.outposts.get_mut(&pk)?;
            change(outpost);
            let account = outpost.account;
            if !directory.tokens.values().any(|user| *user == account) {
                directory.tokens.insert(random_text(TOKEN_LENGTH), account);
            }
            Some(())
        });
        if saved.is_some() {
            self.trigger_update(vec![pk]);
        }
        saved.is_some()
    }

    /// Saves a certificate and tells the outposts with a provider that uses it.
    pub fn save_certificate(&self, certificate: Certificate) {
        let pk = certificate.pk;
        let outposts = self.edit(|directory| {
            directory.certificates.insert(pk, certificate);
            let users: Vec<i32> = directory
                .providers
                .values()
                .filter(|provider| provider.certificate == Some(pk))
                .map(|provider| provider.pk)
                .collect();
            serving(directory, |provider| users.contains(&provider))
        });
        self.trigger_update(outposts);
    }

    /// Tells outposts to fetch their configuration.
    pub fn trigger_update(&self, outposts: Vec<Uuid>) {
        let (hub, delay) = (Arc::clone(&self.core.hub), self.core.push_delay);
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            for outpost in outposts {
                hub.trigger_update(outpost);
            }
        });
    }

    /// From now on the ends of sessions are announced up to `late` later, out of order, in bursts, and some of them twice.
    pub fn disorder_session_ends(&self, late: Duration) {
        self.core.disorder.store(clock::micros(late), Ordering::Relaxed);
    }

    /// Sends a text to every websocket.
    pub fn send_frame(&self, text: &str) {
        self.core.hub.send_text(text);
    }

    /// Gives the outpost another token; the old one is refused from now on. Returns the new one.
    pub fn rotate_token(&self) -> String {
        let token = random_text(TOKEN_LENGTH);
        self.edit(|directory| {
            if let Some(account) = take_tokens(directory) {
                directory.tokens.insert(token.clone(), account);
            }
        });
        token
    }

    /// Deletes the outpost's token; open websockets stay open.
    pub fn delete_token(&self) {
        self.edit(take_tokens);
    }

    /// Restarts: every connection is reset, and for a while the answer is 503.
    pub fn restart(&self, for_a_while: Duration) {
        self.core.starting.store(true, Ordering::Relaxed);
        self.listener.reset_all();
        let core = Arc::clone(&self.core);
        tokio::spawn(async move {
            tokio::time::sleep(for_a_while).await;
            core.starting.store(false, Ordering::Relaxed);
        });
    }

    /// A worker process ends: its websockets close with 1012.
    pub fn recycle_worker(&self) {
        self.core.hub.close_all(SERVICE_RESTART);
    }

    /// Closes the listener and resets every connection, or listens again at the same address.
    pub fn refuse_connections(&self, refuse: bool) {
        self.listener.set_open(!refuse);
    }

    /// Resets every connection once.
    pub fn cut_connections(&self) {
        self.listener.reset_all();
    }

    /// Holds back all answers, or releases them.
    pub fn pause(&self, paused: bool) {
        self.core.paused.send_replace(paused);
    }

    /// Moves the simulator's clock forward: sessions expire, one-time codes change.
    pub fn advance(&self, by: Duration) {
        self.core.clock.advance(by);
    }

    /// Sets the simulator's clock.
    pub fn set_clock(&self, at: SystemTime) {
        self.core.clock.set(at);
    }

    /// What the simulator's clock shows.
    pub fn now(&self) -> SystemTime {
        clock::system_time(self.core.clock.now())
    }

    /// Sets what a password check costs.
    pub fn set_hash_cost(&self, cost: Duration) {
        self.core.hash_cost.store(clock::micros(cost), Ordering::Relaxed);
    }

    /// Sets how many rows a page has at most.
    pub fn set_max_page_size(&self, rows: usize) {
        self.core.max_page_size.store(rows, Ordering::Relaxed);
    }
}

fn serving(directory: &Directory, wanted: impl Fn(i32) -> bool) -> Vec<Uuid> {
    directory
        .outposts
        .values()
        .filter(|outpost| outpost.providers.iter().any(|provider| wanted(*provider)))
        .map(|outpost| outpost.pk)
        .collect()
}

/// Takes the outpost's tokens away; whose they are.
fn take_tokens(directory: &mut Directory) -> Option<i32> {
    let account = directory.outposts.get(&directory.outpost)?.account;
    directory.tokens.retain(|_, user| *user != account);
    Some(account)
}
