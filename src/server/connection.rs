//! The connection loop: one task a connection reads frames, lets the session carry them out side by side, and writes
//! their answers in large pieces with back-pressure.
//!
//! Reading and writing share one task and one `poll`, so a client that does not read its answers can still abandon
//! them, and an answer is never held in memory as a whole. Must not know what the operations do.

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
use crate::ldap::frame::{self, Frame, FrameError};
use crate::ldap::message::{Message, MessageError, Operation, OperationKind};
use crate::ldap::response::{self, LdapResult, ResultCode};
use crate::logging::audit;
use crate::outpost::access::Ending;
use crate::outpost::bind::BindAnswer;

use super::alarm::Alarm;
use super::crowd::{Dismissal, Seat};
use super::foreign::{self, Expected};
use super::input::Input;
use super::notices::{Notices, Topic};
use super::operation::{BindFuture, Running};
use super::record::RecordStream;
use super::session::{Action, Session};

/// Answers are written once this much is waiting, or when there is nothing else to do.
const WRITE_SIZE: usize = 32 * 1024;
/// A buffer that grew beyond this is given back when it is empty.
const KEEP_SIZE: usize = 16 * 1024;
/// Searches of one connection under way at once; further requests wait in the socket.
const MAX_RUNNING: usize = 64;
/// How often a connection without time-outs looks at its clock.
const NO_TIMEOUT: Duration = Duration::from_secs(3600);
/// How long the last words of a connection may take.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long searches that find nothing go on for a client that has closed its side.
const DESERTED: Duration = Duration::from_secs(5);
/// Octets of a message that earn its sender one more second, so that a large message over a slow line can be had
/// and one octet a second cannot.
const OCTETS_PER_SECOND: usize = 8 * 1024;
/// How long a client may be unbound, whatever it sends, when there is little room left for others.
const UNBOUND_TIME: Duration = Duration::from_secs(60);
/// What a connection holds besides its buffers and searches: its task, its session, what the kernel is told of it.
const OWN_SIZE: usize = 4 * 1024;
/// A bind under way holds its name and its secret for itself, and for the judgement that equal ones share.
const BIND_COPIES: usize = 2;

