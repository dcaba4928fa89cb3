//! By which UUID authentik knows this outpost: its token tells, so the first answer about the configuration does. Must not
//! know what is asked with it.

use tokio::sync::watch;

/// The UUID, once authentik has said it.
#[derive(Debug)]
pub(super) struct OutpostUuid(watch::Sender<Option<String>>);

impl Default for OutpostUuid {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl OutpostUuid {
    /// Waits until it is known.
    pub(super) async fn known(&self) -> String {
        let mut known = self.0.subscribe();
        loop {
            if let Some(uuid) = known.borrow_and_update().clone() {
                return uuid;
            }
            if known.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Takes what authentik says, and names the outpost in the log if that is new.
    pub(super) fn learn(&self, uuid: &str, name: &str) {
        self.0.send_if_modified(|known| {
            let changed = known.as_deref() != Some(uuid);
            if changed {
                tracing::info!(outpost = name, uuid, "running as this outpost");
                *known = Some(uuid.to_owned());
            }
            changed
        });
    }
}
