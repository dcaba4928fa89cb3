//! How the outpost stands with authentik, for `/ready`: what was loaded, when, and what went wrong last. Knows no
//! policy; whoever asks decides what it means.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::clock;

/// The state of one thing that is loaded again and again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Since when nothing newer was read from authentik by this process: what is in use shows all that was changed there
    /// before.
    pub read: Option<SystemTime>,
    /// What is used until then: when an earlier process read it.
    pub restored: Option<SystemTime>,
    /// Why the last try failed, if it did.
    pub failure: Option<String>,
    /// What was read stood so in authentik at one moment: it held still while it was read.
    pub settled: bool,
}

impl Load {
    /// When what is in use was read from authentik; `None`: there is nothing.
    pub fn time(&self) -> Option<SystemTime> {
        self.read.or(self.restored)
    }

    /// Whether it comes from the snapshot file and may be out of date.
    pub fn is_restored(&self) -> bool {
        self.read.is_none() && self.restored.is_some()
    }

    /// How old what is in use is; `None`: there is nothing.
    pub fn age(&self) -> Option<Duration> {
        self.time().map(|time| time.elapsed().unwrap_or_default())
    }

    /// Whether it may be out of date: it comes from the snapshot file, or nothing newer was read for so long.
    pub fn is_stale(&self, bound: Duration) -> bool {
        self.is_restored() || self.age().is_some_and(|age| age > bound)
    }

    fn done(read: SystemTime, settled: bool) -> Self {
        Self {
            read: Some(read),
            restored: None,
            failure: None,
            settled,
        }
    }
}

/// How long a first load may go on in silence.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// How far the first load of the directory has come. The numbers are those of authentik, which may change meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowsRead {
    /// Users read so far.
    pub users: u64,
    /// Users there are; `None`: not known yet.
    pub users_of: Option<u64>,
    /// Groups there are; `None`: they are not read yet.
    pub groups_of: Option<u64>,
}

impl fmt::Display for RowsRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.users_of, self.groups_of) {
            (None, _) => write!(f, "asking authentik for its users"),
            (Some(of), None) => write!(f, "reading users: {} of {of}", self.users),
            (Some(_), Some(groups)) => write!(f, "reading {groups} groups, after {} users", self.users),
        }
    }
}

/// The progress of the first load, counted where its pages come in.
#[derive(Debug, Default)]
pub struct LoadProgress(Mutex<Counting>);

#[derive(Debug, Default)]
struct Counting {
    progress: RowsRead,
    told: Option<Instant>,
    done: bool,
}

impl LoadProgress {
    /// A page of users came: how many, and how many there are in all.
    pub(super) fn users(&self, received: usize, of: u64) {
        self.count(|progress| {
            let received = u64::try_from(received).unwrap_or(u64::MAX);
            // Pages may be read twice.
            progress.users = progress.users.saturating_add(received).min(of);
            progress.users_of = Some(of);
        });
    }

    /// A page of groups came: how many there are in all.
    pub(super) fn groups(&self, of: u64) {
        self.count(|progress| progress.groups_of = Some(of));
    }

    fn count(&self, change: impl FnOnce(&mut RowsRead)) {
        let mut counting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counting.done {
            return;
        }
        change(&mut counting.progress);
        let now = clock::now();
        let told = *counting.told.get_or_insert(now);
        if now.saturating_duration_since(told) >= TELL_EVERY {
            counting.told = Some(now);
            let RowsRead { users, users_of, .. } = counting.progress;
            let progress = counting.progress.to_string();
            drop(counting);
            tracing::info!(users, users_of, "the first load goes on: {progress}");
        }
    }

    fn current(&self) -> Option<RowsRead> {
        let counting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (!counting.done).then_some(counting.progress)
    }

    fn finish(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).done = true;
    }
}

/// What was loaded from authentik.
#[derive(Debug, Default)]
pub struct Status {
    progress: LoadProgress,
    configuration: Mutex<Load>,
    directory: Mutex<Load>,
}

impl Status {
    /// The outpost's configuration and providers.
    pub fn configuration(&self) -> Load {
        get(&self.configuration)
    }

    /// Users and groups.
    pub fn directory(&self) -> Load {
        get(&self.directory)
    }

    /// How far the first load has come; `None` once it is done.
    pub fn progress(&self) -> Option<RowsRead> {
        self.progress.current()
    }

    pub(super) fn load_progress(&self) -> &LoadProgress {
        &self.progress
    }

    /// Whether the configuration was ever read from authentik.
    pub fn configured(&self) -> bool {
        self.configuration().read.is_some()
    }

    pub(super) fn configuration_loaded(&self, now: SystemTime) {
        set(&self.configuration, Load::done(now, true));
    }

    /// `made`: when the newest look began that the directory reflects.
    pub(super) fn directory_loaded(&self, made: SystemTime, settled: bool) {
        self.progress.finish();
        set(&self.directory, Load::done(made, settled));
    }

    pub(super) fn configuration_restored(&self, read: SystemTime) {
        restore(&self.configuration, read);
    }

    pub(super) fn directory_restored(&self, read: SystemTime) {
        restore(&self.directory, read);
    }

    pub(super) fn configuration_failed(&self, cause: String) {
        fail(&self.configuration, cause);
    }

    pub(super) fn directory_failed(&self, cause: String) {
        fail(&self.directory, cause);
    }
}

fn get(load: &Mutex<Load>) -> Load {
    load.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn set(load: &Mutex<Load>, new: Load) {
    *load.lock().unwrap_or_else(PoisonError::into_inner) = new;
}

fn restore(load: &Mutex<Load>, read: SystemTime) {
    load.lock().unwrap_or_else(PoisonError::into_inner).restored = Some(read);
}

fn fail(load: &Mutex<Load>, cause: String) {
    load.lock().unwrap_or_else(PoisonError::into_inner).failure = Some(cause);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_load_can_be_watched_until_it_is_done() {
        let status = Status::default();
        let text = || status.progress().map(|progress| progress.to_string());
        assert_eq!(text().as_deref(), Some("asking authentik for its users"));
        status.load_progress().users(100, 250);
        assert_eq!(text().as_deref(), Some("reading users: 100 of 250"));
        // The last page is short, and one was read twice.
        for _ in 0..3 {
            status.load_progress().users(100, 250);
        }
        assert_eq!(text().as_deref(), Some("reading users: 250 of 250"));
        status.load_progress().groups(7);
        assert_eq!(text().as_deref(), Some("reading 7 groups, after 250 users"));
        status.directory_loaded(SystemTime::now(), true);
        assert_eq!(text(), None);
        status.load_progress().users(1, 1);
        assert_eq!(text(), None, "later loads are not the first");
    }
}
