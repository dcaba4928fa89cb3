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

use crate::outpost::Outpost;
use akldap_authentik::Session;

/// Sessions waiting for their unbind flow. Beyond it they are left to expire.
const QUEUE: usize = 1024;
/// Unbind flows run at once: enough to keep pace with binds, which take several requests where these take one.
const WORKERS: usize = 4;
/// A flow that ended no session is not run again for so long: authentik's default unbind flow has no stage at all, and
/// somebody may give it one.
const LOOK_AGAIN: Duration = Duration::from_secs(600);
/// Unbind flows looked at; an outpost has one or two.
const MAX_FLOWS: usize = 64;
/// At shutdown the sessions of connections that end are still ended, until none came for so long.
const LAST_CALL: Duration = Duration::from_millis(250);
/// The longest time the sessions may delay a shutdown.
const LAST_CALLS: Duration = Duration::from_secs(3);

/// A session to end.
pub(in crate::outpost) struct Goodbye {
    /// The session.
    pub(in crate::outpost) session: Session,
    /// The unbind flow.
    pub(in crate::outpost) flow_slug: String,
    /// The address of the client that was bound.
    pub(in crate::outpost) client: IpAddr,
}

/// The queue's two ends until the workers take one of them.
pub(super) struct Unbinder {
    sender: mpsc::Sender<Goodbye>,
    receiver: Mutex<Option<mpsc::Receiver<Goodbye>>>,
}

impl Default for Unbinder {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        Self {
            sender,
            receiver: Mutex::new(Some(receiver)),
        }
    }
}

impl Unbinder {
    pub(super) fn clone_sender(&self) -> mpsc::Sender<Goodbye> {
        self.sender.clone()
    }

    fn take(&self) -> Option<mpsc::Receiver<Goodbye>> {
        self.receiver
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// What the workers share.
struct Work {
    outpost: Arc<Outpost>,
    goodbyes: tokio::sync::Mutex<mpsc::Receiver<Goodbye>>,
    /// Flows that were found to end no session, and when.
    idle: Mutex<HashMap<String, Instant>>,
}

/// Starts the workers.
pub(super) fn start(outpost: &Arc<Outpost>, tasks: &TaskTracker, shutdown: &CancellationToken) {
    let Some(goodbyes) = outpost.binds.unbinder.take() else {
        return;
    };
    let work = Arc::new(Work {
        outpost: Arc::clone(outpost),
        goodbyes: tokio::sync::Mutex::new(goodbyes),
        idle: Mutex::default(),
    });
    for _ in 0..WORKERS {
        let (work, shutdown) = (Arc::clone(&work), shutdown.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = work.carry_on() => {}
            }
            work.finish().await;
        });
    }
}

impl Work {
    async fn carry_on(&self) {
        while let Some(goodbye) = self.next().await {
            self.end(goodbye).await;
        }
    }

    async fn next(&self) -> Option<Goodbye> {
        self.goodbyes.lock().await.recv().await
    }

    /// Ends the sessions of the cache and of the connections that close at shutdown, for a short while.
    async fn finish(&self) {
        let providers = self.outpost.providers().clone();
        if !providers
            .iter()
            .any(|provider| provider.settings().unbind_flow_slug.is_some())
        {
            return;
        }
        self.outpost.binds.cache.clear();
        let _ = timeout(LAST_CALLS, async {
            while let Ok(Some(goodbye)) = timeout(LAST_CALL, self.next()).await {
                self.end(goodbye).await;
            }
        })
        .await;
    }

    async fn end(&self, goodbye: Goodbye) {
        let Goodbye {
            session,
            flow_slug,
            client,
        } = goodbye;
        if self.is_idle(&flow_slug) {
            return;
        }
        match self
            .outpost
            .binds
            .executor
            .execute_unbind(&session, &flow_slug, client)
            .await
        {
            Ok(done) if done.logged_out => self.forget(&flow_slug),
            Ok(_) if !self.note_idle(&flow_slug) => {}
            Ok(_) => {
                tracing::info!(
                    flow = flow_slug,
                    "the unbind flow ended no session, so those of binds stay in authentik until they expire: give it a \
                     User Logout stage or choose another, such as default-invalidation-flow"
                );
            }
            Err(error) => {
                tracing::debug!(%error, flow = flow_slug, "the unbind flow could not be run; its session will expire");
            }
        }
    }

    fn is_idle(&self, flow_slug: &str) -> bool {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.get(flow_slug)
            .is_some_and(|seen| seen.elapsed() < LOOK_AGAIN)
    }

    /// Whether that is news: workers find it out side by side, and again after a while.
    fn note_idle(&self, flow_slug: &str) -> bool {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() >= MAX_FLOWS && !idle.contains_key(flow_slug) {
            idle.clear();
        }
        idle.insert(flow_slug.to_owned(), Instant::now()).is_none()
    }

    /// The flow ends sessions now; that it does not would be news again.
    fn forget(&self, flow_slug: &str) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.remove(flow_slug);
    }
}
