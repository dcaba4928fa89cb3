//! Binds: from a name and a secret to an identity or a refusal. The only place that yields success.
//!
//! Knows bind modes, the order of authentik's answers a success needs, and what each failure means to an LDAP client.
//! Must not know sockets. Every path that is not a complete proof ends in a code other than 0.

mod answer;
mod attempt;
mod cache;
mod changes;
mod failures;
mod flight;
mod name;
mod origin;
mod queue;
mod recheck;
mod unbind;

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use crate::config::BindConfig;
use crate::metrics::{Metrics, RejectReason};
use akldap_authentik::flow::Executor;
use akldap_authentik::{self as authentik, Mode};
use akldap_directory::Snapshot;
use akldap_ldap::response::ResultCode;

pub use answer::BindAnswer;
use answer::Refusal;
use cache::{BindCache, Grounds, Key};
use changes::Changes;
use failures::FailureLimit;
use flight::{Departure, Flight, Flights, Judged};
use name::{Accepted, BindName, NameError};
pub use origin::{NAMED_SOURCES, Origin};
use queue::FlowQueue;
use recheck::Reviews;
pub(super) use unbind::Goodbye;
use unbind::Unbinder;

use super::Outpost;
use super::access::{Identity, Login, Logins};

/// How long a bind that failed waits for word whether authentik is reachable at all, if a cached one could stand in.
const OUTAGE_PATIENCE: Duration = Duration::from_secs(3);
/// How often expired cached binds are let go of.
const SWEEP_INTERVAL: Duration = Duration::from_secs(2);

/// A simple bind that only authentik can judge.
pub struct PendingBind {
    name: BindName,
    bind_dn: String,
    secret: Zeroizing<Vec<u8>>,
    origin: Origin,
    /// Its place in the cache, in cached bind mode.
    key: Option<Key>,
    /// The password of an equal cached bind is to be proved again.
    reprove: bool,
}

/// What is known about an equal bind that is kept, once it was looked at.
enum Standing {
    /// It still is good.
    Good(Arc<Login>),
    /// Its password is to be proved again.
    Doubtful(Arc<Login>),
    /// There is none.
    Gone,
}

/// How far a bind gets without waiting.
pub enum Begun {
    /// All the way: it is malformed, or the cache knows it.
    Answered(BindAnswer),
    /// It is to be finished by [`Outpost::finish_bind`].
    Pending(PendingBind),
}

/// What binds need besides the outpost's configuration of the moment.
pub(super) struct BindCore {
    executor: Executor,
    queue: Arc<FlowQueue>,
    flights: Arc<Flights>,
    cache: BindCache,
    failures: FailureLimit,
    unbinder: Unbinder,
    metrics: Arc<Metrics>,
    reviews: Reviews,
    changes: Changes,
}

impl BindCore {
    pub(super) fn new(
        executor: Executor,
        config: &BindConfig,
        logins: Arc<Logins>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let unbinder = Unbinder::default();
        logins.say_goodbye_through(unbinder.clone_sender());
        Self {
            executor,
            queue: Arc::new(FlowQueue::new(
                config.max_concurrent_flows,
                config.flow_queue_limit,
                config.flow_queue_timeout,
            )),
            flights: Arc::default(),
            cache: BindCache::new(config),
            failures: FailureLimit::new(&config.failed),
            unbinder,
            metrics,
            reviews: Reviews::new(config.max_concurrent_flows),
            changes: Changes::default(),
        }
    }

    /// The directory was read as a whole or as far as it had changed; it will be again after `next`.
    pub(super) fn directory_read(&self, next: Duration) {
        self.cache.directory_read(Instant::now(), next);
    }

    /// A directory takes the place of another, and `generation` is the number it will have: binds under way are to know
    /// about whom it says something else.
    pub(super) fn note_changes(&self, before: Option<&Snapshot>, snapshot: &Snapshot, generation: u64) {
        self.changes
            .note(generation, || before.map(|before| snapshot.login_changes(before)));
    }
}

/// Starts what goes on beside the binds themselves: unbind flows, the re-check of cached binds and their expiry.
pub(super) fn start(outpost: &Arc<Outpost>, tasks: &TaskTracker, shutdown: &CancellationToken) {
    unbind::start(outpost, tasks, shutdown);
    recheck::start(outpost, tasks, shutdown);
    let (outpost, shutdown) = (Arc::clone(outpost), shutdown.clone());
    tasks.spawn(async move {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(SWEEP_INTERVAL) => {
                    outpost.binds.cache.sweep(outpost.client.contact().last_answer());
                }
            }
        }
    });
}

