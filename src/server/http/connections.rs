//! The connections to the HTTP endpoint. Whoever probes whether the server is alive must always get in, whatever strangers
//! do, so a newcomer is never kept waiting. When all permits are taken, the address that has most of them loses its oldest
//! one. A request has seconds to arrive and is bounded in size.
//!
//! Knows connections and HTTP's framing; must not know what is answered.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::serve::Listener;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::server::counted_address::counted_address;

/// Connections at once: probes and metrics collectors are few, and LDAP needs the descriptors.
const MAX_CONNECTIONS: usize = 64;
/// How long a request may take to arrive, and how long a connection may wait for its next one. Collectors that keep theirs
/// open simply connect again.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request may take once the process is ending. One that has begun to arrive cannot be distinguished from one
/// under way, and those take milliseconds.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long a connection may go on, slow readers of an answer included.
const MAX_CONNECTION_TIME: Duration = Duration::from_secs(60);
/// Octets of a request's line and headers; more is answered 431. Ours need a few hundred.
const MAX_HEAD: usize = 16 * 1024;
/// Headers of a request; more are answered 431.
const MAX_HEADERS: usize = 64;
/// Octets of a path with its query; a longer one is answered 414.
const MAX_PATH: usize = 1024;

/// The address that a connection came from, as far as permits are counted by it.
pub(super) trait PeerAddress {
    /// `None`: from this machine, over a socket without addresses.
    fn source(&self) -> Option<IpAddr>;

    /// The address itself; `None` as above.
    fn address(&self) -> Option<IpAddr>;
}

impl PeerAddress for SocketAddr {
    fn source(&self) -> Option<IpAddr> {
        Some(counted_address(self.ip()))
    }

    fn address(&self) -> Option<IpAddr> {
        Some(self.ip())
    }
}

impl PeerAddress for tokio::net::unix::SocketAddr {
    fn source(&self) -> Option<IpAddr> {
        None
    }

    fn address(&self) -> Option<IpAddr> {
        None
    }
}

/// Where the connection of a request comes from; `None`: from this machine, over a socket without addresses.
#[derive(Debug, Clone, Copy)]
pub(super) struct HttpPeer(pub(super) Option<IpAddr>);

