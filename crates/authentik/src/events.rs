//! The stream of events from authentik: a websocket that is kept open for as long as the process runs.
//!
//! Knows the outpost protocol over the websocket: hellos out, instructions in, and when to give up a connection for a
//! new one. Must not know what an event leads to: events go into a channel, and a slow reader of it never delays a
//! hello. Whoever receives [`Event::Connected`] should refresh: events in the gap before it are lost.

mod connection;
pub(crate) mod disconnect;
mod hello;
mod instruction;
mod subscription;

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

pub use disconnect::Disconnect;
pub use hello::Hello;
pub use subscription::{Subscription, Timings};

use connection::dial;
use instruction::Instruction;

use super::client::Client;
use super::session::SessionEndId;
use super::transport::{StreamFrame, Wire};

/// Events waiting for a slow reader. Session ends are 40 bytes; at thousands a minute this is about ten minutes.
/// Beyond this nothing more is read, so that authentik's side of the connection waits too.
const MAX_BACKLOG: usize = 65_536;
/// How long a farewell may take at shutdown.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// The close code of a connection that has done its work (RFC 6455 section 7.4.1).
const NORMAL_CLOSURE: u16 = 1000;
/// How many times in a row to reconnect without a wait: authentik recycles one web worker after the other, and has a
/// handful.
const MAX_AT_ONCE: u32 = 3;

/// What authentik tells an outpost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Connected, and authentik has answered. Refresh: what happened before is unknown.
    Connected,
    /// The outpost, a provider of it or a certificate was saved: refresh.
    TriggerUpdate,
    /// A session ended, one of ours or, usually, somebody else's.
    SessionEnd(SessionEndId),
    /// No longer connected, or not at all. Sent once for a series of failures; reconnecting continues by itself.
    Disconnected {
        /// Why.
        cause: Disconnect,
    },
}

/// Keeps a connection open and sends what it hears to `events`, until `cancel` is cancelled (the connection is then
/// closed properly) or nobody receives any more.
pub async fn listen(
    client: Client,
    subscription: Subscription,
    events: mpsc::Sender<Event>,
    cancel: CancellationToken,
) {
    let timings = subscription.timings;
    // `attempt` is 0 for a fresh connection and counts the tries of a reconnect series.
    let (mut attempt, mut failures, mut reported) = (0_u64, 0_u32, None::<Disconnect>);
    loop {
        let dialled = tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            dialled = timeout(timings.handshake, dial(&client, &subscription, attempt)) => dialled,
        };
        let ended = match dialled {
            Ok(Ok(wire)) => converse(wire, &client, &subscription, &events, &cancel).await,
            Ok(Err(cause)) => Ended::unheard(cause),
            Err(_elapsed) => Ended::unheard(Disconnect::HandshakeTimeout),
        };
        let Some(cause) = ended.cause else { return };
        if ended.life.is_some() {
            attempt = 0;
            // Whoever heard that we connected must hear that we no longer are.
            reported = None;
        }
        // A connection that is closed again and again does not count as a success.
        if ended.life.is_some_and(|life| life >= timings.silence) {
            failures = 0;
        }
        attempt += 1;
        let at_once = ended.life.is_some() && failures < MAX_AT_ONCE && cause.is_routine();
        tracing::debug!(%cause, at_once, failures, "the event stream has ended");
        if reported.as_ref() != Some(&cause) {
            if events
                .send(Event::Disconnected { cause: cause.clone() })
                .await
                .is_err()
            {
                return;
            }
            reported = Some(cause);
        }
        let wait = if at_once {
            Duration::ZERO
        } else {
            timings.backoff.wait(failures, (timings.jitter)())
        };
        failures = failures.saturating_add(1);
        tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            () = sleep(wait) => {}
        }
    }
}

/// Waits for room in the channel. `false`: nobody receives any more, or it is time to stop.
async fn deliver(events: &mpsc::Sender<Event>, event: Event, cancel: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = cancel.cancelled() => false,
        sent = events.send(event) => sent.is_ok(),
    }
}

/// How a connection ended.
struct Ended {
    /// `None`: on purpose, for good.
    cause: Option<Disconnect>,
    /// How long it was open, if authentik ever said anything on it.
    life: Option<Duration>,
}

impl Ended {
    fn unheard(cause: Disconnect) -> Self {
        Self {
            cause: Some(cause),
            life: None,
        }
    }
}

/// Events on their way to a reader that may be slower than the connection.
#[derive(Default)]
struct Backlog {
    queue: VecDeque<Event>,
    /// One update waiting is as good as many.
    update_waits: bool,
}

impl Backlog {
    fn push(&mut self, event: Event) {
        if event == Event::TriggerUpdate && std::mem::replace(&mut self.update_waits, true) {
            return;
        }
        self.queue.push_back(event);
    }

    fn pop(&mut self) -> Option<Event> {
        let event = self.queue.pop_front()?;
        if event == Event::TriggerUpdate {
            self.update_waits = false;
        }
        Some(event)
    }

