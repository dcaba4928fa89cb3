//! A future that is only polled after it woke its task. A connection waits for several things at once and is woken for
//! one of them, thousands of times a second; asking the others each time would cost each of them a lock.
//!
//! Must not know what is waited for.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// The future and its waker.
pub(super) struct PollOnWake<T> {
    future: Pin<Box<dyn Future<Output = T> + Send>>,
    flag: Arc<WakeFlag>,
    waker: Waker,
}

struct WakeFlag {
    woken: AtomicBool,
    task: AtomicWaker,
}

impl Wake for WakeFlag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl<T> PollOnWake<T> {
    pub(super) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        let flag = Arc::new(WakeFlag {
            woken: AtomicBool::new(true),
            task: AtomicWaker::new(),
        });
        Self {
            future: Box::pin(future),
            waker: Waker::from(Arc::clone(&flag)),
            flag,
        }
    }

    /// As [`Future::poll`]; must not be called again once it was ready.
    pub(super) fn poll(&mut self, context: &Context<'_>) -> Poll<T> {
        // In this order: a wake after the check of the flag must find the task.
        self.flag.task.register(context.waker());
        if !self.flag.woken.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        self.future.as_mut().poll(&mut Context::from_waker(&self.waker))
    }
}

impl<T> fmt::Debug for PollOnWake<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PollOnWake").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn it_is_asked_once_and_again_after_its_call() {
        let asked = Arc::new(AtomicUsize::new(0));
        let (send, mut receive) = oneshot::channel();
        let counter = Arc::clone(&asked);
        let mut polled = PollOnWake::new(poll_fn(move |context| {
            counter.fetch_add(1, Ordering::SeqCst);
            Pin::new(&mut receive).poll(context)
        }));
        for _ in 0..5 {
            assert!(poll_fn(|context| Poll::Ready(polled.poll(context).is_pending())).await);
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            send.send(7).unwrap();
        });
        assert_eq!(poll_fn(|context| polled.poll(context)).await, Ok(7));
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn it_wakes_the_task_that_asked_last() {
        let (send, receive) = oneshot::channel();
        let mut polled = PollOnWake::new(receive);
        assert!(polled.poll(&Context::from_waker(Waker::noop())).is_pending());
        let waiting = tokio::spawn(async move { poll_fn(|context| polled.poll(context)).await });
        tokio::task::yield_now().await;
        send.send(()).unwrap();
        assert_eq!(waiting.await.unwrap(), Ok(()));
    }
}