/// Serves HTTP/1 to whoever comes until `shutdown`, then ends what is idle and waits for what is not.
pub(super) async fn serve<L>(mut listener: L, router: Router, shutdown: CancellationToken)
where
    L: Listener,
    L::Addr: PeerAddress,
{
    let (connections, tasks) = (Arc::new(Connections::default()), TaskTracker::new());
    let router = router.layer(middleware::from_fn(limit_path));
    while let Some((stream, address)) = shutdown.run_until_cancelled(listener.accept()).await {
        let permit = Connections::admit(&connections, address.source());
        let router = router.clone().layer(Extension(HttpPeer(address.address())));
        tasks.spawn(receive(stream, permit, router, shutdown.clone()));
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

async fn receive<S>(stream: S, permit: HttpPermit, router: Router, shutdown: CancellationToken)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let served = async {
        tokio::select! {
            // What ends a connection early concerns only its client.
            _ = connection.as_mut() => return,
            () = shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        let _ = timeout(FAREWELL, connection).await;
    };
    tokio::select! {
        () = permit.leave.cancelled() => {}
        _ = timeout(MAX_CONNECTION_TIME, served) => {}
    }
}

async fn limit_path(request: Request, next: Next) -> Response {
    let path = request.uri().path_and_query();
    if path.is_some_and(|path| path.as_str().len() > MAX_PATH) {
        return StatusCode::URI_TOO_LONG.into_response();
    }
    next.run(request).await
}

/// The open connections, oldest first.
#[derive(Debug, Default)]
struct Connections {
    permits: Mutex<TakenPermits>,
}

#[derive(Debug, Default)]
struct TakenPermits {
    taken: Vec<HttpHolder>,
    /// Of the latest connection.
    number: u64,
}

#[derive(Debug)]
struct HttpHolder {
    number: u64,
    source: Option<IpAddr>,
    leave: CancellationToken,
}

impl Connections {
    /// Gives a newcomer a permit, if necessary somebody else's.
    fn admit(self: &Arc<Self>, source: Option<IpAddr>) -> HttpPermit {
        let leave = CancellationToken::new();
        let mut permits = self.lock();
        permits.number += 1;
        let number = permits.number;
        permits.taken.push(HttpHolder {
            number,
            source,
            leave: leave.clone(),
        });
        if permits.taken.len() > MAX_CONNECTIONS
            && let Some(greedy) = permits.greediest()
        {
            permits.taken.remove(greedy).leave.cancel();
        }
        drop(permits);
        HttpPermit {
            connections: Arc::clone(self),
            number,
            leave,
        }
    }

    fn lock(&self) -> MutexGuard<'_, TakenPermits> {
        self.permits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TakenPermits {
    /// The oldest permit of the source that has most of them.
    fn greediest(&self) -> Option<usize> {
        let mut counts: HashMap<Option<IpAddr>, usize> = HashMap::new();
        for permit in &self.taken {
            *counts.entry(permit.source).or_default() += 1;
        }
        let most = counts.values().max()?;
        self.taken
            .iter()
            .position(|permit| counts.get(&permit.source) == Some(most))
    }
}

/// A connection that has a permit until this is dropped.
#[derive(Debug)]
struct HttpPermit {
    connections: Arc<Connections>,
    number: u64,
    /// Somebody else gets the permit.
    leave: CancellationToken,
}

impl Drop for HttpPermit {
    fn drop(&mut self) {
        let mut permits = self.connections.lock();
        permits.taken.retain(|permit| permit.number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    fn source(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn a_newcomer_gets_the_oldest_place_of_the_greediest_address() {
        let connections = Arc::new(Connections::default());
        let probe = Connections::admit(&connections, source(1));
        let mut greedy: Vec<HttpPermit> = (0..MAX_CONNECTIONS + 10)
            .map(|_| Connections::admit(&connections, source(2)))
            .collect();
        assert!(!probe.leave.is_cancelled(), "who has one permit keeps it");
        let sent_away = greedy.iter().take_while(|permit| permit.leave.is_cancelled());
        assert_eq!(sent_away.count(), 11, "the first to come are the first to go");
        assert_eq!(connections.lock().taken.len(), MAX_CONNECTIONS);
        let another = Connections::admit(&connections, source(3));
        assert!(!another.leave.is_cancelled() && greedy[11].leave.is_cancelled());
        greedy.clear();
        assert_eq!(
            connections.lock().taken.len(),
            2,
            "who leaves gives the permit back"
        );
        drop((probe, another));
        assert!(connections.lock().taken.is_empty());
    }

    #[test]
    fn many_addresses_with_one_place_each_go_by_age() {
        let connections = Arc::new(Connections::default());
        let permits: Vec<HttpPermit> = (0..=255)
            .map(|last| Connections::admit(&connections, source(last)))
            .collect();
        let left = permits
            .iter()
            .filter(|permit| permit.leave.is_cancelled())
            .count();
        assert_eq!(left, 256 - MAX_CONNECTIONS);
        assert!(
            permits[255 - MAX_CONNECTIONS].leave.is_cancelled()
                && !permits[256 - MAX_CONNECTIONS].leave.is_cancelled()
        );
    }

    async fn open() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(|| async { "here" }));
        tokio::spawn(serve(listener, router, CancellationToken::new()));
        address
    }

    async fn answer(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn paths_and_headers_are_bounded() {
        let address = open().await;
        let ask = |path: &str, headers: &str| {
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n")
        };
        let fits = format!("/?{}", "a".repeat(MAX_PATH - 2));
        for (request, status) in [
            (ask("/", ""), 200),
            (ask(&fits, ""), 200),
            (ask(&format!("{fits}a"), ""), 414),
            (ask(&"/".repeat(3 * MAX_HEAD), ""), 431),
            (ask("/", &"a: b\r\n".repeat(MAX_HEADERS - 2)), 200),
            (ask("/", &"a: b\r\n".repeat(MAX_HEADERS + 1)), 431),
            (ask("/", &format!("a: {}\r\n", "b".repeat(2 * MAX_HEAD))), 431),
        ] {
            let answer = answer(address, &request).await;
            let begin = format!("HTTP/1.1 {status}");
            assert!(
                answer.starts_with(&begin),
                "{status}: {answer:.80} to {request:.80}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn slow_and_silent_ones_have_seconds() {
        let address = open().await;
        let begin = tokio::time::Instant::now();
        for words in ["", "GET / HTTP/1.1\r\nX: ", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(words.as_bytes()).await.unwrap();
            let mut octets = Vec::new();
            stream.read_to_end(&mut octets).await.unwrap();
            let text = String::from_utf8(octets).unwrap();
            assert_eq!(words.ends_with("\r\n\r\n"), text.ends_with("here"), "{text}");
        }
        assert!(begin.elapsed() < 4 * HEAD_TIMEOUT, "{:?}", begin.elapsed());
    }
}
