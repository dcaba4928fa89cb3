//! What answers cost the simulated authentik: its web workers, and how long one of them is busy with a page.
//!
//! A busy worker answers nobody else, so many pages asked for at once keep logins waiting, as in authentik.
//! Must not know what is answered.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

/// What answers cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Requests that are worked on at the same time; 0: as many as come.
    pub workers: usize,
    /// Time a worker needs for any request.
    pub request: Duration,
    /// Additional time for a page of users or groups.
    pub page: Duration,
    /// Additional time for each of its rows.
    pub row: Duration,
}

/// The workers.
#[derive(Debug)]
pub(crate) struct Workers {
    cost: Cost,
    free: Option<Semaphore>,
}

impl Workers {
    pub(crate) fn new(cost: Cost) -> Self {
        let free = (cost.workers > 0).then(|| Semaphore::new(cost.workers.min(Semaphore::MAX_PERMITS)));
        Self { cost, free }
    }

    /// Waits for a worker; it is free again when the returned value is dropped.
    pub(crate) async fn take(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.free.as_ref()?.acquire().await.ok()
    }

    /// How long a worker is busy with a request, and with the rows of a page if it asked for one.
    pub(crate) fn time_of(&self, rows: Option<usize>) -> Duration {
        let rows = rows.map(|rows| u32::try_from(rows).unwrap_or(u32::MAX));
        self.cost.request + rows.map_or(Duration::ZERO, |rows| self.cost.page + self.cost.row * rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_busy_worker_answers_nobody_else() {
        let ms = Duration::from_millis;
        let cost = Cost {
            workers: 1,
            request: ms(5),
            page: ms(20),
            row: ms(2),
        };
        let workers = Workers::new(cost);
        assert_eq!(workers.time_of(None), ms(5));
        assert_eq!(workers.time_of(Some(100)), ms(225));
        let begin = tokio::time::Instant::now();
        let busy = |time| {
            let workers = &workers;
            async move {
                let _worker = workers.take().await;
                tokio::time::sleep(time).await;
                begin.elapsed()
            }
        };
        let (page, login) = futures_util::future::join(busy(ms(225)), busy(ms(5))).await;
        assert_eq!((page, login), (ms(225), ms(230)));
        assert!(Workers::new(Cost::default()).take().await.is_none(), "no limit");
    }
}
