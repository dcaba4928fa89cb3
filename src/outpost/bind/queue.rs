//! Turns at authentik: how many flows run at once, how many may wait, and for how long. Protects authentik's few web
//! workers from storms of logins; a bind that gets no turn is told to come back (51), never that its password is
//! wrong.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::ldap::response::ResultCode;
use crate::metrics::RejectReason;

use super::answer::Refusal;

/// Turns in order of arrival.
pub(super) struct FlowQueue {
    turns: Semaphore,
    waiting: AtomicUsize,
    limit: usize,
    patience: Duration,
}

/// Counts a bind as waiting until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl FlowQueue {
    pub(super) fn new(concurrent: usize, limit: usize, patience: Duration) -> Self {
        Self {
            turns: Semaphore::new(concurrent.max(1)),
            waiting: AtomicUsize::new(0),
            limit,
            patience,
        }
    }

    /// Waits for a turn; it ends when the permit is dropped.
    pub(super) async fn turn(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        if let Ok(turn) = self.turns.try_acquire() {
            return Ok(turn);
        }
        let waiting = Waiting(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.limit {
            return Err(busy("too many binds are waiting for authentik"));
        }
        let turn = timeout(self.patience, self.turns.acquire()).await;
        drop(waiting);
        match turn {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) => Err(busy("the server is shutting down")),
            Err(_) => Err(busy("the bind waited too long for its turn at authentik")),
        }
    }
}

fn busy(text: &str) -> Refusal {
    Refusal::new(ResultCode::Busy, RejectReason::Busy, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiting_has_a_limit_and_an_end() {
        let queue = FlowQueue::new(1, 1, Duration::from_secs(5));
        let first = queue.turn().await.unwrap();
        let (second, third) = tokio::join!(queue.turn(), queue.turn());
        let codes: Vec<_> = [second, third]
            .into_iter()
            .map(|turn| turn.err().map(|busy| busy.result.code))
            .collect();
        assert_eq!(codes, [Some(ResultCode::Busy), Some(ResultCode::Busy)]);
        assert_eq!(queue.waiting.load(Ordering::Relaxed), 0);
        drop(first);
        assert!(queue.turn().await.is_ok());
    }

    #[tokio::test]
    async fn turns_come_in_order_of_arrival() {
        let queue = std::sync::Arc::new(FlowQueue::new(1, 10, Duration::from_secs(5)));
        let order = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let first = queue.turn().await.unwrap();
        let mut tasks = Vec::new();
        for number in 0..5 {
            let (queue, order) = (queue.clone(), order.clone());
            tasks.push(tokio::spawn(async move {
                let _turn = queue.turn().await.unwrap();
                order.lock().unwrap().push(number);
            }));
            tokio::task::yield_now().await;
        }
        drop(first);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
    }
}
