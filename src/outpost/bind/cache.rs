//! Cached bind mode: successes kept by a keyed hash of who and what, and a short memory of refusals.
//!
//! No secret is kept: the key is a BLAKE3 hash under a key that lives as long as the process. Must not know how
//! a bind is judged.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use moka::notification::RemovalCause;
use moka::sync::Cache;

use crate::clock;
use crate::config::BindConfig;
use crate::metrics::{BindMetrics, CacheEviction, DirectoryDamage};
use crate::outpost::access::Login;
use crate::outpost::provider::Provider;
use crate::outpost::sound::sound;
use akldap_directory::Snapshot;

use super::refusal::Refusal;

mod being_changed;
mod grounds;
mod key;
mod voids;
mod wrong_secrets;

pub(super) use grounds::Grounds;
pub(in crate::outpost) use key::BindKey;
use voids::Voids;
use wrong_secrets::WrongSecrets;

/// The most successes kept: at about 300 octets each this is bounded, and far above any directory's active users.
const MAX_ENTRIES: u64 = 200_000;
/// The time between two binds whose flow is run again only because the users cannot be read: each costs authentik a password
/// hash, and it is already in trouble.
const REPROOF_PAUSE: Duration = Duration::from_millis(500);
/// How many of them are made at once if there was none for as long as they would have taken one after the other: an
/// old password that comes beside others must not be taken for long after it could have been found out.
const REPROOFS_AT_ONCE: u32 = 120;

/// A cached success.
struct KeptLogin {
    /// Taken out when the entry leaves the cache, because the cache itself drops values only some time later, and the session
    /// behind a login that nobody needs must end at once.
    login: ArcSwapOption<Login>,
    grounds: Grounds,
    /// The only client it is valid for.
    client: Option<IpAddr>,
    /// From then on it is valid only during an outage.
    fresh_until: Instant,
    /// How long it is kept at all.
    kept_until: Instant,
    /// Entries are counted as they come, and go in that order.
    number: u64,
    /// Until then the password is not doubted although the users cannot be read; milliseconds since the cache's epoch.
    proved_until: AtomicU64,
    /// Why it is taken out, for metrics; unset if it expires by itself.
    ended: OnceLock<CacheEviction>,
}

/// A cached success, and what has to be found out before it is used.
pub(super) struct KeptBind {
    /// The login.
    pub(super) login: Arc<Login>,
    /// Whether access is still granted.
    pub(super) access: bool,
    /// Whether the password is still the user's.
    pub(super) password: bool,
}

/// The cache.
pub(in crate::outpost) struct BindCache {
    secret: [u8; 32],
    max_age: Duration,
    outage_grace: Duration,
    /// Of binds that took a one-time code.
    code_max_age: Duration,
    code_same_address: bool,
    recheck_interval: Option<Duration>,
    users_unread_limit: Duration,
    epoch: Instant,
    /// Until then the directory is young enough to show changed passwords; milliseconds since the epoch.
    directory_good_until: AtomicU64,
    /// When the next bind may be proved again because it is not.
    next_reproof: AtomicU64,
    voids: Voids,
    entries: Cache<BindKey, Arc<KeptLogin>>,
    /// When entries must go, soonest first. One that is gone may still be listed here.
    ends: Mutex<BTreeSet<(Instant, u64, BindKey)>>,
    inserted: AtomicU64,
    wrong_secrets: WrongSecrets,
    damage: DirectoryDamage,
}

impl BindCache {
    /// Counts in `damage` when a directory is found damaged.
    pub(in crate::outpost) fn new(
        config: &BindConfig,
        metrics: BindMetrics,
        damage: DirectoryDamage,
    ) -> Self {
        let mut secret = [0; 32];
        // Without random numbers the process does not get this far: the outpost asks for some first.
        let _ = aws_lc_rs::rand::fill(&mut secret);
        Self {
            secret,
            max_age: config.cache_max_age,
            outage_grace: config.cache_outage_grace.unwrap_or_default(),
            code_max_age: config.cache_code_max_age.min(config.cache_max_age),
            code_same_address: config.cache_code_same_address,
            recheck_interval: config.access_recheck_interval,
            users_unread_limit: config.users_unread_limit,
            epoch: clock::now(),
            directory_good_until: AtomicU64::new(0),
            next_reproof: AtomicU64::new(0),
            voids: Voids::default(),
            entries: Cache::builder()
                .max_capacity(MAX_ENTRIES)
                .eviction_listener(move |_key, entry: Arc<KeptLogin>, cause| {
                    entry.login.store(None);
                    metrics.evicted(match cause {
                        RemovalCause::Expired => CacheEviction::Expired,
                        RemovalCause::Size => CacheEviction::Full,
                        RemovalCause::Replaced => CacheEviction::Replaced,
                        RemovalCause::Explicit => {
                            entry.ended.get().copied().unwrap_or(CacheEviction::Disproved)
                        }
                    });
                })
                .build(),
            ends: Mutex::default(),
            inserted: AtomicU64::new(0),
            wrong_secrets: WrongSecrets::new(config.negative_window),
            damage,
        }
    }