    fn is_full(&self) -> bool {
        self.queue.len() >= MAX_BACKLOG
    }
}

async fn converse(
    mut wire: Wire,
    client: &Client,
    subscription: &Subscription,
    events: &mpsc::Sender<Event>,
    cancel: &CancellationToken,
) -> Ended {
    let timings = &subscription.timings;
    let hello = StreamFrame::Text(subscription.hello.text());
    let mut ticks = tokio::time::interval(timings.hello);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut backlog = Backlog::default();
    let opened = Instant::now();
    let mut heard = opened;
    let age = timings
        .renew
        .1
        .saturating_sub(timings.renew.0)
        .mul_f64((timings.jitter)().clamp(0.0, 1.0));
    let renew_at = Instant::now() + timings.renew.0 + age;
    let mut lived = false;
    let cause = loop {
        let reading = !backlog.is_full();
        tokio::select! {
            biased;
            () = cancel.cancelled() => {
                farewell(&mut wire).await;
                break None;
            }
            permit = events.reserve(), if !backlog.queue.is_empty() => match (permit, backlog.pop()) {
                (Ok(permit), Some(event)) => permit.send(event),
                _ => {
                    farewell(&mut wire).await;
                    break None;
                }
            },
            // The first tick is at once, so the first hello is.
            _ = ticks.tick() => {
                match timeout(timings.silence, wire.outgoing.send(hello.clone())).await {
                    Ok(Ok(())) => {}
                    Ok(Err(cause)) => break Some(cause),
                    Err(_elapsed) => break Some(Disconnect::Silent(timings.silence)),
                }
                if !reading {
                    // What is not read cannot be noticed.
                    heard = Instant::now();
                }
            }
            frame = wire.incoming.next(), if reading => {
                heard = Instant::now();
                match frame.map(|frame| frame.map(take)) {
                    Some(Ok(Taken::Close(code))) => break Some(Disconnect::Closed { code }),
                    Some(Ok(taken)) => {
                        client.contact().answered();
                        // Only now is it certain that authentik, and not just something in between, accepted us.
                        if !std::mem::replace(&mut lived, true) {
                            backlog.push(Event::Connected);
                        }
                        if let Taken::Event(event) = taken {
                            backlog.push(event);
                        }
                    }
                    Some(Err(cause)) => break Some(cause),
                    None => break Some(Disconnect::Closed { code: None }),
                }
            }
            () = sleep_until(heard + timings.silence), if reading => break Some(Disconnect::Silent(timings.silence)),
            () = sleep_until(renew_at) => {
                farewell(&mut wire).await;
                break Some(Disconnect::Renewal);
            }
        }
    };
    let life = lived.then(|| opened.elapsed());
    if cause.as_ref().is_some_and(|cause| *cause != Disconnect::Renewal) {
        client.contact().failed();
    }
    if cause.is_some() {
        // What was heard is passed on even if the connection is gone.
        while let Some(event) = backlog.pop() {
            if !deliver(events, event, cancel).await {
                return Ended { cause: None, life };
            }
        }
    }
    Ended { cause, life }
}

enum Taken {
    Event(Event),
    Nothing,
    Close(Option<u16>),
}

fn take(frame: StreamFrame) -> Taken {
    match frame {
        StreamFrame::Text(text) => match Instruction::decode(&text) {
            Instruction::TriggerUpdate => Taken::Event(Event::TriggerUpdate),
            Instruction::SessionEnd(id) => Taken::Event(Event::SessionEnd(id)),
            Instruction::Ack => Taken::Nothing,
            Instruction::Ignored(why) => {
                tracing::debug!(why, "frame from authentik ignored");
                Taken::Nothing
            }
        },
        StreamFrame::Close(code) => Taken::Close(code),
        StreamFrame::Other => Taken::Nothing,
    }
}

/// Closes and gives the server a moment to answer.
async fn farewell(wire: &mut Wire) {
    let goodbye = async {
        if wire
            .outgoing
            .send(StreamFrame::Close(Some(NORMAL_CLOSURE)))
            .await
            .is_ok()
        {
            while let Some(Ok(_)) = wire.incoming.next().await {}
        }
    };
    let _ = timeout(CLOSE_TIMEOUT, goodbye).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_that_wait_are_one() {
        let mut backlog = Backlog::default();
        for _ in 0..5 {
            backlog.push(Event::TriggerUpdate);
        }
        backlog.push(Event::Connected);
        assert_eq!(
            (backlog.pop(), backlog.pop(), backlog.pop()),
            (Some(Event::TriggerUpdate), Some(Event::Connected), None)
        );
        backlog.push(Event::TriggerUpdate);
        assert_eq!(backlog.pop(), Some(Event::TriggerUpdate));
        let id = SessionEndId::of_session_key(b"x");
        (0..MAX_BACKLOG).for_each(|_| backlog.push(Event::SessionEnd(id)));
        assert!(backlog.is_full());
    }
}
