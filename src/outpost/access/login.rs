//! One login, and all that are alive: each is known to the list until its last holder lets go. A login is ended here,
//! whoever finds that it must end.
//!
//! Must not know connections, nor what keeps a login.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::outpost::audit;
use crate::outpost::provider::Provider;
use akldap_authentik::{Session, SessionEndId};
use akldap_directory::UserSummary;

use super::ending::Ending;
use super::ends::Ends;
use super::proof::Proof;
use super::review::Review;
use super::session::{Heard, OpenSession, UnneededSession};

pub(super) mod rekeying;

/// How long authentik keeps a session whose cookie names no end (`sessions.unauthenticated_age`, a day by default). It may
/// extend that when the session is used elsewhere; a bind ends anyway.
const SESSION_LIFE: Duration = Duration::from_secs(86_400);

/// authentik's own flow that logs out, for sessions that no provider's unbind flow ends.
const LOGOUT_FLOW: &str = "default-invalidation-flow";

/// A user logged in at one provider. Shared by every connection it bound and, in cached bind mode, by the cache.
pub struct Login {
    proof: Proof,
    /// The user's `uid`, which stays when the session's key changes.
    uid: String,
    /// The session's key is about to change: what is heard about the old one meanwhile says nothing about the login.
    rekeying: AtomicBool,
    ended: CancellationToken,
    ending: OnceLock<Ending>,
    logins: Weak<Logins>,
    /// The user's UUID as a directory first showed it.
    uuid: OnceLock<Uuid>,
    /// A directory did not have the user, and none before it had.
    missed: AtomicBool,
    /// When the session expires. Nothing extends it.
    ends: Instant,
    review: Review,
}

impl Login {
    /// The user's key in authentik.
    pub fn user_pk(&self) -> i64 {
        self.proof.user_pk
    }

    /// The user's `uid`.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// The session in authentik behind this login, as it is now.
    pub fn session(&self) -> Arc<Session> {
        self.proof.opened.session()
    }

    /// Whether an answer about this session says nothing about the login: its key has changed, or is about to.
    pub fn has_moved_on_from(&self, session: &Session) -> bool {
        self.rekeying.load(Ordering::Acquire) || self.session().end_id() != session.end_id()
    }

    /// The provider at which the user logged in.
    pub fn provider(&self) -> &Arc<Provider> {
        self.proof.opened.provider()
    }

    /// The address of the client whose bind made it.
    pub fn client(&self) -> IpAddr {
        self.proof.opened.client()
    }

    /// Whether the whole directory may be searched.
    pub fn may_search_everything(&self) -> bool {
        self.proof.search_everything
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// When its session expires.
    pub fn ends(&self) -> Instant {
        self.ends
    }

    /// When it was last judged, and whether it must be judged again.
    pub fn review(&self) -> &Review {
        &self.review
    }

    /// Ends the login and every connection bound by it.
    pub fn end(&self, ending: Ending) {
        if matches!(ending, Ending::SessionEnded | Ending::SessionExpired) {
            self.proof.opened.note_gone();
        }
        if self.ending.set(ending.clone()).is_ok() {
            let provider = self.provider().name();
            audit::revoked(self.client(), provider, self.user_pk(), &ending);
        }
        self.ended.cancel();
    }

    /// Waits until it is over, and says why.
    pub(super) async fn over(&self) -> Ending {
        tokio::select! {
            biased;
            () = self.ended.cancelled() => {}
            () = tokio::time::sleep_until(self.ends) => self.end(Ending::SessionExpired),
        }
        self.ending.get().cloned().unwrap_or(Ending::SessionEnded)
    }

    /// Remembers the user's UUID, which tells them from somebody else under the same key.
    pub fn recognise(&self, uuid: Option<Uuid>) {
        if let Some(uuid) = uuid {
            let _ = self.uuid.set(uuid);
        }
    }

    /// Looks at the user as the newest directory shows them (`None`: it has no such user) and says why the login must
    /// end, if it must.
    pub fn verdict(&self, user: Option<UserSummary<'_>>) -> Option<Ending> {
        let Some(user) = user else {
            // The reading of the directory may have begun before the user was created: a user never seen has until the next
            // one.
            let deleted = self.uuid.get().is_some() || self.missed.swap(true, Ordering::Relaxed);
            return deleted.then_some(Ending::UserChanged("the user was deleted in authentik"));
        };
        if !user.is_active {
            return Some(Ending::UserChanged("the user was deactivated in authentik"));
        }
        let same = user.uid == self.uid()
            && user
                .uuid
                .is_none_or(|uuid| *self.uuid.get_or_init(|| uuid) == uuid);
        (!same).then_some(Ending::UserChanged("the user was replaced in authentik"))
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
            logins.forget(&self.session().end_id());
        }
    }
}

