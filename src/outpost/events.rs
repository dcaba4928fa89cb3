//! What authentik's events lead to: a refresh, or the end of somebody's login. Must not know the websocket.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::authentik::events::{self, Event, Hello, Subscription, Timings};

use super::{Outpost, build_hash};

/// Events waiting to be carried out; carrying one out takes microseconds.
const BACKLOG: usize = 256;

/// Follows the events of authentik, as soon as it is known which outpost this is.
pub(super) fn start(outpost: &Arc<Outpost>, tasks: &TaskTracker, shutdown: &CancellationToken) {
    let (outpost, shutdown, own_tasks) = (Arc::clone(outpost), shutdown.clone(), tasks.clone());
    tasks.spawn(async move {
        let uuid = tokio::select! {
            () = shutdown.cancelled() => return,
            uuid = outpost.outpost_uuid() => uuid,
        };
        let hostname = gethostname::gethostname().to_string_lossy().into_owned();
        let subscription = Subscription {
            outpost: uuid,
            instance: outpost.instance,
            hello: Hello::new(outpost.instance, &build_hash(&outpost.config), &hostname),
            timings: Timings::default(),
        };
        let (sender, mut receiver) = mpsc::channel(BACKLOG);
        own_tasks.spawn(events::listen(
            outpost.client.clone(),
            subscription,
            sender,
            shutdown.clone(),
        ));
        let mut connected_before = false;
        while let Some(event) = receiver.recv().await {
            handle(&outpost, event, &mut connected_before);
        }
    });
}

fn handle(outpost: &Outpost, event: Event, connected_before: &mut bool) {
    match event {
        Event::Connected => {
            outpost.metrics.set_connected(true);
            tracing::info!("connected to authentik's events");
            // What was announced while there was no connection is lost. That authentik announces nothing of users and
            // groups, and a look at the changes misses none however long ago they were, makes that look enough. The
            // very first time the directory is being loaded anyway.
            if *connected_before {
                outpost.request_update();
            } else {
                outpost.refresh_configuration.notify_one();
            }
            *connected_before = true;
        }
        Event::Disconnected { cause } => {
            outpost.metrics.set_connected(false);
            tracing::warn!(%cause, "no connection to authentik's events; trying again until there is one");
        }
        Event::TriggerUpdate => {
            tracing::info!("authentik announces an update");
            outpost.request_update();
        }
        Event::SessionEnd(end_id) => {
            if outpost.logins.end_session(&end_id) {
                tracing::info!("authentik ended the session of a bound client");
            }
        }
    }
}
