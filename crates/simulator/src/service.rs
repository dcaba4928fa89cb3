//! One HTTP request from the socket to the answer, with log, latency and faults around it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{ConnectInfo, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Response, StatusCode, header};
use futures_util::{StreamExt, stream};
use tokio::sync::watch;

use super::api;
use super::caller::websocket_outpost;
use super::clock::Clock;
use super::cost::Workers;
use super::faults::{Fault, Faults};
use super::outcome::Outcome;
use super::pages::Sizes;
use super::query::Query;
use super::reply::{HTML, JSON, Reply, TEXT};
use super::request::{self, Circumstances};
use super::request_log::{Endpoint, RecordedRequest, Requests};
use super::sessions::Session;
use super::state::{Shared, State};
use super::transport::Peer;
use super::websocket::{self, Hub, SERVICE_RESTART};

/// authentik's own limit for bodies.
const MAX_BODY: usize = 32 * 1024 * 1024;
const FLUSH_PAUSE: Duration = Duration::from_millis(20);

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) state: Shared,
    pub(crate) clock: Arc<Clock>,
    pub(crate) faults: Faults,
    pub(crate) requests: Requests,
    pub(crate) hub: Arc<Hub>,
    pub(crate) paused: watch::Sender<bool>,
    /// Every request is answered 503.
    pub(crate) starting: AtomicBool,
    pub(crate) default_page_size: usize,
    pub(crate) max_page_size: AtomicUsize,
    /// Microseconds a password check costs.
    pub(crate) hash_cost: AtomicI64,
    pub(crate) workers: Workers,
    /// Websockets are closed each time this many requests were served; 0: never.
    pub(crate) recycle_after: u64,
    pub(crate) served: AtomicU64,
    pub(crate) push_delay: Duration,
    /// The most microseconds by which the end of a session is announced late, in bursts and some of them twice; 0: all in
    /// order.
    pub(crate) disorder: AtomicI64,
}

impl Core {
    /// Announces the end of sessions as the task worker would: a moment later.
    pub(crate) fn announce(&self, ended: Vec<Session>) {
        if ended.is_empty() {
            return;
        }
        let (hub, delay) = (Arc::clone(&self.hub), self.push_delay);
        let disorder = self.disorder.load(Ordering::Relaxed);
        if let Ok(disorder @ 1..) = u64::try_from(disorder) {
            self.announce_in_disorder(&ended, Duration::from_micros(disorder));
            return;
        }
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            for session in ended {
                hub.session_end(&session.id());
            }
        });
    }

    /// Each at one of a few moments, and every third twice.
    fn announce_in_disorder(&self, ended: &[Session], disorder: Duration) {
        const MOMENTS: u32 = 4;
        for session in ended {
            for _ in 0..1 + u32::from(fastrand::u8(..3) == 0) {
                let (hub, id) = (Arc::clone(&self.hub), session.id());
                let late = disorder / MOMENTS * fastrand::u32(..=MOMENTS);
                let delay = self.push_delay + late;
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    hub.session_end(&id);
                });
            }
        }
    }

    fn circumstances(&self, fault: Option<&Fault>) -> Circumstances {
        let hash_cost = u64::try_from(self.hash_cost.load(Ordering::Relaxed)).unwrap_or_default();
        Circumstances {
            sizes: Sizes {
                default: self.default_page_size,
                max: self.max_page_size.load(Ordering::Relaxed),
            },
            hash_cost: Duration::from_micros(hash_cost),
            suppress_login: fault == Some(&Fault::AnonymousSession),
            passing_for_anyone: fault == Some(&Fault::PassingForAnyone),
        }
    }

    fn count(&self, path: &str) {
        self.requests.tally(Endpoint::of(path));
        let served = self.served.fetch_add(1, Ordering::Relaxed) + 1;
        if self.recycle_after > 0 && served.is_multiple_of(self.recycle_after) {
            self.hub.close_all(SERVICE_RESTART);
        }
    }
}

