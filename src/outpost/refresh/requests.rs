//! How a refresh is requested before its time. Must not know who asks, nor what is refreshed how.

use tokio::sync::Notify;

/// Requests for refreshes; many at once make one.
#[derive(Debug, Default)]
pub struct RefreshRequests {
    configuration: Notify,
    /// For the whole directory.
    directory: Notify,
    /// For what changed in it.
    changes: Notify,
}

impl RefreshRequests {
    /// Asks for everything to be read again, the whole directory included.
    pub fn all(&self) {
        self.configuration.notify_one();
        self.directory.notify_one();
    }

    /// Asks for the configuration and for what changed in the directory.
    pub fn update(&self) {
        self.configuration.notify_one();
        self.changes.notify_one();
    }

    /// Asks for the configuration alone.
    pub(in crate::outpost) fn configuration(&self) {
        self.configuration.notify_one();
    }

    /// Waits until the configuration is asked for.
    pub(super) async fn for_configuration(&self) {
        self.configuration.notified().await;
    }

    /// Waits until the whole directory is asked for.
    pub(super) async fn for_directory(&self) {
        self.directory.notified().await;
    }

    /// Waits until what changed in the directory is asked for.
    pub(super) async fn for_changes(&self) {
        self.changes.notified().await;
    }
}
