//! The flow executor: plans a flow into a session, runs one stage a request, answers with challenges and redirects.

use std::time::Duration;

use axum::http::{HeaderName, Method, header};
use serde_json::{Map, Value, json};

use super::clock::system_time;
use super::directory::Directory;
use super::flows::{Flow, Requirement, StageBinding};
use super::query::Query;
use super::reply::{JSON, Reply, request_id, short_secret};
use super::sessions::{Cookie, NO_SESSION, Session, Sessions};
use super::stages;
use super::users::avatar;

/// A flow on its way in a session.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) slug: String,
    /// Index of the stage to answer next.
    pub(crate) at: usize,
    pub(crate) pending: Option<Pending>,
    pub(crate) wrong_passwords: u32,
    /// The authenticator stage has shown its challenges.
    pub(crate) devices_shown: bool,
    pub(crate) consent_token: Option<String>,
}

/// The user a flow is about.
#[derive(Debug, Clone)]
pub(crate) enum Pending {
    Known(i32),
    /// A name nobody has, treated as if somebody had.
    Pretended(String),
}

/// What the executor works on.
pub(crate) struct Desk<'a> {
    pub(crate) directory: &'a mut Directory,
    pub(crate) sessions: &'a mut Sessions,
}

/// One request to the executor.
pub(crate) struct Call<'a> {
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

/// The answer and what comes with it.
pub(crate) struct Outcome {
    pub(crate) reply: Reply,
    /// Time the server would have spent.
    pub(crate) delay: Duration,
    /// Sessions of users that ended, to be announced.
    pub(crate) ended: Vec<Session>,
}

/// What one stage makes of one request.
pub(crate) enum Step {
    /// Show this challenge.
    Challenge(Value),
    /// The stage is done.
    Done,
    /// Logged in as this user for this long.
    LoggedIn {
        user: i32,
        lifetime: Duration,
        remember_device: bool,
        end_others: bool,
    },
    /// Logged out.
    LoggedOut,
    /// Refused for good.
    Denied(String),
    /// Elsewhere.
    Elsewhere(String),
}

/// Runs one request; none when there is no such flow.
pub(crate) fn run(mut desk: Desk<'_>, call: &Call<'_>) -> Option<Outcome> {
    let flow = desk.directory.flows.get(call.slug)?.clone();
    let had_cookie_session = call.sid.clone();
    let sid = had_cookie_session.unwrap_or_else(|| desk.sessions.open(call.ip, call.now));
    let mut visit = Visit {
        call,
        sid,
        claims_user: None,
        cookies: Vec::new(),
        delay: Duration::ZERO,
        ended: Vec::new(),
        logged_out: false,
    };
    visit.claims_user = call.bearer.or_else(|| visit.session_user(&desk));
    let mut reply = visit.answer(&mut desk, &flow);
    for cookie in std::mem::take(&mut visit.cookies) {
        reply.cookie(cookie);
    }
    reply.cookie(visit.session_cookie(&mut desk));
    reply.headers.push((
        HeaderName::from_static("allow"),
        "GET, POST, HEAD, OPTIONS".into(),
    ));
    Some(Outcome {
        reply,
        delay: visit.delay,
        ended: visit.ended,
    })
}

/// One request while it is being worked on.
struct Visit<'a> {
    call: &'a Call<'a>,
    sid: String,
    /// Whom the cookie's claims name.
    claims_user: Option<i32>,
    cookies: Vec<String>,
    delay: Duration,
    ended: Vec<Session>,
    logged_out: bool,
}