/// The handler of every request.
pub(crate) async fn handle(core: Arc<Core>, peer: Peer, request: Request) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    core.count(parts.uri.path());
    let _busy = core.requests.begin(Endpoint::of(parts.uri.path()));
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return Reply::detail(413, "Request body too large.").into_response();
    };
    if core.requests.is_recording() {
        core.requests.keep(recorded(&parts, &body));
    }
    wait_while_paused(&core).await;
    let latency = core.faults.latency();
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    if core.starting.load(Ordering::Relaxed) {
        return starting(&parts);
    }
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let fault = core.faults.choose(&parts.method, target);
    if let Some(Fault::Echoed(status, content_type)) = &fault {
        return echoed(*status, content_type, &parts, &body);
    }
    if let Some(response) = before(fault.as_ref(), &peer, &parts).await {
        return response;
    }
    if let Some(Fault::Stripped(name)) = fault {
        parts.headers.remove(name);
    }
    if parts.uri.path().starts_with("/ws/") && asks_for_websocket(&parts) {
        return upgrade(&core, parts).await;
    }
    let received = request::Request {
        method: &parts.method,
        path: parts.uri.path(),
        raw_query: parts.uri.query().unwrap_or_default(),
        headers: &parts.headers,
        body: &body,
        peer: peer.address.ip(),
        tls: peer.secure,
    };
    let worker = core.workers.take().await;
    let Outcome { reply, delay, ended } = api::answer(
        &core.state,
        &core.clock,
        &received,
        core.circumstances(fault.as_ref()),
    );
    core.announce(ended);
    let busy = delay + core.workers.time_of(reply.rows);
    if !busy.is_zero() {
        tokio::time::sleep(busy).await;
    }
    drop(worker);
    let mut response = after(fault, reply);
    dated(&core, &mut response);
    response
}

/// The Date header by the simulator's own clock, by which it dates rows too.
fn dated(core: &Core, response: &mut Response<Body>) {
    let now = httpdate::fmt_http_date(super::clock::system_time(core.clock.now()));
    if let Ok(now) = HeaderValue::from_str(&now) {
        response.headers_mut().insert(header::DATE, now);
    }
}

async fn wait_while_paused(core: &Core) {
    let mut paused = core.paused.subscribe();
    let _ = paused.wait_for(|paused| !paused).await;
}

fn recorded(parts: &Parts, body: &Bytes) -> RecordedRequest {
    RecordedRequest {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect(),
        body: body.to_vec(),
    }
}

/// 503 as authentik's front server gives it while its core is starting.
fn starting(parts: &Parts) -> Response<Body> {
    let wants_json = parts
        .headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains(JSON));
    let reply = if wants_json {
        Reply::new(503, JSON, r#"{"error":"authentik starting"}"#)
    } else {
        Reply::new(
            503,
            HTML,
            "<!DOCTYPE html><html><body>authentik starting</body></html>",
        )
    };
    reply.with(header::RETRY_AFTER, "5").into_response()
}

/// Faults that replace the whole answer.
async fn before(fault: Option<&Fault>, peer: &Peer, parts: &Parts) -> Option<Response<Body>> {
    let reply = match fault? {
        Fault::Reset => {
            peer.reset();
            Reply::new(500, TEXT, "")
        }
        Fault::Hang => std::future::pending().await,
        Fault::Stall(time) => {
            tokio::time::sleep(*time).await;
            return None;
        }
        Fault::Answer(status, content_type, body) => Reply::new(*status, content_type, *body),
        Fault::Intercepted(status, content_type, body) => {
            return Some(intercepted(*status, content_type, (*body).to_owned()));
        }
        Fault::Moved(to) => {
            let mut response = intercepted(302, HTML, String::new());
            let to = HeaderValue::from_static(to);
            response.headers_mut().insert(header::LOCATION, to);
            return Some(response);
        }
        Fault::WorkerLost => Reply::new(500, TEXT, "Internal Server Error").with(header::CONNECTION, "close"),
        Fault::BadGateway => Reply::new(502, HTML, "<html><body><h1>502 Bad Gateway</h1></body></html>"),
        Fault::Starting => return Some(starting(parts)),
        Fault::Forbidden => Reply::bad_token(),
        Fault::NotFound => Reply::detail(404, "Not found."),
        _ => return None,
    };
    Some(reply.into_response())
}

