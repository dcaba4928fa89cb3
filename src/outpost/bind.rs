//! Binds: from a name and a secret to an identity or a refusal. The only place that yields success.
//!
//! Knows bind modes, the order of authentik's answers a success needs, and what each failure means to an LDAP client.
//! Must not know sockets. Every path that is not a complete proof ends in a code other than 0.

pub(crate) mod account;
mod answer;
pub(super) mod attempt;
pub(super) mod cache;
mod cached_mode;
mod failures;
pub(super) mod judge;
mod judgements;
mod name;
mod observer;
mod origin;
pub(super) mod parts;
mod policy;
pub(super) mod proved;
mod queue;
mod recheck;
pub(super) mod refusal;
pub(super) mod unbind;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use crate::config::BindConfig;
use crate::logging::audit::RequestId;
use crate::metrics::{RejectReason, Turns};
use akldap_authentik::{Client, Mode, RequestIds};
use akldap_ldap::dn::Name;
use akldap_ldap::response::{LdapResult, ResultCode};

pub use answer::BindAnswer;
use attempt::Attempt;
use cache::BindCache;
use cached_mode::{CachedMode, Recalled, Uncached};
use judge::Judge;
use judgements::internal_error;
use name::{BindName, BindNameError};
use observer::BindObserver;
pub use origin::{NAMED_SOURCES, Origin};
use parts::BindParts;
use recheck::Recheck;
use refusal::{Refusal, not_shown};
use unbind::Unbinder;

use super::access::{Identity, Login, UnneededSession};
use super::directory::CurrentDirectory;
use super::providers::Providers;
use super::status::Status;

/// How often expired cached binds are dropped.
const SWEEP_INTERVAL: Duration = Duration::from_secs(2);

/// Judges binds, and ends what they opened in authentik.
pub struct Binds {
    providers: Arc<Providers>,
    directory: Arc<CurrentDirectory>,
    status: Arc<Status>,
    client: Client,
    cache: Arc<BindCache>,
    judge: Arc<Judge>,
    cached_mode: Arc<CachedMode>,
    recheck: Arc<Recheck>,
    unbinder: Arc<Unbinder>,
    observer: BindObserver,
}

/// A simple bind that only authentik can judge.
pub struct PendingBind {
    name: BindName,
    bind_dn: String,
    secret: Zeroizing<Vec<u8>>,
    origin: Origin,
    /// What the cache lacks for it, in cached bind mode.
    uncached: Option<Uncached>,
}

/// How far a bind gets without waiting.
pub enum Begun {
    /// All the way: it is malformed, or the cache knows it.
    Answered(BindAnswer),
    /// It is to be finished by [`Binds::finish`].
    Pending(PendingBind),
}

impl Binds {
    /// `unneeded` are the sessions that nobody needs any more.
    pub(super) fn new(
        parts: &BindParts,
        config: &BindConfig,
        unneeded: mpsc::Receiver<UnneededSession>,
    ) -> Self {
        let judge = Arc::new(Judge::new(parts, config));
        let recheck = Arc::new(Recheck::new(parts, config));
        let cached_mode = CachedMode::new(parts, config, Arc::clone(&judge), Arc::clone(&recheck));
        let unbinder = Unbinder::new(parts, unneeded, judge.changes().clone());
        Self {
            providers: Arc::clone(&parts.providers),
            directory: Arc::clone(&parts.directory),
            status: Arc::clone(&parts.status),
            client: parts.client.clone(),
            cache: Arc::clone(&parts.cache),
            judge,
            cached_mode: Arc::new(cached_mode),
            recheck,
            unbinder: Arc::new(unbinder),
            observer: BindObserver::new(Arc::clone(&parts.providers), Arc::clone(&parts.metrics)),
        }
    }

    /// What judges passwords.
    pub(super) fn judge(&self) -> &Arc<Judge> {
        &self.judge
    }

