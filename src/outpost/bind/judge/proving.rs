//! Finds out whether a password is right without logging anybody in: no login is made from what is found, and a session that
//! it opens is ended.
//!
//! Must not know what the answer is used for.

use std::sync::Arc;

use tokio_util::task::TaskTracker;

use crate::clock;
use crate::metrics::{Limit, RejectReason};
use akldap_authentik::flow::{FlowOutcome, Rejection};
use akldap_ldap::response::ResultCode;

use super::super::attempt::Attempt;
use super::super::origin::{Origin, Person};
use super::super::policy::policy;
use super::super::proved::{ChangeTurn, ProvedPassword};
use super::super::refusal::{Question, Refusal, rejected};
use super::Judge;

impl Judge {
    /// The password changes that are under way.
    pub(in crate::outpost) fn changes(&self) -> &TaskTracker {
        &self.changes
    }

    /// Waits for a turn to change the password of a user.
    pub(in crate::outpost) async fn change_turn(
        &self,
        origin: Origin,
        username: &str,
    ) -> Result<ChangeTurn, Refusal> {
        let person = self.person(username)?;
        let source = self.queue.source(origin);
        let turn = self.queue.turn(source, person).await?;
        Ok(ChangeTurn::new(turn))
    }

    /// Finds out whether a secret is what the user with this `uid` logs in with. Wrong ones are limited like those of binds.
    pub(in crate::outpost) async fn prove_old(
        &self,
        attempt: &Attempt,
        uid: &str,
    ) -> Result<ProvedPassword, Refusal> {
        let person = self.person(&attempt.username)?;
        let (provider, secret) = (attempt.provider.pk(), &attempt.secret);
        let guess = self
            .failures
            .admit(attempt.origin, person, provider, secret, clock::now())
            .inspect_err(|_| self.metrics.limit_reached(Limit::FailedBindLimit))?;
        self.find_out(attempt, uid, false).await.inspect_err(|refusal| {
            if refusal.repeatable {
                guess.was_wrong(clock::now());
            }
        })
    }

    /// Finds out whether a secret, all of it, is the user's password by now.
    pub(in crate::outpost) async fn prove_new(
        &self,
        attempt: &Attempt,
        uid: &str,
    ) -> Result<ProvedPassword, Refusal> {
        self.find_out(attempt, uid, true).await
    }

    /// The password of a user is another one: what was tried wrongly before counts no more.
    pub(in crate::outpost) fn forget_failures(&self, user_pk: i64) {
        self.failures.forget(Person::User(user_pk));
    }

    async fn find_out(&self, attempt: &Attempt, uid: &str, whole: bool) -> Result<ProvedPassword, Refusal> {
        let client = attempt.origin.client;
        let request = attempt.request(self.release.code_rule());
        let heard = self.logins.heard();
        let judged = self.executor.prove(&request, whole).await;
        let judged = judged.map_err(|error| Question::PROOF.unanswered(error))?;
        match &judged.outcome {
            FlowOutcome::Authenticated(session) => {
                let provider = Arc::clone(&attempt.provider);
                let opened = self.logins.open_proof(provider, session.clone(), client, heard);
                if opened.session().uid() == uid {
                    Ok(ProvedPassword::Session(opened))
                } else {
                    let cause =
                        "authentik logged in a different user from the one whose password was to be proved";
                    let text = "this name is not only that user's";
                    let code = ResultCode::InvalidCredentials;
                    Err(Refusal::caused(code, RejectReason::UserInfoFail, text, cause))
                }
            }
            FlowOutcome::Rejected(rejection) => {
                // One that is denied may be right, or have been tried too often: these cannot always be distinguished.
                let denied = matches!(rejection, Rejection::Denied { .. });
                if judged.password_accepted && !denied {
                    return Ok(ProvedPassword::Accepted);
                }
                Err(unproved(rejection).with_policy(policy(&judged)))
            }
        }
    }
}

/// Why a password could not be shown to be right. Where authentik did not come to judge it, nothing says that it is wrong.
fn unproved(rejection: &Rejection) -> Refusal {
    let mut refusal = rejected(rejection);
    match rejection {
        Rejection::Denied { .. } => refusal.result.code = ResultCode::InsufficientAccessRights,
        Rejection::UnsupportedStage { .. } | Rejection::NoCompatibleAuthenticator { .. } => {
            refusal.result.code = ResultCode::Other;
        }
        _ => {}
    }
    refusal
}
