//! Cached bind mode: a bind equal to one that succeeded is answered from the cache, once any doubt about it is resolved; any
//! number of equal binds that are not cached are judged once.
//!
//! Must not know how a bind is judged, nor how long a success is kept.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::BindConfig;
use crate::metrics::{CacheLookup, Metrics};
use crate::outpost::access::Login;
use crate::outpost::directory::CurrentDirectory;
use crate::outpost::outage::Outage;
use crate::outpost::refresh::user_fetch::UserFetch;
use akldap_authentik::Client;
use akldap_directory::WrongNumber;
use akldap_ldap::response::ResultCode;

use super::attempt::Attempt;
use super::cache::{BindCache, BindKey, Grounds};
use super::judge::Judge;
use super::judgements::{JudgedBind, Judgements, SharedJudgement, Unsent, in_a_task, internal_error};
use super::parts::BindParts;
use super::recheck::Recheck;
use super::refusal::Refusal;

/// How long a bind that failed waits to hear whether authentik is reachable at all, if a cached one could take its place.
const OUTAGE_PATIENCE: Duration = Duration::from_secs(3);

/// What answers binds of providers in cached mode.
pub(super) struct CachedMode {
    judge: Arc<Judge>,
    recheck: Arc<Recheck>,
    judgements: Arc<Judgements>,
    cache: Arc<BindCache>,
    directory: Arc<CurrentDirectory>,
    users: Arc<UserFetch>,
    outage: Arc<Outage>,
    client: Client,
    metrics: Arc<Metrics>,
    /// Whether cached binds live longer while authentik cannot be reached.
    has_grace: bool,
}

/// A bind that the cache does not answer.
#[derive(Clone, Copy)]
pub(super) struct Uncached {
    key: BindKey,
    /// The password of an equal cached bind must be proved again.
    reprove: bool,
}

/// What is known of a bind before authentik is asked.
pub(super) enum Recalled {
    /// An equal one succeeded, and is still valid.
    Login(Arc<Login>),
    /// An equal one was refused a moment ago.
    Refusal(Refusal),
    /// Nothing that helps.
    Nothing(Uncached),
}

/// What is known about an equal bind that is kept, once it was looked at.
enum KeptStanding {
    /// It is still good.
    Good(Arc<Login>),
    /// Its password must be proved again.
    Doubtful(Arc<Login>),
    /// There is none.
    Gone,
}

impl CachedMode {
    pub(super) fn new(
        parts: &BindParts,
        config: &BindConfig,
        judge: Arc<Judge>,
        recheck: Arc<Recheck>,
    ) -> Self {
        Self {
            judge,
            recheck,
            judgements: Arc::default(),
            cache: Arc::clone(&parts.cache),
            directory: Arc::clone(&parts.directory),
            users: Arc::clone(&parts.users),
            outage: Arc::clone(&parts.outage),
            client: parts.client.clone(),
            metrics: Arc::clone(&parts.metrics),
            has_grace: config.cache_outage_grace.is_some(),
        }
    }

    /// What is known of an equal bind.
    pub(super) fn recall(&self, key: BindKey, client: IpAddr) -> Recalled {
        if let Some(held) = self.cache.get(&key, client) {
            // While authentik cannot be asked, what was judged stays valid.
            let doubted = (held.access || held.password) && self.outage.under_way().is_none();
            // A bind that comes while an equal one is judged waits for what is found out, and takes no proof away from others.
            let take_reproof = || self.judgements.is_under_way(&key) || self.cache.take_reproof(clock::now());
            let reprove = doubted && held.password && take_reproof();
            if !doubted || !(reprove || held.access) {
                self.metrics.binds().looked_up(CacheLookup::Hit);
                return Recalled::Login(held.login);
            }
            self.metrics.binds().looked_up(CacheLookup::Doubtful);
            return Recalled::Nothing(Uncached { key, reprove });
        }
        if let Some(refusal) = self.cache.refused(&key) {
            self.metrics.binds().looked_up(CacheLookup::Refusal);
            return Recalled::Refusal(refusal);
        }
        let outage = self.outage.under_way();
        if let Some(login) = outage.and_then(|_| self.kept_in_outage(&key, client)) {
            self.metrics.binds().looked_up(CacheLookup::OutageHit);
            return Recalled::Login(login);
        }
        self.metrics.binds().looked_up(CacheLookup::Miss);
        Recalled::Nothing(Uncached { key, reprove: false })
    }

