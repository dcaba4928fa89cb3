//! Whether authentik can be reached. A call that fails is only a suspicion: whether it is an outage is found out by
//! asking again for something that needs no more than a running authentik. An outage is over with the first answer.
//!
//! Knows no policy: what an outage means to a bind or a search is decided there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::metrics::Metrics;
use akldap_authentik::{ApiError, Client};

use super::refresh::requests::RefreshRequests;
use super::status::Status;

/// An authentik that takes longer for its public configuration (usually 33 ms) serves nobody.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);
/// The time between two questions during an outage, so that its end is noticed within about two seconds. Spread by up
/// to half, so that many outposts do not ask in step.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);
/// After a suspicion that proved wrong no other is followed for this long: single calls fail in other ways, too.
const SUSPICION_PAUSE: Duration = Duration::from_secs(1);

/// How long the first log line about an outage waits for the snapshot file to be read, so that one line says what
/// works.
const FILE_TIME: Duration = Duration::from_secs(10);

/// An outage ends with the first answer, but the log says so only when authentik has gone on answering for this long:
/// an authentik that shuts down or starts answers some calls and not others, and to a reader that is one outage.
const HOLDS: Duration = Duration::from_secs(5);

/// What is known about an outage, and who is told of it.
pub struct Outage {
    down: AtomicBool,
    details: Mutex<Option<Details>>,
    /// Tells those who wait for an outage to be declared.
    stated: Notify,
    client: Client,
    metrics: Arc<Metrics>,
    status: Arc<Status>,
    requests: Arc<RefreshRequests>,
    /// Cancelled once the snapshot file was read, or need not be.
    file_read: CancellationToken,
}

/// An outage under way.
#[derive(Clone, Debug)]
pub struct Details {
    /// When it was declared.
    pub since: Instant,
    /// What the question was answered with.
    pub cause: String,
}

impl Outage {
    /// Nothing has failed yet. When an outage is over, everything is asked for by `requests`.
    pub(super) fn new(
        client: Client,
        requests: Arc<RefreshRequests>,
        file_read: CancellationToken,
        status: Arc<Status>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            down: AtomicBool::new(false),
            details: Mutex::default(),
            stated: Notify::new(),
            client,
            metrics,
            status,
            requests,
            file_read,
        }
    }

    /// The outage under way, if authentik is known to be unreachable at this moment.
    pub fn under_way(&self) -> Option<Details> {
        if !self.is_stated() {
            return None;
        }
        let stated = self.lock().clone();
        stated.filter(|outage| !answered_since(&self.client, outage.since))
    }

    /// The same after a call that failed just now: waits for the question that follows it, at most `patience`.
    pub(super) async fn after_failure(&self, patience: Duration) -> Option<Details> {
        let stated = self.stated.notified();
        if !self.is_stated() {
            let _ = timeout(patience, stated).await;
        }
        self.under_way()
    }

    /// Follows up every failed call until shutdown.
    pub(super) fn start(self: &Arc<Self>, tasks: &TaskTracker, shutdown: &CancellationToken) {
        let (outage, shutdown) = (Arc::clone(self), shutdown.clone());
        tasks.spawn(async move {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {}
                () = outage.watch() => {}
            }
        });
    }

    fn is_stated(&self) -> bool {
        self.down.load(Ordering::Acquire)
    }

    fn state(&self, cause: String) {
        let since = clock::now();
        *self.lock() = Some(Details { since, cause });
        self.down.store(true, Ordering::Release);
        self.stated.notify_waiters();
    }

    fn lift(&self) {
        self.down.store(false, Ordering::Release);
        self.lock().take();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Details>> {
        self.details.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn watch(&self) {
        // When the outage began that the log has reported but not yet reported over.
        let mut told: Option<Instant> = None;
        let mut over = clock::now();
        loop {
            let failed = self.client.contact().failure();
            if let Some(began) = told {
                if timeout(HOLDS.saturating_sub(clock::since(over)), failed)
                    .await
                    .is_err()
                {
                    let lasted_s = over.saturating_duration_since(began).as_secs_f64();
                    tracing::info!(lasted_s, "authentik can be reached again");
                    told = None;
                    continue;
                }
            } else {
                failed.await;
            }
            let Err(error) = probe(&self.client).await else {
                sleep(SUSPICION_PAUSE).await;
                continue;
            };
            self.state(error.to_string());
            self.metrics.authentik().set_reachable(false);
            // Right after the start the snapshot file is still being read.
            let _ = timeout(FILE_TIME, self.file_read.cancelled()).await;
            let kept = self.what_works();
            let began = clock::now();
            if told.is_none() {
                tracing::warn!(%error, hint = error.hint(), "authentik cannot be reached: {kept}");
                told = Some(began);
            }
            while !answered_since(&self.client, began) {
                sleep(PROBE_INTERVAL.mul_f64(0.5 + 0.5 * fastrand::f64())).await;
                if probe(&self.client).await.is_ok() {
                    break;
                }
            }
            self.lift();
            self.metrics.authentik().set_reachable(true);
            over = clock::now();
            // Neither loop has to wait for the end of its pause.
            self.requests.update();
        }
    }

    /// What goes on during an outage.
    fn what_works(&self) -> &'static str {
        let directory = self.status.directory();
        if directory.read.is_some() {
            "searches are answered from the directory loaded last, cached binds keep working, other binds \
             are answered 52"
        } else if directory.is_restored() {
            "searches are answered from the snapshot file's directory, and binds are answered 52 until \
             authentik answers"
        } else {
            "nothing is loaded yet, so binds and searches are answered 52"
        }
    }
}

fn answered_since(client: &Client, since: Instant) -> bool {
    client
        .contact()
        .last_answer()
        .is_some_and(|answer| answer > since)
}

/// Asks for the public configuration. Any answer of authentik's will do, even a refused token.
async fn probe(client: &Client) -> Result<(), ApiError> {
    match timeout(PROBE_TIMEOUT, client.root_config()).await {
        Ok(Err(error)) if error.is_unanswered() => Err(error),
        Ok(_) => Ok(()),
        Err(_elapsed) => Err(ApiError::TimedOut {
            url: client.endpoint().api("root/config/").to_string(),
            after: PROBE_TIMEOUT,
        }),
    }
}
