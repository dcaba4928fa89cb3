//! A change of a password that waits for authentik.
//!
//! Must not know what is answered to it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio_util::sync::CancellationToken;

use crate::outpost::password::PasswordAnswer;

/// A change under way. Dropping it gives the change up, unless authentik has heard of it.
pub(crate) struct PasswordFuture {
    answer: Pin<Box<dyn Future<Output = PasswordAnswer> + Send>>,
    left: CancellationToken,
}

impl PasswordFuture {
    /// For a change that is given up in time when `left` is cancelled.
    pub(crate) fn new(
        answer: impl Future<Output = PasswordAnswer> + Send + 'static,
        left: CancellationToken,
    ) -> Self {
        Self {
            answer: Box::pin(answer),
            left,
        }
    }

    /// As [`Future::poll`].
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<PasswordAnswer> {
        self.answer.as_mut().poll(context)
    }

    /// The client sends no more, like one that has gone. A change that waits for its turn ends.
    pub(crate) fn client_left(&self) {
        self.left.cancel();
    }
}
