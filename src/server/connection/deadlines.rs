//! When a connection has waited long enough: for a message, for a client to read, for one to do anything at all.
//!
//! The time for a PROXY header and a TLS handshake is kept in `service.rs`: it passes before there is a connection that could
//! wait for anything else. Must not know what follows.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, timeout};

use crate::config::LimitConfig;

use super::super::client_table::Permit;

/// How long the final notice of a connection may take.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How often a connection without time-outs looks at its clock.
const NO_TIMEOUT: Duration = Duration::from_secs(3600);
/// How long searches that find nothing go on for a client that has closed its side.
const DESERTED: Duration = Duration::from_secs(5);
/// Octets of a message that give its sender one more second, so that a large message can come over a slow line but one octet
/// per second is too slow.
const OCTETS_PER_SECOND: usize = 8 * 1024;
/// How long a client may stay unbound, whatever it sends, when there is little room left for others.
const UNBOUND_TIME: Duration = Duration::from_secs(60);

/// The clock of a connection, and since when it waits for what.
pub(super) struct Deadlines {
    clock: Pin<Box<Sleep>>,
    /// When the client last sent or took something.
    last_progress: Instant,
    /// Since when answers have been waiting without the client taking any.
    waiting_since: Option<Instant>,
}

/// The state of the connection when its deadlines are checked.
pub(super) struct Standing<'a> {
    /// What it may cost.
    pub(super) limits: &'a LimitConfig,
    /// Its permit.
    pub(super) permit: &'a Permit,
    /// Whether somebody is bound.
    pub(super) bound: bool,
    /// Whether operations are under way.
    pub(super) busy: bool,
    /// Whether it was told to go.
    pub(super) dismissed: bool,
    /// Whether answers wait to be written.
    pub(super) writing: bool,
    /// Since when part of a message has been there and the rest awaited.
    pub(super) partial_since: Option<Instant>,
    /// Octets of that message that are there.
    pub(super) partial: usize,
}

/// What has taken too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expired {
    /// The client does not read its answers.
    Stalled,
    /// The rest of a message does not come.
    Slow,
    /// The client asks for nothing.
    Idle,
    /// The client does not bind, and permits are short.
    Unbound,
}

impl Deadlines {
    pub(super) fn new(limits: &LimitConfig) -> Self {
        let first_look = limits.idle_timeout.unwrap_or(NO_TIMEOUT).min(UNBOUND_TIME);
        Self {
            clock: Box::pin(tokio::time::sleep(first_look)),
            last_progress: Instant::now(),
            waiting_since: None,
        }
    }

    /// The client sent something.
    pub(super) fn sent(&mut self) {
        self.last_progress = Instant::now();
    }

    /// The client took something of its answers.
    pub(super) fn took(&mut self) {
        self.last_progress = Instant::now();
        self.waiting_since = None;
    }

    /// Whether there has for a while been nothing to write to a client that sends no more, which would have shown whether it
    /// still listens: most that close have gone.
    pub(super) fn is_deserted(&self) -> bool {
        self.last_progress.elapsed() >= DESERTED
    }

    /// Waits for the last words of a connection, as long as they may take.
    pub(super) async fn of_last_words(words: impl Future) {
        let _ = timeout(LAST_WORDS, words).await;
    }

    /// Waits for the next limit to be reached. The timer is set again only when it fires or when a wait begins that ends
    /// sooner: not for each request.
    pub(super) fn poll(&mut self, standing: &Standing<'_>, context: &mut Context<'_>) -> Poll<Expired> {
        if self.waiting_since.is_none() && standing.writing {
            self.waiting_since = Some(Instant::now());
        }
        if (self.waiting_since.is_some() || standing.partial_since.is_some())
            && let Some((due, _)) = self.next_limit(standing)
            && self.clock.deadline() > due
        {
            self.clock.as_mut().reset(due);
        }
        while self.clock.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            let due = match self.next_limit(standing) {
                Some((due, expired)) if now >= due => return Poll::Ready(expired),
                limit => limit.map(|(due, _)| due),
            };
            // An idle unbound client is checked more often, since it has to go when others need its permit.
            let most = now + if standing.bound { NO_TIMEOUT } else { UNBOUND_TIME };
            self.clock.as_mut().reset(due.map_or(most, |due| due.min(most)));
        }
        Poll::Pending
    }

    /// The limit that will be reached first, and what it means.
    fn next_limit(&self, standing: &Standing<'_>) -> Option<(Instant, Expired)> {
        let limits = standing.limits;
        let write_timeout = if standing.dismissed {
            limits.write_timeout.min(LAST_WORDS)
        } else {
            limits.write_timeout
        };
        let stalled = self.waiting_since.map(|since| since + write_timeout);
        let slow = standing
            .partial_since
            .map(|since| since + standing.message_timeout());
        let idle = limits
            .idle_timeout
            .filter(|_| !standing.busy)
            .map(|idle| self.last_progress + idle);
        [
            (stalled, Expired::Stalled),
            (slow, Expired::Slow),
            (idle, Expired::Idle),
            (standing.unbound_limit(), Expired::Unbound),
        ]
        .into_iter()
        .filter_map(|(due, expired)| Some((due?, expired)))
        .min_by_key(|(due, _)| *due)
    }
}

impl Standing<'_> {
    fn message_timeout(&self) -> Duration {
        let timeout = if self.bound {
            self.limits.message_timeout
        } else {
            self.limits.message_timeout.min(self.limits.handshake_timeout)
        };
        let earned = self.partial / OCTETS_PER_SECOND;
        timeout + Duration::from_secs(earned as u64)
    }

    /// When an unbound client has to make room, if there is little.
    fn unbound_limit(&self) -> Option<Instant> {
        let unbound = !self.bound && !self.busy;
        (unbound && self.permit.is_table_nearly_full()).then(|| self.permit.unbound_since() + UNBOUND_TIME)
    }
}
