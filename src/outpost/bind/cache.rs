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

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
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
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) login: Arc<Login>,
    /// `None`: the directory did not know the user yet; the next snapshot's value is taken.
    password_change: Arc<Mutex<Option<Option<i64>>>>,
    expires_in: Duration,
    /// Whether it was used since the last re-check.
    pub(super) used: Arc<AtomicBool>,
}

struct EntryLife;

impl Expiry<Key, Entry> for EntryLife {
    fn expire_after_create(&self, _key: &Key, entry: &Entry, _now: Instant) -> Option<Duration> {
        Some(entry.expires_in)
    }
}

/// The cache.
pub(super) struct BindCache {
    secret: [u8; 32],
    max_age: Duration,
    entries: Cache<Key, Entry>,
    refusals: Option<Cache<Key, Refusal>>,
    flights: Arc<Mutex<HashMap<Key, Shared<BoxFuture<'static, Judged>>>>>,
}

impl BindCache {
    pub(super) fn new(max_age: Duration, negative_window: Option<Duration>) -> Self {
        let mut secret = [0; 32];
        // Without random numbers the process does not get this far: the outpost's own key comes first.
        let _ = aws_lc_rs::rand::fill(&mut secret);
        Self {
            secret,
            max_age,
            entries: Cache::builder()
                .max_capacity(MAX_ENTRIES)
                .expire_after(EntryLife)
                .support_invalidation_closures()
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
        let entry = self.entries.get(key)?;
        if entry.login.is_over() {
            self.entries.invalidate(key);
            return None;
        }
        entry.used.store(true, Ordering::Relaxed);
        Some(entry.login)
    }

    /// The refusal of an equal bind a moment ago.
    pub(super) fn refused(&self, key: &Key) -> Option<Refusal> {
        self.refusals.as_ref()?.get(key)
    }

    /// Keeps a success for as long as its session and the configured maximum allow. `password_change` is the
    /// user's as the directory knew it before the bind was judged.
    pub(super) fn insert(&self, key: Key, login: &Arc<Login>, password_change: Option<Option<i64>>) {
        let left = match login.session().expires() {
            Some(expires) => expires.duration_since(SystemTime::now()).unwrap_or_default(),
            None => self.max_age,
        };
        let expires_in = left.min(self.max_age);
        if expires_in.is_zero() {
            return;
        }
        let entry = Entry {
            login: Arc::clone(login),
            password_change: Arc::new(Mutex::new(password_change)),
            expires_in,
            used: Arc::new(AtomicBool::new(true)),
        };
        self.entries.insert(key, entry);
    }

    /// Remembers for a moment that authentik judged a secret wrong. Nothing else is remembered.
    pub(super) fn refuse(&self, key: Key, refusal: &Refusal) {
        if let Some(refusals) = self.refusals.as_ref().filter(|_| refusal.repeatable) {
            refusals.insert(key, refusal.clone());
        }
    }

    /// Drops the cached binds of users whose password changed since. Returns how many.
    pub(super) fn retain_unchanged(&self, snapshot: &Snapshot) -> usize {
        let mut voided = 0;
        for (key, entry) in &self.entries {
            let user = snapshot
                .user_by_pk(entry.login.user_pk())
                .map(|user| snapshot.user(user));
            let now = user.map(|user| user.password_change_date);
            let mut known = entry
                .password_change
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let unchanged = match (&*known, &now) {
                (Some(before), Some(now)) => before == now,
                (None, Some(_)) => true,
                (_, None) => false,
            };
            if unchanged && !entry.login.is_over() {
                *known = now;
            } else {
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

    /// The cached binds used since the last call.
    pub(super) fn take_used(&self) -> Vec<(Key, Arc<Login>)> {
        self.entries
            .iter()
            .filter(|(_, entry)| entry.used.swap(false, Ordering::Relaxed))
            .map(|(key, entry)| (*key, entry.login))
            .collect()
    }

    /// Runs `judge` unless an equal bind is being judged already; either way the outcome is shared. The judgement
    /// goes on when a waiting client leaves.
    pub(super) fn single_flight<F>(
        &self,
        key: Key,
        judge: impl FnOnce() -> F,
    ) -> Shared<BoxFuture<'static, Judged>>
    where
        F: Future<Output = Judged> + Send + 'static,
    {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(&key) {
            return flight.clone();
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
    flights: Arc<Mutex<HashMap<Key, Shared<BoxFuture<'static, Judged>>>>>,
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
    Refusal::new(
        ResultCode::Other,
        RejectReason::FlowError,
        "internal error while binding",
    )
}