/// All live logins, by the name under which authentik announces the end of their session.
#[derive(Debug)]
pub struct Logins {
    known: Mutex<KnownLogins>,
    unneeded: mpsc::Sender<UnneededSession>,
    /// Asks for a look at the logins whose review is due.
    due: Notify,
    time_of_day: fn() -> SystemTime,
}

#[derive(Debug, Default)]
struct KnownLogins {
    /// In a fixed order, so that those found together end in the same order each time.
    alive: BTreeMap<SessionEndId, Weak<Login>>,
    /// Sessions that ended before they became a login.
    ended: Ends,
    /// Times in which an announcement may have been lost.
    gaps: u64,
}

impl Logins {
    /// Nobody is logged in yet. Sessions nobody needs any more are put into `unneeded`.
    pub fn new(unneeded: mpsc::Sender<UnneededSession>, time_of_day: fn() -> SystemTime) -> Self {
        Self {
            known: Mutex::default(),
            unneeded,
            due: Notify::new(),
            time_of_day,
        }
    }

    /// The moment to pass to [`open`](Self::open), taken before there is a session that could end.
    pub fn heard(&self) -> Heard {
        Heard(self.lock().gaps)
    }

    /// Takes charge of a session that a flow has just opened; it was begun at `heard`.
    pub fn open(
        &self,
        provider: Arc<Provider>,
        session: Session,
        client: IpAddr,
        heard: Heard,
    ) -> OpenSession {
        OpenSession::new(session, provider, client, heard, self.unneeded.clone())
    }

    /// The same for a session that only shows that a password is right. It is always ended, whatever the provider's unbind
    /// flow.
    pub fn open_proof(
        &self,
        provider: Arc<Provider>,
        session: Session,
        client: IpAddr,
        heard: Heard,
    ) -> OpenSession {
        self.open(provider, session, client, heard).ended_by(LOGOUT_FLOW)
    }

    /// Makes a login of a proof: the one place where success begins. `None` if authentik has announced the end of the
    /// session meanwhile.
    pub fn grant(self: &Arc<Self>, proof: Proof) -> Option<Arc<Login>> {
        let (end_id, heard) = (proof.opened.session().end_id(), proof.opened.heard());
        let left = match proof.opened.session().expires() {
            Some(expires) => expires.duration_since((self.time_of_day)()).unwrap_or_default(),
            None => SESSION_LIFE,
        };
        let now = Instant::now();
        let login = Login {
            uid: proof.opened.session().uid().to_owned(),
            proof,
            rekeying: AtomicBool::new(false),
            ended: CancellationToken::new(),
            ending: OnceLock::new(),
            logins: Arc::downgrade(self),
            uuid: OnceLock::new(),
            missed: AtomicBool::new(false),
            ends: now.checked_add(left).unwrap_or(now + SESSION_LIFE),
            review: Review::new(now.into_std()),
        };
        let mut known = self.lock();
        if known.ended.contains(&end_id) {
            drop(known);
            login.end(Ending::SessionEnded);
            return None;
        }
        let login = Arc::new(login);
        known.alive.insert(end_id, Arc::downgrade(&login));
        if known.gaps != heard.0 {
            // Its end may have been announced in the gap, when it was not among the logins yet.
            login.review.ask();
            self.due.notify_one();
        }
        Some(login)
    }

    /// Ends the login of this session, if it is one of ours.
    pub fn end_session(&self, end_id: &SessionEndId) -> bool {
        let login = {
            let mut known = self.lock();
            let login = known.alive.get(end_id).and_then(Weak::upgrade);
            let login = login.filter(|login| !login.rekeying.load(Ordering::Acquire));
            if login.is_none() && !known.ended.note(*end_id, Instant::now().into_std()) {
                known.gaps += 1;
            }
            login
        };
        login.inspect(|login| login.end(Ending::SessionEnded)).is_some()
    }

    /// Has every login judged again soon: ends may have been announced while nobody was listening. Binds under way are
    /// judged again once they are logins.
    pub fn note_gap(&self) {
        let logins: Vec<Arc<Login>> = {
            let mut known = self.lock();
            known.gaps += 1;
            known.alive.values().filter_map(Weak::upgrade).collect()
        };
        logins.iter().for_each(|login| login.review.ask());
        self.due.notify_one();
    }

    /// Has the logins that `concerned` picks judged again at once, and lets nobody in by them until then.
    pub fn withhold(&self, concerned: impl Fn(&Login) -> bool) {
        let logins = self.alive();
        let mut any = false;
        for login in logins.iter().filter(|login| concerned(login)) {
            login.review.withhold();
            any = true;
        }
        if any {
            self.due.notify_one();
        }
    }

