//! Binds: from a name and a secret to an identity or a refusal. The only place that yields success.
//!
//! Knows bind modes, the order of authentik's answers a success needs, and what each failure means to an LDAP client.
//! Must not know sockets. Every path that is not a complete proof ends in a code other than 0.

mod answer;
mod cache;
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

use crate::authentik::flow::{BindRequest, Executor, FlowOutcome, Rejection};
use crate::authentik::{self, Mode};
use crate::config::BindConfig;
use crate::directory::Snapshot;
use crate::ldap::response::{LdapResult, ResultCode};
use crate::metrics::{Metrics, RejectReason};

pub use answer::BindAnswer;
use answer::Refusal;
use cache::BindCache;
use failures::{FailureLimit, Subject};
use name::{BindName, NameError};
use queue::FlowQueue;
pub(super) use unbind::Goodbye;
use unbind::Unbinder;

use super::Outpost;
use super::access::{Identity, Login, Logins, OpenSession, Proof};
use super::providers::Provider;

/// The least time there is for access and identity after a flow that took long. With the time for a turn, for the flow
/// and for a Duo push, this is the longest a bind can take.
const ACCESS_TIME: Duration = Duration::from_secs(10);
/// How often expired cached binds are let go of.
const SWEEP_INTERVAL: Duration = Duration::from_secs(2);

/// A simple bind as it came.
pub struct BindAttempt {
    name: Vec<u8>,
    secret: Zeroizing<Vec<u8>>,
    client: IpAddr,
}

impl BindAttempt {
    /// A bind with this DN and secret from this address.
    pub fn new(name: &[u8], secret: &[u8], client: IpAddr) -> Self {
        Self {
            name: name.to_vec(),
            secret: Zeroizing::new(secret.to_vec()),
            client,
        }
    }
}

/// What binds need besides the outpost's configuration of the moment.
pub(super) struct BindCore {
    executor: Executor,
    queue: FlowQueue,
    cache: BindCache,
    failures: FailureLimit,
    unbinder: Unbinder,
    metrics: Arc<Metrics>,
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
            cache: BindCache::new(config.cache_max_age, config.negative_window),
            failures: FailureLimit::new(&config.failed),
            unbinder,
            metrics,
        }
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
                () = tokio::time::sleep(SWEEP_INTERVAL) => outpost.binds.cache.sweep(),
            }
        }
    });
}

/// Draws the consequences of a new directory for those already logged in: whoever is gone, deactivated or replaced is
/// logged out; a changed password only voids cached binds.
pub(super) fn snapshot_installed(outpost: &Outpost, snapshot: &Snapshot) {
    let ended = outpost.logins.end_where(|login| {
        login.verdict(
            snapshot
                .user_by_pk(login.user_pk())
                .map(|user| snapshot.user(user)),
        )
    });
    let voided = outpost.binds.cache.retain_unchanged(snapshot);
    if ended > 0 || voided > 0 {
        tracing::info!(
            logins = ended,
            cached_binds = voided,
            "ended because their users changed in authentik"
        );
    }
}

impl Outpost {
    /// Lets authentik plan a bind flow, and learns how it begins.
    pub(super) async fn warm_up(&self, flow_slug: &str) -> Result<(), authentik::flow::FlowError> {
        self.binds.executor.warm_up(flow_slug).await.map(drop)
    }

    /// Judges a bind. Whatever happens inside, the answer is success only with a complete proof.
    pub async fn bind(self: &Arc<Self>, attempt: BindAttempt) -> BindAnswer {
        let bind_dn = String::from_utf8_lossy(&attempt.name).into_owned();
        let name = match self.bind_name(&attempt) {
            Ok(name) => name,
            Err(refusal) => return refusal.into_answer(None).from(bind_dn, attempt.client),
        };
        let provider = Arc::clone(&name.provider);
        match self.judge(&attempt, &name).await {
            Ok(login) => BindAnswer::granted(Identity::new(login, bind_dn.clone())),
            Err(refusal) => refusal.into_answer(Some(provider)),
        }
        .from(bind_dn, attempt.client)
    }

    async fn judge(self: &Arc<Self>, attempt: &BindAttempt, name: &BindName) -> Result<Arc<Login>, Refusal> {
        // Asked before the cache: who guesses must not learn from its answers what authentik would not tell any more.
        self.binds.failures.check(
            subjects(&name.provider, &name.username, attempt.client),
            Instant::now(),
        )?;
        match name.provider.settings().bind_mode {
            Mode::Cached => self.bind_cached(attempt, name).await,
            _ => {
                self.log_in(&name.provider, &name.username, &attempt.secret, attempt.client)
                    .await
            }
        }
    }

    fn bind_name(&self, attempt: &BindAttempt) -> Result<BindName, Refusal> {
        if attempt.name.is_empty() {
            let text = "a password without a bind DN names nobody";
            return Err(Refusal::new(
                ResultCode::InvalidCredentials,
                RejectReason::InvalidCredentials,
                text,
            ));
        }
        if attempt.secret.is_empty() {
            let text = "a bind DN with an empty password is not a login (RFC 4513 section 5.1.2)";
            return Err(Refusal::new(
                ResultCode::UnwillingToPerform,
                RejectReason::InvalidCredentials,
                text,
            ));
        }
        let providers = self.providers();
        if providers.is_empty() && !self.status.configured() {
            let text = "the configuration has not been loaded from authentik yet";
            return Err(Refusal::new(
                ResultCode::Unavailable,
                RejectReason::Unavailable,
                text,
            ));
        }
        let name = name::resolve(&attempt.name, &providers, self.config.bind.strict_dn).map_err(|error| {
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
                bind_dn = %String::from_utf8_lossy(&attempt.name),
                username = name.username,
                "accepted a bind DN that is not cn=<username>,ou=users,<base DN>"
            );
        }
        Ok(name)
    }

