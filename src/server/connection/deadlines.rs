//! When a connection has waited long enough: for a message, for a client that reads, for one that does anything at all.
//! Must not know what follows.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::super::record::RecordStream;
use super::{Connection, Event, FAREWELL, State};

/// How often a connection without time-outs looks at its clock.
pub(super) const NO_TIMEOUT: Duration = Duration::from_secs(3600);
/// How long searches that find nothing go on for a client that has closed its side.
const DESERTED: Duration = Duration::from_secs(5);
/// Octets of a message that earn its sender one more second, so that a large message over a slow line can be had
/// and one octet a second cannot.
const OCTETS_PER_SECOND: usize = 8 * 1024;
/// How long a client may be unbound, whatever it sends, when there is little room left for others.
pub(super) const UNBOUND_TIME: Duration = Duration::from_secs(60);

impl<S: RecordStream> Connection<'_, S> {
    /// The timer is set anew only when it fires or when a wait begins that ends sooner: not for each request.
    pub(super) fn poll_clock(
        &mut self,
        clock: &mut Pin<Box<Sleep>>,
        context: &mut Context<'_>,
    ) -> Poll<Event> {
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

    /// Whether the client sends no more, and for a while there was nothing to write that would have shown whether it
    /// still listens: most that close are gone.
    pub(super) fn is_deserted(&self) -> bool {
        self.state == State::Draining && self.last_progress.elapsed() >= DESERTED
    }
}