/// Draws the consequences of a new directory for those already logged in: whoever is gone, deactivated or replaced is
/// logged out; a changed password or name only voids cached binds. `concerns` says whose rows may have changed.
pub(super) fn snapshot_installed(outpost: &Outpost, snapshot: &Snapshot, concerns: impl Fn(i64) -> bool) {
    let ended = outpost.logins.end_where(|login| {
        if !concerns(login.user_pk()) {
            return None;
        }
        login.verdict(
            snapshot
                .user_by_pk(login.user_pk())
                .map(|user| snapshot.user(user)),
        )
    });
    let voided = outpost.binds.cache.retain_unchanged(snapshot, concerns);
    if ended > 0 || voided > 0 {
        tracing::info!(
            logins = ended,
            cached_binds = voided,
            "ended because their users changed in authentik"
        );
    }
}

/// What is known of a bind before authentik is asked.
enum Recalled {
    Login(Arc<Login>),
    Refusal(Refusal),
    Nothing { key: Option<Key>, reprove: bool },
}

impl Outpost {
    /// Lets authentik plan a bind flow, and learns how it begins.
    pub(super) async fn warm_up(&self, flow_slug: &str) -> Result<(), authentik::flow::FlowError> {
        self.binds.executor.warm_up(flow_slug).await.map(drop)
    }

    /// Judges a bind from beginning to end; see [`begin_bind`](Self::begin_bind).
    pub async fn bind(self: &Arc<Self>, bind_dn: &[u8], secret: &[u8], client: IpAddr) -> BindAnswer {
        match self.begin_bind(bind_dn, secret, client) {
            Begun::Answered(answer) => answer,
            Begun::Pending(pending) => self.finish_bind(pending, CancellationToken::new()).await,
        }
    }

    /// Judges a simple bind as far as that takes no waiting. Whatever happens inside, the answer is success only with a
    /// complete proof.
    pub fn begin_bind(&self, bind_dn: &[u8], secret: &[u8], origin: impl Into<Origin>) -> Begun {
        let origin = origin.into();
        let client = origin.client;
        let shown_dn = || String::from_utf8_lossy(bind_dn).into_owned();
        let name = match self.bind_name(bind_dn, secret) {
            Ok(name) => name,
            Err(refusal) => return Begun::Answered(refusal.into_answer(None, shown_dn(), client)),
        };
        match self.recall(&name, secret, client) {
            Recalled::Login(login) => {
                Begun::Answered(BindAnswer::granted(Identity::new(login, shown_dn()), client))
            }
            Recalled::Refusal(refusal) => {
                Begun::Answered(refusal.into_answer(Some(name.provider), shown_dn(), client))
            }
            Recalled::Nothing { key, reprove } => Begun::Pending(PendingBind {
                name,
                bind_dn: shown_dn(),
                secret: Zeroizing::new(secret.to_vec()),
                origin,
                key,
                reprove,
            }),
        }
    }

    /// Asks authentik about a bind, or waits for an equal one that does so already. When `left` is cancelled, because the
    /// client has closed its side, a bind that still waits for its turn is given up.
    pub async fn finish_bind(self: &Arc<Self>, pending: PendingBind, left: CancellationToken) -> BindAnswer {
        let PendingBind {
            name,
            bind_dn,
            secret,
            origin,
            key,
            reprove,
        } = pending;
        let name = name.spelled_by(self.snapshot().as_deref());
        let (provider, client) = (Arc::clone(&name.provider), origin.client);
        let judged = match key {
            Some(key) => self.log_in_once(key, name, secret, origin, reprove, &left).await,
            None => landed(&self.take_off(name, secret, origin), &left).await,
        };
        match judged {
            Ok(login) => BindAnswer::granted(Identity::new(login, bind_dn), client),
            Err(refusal) => refusal.into_answer(Some(provider), bind_dn, client),
        }
    }

    /// What is known of an equal bind.
    fn recall(&self, name: &BindName, secret: &[u8], client: IpAddr) -> Recalled {
        if name.provider.settings().bind_mode != Mode::Cached {
            return Recalled::Nothing {
                key: None,
                reprove: false,
            };
        }
        let key = self.binds.cache.key(&name.provider, &name.username, secret);
        if let Some(held) = self.binds.cache.get(&key, client) {
            // While authentik cannot be asked, what was judged stands.
            let doubted = (held.access || held.password) && self.outage().is_none();
            let reprove = doubted && held.password && self.binds.cache.may_reprove(Instant::now());
            if !doubted || !(reprove || held.access) {
                self.binds.metrics.bind_cache_hit();
                return Recalled::Login(held.login);
            }
            self.binds.metrics.bind_cache_miss();
            return Recalled::Nothing {
                key: Some(key),
                reprove,
            };
        }
        if let Some(refusal) = self.binds.cache.refused(&key) {
            return Recalled::Refusal(refusal);
        }
        if let Some(login) = self.outage().and_then(|_| self.cached_in_outage(&key, client)) {
            self.binds.metrics.bind_cache_hit();
            return Recalled::Login(login);
        }
        self.binds.metrics.bind_cache_miss();
        Recalled::Nothing {
            key: Some(key),
            reprove: false,
        }
    }

