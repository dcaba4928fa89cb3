//! One connection as the others see it: where it comes from, its state, what it holds, and whether it has to go.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::holder::CountedOrigin;

/// A connection as the others see it.
#[derive(Debug)]
pub(super) struct ConnectedClient {
    pub(super) origin: CountedOrigin,
    /// When it last became unbound.
    since: Mutex<Instant>,
    /// A bind is under way.
    pub(super) binding: AtomicBool,
    /// Octets.
    pub(super) held: AtomicUsize,
    pub(super) dismissed: CancellationToken,
    pub(super) dismissal: OnceLock<Dismissal>,
}

impl ConnectedClient {
    pub(super) fn new(origin: CountedOrigin, since: Instant) -> Self {
        Self {
            origin,
            since: Mutex::new(since),
            binding: AtomicBool::new(false),
            held: AtomicUsize::new(0),
            dismissed: CancellationToken::new(),
            dismissal: OnceLock::new(),
        }
    }

    /// Whether it was told to go.
    pub(super) fn is_told(&self) -> bool {
        self.dismissal.get().is_some()
    }

    pub(super) fn is_binding(&self) -> bool {
        self.binding.load(Ordering::Relaxed)
    }

    pub(super) fn since(&self) -> Instant {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn unbound_at(&self, now: Instant) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

/// Why a connection has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dismissal {
    /// Others need its permit, and it has not bound.
    Unbound,
    /// It holds most of the memory.
    Memory {
        /// Octets it held.
        held: usize,
    },
}
