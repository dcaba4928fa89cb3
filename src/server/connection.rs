//! The connection loop: one task per connection reads frames, lets their operations run concurrently, and writes their
//! answers in large pieces with back-pressure.
//!
//! Reading and writing share one task and one `poll`, so a client that does not read its answers can still abandon
//! them, and an answer is never held in memory as a whole. Here is what the loop waits for and in which order; next to it
//! are input and output, what happens to requests, the deadlines and the ways to end. Must not know what is asked.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;

use crate::metrics::{ClientMetrics, Limit};
use crate::outpost::access::Ending;

use super::client_table::{Dismissal, Permit};
use super::log_limit::LogLimit;
use super::operation::waiting::AwaitedEnd;
use super::poll_on_wake::PollOnWake;
use super::session::LdapSession;
use super::tls_record::TlsRecordStream;
use super::wrong_protocol::Expected;

mod awaited;
mod awaited_look;
mod deadlines;
mod disconnection;
mod dispatcher;
mod input;
mod log_hints;
mod output;
mod phase;

use deadlines::{Deadlines, Expired, Standing};
use dispatcher::Dispatcher;
use phase::ConnectionPhase;

/// What a connection holds besides its buffers and searches: its task, its session, what the kernel is told about it.
const OWN_SIZE: usize = 4 * 1024;

/// What a connection needs to know about its server.
pub(super) struct Surroundings<'a> {
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
enum WakeUp {
    Read(io::Result<usize>),
    Wrote(io::Result<usize>),
    AwaitedEnd(AwaitedEnd),
    Looked,
    Advance,
    Revoked(Ending),
    Shutdown,
    Retired,
    Dismissed(Dismissal),
    Expired(Expired),
}

/// Serves one connection until it ends or TLS begins.
pub(super) async fn serve<S>(
    stream: S,
    session: &mut LdapSession,
    permit: &mut Permit,
    surroundings: &Surroundings<'_>,
) -> End<S>
where
    S: TlsRecordStream,
{
    let connection = Connection {
        stream,
        surroundings,
        shutdown: PollOnWake::new(surroundings.shutdown.clone().cancelled_owned()),
        dismissed: Some(PollOnWake::new(permit.dismissed())),
        permit,
        deadlines: Deadlines::new(session.limits()),
        dispatcher: Dispatcher::new(session, surroundings.log_limit, surroundings.expected),
    };
    connection.run().await
}

struct Connection<'a, S> {
    stream: S,
    surroundings: &'a Surroundings<'a>,
    /// Resolves when the server ends.
    shutdown: PollOnWake<()>,
    permit: &'a mut Permit,
    /// Resolves when the connection has to go; gone once it has.
    dismissed: Option<PollOnWake<Dismissal>>,
    deadlines: Deadlines,
    dispatcher: Dispatcher<'a>,
}

