//! One run of a flow: fetch, answer, follow, until it ends or cannot go on.

use std::net::IpAddr;
use std::time::{Instant, SystemTime};

use reqwest::Method;
use reqwest::header::LOCATION;
use tokio::time::timeout_at;
use url::Url;
use zeroize::Zeroizing;

use super::answer;
use super::challenge::Challenge;
use super::component::{
    ACCESS_DENIED, AUTHENTICATOR, FLOW_ERROR, IDENTIFICATION, PASSWORD, REDIRECT, USER_LOGIN, asks_password,
    comes_after_password, refused, unsupported,
};
use super::observer::{FlowMethod, FlowObserver, FlowStep};
use super::opening::Openings;
use super::outcome::{FlowError, Rejection};
use super::redirect::{Destination, without_query};
use super::secret::Inputs;
use crate::client::{AnswerKind, Caller, Client, HttpAnswer};
use crate::clock::now;
use crate::cookie::CookieJar;
use crate::error::ApiError;
use crate::excerpt::excerpt;
use crate::session::{SESSION_COOKIE, Session, SessionCookie};

mod change;
mod unanswered;

/// What authentik's own outpost sends with binds: the inner query `goauthentik.io%2Foutpost%2Fldap=true`, encoded as
/// Django re-encodes it. Any other spelling turns redirects into a separate challenge.
const BIND_QUERY: &str = "query=goauthentik.io%252Foutpost%252Fldap%3Dtrue";
/// The same with the mark of a warm-up.
const WARM_UP_QUERY: &str =
    "query=goauthentik.io%252Foutpost%252Fldap%3Dtrue%26goauthentik.io%252Foutpost%252Fldap-warmup%3Dtrue";

/// What a browser sends with a flow when no query is given.
const PLAIN_QUERY: &str = "query=";
/// Requests of one run. The longest flow that can be passed, with a redirect before every stage, needs twelve.
const MAX_REQUESTS: u32 = 24;

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Somebody wants to be logged in.
    LogIn,
    /// To find out whether a password is right: nobody is asked to confirm anything on a telephone, and each challenge
    /// is seen before it is answered, so that it is known whether the password was judged.
    Prove,
}

/// How a run ended.
pub(super) enum RunEnd {
    /// The flow is over; the cookies say whether anybody is logged in.
    Finished {
        to: String,
    },
    Rejected(Rejection),
}

/// What comes next.
enum Next {
    Fetch(Url),
    Answer {
        component: &'static str,
        body: Zeroizing<Vec<u8>>,
        kind: AnswerKind,
    },
}

/// The result of a step.
enum Stop {
    Challenge(Challenge),
    Finished { to: String },
    TooManySteps,
}

