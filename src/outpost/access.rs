//! Who is logged in and what that allows. A [`Login`] can only be made from a [`Proof`], and a proof only from
//! complete answers of authentik; every connection bound by a login ends with it.
//!
//! Must not know how the answers were obtained.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::authentik::{AccessCheck, Session, SessionEndId};
use crate::directory::Viewer;

use super::bind::Goodbye;
use super::providers::Provider;

/// Everything a success stands on: a session in which somebody is logged in, access to the application, and the user's
/// key. There is no other way to a [`Login`].
#[derive(Debug)]
pub struct Proof {
    session: Session,
    user_pk: i64,
    search_everything: bool,
}

impl Proof {
    /// Puts the three answers together; `None` if access does not pass.
    ///
    /// That the session is logged in is shown by its existence: [`Session`] is only made from a cookie that says
    /// `authenticated`.
    pub fn new(session: Session, access: &AccessCheck, user_pk: i64) -> Option<Self> {
        access.passing.then_some(Self {
            session,
            user_pk,
            search_everything: access.has_search_permission,
        })
    }
}

/// Why a login is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// authentik ended the session: logout, removal by an admin, deactivation, deletion.
    SessionEnded,
    /// The user changed in a way that voids earlier binds.
    UserChanged(&'static str),
    /// The application or the search permission is no longer granted.
    AccessLost,
}

impl fmt::Display for Ending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SessionEnded => formatter.write_str("authentik ended the session of this bind: bind again"),
            Self::UserChanged(what) => write!(formatter, "{what}: bind again"),
            Self::AccessLost => formatter.write_str("access changed in authentik: bind again"),
        }
    }
}

/// A user logged in at one provider. Shared by every connection it bound and, in cached bind mode, by the cache.
pub struct Login {
    provider: Arc<Provider>,
    proof: Proof,
    client: IpAddr,
    end_id: SessionEndId,
    ended: CancellationToken,
    ending: OnceLock<Ending>,
    logins: Weak<Logins>,
}

impl Login {
    /// The user's key in authentik.
    pub fn user_pk(&self) -> i64 {
        self.proof.user_pk
    }

    /// The user's `uid`.
    pub fn uid(&self) -> &str {
        self.proof.session.uid()
    }

    /// The session in authentik behind this login.
    pub fn session(&self) -> &Session {
        &self.proof.session
    }

    /// The provider at which the user logged in.
    pub fn provider(&self) -> &Arc<Provider> {
        &self.provider
    }

    /// The address of the client whose bind made it.
    pub fn client(&self) -> IpAddr {
        self.client
    }

    /// Whether the whole directory may be searched.
    pub fn may_search_everything(&self) -> bool {
        self.proof.search_everything
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// Ends the login and every connection bound by it.
    pub fn end(&self, ending: Ending) {
        let _ = self.ending.set(ending);
        self.ended.cancel();
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Login")
            .field("user_pk", &self.user_pk())
            .finish_non_exhaustive()
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        if let Some(logins) = self.logins.upgrade() {
            logins.forget(&self.end_id);
            if self.ending.get() != Some(&Ending::SessionEnded)
                && let Some(flow_slug) = self.provider.settings().unbind_flow_slug.clone()
            {
                let session = self.proof.session.clone();
                logins.say_goodbye(Goodbye {
                    session,
                    flow_slug,
                    client: self.client,
                });
            }
        }
    }
}

/// A connection's identity: a login under the name it was bound with.
#[derive(Debug)]
pub struct Identity {
    login: Arc<Login>,
    dn: String,
}

impl Identity {
    pub(super) fn new(login: Arc<Login>, dn: String) -> Self {
        Self { login, dn }
    }

    /// The name the client bound with.
    pub fn dn(&self) -> &str {
        &self.dn
    }

    /// The user's key in authentik.
    pub fn user_pk(&self) -> i64 {
        self.login.user_pk()
    }

    /// The provider bound to.
    pub fn provider(&self) -> &Arc<Provider> {
        self.login.provider()
    }

    /// Whether the whole directory may be searched.
    pub fn may_search_everything(&self) -> bool {
        self.login.may_search_everything()
    }

    /// What searches show.
    pub fn viewer(&self) -> Viewer {
        if self.may_search_everything() {
            Viewer::Full
        } else {
            Viewer::Own {
                user_pk: self.user_pk(),
            }
        }
    }

    /// Waits until the login is over.
    pub async fn ended(self: Arc<Self>) -> Ending {
        self.login.ended.cancelled().await;
        self.login.ending.get().cloned().unwrap_or(Ending::SessionEnded)
    }
}

/// All logins alive, by the name authentik gives the end of their session.
#[derive(Debug, Default)]
pub struct Logins {
    alive: Mutex<HashMap<SessionEndId, Weak<Login>>>,
    goodbyes: OnceLock<mpsc::Sender<Goodbye>>,
}

impl Logins {
    /// Makes a login of a proof: the one place where success begins.
    pub fn grant(self: &Arc<Self>, provider: Arc<Provider>, proof: Proof, client: IpAddr) -> Arc<Login> {
        let end_id = proof.session.end_id();
        let login = Arc::new(Login {
            provider,
            proof,
            client,
            end_id,
            ended: CancellationToken::new(),
            ending: OnceLock::new(),
            logins: Arc::downgrade(self),
        });
        self.lock().insert(end_id, Arc::downgrade(&login));
        login
    }

    /// Ends the login of this session, if it is one of ours.
    pub fn end_session(&self, end_id: &SessionEndId) -> bool {
        let login = self.lock().get(end_id).and_then(Weak::upgrade);
        login.inspect(|login| login.end(Ending::SessionEnded)).is_some()
    }

    /// Ends every login for which `verdict` gives a reason. Returns how many.
    pub fn end_where(&self, verdict: impl Fn(&Login) -> Option<Ending>) -> usize {
        let logins: Vec<Arc<Login>> = self.lock().values().filter_map(Weak::upgrade).collect();
        let ended = logins
            .iter()
            .filter_map(|login| verdict(login).map(|ending| login.end(ending)));
        ended.count()
    }

    /// How many logins are alive.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Sessions nobody needs any more are ended through this queue.
    pub(super) fn say_goodbye_through(&self, goodbyes: mpsc::Sender<Goodbye>) {
        let _ = self.goodbyes.set(goodbyes);
    }

    fn say_goodbye(&self, goodbye: Goodbye) {
        let full = self
            .goodbyes
            .get()
            .is_some_and(|goodbyes| goodbyes.try_send(goodbye).is_err());
        if full {
            tracing::debug!("too many sessions wait for their unbind flow; one is left to expire");
        }
    }

    fn forget(&self, end_id: &SessionEndId) {
        let mut alive = self.lock();
        // A later login may have taken the place; only a dead one is removed.
        if alive.get(end_id).is_some_and(|login| login.strong_count() == 0) {
            alive.remove(end_id);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<SessionEndId, Weak<Login>>> {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
