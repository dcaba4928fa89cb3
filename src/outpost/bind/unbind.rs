//! Ends sessions in authentik that no connection and no cache entry needs any more, by the provider's unbind flow.
//! Bounded, one at a time, and never in the way of a client. Must not decide when a login is over.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::authentik::Session;
use crate::outpost::Outpost;

/// Sessions waiting for their unbind flow. Beyond it they are left to expire.
const QUEUE: usize = 1024;

/// A session to end.
pub(in crate::outpost) struct Goodbye {
    /// The session.
    pub(in crate::outpost) session: Session,
    /// The unbind flow.
    pub(in crate::outpost) flow_slug: String,
    /// The address of the client that was bound.
    pub(in crate::outpost) client: IpAddr,
}

/// The queue's two ends until the worker takes one of them.
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

/// Starts the worker.
pub(super) fn start(outpost: &Arc<Outpost>, tasks: &TaskTracker, shutdown: &CancellationToken) {
    let Some(mut goodbyes) = outpost.binds.unbinder.take() else {
        return;
    };
    let executor = outpost.binds.executor.clone();
    let shutdown = shutdown.clone();
    tasks.spawn(async move {
        loop {
            let goodbye = tokio::select! {
                () = shutdown.cancelled() => return,
                goodbye = goodbyes.recv() => match goodbye {
                    Some(goodbye) => goodbye,
                    None => return,
                },
            };
            let done = executor.execute_unbind(&goodbye.session, &goodbye.flow_slug, goodbye.client).await;
            if let Err(error) = done {
                tracing::debug!(%error, flow = goodbye.flow_slug, "the unbind flow could not be run; its session will expire");
            }
        }
    });
}
