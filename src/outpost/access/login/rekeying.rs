//! A session that gets another key: authentik changes it with the password, and the old key ends. The login goes on under the
//! new one, and an end announced for the old one in the meantime is not the login's.
//!
//! Must not know why the key changes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use akldap_authentik::Session;

use super::super::ending::Ending;
use super::{Login, Logins};

/// A login whose session may get another key, until this is dropped.
pub struct Rekeying {
    login: Arc<Login>,
    logins: Arc<Logins>,
}

impl Logins {
    /// Call this before asking authentik for something that changes the key. `None`: that is already under way, or the login
    /// is over.
    pub fn rekey(self: &Arc<Self>, login: &Arc<Login>) -> Option<Rekeying> {
        let _known = self.lock();
        let free = !login.is_over() && !login.rekeying.swap(true, Ordering::AcqRel);
        free.then(|| Rekeying {
            login: Arc::clone(login),
            logins: Arc::clone(self),
        })
    }
}

impl Rekeying {
    /// The session as authentik showed it last.
    pub fn moved_to(&self, session: Session) {
        let (old, new) = (self.login.session().end_id(), session.end_id());
        if session.uid() != self.login.uid() {
            return;
        }
        let mut known = self.logins.lock();
        self.login.proof.opened.moved_to(session);
        if new != old {
            known.alive.remove(&old);
            known.alive.insert(new, Arc::downgrade(&self.login));
        }
    }
}

impl Drop for Rekeying {
    fn drop(&mut self) {
        let ended = {
            let known = self.logins.lock();
            self.login.rekeying.store(false, Ordering::Release);
            known.ended.contains(&self.login.session().end_id())
        };
        if ended {
            self.login.end(Ending::SessionEnded);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{logins, opened};
    use super::*;

    fn login(logins: &Arc<Logins>, sid: &str) -> Arc<Login> {
        logins.grant(opened(logins, sid, logins.heard()).0).unwrap()
    }

    #[tokio::test]
    async fn the_end_of_an_old_key_is_not_the_end_of_the_login() {
        let logins = logins();
        for (announced, moves, over) in [(true, true, false), (true, false, true), (false, false, false)] {
            let login = login(&logins, &format!("old {announced} {moves}"));
            let old = login.session();
            let rekeying = logins.rekey(&login).unwrap();
            assert!(logins.rekey(&login).is_none(), "one after the other");
            assert!(login.has_moved_on_from(&old));
            if announced {
                assert!(!logins.end_session(&old.end_id()));
            }
            let new = Session::for_tests(&format!("new {announced} {moves}"), "uid", None);
            let end_id = new.end_id();
            if moves {
                rekeying.moved_to(new);
            }
            drop(rekeying);
            assert_eq!(login.is_over(), over, "{announced} {moves}");
            assert_eq!(login.has_moved_on_from(&old), moves);
            if moves {
                assert!(logins.end_session(&end_id) && login.is_over());
                assert!(!logins.end_session(&old.end_id()));
            }
        }
    }

    #[tokio::test]
    async fn a_session_of_somebody_else_is_not_taken_over() {
        let logins = logins();
        let login = login(&logins, "own");
        let own = login.session();
        logins
            .rekey(&login)
            .unwrap()
            .moved_to(Session::for_tests("theirs", "another uid", None));
        assert!(!login.has_moved_on_from(&own));
    }
}
