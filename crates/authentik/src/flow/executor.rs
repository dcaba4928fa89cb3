//! Runs flows and judges how they end.
//!
//! Knows when a run may be repeated. Must not know how a challenge is answered.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::first_stage::FirstStage;
use super::observer::FlowObserver;
use super::opening::Openings;
use super::outcome::{FlowError, FlowOutcome, JudgedFlow, Rejection, Unbound};
use super::password_change::{PasswordChangeReport, PasswordChangeRequest};
use super::request::LoginRequest;
use super::run::{Purpose, Run, RunEnd};
use super::secret::Inputs;
use crate::client::Client;
use crate::session::{Session, SessionCookie};
use crate::struck::Secrets;

/// The wait before a second try after a proxy said that its upstream is gone: workers are replaced within this.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// Runs flows. Cloning is cheap; the clones share what was learned about flows.
#[derive(Clone)]
pub struct Executor {
    client: Client,
    observer: Arc<dyn FlowObserver>,
    openings: Arc<Openings>,
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Executor").field(&self.client).finish()
    }
}

impl Executor {
    /// An executor that tells `observer` how long each step took.
    pub fn new(client: Client, observer: Arc<dyn FlowObserver>) -> Self {
        Self {
            client,
            observer,
            openings: Arc::default(),
        }
    }

    /// The client underneath.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Takes a user through the flow. `Ok` is authentik's verdict; `Err` means that there is none.
    ///
    /// Cancel-safe: dropping the future leaves at most an unfinished session in authentik, which expires.
    pub async fn execute(&self, request: &LoginRequest<'_>) -> Result<FlowOutcome, FlowError> {
        self.judge(request).await.map(|judged| judged.outcome)
    }

    /// The same, with whatever else the flow showed.
    pub async fn judge(&self, request: &LoginRequest<'_>) -> Result<JudgedFlow, FlowError> {
        let codes = request.mfa_support.then_some(request.codes);
        let inputs = |password| Inputs::new(request.username, password, codes);
        self.go_through(request, Purpose::LogIn, inputs).await
    }

    /// Finds out whether a password is right: the previous one with the code that may follow it, or with `whole` one
    /// that is nothing but a password. A flow that accepts it and then wants more has answered that, too. No push is
    /// sent.
    pub async fn prove(&self, request: &LoginRequest<'_>, whole: bool) -> Result<JudgedFlow, FlowError> {
        let codes = (request.mfa_support && !whole).then_some(request.codes);
        let inputs = |password| match codes {
            Some(codes) => Inputs::new(request.username, password, Some(codes)),
            None => Inputs::password_only(request.username, password),
        };
        self.go_through(request, Purpose::Prove, inputs).await
    }

    async fn go_through<'a>(
        &self,
        request: &LoginRequest<'a>,
        purpose: Purpose,
        inputs: impl FnOnce(&'a str) -> Inputs<'a>,
    ) -> Result<JudgedFlow, FlowError> {
        let Ok(password) = std::str::from_utf8(request.password) else {
            let rejection = Rejection::InvalidCredentials {
                stage: None,
                message: "the password is not UTF-8 and cannot be sent to authentik".to_owned(),
            };
            return Ok(JudgedFlow {
                outcome: FlowOutcome::Rejected(rejection),
                password_accepted: false,
                asks_new_password: false,
            });
        };
        let inputs = inputs(password);
        let token = self.client.current_token();
        let secrets = || {
            let sent = [password, inputs.password, token.expose_secret()];
            Secrets::of(sent.into_iter().chain(inputs.code).map(str::as_bytes))
        };
        let mut retried = false;
        let deadline = self.run(request.flow_slug, None).deadline();
        loop {
            let mut run = self
                .run(request.flow_slug, Some(request.client_ip))
                .until(deadline)
                .to(purpose);
            let result = run.bind(inputs.clone()).await;
            let result = match result {
                Err(error) if !retried && error.is_recycled_worker() && !run.is_spent() => {
                    // The error may quote an answer that repeats the password.
                    tracing::debug!(
                        status = error.status(),
                        flow = request.flow_slug,
                        "running the flow again"
                    );
                    retried = true;
                    if error.status().is_some_and(|status| status != 500) {
                        tokio::time::sleep(RETRY_PAUSE).await;
                    }
                    continue;
                }
                Ok(RunEnd::Finished { to }) => self.finish(&run, to).await,
                Ok(RunEnd::Rejected(rejection)) => Ok(FlowOutcome::Rejected(rejection)),
                Err(error) => Err(error),
            };
            self.relearn(request.flow_slug, &result);
            let result = match result {
                Ok(mut outcome @ FlowOutcome::Rejected(_)) => {
                    outcome.strike(&secrets());
                    Ok(outcome)
                }
                Err(mut error) => {
                    error.strike(&secrets());
                    Err(error)
                }
                logged_in => logged_in,
            };
            return result.map(|outcome| JudgedFlow {
                outcome,
                password_accepted: run.accepted(),
                asks_new_password: run.asks_new(),
            });
        }
    }

