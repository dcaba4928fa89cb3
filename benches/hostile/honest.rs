//! Honest clients, few and patient: some search on connections they keep, some log in again each time. All that matters
//! is how long they waited and what went wrong.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use akldap_testing::released::{SEARCHER, password, user_dn};
use akldap_workload::wire::{self, Encoded, Frame};

/// Clients of each kind.
const EACH: usize = 4;
/// Between two searches of a client.
const SEARCH_EVERY: Duration = Duration::from_millis(20);
/// Between two logins of a client.
const LOGIN_EVERY: Duration = Duration::from_millis(50);
/// Whoever waits longer calls it an error.
const PATIENCE: Duration = Duration::from_secs(10);
/// Result codes are not decoded: a successful one ends like this (RFC 4511 section 4.1.9), three octets in.
const SUCCESS: [u8; 3] = [0x0a, 0x01, 0x00];

/// What honest clients of one kind saw, in microseconds.
#[derive(Debug, Default)]
pub struct Seen {
    /// How long each operation took.
    pub waits: Vec<u64>,
}

impl Seen {
    /// A percentile in milliseconds.
    pub fn percentile_ms(&mut self, part: f64) -> f64 {
        self.waits.sort_unstable();
        let last = self.waits.len().saturating_sub(1);
        let at = (last as f64 * part).round();
        self.waits.get(at as usize).copied().unwrap_or_default() as f64 / 1e3
    }
}

/// What all of them saw in one span of time.
#[derive(Debug, Default)]
pub struct Observed {
    /// Searches on an open connection.
    pub searches: Seen,
    /// Connect, bind, search, close.
    pub logins: Seen,
    /// Anything but the right answer in time.
    pub errors: u64,
}

/// Honest clients at work, on a thread of their own.
pub struct Honest {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<Observed>>,
}

impl Honest {
    /// Begins. `user` is somebody whose login the server keeps.
    pub fn start(address: SocketAddr, user: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, user) = (Arc::clone(&stop), user.to_owned());
        let thread = std::thread::spawn(move || work(address, &user, &stopped));
        Self { stop, thread }
    }

    /// Ends, and says how it was.
    ///
    /// # Errors
    /// When they could not work at all.
    pub fn finish(self) -> anyhow::Result<Observed> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread
            .join()
            .map_err(|_| anyhow::anyhow!("an honest client failed"))?
    }
}

fn work(address: SocketAddr, user: &str, stop: &Arc<AtomicBool>) -> anyhow::Result<Observed> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let errors = Arc::new(AtomicU64::new(0));
        let (mut searchers, mut people) = (tokio::task::JoinSet::new(), tokio::task::JoinSet::new());
        for _ in 0..EACH {
            searchers.spawn(search(address, Arc::clone(stop), Arc::clone(&errors)));
            people.spawn(log_in(
                address,
                user.to_owned(),
                Arc::clone(stop),
                Arc::clone(&errors),
            ));
        }
        let mut observed = Observed::default();
        while let Some(waits) = searchers.join_next().await {
            observed.searches.waits.extend(waits??);
        }
        while let Some(waits) = people.join_next().await {
            observed.logins.waits.extend(waits??);
        }
        observed.errors = errors.load(Ordering::Relaxed);
        Ok(observed)
    })
}

async fn search(
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    errors: Arc<AtomicU64>,
) -> anyhow::Result<Vec<u64>> {
    let bind = Encoded::new(wire::bind(&user_dn(SEARCHER), &password(SEARCHER)), vec![])?;
    let request = Encoded::new(super::equality("user000042"), vec![])?;
    let (mut waits, mut open) = (Vec::new(), None);
    while !stop.load(Ordering::Relaxed) {
        let mut client = match open.take() {
            Some(client) => client,
            None => match Client::bound(address, &bind).await {
                Ok(client) => client,
                Err(error) => {
                    tell(&errors, "bind", &error);
                    sleep(SEARCH_EVERY).await;
                    continue;
                }
            },
        };
        let begin = Instant::now();
        match client.ask(&request, wire::SEARCH_DONE).await {
            Ok(()) => {
                waits.push(micros(begin));
                open = Some(client);
            }
            Err(error) => tell(&errors, "search", &error),
        }
        sleep(SEARCH_EVERY).await;
    }
    Ok(waits)
}

async fn log_in(
    address: SocketAddr,
    user: String,
    stop: Arc<AtomicBool>,
    errors: Arc<AtomicU64>,
) -> anyhow::Result<Vec<u64>> {
    let bind = Encoded::new(wire::bind(&user_dn(&user), &password(&user)), vec![])?;
    let request = Encoded::new(super::equality(&user), vec![])?;
    let mut waits = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let begin = Instant::now();
        let login = async {
            let mut client = Client::bound(address, &bind).await?;
            client.ask(&request, wire::SEARCH_DONE).await
        };
        match login.await {
            Ok(()) => waits.push(micros(begin)),
            Err(error) => tell(&errors, "login", &error),
        }
        sleep(LOGIN_EVERY).await;
    }
    Ok(waits)
}

fn micros(begin: Instant) -> u64 {
    u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX)
}

fn tell(errors: &AtomicU64, what: &str, error: &io::Error) {
    errors.fetch_add(1, Ordering::Relaxed);
    eprintln!("an honest client's {what} failed: {error}");
}

/// One connection.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects and binds.
    ///
    /// # Errors
    /// When either fails or takes too long.
    pub async fn bound(address: SocketAddr, bind: &Encoded) -> io::Result<Self> {
        let stream = timeout(PATIENCE, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        let mut client = Self {
            stream,
            buffer: Vec::with_capacity(4096),
        };
        client.ask(bind, wire::BIND_RESPONSE).await?;
        Ok(client)
    }

    /// Sends a request and reads until its result, which has to be success.
    ///
    /// # Errors
    /// When it is not, or the connection broke, or it took too long.
    pub async fn ask(&mut self, request: &Encoded, result: u8) -> io::Result<()> {
        let mut out = Vec::with_capacity(request.len());
        request.write(1, &mut out);
        timeout(PATIENCE, async {
            self.stream.write_all(&out).await?;
            loop {
                while let Some(frame) = Frame::first(&self.buffer) {
                    let message: Vec<u8> = self.buffer.drain(..frame.length).collect();
                    // The message id is one octet, so the operation is at a fixed position.
                    let operation = message.get(frame.header + 3..).unwrap_or_default();
                    if operation.first() == Some(&result) {
                        return if operation.windows(3).take(6).any(|octets| octets == SUCCESS) {
                            Ok(())
                        } else {
                            Err(io::Error::other("not a success"))
                        };
                    }
                }
                if self.stream.read_buf(&mut self.buffer).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        })
        .await?
    }
}
