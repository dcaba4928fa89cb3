//! Cached bind mode: successes kept by a keyed hash of who and what, one flow for any number of equal binds at once, and a short
//! memory of refusals.
//!
//! No secret is kept: the key is a BLAKE3 hash under a key that lives as long as the process. Must not know how
//! a bind is judged.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwapOption;
use futures_util::FutureExt;
use futures_util::future::{self, BoxFuture, Shared};
use moka::Expiry;
use moka::sync::Cache;

use crate::directory::Snapshot;
use crate::ldap::response::ResultCode;
use crate::metrics::RejectReason;
use crate::outpost::access::Login;
use crate::outpost::providers::Provider;

use super::answer::Refusal;

/// Most successes kept: at some 300 octets each this is bounded, and far above any directory's active users.
const MAX_ENTRIES: u64 = 200_000;
/// Most refusals remembered.
const MAX_REFUSALS: u64 = 20_000;

/// Identifies a bind: provider and its bind settings, user name and secret, hashed under the process's key.
pub(super) type Key = [u8; 32];

type Judged = Result<Arc<Login>, Refusal>;

/// A success that is kept.
struct Entry {
    /// Taken out when the entry leaves the cache, for the cache itself lets go of values only some time later, and the
    /// session behind a login nobody needs is to end at once.
    login: ArcSwapOption<Login>,
    /// The user's as the directory knew it before the bind was judged; `None`: it did not.
    password_change: Option<i64>,
    /// From then on it counts during an outage only.
    fresh_until: Instant,
    /// How long it is kept at all.
    expires_in: Duration,
    /// Whether it was used since the last re-check.
    used: AtomicBool,
}

struct EntryLife;

impl Expiry<Key, Arc<Entry>> for EntryLife {
    fn expire_after_create(&self, _key: &Key, entry: &Arc<Entry>, _now: Instant) -> Option<Duration> {
        Some(entry.expires_in)
    }

    fn expire_after_update(
        &self,
        _key: &Key,
        entry: &Arc<Entry>,
        _now: Instant,
        _left: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.expires_in)
    }
}

/// A judgement that any number of equal binds wait for.
pub(super) type Flight = Shared<BoxFuture<'static, Judged>>;

type Flights = Arc<Mutex<HashMap<Key, Flight>>>;

/// The cache.
pub(super) struct BindCache {
    secret: [u8; 32],
    max_age: Duration,
    outage_grace: Duration,
    entries: Cache<Key, Arc<Entry>>,
    refusals: Option<Cache<Key, Refusal>>,
    flights: Flights,
}

impl BindCache {
    pub(super) fn new(
        max_age: Duration,
        outage_grace: Option<Duration>,
        negative_window: Option<Duration>,
    ) -> Self {
        let mut secret = [0; 32];
        // Without random numbers the process does not get this far: the outpost's own key comes first.
        let _ = aws_lc_rs::rand::fill(&mut secret);
        Self {
            secret,
            max_age,
            outage_grace: outage_grace.unwrap_or_default(),
            entries: Cache::builder()
                .max_capacity(MAX_ENTRIES)
                .expire_after(EntryLife)
                .eviction_listener(|_key, entry: Arc<Entry>, _cause| entry.login.store(None))
                .build(),
            refusals: negative_window.map(|window| {
                Cache::builder()
                    .max_capacity(MAX_REFUSALS)
                    .time_to_live(window)
                    .build()
            }),
            flights: Arc::default(),
        }
    }

