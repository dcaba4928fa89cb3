//! Binds: from a name and a secret to an identity or a refusal. The only place that yields success.
//!
//! Knows bind modes, the order of authentik's answers a success needs, and what each failure means to an LDAP client.
//! Must not know sockets. Every path that is not a complete proof ends in a code other than 0.

mod answer;
mod cache;
mod changes;
mod failures;
mod name;
mod queue;
mod recheck;
mod unbind;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use crate::authentik::flow::{BindRequest, Executor, FlowError, FlowOutcome, Rejection};
use crate::authentik::{self, Mode};
use crate::config::BindConfig;
use crate::directory::Snapshot;
use crate::ldap::response::ResultCode;
use crate::metrics::{Metrics, RejectReason};

pub use answer::BindAnswer;
use answer::Refusal;
use cache::{BindCache, Grounds, Key};
use changes::Changes;
use failures::{FailureLimit, Subject};
use name::{BindName, NameError};
use queue::FlowQueue;
use recheck::Reviews;
pub(super) use unbind::Goodbye;
use unbind::Unbinder;

use super::Outpost;
use super::access::{Identity, Login, Logins, OpenSession, Proof};
use super::providers::Provider;

/// The least time there is for access and identity after a flow that took long. With the time for a turn, for the flow
/// and for a Duo push, this is the longest a bind can take.
const ACCESS_TIME: Duration = Duration::from_secs(10);
/// How long a bind that failed waits for word whether authentik is reachable at all, if a cached one could stand in.
const OUTAGE_PATIENCE: Duration = Duration::from_secs(3);
/// How often expired cached binds are let go of.
const SWEEP_INTERVAL: Duration = Duration::from_secs(2);

/// A simple bind that only authentik can judge.
pub struct PendingBind {
    name: BindName,
    bind_dn: String,
    secret: Zeroizing<Vec<u8>>,
    client: IpAddr,
    /// Its place in the cache, in cached bind mode.
    key: Option<Key>,
    /// The password of an equal cached bind is to be proved again.
    reprove: bool,
}

/// How far a bind gets without waiting.
pub enum Begun {
    /// All the way: it is malformed, limited, or the cache knows it.
    Answered(BindAnswer),
    /// It is to be finished by [`Outpost::finish_bind`].
    Pending(PendingBind),
}

