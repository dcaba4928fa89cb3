//! Cached bind mode: an equal bind that succeeded is answered from the cache, after what is doubted of it was found out; any
//! number of equal binds that are not kept are judged once.
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
use akldap_authentik::Client;
use akldap_directory::WrongNumber;
use akldap_ldap::response::ResultCode;

use super::attempt::Attempt;
use super::cache::{BindCache, BindKey, Grounds};
use super::judge::Judge;
use super::judgements::{JudgedBind, Judgements, Unsent, in_a_task, internal_error};
use super::parts::BindParts;
use super::recheck::Recheck;
use super::refusal::Refusal;

/// How long a bind that failed waits for word whether authentik is reachable at all, if a cached one could stand in.
const OUTAGE_PATIENCE: Duration = Duration::from_secs(3);

/// What answers binds of providers in cached mode.
pub(super) struct CachedMode {
    judge: Arc<Judge>,
    recheck: Arc<Recheck>,
    judgements: Arc<Judgements>,
    cache: Arc<BindCache>,
    directory: Arc<CurrentDirectory>,
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
    /// The password of an equal cached bind is to be proved again.
    reprove: bool,
}

/// What is known of a bind before authentik is asked.
pub(super) enum Recalled {
    /// An equal one succeeded, and holds.
    Login(Arc<Login>),
    /// An equal one was refused a moment ago.
    Refusal(Refusal),
    /// Nothing that would do.
    Nothing(Uncached),
}

/// What is known about an equal bind that is kept, once it was looked at.
enum KeptStanding {
    /// It still is good.
    Good(Arc<Login>),
    /// Its password is to be proved again.
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
            outage: Arc::clone(&parts.outage),
            client: parts.client.clone(),
            metrics: Arc::clone(&parts.metrics),
            has_grace: config.cache_outage_grace.is_some(),
        }
    }

    /// What is known of an equal bind.
    pub(super) fn recall(&self, key: BindKey, client: IpAddr) -> Recalled {
        if let Some(held) = self.cache.get(&key, client) {
            // While authentik cannot be asked, what was judged stands.
            let doubted = (held.access || held.password) && self.outage.under_way().is_none();
            let reprove = doubted && held.password && self.cache.may_reprove(clock::now());
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
        let Uncached { key, reprove } = uncached;
        let (cache, client) = (&self.cache, attempt.client.client);
        let known = || {
            let held = cache
                .get(&key, client)
                .filter(|held| !(held.access || held.password && reprove));
            held.map(|held| Ok(held.login))
                .or_else(|| cache.refused(&key).map(Err))
        };
        let (own, same) = (Arc::clone(self), Arc::clone(&attempt));
        let joint_key = cache.joint_key(&key);
        let judgement = self.judgements.join(joint_key, known, move |unsent| {
            own.judge_and_keep(same, uncached, unsent)
        });
        match judgement.unless_left(left).await {
            Ok(login) if !cache.counts_for(&login, client) => {
                self.judge.alone(attempt).unless_left(left).await
            }
            Err(refusal) if refusal.result.code == ResultCode::Unavailable => {
                self.kept_after_failure(&key, client).await.ok_or(refusal)
            }
            judged => judged,
        }
    }

    /// Judges a bind that may be cached: by an equal one about which something has to be found out, else by a login.
    /// Dropped before its turn it leaves nothing behind.
    async fn judge_and_keep(
        self: Arc<Self>,
        attempt: Arc<Attempt>,
        Uncached { key, reprove }: Uncached,
        unsent: Unsent,
    ) -> JudgedBind {
        let stands = match self.standing(&key, attempt.client.client, reprove).await {
            KeptStanding::Good(login) => return Ok(login),
            KeptStanding::Doubtful(login) => Some(login),
            KeptStanding::Gone => None,
        };
        let admitted = match self.judge.turn(Arc::clone(&attempt)).await {
            Ok(admitted) => admitted,
            Err(refusal) => return self.refuse_unless(stands, key, refusal),
        };
        let listed = unsent.sent();
        in_a_task(async move {
            let _listed = listed;
            let directory = &self.directory;
            let _watched = directory.watch_changes();
            let (generation, username) = (directory.generation(), &attempt.username);
            let voids = self.cache.voids();
            let Some(shown) = self.directory.sound(self.shown_active(username)) else {
                return self.refuse_unless(stands, key, internal_error());
            };
            match self.judge.log_in(admitted).await {
                Ok(login) => {
                    let looked = directory.generation();
                    let snapshot = directory.snapshot();
                    let grounds = Grounds::new(username, login.user_pk(), snapshot.as_deref());
                    // Whether the name was somebody else's before cannot be told.
                    let Some(grounds) = self.directory.sound(grounds) else {
                        return self.refuse_unless(stands, key, internal_error());
                    };
                    drop(snapshot);
                    // A directory installed during the flow may show a password changed meanwhile: then what the old one
                    // proved must not be kept. That of somebody whom no directory showed before, and whom the login
                    // itself had fetched, shows no such thing.
                    let is_new = shown != Some(login.user_pk());
                    let stood = is_new && grounds.precede(login.session().began());
                    self.cache.insert(key, &login, grounds);
                    let changed = |installed| directory.changed(login.user_pk(), installed);
                    if changed(looked + 1..=directory.generation())
                        || (!stood && changed(generation + 1..=looked))
                        || self.cache.was_voided(login.user_pk(), voids)
                    {
                        self.cache.remove(&key);
                    }
                    Ok(login)
                }
                Err(refusal) => self.refuse_unless(stands, key, refusal),
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

    /// Finds out what has to be found out about an equal bind that is kept.
    async fn standing(&self, key: &BindKey, client: IpAddr, reprove: bool) -> KeptStanding {
        let Some(held) = self.cache.get(key, client) else {
            return KeptStanding::Gone;
        };
        if held.password && reprove {
            // The same code would only be refused: such a bind just ends.
            if !held.login.session().took_code() {
                return KeptStanding::Doubtful(held.login);
            }
        } else if !held.access || self.recheck.is_still_good(&held.login).await {
            return KeptStanding::Good(held.login);
        }
        self.cache.remove(key);
        KeptStanding::Gone
    }

    /// Refuses a bind, unless one `stands` that was to be proved again and nobody could be asked.
    fn refuse_unless(&self, stands: Option<Arc<Login>>, key: BindKey, refusal: Refusal) -> JudgedBind {
        match stands {
            Some(login) if matches!(refusal.result.code, ResultCode::Unavailable | ResultCode::Busy) => {
                self.cache.postpone_proof(&key, clock::now());
                return Ok(login);
            }
            Some(_) => self.cache.remove(&key),
            None => {}
        }
        self.cache.refuse(key, &refusal);
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