    fn run<'a>(&'a self, slug: &'a str, client_ip: Option<IpAddr>) -> Run<'a> {
        Run::new(&self.client, &*self.observer, &self.openings, slug, client_ip)
    }

    /// The decision at the end of a flow.
    async fn finish(&self, run: &Run<'_>, to: String) -> Result<FlowOutcome, FlowError> {
        if let Some(session) = Session::authenticated(run.cookies()) {
            return Ok(FlowOutcome::Authenticated(run.mark(session)));
        }
        let cookie = SessionCookie::of(run.cookies());
        if let (SessionCookie::Plain(sid), true) = (&cookie, self.client.settings().plain_session_cookie) {
            return match self.client.me(run.caller()).await {
                Ok(me) => {
                    let session = Session::plain(sid.clone(), me.uid, run.cookies());
                    Ok(FlowOutcome::Authenticated(run.mark(session)))
                }
                Err(error) if error.status() == Some(403) && !error.is_foreign() => {
                    Err(FlowError::NotLoggedIn { to })
                }
                Err(error) => Err(error.into()),
            };
        }
        Err(match cookie {
            SessionCookie::Missing => FlowError::CookieMissing,
            _ => FlowError::NotLoggedIn { to },
        })
    }

    /// After anything but a login or a wrong password the flow may have been edited: look at its first stage again.
    fn relearn(&self, slug: &str, result: &Result<FlowOutcome, FlowError>) {
        match result {
            Ok(
                FlowOutcome::Authenticated(_) | FlowOutcome::Rejected(Rejection::InvalidCredentials { .. }),
            ) => {}
            _ => self.openings.forget(slug),
        }
    }

    /// Changes the password of a session's user through the flow that authentik names for it. The outcome, and the
    /// state of the session, is reported whatever happened: see [`PasswordChangeReport`].
    pub async fn change_password(&self, request: &PasswordChangeRequest<'_>) -> PasswordChangeReport {
        let named = self
            .client
            .password_flow(request.session, request.client_ip)
            .await;
        let (slug, cookies) = match named {
            Ok(named) => named,
            Err(failure) => return PasswordChangeReport::not_begun(failure),
        };
        let mut run = self.run(&slug, Some(request.client_ip)).with_cookies(cookies);
        let result = run.change(request).await;
        PasswordChangeReport {
            uncertain: run.may_have_written(),
            session: request.session.following(run.cookies()),
            result,
        }
    }

    /// Runs the unbind flow with a session. The flow may or may not have a logout stage; both are fine.
    pub async fn execute_unbind(
        &self,
        session: &Session,
        flow_slug: &str,
        client_ip: IpAddr,
    ) -> Result<Unbound, FlowError> {
        let mut run = self
            .run(flow_slug, Some(client_ip))
            .with_cookies(session.cookies().clone());
        run.unbind().await?;
        let logged_out =
            Session::authenticated(run.cookies()).is_none_or(|now| now.end_id() != session.end_id());
        Ok(Unbound { logged_out })
    }

    /// The first stage of a flow, as [`warm_up`](Self::warm_up) looks at it, and what it shows.
    pub async fn first_stage(&self, flow_slug: &str) -> Result<FirstStage, FlowError> {
        self.run(flow_slug, None).first_stage().await
    }

    /// Makes authentik plan the flow, so that its cache is warm, and looks at the first stage. Returns its
    /// component. Leaves one anonymous session in authentik, which expires within a day.
    pub async fn warm_up(&self, flow_slug: &str) -> Result<String, FlowError> {
        self.run(flow_slug, None).first_component().await
    }
}