    async fn bind_cached(
        self: &Arc<Self>,
        attempt: &BindAttempt,
        name: &BindName,
    ) -> Result<Arc<Login>, Refusal> {
        let key = self
            .binds
            .cache
            .key(&name.provider, &name.username, &attempt.secret);
        if let Some(login) = self.binds.cache.get(&key) {
            self.binds.metrics.bind_cache_hit();
            return Ok(login);
        }
        if let Some(refusal) = self.binds.cache.refused(&key) {
            return Err(refusal);
        }
        self.binds.metrics.bind_cache_miss();
        let outpost = Arc::clone(self);
        let (provider, username) = (Arc::clone(&name.provider), name.username.clone());
        let (secret, client) = (attempt.secret.clone(), attempt.client);
        let judged = self.binds.cache.single_flight(key, move || async move {
            let generation = outpost.generation();
            let judged = outpost.log_in(&provider, &username, &secret, client).await;
            match &judged {
                Ok(login) => {
                    let known = outpost.snapshot().and_then(|snapshot| {
                        let user = snapshot.user_by_pk(login.user_pk())?;
                        snapshot.user(user).password_change_date
                    });
                    outpost.binds.cache.insert(key, login, known);
                    // A directory installed meanwhile may show a password changed while the flow ran: then what the
                    // old one proved must not be kept.
                    if outpost.generation() != generation {
                        outpost.binds.cache.remove(&key);
                    }
                }
                Err(refusal) => outpost.binds.cache.refuse(key, refusal),
            }
            judged
        });
        judged.await
    }

    /// Asks authentik: the flow, then access to the application, then, if the directory does not know, who it is.
    async fn log_in(
        &self,
        provider: &Arc<Provider>,
        username: &str,
        secret: &[u8],
        client: IpAddr,
    ) -> Result<Arc<Login>, Refusal> {
        let _turn = self.binds.queue.turn().await?;
        let subjects = subjects(provider, username, client);
        // Others may have failed while this one waited for its turn.
        self.binds.failures.check(subjects, Instant::now())?;
        let started = Instant::now();
        let session = self
            .run_flow(provider, username, secret, client)
            .await
            .inspect_err(|refusal| {
                if refusal.repeatable {
                    self.binds.failures.record(subjects, Instant::now());
                }
            })?;
        let opened = self.logins.open(Arc::clone(provider), session, client);
        let left = self
            .config
            .bind
            .timeout
            .saturating_sub(started.elapsed())
            .max(ACCESS_TIME);
        let proof = timeout(left, self.prove(opened, provider, client))
            .await
            .map_err(|_| {
                let text = "authentik took too long to say what the user may do: see its server log and load";
                Refusal::new(ResultCode::Unavailable, RejectReason::AccessCheckFail, text)
            })??;
        let login = self.logins.grant(proof).ok_or_else(|| {
            let text = "authentik ended the session while it was being opened: bind again";
            Refusal::new(ResultCode::Unavailable, RejectReason::FlowError, text)
        })?;
        // Whom the directory does not know yet, or shows as inactive, authentik knows better.
        self.fetch_user(login.user_pk()).await;
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
            client_ip: client,
        };
        match self.binds.executor.execute(&request).await {
            Ok(FlowOutcome::Authenticated(session)) => Ok(session),
            Ok(FlowOutcome::Rejected(rejection)) => Err(rejected(&rejection)),
            Err(error) => {
                let code = if error.is_transient() {
                    ResultCode::Unavailable
                } else {
                    ResultCode::Other
                };
                let text = format!("the bind flow could not be run: {error}; {}", error.hint());
                Err(Refusal::new(code, RejectReason::FlowError, text))
            }
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
            let text = format!(
                "access to the application could not be checked: {error}; {}",
                error.hint()
            );
            Refusal::new(code, RejectReason::AccessCheckFail, text)
        })?;
        let user_pk = self.user_pk(opened.session(), client).await?;
        Proof::new(opened, &access, user_pk).ok_or_else(|| {
            let text = format!("the policies of the application {slug:?} do not let this user in: see its bindings in authentik");
            Refusal::new(ResultCode::InsufficientAccessRights, RejectReason::AccessDenied, text)
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
                let text = "authentik named another user than the session's";
                Err(Refusal::new(
                    ResultCode::OperationsError,
                    RejectReason::UserInfoFail,
                    text,
                ))
            }
            Err(error) => {
                let code = if error.is_transient() {
                    ResultCode::Unavailable
                } else {
                    ResultCode::OperationsError
                };
                let text = format!(
                    "the user could not be identified after the login: {error}; {}",
                    error.hint()
                );
                Err(Refusal::new(code, RejectReason::UserInfoFail, text))
            }
        }
    }
}

/// Whom a failed bind is counted against.
fn subjects(provider: &Provider, username: &str, client: IpAddr) -> [Subject; 2] {
    [Subject::address(client), Subject::name(provider.pk(), username)]
}

/// What authentik's refusal means to the client. What the user typed wrong is not told apart.
fn rejected(rejection: &Rejection) -> Refusal {
    let reason = match rejection {
        Rejection::InvalidCredentials { .. } | Rejection::Denied { .. } => RejectReason::InvalidCredentials,
        _ => RejectReason::FlowError,
    };
    let shown = match rejection {
        Rejection::InvalidCredentials { .. } => "invalid credentials".to_owned(),
        other => other.to_string(),
    };
    Refusal {
        result: LdapResult::new(ResultCode::InvalidCredentials, shown),
        reason,
        cause: rejection.to_string(),
        repeatable: matches!(rejection, Rejection::InvalidCredentials { .. }),
    }
}
