//! How the outpost stands with authentik, for `/ready`: what was loaded, when, and what went wrong last. Knows no
//! policy; whoever asks decides what it means.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

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

/// What was loaded from authentik.
#[derive(Debug, Default)]
pub struct Status {
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

    /// Whether the configuration was ever read from authentik.
    pub fn configured(&self) -> bool {
        self.configuration().read.is_some()
    }

    pub(super) fn configuration_loaded(&self, now: SystemTime) {
        set(&self.configuration, Load::done(now, true));
    }

    /// `made`: when the newest look began that the directory reflects.
    pub(super) fn directory_loaded(&self, made: SystemTime, settled: bool) {
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
