//! The connection loop: one task a connection reads frames, lets the session carry them out side by side, and writes
//! their answers in large pieces with back-pressure.
//!
//! Reading and writing share one task and one `poll`, so a client that does not read its answers can still abandon
//! them, and an answer is never held in memory as a whole. Here is what the loop waits for and in which order; beside it
//! stand the requests, the output, the deadlines and the ways to end. Must not know what the operations do.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use crate::config::LimitConfig;
use crate::outpost::access::Ending;
use crate::outpost::bind::BindAnswer;
use akldap_ldap::response::{LdapResult, ResultCode};

use super::crowd::{Dismissal, Seat};
use super::foreign::Expected;
use super::input::Input;
use super::log_limit::{LogLimit, Topic};
use super::operation::{BindFuture, Running};
use super::poll_on_wake::PollOnWake;
use super::record::RecordStream;
use super::session::Session;

mod deadlines;
mod farewell;
mod output;
mod requests;

use deadlines::{NO_TIMEOUT, UNBOUND_TIME};

/// Answers are written once this much is waiting, or when there is nothing else to do.
const WRITE_SIZE: usize = 32 * 1024;
/// How long the last words of a connection may take.
const FAREWELL: Duration = Duration::from_secs(2);
/// What a connection holds besides its buffers and searches: its task, its session, what the kernel is told of it.
const OWN_SIZE: usize = 4 * 1024;

/// What a connection needs to know of the server it belongs to.
pub(super) struct Surroundings<'a> {
    /// What it may cost.
    pub(super) limits: &'a LimitConfig,
    /// What was already logged.
    pub(super) log_limit: &'a LogLimit,
    /// When to end.
    pub(super) shutdown: &'a CancellationToken,
    /// What the port speaks.
    pub(super) expected: Expected,
    /// Octets that the stream holds.
    pub(super) stream_size: usize,
}

/// How a connection's LDAP conversation ended.
pub(super) enum End<S> {
    /// It is over.
    Closed,
    /// The client was promised TLS on this stream.
    StartTls(S),
}

/// What made the loop wake up.
enum Event {
    Read(io::Result<usize>),
    Wrote(io::Result<usize>),
    Bound(BindAnswer),
    Advance,
    Revoked(Ending),
    Shutdown,
    Idle,
    Unbound,
    Stalled,
    Slow,
    Retired,
    Dismissed(Dismissal),
}

/// Serves one connection until it ends or TLS begins.
pub(super) async fn serve<S>(
    stream: S,
    session: &mut Session,
    seat: &mut Seat,
    surroundings: &Surroundings<'_>,
) -> End<S>
where
    S: RecordStream,
{
    let connection = Connection {
        stream,
        session,
        limits: surroundings.limits,
        surroundings,
        dismissed: Some(PollOnWake::new(seat.dismissed())),
        seat,
        retired: None,
        input: Input::new(),
        message_since: None,
        output: Vec::new(),
        written: 0,
        record_at: 0,
        running: VecDeque::new(),
        binding: None,
        ending: None,
        last_progress: Instant::now(),
        waiting_since: None,
        flushing: false,
        state: State::Open,
    };
    connection.run(surroundings.shutdown).await
}

struct Connection<'a, S> {
    stream: S,
    session: &'a mut Session,
    limits: &'a LimitConfig,
    surroundings: &'a Surroundings<'a>,
    seat: &'a mut Seat,
    /// Resolves when the connection has to go; gone once it did.
    dismissed: Option<PollOnWake<Dismissal>>,
    /// Resolves when directories that searches may read have become too old; there while there are searches.
    retired: Option<PollOnWake<()>>,
    input: Input,
    /// Since when a message is there in part and its rest awaited.
    message_since: Option<Instant>,
    output: Vec<u8>,
    written: usize,
    /// Where in `output` a TLS record is to begin.
    record_at: usize,
    running: VecDeque<Box<Running>>,
    binding: Option<Binding>,
    /// Resolves when the bound identity is revoked.
    ending: Option<PollOnWake<Ending>>,
    /// When the client last sent or took something.
    last_progress: Instant,
    /// Since when answers wait for the client without it taking any.
    waiting_since: Option<Instant>,
    flushing: bool,
    state: State,
}

