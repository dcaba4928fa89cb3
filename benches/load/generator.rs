//! The load: N connections with P requests in flight each, from one thread, so that it takes as little of the machine
//! as it can. Every result code and every number of entries is checked.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use akldap_workload::process::CpuUse;
use akldap_workload::wire::{self, Answer, Encoded, Frame};

/// Room for answers of one connection; large ones arrive in pieces of it.
const READ_BUFFER: usize = 256 * 1024;
/// How long an answer may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(120);
/// Client addresses of runs that connect all the time, so that their ports do not run out.
const SOURCES: u8 = 100;

/// A request and what its answer must be.
#[derive(Clone, Debug)]
pub struct Request {
    /// The request.
    pub encoded: Encoded,
    /// Entries the answer must have.
    pub entries: u64,
}

/// What a run does.
#[derive(Clone)]
pub struct Load {
    /// The server's address.
    pub address: SocketAddr,
    /// The server's process, for its CPU time.
    pub pid: u32,
    /// Bind of every connection at its beginning.
    pub login: Arc<Encoded>,
    /// Requests, taken in turn.
    pub requests: Arc<Vec<Request>>,
    /// Connections at the same time.
    pub connections: usize,
    /// Requests without an answer on a connection at the same time.
    pub in_flight: usize,
    /// For how long.
    pub duration: Duration,
    /// Connect, bind, one request, unbind, close: for each operation.
    pub reconnect: bool,
}

/// What came out.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Operations answered.
    pub operations: u64,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// CPU time of the server in that time.
    pub server_cpu: Duration,
    /// Time from request to answer of every operation, sorted, in nanoseconds.
    latencies: Vec<u64>,
}

impl Measured {
    /// Records an operation.
    pub fn count(&mut self, took: Duration) {
        self.operations += 1;
        self.latencies.push(nanoseconds(took));
    }

    /// Takes what another one measured at the same time.
    pub fn join(&mut self, mut other: Self) {
        self.operations += other.operations;
        self.latencies.append(&mut other.latencies);
    }

    /// Ends the run.
    pub fn end(&mut self, elapsed: Duration, server_cpu: Duration) {
        (self.elapsed, self.server_cpu) = (elapsed, server_cpu);
        self.latencies.sort_unstable();
    }

    /// Operations a second.
    pub fn rate(&self) -> f64 {
        self.operations as f64 / self.elapsed.as_secs_f64()
    }

    /// Microseconds of server CPU an operation took.
    pub fn cpu_us(&self) -> f64 {
        self.server_cpu.as_secs_f64() * 1e6 / self.operations.max(1) as f64
    }

    /// Microseconds within which this share of the operations was answered.
    pub fn percentile_us(&self, share: f64) -> f64 {
        let at = ((self.latencies.len() as f64 * share) as usize).min(self.latencies.len().saturating_sub(1));
        self.latencies
            .get(at)
            .map_or(0.0, |nanoseconds| *nanoseconds as f64 / 1000.0)
    }
}

/// Runs a load.
///
/// # Errors
/// When a connection breaks or an answer is not as expected.
pub fn run(load: &Load) -> anyhow::Result<Measured> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run_all(load))
}