/// The state of a run.
pub(super) struct Run<'a> {
    client: &'a Client,
    observer: &'a dyn FlowObserver,
    openings: &'a Openings,
    slug: &'a str,
    client_ip: Option<IpAddr>,
    cookies: CookieJar,
    /// The session cookie of the last request did not arrive: the answer began another session.
    dropped: bool,
    requests: u32,
    query: &'static str,
    purpose: Purpose,
    /// The components answered so far.
    answered: Vec<&'static str>,
    /// authentik took the password for the user's.
    accepted: bool,
    /// The flow went on to ask for a new password.
    asks_new: bool,
    /// A new password was sent, and not refused.
    written: bool,
    spent: bool,
    /// A code was sent to a device.
    code: bool,
    /// The server's clock before the first request, as far as its answer tells.
    began: Option<SystemTime>,
    deadline: Instant,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        client: &'a Client,
        observer: &'a dyn FlowObserver,
        openings: &'a Openings,
        slug: &'a str,
        client_ip: Option<IpAddr>,
    ) -> Self {
        Self {
            client,
            observer,
            openings,
            slug,
            client_ip,
            cookies: CookieJar::default(),
            dropped: false,
            requests: 0,
            query: BIND_QUERY,
            purpose: Purpose::LogIn,
            answered: Vec::new(),
            accepted: false,
            asks_new: false,
            written: false,
            spent: false,
            code: false,
            began: None,
            deadline: now() + client.settings().flow_timeout,
        }
    }

    /// The end of the available time.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn until(mut self, deadline: Instant) -> Self {
        self.deadline = deadline;
        self
    }

    pub(super) fn to(mut self, purpose: Purpose) -> Self {
        self.purpose = purpose;
        self
    }

    /// Whether authentik accepted the password as the user's, whatever it then asked or refused.
    pub(super) fn accepted(&self) -> bool {
        self.accepted
    }

    /// Whether it then asked for a new one.
    pub(super) fn asks_new(&self) -> bool {
        self.asks_new
    }

    pub(super) fn with_cookies(mut self, cookies: CookieJar) -> Self {
        self.cookies = cookies;
        self
    }

    pub(super) fn cookies(&self) -> &CookieJar {
        &self.cookies
    }

    pub(super) fn caller(&self) -> Caller<'_> {
        Caller::User {
            cookies: &self.cookies,
            client_ip: self.client_ip,
        }
    }

    /// Whether a one-time code was sent, a push was sent or authentik refused a password: none of these may be
    /// repeated.
    pub(super) fn is_spent(&self) -> bool {
        self.spent
    }

    /// A session with what is known about the run that opened it.
    pub(super) fn mark(&self, session: Session) -> Session {
        session.with_code(self.code).begun(self.began)
    }

    fn url(&self, query: &str) -> Url {
        self.client.endpoint().executor(self.slug, query)
    }

    /// Answers challenges until the flow ends.
    pub(super) async fn bind(&mut self, mut inputs: Inputs<'_>) -> Result<RunEnd, FlowError> {
        // An answer sent without having seen the challenge, because the flow is known to begin with it.
        let known = self.openings.plain(self.slug);
        let known = known.filter(|_| self.purpose == Purpose::LogIn);
        let mut blind = known.is_some();
        // Whether what is answered judges the password.
        let mut judging = known.unwrap_or(false);
        let mut next = if blind {
            answer_to(IDENTIFICATION, answer::identification(&inputs))
        } else {
            Next::Fetch(self.url(BIND_QUERY))
        };
        loop {
            let posted = match &next {
                Next::Answer { component, .. } => Some(*component),
                Next::Fetch(_) => None,
            };
            let before = self.requests;
            let challenge = match self.step(next).await? {
                Stop::Challenge(challenge) => challenge,
                Stop::Finished { to } => return Ok(RunEnd::Finished { to }),
                Stop::TooManySteps => {
                    return Err(FlowError::TooManySteps { limit: MAX_REQUESTS });
                }
            };
            if posted.is_none() {
                self.learn(&challenge);
            }
            let redirected = self.requests > before + 1;
            let surprised = std::mem::take(&mut blind) && is_surprise(&challenge, redirected);
            if surprised {
                self.openings.forget(self.slug);
            } else if let Some(posted) = posted {
                self.answered.push(posted);
                // Only a redirect says that the answer was right: too many wrong ones are denied at once.
                let judged = posted == PASSWORD || (posted == IDENTIFICATION && judging);
                self.accepted |= judged && redirected && comes_after_password(&challenge.component);
                if let Some(message) = challenge.errors() {
                    if self.may_try_whole(&challenge, posted) && inputs.take_whole() {
                        self.spent = true;
                        self.answered.pop();
                        next = match posted {
                            PASSWORD => answer_to(PASSWORD, answer::password(&inputs)),
                            _ => answer_to(IDENTIFICATION, answer::identification(&inputs)),
                        };
                        continue;
                    }
                    return Ok(RunEnd::Rejected(refused(&challenge, message)));
                }
            }
            judging = challenge.component == IDENTIFICATION && challenge.is_set("password_fields");
            self.asks_new = self.accepted && asks_password(&challenge);
            next = match self.answer(&challenge, &inputs)? {
                Ok(next) => next,
                Err(rejection) => return Ok(RunEnd::Rejected(rejection)),
            };
        }
    }

    /// Whether the refusal may be due to a password that only looks like password and code.
    fn may_try_whole(&self, challenge: &Challenge, posted: &str) -> bool {
        challenge.component == posted
            && match posted {
                PASSWORD => true,
                IDENTIFICATION => challenge.is_set("password_fields") && !challenge.is_set("captcha_stage"),
                _ => false,
            }
    }

    fn learn(&self, challenge: &Challenge) {
        if self.answered.is_empty()
            && challenge.component == IDENTIFICATION
            && !challenge.is_set("captcha_stage")
        {
            self.openings
                .learn(self.slug, challenge.is_set("password_fields"));
        }
    }

    /// The answer to a challenge, or why there is none.
    fn answer(
        &mut self,
        challenge: &Challenge,
        inputs: &Inputs<'_>,
    ) -> Result<Result<Next, Rejection>, FlowError> {
        let component = challenge.component.as_str();
        if self.answered.contains(&component) {
            // Without the cookie every request starts the flow again, whatever was answered.
            if self.cookies.get(SESSION_COOKIE).is_none() {
                return Err(FlowError::CookieMissing);
            }
            if self.dropped {
                return Err(FlowError::CookieDropped);
            }
            return Ok(Err(Rejection::Restarted {
                component: component.to_owned(),
            }));
        }
        Ok(match component {
            IDENTIFICATION if challenge.is_set("captcha_stage") => Err(unsupported("ak-stage-captcha")),
            IDENTIFICATION => Ok(answer_to(IDENTIFICATION, answer::identification(inputs))),
            PASSWORD => Ok(answer_to(PASSWORD, answer::password(inputs))),
            USER_LOGIN => Ok(answer_to(USER_LOGIN, answer::remember_me())),
            AUTHENTICATOR => self.second_factor(challenge, inputs),
            ACCESS_DENIED => {
                let message = challenge.text("error_message").unwrap_or("no reason was given");
                Err(Rejection::Denied {
                    message: excerpt(message),
                })
            }
            FLOW_ERROR => {
                return Err(FlowError::StageFailed {
                    request_id: challenge.text("request_id").map(excerpt),
                    error: challenge.text("error").map(excerpt),
                });
            }
            other => Err(unsupported(other)),
        })
    }

    /// A code goes to totp or static devices; Duo is pushed only when no code was given as such. The challenges of
    /// other classes are never chosen: choosing sms or email would send a message.
    fn second_factor(&mut self, challenge: &Challenge, inputs: &Inputs<'_>) -> Result<Next, Rejection> {
        let devices = challenge.devices();
        // The last one listed, like the official outpost.
        let duo = devices
            .iter()
            .rev()
            .find_map(|device| Some((device.uid?, device)).filter(|_| device.class == "duo"));
        let code = devices
            .iter()
            .find(|device| matches!(device.class, "static" | "totp"))
            .zip(inputs.code);
        match (code, duo) {
            (Some((device, code)), duo) if inputs.code_given || duo.is_none() => {
                (self.spent, self.code) = (true, true);
                Ok(answer_to(AUTHENTICATOR, answer::code(code, device.challenge)))
            }
            (_, Some((uid, device))) if !inputs.code_given && self.purpose == Purpose::LogIn => {
                self.spent = true;
                let body = answer::duo(uid, device.challenge);
                Ok(Next::Answer {
                    component: AUTHENTICATOR,
                    body,
                    kind: AnswerKind::Push,
                })
            }
            _ => {
                let mut offered: Vec<String> = devices.iter().map(|device| excerpt(device.class)).collect();
                offered.sort();
                offered.dedup();
                Err(Rejection::NoCompatibleAuthenticator {
                    offered,
                    code_given: inputs.code_given,
                })
            }
        }
    }

    /// Does what comes next and follows redirects to the next challenge, telling the observer how long it took.
    async fn step(&mut self, next: Next) -> Result<Stop, FlowError> {
        let (started, before) = (now(), self.requests);
        let method = match next {
            Next::Fetch(_) => FlowMethod::Get,
            Next::Answer { .. } => FlowMethod::Post,
        };
        let result = self.follow(next).await;
        let component = match &result {
            Ok(Stop::Challenge(challenge)) => challenge.component.as_str(),
            Ok(Stop::Finished { .. }) => REDIRECT,
            Ok(Stop::TooManySteps) | Err(_) => "",
        };
        self.observer.step(&FlowStep {
            flow: self.slug,
            method,
            component,
            duration: now().duration_since(started),
            requests: self.requests - before,
        });
        result
    }

    async fn follow(&mut self, mut next: Next) -> Result<Stop, FlowError> {
        loop {
            if self.requests >= MAX_REQUESTS {
                return Ok(Stop::TooManySteps);
            }
            let answer = self.request(next).await?;
            let target = match answer.status {
                200 => {
                    let challenge = Challenge::decode(answer.json_body()?)
                        .map_err(|problem| answer.malformed(problem))?;
                    if challenge.component != REDIRECT {
                        return Ok(Stop::Challenge(challenge));
                    }
                    let to = challenge.text("to").unwrap_or_default();
                    match Destination::of(&answer.url, to, self.url(self.query)) {
                        // From 2026.8 on authentik says which redirect is the flow's last.
                        Destination::SameFlow(_) if challenge.is_set("final_redirect") => {
                            return Ok(Stop::Finished {
                                to: without_query(to),
                            });
                        }
                        Destination::SameFlow(url) => url,
                        // The flow goes on elsewhere: whatever the cookie says, it is not over.
                        Destination::OtherFlow => return Ok(Stop::Challenge(challenge)),
                        Destination::Elsewhere => {
                            return Ok(Stop::Finished {
                                to: without_query(to),
                            });
                        }
                    }
                }
                301 | 302 | 303 | 307 | 308 => {
                    let to = answer.header(LOCATION.as_str()).unwrap_or_default();
                    match Destination::of(&answer.url, to, self.url(self.query)) {
                        Destination::SameFlow(url) => url,
                        _ => {
                            return Err(FlowError::ForeignRedirect {
                                to: answer.quote(&without_query(to)),
                            });
                        }
                    }
                }
                404 => {
                    let error = answer.status_error(false);
                    if error.is_foreign() {
                        return Err(error.into());
                    }
                    return Err(FlowError::FlowNotFound {
                        slug: self.slug.to_owned(),
                    });
                }
                _ => return Err(answer.status_error(false).into()),
            };
            next = Next::Fetch(target);
        }
    }

    async fn request(&mut self, next: Next) -> Result<HttpAnswer, ApiError> {
        self.requests += 1;
        let (method, url, body, kind) = match next {
            Next::Fetch(url) => (Method::GET, url, None, AnswerKind::Object),
            Next::Answer { body, kind, .. } => (Method::POST, self.url(self.query), Some(body), kind),
        };
        let (started, name) = (now(), url.path().to_owned());
        let call = self.client.send(method, url, self.caller(), body, kind);
        let answer = if kind == AnswerKind::Push {
            let answer = call.await?;
            self.deadline += now().duration_since(started);
            answer
        } else {
            timeout_at(self.deadline.into(), call)
                .await
                .map_err(|_| ApiError::TimedOut {
                    url: name,
                    after: self.client.settings().flow_timeout,
                })??
        };
        if self.requests == 1 {
            self.began = answer
                .served()
                .and_then(|served| served.checked_sub(now().duration_since(started)));
        }
        let sent = SessionCookie::of(&self.cookies);
        self.cookies.absorb(&answer.headers, self.client.time_of_day());
        self.dropped = sent.is_replaced_by(&SessionCookie::of(&self.cookies));
        Ok(answer)
    }
}

fn answer_to(component: &'static str, body: Zeroizing<Vec<u8>>) -> Next {
    Next::Answer {
        component,
        body,
        kind: AnswerKind::Object,
    }
}

/// Whether the response to an answer sent before seeing the challenge shows that the flow begins differently, or that
/// this release wants the challenge fetched first. A redirect shows that the answer was accepted.
fn is_surprise(challenge: &Challenge, redirected: bool) -> bool {
    !redirected
        && match challenge.component.as_str() {
            IDENTIFICATION => challenge.errors().is_none(),
            _ => challenge.errors().is_some(),
        }
}
