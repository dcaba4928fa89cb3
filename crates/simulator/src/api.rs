//! From a request to an answer: who calls, which endpoint, what it says.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::http::{HeaderMap, Method, header};
use uuid::Uuid;

use super::clock::Clock;
use super::directory::Directory;
use super::endpoints::endpoint;
use super::executor::{self, Call, Desk, session_cookie};
use super::pages::Sizes;
use super::reply::Reply;
use super::sessions::{NO_SESSION, Session, Sessions};
use super::users::UserType;

/// Everything that changes.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) directory: Directory,
    pub(crate) sessions: Sessions,
}

pub(crate) type Shared = Arc<RwLock<State>>;

/// One request, read.
pub(crate) struct Received<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) raw_query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    pub(crate) peer: IpAddr,
    pub(crate) tls: bool,
}

/// What of the options and faults bears on answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances {
    pub(crate) sizes: Sizes,
    pub(crate) hash_cost: Duration,
    pub(crate) suppress_login: bool,
    pub(crate) passing_for_anyone: bool,
}

/// An answer, time to spend before it, and sessions that ended with it.
pub(crate) struct Answered {
    pub(crate) reply: Reply,
    pub(crate) delay: Duration,
    pub(crate) ended: Vec<Session>,
}

/// Who is calling.
pub(crate) struct Caller {
    bearer: Option<i32>,
    /// A live session.
    sid: Option<String>,
    /// A session cookie came, genuine or not.
    cookie_sent: bool,
    session_user: Option<i32>,
    outpost: bool,
    ip: String,
}

impl Caller {
    /// The user requests are made as.
    pub(crate) fn user(&self) -> Option<i32> {
        self.bearer.or(self.session_user)
    }
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The value of a cookie; the last one of the name counts.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value)
        .next_back()
}

/// The account behind a Bearer token: none without one, an error for a bad one.
pub(crate) fn bearer(directory: &Directory, headers: &HeaderMap) -> Result<Option<i32>, Reply> {
    let Some(value) = header_text(headers, "authorization") else {
        return Ok(None);
    };
    let (scheme, token) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
    if !scheme.eq_ignore_ascii_case("bearer") || token.trim().is_empty() {
        return Ok(None);
    }
    directory
        .tokens
        .get(token.trim())
        .and_then(|pk| directory.user(*pk))
        .filter(|user| user.is_active)
        .map(|user| Some(user.pk))
        .ok_or_else(Reply::bad_token)
}

/// The outpost a websocket handshake may connect to.
pub(crate) fn websocket_outpost(state: &State, path: &str, headers: &HeaderMap) -> Option<Uuid> {
    let uuid: Uuid = path
        .strip_prefix("/ws/outpost/")?
        .strip_suffix('/')?
        .parse()
        .ok()?;
    let account = bearer(&state.directory, headers).ok()??;
    state
        .directory
        .outposts_of(account)
        .iter()
        .any(|outpost| outpost.pk == uuid)
        .then_some(uuid)
}

/// Answers one request.
pub(crate) fn answer(
    state: &Shared,
    clock: &Clock,
    received: &Received<'_>,
    given: Circumstances,
) -> Answered {
    let now = clock.now();
    let plain = |reply| Answered {
        reply,
        delay: Duration::ZERO,
        ended: Vec::new(),
    };
    match received.path {
        "/-/health/live/" | "/-/health/ready/" => return plain(Reply::new(200, super::reply::HTML, "")),
        _ => {}
    }
    let Some(path) = received
        .path
        .strip_prefix("/api/v3/")
        .and_then(|path| path.strip_suffix('/'))
    else {
        return plain(Reply::html(404, "Not Found"));
    };
    let parts: Vec<String> = path.split('/').map(super::query::decode).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    if let ["flows", "executor", slug] = parts.as_slice() {
        return run_flow(state, received, slug, given, now);
    }
    if header_text(received.headers, "cookie").is_none() {
        let state = state.read().unwrap_or_else(PoisonError::into_inner);
        let caller = match anonymous_or_bearer(&state, received) {
            Ok(caller) => caller,
            Err(reply) => return plain(reply),
        };
        return plain(endpoint(&state.directory, &caller, &parts, received, given));
    }
    with_session(state, received, &parts, given, now)
}

fn anonymous_or_bearer(state: &State, received: &Received<'_>) -> Result<Caller, Reply> {
    let (outpost, ip) = delegation(&state.directory, received);
    let bearer = bearer(&state.directory, received.headers)?;
    Ok(Caller {
        bearer,
        sid: None,
        cookie_sent: false,
        session_user: None,
        outpost,
        ip,
    })
}