    /// The key of a bind. Settings that decide how the bind is judged are part of it, so that a changed provider
    /// starts afresh.
    pub(super) fn key(&self, provider: &Provider, username: &str, secret: &[u8]) -> Key {
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

    /// The login of an equal bind that succeeded and still holds.
    pub(super) fn get(&self, key: &Key) -> Option<Arc<Login>> {
        self.held(key, |entry| {
            self.outage_grace.is_zero() || Instant::now() < entry.fresh_until
        })
    }

    /// The same during an outage: also one that has reached its age since authentik last answered, so that authentik
    /// could not be asked again. What reached it before that is gone for good.
    pub(super) fn get_in_outage(&self, key: &Key, last_answer: Option<Instant>) -> Option<Arc<Login>> {
        self.held(key, |entry| {
            last_answer.is_none_or(|answer| answer < entry.fresh_until)
        })
    }

    fn held(&self, key: &Key, counts: impl FnOnce(&Entry) -> bool) -> Option<Arc<Login>> {
        let entry = self.entries.get(key)?;
        let login = entry.login.load_full()?;
        if !counts(&entry) {
            return None;
        }
        if login.is_over() {
            self.entries.invalidate(key);
            return None;
        }
        entry.used.store(true, Ordering::Relaxed);
        Some(login)
    }

    /// The refusal of an equal bind a moment ago.
    pub(super) fn refused(&self, key: &Key) -> Option<Refusal> {
        self.refusals.as_ref()?.get(key)
    }

    /// Keeps a success for as long as its session and the configured maximum allow, the grace for outages included.
    /// `password_change` is the
    /// user's as the directory knew it when the bind was judged; without one the next directory ends the entry, for
    /// nobody could tell whether the password was changed in between.
    pub(super) fn insert(&self, key: Key, login: &Arc<Login>, password_change: Option<i64>) {
        let left = match login.session().expires() {
            Some(expires) => expires.duration_since(SystemTime::now()).unwrap_or_default(),
            None => Duration::MAX,
        };
        let fresh_for = left.min(self.max_age);
        if fresh_for.is_zero() || login.is_over() {
            return;
        }
        let entry = Entry {
            login: ArcSwapOption::new(Some(Arc::clone(login))),
            password_change,
            fresh_until: Instant::now() + fresh_for,
            expires_in: left.min(self.max_age.saturating_add(self.outage_grace)),
            used: AtomicBool::new(true),
        };
        self.entries.insert(key, Arc::new(entry));
    }

    /// Remembers for a moment that authentik judged a secret wrong. Nothing else is remembered.
    pub(super) fn refuse(&self, key: Key, refusal: &Refusal) {
        if let Some(refusals) = self.refusals.as_ref().filter(|_| refusal.repeatable) {
            refusals.insert(key, refusal.clone());
        }
    }

    /// Drops the cached binds that are over and those of users whose password changed since, of the users with
    /// whom the snapshot is `concerned`. Returns how many.
    pub(super) fn retain_unchanged(&self, snapshot: &Snapshot, concerned: impl Fn(i64) -> bool) -> usize {
        let mut voided = 0;
        for (key, entry) in &self.entries {
            let unchanged = entry.login.load().as_ref().is_some_and(|login| {
                if !concerned(login.user_pk()) {
                    return !login.is_over();
                }
                let user = snapshot
                    .user_by_pk(login.user_pk())
                    .map(|user| snapshot.user(user));
                let now = user.and_then(|user| user.password_change_date);
                !login.is_over() && now.is_some() && now == entry.password_change
            });
            if !unchanged {
                self.entries.invalidate(&*key);
                voided += 1;
            }
        }
        voided
    }

    /// Drops a cached bind.
    pub(super) fn remove(&self, key: &Key) {
        self.entries.invalidate(key);
    }

    /// Drops all cached binds.
    pub(super) fn clear(&self) {
        for (key, _) in &self.entries {
            self.entries.invalidate(&*key);
        }
    }

    /// Lets go of what has expired; without this it would wait for the next use of the cache. What is only kept for
    /// an outage goes as soon as authentik has answered after it reached its age.
    pub(super) fn sweep(&self, last_answer: Option<Instant>) {
        if let Some(answer) = last_answer.filter(|_| !self.outage_grace.is_zero()) {
            for (key, entry) in &self.entries {
                if entry.fresh_until <= answer {
                    self.entries.invalidate(&*key);
                }
            }
        }
        self.entries.run_pending_tasks();
    }

    /// The cached binds used since the last call.
    pub(super) fn take_used(&self) -> Vec<(Key, Arc<Login>)> {
        self.entries
            .iter()
            .filter(|(_, entry)| entry.used.swap(false, Ordering::Relaxed))
            .filter_map(|(key, entry)| Some((*key, entry.login.load_full()?)))
            .collect()
    }

    /// Runs `judge` unless an equal bind is being judged already; either way the outcome is shared. The judgement
    /// goes on when a waiting client leaves.
    pub(super) fn single_flight<F>(&self, key: Key, judge: impl FnOnce() -> F) -> Flight
    where
        F: Future<Output = Judged> + Send + 'static,
    {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(&key) {
            return flight.clone();
        }
        // The flight of an equal bind may have landed since the cache was asked; a one-time code works only once.
        if let Some(landed) = self.get(&key).map(Ok).or_else(|| self.refused(&key).map(Err)) {
            return future::ready(landed).boxed().shared();
        }
        let landing = Landing {
            flights: Arc::clone(&self.flights),
            key,
        };
        let judgement = judge();
        let task = tokio::spawn(async move {
            let _landing = landing;
            judgement.await
        });
        let flight = task
            .map(|joined| joined.unwrap_or_else(|_| Err(internal_error())))
            .boxed()
            .shared();
        flights.insert(key, flight.clone());
        flight
    }
}

/// Takes a flight off the list when its judgement ends, however it ends.
struct Landing {
    flights: Flights,
    key: Key,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.flights
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
    }
}

