//! A bind that waits for authentik, carried out so that even a panic in it ends in an answer that is not success.
//!
//! Must not know what is answered to it.

use std::future::Future;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;

use crate::outpost::Outpost;
use crate::outpost::bind::{BindAnswer, PendingBind};

/// A bind under way. Dropping it gives the bind up, unless authentik has heard of it.
pub(crate) struct BindFuture {
    answer: Pin<Box<dyn Future<Output = BindAnswer> + Send>>,
    left: CancellationToken,
}

impl BindFuture {
    /// As [`Future::poll`].
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<BindAnswer> {
        self.answer.as_mut().poll(context)
    }

    /// The client sends no more, like one that has gone. A bind that waits for its turn ends.
    pub(crate) fn client_left(&self) {
        self.left.cancel();
    }
}

/// Continues a bind that has to wait for authentik.
pub(crate) fn run(outpost: &Arc<Outpost>, pending: PendingBind, client: IpAddr) -> BindFuture {
    let (binds, left) = (Arc::clone(outpost.binds()), CancellationToken::new());
    let client_left = left.clone();
    let answer = async move { binds.finish(pending, client_left).await };
    let answer = AssertUnwindSafe(answer).catch_unwind().map(move |answer| {
        answer.unwrap_or_else(|_| {
            tracing::error!(
                "a bind failed because of an internal error: please report this line and those \
                 before it"
            );
            BindAnswer::internal_error(client)
        })
    });
    BindFuture {
        answer: Box::pin(answer),
        left,
    }
}