/// What was received, as a page for those who develop shows it.
fn echoed(status: u16, content_type: &'static str, parts: &Parts, body: &[u8]) -> Response<Body> {
    let mut text = String::from_utf8_lossy(body).into_owned();
    for name in ["authorization", "x-authentik-outpost-token", "cookie"] {
        if let Some(value) = parts.headers.get(name) {
            text.push_str(&format!(" {name}: {}", String::from_utf8_lossy(value.as_bytes())));
        }
    }
    let text = match content_type {
        JSON => serde_json::json!({ "detail": text }).to_string(),
        HTML => format!(
            "<pre>{}</pre>",
            text.replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('"', "&quot;")
        ),
        _ => text,
    };
    intercepted(status, content_type, text)
}

/// An answer without authentik's headers.
fn intercepted(status: u16, content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let kind = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Faults that spoil the real answer.
fn after(fault: Option<Fault>, mut reply: Reply) -> Response<Body> {
    match fault {
        Some(Fault::EmptyBody) => reply.body.clear(),
        Some(Fault::Truncated) => reply.body = half(&reply.body).to_owned(),
        Some(Fault::WrongContentType) => reply.content_type = HTML,
        Some(Fault::Replaced(status, content_type, body)) => {
            return Reply::new(status, content_type, body).into_response();
        }
        Some(Fault::BrokenOff) => return broken_off(reply),
        Some(Fault::SlowBody(piece, pause)) => return slow(reply, piece, pause),
        _ => {}
    }
    reply.into_response()
}

fn half(text: &str) -> &str {
    let at = (0..=text.len() / 2)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    text.get(..at).unwrap_or_default()
}

fn broken_off(mut reply: Reply) -> Response<Body> {
    let body = std::mem::take(&mut reply.body);
    let sent = Bytes::from(half(&body).to_owned());
    let mut response = reply.into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    // The pause lets the first half leave before the connection breaks.
    let broken = async {
        tokio::time::sleep(FLUSH_PAUSE).await;
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
    };
    *response.body_mut() = Body::from_stream(stream::once(async { Ok(sent) }).chain(stream::once(broken)));
    response
}

fn slow(mut reply: Reply, piece: usize, pause: Duration) -> Response<Body> {
    let body = Bytes::from(std::mem::take(&mut reply.body));
    let mut response = reply.into_response();
    let pieces = stream::unfold(body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        let next = rest.split_to(rest.len().min(piece.max(1)));
        Some((Ok::<_, std::io::Error>(next), rest))
    });
    *response.body_mut() = Body::from_stream(pieces);
    response
}

/// Whether the request is for a websocket by the time it arrives. Anything else is for the web pages, whatever its path.
fn asks_for_websocket(parts: &Parts) -> bool {
    let upgrade = parts.headers.get(header::UPGRADE);
    upgrade.is_some_and(|kind| kind.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

async fn upgrade(core: &Arc<Core>, mut parts: Parts) -> Response<Body> {
    let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut parts, &()).await else {
        return refused(StatusCode::BAD_REQUEST);
    };
    let outpost = {
        let state = core
            .state
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let state: &State = &state;
        websocket_outpost(state, parts.uri.path(), &parts.headers)
    };
    let Some(outpost) = outpost else {
        return refused(StatusCode::FORBIDDEN);
    };
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let instance = query
        .get("instance_uuid")
        .map_or_else(super::reply::short_secret, str::to_owned);
    let (hub, clock) = (Arc::clone(&core.hub), Arc::clone(&core.clock));
    upgrade.on_upgrade(move |socket| async move {
        websocket::serve(socket, &hub, &clock, outpost, instance).await
    })
}

/// As authentik refuses a websocket: the status and nothing else.
fn refused(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// The router: one handler, since an unknown path is answered as authentik does, too.
pub(crate) fn router(core: Arc<Core>) -> axum::Router {
    axum::Router::new().fallback(move |ConnectInfo(peer): ConnectInfo<Peer>, request: Request| {
        let core = Arc::clone(&core);
        async move { handle(core, peer, request).await }
    })
}