async fn run_all(load: &Load) -> anyhow::Result<Measured> {
    let mut streams = Vec::new();
    if !load.reconnect {
        for _ in 0..load.connections {
            streams.push(login(load, None).await?);
        }
        // Whatever the logins left to do is not to be counted.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut tasks = JoinSet::new();
    let (cpu, begin) = (CpuUse::of(load.pid), Instant::now());
    let until = begin + load.duration;
    // Every connection starts elsewhere in the list, so that they do not all ask the same at once.
    let step = load.requests.len().div_ceil(load.connections).max(1);
    let mut streams = streams.into_iter();
    for number in 0..load.connections {
        let mut worker = Worker {
            load: load.clone(),
            next: number * step,
            until,
            measured: Measured::default(),
        };
        let stream = streams.next();
        tasks.spawn(async move {
            match stream {
                Some(stream) => worker.converse(stream).await?,
                None => worker.come_and_go(number).await?,
            }
            anyhow::Ok(worker)
        });
    }
    let mut measured = Measured::default();
    while let Some(worker) = tasks.join_next().await {
        measured.join(worker??.measured);
    }
    measured.end(begin.elapsed(), cpu.until_now());
    Ok(measured)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

async fn login(load: &Load, source: Option<Ipv4Addr>) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(source) = source {
        socket.bind((source, 0).into())?;
    }
    let mut stream = socket.connect(load.address).await.context("cannot connect")?;
    stream.set_nodelay(true)?;
    let mut out = Vec::new();
    load.login.write(1, &mut out);
    stream.write_all(&out).await?;
    let mut input = Vec::with_capacity(256);
    let frame = loop {
        if stream.read_buf(&mut input).await? == 0 {
            bail!("the server closed the connection at the bind");
        }
        if let Some(frame) = Frame::first(&input) {
            break frame;
        }
    };
    match Answer::read(&input, frame) {
        Some(Answer {
            tag: wire::BIND_RESPONSE,
            code: Some(0),
            ..
        }) => Ok(stream),
        other => bail!("the bind was answered {other:?}"),
    }
}

/// A request under way.
#[derive(Clone, Copy)]
struct Slot {
    since: Instant,
    request: usize,
    entries: u64,
}

struct Worker {
    load: Load,
    next: usize,
    until: Instant,
    measured: Measured,
}

impl Worker {
    /// Sends and reads until the time is up and everything is answered.
    async fn converse(&mut self, mut stream: TcpStream) -> anyhow::Result<()> {
        let mut out = Vec::new();
        let mut slots: Vec<Option<Slot>> = vec![None; self.load.in_flight];
        let mut open = 0;
        for (id, slot) in slots.iter_mut().enumerate() {
            *slot = Some(self.ask(id, &mut out)?);
            open += 1;
        }
        stream.write_all(&out).await?;
        out.clear();
        let mut input = vec![0; READ_BUFFER];
        let mut filled = 0;
        while open > 0 {
            let read = stream.read(&mut input[filled..]);
            let count = tokio::time::timeout(PATIENCE, read)
                .await
                .context("no answer")??;
            if count == 0 {
                bail!("the server closed the connection");
            }
            filled += count;
            let mut at = 0;
            while let Some(frame) = Frame::first(&input[at..filled]) {
                let message = &input[at..at + frame.length];
                at += frame.length;
                let Some(id) = self.judge(message, frame, &mut slots)? else {
                    continue;
                };
                if Instant::now() < self.until {
                    slots[id] = Some(self.ask(id, &mut out)?);
                } else {
                    slots[id] = None;
                    open -= 1;
                }
            }
            input.copy_within(at..filled, 0);
            filled -= at;
            if filled == input.len() {
                input.resize(2 * filled, 0);
            }
            if !out.is_empty() {
                stream.write_all(&out).await?;
                out.clear();
            }
        }
        Ok(())
    }

    fn ask(&mut self, id: usize, out: &mut Vec<u8>) -> anyhow::Result<Slot> {
        let request = self.next % self.load.requests.len();
        self.next += 1;
        self.load.requests[request]
            .encoded
            .write(u8::try_from(id + 1)?, out);
        Ok(Slot {
            since: Instant::now(),
            request,
            entries: 0,
        })
    }

    /// Takes a message; the slot it ends, if it does.
    fn judge(
        &mut self,
        message: &[u8],
        frame: Frame,
        slots: &mut [Option<Slot>],
    ) -> anyhow::Result<Option<usize>> {
        let answer = Answer::read(message, frame).context("a malformed answer")?;
        let id = answer.id.wrapping_sub(1);
        let Some(Some(slot)) = slots.get_mut(id) else {
            bail!("nothing was asked with the id of {answer:?}")
        };
        let Some(code) = answer.code else {
            slot.entries += 1;
            return Ok(None);
        };
        let expected = self.load.requests[slot.request].entries;
        if code != 0 || slot.entries != expected {
            bail!(
                "request {} was answered with code {code} and {} entries instead of {expected}",
                slot.request,
                slot.entries
            );
        }
        self.measured.count(slot.since.elapsed());
        Ok(Some(id))
    }

    /// One operation a connection: connect, bind, ask, unbind, close.
    async fn come_and_go(&mut self, number: usize) -> anyhow::Result<()> {
        const UNBIND: [u8; 7] = [0x30, 5, 2, 1, 3, 0x42, 0];
        let source = Ipv4Addr::new(127, 0, 1, u8::try_from(number % usize::from(SOURCES))? + 1);
        let mut input = vec![0; READ_BUFFER];
        while Instant::now() < self.until {
            let since = Instant::now();
            let mut stream = login(&self.load, Some(source)).await?;
            let mut out = Vec::new();
            let mut slots = [Some(self.ask(0, &mut out)?)];
            stream.write_all(&out).await?;
            let mut filled = 0;
            'answer: loop {
                let count = stream.read(&mut input[filled..]).await?;
                if count == 0 {
                    bail!("the server closed the connection");
                }
                filled += count;
                let mut at = 0;
                while let Some(frame) = Frame::first(&input[at..filled]) {
                    let message = &input[at..at + frame.length];
                    at += frame.length;
                    if self.judge(message, frame, &mut slots)?.is_some() {
                        break 'answer;
                    }
                }
                input.copy_within(at..filled, 0);
                filled -= at;
            }
            stream.write_all(&UNBIND).await?;
            drop(stream);
            // The whole of it is the operation, not the search alone.
            self.measured.latencies.pop();
            self.measured.latencies.push(nanoseconds(since.elapsed()));
        }
        Ok(())
    }
}
