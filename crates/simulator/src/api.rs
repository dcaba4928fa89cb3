//! From a request to an answer: flows are run, everything else is read.

use std::sync::PoisonError;

use super::caller::{Caller, anonymous_or_bearer, identify};
use super::clock::Clock;
use super::endpoints::endpoint;
use super::executor::{self, FlowRequest, session_cookie};
use super::outcome::Outcome;
use super::passwords;
use super::reply::Reply;
use super::request::{Circumstances, Request};
use super::sessions::NO_SESSION;
use super::state::{Shared, State};

/// Answers one request.
pub(crate) fn answer(state: &Shared, clock: &Clock, request: &Request<'_>, given: Circumstances) -> Outcome {
    let now = clock.now();
    match request.path {
        "/-/health/live/" | "/-/health/ready/" => {
            return Outcome::from(Reply::new(200, super::reply::HTML, ""));
        }
        _ => {}
    }
    // What is no websocket by the time it arrives gets a page, with or without a token.
    if is_websocket_path(request.path) {
        return Outcome::from(Reply::html(200, "authentik"));
    }
    let configured = request.path.strip_prefix("/flows/-/configure/");
    if let Some(stage) = configured.and_then(|stage| stage.strip_suffix('/')) {
        return with_session(state, request, now, |state, caller| {
            passwords::configure(state, caller, stage)
        });
    }
    let Some(path) = request
        .path
        .strip_prefix("/api/v3/")
        .and_then(|path| path.strip_suffix('/'))
    else {
        return Outcome::from(Reply::html(404, "Not Found"));
    };
    let parts: Vec<String> = path.split('/').map(super::query::decode).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    if let ["flows", "executor", slug] = parts.as_slice() {
        return run_flow(state, request, slug, given, now);
    }
    if let ["core", "users", pk, "set_password"] = parts.as_slice() {
        return with_session(state, request, now, |state, caller| {
            passwords::set_password(&mut state.directory, caller, pk, request, now)
        });
    }
    if request.header("cookie").is_none() {
        let state = state.read().unwrap_or_else(PoisonError::into_inner);
        let caller = match anonymous_or_bearer(&state, request) {
            Ok(caller) => caller,
            Err(reply) => return Outcome::from(reply),
        };
        return Outcome::from(endpoint(&state.directory, &caller, &parts, request, given));
    }
    with_session(state, request, now, |state, caller| {
        endpoint(&state.directory, caller, &parts, request, given)
    })
}

fn is_websocket_path(path: &str) -> bool {
    let outpost = path.strip_prefix("/ws/outpost/");
    let outpost = outpost.and_then(|outpost| outpost.strip_suffix('/'));
    path == "/ws/client/" || outpost.is_some_and(|outpost| uuid::Uuid::parse_str(outpost).is_ok())
}

fn with_session(
    state: &Shared,
    request: &Request<'_>,
    now: i64,
    answer: impl FnOnce(&mut State, &Caller) -> Reply,
) -> Outcome {
    let mut state = state.write().unwrap_or_else(PoisonError::into_inner);
    let caller = match identify(&mut state, request, now) {
        Ok(caller) => caller,
        Err(reply) => return Outcome::from(reply),
    };
    let mut reply = answer(&mut state, &caller);
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
            let me = request.path == "/api/v3/core/users/me/" && reply.status == 200;
            if moved || me || request.path.starts_with("/flows/") {
                sessions.save(sid, now);
                let secure = request.is_secure();
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
    Outcome::from(reply)
}

fn run_flow(state: &Shared, request: &Request<'_>, slug: &str, given: Circumstances, now: i64) -> Outcome {
    let mut state = state.write().unwrap_or_else(PoisonError::into_inner);
    let caller = match identify(&mut state, request, now) {
        Ok(caller) => caller,
        Err(reply) => return Outcome::from(reply),
    };
    let flow_request = FlowRequest {
        slug,
        method: request.method,
        content_type: request.header("content-type").unwrap_or_default(),
        body: request.body,
        path: request.path,
        raw_query: request.raw_query,
        sid: caller.sid.clone(),
        bearer: caller.bearer,
        outpost: caller.outpost,
        ip: &caller.ip,
        secure: request.is_secure(),
        csrf_header: request.header("x-authentik-csrf"),
        csrf_cookie: request.cookie("authentik_csrf"),
        now,
        hash_cost: given.hash_cost,
        suppress_login: given.suppress_login,
    };
    executor::run(&mut state, &flow_request).unwrap_or_else(|| Reply::html(404, "Not Found").into())
}
