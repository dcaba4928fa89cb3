//! Ends sessions in authentik that no connection and no cache entry needs any more, by the provider's unbind flow.
//! Bounded, and never in the way of a client. Must not decide when a login is over.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::outpost::access::UnneededSession;
use crate::outpost::provider::Provider;
use crate::outpost::providers::Providers;
use akldap_authentik::Session;
use akldap_authentik::flow::Executor;

use super::cache::BindCache;
use super::parts::BindParts;

/// How many sessions may wait for their unbind flow. Beyond that they are left to expire.
const QUEUE: usize = 1024;
/// Unbind flows run at once: enough to keep pace with binds, which take several requests where these take one.
const WORKERS: usize = 4;
/// A flow that ended no session is not run again for this long: authentik's default unbind flow has no stage at all,
/// and somebody may give it one.
const LOOK_AGAIN: Duration = Duration::from_secs(600);
/// Unbind flows looked at; an outpost has one or two.
const MAX_FLOWS: usize = 64;
/// At shutdown the sessions of connections that end are still ended, until none came for this long.
const LAST_CALL: Duration = Duration::from_millis(250);
/// The longest that the sessions may delay a shutdown.
const LAST_CALLS: Duration = Duration::from_secs(3);

/// Ends the sessions that are handed to it.
pub(super) struct Unbinder {
    executor: Arc<Executor>,
    providers: Arc<Providers>,
    cache: Arc<BindCache>,
    /// Password changes under way: each may open sessions that are to be ended.
    changes: TaskTracker,
    /// Until the workers take it.
    receiver: Mutex<Option<mpsc::Receiver<UnneededSession>>>,
    /// Flows that were found to end no session, and when.
    idle: Mutex<HashMap<String, Instant>>,
}

/// The way of sessions to an [`Unbinder`].
pub(in crate::outpost) fn queue() -> (mpsc::Sender<UnneededSession>, mpsc::Receiver<UnneededSession>) {
    mpsc::channel(QUEUE)
}

impl Unbinder {
    /// Ends what comes out of `receiver`. At shutdown the cache drops its logins first, and `changes` end.
    pub(super) fn new(
        parts: &BindParts,
        receiver: mpsc::Receiver<UnneededSession>,
        changes: TaskTracker,
    ) -> Self {
        Self {
            executor: Arc::clone(&parts.executor),
            providers: Arc::clone(&parts.providers),
            cache: Arc::clone(&parts.cache),
            changes,
            receiver: Mutex::new(Some(receiver)),
            idle: Mutex::default(),
        }
    }

    /// Starts the workers.
    pub(super) fn start(self: &Arc<Self>, tasks: &TaskTracker, shutdown: &CancellationToken) {
        let receiver = self
            .receiver
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(receiver) = receiver else {
            return;
        };
        let sessions = Arc::new(Sessions(tokio::sync::Mutex::new(receiver)));
        for _ in 0..WORKERS {
            let (unbinder, sessions, shutdown) = (Arc::clone(self), Arc::clone(&sessions), shutdown.clone());
            tasks.spawn(async move {
                unbinder.work(&sessions, &shutdown).await;
                unbinder.finish(&sessions).await;
            });
        }
    }

    /// Ends sessions until the shutdown. The one that is being ended then is given a while.
    async fn work(&self, sessions: &Sessions, shutdown: &CancellationToken) {
        while let Some(Some(unneeded)) = shutdown.run_until_cancelled(sessions.next()).await {
            let last_call = async {
                shutdown.cancelled().await;
                tokio::time::sleep(LAST_CALLS).await;
            };
            tokio::select! {
                () = self.end(unneeded) => {}
                () = last_call => return,
            }
        }
    }

    /// Ends the sessions of the cache and of the connections that close at shutdown, for a short while, and those of changes of
    /// passwords that are under way, for as long as the shutdown lasts.
    async fn finish(&self, sessions: &Sessions) {
        let providers = self.providers.current().clone();
        let leaves_sessions = |provider: &Provider| {
            provider.settings().unbind_flow_slug.is_some() || provider.config().password_change.is_on()
        };
        if self.changes.is_empty() && !providers.iter().any(|provider| leaves_sessions(provider)) {
            return;
        }
        self.cache.clear();
        self.changes.close();
        loop {
            tokio::select! {
                () = self.changes.wait() => break,
                next = sessions.next() => match next {
                    Some(unneeded) => self.end(unneeded).await,
                    None => return,
                },
            }
        }
        let _ = timeout(LAST_CALLS, async {
            while let Ok(Some(unneeded)) = timeout(LAST_CALL, sessions.next()).await {
                self.end(unneeded).await;
            }
        })
        .await;
    }

    async fn end(&self, unneeded: UnneededSession) {
        let UnneededSession {
            session,
            flow_slugs,
            client,
        } = unneeded;
        for flow_slug in flow_slugs {
            if !self.is_idle(&flow_slug) && self.end_by(&session, &flow_slug, client).await {
                return;
            }
        }
    }

    /// Ends a session by one flow. Returns whether that did it.
    async fn end_by(&self, session: &Session, flow_slug: &str, client: IpAddr) -> bool {
        match self.executor.execute_unbind(session, flow_slug, client).await {
            Ok(done) if done.logged_out => {
                self.forget(flow_slug);
                return true;
            }
            Ok(_) if !self.note_idle(flow_slug) => {}
            Ok(_) => {
                tracing::info!(
                    flow = flow_slug,
                    "the unbind flow did not end the session, so the sessions of binds stay in authentik \
                     until they expire: add a User Logout stage to the flow, or choose another flow, such as \
                     default-invalidation-flow"
                );
            }
            Err(error) => {
                tracing::debug!(%error, flow = flow_slug, "the unbind flow could not be run; its session will expire");
            }
        }
        false
    }

    fn is_idle(&self, flow_slug: &str) -> bool {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.get(flow_slug)
            .is_some_and(|seen| clock::since(*seen) < LOOK_AGAIN)
    }

    /// Whether that is new: workers find it out at the same time, and again after a while.
    fn note_idle(&self, flow_slug: &str) -> bool {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() >= MAX_FLOWS && !idle.contains_key(flow_slug) {
            idle.clear();
        }
        idle.insert(flow_slug.to_owned(), clock::now()).is_none()
    }

    /// The flow ends sessions now; that it does not would be news again.
    fn forget(&self, flow_slug: &str) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.remove(flow_slug);
    }
}

/// The workers' end of the queue.
struct Sessions(tokio::sync::Mutex<mpsc::Receiver<UnneededSession>>);

impl Sessions {
    async fn next(&self) -> Option<UnneededSession> {
        self.0.lock().await.recv().await
    }
}
