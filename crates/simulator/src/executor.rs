//! The flow executor: plans a flow into a session, runs one stage per request, answers with challenges and
//! redirects.

use std::time::Duration;

use axum::http::{HeaderName, Method, header};
use serde_json::{Map, Value, json};

use super::clock::system_time;
use super::directory::Directory;
use super::flows::{Flow, StageBinding};
use super::outcome::Outcome;
use super::plan::{Pending, Plan, applies};
use super::query::Query;
use super::reply::{JSON, Reply, request_id, short_secret};
use super::sessions::{Cookie, NO_SESSION, Session, Sessions};
use super::stages::{self, StageResponse, StageView};
use super::state::State;
use super::users::User;

/// A request to run a flow.
pub(crate) struct FlowRequest<'a> {
    pub(crate) slug: &'a str,
    pub(crate) method: &'a Method,
    pub(crate) content_type: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) path: &'a str,
    pub(crate) raw_query: &'a str,
    /// The live session the cookie names.
    pub(crate) sid: Option<String>,
    pub(crate) bearer: Option<i32>,
    /// The delegation headers were genuine.
    pub(crate) outpost: bool,
    pub(crate) ip: &'a str,
    pub(crate) secure: bool,
    pub(crate) csrf_header: Option<&'a str>,
    pub(crate) csrf_cookie: Option<&'a str>,
    pub(crate) now: i64,
    pub(crate) hash_cost: Duration,
    /// A fault: the login stage does nothing.
    pub(crate) suppress_login: bool,
}

/// Runs one request; none when there is no such flow.
pub(crate) fn run(state: &mut State, request: &FlowRequest<'_>) -> Option<Outcome> {
    let flow = state.directory.flows.get(request.slug)?.clone();
    let sid = request.sid.clone();
    let sid = sid.unwrap_or_else(|| state.sessions.open(request.ip, request.now));
    let mut executor = FlowExecutor {
        request,
        sid,
        claims_user: None,
        cookies: Vec::new(),
        delay: Duration::ZERO,
        ended: Vec::new(),
        logged_out: false,
    };
    executor.claims_user = request.bearer.or_else(|| executor.session_user(state));
    let mut reply = executor.answer(state, &flow);
    for cookie in std::mem::take(&mut executor.cookies) {
        reply.cookie(cookie);
    }
    reply.cookie(executor.session_cookie(state));
    reply.headers.push((
        HeaderName::from_static("allow"),
        "GET, POST, HEAD, OPTIONS".into(),
    ));
    Some(Outcome {
        reply,
        delay: executor.delay,
        ended: executor.ended,
    })
}

/// One request while it is being worked on.
struct FlowExecutor<'a> {
    request: &'a FlowRequest<'a>,
    sid: String,
    /// Whom the cookie's claims name.
    claims_user: Option<i32>,
    cookies: Vec<String>,
    delay: Duration,
    ended: Vec<Session>,
    logged_out: bool,
}

