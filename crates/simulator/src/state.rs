//! Everything that changes while a simulator runs.

use std::sync::{Arc, RwLock};

use super::directory::Directory;
use super::sessions::Sessions;

/// The directory, and who is logged in.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) directory: Directory,
    pub(crate) sessions: Sessions,
}

pub(crate) type Shared = Arc<RwLock<State>>;