/// What a connection needs to know of the server it belongs to.
pub(super) struct Surroundings<'a> {
    /// What it may cost.
    pub(super) limits: &'a LimitConfig,
    /// What was already logged.
    pub(super) notices: &'a Notices,
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
        dismissed: Some(Alarm::new(seat.dismissed())),
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
    dismissed: Option<Alarm<Dismissal>>,
    /// Resolves when directories that searches may read have become too old; there while there are searches.
    retired: Option<Alarm<()>>,
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
    ending: Option<Alarm<Ending>>,
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
        let mut shutdown = Alarm::new(shutdown.clone().cancelled_owned());
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

    async fn next_event(&mut self, shutdown: &mut Alarm<()>, clock: &mut Pin<Box<Sleep>>) -> Event {
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
        self.seat.note(
            OWN_SIZE
                + self.surroundings.stream_size
                + buffers
                + searches
                + binding
                + self.session.bound_dn().len(),
            self.session.identity.is_some(),
            self.binding.is_some(),
        );
    }

    /// Ends the searches that read a directory two newer ones have followed.
    fn end_retired(&mut self) {
        let output = &mut self.output;
        self.running.retain(|running| {
            let served = running.is_served();
            if !served {
                running.retire(output);
            }
            served
        });
        self.retired = None;
        self.watch_retirements();
        self.process();
    }

    /// From the first search that goes on: hears of directories that become too old.
    fn watch_retirements(&mut self) {
        if self.retired.is_none() && !self.running.is_empty() {
            let mut retirements = self.session.outpost.retirements();
            self.retired = Some(Alarm::new(async move {
                // The outpost outlives its connections.
                let _ = retirements.changed().await;
            }));
        }
    }

    /// Logs that the connection has to go; what to tell the client.
    fn tell_dismissal(&self, dismissal: Dismissal) -> String {
        let Session {
            client, connection, ..
        } = *self.session;
        match dismissal {
            Dismissal::Place => {
                if self.is_news(Topic::Place) {
                    tracing::warn!(
                        connection,
                        %client,
                        "an unbound connection was closed because connections are short \
                         (AUTHENTIK_LDAP__MAX_CONNECTIONS)"
                    );
                }
                "connections are short, and this one has not bound: connect again, and bind at once"
                    .to_owned()
            }
            Dismissal::Memory { held } => {
                if self.is_news(Topic::Memory) {
                    tracing::warn!(
                        connection,
                        %client,
                        bind_dn = &*self.session.bound_dn(),
                        held,
                        searches = self.running.len(),
                        "a connection was closed because clients hold too much memory and it holds most of its \
                         address, which holds most (AUTHENTIK_LDAP__CLIENT_MEMORY_LIMIT)"
                    );
                }
                format!("the server is short of memory, and this connection holds {held} octets of it")
            }
        }
    }

    /// Writes what is waiting; flushes when all of it went, as TLS may hold octets back.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        if let Some(front) = self
            .output
            .get(self.written..self.record_at)
            .filter(|front| !front.is_empty())
        {
            match self.stream.end_record(front) {
                Ok(taken) => self.written += taken,
                Err(error) => return Poll::Ready(Event::Wrote(Err(error))),
            }
            self.record_at = 0;
        }
        if self.written < self.output.len() {
            let waiting = self.output.get(self.written..).unwrap_or_default();
            let wrote = ready!(Pin::new(&mut self.stream).poll_write(context, waiting));
            return Poll::Ready(Event::Wrote(match wrote {
                Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.written += count;
                    self.flushing = self.written >= self.output.len();
                    if self.flushing
                        && let Poll::Ready(flushed) = Pin::new(&mut self.stream).poll_flush(context)
                    {
                        self.flushing = false;
                        if let Err(error) = flushed {
                            return Poll::Ready(Event::Wrote(Err(error)));
                        }
                    }
                    Ok(count)
                }
                Err(error) => Err(error),
            }));
        }
        if self.flushing {
            let flushed = ready!(Pin::new(&mut self.stream).poll_flush(context));
            self.flushing = false;
            return Poll::Ready(Event::Wrote(flushed.map(|()| 0)));
        }
        Poll::Pending
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

    /// Whether the client sends no more, and for a while there was nothing to write that would have shown whether it
    /// still listens: most that close are gone.
    fn is_deserted(&self) -> bool {
        self.state == State::Draining && self.last_progress.elapsed() >= DESERTED
    }

    fn after_write(&mut self) {
        self.last_progress = Instant::now();
        self.waiting_since = None;
        if self.written < self.output.len() {
            return;
        }
        self.output.clear();
        (self.written, self.record_at) = (0, 0);
        if self.output.capacity() > KEEP_SIZE {
            self.output = Vec::new();
        }
        self.process();
    }

    /// Carries out the requests that are whole in the buffer.
    fn process(&mut self) {
        // Only a message whose rest is awaited from the client runs out of time, not one that waits for us.
        let mut since = self.message_since.take();
        while self.binding.is_none()
            && matches!(self.state, State::Open | State::Draining)
            && self.output.len() < WRITE_SIZE
        {
            match frame::split(self.input.pending(), self.session.message_limit(self.limits)) {
                Ok(Frame::Complete { length }) => {
                    if !self.request(length) {
                        break;
                    }
                    since = None;
                }
                Ok(Frame::Incomplete { .. }) => {
                    if self.input.len() > 0 {
                        self.message_since = Some(since.unwrap_or_else(Instant::now));
                    }
                    break;
                }
                Err(error) => {
                    self.broken_framing(&error);
                    break;
                }
            }
        }
        self.input.tidy();
    }

    /// Carries out the request in the next `length` octets of input. False if it has to wait.
    fn request(&mut self, length: usize) -> bool {
        let frame = self.input.pending().get(..length).unwrap_or_default();
        let busy = !self.running.is_empty();
        let (action, secret) = match Message::decode(frame) {
            Ok(message) => {
                let secret = matches!(message.operation, Operation::Bind(_) | Operation::Extended(_));
                // RFC 4511 section 4.2.1: a bind is processed when no other operation is outstanding.
                if busy
                    && (matches!(message.operation, Operation::Bind(_)) || self.running.len() >= MAX_RUNNING)
                {
                    return false;
                }
                let (session, output) = (&mut *self.session, &mut self.output);
                let start = output.len();
                let action = catch_unwind(AssertUnwindSafe(|| session.handle(&message, busy, output)));
                let action = action.unwrap_or_else(|_| {
                    output.truncate(start);
                    internal_error(&message, output);
                    Action::Done
                });
                (action, secret)
            }
            Err(error) => {
                // Whatever it was meant to be, there may be a password in it.
                self.input.take(length, true);
                self.malformed(&error);
                return true;
            }
        };
        self.input.take(length, secret);
        self.apply(action);
        if let Some(binding) = &mut self.binding {
            binding.size = length * BIND_COPIES;
        }
        true
    }

    fn apply(&mut self, action: Action) {
        match action {
            Action::Done => {
                if self.session.identity.is_none() {
                    self.ending = None;
                }
            }
            Action::Searched { done_at } => self.record_at = done_at,
            Action::Bound {
                message_id,
                started,
                answer,
            } => self.take_identity(message_id, started, answer),
            Action::Search(running) => {
                self.running.push_back(running);
                if self.retired.is_none() {
                    self.watch_retirements();
                    // One may have been installed since the search began.
                    self.end_retired();
                }
            }
            Action::Bind {
                message_id,
                started,
                answer,
            } => {
                self.ending = None;
                if self.state == State::Draining {
                    answer.client_left();
                }
                self.binding = Some(Binding {
                    message_id,
                    started,
                    size: 0,
                    answer,
                });
            }
            Action::StartTls => {
                // Octets that follow the request came in plain text and must not survive into the secure session.
                self.input.clear();
                self.state = State::StartingTls;
            }
            Action::Abandon(target) => self.running.retain(|running| running.message_id() != target),
            Action::Cancel { message_id, target } => self.cancel(message_id, target),
            Action::Unbind => {
                self.running.clear();
                self.state = State::Closing;
            }
        }
    }

    fn cancel(&mut self, message_id: u32, target: u32) {
        let place = self
            .running
            .iter()
            .position(|running| running.message_id() == target);
        let result = match place.and_then(|place| self.running.remove(place)) {
            Some(running) => {
                running.cancel(&mut self.output);
                LdapResult::success()
            }
            None => LdapResult::new(ResultCode::NoSuchOperation, "no such operation is under way"),
        };
        response::write_extended(&mut self.output, message_id, &result, None, None);
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
        self.ending = identity.map(|identity| Alarm::new(Arc::clone(identity).ended()));
    }

    fn record_revocation(&self, ending: &Ending) {
        tracing::info!(
            target: audit::TARGET,
            audit = "revocation",
            connection = self.session.connection,
            client = %self.session.client,
            bindDN = &*self.session.bound_dn(),
            cause = %ending,
            "the connection of a withdrawn login is closed"
        );
    }

    fn malformed(&mut self, error: &MessageError) {
        let connection = self.session.connection;
        tracing::debug!(connection, client = %self.session.client, %error, "malformed request");
        match error {
            MessageError::Operation { message_id, kind, .. } => {
                match kind {
                    OperationKind::Bind => {
                        self.session.forget_identity();
                        self.ending = None;
                    }
                    // However it is written, the client has said goodbye.
                    OperationKind::Unbind => return self.apply(Action::Unbind),
                    _ => {}
                }
                if let Some(tag) = kind.response_tag() {
                    let result = LdapResult::new(ResultCode::ProtocolError, error.to_string());
                    if *kind == OperationKind::Bind {
                        self.session.record_refusal(*message_id, &[], &result);
                    }
                    response::write_result(&mut self.output, *message_id, tag, &result, &[]);
                }
            }
            MessageError::Envelope(_) | MessageError::UnknownOperation { .. } => {
                self.disconnect(&LdapResult::new(ResultCode::ProtocolError, error.to_string()));
            }
        }
    }

    fn broken_framing(&mut self, error: &FrameError) {
        let Session {
            client, connection, ..
        } = *self.session;
        match foreign::explain(self.input.pending(), self.surroundings.expected) {
            Some(explanation) if self.is_news(Topic::Protocol) => {
                tracing::warn!(connection, %client, "{explanation}")
            }
            _ => tracing::debug!(connection, %client, %error, "broken framing"),
        }
        self.disconnect(&LdapResult::new(ResultCode::ProtocolError, error.to_string()));
    }

    fn too_slow(&mut self) {
        let Session {
            client, connection, ..
        } = *self.session;
        if self.is_news(Topic::Slow) {
            tracing::info!(connection, %client, "a message did not arrive in time; the connection is closed");
        }
        let text = "the message did not arrive in time";
        self.disconnect(&LdapResult::new(ResultCode::Unavailable, text));
    }

    fn is_news(&self, topic: Topic) -> bool {
        let now = std::time::Instant::now();
        self.surroundings.notices.is_news(self.session.client, topic, now)
    }

    /// Says why (RFC 4511 section 4.4.1), then ends the connection.
    fn disconnect(&mut self, result: &LdapResult) {
        self.running.clear();
        self.binding = None;
        self.ending = None;
        self.session.identity = None;
        if self.state != State::Closing {
            response::write_notice_of_disconnection(&mut self.output, result);
        }
        self.state = State::Closing;
    }

    /// At shutdown, what is under way may finish; the server as a whole limits how long that takes.
    async fn finish_before_shutdown(&mut self) {
        while self.is_busy() {
            let event = poll_fn(|context| {
                if let Poll::Ready(event) = self.poll_write(context) {
                    return Poll::Ready(event);
                }
                if let Some(binding) = &mut self.binding
                    && let Poll::Ready(answer) = binding.answer.poll(context)
                {
                    return Poll::Ready(Event::Bound(answer));
                }
                if !self.running.is_empty() && self.output.is_empty() {
                    return Poll::Ready(Event::Advance);
                }
                Poll::Pending
            })
            .await;
            match event {
                Event::Bound(answer) => self.bound(answer),
                Event::Advance => {
                    self.advance();
                    tokio::task::consume_budget().await;
                }
                Event::Wrote(Ok(_)) => {
                    if self.written >= self.output.len() {
                        self.output.clear();
                        (self.written, self.record_at) = (0, 0);
                    }
                }
                _ => {
                    self.running.clear();
                    self.binding = None;
                }
            }
        }
    }

    /// The timer is set anew only when it fires or when a wait begins that ends sooner: not for each request.
    fn poll_clock(&mut self, clock: &mut Pin<Box<Sleep>>, context: &mut Context<'_>) -> Poll<Event> {
        if self.waiting_since.is_none() && !self.output.is_empty() {
            self.waiting_since = Some(Instant::now());
        }
        if (self.waiting_since.is_some() || self.message_since.is_some())
            && let Some((due, _)) = self.next_limit()
            && clock.deadline() > due
        {
            clock.as_mut().reset(due);
        }
        while clock.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            let due = match self.next_limit() {
                Some((due, event)) if now >= due => return Poll::Ready(event),
                limit => limit.map(|(due, _)| due),
            };
            // An unbound client that sits there is looked at more often, since it has to go when others need its place.
            let most = now
                + if self.session.identity.is_none() {
                    UNBOUND_TIME
                } else {
                    NO_TIMEOUT
                };
            clock.as_mut().reset(due.map_or(most, |due| due.min(most)));
        }
        Poll::Pending
    }

    /// The limit that will be reached first, and what it means.
    fn next_limit(&self) -> Option<(Instant, Event)> {
        let write_timeout = match self.dismissed {
            Some(_) => self.limits.write_timeout,
            None => self.limits.write_timeout.min(FAREWELL),
        };
        let stalled = self.waiting_since.map(|since| since + write_timeout);
        let slow = self.message_since.map(|since| since + self.message_timeout());
        let idle = self
            .limits
            .idle_timeout
            .filter(|_| !self.is_busy())
            .map(|idle| self.last_progress + idle);
        [
            (stalled, Event::Stalled),
            (slow, Event::Slow),
            (idle, Event::Idle),
            (self.unbound_limit(), Event::Unbound),
        ]
        .into_iter()
        .filter_map(|(due, event)| Some((due?, event)))
        .min_by_key(|(due, _)| *due)
    }

    fn message_timeout(&self) -> Duration {
        let timeout = if self.session.identity.is_some() {
            self.limits.message_timeout
        } else {
            self.limits.message_timeout.min(self.limits.handshake_timeout)
        };
        let earned = self.input.len() / OCTETS_PER_SECOND;
        timeout + Duration::from_secs(earned as u64)
    }

    /// When an unbound client has to make room, if there is little.
    fn unbound_limit(&self) -> Option<Instant> {
        let unbound = self.session.identity.is_none() && !self.is_busy();
        (unbound && self.seat.is_in_dense_crowd()).then(|| self.seat.unbound_since() + UNBOUND_TIME)
    }
}

/// The answer to a request whose handling failed inside the server.
fn internal_error(message: &Message<'_>, output: &mut Vec<u8>) {
    if let Some(tag) = message.operation.kind().response_tag() {
        let result = LdapResult::new(ResultCode::Other, "internal error");
        response::write_result(output, message.message_id, tag, &result, &[]);
    }
}

#[cfg(test)]
mod tests;