    /// Starts what goes on alongside the binds themselves: unbind flows, the re-check of cached binds and their expiry.
    pub(super) fn start(self: &Arc<Self>, tasks: &TaskTracker, shutdown: &CancellationToken) {
        self.unbinder.start(tasks, shutdown);
        self.recheck.start(tasks, shutdown);
        let (binds, shutdown) = (Arc::clone(self), shutdown.clone());
        tasks.spawn(async move {
            loop {
                tokio::select! {
                    biased;
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(SWEEP_INTERVAL) => {
                        binds.cache.sweep(binds.client.contact().last_answer());
                    }
                }
            }
        });
    }

    /// Judges a bind from beginning to end; see [`begin`](Self::begin).
    pub async fn bind(&self, bind_dn: &[u8], secret: &[u8], client: IpAddr) -> BindAnswer {
        match self.begin(bind_dn, secret, client) {
            Begun::Answered(answer) => answer,
            Begun::Pending(pending) => self.finish(pending, CancellationToken::new()).await,
        }
    }

    /// Judges a simple bind as far as that takes no waiting. Whatever happens inside, the answer is success only with a
    /// complete proof.
    pub fn begin(&self, bind_dn: &[u8], secret: &[u8], origin: impl Into<Origin>) -> Begun {
        let origin = origin.into();
        let client = origin.client;
        let shown_dn = || String::from_utf8_lossy(bind_dn).into_owned();
        let refused = |refusal, provider| {
            let answer = BindAnswer::of_refusal(refusal, provider, shown_dn(), client);
            Begun::Answered(answer)
        };
        let name = match self.name(bind_dn, secret) {
            Ok(name) => name,
            Err(refusal) => return refused(refusal, None),
        };
        if self.is_kept_out(&name) {
            return refused(not_shown(), Some(name.provider));
        }
        let uncached = match self.recall(&name, secret, client) {
            None => None,
            Some(Recalled::Login(login)) => {
                return Begun::Answered(self.identified(login, shown_dn(), client));
            }
            Some(Recalled::Refusal(refusal)) => return refused(refusal, Some(name.provider)),
            Some(Recalled::Nothing(uncached)) => Some(uncached),
        };
        Begun::Pending(PendingBind {
            name,
            bind_dn: shown_dn(),
            secret: Zeroizing::new(secret.to_vec()),
            origin,
            uncached,
        })
    }

    /// Whether a name belongs to somebody who may not bind because the provider does not show them: then nobody learns from
    /// the answer, or from the time it takes, whether the password is right.
    fn is_kept_out(&self, name: &BindName) -> bool {
        if name.provider.config().entries.hidden_users_bind {
            return false;
        }
        let (Some(directory), Some(shown)) = (
            self.directory.snapshot(),
            self.directory.in_shape(name.provider.shape()),
        ) else {
            return false;
        };
        let users = self
            .directory
            .sound(directory.users_by_name(name.username.as_bytes()));
        let mut users = users.into_iter().flatten().peekable();
        let is_hidden = |user| {
            let user = self.directory.sound(directory.user(user));
            user.is_some_and(|user| shown.user_by_pk(user.pk).is_none())
        };
        users.peek().is_some() && users.all(is_hidden)
    }

    /// What is known of an equal bind, in cached bind mode.
    fn recall(&self, name: &BindName, secret: &[u8], client: IpAddr) -> Option<Recalled> {
        if name.provider.settings().bind_mode != Mode::Cached {
            return None;
        }
        let key = self.cache.key(&name.provider, &name.username, secret);
        Some(self.cached_mode.recall(key, client))
    }

