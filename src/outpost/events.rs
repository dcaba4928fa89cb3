//! What authentik's events lead to: a refresh, or the end of somebody's login. Must not know the websocket.

use std::mem::{self, Discriminant, discriminant};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::metrics::Metrics;
use akldap_authentik::Client;
use akldap_authentik::events::{self, Disconnect, Event, Hello, Subscription, Timings};

use super::access::Logins;
use super::outage::Outage;
use super::outpost_uuid::OutpostUuid;
use super::refresh::requests::RefreshRequests;
use super::release::KnownRelease;

/// Events waiting to be carried out; carrying one out takes microseconds.
const BACKLOG: usize = 256;

/// A connection that lasted this long ends a series of failures: the next one is news again.
const STEADY: Duration = Duration::from_secs(60);

/// What follows the events, and what they lead to.
pub(super) struct EventFollower {
    pub(super) client: Client,
    /// Identifies this process among the outpost's instances.
    pub(super) instance: Uuid,
    /// What we report as the build.
    pub(super) build: String,
    pub(super) uuid: Arc<OutpostUuid>,
    pub(super) logins: Arc<Logins>,
    pub(super) requests: Arc<RefreshRequests>,
    pub(super) release: Arc<KnownRelease>,
    pub(super) outage: Arc<Outage>,
    pub(super) metrics: Arc<Metrics>,
}

impl EventFollower {
    /// Follows the events of authentik, as soon as it is known which outpost this is.
    pub(super) fn start(self: &Arc<Self>, tasks: &TaskTracker, shutdown: &CancellationToken) {
        let (follower, shutdown, own_tasks) = (Arc::clone(self), shutdown.clone(), tasks.clone());
        tasks.spawn(async move {
            let uuid = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                uuid = follower.uuid.known() => uuid,
            };
            let hostname = gethostname::gethostname().to_string_lossy().into_owned();
            let subscription = Subscription {
                outpost: uuid,
                instance: follower.instance,
                hello: Hello::new(follower.instance, &follower.build, &hostname),
                timings: Timings::default(),
            };
            let (sender, mut receiver) = mpsc::channel(BACKLOG);
            own_tasks.spawn(events::listen(
                follower.client.clone(),
                subscription,
                sender,
                shutdown.clone(),
            ));
            let mut stream = StreamHistory::default();
            while let Some(event) = receiver.recv().await {
                stream.handle(&follower, event);
            }
        });
    }
}

/// What was said about the stream so far, so that one failure is logged once and not at each try.
#[derive(Debug, Default)]
struct StreamHistory {
    connected: Option<Instant>,
    connected_before: bool,
    /// Kinds of failures logged since there was a steady connection.
    told: Vec<Discriminant<Disconnect>>,
    /// A failure was logged, but not yet that it is over.
    owed: bool,
}

impl StreamHistory {
    fn handle(&mut self, follower: &EventFollower, event: Event) {
        match event {
            Event::Connected => self.connected(follower),
            Event::Disconnected { cause } => {
                follower.metrics.set_connected(false);
                // That authentik as a whole cannot be reached is logged elsewhere.
                if self.is_news(&cause, Instant::now()) && follower.outage.under_way().is_none() {
                    tracing::warn!(%cause, "no connection to authentik's events; trying again until there is one");
                }
            }
            Event::TriggerUpdate => {
                tracing::info!("authentik announced an update");
                follower.requests.update();
            }
            Event::SessionEnd(end_id) => {
                if follower.logins.end_session(&end_id) {
                    // The audit record says whose.
                    tracing::debug!("authentik ended the session of a bound client");
                }
            }
        }
    }

    fn connected(&mut self, follower: &EventFollower) {
        follower.metrics.set_connected(true);
        follower.release.doubt();
        self.connected = Some(Instant::now());
        let first = !mem::replace(&mut self.connected_before, true);
        if mem::take(&mut self.owed) || first {
            tracing::info!("connected to authentik's events");
        } else {
            tracing::debug!("connected to authentik's events again");
        }
        // What was announced while there was no connection is lost. Because authentik announces nothing about users
        // and groups, and a look at the changes misses none however long ago they were, that look is enough. The
        // very first time the directory is being loaded anyway.
        if first {
            follower.requests.configuration();
        } else {
            follower.requests.update();
        }
        follower.logins.note_gap();
    }

    /// Whether an admin should hear about this end of a connection, or this attempt to make one.
    fn is_news(&mut self, cause: &Disconnect, now: Instant) -> bool {
        if self
            .connected
            .take()
            .is_some_and(|since| now.duration_since(since) >= STEADY)
        {
            self.told.clear();
        }
        let kind = discriminant(cause);
        if cause.is_routine() || self.told.contains(&kind) {
            return false;
        }
        self.told.push(kind);
        self.owed = true;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_news_once_until_a_connection_held() {
        let (mut stream, start) = (StreamHistory::default(), Instant::now());
        let (closed, refused) = (
            Disconnect::Closed { code: Some(1000) },
            Disconnect::Refused {
                status: 403,
                is_foreign: false,
            },
        );
        assert!(stream.is_news(&closed, start) && stream.is_news(&refused, start));
        // Seen in turns, or between connections that do not last, it stays one failure.
        for _ in 0..3 {
            stream.connected = Some(start);
            assert!(!stream.is_news(&closed, start + STEADY / 2));
            assert!(!stream.is_news(&refused, start + STEADY / 2));
        }
        stream.connected = Some(start);
        assert!(!stream.is_news(&Disconnect::Renewal, start + STEADY));
        assert!(stream.is_news(&closed, start + STEADY));
    }
}