impl<S: TlsRecordStream> Connection<'_, S> {
    async fn run(mut self) -> End<S> {
        // Whether running searches have had their share of time since others were allowed to run.
        let mut just_advanced = false;
        loop {
            self.note();
            match self.next_event().await {
                WakeUp::Read(Err(_)) | WakeUp::Wrote(Err(_)) => return End::Closed,
                WakeUp::Expired(Expired::Stalled) => {
                    self.limit_reached(Limit::WriteTimeout);
                    return End::Closed;
                }
                WakeUp::Read(Ok(0)) => self.dispatcher.input_ended(),
                WakeUp::Read(Ok(_)) => {
                    self.deadlines.sent();
                    self.dispatcher.process();
                }
                WakeUp::Wrote(Ok(_)) => {
                    let sent = self.dispatcher.output.take_sent();
                    self.metrics().sent(sent);
                    self.deadlines.took();
                    if self.dispatcher.output.tidy() {
                        self.dispatcher.process();
                    }
                }
                WakeUp::Advance if self.is_deserted() => return End::Closed,
                WakeUp::Advance => {
                    // A step takes a tenth of a millisecond, and whoever waits on this thread, including for the sockets,
                    // comes before the next one. tokio's own budget would end after a hundred.
                    if std::mem::replace(&mut just_advanced, false) {
                        tokio::task::yield_now().await;
                    }
                    self.dispatcher.advance();
                    just_advanced = self.dispatcher.searches() > 0;
                }
                WakeUp::AwaitedEnd(settled) => {
                    self.dispatcher.settled(settled);
                    self.dispatcher.process();
                }
                WakeUp::Looked => self.dispatcher.process(),
                WakeUp::Revoked(ending) => {
                    let result = disconnection::revoked(self.dispatcher.session, &ending);
                    self.dispatcher.disconnect(&result);
                }
                WakeUp::Shutdown => self.dispatcher.shut_down(),
                WakeUp::Retired => self.dispatcher.end_retired(),
                WakeUp::Dismissed(dismissal) => {
                    let searches = self.dispatcher.searches();
                    let (session, log_limit) = (&*self.dispatcher.session, self.surroundings.log_limit);
                    let result = disconnection::dismissed(dismissal, searches, session, log_limit);
                    if !self.dispatcher.output.is_empty() {
                        // Data waiting for a client that does not read would only be held longer.
                        return End::Closed;
                    }
                    self.dispatcher.dismiss(&result);
                }
                WakeUp::Expired(Expired::Slow) => {
                    self.limit_reached(match self.dispatcher.session.identity {
                        Some(_) => Limit::MessageTimeout,
                        None => Limit::HandshakeTimeout,
                    });
                    let (session, log_limit) = (&*self.dispatcher.session, self.surroundings.log_limit);
                    let result = disconnection::slow(session, log_limit);
                    self.dispatcher.disconnect(&result);
                }
                WakeUp::Expired(Expired::Unbound) => {
                    self.limit_reached(Limit::MaxConnections);
                    self.dispatcher.disconnect(&disconnection::unbound());
                }
                WakeUp::Expired(Expired::Idle) => {
                    self.limit_reached(Limit::IdleTimeout);
                    self.dispatcher.disconnect(&disconnection::idle());
                }
            }
            if self.dispatcher.state() == ConnectionPhase::ShuttingDown && !self.dispatcher.is_busy() {
                self.dispatcher.disconnect(&disconnection::shutting_down());
            }
            if self.dispatcher.output.is_sent() {
                match self.dispatcher.state() {
                    ConnectionPhase::Closing => {
                        Deadlines::of_last_words(self.stream.shutdown()).await;
                        return End::Closed;
                    }
                    ConnectionPhase::StartingTls => return End::StartTls(self.stream),
                    ConnectionPhase::Draining if !self.dispatcher.is_busy() => {
                        // TLS answers the client's close_notify with its own (RFC 5246 section 7.2.1).
                        if self.dispatcher.session.secure {
                            Deadlines::of_last_words(self.stream.shutdown()).await;
                        }
                        return End::Closed;
                    }
                    ConnectionPhase::Open | ConnectionPhase::Draining | ConnectionPhase::ShuttingDown => {}
                }
            }
        }
    }

    async fn next_event(&mut self) -> WakeUp {
        poll_fn(|context| {
            let dispatcher = &mut self.dispatcher;
            if let Poll::Ready(wrote) = dispatcher.output.poll_write(&mut self.stream, context) {
                return Poll::Ready(WakeUp::Wrote(wrote));
            }
            if let Poll::Ready(settled) = dispatcher.poll_awaited(context) {
                return Poll::Ready(WakeUp::AwaitedEnd(settled));
            }
            if dispatcher.awaited_look.poll(context).is_ready() {
                return Poll::Ready(WakeUp::Looked);
            }
            if let Poll::Ready(ending) = dispatcher.poll_revoked(context) {
                return Poll::Ready(WakeUp::Revoked(ending));
            }
            if let Poll::Ready(dismissal) = self.poll_dismissed(context) {
                return Poll::Ready(WakeUp::Dismissed(dismissal));
            }
            let dispatcher = &mut self.dispatcher;
            if dispatcher.poll_retired(context).is_ready() {
                return Poll::Ready(WakeUp::Retired);
            }
            if dispatcher.wants_input()
                && let Poll::Ready(read) = dispatcher.input.poll_read(&mut self.stream, context)
            {
                return Poll::Ready(WakeUp::Read(read));
            }
            if dispatcher.wants_to_advance() {
                return Poll::Ready(WakeUp::Advance);
            }
            if matches!(
                dispatcher.state(),
                ConnectionPhase::Open | ConnectionPhase::Draining
            ) && self.shutdown.poll(context).is_ready()
            {
                return Poll::Ready(WakeUp::Shutdown);
            }
            self.poll_deadlines(context).map(WakeUp::Expired)
        })
        .await
    }

    /// In any state: not reading the final notice also keeps a permit.
    fn poll_dismissed(&mut self, context: &Context<'_>) -> Poll<Dismissal> {
        let Some(dismissed) = &mut self.dismissed else {
            return Poll::Pending;
        };
        let dismissal = ready!(dismissed.poll(context));
        self.dismissed = None;
        Poll::Ready(dismissal)
    }

    fn poll_deadlines(&mut self, context: &mut Context<'_>) -> Poll<Expired> {
        let dispatcher = &self.dispatcher;
        let standing = Standing {
            limits: dispatcher.session.limits(),
            permit: self.permit,
            bound: dispatcher.session.identity.is_some(),
            busy: dispatcher.is_busy(),
            dismissed: self.dismissed.is_none(),
            writing: !dispatcher.output.is_empty(),
            partial_since: dispatcher.partial_since(),
            partial: dispatcher.input.len(),
        };
        self.deadlines.poll(&standing, context)
    }

    /// Tells the others what this connection holds and what state it is in.
    fn note(&mut self) {
        self.permit.note(
            OWN_SIZE + self.surroundings.stream_size + self.dispatcher.memory(),
            self.dispatcher.session.identity.is_some(),
            self.dispatcher.is_awaiting(),
        );
    }

    fn metrics(&self) -> &ClientMetrics {
        self.dispatcher.session.outpost.metrics().clients()
    }

    fn limit_reached(&self, limit: Limit) {
        self.metrics().limit_reached(limit);
    }

    /// Whether the client, which sends no more, has most likely gone.
    fn is_deserted(&self) -> bool {
        self.dispatcher.state() == ConnectionPhase::Draining && self.deadlines.is_deserted()
    }
}

#[cfg(test)]
mod tests;