struct Binding {
    message_id: u32,
    started: std::time::Instant,
    /// Octets that it holds.
    size: usize,
    answer: BindFuture,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Requests are read.
    Open,
    /// The client will send no more; what is under way is finished, then the connection ends.
    Draining,
    /// What is in the buffer is written, then the connection ends.
    Closing,
    /// What is in the buffer is written, then TLS begins.
    StartingTls,
}

impl<S: RecordStream> Connection<'_, S> {
    async fn run(mut self, shutdown: &CancellationToken) -> End<S> {
        let mut shutdown = PollOnWake::new(shutdown.clone().cancelled_owned());
        let first_look = self.limits.idle_timeout.unwrap_or(NO_TIMEOUT).min(UNBOUND_TIME);
        let mut clock = Box::pin(tokio::time::sleep(first_look));
        loop {
            self.note();
            match self.next_event(&mut shutdown, &mut clock).await {
                Event::Read(Err(_)) | Event::Wrote(Err(_)) | Event::Stalled => return End::Closed,
                Event::Read(Ok(0)) => {
                    self.state = State::Draining;
                    if let Some(binding) = &self.binding {
                        binding.answer.client_left();
                    }
                }
                Event::Read(Ok(_)) => {
                    self.last_progress = Instant::now();
                    self.process();
                }
                Event::Wrote(Ok(_)) => self.after_write(),
                Event::Advance if self.is_deserted() => return End::Closed,
                Event::Advance => {
                    self.advance();
                    tokio::task::consume_budget().await;
                }
                Event::Bound(answer) => {
                    self.bound(answer);
                    self.process();
                }
                Event::Revoked(ending) => {
                    self.record_revocation(&ending);
                    let text = ending.to_string();
                    self.disconnect(&LdapResult::new(ResultCode::Unavailable, text));
                }
                Event::Shutdown => {
                    if self.is_busy() {
                        self.finish_before_shutdown().await;
                    }
                    let text = "the server is shutting down";
                    self.disconnect(&LdapResult::new(ResultCode::Unavailable, text));
                }
                Event::Slow => self.too_slow(),
                Event::Retired => self.end_retired(),
                // What waits for a client that does not read would only be held longer.
                Event::Dismissed(dismissal) if !self.output.is_empty() => {
                    self.tell_dismissal(dismissal);
                    return End::Closed;
                }
                Event::Dismissed(dismissal) => {
                    let text = self.tell_dismissal(dismissal);
                    self.disconnect(&LdapResult::new(ResultCode::Busy, text));
                    self.input = Input::new();
                }
                Event::Unbound => {
                    let text =
                        "idle or unbound for too long while connections are short: bind, or connect again";
                    self.disconnect(&LdapResult::new(ResultCode::Unavailable, text));
                }
                Event::Idle => {
                    let text = "the connection was idle for too long";
                    self.disconnect(&LdapResult::new(ResultCode::Unavailable, text));
                }
            }
            if self.output.is_empty() && !self.flushing {
                match self.state {
                    State::Closing => {
                        let _ = tokio::time::timeout(FAREWELL, self.stream.shutdown()).await;
                        return End::Closed;
                    }
                    State::StartingTls => return End::StartTls(self.stream),
                    State::Draining if !self.is_busy() => {
                        // TLS answers the client's close_notify with its own (RFC 5246 section 7.2.1).
                        if self.session.secure {
                            let _ = tokio::time::timeout(FAREWELL, self.stream.shutdown()).await;
                        }
                        return End::Closed;
                    }
                    State::Open | State::Draining => {}
                }
            }
        }
    }

    async fn next_event(&mut self, shutdown: &mut PollOnWake<()>, clock: &mut Pin<Box<Sleep>>) -> Event {
        poll_fn(|context| {
            if let Poll::Ready(event) = self.poll_write(context) {
                return Poll::Ready(event);
            }
            if let Some(binding) = &mut self.binding
                && let Poll::Ready(answer) = binding.answer.poll(context)
            {
                return Poll::Ready(Event::Bound(answer));
            }
            if let Some(ending) = &mut self.ending
                && let Poll::Ready(ending) = ending.poll(context)
            {
                self.ending = None;
                return Poll::Ready(Event::Revoked(ending));
            }
            if let Poll::Ready(dismissal) = self.poll_dismissed(context) {
                return Poll::Ready(Event::Dismissed(dismissal));
            }
            if let Some(retired) = &mut self.retired
                && retired.poll(context).is_ready()
            {
                return Poll::Ready(Event::Retired);
            }
            if self.wants_input()
                && let Poll::Ready(read) = self.input.poll_read(&mut self.stream, context)
            {
                return Poll::Ready(Event::Read(read));
            }
            if !self.running.is_empty() && self.output.is_empty() && self.binding.is_none() {
                return Poll::Ready(Event::Advance);
            }
            if matches!(self.state, State::Open | State::Draining) && shutdown.poll(context).is_ready() {
                return Poll::Ready(Event::Shutdown);
            }
            self.poll_clock(clock, context)
        })
        .await
    }

    /// In any state: whoever does not read the last words holds a place by that, too.
    fn poll_dismissed(&mut self, context: &Context<'_>) -> Poll<Dismissal> {
        let Some(dismissed) = &mut self.dismissed else {
            return Poll::Pending;
        };
        let dismissal = ready!(dismissed.poll(context));
        self.dismissed = None;
        Poll::Ready(dismissal)
    }

    /// Tells the others what this connection holds and how it stands.
    fn note(&mut self) {
        let buffers = self.input.capacity() + self.output.capacity();
        let searches: usize = self.running.iter().map(|running| running.memory()).sum();
        let binding = self.binding.as_ref().map_or(0, |binding| binding.size);
        let name = self
            .session
            .identity
            .as_ref()
            .map_or(0, |identity| identity.dn().len());
        self.seat.note(
            OWN_SIZE + self.surroundings.stream_size + buffers + searches + binding + name,
            self.session.identity.is_some(),
            self.binding.is_some(),
        );
    }

    /// Ends the searches that read a directory two newer ones have followed.
    fn end_retired(&mut self) {
        // First, so that no directory is installed unheard between the look and the watch.
        self.watch_retirements();
        let before = self.running.len();
        let (output, record_at) = (&mut self.output, &mut self.record_at);
        self.running.retain(|running| {
            let served = running.is_served();
            if !served {
                *record_at = output.len();
                running.retire(output);
            }
            served
        });
        let ended = before - self.running.len();
        if ended > 0 && self.is_news(Topic::Retired) {
            tracing::info!(
                connection = self.session.connection,
                client = %self.session.client,
                searches = ended,
                "searches ended because their client read slowly and the directory changed twice"
            );
        }
        if self.running.is_empty() {
            self.retired = None;
        }
        self.process();
    }

    /// While there are searches: hears of directories that become too old from now on.
    fn watch_retirements(&mut self) {
        let mut retirements = self.session.outpost.retirements();
        self.retired = Some(PollOnWake::new(async move {
            // The outpost outlives its connections.
            let _ = retirements.changed().await;
        }));
    }

    /// Whether more input may be read: never more than one message beyond what is being worked on.
    fn wants_input(&self) -> bool {
        match self.state {
            State::Open => self.input.len() <= self.session.message_limit(self.limits),
            State::Draining | State::Closing | State::StartingTls => false,
        }
    }

    fn is_busy(&self) -> bool {
        !self.running.is_empty() || self.binding.is_some()
    }

    /// Drives the searches under way, each a step in its turn.
    fn advance(&mut self) {
        let before = self.running.len();
        while self.output.len() < WRITE_SIZE {
            let Some(mut running) = self.running.pop_front() else {
                break;
            };
            let start = self.output.len();
            let output = &mut self.output;
            match catch_unwind(AssertUnwindSafe(|| running.step(output, WRITE_SIZE))) {
                Ok(true) => self.record_at = running.done_at(),
                Ok(false) => {
                    self.running.push_back(running);
                    // A step that found nothing has used its share of time: let other connections run.
                    break;
                }
                Err(_) => {
                    self.output.truncate(start);
                    self.record_at = start;
                    running.fail(&mut self.output);
                }
            }
        }
        if self.running.len() < before {
            self.process();
        }
    }

    fn bound(&mut self, answer: BindAnswer) {
        if let Some(binding) = self.binding.take() {
            self.take_identity(binding.message_id, binding.started, answer);
        }
    }

    fn take_identity(&mut self, message_id: u32, started: std::time::Instant, answer: BindAnswer) {
        self.session.bound(message_id, started, answer, &mut self.output);
        let identity = self.session.identity.as_ref();
        self.ending = identity.map(|identity| PollOnWake::new(Arc::clone(identity).ended()));
    }
}

#[cfg(test)]
mod tests;
