//! What happens to what is kept about a user while the password is being changed here.
//!
//! Must not know how it is changed.

use std::sync::Arc;

use super::BindCache;
use crate::clock;

/// While there is one, nothing is kept or valid for a user; when it ends, whatever was judged meanwhile is void. One that is
/// dropped before its end is known lasts for [`WRITE_ON_ITS_WAY`](super::voids::WRITE_ON_ITS_WAY) more.
pub(in crate::outpost) struct PasswordBeingChanged {
    cache: Arc<BindCache>,
    user_pk: i64,
    after_unknown: bool,
    end_is_known: bool,
}

impl PasswordBeingChanged {
    /// Whether a change of the same password was given up a while ago and may still be written.
    pub(in crate::outpost) fn is_after_unknown(&self) -> bool {
        self.after_unknown
    }

    /// authentik is at work on it no more: the password is the new one, or surely is not.
    pub(in crate::outpost) fn end_is_known(&mut self) {
        self.end_is_known = true;
    }
}

impl Drop for PasswordBeingChanged {
    fn drop(&mut self) {
        self.cache.voids.note(self.user_pk);
        self.cache.let_go_of_user(self.user_pk);
        match self.end_is_known {
            true => self.cache.voids.end(self.user_pk),
            false => self.cache.voids.end_later(self.user_pk, clock::now()),
        }
    }
}

impl BindCache {
    /// The password of a user is about to be changed: what was kept about it is void, and until the returned value is dropped
    /// nothing is kept or valid for that user.
    pub(in crate::outpost) fn change_begins(self: &Arc<Self>, user_pk: i64) -> PasswordBeingChanged {
        let after_unknown = self.voids.is_unknown(user_pk);
        self.voids.begin(user_pk);
        self.let_go_of_user(user_pk);
        PasswordBeingChanged {
            cache: Arc::clone(self),
            user_pk,
            after_unknown,
            end_is_known: false,
        }
    }

    /// What was kept about a user's password, and what was found wrong that may be theirs.
    fn let_go_of_user(&self, user_pk: i64) {
        self.retain(|_, login| login.user_pk() != user_pk);
        self.wrong_secrets.void(user_pk);
    }
}
