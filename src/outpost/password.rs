//! Password changes, each in the session of whoever asks: one's own through authentik's flow for it, another's through authentik's
//! permission. Neither needs any right of the outpost itself.
//!
//! Knows the steps of a change and their order, and that none is reported as done before the new password was shown to be right.
//! Must not know how requests are written.

mod agent;
mod answer;
mod change;
mod failure;
mod generated;
mod own;
mod request;
mod rules;
mod shown;
mod target;
mod unbegun;
mod under_way;

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::clock;
use crate::config::{PasswordChange, PasswordChangeConfig};
use akldap_authentik::flow::Executor;
use akldap_authentik::{Client, Secrets};
use akldap_ldap::response::ResultCode;

use super::access::{Logins, Rekeying};
use super::audit::{ChangeOutcome, PasswordAudit, PasswordChanged};
use super::bind::cache::BindCache;
use super::bind::judge::Judge;
use super::bind::proved::ProvedPassword;
use super::directory::CurrentDirectory;
use super::provider::Provider;
use super::providers::Providers;
use super::release::KnownRelease;

use agent::OthersPasswords;
pub use answer::PasswordAnswer;
use change::RequestedChange;
use failure::{ChangeFailure, not_judged, unknown};
use own::OwnPasswords;
pub use request::{PasswordRequest, RefusedRequest};
use shown::NewPasswords;
pub use target::WhosePassword;
use target::{ChangeTarget, NamedUser};
use under_way::ChangesUnderWay;

/// Changes passwords.
pub struct PasswordChanges {
    own: OwnPasswords,
    others: OthersPasswords,
    new_passwords: Arc<NewPasswords>,
    judge: Arc<Judge>,
    release: Arc<KnownRelease>,
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

/// A change that somebody may ask for.
struct AdmittedChange {
    provider: Arc<Provider>,
    target: ChangeTarget,
    /// The shortest password that an agent may set, in characters.
    agent_min_length: usize,
}

impl PasswordChanges {
    pub(super) fn new(parts: PasswordParts) -> Self {
        let new_passwords = Arc::new(NewPasswords {
            client: parts.client.clone(),
            judge: Arc::clone(&parts.judge),
        });
        Self {
            own: OwnPasswords {
                executor: parts.executor,
                logins: parts.logins,
                new_passwords: Arc::clone(&new_passwords),
            },
            others: OthersPasswords {
                client: parts.client,
                new_passwords: Arc::clone(&new_passwords),
            },
            new_passwords,
            judge: parts.judge,
            release: parts.release,
            cache: parts.cache,
            directory: parts.directory,
            providers: parts.providers,
            under_way: Arc::default(),
            audit: PasswordAudit::default(),
        }
    }

    /// Refuses passwords that are longer than anybody's, before they are copied.
    ///
    /// # Errors
    /// What is answered then.
    pub fn lengths(old: Option<&[u8]>, new: Option<&[u8]>) -> Result<(), PasswordAnswer> {
        rules::lengths(old, new).map_err(PasswordAnswer::from)
    }

    /// Records a request that is refused before it is begun.
    pub fn refused(&self, refused: &RefusedRequest<'_>) {
        self.audit.ended(&unbegun::refused(refused, &self.directory));
    }

    /// Whether any password can be changed at all.
    pub fn is_on(&self) -> bool {
        let providers = self.providers.current();
        providers
            .iter()
            .any(|provider| provider.config().password_change.is_on())
    }

    /// Whether one may be as soon as authentik has named the providers, which it has not yet.
    pub fn may_be_on_later(&self) -> bool {
        self.providers.are_awaited() && self.providers.any_config(|config| config.password_change.is_on())
    }

    /// Whether any of a provider's can, as it is set now.
    pub fn is_on_at(&self, provider: &Provider) -> bool {
        let current = self.providers.current().by_pk(provider.pk());
        let config = current.as_deref().unwrap_or(provider).config();
        config.password_change.is_on()
    }

    /// Writes the records that were counted instead and are now due.
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
        let token = self.judge.changes().token();
        let task = tokio::spawn(async move {
            let _under_way = token;
            own.run(request, &left).await
        });
        async move {
            let answer = task.await.unwrap_or_else(|_| {
                tracing::error!(
                    "a password change failed because of an internal error: please report this line and \
                     those before it"
                );
                unknown("a change failed because of an internal error: see the previous line").into()
            });
            drop(dropped);
            answer
        }
    }

