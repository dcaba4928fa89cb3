//! Fetches a single user whom the directory does not know, or knows otherwise than a login just proved, without waiting
//! for the next refresh.
//!
//! One fetch at a time, so many a minute, and never beside the installation of a refreshed directory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::authentik::User;
use crate::directory::{Builder, Snapshot};
use crate::outpost::Outpost;

use super::records::user_record;

/// Fetches within a minute. Each builds a snapshot, about a second of work for 100,000 users; who creates more users a
/// minute that log in at once waits for the next refresh.
const MAX_PER_MINUTE: usize = 12;
const MINUTE: Duration = Duration::from_secs(60);
/// How long a bind waits for its user to be fetched.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was fetched of late.
#[derive(Debug, Default)]
pub(in crate::outpost) struct Misses {
    /// Held while a snapshot made from the current one is put in its place.
    gate: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    times: VecDeque<Instant>,
    /// Users fetched since the last refresh was installed.
    fetched: Vec<i64>,
}

impl Misses {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one of the fetches of this minute.
    fn admit(&self, now: Instant) -> bool {
        let mut state = self.lock();
        while state
            .times
            .front()
            .is_some_and(|time| now.duration_since(*time) >= MINUTE)
        {
            state.times.pop_front();
        }
        let admitted = state.times.len() < MAX_PER_MINUTE;
        if admitted {
            state.times.push_back(now);
        }
        admitted
    }
}

impl Outpost {
    /// Makes sure that the directory shows a user who has just proved to exist and to be active, if authentik does.
    /// Gives up after a few seconds; the next refresh shows the user in any case.
    pub(in crate::outpost) async fn fetch_user(&self, pk: i64) {
        if self.shows(pk) || self.snapshot().is_none() {
            return;
        }
        match tokio::time::timeout(PATIENCE, self.fetch_missing(pk)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(pk, error, "a user the directory does not show was not fetched")
            }
            Err(_) => tracing::debug!(pk, "fetching a user the directory does not show takes too long"),
        }
    }

    /// The same, in the background.
    pub fn fetch_user_soon(self: &Arc<Self>, pk: i64) {
        let outpost = Arc::clone(self);
        tokio::spawn(async move { outpost.fetch_user(pk).await });
    }

    fn shows(&self, pk: i64) -> bool {
        self.snapshot().is_some_and(|snapshot| {
            snapshot
                .user_by_pk(pk)
                .is_some_and(|user| snapshot.user(user).is_active)
        })
    }

    async fn fetch_missing(&self, pk: i64) -> Result<(), String> {
        let _gate = self.misses.gate.lock().await;
        let Some(current) = self.snapshot().filter(|_| !self.shows(pk)) else {
            return Ok(());
        };
        if !self.misses.admit(Instant::now()) {
            return Err(format!("{MAX_PER_MINUTE} were fetched within a minute"));
        }
        let user = self.client.user(pk).await.map_err(|error| error.to_string())?;
        let Some((user, _)) = user else {
            return Err("there is no such user".to_owned());
        };
        let build = tokio::task::spawn_blocking(move || with_user(&current, &user));
        let snapshot = build.await.map_err(|error| error.to_string())?;
        self.misses.lock().fetched.push(pk);
        self.install(snapshot);
        tracing::info!(pk, "fetched a user newer than the directory");
        Ok(())
    }

    /// Puts a refreshed directory in place of the current one, unless it is the same. Users fetched one by one while it was
    /// being read stay in it.
    pub(super) async fn install_refreshed(&self, snapshot: Snapshot, full: bool) -> Arc<Snapshot> {
        let _gate = self.misses.gate.lock().await;
        let fetched = std::mem::take(&mut self.misses.lock().fetched);
        let current = self.snapshot();
        let mut snapshot = snapshot;
        if let Some(current) = &current {
            for pk in fetched {
                if snapshot.user_by_pk(pk).is_none() {
                    snapshot = with_user_of(&snapshot, current, pk);
                }
            }
            if snapshot.fingerprint() == current.fingerprint() {
                self.metrics.snapshot_installed(
                    current.user_count(),
                    current.group_count(),
                    SystemTime::now(),
                );
                return Arc::clone(current);
            }
        }
        let (users, groups) = (snapshot.user_count(), snapshot.group_count());
        if current.is_none() {
            tracing::info!(users, groups, "directory loaded");
        } else {
            tracing::debug!(users, groups, full, "directory refreshed");
        }
        self.install(snapshot)
    }
}

/// The directory with one user put into it and into the groups the user's row names.
fn with_user(snapshot: &Snapshot, row: &User) -> Snapshot {
    let mut builder = Builder::new();
    for user in snapshot.users().map(|user| snapshot.carried_user(user)) {
        if user.pk() != row.pk {
            builder.carry_user(&user);
        }
    }
    builder.add_user(&user_record(row));
    for mut group in snapshot.groups().map(|group| snapshot.carried_group(group)) {
        let uuid = group.uuid().as_hyphenated().to_string();
        if row
            .groups
            .iter()
            .any(|of_user| of_user.eq_ignore_ascii_case(&uuid))
        {
            group.add_member(row.pk);
        }
        builder.carry_group(&group);
    }
    let (next, _) = builder.finish();
    next.warm_like(snapshot);
    next
}

/// `snapshot` with a user as another one shows it.
fn with_user_of(snapshot: &Snapshot, other: &Snapshot, pk: i64) -> Snapshot {
    let mut builder = Builder::new();
    for user in snapshot.users() {
        builder.carry_user(&snapshot.carried_user(user));
    }
    if let Some(user) = other.user_by_pk(pk) {
        builder.carry_user(&other.carried_user(user));
    }
    for mut group in snapshot.groups().map(|group| snapshot.carried_group(group)) {
        let member = other
            .group_by_uuid(group.uuid())
            .is_some_and(|same| other.carried_group(same).members().contains(&pk));
        if member {
            group.add_member(pk);
        }
        builder.carry_group(&group);
    }
    let (next, _) = builder.finish();
    next.warm_like(snapshot);
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn fetches_are_bounded_by_the_minute() {
        let misses = Misses::default();
        for _ in 0..MAX_PER_MINUTE {
            assert!(misses.admit(Instant::now()));
        }
        assert!(!misses.admit(Instant::now()));
        tokio::time::advance(MINUTE).await;
        assert!(misses.admit(Instant::now()));
    }
}
