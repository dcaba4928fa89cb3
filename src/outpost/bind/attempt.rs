//! One attempt at authentik: its turn, the flow, access to the application, and who it was; and what each answer means to
//! an LDAP client. Must not know what is kept of the outcome.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::metrics::RejectReason;
use crate::outpost::Outpost;
use crate::outpost::access::{Login, OpenSession, Proof};
use crate::outpost::providers::Provider;
use akldap_authentik::flow::{BindRequest, FlowError, FlowOutcome, Rejection};
use akldap_authentik::{self as authentik, ApiError};
use akldap_ldap::response::ResultCode;

use super::answer::Refusal;
use super::failures::Guess;
use super::flight::Judged;
use super::name::BindName;
use super::origin::{Origin, Person, Source};
use super::queue::Turn;

/// The least time there is for access and identity after a flow that took long. With the time for a turn, for the flow
/// and for a Duo push, this is the longest a bind can take.
const ACCESS_TIME: Duration = Duration::from_secs(10);

/// A bind that has its turn at authentik.
pub(super) struct Attempt {
    pub(super) name: BindName,
    secret: Zeroizing<Vec<u8>>,
    origin: Origin,
    person: Person,
    guess: Guess,
    turn: Turn,
}

impl Outpost {
    /// Waits for a bind's turn at authentik.
    pub(super) async fn turn(
        &self,
        name: BindName,
        secret: Zeroizing<Vec<u8>>,
        origin: Origin,
    ) -> Result<Attempt, Refusal> {
        let person = Person::new(self.snapshot().as_deref(), &name.username);
        let (arrived, provider) = (Instant::now(), name.provider.pk());
        let guess = self
            .binds
            .failures
            .admit(origin, person, provider, &secret, arrived)?;
        let source = self.binds.queue.source(origin);
        let turn = self.binds.queue.turn(source, person).await?;
        if guess.found_wrong_since(arrived) {
            // authentik judged the same secret while this bind waited.
            return Err(wrong_secret());
        }
        Ok(Attempt {
            name,
            secret,
            origin,
            person,
            guess,
            turn,
        })
    }

    /// Asks authentik: the flow, then access to the application, then, if the directory does not know, who it is.
    pub(super) async fn log_in(&self, attempt: Attempt) -> Judged {
        let Attempt {
            name,
            secret,
            origin,
            person,
            guess,
            turn,
        } = attempt;
        let (provider, client) = (&name.provider, origin.client);
        let heard = self.logins.heard();
        let started = Instant::now();
        let session = self
            .run_flow(provider, &name.username, &secret, client)
            .await
            .inspect_err(|refusal| {
                if refusal.repeatable {
                    guess.was_wrong(Instant::now());
                }
            })?;
        drop(guess);
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
        self.binds.queue.logged_in(Source::from(client), person);
        drop(turn);
        // Whom the directory does not know yet, or shows as inactive or under another name, authentik knows better.
        self.fetch_login(login.user_pk(), &name.username).await;
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
            let what = "access to the application could not be checked";
            let (code, reason) = (ResultCode::Other, RejectReason::AccessCheckFail);
            unanswered(&error, what, code, reason, NOT_NOW)
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
                let what = "the user could not be identified after the login";
                let (code, reason) = (ResultCode::OperationsError, RejectReason::UserInfoFail);
                Err(unanswered(&error, what, code, reason, NOT_IDENTIFIED))
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
}

fn ended_early() -> Refusal {
    let text = "authentik ended the session while it was being opened: bind again";
    Refusal::new(ResultCode::Unavailable, RejectReason::FlowError, text)
}

/// The same answer as authentik's to a secret that is wrong.
fn wrong_secret() -> Refusal {
    rejected(&Rejection::InvalidCredentials {
        stage: None,
        message: "authentik has just refused the same password of the same person".to_owned(),
    })
}

/// What is said of a bind that nobody judged.
const NOT_NOW: &str = "authentik cannot judge this login at the moment";
/// The next bind is sent all the same: authentik throttles by address and by user, and others need not wait.
const THROTTLED: &str = "authentik takes no further requests at the moment: try again later";
const NOT_IDENTIFIED: &str = "authentik does not say whose login this is";

/// What it means to the client that authentik did not answer a question about a login that succeeded. `code` is that of
/// an error that will not pass by itself.
fn unanswered(
    error: &ApiError,
    what: &str,
    code: ResultCode,
    reason: RejectReason,
    text: &'static str,
) -> Refusal {
    let (code, reason, text) = if error.retry_after().is_some() {
        (ResultCode::Busy, RejectReason::Busy, THROTTLED)
    } else if error.is_transient() {
        (ResultCode::Unavailable, reason, text)
    } else {
        (code, reason, text)
    };
    Refusal::caused(code, reason, text, format!("{what}: {error}; {}", error.hint()))
}

/// What it means to the client that a flow came to no verdict. Nothing of it blames the password.
fn unjudged(error: &FlowError) -> Refusal {
    let cause = format!("the bind flow could not be run: {error}; {}", error.hint());
    let (code, reason, text) = if error.throttled_for().is_some() {
        (ResultCode::Busy, RejectReason::Busy, THROTTLED)
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