    fn bind_name(&self, bind_dn: &[u8], secret: &[u8]) -> Result<BindName, Refusal> {
        if bind_dn.is_empty() {
            let text = "a password without a bind DN names nobody";
            return Err(Refusal::new(
                ResultCode::InvalidCredentials,
                RejectReason::InvalidCredentials,
                text,
            ));
        }
        if secret.is_empty() {
            let text = "a bind DN with an empty password is not a login (RFC 4513 section 5.1.2)";
            return Err(Refusal::new(
                ResultCode::UnwillingToPerform,
                RejectReason::InvalidCredentials,
                text,
            ));
        }
        let providers = self.providers();
        if providers.is_empty() && !self.status.configured() {
            return Err(not_configured());
        }
        let accepted = Accepted {
            strict: self.config.bind.strict_dn,
            bare: self.config.bind.accept_bare_names,
        };
        let name = name::resolve(bind_dn, &providers, accepted, || self.snapshot()).map_err(|error| {
            // Providers of the snapshot file may not be all there are.
            if error == NameError::NoProvider && !self.status.configured() {
                return not_configured();
            }
            let code = match error {
                NameError::NotUtf8 => ResultCode::InvalidCredentials,
                // Not invalidDNSyntax: the official outpost answers 50, and monitoring may look for it.
                NameError::Malformed(_)
                | NameError::NoProvider
                | NameError::SeveralProviders
                | NameError::NoUsername
                | NameError::OnlyDomain
                | NameError::NotStrict => ResultCode::InsufficientAccessRights,
            };
            Refusal::new(code, RejectReason::NoProvider, error.to_string())
        })?;
        if name.lax {
            tracing::debug!(
                bind_dn = %String::from_utf8_lossy(bind_dn),
                username = name.username,
                "accepted a bind DN that is not cn=<username>,ou=users,<base DN>"
            );
        }
        Ok(name)
    }

    /// Runs one login for any number of equal binds at once, and keeps its outcome.
    async fn log_in_once(
        self: &Arc<Self>,
        key: Key,
        name: BindName,
        secret: Zeroizing<Vec<u8>>,
        origin: Origin,
        reprove: bool,
        left: &CancellationToken,
    ) -> Judged {
        let (outpost, own_name, own_secret) = (Arc::clone(self), name.clone(), secret.clone());
        let (cache, client) = (&self.binds.cache, origin.client);
        let known = || {
            let held = cache
                .get(&key, client)
                .filter(|held| !(held.access || held.password && reprove));
            held.map(|held| Ok(held.login))
                .or_else(|| cache.refused(&key).map(Err))
        };
        let flight = self.binds.flights.join(key, known, move |departure| {
            outpost.judge_and_keep(key, own_name, own_secret, origin, reprove, departure)
        });
        match landed(&flight, left).await {
            Ok(login) if !cache.counts_for(&login, client) => {
                landed(&self.take_off(name, secret, origin), left).await
            }
            Err(refusal) if refusal.result.code == ResultCode::Unavailable => {
                self.cached_after_failure(&key, client).await.ok_or(refusal)
            }
            judged => judged,
        }
    }

    /// Begins to judge a bind that nothing is kept of.
    fn take_off(self: &Arc<Self>, name: BindName, secret: Zeroizing<Vec<u8>>, origin: Origin) -> Flight {
        let outpost = Arc::clone(self);
        Flight::alone(move |departure| async move {
            let attempt = outpost.turn(name, secret, origin).await?;
            let landing = departure.sent();
            in_a_task(async move {
                let _landing = landing;
                outpost.log_in(attempt).await
            })
            .await
        })
    }

    /// The active user whom the directory shows under a login name.
    fn shown_active(&self, username: &str) -> Option<i64> {
        let snapshot = self.snapshot()?;
        let user = snapshot.user(snapshot.user_by_login(username)?);
        user.is_active.then_some(user.pk)
    }

