//! Whose password is being changed: one change per password at a time, so that each is shown to be right before the next.
//! Must not know what a change is.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The users by primary key: as many as there are changes that have a turn or wait for one.
#[derive(Debug, Default)]
pub(super) struct ChangesUnderWay(Mutex<HashSet<i64>>);

/// One of them; another may follow when this is dropped.
#[derive(Debug)]
pub(super) struct Alone {
    user_pk: i64,
    under_way: Arc<ChangesUnderWay>,
}

impl ChangesUnderWay {
    /// Begins one; `None` while another is under way.
    pub(super) fn enter(self: &Arc<Self>, user_pk: i64) -> Option<Alone> {
        let entered = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(user_pk);
        entered.then(|| Alone {
            user_pk,
            under_way: Arc::clone(self),
        })
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let mut users = self.under_way.0.lock().unwrap_or_else(PoisonError::into_inner);
        users.remove(&self.user_pk);
    }
}