    /// The key of a bind. Settings that decide how the bind is judged are part of it, so that a changed provider
    /// starts afresh.
    pub(in crate::outpost) fn key(&self, provider: &Provider, username: &str, secret: &[u8]) -> BindKey {
        let settings = provider.settings();
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(&provider.pk().to_le_bytes());
        hasher.update(&[u8::from(settings.mfa_support)]);
        let parts = [
            settings.bind_flow_slug.as_bytes(),
            settings.application_slug.as_bytes(),
            username.as_bytes(),
            secret,
        ];
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        *hasher.finalize().as_bytes()
    }

    /// The login of an equal bind that succeeded and is still valid, as far as is known.
    pub(super) fn get(&self, key: &BindKey, client: IpAddr) -> Option<KeptBind> {
        let now = clock::now();
        let (entry, login) = self.held(key, client, |entry| now < entry.fresh_until)?;
        let now_ms = self.millis(now);
        let mut proved_until = entry.proved_until.load(Ordering::Relaxed);
        if entry.grounds.password_change.is_some() {
            proved_until = proved_until.max(self.directory_good_until.load(Ordering::Relaxed));
        }
        Some(KeptBind {
            access: login.review().is_doubtful(now, self.recheck_interval),
            password: now_ms >= proved_until,
            login,
        })
    }

    /// The same during an outage: this includes one that has reached its maximum age since authentik last answered, so that
    /// authentik could not be asked again. One that reached it before that is gone for good.
    pub(super) fn get_in_outage(
        &self,
        key: &BindKey,
        client: IpAddr,
        last_answer: Option<Instant>,
    ) -> Option<Arc<Login>> {
        let now = clock::now();
        let counts = |entry: &KeptLogin| {
            now < entry.kept_until && last_answer.is_none_or(|answer| answer < entry.fresh_until)
        };
        self.held(key, client, counts).map(|(_, login)| login)
    }

    fn held(
        &self,
        key: &BindKey,
        client: IpAddr,
        counts: impl FnOnce(&KeptLogin) -> bool,
    ) -> Option<(Arc<KeptLogin>, Arc<Login>)> {
        let entry = self.entries.get(key)?;
        let login = entry.login.load_full()?;
        if !counts(&entry)
            || entry.client.is_some_and(|only| only != client)
            || self.voids.is_under_way(&[login.user_pk()])
        {
            return None;
        }
        if login.is_over() {
            self.take_out(key, &entry, CacheEviction::LoginOver);
            return None;
        }
        login.review().note_use();
        Some((entry, login))
    }

    /// The directory was read: another reading is expected by `next`.
    pub(in crate::outpost) fn directory_read(&self, now: Instant, next: Duration) {
        let until = now + next.saturating_add(self.users_unread_limit);
        self.directory_good_until
            .fetch_max(self.millis(until), Ordering::Relaxed);
    }

