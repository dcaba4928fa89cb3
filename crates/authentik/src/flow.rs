//! The flow executor: takes a user name and a password through one of authentik's flows without a browser.
//!
//! Knows the executor's protocol and the stages that can be answered without a person. Must not know providers,
//! LDAP or caches. The rule that decides: somebody is logged in only if the flow has ended and its newest session
//! cookie says so.

mod answer;
mod challenge;
mod observer;
mod opening;
mod outcome;
mod run;
mod secret;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub use observer::{FlowMethod, FlowObserver, FlowStep, NoObserver};
pub use outcome::{FlowError, FlowOutcome, Rejection, Unbound};
pub use secret::CodeRule;

use opening::Openings;
use run::{Run, Verdict};
use secret::Attempt;

use super::client::Client;
use super::session::{Session, SessionCookie};

/// What authentik's own outpost sends with binds: the inner query `goauthentik.io%2Foutpost%2Fldap=true`, encoded as
/// Django re-encodes it. Any other spelling turns redirects into a challenge of their own.
const BIND_QUERY: &str = "query=goauthentik.io%252Foutpost%252Fldap%3Dtrue";
/// The same with the mark of a warm-up.
const WARM_UP_QUERY: &str =
    "query=goauthentik.io%252Foutpost%252Fldap%3Dtrue%26goauthentik.io%252Foutpost%252Fldap-warmup%3Dtrue";
/// The wait before a second try after a proxy said that its upstream is gone: workers are replaced within this.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// Who wants to log in, with what, and where.
#[derive(Clone, Copy)]
pub struct BindRequest<'a> {
    /// The flow.
    pub flow_slug: &'a str,
    /// What the user calls themselves: a user name, or whatever else the identification stage accepts.
    pub username: &'a str,
    /// The secret as it came, `;code` included.
    pub password: &'a [u8],
    /// Whether `password;code` is to be taken apart.
    pub mfa_support: bool,
    /// By which rule, if it is.
    pub codes: CodeRule,
    /// The client's address, for authentik's events, reputation and policies.
    pub client_ip: IpAddr,
}

impl std::fmt::Debug for BindRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BindRequest")
            .field("flow_slug", &self.flow_slug)
            .field("username", &self.username)
            .field("client_ip", &self.client_ip)
            .finish_non_exhaustive()
    }
}

/// Runs flows. Cloning is cheap; the clones share what was learned about flows.
#[derive(Clone)]
pub struct Executor {
    client: Client,
    observer: Arc<dyn FlowObserver>,
    openings: Arc<Openings>,
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
    pub async fn execute(&self, request: &BindRequest<'_>) -> Result<FlowOutcome, FlowError> {
        let Ok(password) = std::str::from_utf8(request.password) else {
            return Ok(FlowOutcome::Rejected(Rejection::InvalidCredentials {
                stage: None,
                message: "the password is not UTF-8 and cannot be sent to authentik".to_owned(),
            }));
        };
        let attempt = Attempt::new(
            request.username,
            password,
            request.mfa_support.then_some(request.codes),
        );
        let mut retried = false;
        let deadline = Run::new(self, request.flow_slug, None).deadline();
        loop {
            let mut run = Run::new(self, request.flow_slug, Some(request.client_ip)).until(deadline);
            let result = run.bind(attempt.clone()).await;
            let result = match result {
                Err(error) if !retried && error.is_recycled_worker() && !run.is_spent() => {
                    tracing::debug!(%error, flow = request.flow_slug, "running the flow once more from its start");
                    retried = true;
                    if error.status().is_some_and(|status| status != 500) {
                        tokio::time::sleep(RETRY_PAUSE).await;
                    }
                    continue;
                }
                Ok(Verdict::Finished { to }) => self.finish(&run, to).await,
                Ok(Verdict::Rejected(rejection)) => Ok(FlowOutcome::Rejected(rejection)),
                Err(error) => Err(error),
            };
            self.relearn(request.flow_slug, &result);
            return result;
        }
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
                Err(error) if error.status() == Some(403) => Err(FlowError::NotLoggedIn { to }),
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

    /// Runs the unbind flow with a session. The flow may or may not have a logout stage; both are in order.
    pub async fn execute_unbind(
        &self,
        session: &Session,
        flow_slug: &str,
        client_ip: IpAddr,
    ) -> Result<Unbound, FlowError> {
        let mut run = Run::new(self, flow_slug, Some(client_ip)).with_cookies(session.cookies().clone());
        run.unbind().await?;
        let logged_out =
            Session::authenticated(run.cookies()).is_none_or(|now| now.end_id() != session.end_id());
        Ok(Unbound { logged_out })
    }

    /// Has authentik plan the flow, so that its cache is warm, and looks at the first stage. Returns its component.
    /// Leaves one anonymous session in authentik, which expires within a day.
    pub async fn warm_up(&self, flow_slug: &str) -> Result<String, FlowError> {
        Run::new(self, flow_slug, None).look().await
    }
}
