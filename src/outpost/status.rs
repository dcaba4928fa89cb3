//! How the outpost stands with authentik, for `/ready`: what was loaded, when, and what went wrong last. Knows no
//! policy; whoever asks decides what it means.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The state of one thing that is loaded again and again.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// When it was last loaded whole.
    pub loaded: Option<Instant>,
    /// Why the last try failed, if it did.
    pub failure: Option<String>,
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

    /// Whether the configuration was ever loaded.
    pub fn configured(&self) -> bool {
        self.configuration().loaded.is_some()
    }

    pub(super) fn configuration_loaded(&self) {
        set(
            &self.configuration,
            Load {
                loaded: Some(Instant::now()),
                failure: None,
            },
        );
    }

    pub(super) fn directory_loaded(&self) {
        set(
            &self.directory,
            Load {
                loaded: Some(Instant::now()),
                failure: None,
            },
        );
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

fn fail(load: &Mutex<Load>, cause: String) {
    load.lock().unwrap_or_else(PoisonError::into_inner).failure = Some(cause);
}