    /// Takes one of the proofs that are made of doubted passwords, a few at once and then one after the other. False: none is left
    /// now, and the bind is answered as before.
    pub(super) fn take_reproof(&self, now: Instant) -> bool {
        let now = self.millis(now);
        let unused = millis(REPROOF_PAUSE.saturating_mul(REPROOFS_AT_ONCE.saturating_sub(1)));
        let earliest = now.saturating_sub(unused);
        self.next_reproof
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |due| {
                (due <= now).then(|| due.max(earliest).saturating_add(millis(REPROOF_PAUSE)))
            })
            .is_ok()
    }

    /// The password of a cached bind could not be proved again: it stays valid for a while.
    pub(super) fn postpone_proof(&self, key: &BindKey, now: Instant) {
        if let Some(entry) = self.entries.get(key) {
            entry
                .proved_until
                .fetch_max(self.millis(now + self.users_unread_limit), Ordering::Relaxed);
        }
    }

    /// Whether a success may be shared with an equal bind of this client.
    pub(super) fn counts_for(&self, login: &Login, client: IpAddr) -> bool {
        !self.code_same_address || !login.session().took_code() || login.client() == client
    }

    fn millis(&self, at: Instant) -> u64 {
        millis(at.saturating_duration_since(self.epoch))
    }

    /// The refusal of an equal bind a moment ago.
    pub(in crate::outpost) fn refused(&self, key: &BindKey) -> Option<Refusal> {
        self.wrong_secrets.get(key, &self.voids)
    }

    /// Keeps a success for as long as its session and the configured maximum allow, the grace for outages included.
    /// Without a known password date among its grounds the next directory ends the entry, because a change in between could not
    /// be detected. Nothing is kept about a user whose password is being changed, or was changed since there were `since`
    /// changes.
    pub(super) fn insert(&self, key: BindKey, login: &Arc<Login>, grounds: Grounds, since: u64) {
        let now = clock::now();
        let left = login.ends().into_std().saturating_duration_since(now);
        let took_code = login.session().took_code();
        let max_age = if took_code {
            self.code_max_age
        } else {
            self.max_age
        };
        let fresh_for = left.min(max_age);
        if fresh_for.is_zero() || login.is_over() {
            return;
        }
        let kept_until = now + left.min(max_age.saturating_add(self.outage_grace));
        let number = self.inserted.fetch_add(1, Ordering::Relaxed);
        let entry = KeptLogin {
            login: ArcSwapOption::new(Some(Arc::clone(login))),
            grounds,
            client: (took_code && self.code_same_address).then(|| login.client()),
            fresh_until: now + fresh_for,
            kept_until,
            number,
            proved_until: AtomicU64::new(self.millis(now + self.users_unread_limit)),
            ended: OnceLock::new(),
        };
        self.voids.unless_since(&[login.user_pk()], since, || {
            self.entries.insert(key, Arc::new(entry));
            self.ends().insert((kept_until, number, key));
        });
    }

    fn ends(&self) -> MutexGuard<'_, BTreeSet<(Instant, u64, BindKey)>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers for a moment that authentik judged a secret wrong, which may be that of these users, unless their password was
    /// changed since there were `since` changes. Nothing else is remembered.
    pub(in crate::outpost) fn refuse(&self, key: BindKey, refusal: &Refusal, users: Vec<i64>, since: u64) {
        self.wrong_secrets.keep(key, refusal, users, &self.voids, since);
    }

    /// Drops the cached binds that are over and those of users about whom a directory shows something other than what they were
    /// based on: another password, another name, or somebody else with that name. The directory says something about the users
    /// that it is `concerned` with, and about others only that somebody new has their name. Returns how many.
    pub(in crate::outpost) fn retain_unchanged(
        &self,
        snapshot: &Snapshot,
        concerned: impl Fn(i64) -> bool,
    ) -> usize {
        self.retain(|entry, login| {
            let pk = login.user_pk();
            let stands = match concerned(pk) {
                true => entry.grounds.hold(pk, snapshot),
                false => entry.grounds.name_is_theirs(pk, snapshot),
            };
            sound(stands, &self.damage) == Some(true)
        })
    }

    /// Drops the cached binds that are over.
    pub(super) fn retain_alive(&self) -> usize {
        self.retain(|_, _| true)
    }

    fn retain(&self, keep: impl Fn(&KeptLogin, &Login) -> bool) -> usize {
        let mut voided = Vec::new();
        for (key, entry) in &self.entries {
            let login = entry.login.load();
            let login = login.as_ref().filter(|login| !login.is_over());
            let reason = match login {
                Some(login) if keep(&entry, login) => continue,
                Some(_) => CacheEviction::UserChanged,
                None => CacheEviction::LoginOver,
            };
            // Only the first reason counts.
            let _ = entry.ended.set(reason);
            voided.push((entry.number, *key));
        }
        self.let_go(voided)
    }

    /// Drops cached binds in the order in which they came.
    fn let_go(&self, mut entries: Vec<(u64, BindKey)>) -> usize {
        entries.sort_unstable();
        entries.iter().for_each(|(_, key)| self.entries.invalidate(key));
        entries.len()
    }

    /// How many password changes there were, of anybody's password.
    pub(in crate::outpost) fn voids(&self) -> u64 {
        self.voids.count()
    }

    /// Whether the password of any of these users was changed since, or is being changed; if none is given, anybody's.
    pub(super) fn was_voided(&self, users: &[i64], since: u64) -> bool {
        self.voids.since(users, since)
    }

    /// Drops a cached bind that was disproved, or that a change may have overtaken.
    pub(super) fn remove(&self, key: &BindKey) {
        self.entries.invalidate(key);
    }

    fn take_out(&self, key: &BindKey, entry: &KeptLogin, reason: CacheEviction) {
        // Only the first reason counts.
        let _ = entry.ended.set(reason);
        self.entries.invalidate(key);
    }

    /// How many binds are kept.
    pub(in crate::outpost) fn count(&self) -> u64 {
        self.entries.entry_count()
    }

    /// Drops all cached binds.
    pub(super) fn clear(&self) {
        let all = self.entries.iter().map(|(key, entry)| {
            let _ = entry.ended.set(CacheEviction::Cleared);
            (entry.number, *key)
        });
        self.let_go(all.collect());
    }

    /// Drops what has expired. What is only kept for an outage goes as soon as authentik has answered after it reached its
    /// maximum age.
    pub(super) fn sweep(&self, last_answer: Option<Instant>) {
        if let Some(answer) = last_answer.filter(|_| !self.outage_grace.is_zero()) {
            let aged = |(key, entry): (Arc<BindKey>, Arc<KeptLogin>)| {
                (entry.fresh_until <= answer).then(|| {
                    let _ = entry.ended.set(CacheEviction::OutageOver);
                    (entry.number, *key)
                })
            };
            self.let_go(self.entries.iter().filter_map(aged).collect());
        }
        let now = clock::now();
        let expired: Vec<_> = {
            let mut ends = self.ends();
            let later = ends.split_off(&(now, u64::MAX, [u8::MAX; 32]));
            std::mem::replace(&mut *ends, later).into_iter().collect()
        };
        for (_, number, key) in expired {
            // A later one may have replaced it.
            if let Some(entry) = self.entries.get(&key).filter(|entry| entry.number == number) {
                self.take_out(&key, &entry, CacheEviction::Expired);
            }
        }
        self.entries.run_pending_tasks();
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, StringMap};
    use crate::metrics::RejectReason;
    use akldap_directory::{Builder, UserRecord};
    use akldap_ldap::response::ResultCode;

    fn cache_with(negative_window: Option<Duration>) -> BindCache {
        let mut map = StringMap::default();
        map.set("AUTHENTIK_HOST", "http://localhost");
        map.set("AUTHENTIK_TOKEN", "token");
        let config = BindConfig {
            negative_window,
            ..Config::read(&map).unwrap().bind
        };
        BindCache::new(&config, BindMetrics::default(), DirectoryDamage::default())
    }

    #[test]
    fn binds_are_proved_again_one_after_the_other() {
        let cache = cache_with(None);
        let start = Instant::now();
        let admitted = (0..10_000)
            .filter(|ms| cache.take_reproof(start + Duration::from_millis(*ms)))
            .count();
        assert_eq!(admitted, 20, "two a second");
        // After a quiet hour those of a minute are made at once, and then two a second.
        let later = start + Duration::from_secs(3_600);
        let admitted = (0..1_000).filter(|_| cache.take_reproof(later)).count();
        assert_eq!(admitted, 120);
        let admitted = (0..10_000)
            .filter(|ms| cache.take_reproof(later + Duration::from_millis(*ms)))
            .count();
        assert_eq!(admitted, 19, "the first of them half a second later");
    }

    /// A directory of people: primary key, user name, e-mail address, custom attributes, date of the password.
    fn people(people: &[(i64, &str, &str, &str, i64)]) -> Snapshot {
        let mut builder = Builder::new();
        for &(pk, username, email, attributes, password_change_date) in people {
            builder.add_user(&UserRecord {
                pk,
                username,
                email,
                attributes: Some(attributes),
                password_change_date: Some(password_change_date),
                is_active: true,
                uuid: &format!("00000000-0000-4000-8000-{pk:012}"),
                ..UserRecord::default()
            });
        }
        builder.finish().unwrap().0
    }

    const DATE: i64 = 1_767_323_045_000_000;

    #[test]
    fn a_name_counts_as_long_as_the_field_it_was_found_in_has_it() {
        let alice = (
            1,
            "alice",
            "alice@x",
            r#"{"upn":"al@corp","number":"E-17"}"#,
            DATE,
        );
        let before = people(&[alice]);
        for (name, without) in [
            ("Alice", (1, "alice2", alice.2, alice.3, DATE)),
            ("ALICE@x", (1, "alice", "", alice.3, DATE)),
            ("al@CORP", (1, "alice", alice.2, r#"{"number":"E-17"}"#, DATE)),
            ("e-17", (1, "alice", alice.2, r#"{"upn":"al@corp"}"#, DATE)),
        ] {
            let called = before.users_called(name, None).unwrap();
            let grounds = Grounds::new(name, 1, &called, Some(&before)).unwrap().unwrap();
            assert!(grounds.hold(1, &before).unwrap(), "{name}");
            assert!(
                !grounds.hold(1, &people(&[without])).unwrap(),
                "{name}: nobody has it"
            );
        }
    }

    #[test]
    fn a_name_that_is_none_of_the_fields_ends_with_the_password_only() {
        let alice = |email, date| people(&[(1, "alice", email, "{}", date)]);
        let grounds = Grounds::new("badge 4711", 1, &[], Some(&alice("alice@x", DATE)));
        let grounds = grounds.unwrap().unwrap();
        assert!(grounds.hold(1, &alice("new@x", DATE)).unwrap());
        assert!(!grounds.hold(1, &alice("alice@x", DATE + 1_000_000)).unwrap());
        assert!(!grounds.hold(1, &people(&[])).unwrap());
        let heir = (2, "badge 4711", "", "{}", DATE);
        assert!(
            !grounds
                .hold(1, &people(&[(1, "alice", "", "{}", DATE), heir]))
                .unwrap()
        );
    }

    #[test]
    fn whoever_comes_by_a_name_during_the_login_or_gets_it_again_was_no_namesake_before() {
        let (alice, sharer) = (
            (3, "alice", "staff@x", "{}", DATE),
            (2, "bob", "staff@x", "{}", DATE),
        );
        let alone = people(&[alice, (2, "bob", "", "{}", DATE)]);
        let shared = people(&[alice, sharer]);
        let grounds = |called: &[i64]| Grounds::new("staff@x", 3, called, Some(&shared)).unwrap();
        assert!(grounds(&[3]).is_none(), "it came to somebody else meanwhile");
        let grounds = grounds(&[2, 3]).expect("it was theirs before");
        assert!(grounds.hold(3, &shared).unwrap());
        assert!(grounds.hold(3, &alone).unwrap());
        assert!(!grounds.hold(3, &shared).unwrap(), "it came back");
        let number = r#"{"number":"E-17"}"#;
        let same_number = people(&[(3, "alice", "", number, DATE), (2, "bob", "", number, DATE)]);
        let grounds = Grounds::new("e-17", 3, &[], Some(&same_number)).unwrap().unwrap();
        assert!(
            grounds.hold(3, &same_number).unwrap(),
            "which attributes names are found in is known only after the login"
        );
    }

    fn refusal(repeatable: bool) -> Refusal {
        let mut refusal = Refusal::new(
            ResultCode::InvalidCredentials,
            RejectReason::InvalidCredentials,
            "no",
        );
        refusal.repeatable = repeatable;
        refusal
    }

    #[test]
    fn only_what_authentik_judged_wrong_is_remembered_and_only_if_that_is_wanted() {
        let cache = cache_with(Some(Duration::from_secs(60)));
        cache.refuse([1; 32], &refusal(true), vec![7], 0);
        cache.refuse([2; 32], &refusal(false), vec![7], 0);
        assert!(cache.refused(&[1; 32]).is_some() && cache.refused(&[2; 32]).is_none());
        let never = cache_with(None);
        never.refuse([1; 32], &refusal(true), vec![7], 0);
        assert!(never.refused(&[1; 32]).is_none());
    }

    #[test]
    fn a_change_makes_the_memory_forget_what_may_be_that_users_and_keep_the_rest() {
        let cache = Arc::new(cache_with(Some(Duration::from_secs(60))));
        let fill = |since| {
            for (key, users) in [(1, vec![7]), (2, vec![8]), (3, vec![8, 7]), (4, vec![])] {
                cache.refuse([key; 32], &refusal(true), users, since);
            }
        };
        let known = || [1, 2, 3, 4].map(|key| cache.refused(&[key; 32]).is_some());
        let before = cache.voids();
        fill(before);
        assert_eq!(known(), [true; 4]);
        let mut change = cache.change_begins(7);
        assert_eq!(known(), [false, true, false, false]);
        // What was judged before the change and is heard during it, and what is judged during it.
        fill(before);
        fill(cache.voids());
        assert_eq!(known(), [false, true, false, false]);
        change.end_is_known();
        drop(change);
        fill(before);
        assert_eq!(known(), [false, true, false, false]);
        fill(cache.voids());
        assert_eq!(known(), [true; 4]);
    }
}