/// What binds need besides the outpost's configuration of the moment.
pub(super) struct BindCore {
    executor: Executor,
    queue: FlowQueue,
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
            queue: FlowQueue::new(
                config.max_concurrent_flows,
                config.flow_queue_limit,
                config.flow_queue_timeout,
            ),
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
            Begun::Pending(pending) => self.finish_bind(pending).await,
        }
    }

    /// Judges a simple bind as far as that takes no waiting. Whatever happens inside, the answer is success only with a
    /// complete proof.
    pub fn begin_bind(&self, bind_dn: &[u8], secret: &[u8], client: IpAddr) -> Begun {
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
                client,
                key,
                reprove,
            }),
        }
    }

    /// Asks authentik about a bind, or waits for an equal one that does so already.
    pub async fn finish_bind(self: &Arc<Self>, pending: PendingBind) -> BindAnswer {
        let PendingBind {
            name,
            bind_dn,
            secret,
            client,
            key,
            reprove,
        } = pending;
        let provider = Arc::clone(&name.provider);
        let judged = match key {
            Some(key) => self.log_in_once(key, name, secret, client, reprove).await,
            None => self.log_in(&provider, &name.username, &secret, client).await,
        };
        match judged {
            Ok(login) => BindAnswer::granted(Identity::new(login, bind_dn), client),
            Err(refusal) => refusal.into_answer(Some(provider), bind_dn, client),
        }
    }

    /// What is known of an equal bind, and whether another try is allowed at all.
    fn recall(&self, name: &BindName, secret: &[u8], client: IpAddr) -> Recalled {
        // Asked before the cache: who guesses must not learn from its answers what authentik would not tell any more.
        if let Err(refusal) = self.within_limits(&name.provider, &name.username, client) {
            return Recalled::Refusal(refusal);
        }
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

    fn within_limits(&self, provider: &Provider, username: &str, client: IpAddr) -> Result<(), Refusal> {
        if !self.binds.failures.is_on() {
            return Ok(());
        }
        self.binds
            .failures
            .check(subjects(provider, username, client), Instant::now())
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
        let name = name::resolve(bind_dn, &providers, self.config.bind.strict_dn).map_err(|error| {
            // Providers of the snapshot file may not be all there are.
            if error == NameError::NoProvider && !self.status.configured() {
                return not_configured();
            }
            let code = match error {
                NameError::Malformed(_) => ResultCode::InvalidDnSyntax,
                NameError::NotUtf8 => ResultCode::InvalidCredentials,
                NameError::NoProvider | NameError::NoUsername | NameError::NotStrict => {
                    ResultCode::InsufficientAccessRights
                }
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
        client: IpAddr,
        reprove: bool,
    ) -> Result<Arc<Login>, Refusal> {
        let (outpost, own_name, own_secret) = (Arc::clone(self), name.clone(), secret.clone());
        let judged = self
            .binds
            .cache
            .single_flight(key, client, reprove, move || async move {
                outpost.judge(key, &own_name, &own_secret, client, reprove).await
            });
        match judged.await {
            Ok(login) if !self.binds.cache.counts_for(&login, client) => {
                self.log_in(&name.provider, &name.username, &secret, client).await
            }
            Err(refusal) if refusal.result.code == ResultCode::Unavailable => {
                self.cached_after_failure(&key, client).await.ok_or(refusal)
            }
            judged => judged,
        }
    }

    /// Judges a bind that may be cached: by an equal one about which something has to be found out, else by a login.
    async fn judge(
        &self,
        key: Key,
        name: &BindName,
        secret: &[u8],
        client: IpAddr,
        reprove: bool,
    ) -> Result<Arc<Login>, Refusal> {
        let cache = &self.binds.cache;
        let mut stands = None;
        if let Some(held) = cache.get(&key, client) {
            if held.password && reprove {
                // The same code would only be refused: such a bind just ends.
                match held.login.session().took_code() {
                    true => cache.remove(&key),
                    false => stands = Some(held.login),
                }
            } else if !held.access || recheck::is_still_good(self, &held.login).await {
                return Ok(held.login);
            } else {
                cache.remove(&key);
            }
        }
        let _under_way = self.binds.changes.begin();
        let generation = self.generation();
        match (
            self.log_in(&name.provider, &name.username, secret, client).await,
            stands,
        ) {
            (Ok(login), _) => {
                let snapshot = self.snapshot();
                let grounds = Grounds::new(&name.username, login.user_pk(), snapshot.as_deref());
                drop(snapshot);
                cache.insert(key, &login, grounds);
                // A directory installed meanwhile may show a password changed while the flow ran: then what the old one
                // proved must not be kept.
                let installed = generation + 1..=self.generation();
                if self.binds.changes.concern(login.user_pk(), installed) {
                    cache.remove(&key);
                }
                Ok(login)
            }
            // Nobody could be asked: what was judged stands.
            (Err(refusal), Some(login))
                if matches!(refusal.result.code, ResultCode::Unavailable | ResultCode::Busy) =>
            {
                cache.postpone_proof(&key, Instant::now());
                Ok(login)
            }
            (Err(refusal), stands) => {
                if stands.is_some() {
                    cache.remove(&key);
                }
                cache.refuse(key, &refusal);
                Err(refusal)
            }
        }
    }

    /// A login that was judged by what its provider was before is judged again.
    fn judge_by_current_provider(&self, login: &Login) {
        let judged_by = login.provider();
        let current = self.providers().by_pk(judged_by.pk());
        if !current.is_some_and(|current| Arc::ptr_eq(&current, judged_by)) {
            self.logins.withhold(|other| std::ptr::eq(other, login));
        }
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

    /// Asks authentik: the flow, then access to the application, then, if the directory does not know, who it is.
    async fn log_in(
        &self,
        provider: &Arc<Provider>,
        username: &str,
        secret: &[u8],
        client: IpAddr,
    ) -> Result<Arc<Login>, Refusal> {
        let heard = self.logins.heard();
        let _turn = self.binds.queue.turn().await?;
        // Others may have failed while this one waited for its turn.
        self.within_limits(provider, username, client)?;
        let started = Instant::now();
        let session = self
            .run_flow(provider, username, secret, client)
            .await
            .inspect_err(|refusal| {
                if refusal.repeatable {
                    self.binds
                        .failures
                        .record(subjects(provider, username, client), Instant::now());
                }
            })?;
        let opened = self.logins.open(Arc::clone(provider), session, client, heard);
        let left = self
            .config
            .bind
            .timeout
            .saturating_sub(started.elapsed())
            .max(ACCESS_TIME);
        let proof = timeout(left, self.prove(opened, provider, client))
            .await
            .map_err(|_| {
                let cause =
                    "authentik took too long to say what the user may do: see its server log and load";
                Refusal::caused(
                    ResultCode::Unavailable,
                    RejectReason::AccessCheckFail,
                    NOT_NOW,
                    cause,
                )
            })??;
        let login = self.logins.grant(proof).ok_or_else(ended_early)?;
        self.judge_by_current_provider(&login);
        // Whom the directory does not know yet, or shows as inactive or under another name, authentik knows better.
        self.fetch_login(login.user_pk(), username).await;
        if let Some(snapshot) = self.snapshot()
            && let Some(user) = snapshot.user_by_pk(login.user_pk())
        {
            login.recognise(snapshot.user(user).uuid);
        }
        Ok(login)
    }

    async fn run_flow(
        &self,
        provider: &Provider,
        username: &str,
        secret: &[u8],
        client: IpAddr,
    ) -> Result<authentik::Session, Refusal> {
        let settings = provider.settings();
        let request = BindRequest {
            flow_slug: &settings.bind_flow_slug,
            username,
            password: secret,
            mfa_support: settings.mfa_support,
            codes: self.code_rule(),
            client_ip: client,
        };
        match self.binds.executor.execute(&request).await {
            Ok(FlowOutcome::Authenticated(session)) => Ok(session),
            Ok(FlowOutcome::Rejected(rejection)) => Err(rejected(&rejection)),
            Err(error) => Err(unjudged(&error)),
        }
    }

    /// Completes the proof for a session in which somebody is logged in.
    async fn prove(
        &self,
        opened: OpenSession,
        provider: &Provider,
        client: IpAddr,
    ) -> Result<Proof, Refusal> {
        let slug = &provider.settings().application_slug;
        let access = self
            .client
            .check_access(opened.session(), provider.pk(), slug, Some(client))
            .await;
        let access = access.map_err(|error| {
            let code = if error.is_transient() {
                ResultCode::Unavailable
            } else {
                ResultCode::Other
            };
            let cause = format!(
                "access to the application could not be checked: {error}; {}",
                error.hint()
            );
            Refusal::caused(code, RejectReason::AccessCheckFail, NOT_NOW, cause)
        })?;
        if access.session_ended {
            return Err(ended_early());
        }
        let user_pk = self.user_pk(opened.session(), client).await?;
        Proof::new(opened, &access, user_pk).ok_or_else(|| {
            let cause = format!("the policies of the application {slug:?} do not let this user in: see its bindings in authentik");
            let text = "this account may not log in here";
            Refusal::caused(ResultCode::InsufficientAccessRights, RejectReason::AccessDenied, text, cause)
        })
    }

    async fn user_pk(&self, session: &authentik::Session, client: IpAddr) -> Result<i64, Refusal> {
        if let Some(snapshot) = self.snapshot()
            && let Some(user) = snapshot.user_by_uid(session.uid())
        {
            return Ok(snapshot.user(user).pk);
        }
        match self.client.users_me(session, Some(client)).await {
            Ok(me) if me.uid == session.uid() && me.is_active => Ok(me.pk),
            Ok(_) => {
                let cause = "authentik named another user than the session's";
                Err(Refusal::caused(
                    ResultCode::OperationsError,
                    RejectReason::UserInfoFail,
                    NOT_IDENTIFIED,
                    cause,
                ))
            }
            Err(error) => {
                let code = if error.is_transient() {
                    ResultCode::Unavailable
                } else {
                    ResultCode::OperationsError
                };
                let cause = format!(
                    "the user could not be identified after the login: {error}; {}",
                    error.hint()
                );
                Err(Refusal::caused(
                    code,
                    RejectReason::UserInfoFail,
                    NOT_IDENTIFIED,
                    cause,
                ))
            }
        }
    }
}

fn ended_early() -> Refusal {
    let text = "authentik ended the session while it was being opened: bind again";
    Refusal::new(ResultCode::Unavailable, RejectReason::FlowError, text)
}

fn not_configured() -> Refusal {
    Refusal::new(
        ResultCode::Unavailable,
        RejectReason::Unavailable,
        "the configuration has not been loaded from authentik yet",
    )
}

/// Whom a failed bind is counted against.
fn subjects(provider: &Provider, username: &str, client: IpAddr) -> [Subject; 2] {
    [Subject::address(client), Subject::name(provider.pk(), username)]
}

/// What is said of a bind that nobody judged.
const NOT_NOW: &str = "authentik cannot judge this login at the moment";
const NOT_IDENTIFIED: &str = "authentik does not say whose login this is";

/// What it means to the client that a flow came to no verdict. Nothing of it blames the password.
fn unjudged(error: &FlowError) -> Refusal {
    let cause = format!("the bind flow could not be run: {error}; {}", error.hint());
    let (code, reason, text) = if error.throttled_for().is_some() {
        (
            ResultCode::Busy,
            RejectReason::Busy,
            "authentik asks to wait with further logins",
        )
    } else if error.is_broken_flow() {
        // To a client an outage: it may let people in whom it knows, and must not count a wrong password.
        let text = "the flow that judges logins is broken";
        (ResultCode::Unavailable, RejectReason::FlowError, text)
    } else if error.is_transient() {
        (ResultCode::Unavailable, RejectReason::FlowError, NOT_NOW)
    } else {
        let text = "the flow that judges logins cannot be run";
        (ResultCode::Other, RejectReason::FlowError, text)
    };
    Refusal::caused(code, reason, text, cause)
}

/// What authentik's refusal means to the client. What the user typed wrong is not told apart, and authentik's words and
/// the names of its stages go to the log.
fn rejected(rejection: &Rejection) -> Refusal {
    let reason = match rejection {
        Rejection::InvalidCredentials { .. } | Rejection::Denied { .. } => RejectReason::InvalidCredentials,
        _ => RejectReason::FlowError,
    };
    let text = match rejection {
        Rejection::Denied { .. } => "authentik denies this login",
        Rejection::UnsupportedStage { .. } => "this login needs a step that LDAP cannot show",
        Rejection::NoCompatibleAuthenticator { offered, code_given } => {
            match offered
                .iter()
                .any(|class| matches!(class.as_str(), "totp" | "static"))
                && !code_given
            {
                true => "this login needs a code: append ;code to the password",
                false => "this login needs a second factor that LDAP cannot ask for",
            }
        }
        _ => "invalid credentials",
    };
    Refusal {
        repeatable: matches!(rejection, Rejection::InvalidCredentials { .. }),
        ..Refusal::caused(
            ResultCode::InvalidCredentials,
            reason,
            text,
            rejection.to_string(),
        )
    }
}