    /// Judges a bind that may be cached: by an equal one about which something has to be found out, else by a login.
    /// Dropped before its turn it leaves nothing behind.
    async fn judge_and_keep(
        self: Arc<Self>,
        key: Key,
        name: BindName,
        secret: Zeroizing<Vec<u8>>,
        origin: Origin,
        reprove: bool,
        departure: Departure,
    ) -> Judged {
        let stands = match self.standing(&key, origin.client, reprove).await {
            Standing::Good(login) => return Ok(login),
            Standing::Doubtful(login) => Some(login),
            Standing::Gone => None,
        };
        let attempt = match self.turn(name, secret, origin).await {
            Ok(attempt) => attempt,
            Err(refusal) => return self.refuse_unless(stands, key, refusal),
        };
        let landing = departure.sent();
        in_a_task(async move {
            let _landing = landing;
            let _under_way = self.binds.changes.begin();
            let (generation, username) = (self.generation(), attempt.name.username.clone());
            let shown = self.shown_active(&username);
            match self.log_in(attempt).await {
                Ok(login) => {
                    let looked = self.generation();
                    let snapshot = self.snapshot();
                    let grounds = Grounds::new(&username, login.user_pk(), snapshot.as_deref());
                    drop(snapshot);
                    // A directory installed during the flow may show a password changed meanwhile: then what the old one
                    // proved must not be kept. That of somebody whom no directory showed before, and whom the login
                    // itself had fetched, shows no such thing.
                    let is_new = shown != Some(login.user_pk());
                    let stood = is_new && grounds.precede(login.session().began());
                    self.binds.cache.insert(key, &login, grounds);
                    let changed = |installed| self.binds.changes.concern(login.user_pk(), installed);
                    if changed(looked + 1..=self.generation()) || (!stood && changed(generation + 1..=looked))
                    {
                        self.binds.cache.remove(&key);
                    }
                    Ok(login)
                }
                Err(refusal) => self.refuse_unless(stands, key, refusal),
            }
        })
        .await
    }

    /// Finds out what has to be found out about an equal bind that is kept.
    async fn standing(&self, key: &Key, client: IpAddr, reprove: bool) -> Standing {
        let cache = &self.binds.cache;
        let Some(held) = cache.get(key, client) else {
            return Standing::Gone;
        };
        if held.password && reprove {
            // The same code would only be refused: such a bind just ends.
            if !held.login.session().took_code() {
                return Standing::Doubtful(held.login);
            }
        } else if !held.access || recheck::is_still_good(self, &held.login).await {
            return Standing::Good(held.login);
        }
        cache.remove(key);
        Standing::Gone
    }

    /// Refuses a bind, unless one `stands` that was to be proved again and nobody could be asked.
    fn refuse_unless(&self, stands: Option<Arc<Login>>, key: Key, refusal: Refusal) -> Judged {
        let cache = &self.binds.cache;
        match stands {
            Some(login) if matches!(refusal.result.code, ResultCode::Unavailable | ResultCode::Busy) => {
                cache.postpone_proof(&key, Instant::now());
                return Ok(login);
            }
            Some(_) => cache.remove(&key),
            None => {}
        }
        cache.refuse(key, &refusal);
        Err(refusal)
    }

    /// A cached bind that the admin lets live longer while authentik cannot be reached.
    fn cached_in_outage(&self, key: &Key, client: IpAddr) -> Option<Arc<Login>> {
        self.config.bind.cache_outage_grace?;
        self.binds
            .cache
            .get_in_outage(key, client, self.client.contact().last_answer())
    }

    /// The same when a bind could not be judged: whether that is an outage is known a moment later.
    async fn cached_after_failure(&self, key: &Key, client: IpAddr) -> Option<Arc<Login>> {
        self.cached_in_outage(key, client)?;
        self.outage_after_failure(OUTAGE_PATIENCE).await?;
        self.cached_in_outage(key, client)
    }
}

fn not_configured() -> Refusal {
    Refusal::new(
        ResultCode::Unavailable,
        RejectReason::Unavailable,
        "the configuration has not been loaded from authentik yet",
    )
}

/// Waits for the outcome of a judgement; one that waits for its turn is given up when the client has `left`.
async fn landed(flight: &Flight, left: &CancellationToken) -> Judged {
    let mut judged = std::pin::pin!(flight.judged());
    tokio::select! {
        biased;
        judged = &mut judged => judged,
        () = left.cancelled() => if flight.is_sent() {
            judged.await
        } else {
            Err(Refusal::new(ResultCode::Busy, RejectReason::Busy, "the client left before its turn"))
        },
    }
}

/// Goes on with what authentik has heard of whether or not somebody waits for it, so that its outcome is known. Of such
/// tasks there are no more than turns, and those of new users who are being fetched.
async fn in_a_task(judgement: impl Future<Output = Judged> + Send + 'static) -> Judged {
    tokio::spawn(judgement)
        .await
        .unwrap_or_else(|_| Err(flight::internal_error()))
}
