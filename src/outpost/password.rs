//! Changes of passwords, each in the session of whoever asks: one's own by authentik's flow for it, another's by authentik's
//! permission. Neither needs a right of the outpost's own.
//!
//! Knows the order of what a change takes, and that none is called done before the new password was shown to be right. Must not
//! know how requests are written.

mod agent;
mod answer;
mod failure;
mod generated;
mod own;
mod rules;
mod target;
mod under_way;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::clock;
use crate::config::{PasswordChange, PasswordChangeConfig};
use crate::logging::audit::RequestId;
use akldap_authentik::flow::Executor;
use akldap_authentik::{Client, RequestIds};
use akldap_ldap::response::ResultCode;

use super::access::{Identity, Logins, Rekeying};
use super::audit::{ByWhat, ChangeOutcome, PasswordAudit, PasswordChanged};
use super::bind::Origin;
use super::bind::attempt::Attempt;
use super::bind::cache::BindCache;
use super::bind::judge::Judge;
use super::directory::CurrentDirectory;
use super::provider::Provider;
use super::providers::Providers;
use super::release::KnownRelease;

pub use answer::PasswordAnswer;
use failure::{ChangeFailure, unknown};
use target::ChangeTarget;
pub use target::WhosePassword;
use under_way::ChangesUnderWay;

/// Changes passwords.
pub struct PasswordChanges {
    client: Client,
    executor: Arc<Executor>,
    judge: Arc<Judge>,
    release: Arc<KnownRelease>,
    logins: Arc<Logins>,
    cache: Arc<BindCache>,
    directory: Arc<CurrentDirectory>,
    providers: Arc<Providers>,
    under_way: Arc<ChangesUnderWay>,
    audit: PasswordAudit,
}

/// The parts of the outpost that changes need.
pub(super) struct PasswordParts {
    pub(super) client: Client,
    pub(super) executor: Arc<Executor>,
    pub(super) judge: Arc<Judge>,
    pub(super) release: Arc<KnownRelease>,
    pub(super) logins: Arc<Logins>,
    pub(super) cache: Arc<BindCache>,
    pub(super) directory: Arc<CurrentDirectory>,
    pub(super) providers: Arc<Providers>,
}

/// A change that somebody asks for.
pub struct PasswordRequest {
    /// Who asks.
    pub identity: Arc<Identity>,
    /// Whose password it is about.
    pub whose: WhosePassword,
    /// The password of before, if it was given.
    pub old: Option<Zeroizing<Vec<u8>>>,
    /// The new one; one is made up if it was not given.
    pub new: Option<Zeroizing<Vec<u8>>>,
    /// Where the request comes from.
    pub origin: Origin,
    /// What names it in the log.
    pub id: RequestId,
}

/// What a change is carried out with.
struct Change<'a> {
    identity: &'a Arc<Identity>,
    provider: Arc<Provider>,
    target: ChangeTarget,
    old: Option<&'a str>,
    new: Zeroizing<String>,
    origin: Origin,
}

impl PasswordChanges {
    pub(super) fn new(parts: PasswordParts) -> Self {
        Self {
            client: parts.client,
            executor: parts.executor,
            judge: parts.judge,
            release: parts.release,
            logins: parts.logins,
            cache: parts.cache,
            directory: parts.directory,
            providers: parts.providers,
            under_way: Arc::default(),
            audit: PasswordAudit::default(),
        }
    }

    /// Whether any password can be changed at all.
    pub fn is_on(&self) -> bool {
        let providers = self.providers.current();
        providers
            .iter()
            .any(|provider| provider.config().password_change.is_on())
    }

    /// The same of those of a provider, as it is set now.
    pub fn is_on_at(&self, provider: &Provider) -> bool {
        let current = self.providers.current().by_pk(provider.pk());
        let config = current.as_deref().unwrap_or(provider).config();
        config.password_change.is_on()
    }

    /// Writes the records that were counted instead and whose time has come.
    pub(super) fn tell_repeated(&self, now: Instant) {
        self.audit.tell_repeated(now);
    }

    /// Writes all that were counted instead, at the end of the process.
    pub(super) fn tell_all_repeated(&self) {
        self.audit.finish();
    }

    /// Begins a change. It goes on when nobody waits for it any more, so that its outcome is known, unless it waits for its
    /// turn when `left` is cancelled or the answer is dropped.
    pub fn begin(
        self: &Arc<Self>,
        request: PasswordRequest,
        left: CancellationToken,
    ) -> impl Future<Output = PasswordAnswer> + Send + use<> {
        let dropped = left.clone().drop_guard();
        let own = Arc::clone(self);
        let task = tokio::spawn(async move { own.run(request, &left).await });
        async move {
            let answer = task.await.unwrap_or_else(|_| {
                tracing::error!(
                    "a change of a password failed inside akldap: please report this with the lines before it"
                );
                unknown("a change failed inside akldap: see the line before").into()
            });
            drop(dropped);
            answer
        }
    }