impl FlowExecutor<'_> {
    fn session_user(&self, state: &State) -> Option<i32> {
        state.sessions.get(&self.sid).and_then(|session| session.user)
    }

    fn answer(&mut self, state: &mut State, flow: &Flow) -> Reply {
        let resuming = state
            .sessions
            .get(&self.sid)
            .and_then(|session| session.plan.as_ref())
            .is_some_and(|plan| plan.slug == flow.slug);
        if !resuming && let Err(reply) = self.plan(state, flow) {
            return reply;
        }
        let posted = match *self.request.method {
            Method::GET | Method::HEAD => None,
            Method::POST => {
                if self.request.bearer.is_none() && self.session_user(state).is_some() && !self.csrf_holds() {
                    self.claims_user = None;
                    return flow_error();
                }
                match self.body() {
                    Some(body) => Some(body),
                    None => return flow_error(),
                }
            }
            _ => return flow_error(),
        };
        self.step(state, flow, posted.as_ref())
    }

    /// Puts a fresh plan into the session, or refuses.
    fn plan(&mut self, state: &mut State, flow: &Flow) -> Result<(), Reply> {
        let user = self.claims_user.and_then(|pk| state.directory.user(pk));
        if !applies(&state.directory, flow, user, self.request.outpost) {
            return Err(access_denied(
                state,
                flow,
                None,
                "Flow does not apply to current user.",
            ));
        }
        if let Some(message) = &flow.denied {
            return Err(access_denied(state, flow, None, message));
        }
        let plan = Plan::begin(flow, self.claims_user);
        if next_stage(flow, &plan).is_none() {
            return Err(finished());
        }
        self.keep(state, Some(plan));
        Ok(())
    }

    fn keep(&self, state: &mut State, plan: Option<Plan>) {
        if let Some(session) = state.sessions.get_mut(&self.sid) {
            session.plan = plan;
        }
    }

    /// Runs the stage whose turn it is.
    fn step(&mut self, state: &mut State, flow: &Flow, posted: Option<&Map<String, Value>>) -> Reply {
        let plan = state
            .sessions
            .get(&self.sid)
            .and_then(|session| session.plan.clone());
        let Some(mut plan) = plan else { return finished() };
        let Some((at, binding)) = next_stage(flow, &plan) else {
            self.keep(state, None);
            return finished();
        };
        plan.at = at;
        let mut view = StageView {
            directory: &mut state.directory,
            plan: &mut plan,
            now: self.request.now,
            hash_cost: self.request.hash_cost,
            delay: Duration::ZERO,
        };
        let response = stages::run(&mut view, &binding.stage, posted);
        self.delay += view.delay;
        match response {
            StageResponse::Challenge(challenge) => {
                let wrong = challenge.get("response_errors").is_some();
                if wrong && binding.restart_on_invalid {
                    self.keep(state, None);
                    return self.to_executor();
                }
                self.keep(state, Some(plan));
                Reply::new(200, JSON, with_flow_info(flow, challenge).to_string())
            }
            StageResponse::Done => self.advance(state, flow, plan),
            StageResponse::LoggedIn {
                user,
                lifetime,
                remember_device,
                end_others,
            } => {
                if !self.request.suppress_login {
                    self.log_in(state, user, lifetime, remember_device, end_others);
                }
                self.advance(state, flow, plan)
            }
            StageResponse::Written(user) => {
                if self.session_user(state) == Some(user) {
                    // The session goes on under another key.
                    let (sid, old) = state.sessions.change_key(&self.sid);
                    self.sid = sid;
                    self.ended.extend(old);
                }
                self.advance(state, flow, plan)
            }
            StageResponse::LoggedOut => {
                self.ended.extend(
                    state
                        .sessions
                        .remove(&self.sid)
                        .filter(|session| session.user.is_some()),
                );
                self.logged_out = true;
                plan.at += 1;
                if next_stage(flow, &plan).is_some() {
                    self.to_executor()
                } else {
                    finished()
                }
            }
            StageResponse::Denied(message) => {
                self.keep(state, None);
                access_denied(state, flow, plan.pending.as_ref(), &message)
            }
            StageResponse::Redirect(to) => {
                self.keep(state, None);
                redirect_challenge(&to)
            }
        }
    }

    fn advance(&mut self, state: &mut State, flow: &Flow, mut plan: Plan) -> Reply {
        plan.at += 1;
        if next_stage(flow, &plan).is_some() {
            self.keep(state, Some(plan));
            self.to_executor()
        } else {
            self.keep(state, None);
            finished()
        }
    }

    fn log_in(
        &mut self,
        state: &mut State,
        user: i32,
        lifetime: Duration,
        remember_device: bool,
        end_others: bool,
    ) {
        let now = self.request.now;
        let old = state
            .sessions
            .get(&self.sid)
            .filter(|session| session.user.is_some())
            .cloned();
        self.ended.extend(old);
        self.sid = state
            .sessions
            .log_in(&self.sid, user, lifetime, self.request.ip, now);
        self.claims_user = Some(user);
        if end_others {
            self.ended.extend(state.sessions.end_of(user, Some(&self.sid)));
        }
        state.directory.note_login(user, now);
        if remember_device {
            const THIRTY_DAYS: i64 = 30 * 86_400_000_000;
            let uid = state.directory.user(user).map(User::uid_hex).unwrap_or_default();
            let exp = system_time(now + THIRTY_DAYS)
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap_or_default();
            let value = state
                .sessions
                .sign(&json!({"sub": uid, "exp": exp.as_secs_f64()}));
            self.set_cookie("authentik_device", &value, THIRTY_DAYS, false);
        }
        const ALMOST_A_YEAR: i64 = 31_449_600_000_000;
        self.set_cookie(
            "authentik_csrf",
            &short_secret(),
            ALMOST_A_YEAR,
            self.request.secure,
        );
    }

    fn set_cookie(&mut self, name: &str, value: &str, age: i64, secure: bool) {
        let now = self.request.now;
        let cookie = Cookie {
            name,
            value,
            expires: Some(now + age),
            http_only: false,
            cross_site: false,
            secure,
        };
        self.cookies.push(cookie.write(now));
    }

    /// Django's CSRF check: token against cookie, and over https the origin too, which no test needs to be wrong.
    fn csrf_holds(&self) -> bool {
        self.request.csrf_header.is_some() && self.request.csrf_header == self.request.csrf_cookie
    }

    fn body(&self) -> Option<Map<String, Value>> {
        if !self.request.content_type.starts_with(JSON) {
            return None;
        }
        match serde_json::from_slice(self.request.body).ok()? {
            Value::Object(body) => Some(body),
            _ => None,
        }
    }

    /// To the executor again: a real redirect only if the query string is already in Django's own form.
    fn to_executor(&self) -> Reply {
        let encoded = Query::parse(self.request.raw_query).encode();
        let to = if encoded.is_empty() {
            self.request.path.to_owned()
        } else {
            format!("{}?{encoded}", self.request.path)
        };
        if encoded == self.request.raw_query {
            Reply::redirect(&to)
        } else {
            redirect_challenge(&to)
        }
    }

    fn session_cookie(&self, state: &mut State) -> String {
        if self.logged_out {
            return NO_SESSION.to_owned();
        }
        if let Some(session) = state.sessions.get_mut(&self.sid) {
            self.request.ip.clone_into(&mut session.last_ip);
        }
        session_cookie(
            &state.directory,
            &state.sessions,
            &self.sid,
            self.claims_user,
            self.request.secure,
            self.request.now,
        )
    }
}