fn internal_error() -> Refusal {
    tracing::error!("a bind failed inside akldap: please report this with the lines before it");
    Refusal::new(
        ResultCode::Other,
        RejectReason::FlowError,
        "internal error while binding",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(repeatable: bool) -> Refusal {
        let mut refusal = Refusal::new(
            ResultCode::InvalidCredentials,
            RejectReason::InvalidCredentials,
            "no",
        );
        refusal.repeatable = repeatable;
        refusal
    }

    #[tokio::test]
    async fn a_panic_in_a_judgement_is_a_refusal_for_all_who_wait_and_for_nobody_after() {
        let cache = BindCache::new(Duration::from_secs(60), None, None);
        let flights = (0..3).map(|_| cache.single_flight([1; 32], || async { panic!("forced") }));
        for judged in future::join_all(flights).await {
            assert_eq!(judged.unwrap_err().result.code, ResultCode::Other);
        }
        let next = cache
            .single_flight([1; 32], || async { Err(refusal(true)) })
            .await;
        assert_eq!(next.unwrap_err().result.code, ResultCode::InvalidCredentials);
    }

    #[tokio::test]
    async fn equal_judgements_run_once_and_others_beside_them() {
        let cache = BindCache::new(Duration::from_secs(60), None, None);
        let runs = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let flights: Vec<_> = (0..20_u8)
            .map(|number| {
                let runs = Arc::clone(&runs);
                cache.single_flight([number % 2; 32], move || async move {
                    runs.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    Err(refusal(false))
                })
            })
            .collect();
        future::join_all(flights).await;
        assert_eq!(runs.load(Ordering::SeqCst), 2);
        assert!(cache.flights.lock().unwrap().is_empty());
    }

    #[test]
    fn only_what_authentik_judged_wrong_is_remembered_and_only_if_that_is_wanted() {
        let cache = BindCache::new(Duration::from_secs(60), None, Some(Duration::from_secs(60)));
        cache.refuse([1; 32], &refusal(true));
        cache.refuse([2; 32], &refusal(false));
        assert!(cache.refused(&[1; 32]).is_some() && cache.refused(&[2; 32]).is_none());
        let never = BindCache::new(Duration::from_secs(60), None, None);
        never.refuse([1; 32], &refusal(true));
        assert!(never.refused(&[1; 32]).is_none());
    }
}