    /// Runs one login for any number of equal binds at once, and keeps its outcome.
    pub(super) async fn log_in(
        self: &Arc<Self>,
        attempt: Arc<Attempt>,
        uncached: Uncached,
        left: &CancellationToken,
    ) -> JudgedBind {
        let (key, client) = (uncached.key, attempt.origin.client);
        let arrived = self.cache.voids();
        let judgement = self.join(&attempt, uncached);
        let mut judged = judgement.unless_left(left).await;
        if judgement.began() < arrived && self.is_outdated(&judged, &attempt.username, judgement.began()) {
            // Those before this bind were judged with a password that may have been changed since. They are off the list by now.
            judged = self.join(&attempt, uncached).unless_left(left).await;
        }
        match judged {
            Ok(login) if !self.cache.counts_for(&login, client) => {
                self.judge.alone(attempt).unless_left(left).await
            }
            Err(refusal) if refusal.result.code == ResultCode::Unavailable => {
                self.kept_after_failure(&key, client).await.ok_or(refusal)
            }
            judged => judged,
        }
    }

    /// Joins those that wait for the same judgement, or begins one.
    fn join(self: &Arc<Self>, attempt: &Arc<Attempt>, uncached: Uncached) -> SharedJudgement {
        let Uncached { key, reprove } = uncached;
        let (cache, client) = (&self.cache, attempt.origin.client);
        let known = || {
            let held = cache
                .get(&key, client)
                .filter(|held| !(held.access || held.password && reprove));
            held.map(|held| Ok(held.login))
                .or_else(|| cache.refused(&key).map(Err))
        };
        let (own, same) = (Arc::clone(self), Arc::clone(attempt));
        self.judgements.join(key, cache.voids(), known, move |unsent| {
            own.judge_and_keep(same, uncached, unsent)
        })
    }

    /// Whether a judgement is about a password that was changed since there were this many changes.
    fn is_outdated(&self, judged: &JudgedBind, username: &str, since: u64) -> bool {
        match judged {
            Ok(login) => self.cache.was_voided(&[login.user_pk()], since),
            Err(refusal) => refusal.repeatable && self.cache.was_voided(&self.called(username), since),
        }
    }

    /// The users that a name may mean, as far as the directory knows; none: it may be anybody.
    fn called(&self, username: &str) -> Vec<i64> {
        let snapshot = self.directory.snapshot();
        let called = snapshot.map(|snapshot| snapshot.users_called(username, None));
        called
            .and_then(|called| self.directory.sound(called))
            .unwrap_or_default()
    }

