//! Who is logged in and what that allows. A [`Login`] can only be made from a [`Proof`], and a proof only from
//! complete answers of authentik; every connection bound by a login ends with it.
//!
//! Must not know how the answers were obtained.

mod ends;
mod review;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use akldap_authentik::{AccessCheck, Session, SessionEndId};
use akldap_directory::{Snapshot, UserSummary, Viewer};

use super::audit;
use super::bind::Goodbye;
use super::providers::Provider;
use ends::Ends;
pub use review::{Judgement, Review};

/// How long authentik keeps a session whose cookie names no end (`sessions.unauthenticated_age`, a day by default). It
/// may put that off when the session is used elsewhere; a bind ends all the same.
const SESSION_LIFE: Duration = Duration::from_secs(86_400);

/// A session that a bind opened in authentik. When nobody here needs it any more it is ended by the provider's unbind
/// flow, if one is set: a refused or abandoned bind leaves no session behind either.
pub struct OpenSession {
    session: Session,
    provider: Arc<Provider>,
    client: IpAddr,
    logins: Weak<Logins>,
    /// authentik has ended it already.
    gone: AtomicBool,
    /// Since when its end would have been heard.
    heard: Heard,
}

/// A moment in the stream of announcements: until the next gap in it, every end of a session is heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard(u64);

impl fmt::Debug for OpenSession {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("OpenSession")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

impl OpenSession {
    /// The session itself.
    pub fn session(&self) -> &Session {
        &self.session
    }
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        if !self.gone.load(Ordering::Relaxed)
            && let Some(flow_slug) = self.provider.settings().unbind_flow_slug.clone()
            && let Some(logins) = self.logins.upgrade()
        {
            logins.say_goodbye(Goodbye {
                session: self.session.clone(),
                flow_slug,
                client: self.client,
            });
        }
    }
}

/// Everything a success stands on: a session in which somebody is logged in, access to the application, and the user's
/// key. There is no other way to a [`Login`].
#[derive(Debug)]
pub struct Proof {
    opened: OpenSession,
    user_pk: i64,
    search_everything: bool,
}

impl Proof {
    /// Puts the three answers together; `None` if access does not pass.
    ///
    /// That the session is logged in is shown by its existence: [`Session`] is only made from a cookie that says
    /// `authenticated`. That it still is, by the answer about access, which leaves the cookie alone.
    pub fn new(opened: OpenSession, access: &AccessCheck, user_pk: i64) -> Option<Self> {
        (access.passing && !access.session_ended).then_some(Self {
            opened,
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
    /// The session has reached its end.
    SessionExpired,
    /// The user changed in a way that voids earlier binds.
    UserChanged(&'static str),
    /// The application or the search permission is no longer granted.
    AccessLost,
}

impl fmt::Display for Ending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SessionEnded => formatter.write_str("authentik ended the session of this bind: bind again"),
            Self::SessionExpired => {
                formatter.write_str("the session of this bind has reached its end in authentik: bind again")
            }
            Self::UserChanged(what) => write!(formatter, "{what}: bind again"),
            Self::AccessLost => formatter.write_str("access changed in authentik: bind again"),
        }
    }
}

/// A user logged in at one provider. Shared by every connection it bound and, in cached bind mode, by the cache.
pub struct Login {
    proof: Proof,
    end_id: SessionEndId,
    ended: CancellationToken,
    ending: OnceLock<Ending>,
    logins: Weak<Logins>,
    /// The user's UUID as a directory showed it first.
    uuid: OnceLock<Uuid>,
    /// A directory did not have the user, and none before it had.
    missed: AtomicBool,
    /// When the session ends by its own date. Nothing puts it off.
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
        self.session().uid()
    }

    /// The session in authentik behind this login.
    pub fn session(&self) -> &Session {
        self.proof.opened.session()
    }

    /// The provider at which the user logged in.
    pub fn provider(&self) -> &Arc<Provider> {
        &self.proof.opened.provider
    }

    /// The address of the client whose bind made it.
    pub fn client(&self) -> IpAddr {
        self.proof.opened.client
    }

    /// Whether the whole directory may be searched.
    pub fn may_search_everything(&self) -> bool {
        self.proof.search_everything
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// When its session ends by its own date.
    pub fn ends(&self) -> Instant {
        self.ends
    }

    /// When it was last judged, and whether it is to be judged again.
    pub fn review(&self) -> &Review {
        &self.review
    }

    /// Ends the login and every connection bound by it.
    pub fn end(&self, ending: Ending) {
        if matches!(ending, Ending::SessionEnded | Ending::SessionExpired) {
            self.proof.opened.gone.store(true, Ordering::Relaxed);
        }
        if self.ending.set(ending.clone()).is_ok() {
            audit::revoked(self, &ending);
        }
        self.ended.cancel();
    }

    /// Remembers the user's UUID, by which somebody else under the same key is told apart.
    pub fn recognise(&self, uuid: Uuid) {
        if !uuid.is_nil() {
            let _ = self.uuid.set(uuid);
        }
    }

    /// Looks at the user as the newest directory shows them (`None`: it has no such user) and says why the login must
    /// end, if it must.
    pub fn verdict(&self, user: Option<UserSummary<'_>>) -> Option<Ending> {
        let Some(user) = user else {
            // The reading of the directory may have begun before the user was created: a user never seen gets until
            // the next one.
            let deleted = self.uuid.get().is_some() || self.missed.swap(true, Ordering::Relaxed);
            return deleted.then_some(Ending::UserChanged("the user was deleted in authentik"));
        };
        if !user.is_active {
            return Some(Ending::UserChanged("the user was deactivated in authentik"));
        }
        let same = user.uid == self.uid()
            && (user.uuid.is_nil() || *self.uuid.get_or_init(|| user.uuid) == user.uuid);
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
            logins.forget(&self.end_id);
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
        login.review.connect();
        Self { login, dn }
    }

    /// The name the client bound with.
    pub fn dn(&self) -> &str {
        &self.dn
    }

    /// The DN of the user's entry, as this directory shows it to their provider; the name the client bound with if it
    /// does not know the user.
    pub fn entry_dn(&self, directory: Option<&Snapshot>, provider: &Provider) -> Cow<'_, str> {
        directory
            .and_then(|directory| {
                let user = directory.user_by_pk(self.user_pk())?;
                Some(provider.tree().user_dn(directory.user(user).username).into())
            })
            .unwrap_or(Cow::Borrowed(&self.dn))
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
        let login = &self.login;
        tokio::select! {
            () = login.ended.cancelled() => {}
            () = tokio::time::sleep_until(login.ends) => login.end(Ending::SessionExpired),
        }
        login.ending.get().cloned().unwrap_or(Ending::SessionEnded)
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        self.login.review.disconnect();
    }
}