    /// Asks authentik about a bind, or waits for an equal one that does so already. When `left` is cancelled, because the
    /// client has closed its side, a bind that still waits for its turn is given up.
    pub async fn finish(&self, pending: PendingBind, left: CancellationToken) -> BindAnswer {
        let PendingBind {
            name,
            bind_dn,
            secret,
            origin,
            uncached,
        } = pending;
        let provider = Arc::clone(&name.provider);
        let client = origin.client;
        let Some(name) = self
            .directory
            .sound(name.spelled_by(self.directory.snapshot().as_deref()))
        else {
            return BindAnswer::of_refusal(internal_error(), Some(provider), bind_dn, client);
        };
        let asked = RequestIds::default();
        let attempt = Arc::new(Attempt {
            provider: name.provider,
            username: name.username,
            secret,
            origin,
            asked: asked.clone(),
        });
        let judged = match uncached {
            Some(uncached) => self.cached_mode.log_in(attempt, uncached, &left).await,
            None => self.judge.alone(attempt).unless_left(&left).await,
        };
        let answer = match judged {
            Ok(login) => self.identified(login, bind_dn, client),
            Err(refusal) => BindAnswer::of_refusal(refusal, Some(provider), bind_dn, client),
        };
        answer.after(asked.take())
    }

    /// How many binds wait for their turn at authentik, and for how long, and how many have one.
    pub fn turns(&self) -> Turns {
        self.judge.turns()
    }

    /// Lets somebody in under a name, unless the provider keeps out those it does not show.
    fn identified(&self, login: Arc<Login>, bind_dn: String, client: IpAddr) -> BindAnswer {
        let provider = Arc::clone(login.provider());
        if !provider.config().entries.hidden_users_bind {
            let refusal = match self.directory.shows_in(provider.shape(), login.user_pk()) {
                Some(true) => None,
                Some(false) => Some(not_shown()),
                None => Some(Refusal::new(
                    ResultCode::Unavailable,
                    RejectReason::Unavailable,
                    "the directory is being put into the shape of this provider",
                )),
            };
            if let Some(refusal) = refusal {
                return BindAnswer::of_refusal(refusal, Some(provider), bind_dn, client);
            }
        }
        BindAnswer::granted(Identity::new(login, bind_dn), client)
    }

    /// Counts a finished bind, and records it.
    pub fn observe(&self, request: RequestId, answer: &BindAnswer, took: Duration) {
        self.observer.finished(request, answer, took);
    }

    /// Counts and records a bind that was refused before it was judged.
    pub fn observe_refused(
        &self,
        request: RequestId,
        client: IpAddr,
        bind_dn: &[u8],
        reason: RejectReason,
        result: &LdapResult,
    ) {
        self.observer.refused(request, client, bind_dn, reason, result);
    }

    /// Writes the records that were counted instead and are now due.
    pub(super) fn tell_repeated(&self, now: Instant) {
        self.observer.tell_repeated(now);
    }

    /// Writes all that were counted instead, at the end of the process.
    pub(super) fn tell_all_repeated(&self) {
        self.observer.finish();
    }

    fn name(&self, bind_dn: &[u8], secret: &[u8]) -> Result<BindName, Refusal> {
        if bind_dn.is_empty() {
            let text = "a password was sent without a bind DN";
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
        let providers = self.providers.current();
        if providers.is_empty() && !self.status.configured() {
            return Err(not_configured());
        }
        let snapshot = || self.directory.snapshot();
        let name = name::resolve(&Name::new(bind_dn), &providers, snapshot).map_err(|error| {
            // Providers of the snapshot file may not be all there are.
            if error == BindNameError::NoProvider && !self.status.configured() {
                return not_configured();
            }
            let code = match error {
                BindNameError::Damaged(wrong) => {
                    self.directory.sound::<()>(Err(wrong));
                    return internal_error();
                }
                BindNameError::NotUtf8 => ResultCode::InvalidCredentials,
                // Not invalidDNSyntax: the official outpost answers 50, and monitoring may check for that.
                BindNameError::Malformed(_)
                | BindNameError::NoProvider
                | BindNameError::SeveralProviders
                | BindNameError::NoUsername
                | BindNameError::OnlyDomain
                | BindNameError::NotStrict => ResultCode::InsufficientAccessRights,
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
}

fn not_configured() -> Refusal {
    Refusal::new(
        ResultCode::Unavailable,
        RejectReason::Unavailable,
        "the configuration has not been loaded from authentik yet",
    )
}
