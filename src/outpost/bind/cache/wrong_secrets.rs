//! A short memory of secrets that authentik judged wrong.
//!
//! Must not know why they are tried.

use std::time::{Duration, Instant};

use moka::sync::Cache;

use crate::clock;
use crate::outpost::bind::refusal::Refusal;

use super::key::BindKey;
use super::voids::Voids;

/// The most of them remembered.
const MAX_WRONG_SECRETS: u64 = 20_000;

/// The memory.
pub(super) struct WrongSecrets {
    /// How long each is remembered. `None`: not at all.
    window: Option<Duration>,
    kept: Cache<BindKey, KeptWrongSecret>,
}

#[derive(Clone)]
struct KeptWrongSecret {
    until: Instant,
    refusal: Refusal,
    /// The users with the name that was tried, as the directory knew it; if there are none, it may be anybody's.
    users: Box<[i64]>,
}

impl KeptWrongSecret {
    /// Whether it may be about this user.
    fn concerns(&self, user_pk: i64) -> bool {
        self.users.is_empty() || self.users.contains(&user_pk)
    }
}

impl WrongSecrets {
    pub(super) fn new(window: Option<Duration>) -> Self {
        Self {
            window,
            kept: Cache::new(MAX_WRONG_SECRETS),
        }
    }

    /// The refusal of an equal bind a moment ago, unless a password it may be about is being changed.
    pub(super) fn get(&self, key: &BindKey, voids: &Voids) -> Option<Refusal> {
        let kept = self.kept.get(key)?;
        let counts = clock::now() < kept.until && !voids.is_under_way(&kept.users);
        counts.then_some(kept.refusal)
    }

    /// Remembers that authentik judged a secret wrong, and nothing else, unless a password it may be about was changed since
    /// there were `since` changes.
    pub(super) fn keep(&self, key: BindKey, refusal: &Refusal, users: Vec<i64>, voids: &Voids, since: u64) {
        let Some(window) = self.window.filter(|_| refusal.repeatable) else {
            return;
        };
        let kept = KeptWrongSecret {
            until: clock::now() + window,
            refusal: refusal.clone(),
            users: users.into_boxed_slice(),
        };
        let users = kept.users.clone();
        voids.unless_since(&users, since, || self.kept.insert(key, kept));
    }

    /// The password of a user is another one: what was wrong may be right now.
    pub(super) fn void(&self, user_pk: i64) {
        for (key, kept) in &self.kept {
            if kept.concerns(user_pk) {
                self.kept.invalidate(&*key);
            }
        }
    }
}