/// All logins alive, by the name authentik gives the end of their session.
#[derive(Debug, Default)]
pub struct Logins {
    known: Mutex<Known>,
    goodbyes: OnceLock<mpsc::Sender<Goodbye>>,
    /// Asks for a look at the logins whose review is due.
    due: Notify,
}

#[derive(Debug, Default)]
struct Known {
    alive: HashMap<SessionEndId, Weak<Login>>,
    /// Sessions that ended before they were a login.
    ended: Ends,
    /// Times in which an announcement may have been lost.
    gaps: u64,
}

impl Logins {
    /// The moment to hand to [`open`](Self::open), taken before there is a session that could end.
    pub fn heard(&self) -> Heard {
        Heard(self.lock().gaps)
    }

    /// Takes charge of a session that a flow has just opened; it was begun at `heard`.
    pub fn open(
        self: &Arc<Self>,
        provider: Arc<Provider>,
        session: Session,
        client: IpAddr,
        heard: Heard,
    ) -> OpenSession {
        OpenSession {
            session,
            provider,
            client,
            logins: Arc::downgrade(self),
            gone: AtomicBool::new(false),
            heard,
        }
    }

    /// Makes a login of a proof: the one place where success begins. `None` if authentik has announced the end of the
    /// session meanwhile.
    pub fn grant(self: &Arc<Self>, proof: Proof) -> Option<Arc<Login>> {
        let (end_id, heard) = (proof.opened.session.end_id(), proof.opened.heard);
        let left = match proof.opened.session.expires() {
            Some(expires) => expires.duration_since(SystemTime::now()).unwrap_or_default(),
            None => SESSION_LIFE,
        };
        let now = Instant::now();
        let login = Login {
            proof,
            end_id,
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
            if login.is_none() && !known.ended.note(*end_id, Instant::now().into_std()) {
                known.gaps += 1;
            }
            login
        };
        login.inspect(|login| login.end(Ending::SessionEnded)).is_some()
    }

    /// Has every login judged again soon: ends may have been announced while nobody could hear them. Binds under way are
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

    /// Has the logins that `concerned` picks judged again at once, and lets nobody in by them before.
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
        // Let go of only after the lock: a login that turns out to be the last of its kind takes it again.
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

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::metrics::{Metrics, OutpostLabels};
    use akldap_directory::subschema::Attributes;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn provider() -> Arc<Provider> {
        let settings = serde_json::json!({
            "pk": 1, "name": "ldap", "base_dn": "dc=io", "bind_flow_slug": "f", "application_slug": "a",
        });
        let metrics = Metrics::new(OutpostLabels::new("u", "1", "b"));
        let settings = serde_json::from_value(settings).unwrap();
        Arc::new(Provider::new(settings, &Attributes::new(), &metrics).unwrap())
    }

    fn opened(logins: &Arc<Logins>, sid: &str, heard: Heard) -> (Proof, SessionEndId) {
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
        let logins = Arc::new(Logins::default());
        let (proof, _) = opened(&logins, "a", logins.heard());
        let login = logins.grant(proof).unwrap();
        let identity = Arc::new(Identity::new(Arc::clone(&login), String::new()));
        let ended = tokio::spawn(Arc::clone(&identity).ended());
        tokio::time::sleep(SESSION_LIFE - Duration::from_secs(1)).await;
        // However often it was found to hold.
        let now = Instant::now().into_std();
        login.review().holds(login.review().begin(now));
        assert!(!login.is_over() && !ended.is_finished());
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(login.is_over());
        assert_eq!(ended.await.unwrap(), Ending::SessionExpired);
    }

    #[tokio::test]
    async fn an_end_heard_before_its_login_is_not_lost_however_many_others_come() {
        let logins = Arc::new(Logins::default());
        let end = |number: usize| -> SessionEndId { format!("{number:064x}").parse().unwrap() };
        for strangers in [0, 1_024, ends::MAX_ENDS - 1, ends::MAX_ENDS, 2 * ends::MAX_ENDS] {
            let (proof, end_id) = opened(&logins, &format!("sid{strangers}"), logins.heard());
            assert!(!logins.end_session(&end_id));
            for number in 0..strangers {
                logins.end_session(&end(number + 1 + strangers * 4));
            }
            // It is remembered, or its login is judged before anything else happens.
            if let Some(login) = logins.grant(proof) {
                assert!(strangers >= ends::MAX_ENDS - 1, "{strangers}");
                assert!(login.review().is_due(), "{strangers}");
            }
        }
    }

    #[tokio::test]
    async fn a_gap_has_the_logins_of_before_and_of_then_judged() {
        let logins = Arc::new(Logins::default());
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