    async fn run(&self, request: PasswordRequest, left: &CancellationToken) -> PasswordAnswer {
        let started = clock::now();
        let (mut record, admitted) = {
            let whose = request.whose.named();
            let mut record = unbegun::record_of(&request, &whose, &self.directory);
            let admitted = self.admit(&request, &whose, &mut record);
            (record, admitted)
        };
        let (mut generated, mut kept) = (None, None);
        let outcome = match admitted {
            Ok(admitted) => {
                self.change(&request, admitted, left, &mut record, &mut generated, &mut kept)
                    .await
            }
            Err(failure) => Err(failure),
        };
        record.took = clock::since(started);
        let mut answer = match outcome {
            Ok(()) => PasswordAnswer::changed(generated),
            Err(mut failure) => {
                let made_up = generated.as_ref().map(|made_up| made_up.as_bytes());
                let given = [request.old.as_deref(), request.new.as_deref()];
                let given = given.into_iter().flatten().map(Vec::as_slice);
                // Before a code the password is sent by itself.
                let parts = request
                    .old
                    .iter()
                    .flat_map(|old| old.rsplitn(2, |octet| *octet == b';'));
                failure.strike(&Secrets::of(given.chain(parts).chain(made_up)));
                // A password that nobody else knows is disclosed if it may be in force.
                let generated = generated.filter(|_| failure.unknown);
                let failure = match generated {
                    Some(_) => failure.of_made_up(),
                    None => failure,
                };
                record.outcome = match failure.unknown {
                    true => ChangeOutcome::Unknown,
                    false => ChangeOutcome::Refused,
                };
                record.code = failure.code();
                record.reference = failure.reference().map(str::to_owned);
                failure.cause().clone_into(&mut record.cause);
                PasswordAnswer {
                    generated,
                    ..failure.into()
                }
            }
        };
        self.audit.ended(&record);
        answer._rekeying = kept;
        answer
    }

    /// Finds out whom a request is about, and whether anybody may change that password.
    fn admit(
        &self,
        request: &PasswordRequest,
        whose: &NamedUser<'_>,
        record: &mut PasswordChanged,
    ) -> Result<AdmittedChange, ChangeFailure> {
        // Nobody would end the sessions that it opens.
        if self.judge.changes().is_closed() {
            return Err(failure::process_ending());
        }
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
        let target = target::resolve(whose, identity, &provider, &self.directory)?;
        (record.target, record.target_name) = (Some(target.pk), Some(target.username.clone()));
        if !target.own && mode != PasswordChange::OwnAndAgents {
            return Err(failure::own_only());
        }
        Ok(AdmittedChange {
            provider,
            target,
            agent_min_length,
        })
    }

    /// Carries a change out. `generated` is the password if it is generated here.
    async fn change(
        &self,
        request: &PasswordRequest,
        admitted: AdmittedChange,
        left: &CancellationToken,
        record: &mut PasswordChanged,
        generated: &mut Option<Zeroizing<String>>,
        kept: &mut Option<Rekeying>,
    ) -> Result<(), ChangeFailure> {
        let AdmittedChange {
            provider,
            target,
            agent_min_length,
        } = admitted;
        let old = request.old.as_deref().map(|old| rules::old(old)).transpose()?;
        let new = match request.new.as_deref() {
            Some(new) => {
                let new = rules::new(new, &provider, self.release.code_rule())?;
                Zeroizing::new(new.to_owned())
            }
            None if target.own => return Err(failure::nothing_generated()),
            None => generated.insert(generated::password(agent_min_length)?).clone(),
        };
        if !target.own {
            rules::long_enough(&new, agent_min_length)?;
        }
        let change = RequestedChange {
            identity: &request.identity,
            provider,
            target,
            old,
            new,
            origin: request.origin,
        };
        if let Some(refusal) = change
            .old_key(&self.cache)
            .and_then(|key| self.cache.refused(&key))
        {
            return Err(not_judged(refusal, ResultCode::Unavailable));
        }
        let target = &change.target;
        let _alone = self.under_way.enter(target.pk).ok_or_else(failure::under_way)?;
        let _turn = tokio::select! {
            biased;
            turn = self.judge.change_turn(request.origin, &target.username) => turn?,
            () = left.cancelled() => return Err(failure::left()),
        };
        let proved = self.prove_old(&change).await?;
        let before = self.new_passwords.date_before(target).await?;
        // What is kept about the old password is not valid from the moment it may have changed until it is known which one is in
        // force.
        let mut void = self.cache.change_begins(target.pk);
        let after_unknown = void.is_after_unknown();
        let end = match target.own {
            true => {
                self.own
                    .change(&change, proved, before, after_unknown, record, kept)
                    .await
            }
            false => self.others.change(&change, before, record).await,
        };
        if end.as_ref().is_err_and(|failure| failure.unknown) {
            return end;
        }
        void.end_is_known();
        if after_unknown && end.is_ok() {
            return Err(failure::may_be_undone());
        }
        if end.is_ok() {
            self.judge.forget_failures(target.pk);
        }
        end
    }

    /// Finds out whether the old password is right, if it is given. A wrong one is remembered as wrong, like that of a bind.
    async fn prove_old(&self, change: &RequestedChange<'_>) -> Result<Option<ProvedPassword>, ChangeFailure> {
        let (Some(old), Some(key)) = (change.old, change.old_key(&self.cache)) else {
            return Ok(None);
        };
        let lasting = match change.target.own {
            true => ResultCode::UnwillingToPerform,
            false => ResultCode::Unavailable,
        };
        let since = self.cache.voids();
        let attempt = change.attempt(old);
        let proved = self.judge.prove_old(&attempt, &change.target.uid).await;
        proved.map(Some).map_err(|refusal| {
            self.cache.refuse(key, &refusal, vec![change.target.pk], since);
            not_judged(refusal, lasting)
        })
    }
}
