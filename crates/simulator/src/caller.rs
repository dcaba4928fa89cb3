//! Who is calling: a token, a session, and the address an outpost vouches for.
//!
//! Must not know what is asked.

use std::net::IpAddr;

use axum::http::HeaderMap;
use uuid::Uuid;

use super::directory::Directory;
use super::reply::Reply;
use super::request::{Request, header_text};
use super::state::State;
use super::users::UserType;

/// Who is calling.
pub(crate) struct Caller {
    pub(crate) bearer: Option<i32>,
    /// A live session.
    pub(crate) sid: Option<String>,
    /// A session cookie came, genuine or not.
    pub(crate) cookie_sent: bool,
    session_user: Option<i32>,
    pub(crate) outpost: bool,
    pub(crate) ip: String,
}

impl Caller {
    /// The user as whom requests are made.
    pub(crate) fn user(&self) -> Option<i32> {
        self.bearer.or(self.session_user)
    }
}

/// Reads the session cookie too; a session whose user is gone or inactive ends here.
pub(crate) fn identify(state: &mut State, request: &Request<'_>, now: i64) -> Result<Caller, Reply> {
    let mut caller = anonymous_or_bearer(state, request)?;
    let Some(value) = request.cookie("authentik_session") else {
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

/// The caller of a request without a session.
pub(crate) fn anonymous_or_bearer(state: &State, request: &Request<'_>) -> Result<Caller, Reply> {
    let (outpost, ip) = delegation(&state.directory, request);
    let bearer = bearer(&state.directory, request.headers)?;
    Ok(Caller {
        bearer,
        sid: None,
        cookie_sent: false,
        session_user: None,
        outpost,
        ip,
    })
}

/// The account behind a Bearer token: none without one, an error for a bad one.
fn bearer(directory: &Directory, headers: &HeaderMap) -> Result<Option<i32>, Reply> {
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

/// Whether both delegation headers are there and genuine, and the address that is then used.
fn delegation(directory: &Directory, request: &Request<'_>) -> (bool, String) {
    let own = request
        .header("x-forwarded-for")
        .and_then(|list| list.split(',').next())
        .and_then(|first| first.trim().parse::<IpAddr>().ok())
        .unwrap_or(request.peer);
    let token = request.header("x-authentik-outpost-token");
    let remote = request.header("x-authentik-remote-ip");
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