    /// Judges a bind that may be cached: by an equal one about which something has to be found out, otherwise by a login.
    /// If it is dropped before its turn, it leaves nothing behind.
    async fn judge_and_keep(
        self: Arc<Self>,
        attempt: Arc<Attempt>,
        Uncached { key, reprove }: Uncached,
        unsent: Unsent,
    ) -> JudgedBind {
        // Whatever is found out from here on is useless to others if the password is changed meanwhile.
        let voids = self.cache.voids();
        let stands = match self.standing(&key, attempt.origin.client, reprove).await {
            KeptStanding::Good(login) => return Ok(login),
            KeptStanding::Doubtful(login) => Some(login),
            KeptStanding::Gone => None,
        };
        let admitted = match self.judge.turn(Arc::clone(&attempt)).await {
            Ok(admitted) => admitted,
            Err(refusal) => return self.refuse_unless(stands, (key, voids), &attempt.username, refusal),
        };
        let listed = unsent.sent();
        in_a_task(async move {
            let _listed = listed;
            let directory = &self.directory;
            let _watched = directory.watch_changes();
            let (generation, username) = (directory.generation(), &attempt.username);
            let Some(shown) = self.directory.sound(self.shown_active(username)) else {
                return self.refuse_unless(stands, (key, voids), username, internal_error());
            };
            let called = self.called(username);
            match self.judge.log_in(admitted).await {
                Ok(login) => {
                    let looked = directory.generation();
                    let snapshot = directory.snapshot();
                    let grounds = Grounds::new(username, login.user_pk(), &called, snapshot.as_deref());
                    // Whether the name was somebody else's before is unknown.
                    let Some(grounds) = self.directory.sound(grounds) else {
                        return self.refuse_unless(stands, (key, voids), username, internal_error());
                    };
                    drop(snapshot);
                    // A directory installed during the flow may show a password changed meanwhile: then what the old one
                    // proved must not be kept. A directory with somebody whom none showed before, and whom the login itself had
                    // fetched, shows no such thing.
                    let is_new = shown != Some(login.user_pk());
                    let stood = is_new
                        && grounds
                            .as_ref()
                            .is_some_and(|grounds| grounds.precede(login.session().began()));
                    // If the user was renamed and could not be fetched, a later directory would not tell when this name went: it
                    // would only show the one after it.
                    let known = grounds.filter(|grounds| {
                        grounds.field.is_some()
                            || grounds.password_change.is_none()
                            || self.users.is_up_to_login(login.user_pk(), username)
                    });
                    match known {
                        Some(grounds) => self.cache.insert(key, &login, grounds, voids),
                        None => self.cache.remove(&key),
                    }
                    let changed = |installed| directory.changed(login.user_pk(), installed);
                    // A directory installed since the last look may show another with the name; it was not held against this bind.
                    if directory.generation() > looked || (!stood && changed(generation + 1..=looked)) {
                        self.cache.remove(&key);
                    }
                    Ok(login)
                }
                Err(refusal) => self.refuse_unless(stands, (key, voids), username, refusal),
            }
        })
        .await
    }

    /// The active user whom the directory shows under a login name.
    fn shown_active(&self, username: &str) -> Result<Option<i64>, WrongNumber> {
        let Some(snapshot) = self.directory.snapshot() else {
            return Ok(None);
        };
        let Some(user) = snapshot.user_by_login(username)? else {
            return Ok(None);
        };
        let user = snapshot.user(user)?;
        Ok(user.is_active.then_some(user.pk))
    }

    /// Finds out what has to be known about an equal cached bind.
    async fn standing(&self, key: &BindKey, client: IpAddr, reprove: bool) -> KeptStanding {
        let Some(held) = self.cache.get(key, client) else {
            return KeptStanding::Gone;
        };
        if held.password && reprove {
            // The same code would only be refused: such a bind simply ends.
            if !held.login.session().took_code() {
                return KeptStanding::Doubtful(held.login);
            }
        } else if !held.access || self.recheck.is_still_good(&held.login).await {
            return KeptStanding::Good(held.login);
        }
        self.cache.remove(key);
        KeptStanding::Gone
    }

    /// Refuses a bind that began when there were `voids` password changes, unless one `stands` that had to be proved again and
    /// authentik could not be asked.
    fn refuse_unless(
        &self,
        stands: Option<Arc<Login>>,
        (key, voids): (BindKey, u64),
        username: &str,
        refusal: Refusal,
    ) -> JudgedBind {
        match stands {
            Some(login)
                if matches!(refusal.result.code, ResultCode::Unavailable | ResultCode::Busy)
                    && !self.cache.was_voided(&[login.user_pk()], voids) =>
            {
                self.cache.postpone_proof(&key, clock::now());
                return Ok(login);
            }
            Some(_) => self.cache.remove(&key),
            None => {}
        }
        if refusal.repeatable {
            self.cache.refuse(key, &refusal, self.called(username), voids);
        }
        Err(refusal)
    }

    /// A cached bind that the admin lets live longer while authentik cannot be reached.
    fn kept_in_outage(&self, key: &BindKey, client: IpAddr) -> Option<Arc<Login>> {
        let last_answer = self.client.contact().last_answer();
        self.has_grace
            .then(|| self.cache.get_in_outage(key, client, last_answer))?
    }

    /// The same when a bind could not be judged: whether that is an outage is known a moment later.
    async fn kept_after_failure(&self, key: &BindKey, client: IpAddr) -> Option<Arc<Login>> {
        self.kept_in_outage(key, client)?;
        self.outage.after_failure(OUTAGE_PATIENCE).await?;
        self.kept_in_outage(key, client)
    }
}