    /// Waits until a login is due for a review.
    pub async fn due(&self) {
        self.due.notified().await;
    }

    /// Every login that is not over.
    pub fn alive(&self) -> Vec<Arc<Login>> {
        // Dropped only after the lock is released: a login that turns out to be the last of its kind takes it again.
        let mut logins: Vec<Arc<Login>> = self.lock().alive.values().filter_map(Weak::upgrade).collect();
        logins.retain(|login| !login.is_over());
        logins
    }

    /// Ends every login for which `verdict` gives a reason. Returns how many.
    pub fn end_where(&self, verdict: impl Fn(&Login) -> Option<Ending>) -> usize {
        let logins = self.alive();
        logins
            .iter()
            .filter_map(|login| verdict(login).map(|ending| login.end(ending)))
            .count()
    }

    fn forget(&self, end_id: &SessionEndId) {
        let mut known = self.lock();
        // A later login may have taken the place; only a dead one is removed.
        if known
            .alive
            .get(end_id)
            .is_some_and(|login| login.strong_count() == 0)
        {
            known.alive.remove(end_id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, KnownLogins> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::ends::MAX_ENDS;
    use super::super::identity::Identity;
    use super::*;
    use crate::metrics::{Metrics, OutpostLabels};
    use akldap_authentik::{AccessCheck, Session};
    use akldap_directory::subschema::EntryAttributes;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn provider() -> Arc<Provider> {
        let settings = serde_json::json!({
            "pk": 1, "name": "ldap", "base_dn": "dc=io", "bind_flow_slug": "f", "application_slug": "a",
        });
        let metrics = Metrics::new(OutpostLabels::new("u", "1", "b"));
        let settings = serde_json::from_value(settings).unwrap();
        Arc::new(Provider::new(settings, Arc::default(), &EntryAttributes::new(), &metrics).unwrap())
    }

    pub(super) fn logins() -> Arc<Logins> {
        Arc::new(Logins::new(mpsc::channel(1).0, SystemTime::now))
    }

    pub(super) fn opened(logins: &Arc<Logins>, sid: &str, heard: Heard) -> (Proof, SessionEndId) {
        let session = Session::for_tests(sid, "uid", None);
        let end_id = session.end_id();
        let access = AccessCheck {
            passing: true,
            has_search_permission: false,
            messages: Vec::new(),
            session_ended: false,
        };
        let opened = logins.open(provider(), session, CLIENT, heard);
        (Proof::new(opened, &access, 1).unwrap(), end_id)
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_without_a_date_ends_a_day_after_the_login() {
        let logins = logins();
        let (proof, _) = opened(&logins, "a", logins.heard());
        let login = logins.grant(proof).unwrap();
        let identity = Arc::new(Identity::new(Arc::clone(&login), String::new()));
        let ended = tokio::spawn(Arc::clone(&identity).ended());
        tokio::time::sleep(SESSION_LIFE - Duration::from_secs(1)).await;
        // However often it was found to be valid.
        let now = Instant::now().into_std();
        login.review().holds(login.review().begin(now));
        assert!(!login.is_over() && !ended.is_finished());
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(login.is_over());
        assert_eq!(ended.await.unwrap(), Ending::SessionExpired);
    }

    #[tokio::test]
    async fn an_end_heard_before_its_login_is_not_lost_however_many_others_come() {
        let logins = logins();
        let end = |number: usize| -> SessionEndId { format!("{number:064x}").parse().unwrap() };
        for strangers in [0, 1_024, MAX_ENDS - 1, MAX_ENDS, 2 * MAX_ENDS] {
            let (proof, end_id) = opened(&logins, &format!("sid{strangers}"), logins.heard());
            assert!(!logins.end_session(&end_id));
            for number in 0..strangers {
                logins.end_session(&end(number + 1 + strangers * 4));
            }
            // It is remembered, or its login is judged before anything else happens.
            if let Some(login) = logins.grant(proof) {
                assert!(strangers >= MAX_ENDS - 1, "{strangers}");
                assert!(login.review().is_due(), "{strangers}");
            }
        }
    }

    #[tokio::test]
    async fn a_gap_has_logins_from_before_it_and_during_it_judged() {
        let logins = logins();
        let grant = |sid: &str, heard| logins.grant(opened(&logins, sid, heard).0).unwrap();
        let before = grant("before", logins.heard());
        let under_way = logins.heard();
        assert!(!before.review().is_due());
        logins.note_gap();
        let (during, after) = (grant("during", under_way), grant("after", logins.heard()));
        assert!(before.review().is_due() && during.review().is_due() && !after.review().is_due());
        logins.due().await;
    }
}
