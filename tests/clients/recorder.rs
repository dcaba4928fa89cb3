//! A proxy between a client and the server that decodes what passes.
//!
//! It counts a client's requests, stores them as fixtures (`fixture`) which `replay` sends again without the client, and
//! can spoil the server's answers (`tamper`), so that tests show what a client does with a worse server.
//!
//! ```ignore
//! let stage = demo().await;
//! let recorder = Recorder::start(stage.ldap()).await;
//! // … let the client talk to recorder.address() …
//! recorder.keep("postfix", "lookup", "postmap 3.7.11", DEMO);
//! ```
//!
//! `keep` writes `tests/clients/recorded/postfix/lookup.txt` when `AKLDAP_RECORD` is set, and does nothing otherwise. What a
//! client sends after StartTLS passes unread; record over plain LDAP.

pub mod fixture;
pub mod message;
mod replay;
pub mod tamper;
mod tests;
mod text;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use message::{ENTRY, EXTENDED, Element, Message, START_TLS};
use tamper::{Passing, Tamper};

pub use fixture::DEMO;

const BUFFER: usize = 64 * 1024;

/// A request and what was answered.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Connections are numbered from 1.
    pub connection: usize,
    /// The whole message; empty when requests are only counted.
    pub octets: Vec<u8>,
    /// `None` for a request that has no answer, or was abandoned before it.
    pub answer: Option<Answer>,
}

/// What matters to a client in the answer to a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub code: i64,
    /// DNs in the order given.
    pub entries: Vec<String>,
    /// Names of the attributes given, of all entries together.
    pub attributes: BTreeSet<String>,
    /// The paging cookie; empty after the last page or without paging.
    pub cookie: Vec<u8>,
}

impl Answer {
    /// Adds one message; returns whether it was the last.
    pub fn take(&mut self, message: &Message<'_>) -> bool {
        if message.operation.tag == ENTRY {
            let parts = message.operation.parts();
            self.entries.extend(parts.first().map(|dn| dn.text()));
            let attributes = parts.get(1).map(|list| list.parts()).unwrap_or_default();
            for attribute in attributes {
                self.attributes
                    .extend(attribute.parts().first().map(|name| name.text()));
            }
        }
        if message.is_final() {
            self.code = message.code();
            self.cookie = message
                .page()
                .map(|(_, cookie)| cookie.to_vec())
                .unwrap_or_default();
        }
        message.is_final()
    }
}

/// What has passed so far.
#[derive(Clone, Debug, Default)]
pub struct Log {
    pub exchanges: Vec<Exchange>,
    /// Requests by the tag of their operation.
    pub requests: BTreeMap<u8, usize>,
    pub connections: usize,
    /// Entries that passed.
    pub entries: usize,
    /// From the passing of a request until the client has read the last octet of its answer.
    pub slowest: Duration,
}

impl Log {
    pub fn count(&self, tag: u8) -> usize {
        self.requests.get(&tag).copied().unwrap_or_default()
    }
}

/// Whether requests are kept or only counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    Everything,
    Counts,
}

struct Shared {
    server: Mutex<SocketAddr>,
    tamper: Mutex<Tamper>,
    detail: Detail,
    log: Mutex<Log>,
    connections: Mutex<Vec<JoinHandle<()>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The proxy. It ends when dropped.
pub struct Recorder {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

impl Recorder {
    /// Listens on a free port and passes everything to this server.
    pub async fn start(server: SocketAddr) -> Self {
        Self::with(server, Tamper::Nothing, Detail::Everything).await
    }

    pub async fn with(server: SocketAddr, tamper: Tamper, detail: Detail) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            server: Mutex::new(server),
            tamper: Mutex::new(tamper),
            detail,
            log: Mutex::default(),
            connections: Mutex::default(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            accepting,
        }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URI clients use.
    pub fn uri(&self) -> String {
        format!("ldap://{}", self.address)
    }

    /// A copy of what has passed.
    pub fn log(&self) -> Log {
        lock(&self.shared.log).clone()
    }

    /// Returns what has passed, and forgets it. Connections keep their numbers.
    pub fn take(&self) -> Log {
        let mut log = lock(&self.shared.log);
        let connections = log.connections;
        std::mem::replace(
            &mut *log,
            Log {
                connections,
                ..Log::default()
            },
        )
    }

    /// Breaks off every connection.
    pub fn cut(&self) {
        for connection in lock(&self.shared.connections).drain(..) {
            connection.abort();
        }
    }

    /// From now on connections go to another server, as after a restart.
    pub fn redirect(&self, server: SocketAddr) {
        *lock(&self.shared.server) = server;
    }

    /// From now on answers are spoilt like this.
    pub fn spoil(&self, tamper: Tamper) {
        *lock(&self.shared.tamper) = tamper;
    }