    async fn run(&self, request: PasswordRequest, left: &CancellationToken) -> PasswordAnswer {
        let started = clock::now();
        let mut record = record_of(&request);
        let mut kept = None;
        let outcome = self.change(&request, left, &mut record, &mut kept).await;
        record.took = clock::since(started);
        let mut answer = match outcome {
            Ok(generated) => PasswordAnswer::changed(generated),
            Err(failure) => {
                record.outcome = match failure.unknown {
                    true => ChangeOutcome::Unknown,
                    false => ChangeOutcome::Refused,
                };
                record.code = failure.code();
                record.reference = failure.reference().map(str::to_owned);
                failure.cause().clone_into(&mut record.cause);
                failure.into()
            }
        };
        self.audit.ended(&record);
        answer._rekeying = kept;
        answer
    }

    /// Carries a change out. Returns the password if it was made up.
    async fn change(
        &self,
        request: &PasswordRequest,
        left: &CancellationToken,
        record: &mut PasswordChanged,
        kept: &mut Option<Rekeying>,
    ) -> Result<Option<Zeroizing<String>>, ChangeFailure> {
        let identity = &request.identity;
        let provider = self.providers.current().by_pk(identity.provider().pk());
        let provider = provider.ok_or_else(failure::provider_gone)?;
        let PasswordChangeConfig {
            mode,
            agent_min_length,
        } = provider.config().password_change;
        if mode == PasswordChange::Off {
            return Err(failure::off());
        }
        let target = target::resolve(&request.whose, identity, &provider, &self.directory)?;
        record.target = Some((target.pk, target.username.clone()));
        if !target.own && mode != PasswordChange::OwnAndAgents {
            return Err(failure::own_only());
        }
        let old = request.old.as_deref().map(|old| rules::old(old)).transpose()?;
        let (new, generated) = match request.new.as_deref() {
            Some(new) => {
                let new = rules::new(new, &provider, self.release.code_rule())?;
                (Zeroizing::new(new.to_owned()), None)
            }
            None if target.own => return Err(failure::nothing_generated()),
            None => {
                let password = generated::password(agent_min_length)?;
                (password.clone(), Some(password))
            }
        };
        if !target.own {
            rules::long_enough(&new, agent_min_length)?;
        }
        let _alone = self.under_way.enter(target.pk).ok_or_else(failure::under_way)?;
        let _turn = tokio::select! {
            biased;
            turn = self.judge.change_turn(request.origin, &target.username) => turn?,
            () = left.cancelled() => return Err(failure::left()),
        };
        let change = Change {
            identity,
            provider,
            target,
            old,
            new,
            origin: request.origin,
        };
        match change.target.own {
            true => self.change_own(&change, record, kept).await?,
            false => self.change_for(&change, record).await?,
        }
        Ok(generated)
    }

    /// Shows that the new password is the user's by now, whatever was heard of the change itself. `cause` is what was heard.
    async fn prove(&self, change: &Change<'_>, cause: Option<String>) -> Result<(), ChangeFailure> {
        self.cache.void(change.target.pk);
        let attempt = change.attempt(&change.new);
        match self.judge.prove_new(&attempt, &change.target.uid).await {
            Ok(_) => Ok(()),
            Err(refusal) => {
                let heard =
                    cause.unwrap_or_else(|| "authentik said that the password was changed".to_owned());
                let cause = format!(
                    "{heard}; the new one could not be shown to be right: {}",
                    refusal.cause
                );
                Err(unknown(cause))
            }
        }
    }
}

/// What is recorded of a change that has not begun.
fn record_of(request: &PasswordRequest) -> PasswordChanged {
    let identity = &request.identity;
    PasswordChanged {
        request: request.id,
        client: request.origin.client,
        bind_dn: identity.dn().to_owned(),
        user_pk: identity.user_pk(),
        provider: identity.provider().name().to_owned(),
        target: None,
        by: ByWhat::Nothing,
        outcome: ChangeOutcome::Changed,
        code: ResultCode::Success,
        reference: None,
        cause: String::new(),
        took: Duration::ZERO,
    }
}

impl Change<'_> {
    /// A login of the user whose password it is.
    fn attempt(&self, secret: &str) -> Attempt {
        Attempt {
            provider: Arc::clone(&self.provider),
            username: self.target.username.clone(),
            secret: Zeroizing::new(secret.as_bytes().to_vec()),
            client: self.origin,
            asked: RequestIds::default(),
        }
    }
}