/// Reads the session cookie too; a session whose user is gone or inactive ends here.
fn identify(state: &mut State, received: &Received<'_>, now: i64) -> Result<Caller, Reply> {
    let mut caller = anonymous_or_bearer(state, received)?;
    let Some(value) = cookie(received.headers, "authentik_session") else {
        return Ok(caller);
    };
    caller.cookie_sent = true;
    caller.sid = state.sessions.find(value, now);
    let user = caller
        .sid
        .as_deref()
        .and_then(|sid| state.sessions.get(sid))
        .and_then(|session| session.user);
    if let Some(pk) = user {
        if state.directory.user(pk).is_some_and(|user| user.is_active) {
            caller.session_user = Some(pk);
        } else if let Some(sid) = caller.sid.take() {
            state.sessions.remove(&sid);
        }
    }
    Ok(caller)
}

fn with_session(
    state: &Shared,
    received: &Received<'_>,
    parts: &[&str],
    given: Circumstances,
    now: i64,
) -> Answered {
    let mut state = state.write().unwrap_or_else(PoisonError::into_inner);
    let plain = |reply| Answered {
        reply,
        delay: Duration::ZERO,
        ended: Vec::new(),
    };
    let caller = match identify(&mut state, received, now) {
        Ok(caller) => caller,
        Err(reply) => return plain(reply),
    };
    let mut reply = endpoint(&state.directory, &caller, parts, received, given);
    match &caller.sid {
        None if caller.cookie_sent => reply.cookie(NO_SESSION.to_owned()),
        None => {}
        Some(sid) => {
            let State { directory, sessions } = &mut *state;
            let moved = sessions.get_mut(sid).is_some_and(|session| {
                let moved = session.last_ip != caller.ip;
                session.last_ip.clone_from(&caller.ip);
                moved
            });
            // `users/me` saves the session, but only once it has let the user in.
            if moved || parts == ["core", "users", "me"] && reply.status == 200 {
                sessions.save(sid, now);
                let secure = is_secure(received);
                reply.cookie(session_cookie(
                    directory,
                    sessions,
                    sid,
                    caller.user(),
                    secure,
                    now,
                ));
            }
        }
    }
    plain(reply)
}

fn run_flow(state: &Shared, received: &Received<'_>, slug: &str, given: Circumstances, now: i64) -> Answered {
    let mut state = state.write().unwrap_or_else(PoisonError::into_inner);
    let plain = |reply| Answered {
        reply,
        delay: Duration::ZERO,
        ended: Vec::new(),
    };
    let caller = match identify(&mut state, received, now) {
        Ok(caller) => caller,
        Err(reply) => return plain(reply),
    };
    let call = Call {
        slug,
        method: received.method,
        content_type: header_text(received.headers, "content-type").unwrap_or_default(),
        body: received.body,
        path: received.path,
        raw_query: received.raw_query,
        sid: caller.sid.clone(),
        bearer: caller.bearer,
        outpost: caller.outpost,
        ip: &caller.ip,
        secure: is_secure(received),
        csrf_header: header_text(received.headers, "x-authentik-csrf"),
        csrf_cookie: cookie(received.headers, "authentik_csrf"),
        now,
        hash_cost: given.hash_cost,
        suppress_login: given.suppress_login,
    };
    let State { directory, sessions } = &mut *state;
    match executor::run(Desk { directory, sessions }, &call) {
        Some(outcome) => Answered {
            reply: outcome.reply,
            delay: outcome.delay,
            ended: outcome.ended,
        },
        None => plain(Reply::html(404, "Not Found")),
    }
}

fn is_secure(received: &Received<'_>) -> bool {
    received.tls || header_text(received.headers, "x-forwarded-proto") == Some("https")
}

/// Whether both delegation headers are there and genuine, and the address that then counts.
fn delegation(directory: &Directory, received: &Received<'_>) -> (bool, String) {
    let own = header_text(received.headers, "x-forwarded-for")
        .and_then(|list| list.split(',').next())
        .and_then(|first| first.trim().parse::<IpAddr>().ok())
        .unwrap_or(received.peer);
    let token = header_text(received.headers, "x-authentik-outpost-token");
    let remote = header_text(received.headers, "x-authentik-remote-ip");
    let (Some(token), Some(remote)) = (token, remote) else {
        return (false, own.to_string());
    };
    let genuine = directory
        .tokens
        .get(token)
        .and_then(|pk| directory.user(*pk))
        .is_some_and(|user| user.kind == UserType::InternalServiceAccount);
    let ip = remote.parse::<IpAddr>().ok().filter(|_| genuine).unwrap_or(own);
    (genuine, ip.to_string())
}
