//! Work that takes long and waits for nothing, such as building a snapshot: done on its own thread where there are
//! several. On a runtime with one thread it is done there, in its turn, so that everything happens in one order.
//!
//! Must not know what the work is.

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::{JoinError, spawn, spawn_blocking};

/// Does the work.
///
/// # Errors
/// When it panicked.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
        spawn(async move { work() }).await
    } else {
        spawn_blocking(work).await
    }
}
