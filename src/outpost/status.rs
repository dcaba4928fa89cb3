//! How the outpost stands with authentik, for `/ready`: what was loaded, when, and what went wrong last. Knows no
//! policy; whoever asks decides what it means.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::clock;

/// The state of one thing that is loaded again and again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Since when this process has read nothing newer from authentik: what is in use shows everything that changed there
    /// before.
    pub read: Option<SystemTime>,
    /// What is used until then: when an earlier process read it.
    pub restored: Option<SystemTime>,
    /// Why the last try failed, if it did.
    pub failure: Option<String>,
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

    /// Whether it may be out of date: it comes from the snapshot file, or nothing newer was read for this long.
    pub fn is_stale(&self, bound: Duration) -> bool {
        self.is_restored() || self.age().is_some_and(|age| age > bound)
    }

    fn done(read: SystemTime) -> Self {
        Self {
            read: Some(read),
            restored: None,
            failure: None,
        }
    }
}

/// How long a first load may go on silently.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// What the first load is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum LoadPhase {
    /// All users are read.
    #[default]
    Users,
    /// What changed meanwhile is looked at, then the groups are read.
    Changes,
    /// The list of users is read once more: it did not add up with what changed.
    UsersAgain,
}

/// How far the first load of the directory has come. The numbers are authentik's, and may change meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowsRead {
    /// Users read so far.
    pub users: u64,
    /// Users there are; `None`: not known yet.
    pub users_of: Option<u64>,
    /// Groups there are; `None`: they are not read yet.
    pub groups_of: Option<u64>,
    phase: LoadPhase,
}

impl fmt::Display for RowsRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.phase, self.users_of, self.groups_of) {
            (_, None, _) => write!(f, "asking authentik for its users"),
            (LoadPhase::Users, Some(0), _) => write!(f, "authentik shows no users"),
            (LoadPhase::Users, Some(of), _) => write!(f, "reading users: {} of {of}", self.users),
            (LoadPhase::UsersAgain, Some(of), _) => {
                write!(f, "reading users again: {} of {of}", self.users)
            }
            (LoadPhase::Changes, Some(0), None) => write!(f, "authentik shows no users; asking for groups"),
            (LoadPhase::Changes, Some(of), None) => {
                write!(f, "reading what changed while {of} users were read")
            }
            (LoadPhase::Changes, Some(of), Some(groups)) => {
                write!(f, "reading {groups} groups, after {of} users")
            }
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
    /// The end of the list of users came, with which reading all of it begins; it has so many of so many.
    pub(crate) fn users_begun(&self, received: u64, of: u64) {
        self.count(|progress| {
            progress.users_of = Some(of);
            match progress.phase {
                LoadPhase::Users if progress.users == 0 => {}
                LoadPhase::Users | LoadPhase::UsersAgain => progress.phase = LoadPhase::UsersAgain,
                // Or those who came meanwhile: they are at the end, too.
                LoadPhase::Changes => return,
            }
            progress.users = received.min(of);
        });
    }

    /// A further page of the list of users came: how many, and how many there are in all.
    pub(super) fn users(&self, received: u64, of: u64) {
        self.count(|progress| {
            if progress.phase == LoadPhase::Changes {
                progress.phase = LoadPhase::UsersAgain;
                progress.users = 0;
            }
            // Pages may be read twice.
            progress.users = progress.users.saturating_add(received).min(of);
            progress.users_of = Some(of);
        });
    }

    /// How many users there are was asked.
    pub(super) fn users_counted(&self, of: u64) {
        self.count(|progress| {
            progress.users = progress.users.min(of);
            progress.users_of = Some(of);
        });
    }

    /// Users that changed meanwhile came: the list itself is read.
    pub(super) fn users_changed(&self) {
        self.count(|progress| progress.phase = LoadPhase::Changes);
    }

    /// A page of groups came: how many there are in all.
    pub(super) fn groups(&self, of: u64) {
        self.count(|progress| {
            progress.phase = LoadPhase::Changes;
            progress.groups_of = Some(of);
        });
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
            tracing::info!(users, users_of, "the first load is under way: {progress}");
        }
    }

    pub(super) fn current(&self) -> Option<RowsRead> {
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

    pub(crate) fn load_progress(&self) -> &LoadProgress {
        &self.progress
    }

    /// Whether the configuration was ever read from authentik.
    pub fn configured(&self) -> bool {
        self.configuration().read.is_some()
    }

    pub(super) fn configuration_loaded(&self, now: SystemTime) {
        set(&self.configuration, Load::done(now));
    }

    /// `made`: when the newest look began that the directory reflects.
    pub(super) fn directory_loaded(&self, made: SystemTime) {
        self.progress.finish();
        set(&self.directory, Load::done(made));
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
        let progress = status.load_progress();
        let text = || status.progress().map(|progress| progress.to_string());
        assert_eq!(text().as_deref(), Some("asking authentik for its users"));
        progress.users_begun(100, 250);
        assert_eq!(text().as_deref(), Some("reading users: 100 of 250"));
        // The last page is short, and one was read twice.
        for _ in 0..3 {
            progress.users(100, 250);
        }
        assert_eq!(text().as_deref(), Some("reading users: 250 of 250"));
        progress.users_changed();
        assert_eq!(
            text().as_deref(),
            Some("reading what changed while 250 users were read")
        );
        progress.users_counted(251);
        progress.groups(7);
        assert_eq!(text().as_deref(), Some("reading 7 groups, after 251 users"));
        // Who came meanwhile is at the end of the list.
        progress.users_begun(20, 252);
        assert_eq!(text().as_deref(), Some("reading 7 groups, after 252 users"));
        // It does not add up, and is read again.
        progress.users(100, 252);
        assert_eq!(text().as_deref(), Some("reading users again: 100 of 252"));
        progress.users(100, 252);
        assert_eq!(text().as_deref(), Some("reading users again: 200 of 252"));
        progress.users_changed();
        assert_eq!(text().as_deref(), Some("reading 7 groups, after 252 users"));
        status.directory_loaded(SystemTime::now());
        assert_eq!(text(), None);
        progress.users_begun(1, 1);
        assert_eq!(text(), None, "later loads are not the first");
    }

    #[test]
    fn that_there_is_nobody_is_said_of_the_whole_list_alone() {
        let status = Status::default();
        let text = || status.progress().map(|progress| progress.to_string());
        status.load_progress().users_begun(0, 0);
        assert_eq!(text().as_deref(), Some("authentik shows no users"));
        status.load_progress().users_changed();
        assert_eq!(
            text().as_deref(),
            Some("authentik shows no users; asking for groups")
        );
    }
}