impl Visit<'_> {
    fn session_user(&self, desk: &Desk<'_>) -> Option<i32> {
        desk.sessions.get(&self.sid).and_then(|session| session.user)
    }

    fn answer(&mut self, desk: &mut Desk<'_>, flow: &Flow) -> Reply {
        let resuming = desk
            .sessions
            .get(&self.sid)
            .and_then(|session| session.plan.as_ref())
            .is_some_and(|plan| plan.slug == flow.slug);
        if !resuming && let Err(reply) = self.plan(desk, flow) {
            return reply;
        }
        let posted = match *self.call.method {
            Method::GET | Method::HEAD => None,
            Method::POST => {
                if self.call.bearer.is_none() && self.session_user(desk).is_some() && !self.csrf_holds() {
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
        self.step(desk, flow, posted.as_ref())
    }

    /// Puts a fresh plan into the session, or refuses.
    fn plan(&mut self, desk: &mut Desk<'_>, flow: &Flow) -> Result<(), Reply> {
        let user = self.claims_user.and_then(|pk| desk.directory.user(pk));
        let applies = match flow.requirement {
            Requirement::None => true,
            Requirement::Authenticated => user.is_some(),
            Requirement::Unauthenticated => user.is_none(),
            Requirement::Superuser => user.is_some_and(|user| desk.directory.is_superuser(user)),
            Requirement::Outpost => self.call.outpost,
        };
        if !applies {
            return Err(access_denied(
                desk,
                flow,
                None,
                "Flow does not apply to current user.",
            ));
        }
        if let Some(message) = &flow.denied {
            return Err(access_denied(desk, flow, None, message));
        }
        let mut plan = Plan {
            slug: flow.slug.clone(),
            at: 0,
            pending: None,
            wrong_passwords: 0,
            devices_shown: false,
            consent_token: None,
        };
        if flow.designation != "authentication" {
            plan.pending = self.claims_user.map(Pending::Known);
        }
        if next_stage(flow, &plan).is_none() {
            return Err(finished());
        }
        self.keep(desk, Some(plan));
        Ok(())
    }

    fn keep(&self, desk: &mut Desk<'_>, plan: Option<Plan>) {
        if let Some(session) = desk.sessions.get_mut(&self.sid) {
            session.plan = plan;
        }
    }

    /// Runs the stage whose turn it is.
    fn step(&mut self, desk: &mut Desk<'_>, flow: &Flow, posted: Option<&Map<String, Value>>) -> Reply {
        let plan = desk
            .sessions
            .get(&self.sid)
            .and_then(|session| session.plan.clone());
        let Some(mut plan) = plan else { return finished() };
        let Some((at, binding)) = next_stage(flow, &plan) else {
            self.keep(desk, None);
            return finished();
        };
        plan.at = at;
        let mut room = stages::Room {
            directory: desk.directory,
            call: self.call,
            plan: &mut plan,
            delay: Duration::ZERO,
        };
        let step = stages::run(&mut room, &binding.stage, posted);
        self.delay += room.delay;
        match step {
            Step::Challenge(challenge) => {
                let wrong = challenge.get("response_errors").is_some();
                if wrong && binding.restart_on_invalid {
                    self.keep(desk, None);
                    return self.to_executor();
                }
                self.keep(desk, Some(plan));
                Reply::new(200, JSON, with_flow_info(flow, challenge).to_string())
            }
            Step::Done => self.advance(desk, flow, plan),
            Step::LoggedIn {
                user,
                lifetime,
                remember_device,
                end_others,
            } => {
                if !self.call.suppress_login {
                    self.log_in(desk, user, lifetime, remember_device, end_others);
                }
                self.advance(desk, flow, plan)
            }
            Step::LoggedOut => {
                self.ended.extend(
                    desk.sessions
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
            Step::Denied(message) => {
                self.keep(desk, None);
                access_denied(desk, flow, plan.pending.as_ref(), &message)
            }
            Step::Elsewhere(to) => {
                self.keep(desk, None);
                redirect_challenge(&to)
            }
        }
    }

    fn advance(&mut self, desk: &mut Desk<'_>, flow: &Flow, mut plan: Plan) -> Reply {
        plan.at += 1;
        if next_stage(flow, &plan).is_some() {
            self.keep(desk, Some(plan));
            self.to_executor()
        } else {
            self.keep(desk, None);
            finished()
        }
    }

    fn log_in(
        &mut self,
        desk: &mut Desk<'_>,
        user: i32,
        lifetime: Duration,
        remember_device: bool,
        end_others: bool,
    ) {
        let now = self.call.now;
        let old = desk
            .sessions
            .get(&self.sid)
            .filter(|session| session.user.is_some())
            .cloned();
        self.ended.extend(old);
        self.sid = desk.sessions.log_in(&self.sid, user, lifetime, self.call.ip, now);
        self.claims_user = Some(user);
        if end_others {
            self.ended.extend(desk.sessions.end_of(user, Some(&self.sid)));
        }
        desk.directory.note_login(user, now);
        if remember_device {
            const THIRTY_DAYS: i64 = 30 * 86_400_000_000;
            let uid = desk
                .directory
                .user(user)
                .map(super::User::uid_hex)
                .unwrap_or_default();
            let exp = system_time(now + THIRTY_DAYS)
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap_or_default();
            let value = desk.sessions.sign(&json!({"sub": uid, "exp": exp.as_secs_f64()}));
            self.set_cookie("authentik_device", &value, THIRTY_DAYS, false);
        }
        const ALMOST_A_YEAR: i64 = 31_449_600_000_000;
        self.set_cookie("authentik_csrf", &short_secret(), ALMOST_A_YEAR, self.call.secure);
    }

    fn set_cookie(&mut self, name: &str, value: &str, age: i64, secure: bool) {
        let now = self.call.now;
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

    /// Django's CSRF check: token against cookie, and over https the origin too, which no test needs wrong.
    fn csrf_holds(&self) -> bool {
        self.call.csrf_header.is_some() && self.call.csrf_header == self.call.csrf_cookie
    }

    fn body(&self) -> Option<Map<String, Value>> {
        if !self.call.content_type.starts_with(JSON) {
            return None;
        }
        match serde_json::from_slice(self.call.body).ok()? {
            Value::Object(body) => Some(body),
            _ => None,
        }
    }

    /// To the executor again: a real redirect only if the query string is already in Django's own form.
    fn to_executor(&self) -> Reply {
        let encoded = Query::parse(self.call.raw_query).encode();
        let to = if encoded.is_empty() {
            self.call.path.to_owned()
        } else {
            format!("{}?{encoded}", self.call.path)
        };
        if encoded == self.call.raw_query {
            Reply::redirect(&to)
        } else {
            redirect_challenge(&to)
        }
    }

    fn session_cookie(&self, desk: &mut Desk<'_>) -> String {
        if self.logged_out {
            return NO_SESSION.to_owned();
        }
        if let Some(session) = desk.sessions.get_mut(&self.sid) {
            self.call.ip.clone_into(&mut session.last_ip);
        }
        session_cookie(
            desk.directory,
            desk.sessions,
            &self.sid,
            self.claims_user,
            self.call.secure,
            self.call.now,
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
    let uid = user.and_then(|pk| directory.user(pk)).map(super::User::uid_hex);
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

/// The first stage from the plan's position on that counts for the pending user.
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

fn access_denied(desk: &Desk<'_>, flow: &Flow, pending: Option<&Pending>, message: &str) -> Reply {
    let (name, picture) = match pending {
        Some(pending) => shown(desk.directory, pending),
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

/// Name and picture of the user a challenge is for.
pub(crate) fn shown(directory: &Directory, pending: &Pending) -> (String, String) {
    match pending {
        Pending::Known(pk) => directory
            .user(*pk)
            .map(|user| (user.username.to_string(), user.avatar()))
            .unwrap_or_default(),
        Pending::Pretended(name) => (name.clone(), avatar(name, name)),
    }
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