/// The cookie of a session whose claims name `user`.
pub(crate) fn session_cookie(
    directory: &Directory,
    sessions: &Sessions,
    sid: &str,
    user: Option<i32>,
    secure: bool,
    now: i64,
) -> String {
    let uid = user.and_then(|pk| directory.user(pk)).map(User::uid_hex);
    let value = sessions.encode(sid, uid.as_deref());
    let expires = sessions
        .get(sid)
        .filter(|session| session.explicit_expiry)
        .map(|session| session.expires);
    Cookie {
        name: "authentik_session",
        value: &value,
        expires,
        http_only: true,
        cross_site: secure,
        secure,
    }
    .write(now)
}

/// The first stage, from the plan's position onwards, that applies to the pending user.
fn next_stage<'a>(flow: &'a Flow, plan: &Plan) -> Option<(usize, &'a StageBinding)> {
    flow.stages.iter().enumerate().skip(plan.at).find(|(_, binding)| {
        binding.only_for.as_ref().is_none_or(|users| match &plan.pending {
            Some(Pending::Known(pk)) => users.contains(pk),
            _ => false,
        })
    })
}

fn with_flow_info(flow: &Flow, challenge: Value) -> Value {
    let mut out = Map::new();
    out.insert(
        "flow_info".into(),
        json!({
            "title": flow.title, "background": "/static/dist/assets/images/flow_background.jpg",
            "background_themed_urls": null, "cancel_url": "/flows/-/cancel/", "layout": "stacked",
        }),
    );
    if let Value::Object(challenge) = challenge {
        out.extend(challenge);
    }
    Value::Object(out)
}

fn access_denied(state: &State, flow: &Flow, pending: Option<&Pending>, message: &str) -> Reply {
    let (name, picture) = match pending {
        Some(pending) => pending.shown(&state.directory),
        None => (
            String::new(),
            "/static/dist/assets/images/user_default.png".to_owned(),
        ),
    };
    let challenge = json!({
        "component": "ak-stage-access-denied", "pending_user": name, "pending_user_avatar": picture,
        "error_message": message,
    });
    Reply::new(200, JSON, with_flow_info(flow, challenge).to_string())
}

fn redirect_challenge(to: &str) -> Reply {
    Reply::json(200, &json!({"component": "xak-flow-redirect", "to": to}))
}

fn finished() -> Reply {
    redirect_challenge("/")
}

fn flow_error() -> Reply {
    Reply::json(
        200,
        &json!({"component": "ak-stage-flow-error", "request_id": request_id()}),
    )
    .with(header::CACHE_CONTROL, "no-store")
}
