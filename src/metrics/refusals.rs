//! How often requests were refused for which reason, and when last. Must not know whose requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::labels::RejectReason;

/// The refusals for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusals {
    /// Why.
    pub reason: RejectReason,
    /// How often since the start.
    pub count: u64,
    /// When last, to the second.
    pub last: SystemTime,
}

#[derive(Debug, Default)]
struct Cell {
    count: AtomicU64,
    last_second: AtomicU64,
}

/// All of them. Clones share their counts.
#[derive(Debug, Clone)]
pub(super) struct RefusalTable(Arc<[Cell]>);

impl Default for RefusalTable {
    fn default() -> Self {
        Self(RejectReason::ALL.iter().map(|_| Cell::default()).collect())
    }
}

impl RefusalTable {
    pub(super) fn note(&self, reason: RejectReason, now: SystemTime) {
        let position = RejectReason::ALL.iter().position(|known| *known == reason);
        if let Some(cell) = position.and_then(|position| self.0.get(position)) {
            cell.count.fetch_add(1, Ordering::Relaxed);
            let second = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            cell.last_second.fetch_max(second, Ordering::Relaxed);
        }
    }

    /// Those that occurred, the latest first.
    pub(super) fn all(&self) -> Vec<Refusals> {
        let cells = RejectReason::ALL.iter().zip(&*self.0);
        let mut all: Vec<Refusals> = cells
            .map(|(reason, cell)| Refusals {
                reason: *reason,
                count: cell.count.load(Ordering::Relaxed),
                last: UNIX_EPOCH + Duration::from_secs(cell.last_second.load(Ordering::Relaxed)),
            })
            .filter(|refusals| refusals.count > 0)
            .collect();
        all.sort_by_key(|refusals| std::cmp::Reverse(refusals.last));
        all
    }
}
