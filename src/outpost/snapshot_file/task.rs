//! Reads the snapshot file at the start and writes it after loads, away from the runtime's own threads. Must not know how it
//! is written.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::outpost::aside::aside;
use crate::outpost::directory::CurrentDirectory;
use crate::outpost::providers::Providers;
use crate::outpost::refresh::user_fetch::UserFetch;
use crate::outpost::status::Status;
use akldap_authentik::Client;
use akldap_directory::Snapshot;

use super::contents::ContentsHeader;
use super::{FileError, MIN_INTERVAL, RENEWAL, SnapshotFile, Written, age, remove, temporary, time_of};

/// The file, and what it holds a copy of.
pub(in crate::outpost) struct SnapshotFileTask {
    pub(in crate::outpost) file: Arc<SnapshotFile>,
    pub(in crate::outpost) client: Client,
    pub(in crate::outpost) providers: Arc<Providers>,
    pub(in crate::outpost) directory: Arc<CurrentDirectory>,
    /// Puts the directory into the shapes that providers have.
    pub(in crate::outpost) users: Arc<UserFetch>,
    pub(in crate::outpost) status: Arc<Status>,
}

impl SnapshotFileTask {
    /// Reads the file, then writes it after loads until shutdown. `file_read` is cancelled in between.
    pub(in crate::outpost) fn start(
        self: &Arc<Self>,
        file_read: &CancellationToken,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) {
        let (task, file_read, shutdown) = (Arc::clone(self), file_read.clone(), shutdown.clone());
        tasks.spawn(async move {
            let reader = Arc::clone(&task);
            match aside(move || reader.read()).await {
                Ok(read) => task.restore(read).await,
                Err(error) => tracing::error!(
                    %error,
                    "reading the snapshot file failed because of an internal error"
                ),
            }
            file_read.cancel();
            task.keep_written(shutdown).await;
        });
    }

    fn read(&self) -> Result<(ContentsHeader, Snapshot), FileError> {
        // Left behind by a process that was killed.
        let cleared = remove(&temporary(&self.file.path));
        cleared
            .map_err(FileError::from)
            .and_then(|()| self.file.read(self.client.time_of_day()))
    }

    /// Serves what the file holds unless authentik was faster.
    async fn restore(&self, read: Result<(ContentsHeader, Snapshot), FileError>) {
        let path = self.file.path.display().to_string();
        let (about, snapshot) = match read {
            Ok(restored) => restored,
            Err(error) if error.is_missing() => {
                tracing::info!(
                    path,
                    "there is no snapshot file yet; it is written after the first load"
                );
                return;
            }
            Err(error) => {
                tracing::warn!(path, %error, "the snapshot file is ignored; it will be replaced after the first load");
                return;
            }
        };
        let read = time_of(&about);
        let age_s = age(&about, self.client.time_of_day()).as_secs();
        let (users, groups) = (snapshot.user_count(), snapshot.group_count());
        let providers = self.providers.restore(about.providers, read);
        let directory = self.directory.restore(snapshot, read);
        self.users.serve_in(self.providers.current().shapes()).await;
        if providers || directory {
            // Whether authentik can be reached, and what works if not, is logged elsewhere.
            tracing::info!(
                path,
                users,
                groups,
                age_s,
                "read the snapshot file: its directory, which may be out of date, is served until \
                 authentik's is loaded"
            );
        }
    }

    async fn keep_written(&self, shutdown: CancellationToken) {
        let file = &self.file;
        let (mut written, mut told) = (None::<Written>, false);
        let mut next = Instant::now();
        while !shutdown.is_cancelled() {
            let renewal = written.as_ref().map(|written| written.at + RENEWAL);
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {}
                () = file.due.notified() => {}
                () = self.client.token_replaced() => {
                    file.take_token(&self.client.current_token());
                    // What is there can be opened with the old token only.
                    written = None;
                }
                () = sleep_until(renewal.unwrap_or(next)), if renewal.is_some() => {}
            }
            // What comes meanwhile is written with it. At shutdown nothing more is waited for.
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {}
                () = sleep_until(next) => {}
            }
            let (Some(snapshot), Some(about)) = (self.directory.snapshot(), self.about()) else {
                continue;
            };
            next = Instant::now() + MIN_INTERVAL;
            let (writer, before) = (Arc::clone(file), written.take());
            let write = move || writer.write_if_changed(about, &snapshot, before);
            let done = aside(write).await;
            match done {
                Ok(Ok(now)) => {
                    written = now;
                    told = false;
                }
                Ok(Err(error)) if !told => {
                    told = true;
                    tracing::warn!(path = %file.path.display(), %error, "cannot write the snapshot file; trying again after the next load");
                }
                Ok(Err(error)) => tracing::debug!(%error, "cannot write the snapshot file"),
                Err(error) => tracing::error!(
                    %error,
                    "writing the snapshot file failed because of an internal error"
                ),
            }
        }
    }

    /// What the file should say; `None` until everything in it was read from authentik by this process.
    fn about(&self) -> Option<ContentsHeader> {
        let read = self.status.directory().read?;
        self.status.configuration().read?;
        Some(ContentsHeader {
            read: read.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            providers: self
                .providers
                .current()
                .iter()
                .map(|provider| provider.settings().clone())
                .collect(),
        })
    }
}