    /// Stores what has passed as the fixture `client/scene`, when `AKLDAP_RECORD` is set. `version` is the client's;
    /// `directory` is a name [`fixture::directory`] knows.
    pub fn keep(&self, client: &str, scene: &str, version: &str, directory: &str) {
        if std::env::var_os("AKLDAP_RECORD").is_some() {
            fixture::Fixture {
                version: version.to_owned(),
                directory: directory.to_owned(),
                exchanges: self.log().exchanges,
            }
            .write(client, scene);
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let number = {
            let mut log = lock(&shared.log);
            log.connections += 1;
            log.connections
        };
        let task = tokio::spawn(pass(client, Arc::clone(&shared), number));
        let mut connections = lock(&shared.connections);
        connections.retain(|connection| !connection.is_finished());
        connections.push(task);
    }
}

/// One connection, both ways, until either side ends it.
async fn pass(client: TcpStream, shared: Arc<Shared>, number: usize) {
    let server = *lock(&shared.server);
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let connection = Connection {
        shared,
        number,
        pending: Mutex::default(),
        secret: AtomicBool::new(false),
    };
    tokio::select! {
        () = connection.requests(from_client, to_server) => {}
        () = connection.answers(from_server, to_client) => {}
    }
}

struct Connection {
    shared: Arc<Shared>,
    number: usize,
    pending: Mutex<HashMap<i64, Pending>>,
    /// After StartTLS nothing can be read.
    secret: AtomicBool,
}

struct Pending {
    exchange: usize,
    began: Instant,
    answer: Answer,
    passing: Passing,
    start_tls: bool,
}

impl Connection {
    async fn requests(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut buffer = Vec::with_capacity(BUFFER);
        while from.read_buf(&mut buffer).await.is_ok_and(|read| read > 0) {
            let mut out = Vec::new();
            let mut start = 0;
            while let Some(length) = message::length(&buffer[start..]).filter(|_| !self.is_secret()) {
                out.extend(self.request(&buffer[start..start + length]));
                start += length;
            }
            if self.is_secret() {
                out.extend_from_slice(&buffer[start..]);
                start = buffer.len();
            }
            buffer.drain(..start);
            if to.write_all(&out).await.is_err() {
                return;
            }
        }
    }

    async fn answers(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut buffer = Vec::with_capacity(BUFFER);
        while from.read_buf(&mut buffer).await.is_ok_and(|read| read > 0) {
            let mut out = Vec::with_capacity(buffer.len());
            let mut ended = Vec::new();
            let mut start = 0;
            while let Some(length) = message::length(&buffer[start..]).filter(|_| !self.is_secret()) {
                self.answer(&buffer[start..start + length], &mut out, &mut ended);
                start += length;
            }
            if self.is_secret() {
                out.extend_from_slice(&buffer[start..]);
                start = buffer.len();
            }
            buffer.drain(..start);
            if to.write_all(&out).await.is_err() {
                return;
            }
            for pending in ended {
                let mut log = lock(&self.shared.log);
                log.slowest = log.slowest.max(pending.elapsed());
            }
        }
    }

    fn is_secret(&self) -> bool {
        self.secret.load(Ordering::Relaxed)
    }

    /// Notes a request; returns what is passed on.
    fn request(&self, octets: &[u8]) -> Vec<u8> {
        let Some(message) = Message::read(octets) else {
            return octets.to_vec();
        };
        let exchange = {
            let mut log = lock(&self.shared.log);
            *log.requests.entry(message.operation.tag).or_default() += 1;
            if self.shared.detail == Detail::Everything {
                log.exchanges.push(Exchange {
                    connection: self.number,
                    octets: octets.to_vec(),
                    answer: None,
                });
            }
            log.exchanges.len().wrapping_sub(1)
        };
        let tamper = *lock(&self.shared.tamper);
        let start_tls = message.operation.tag == EXTENDED
            && message
                .operation
                .parts()
                .first()
                .is_some_and(|oid| oid.contents == START_TLS.as_bytes());
        lock(&self.pending).insert(
            message.id,
            Pending {
                exchange,
                began: Instant::now(),
                answer: Answer::default(),
                passing: tamper.passing(&message),
                start_tls,
            },
        );
        tamper.request(message, octets)
    }

    /// Notes an answer and appends what is passed on.
    fn answer(&self, octets: &[u8], out: &mut Vec<u8>, ended: &mut Vec<Instant>) {
        let (Some(message), mut pending) = (Message::read(octets), lock(&self.pending)) else {
            out.extend_from_slice(octets);
            return;
        };
        let Some(waiting) = pending.get_mut(&message.id) else {
            out.extend_from_slice(octets);
            return;
        };
        let everything = self.shared.detail == Detail::Everything;
        let last = if everything {
            waiting.answer.take(&message)
        } else {
            message.is_final()
        };
        if message.operation.tag == ENTRY {
            lock(&self.shared.log).entries += 1;
        }
        waiting.passing.answer(&message, octets, out);
        if last && let Some(waiting) = pending.remove(&message.id) {
            ended.push(waiting.began);
            if everything {
                let mut log = lock(&self.shared.log);
                if let Some(exchange) = log.exchanges.get_mut(waiting.exchange) {
                    exchange.answer = Some(waiting.answer);
                }
            }
            if waiting.start_tls && message.code() == 0 {
                self.secret.store(true, Ordering::Relaxed);
            }
        }
    }
}

/// The first element's text; for DNs and names.
fn text_of(element: Option<&Element<'_>>) -> String {
    element.map(|element| element.text()).unwrap_or_default()
}
