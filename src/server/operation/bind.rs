//! Bind (RFC 4511 section 4.2): runs what has to wait for authentik apart from the connection, so that even a panic in
//! it ends in an answer that is not success.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use crate::ldap::message::OperationKind;
use crate::ldap::response::{self, LdapResult};
use crate::outpost::Outpost;
use crate::outpost::bind::{BindAnswer, PendingBind};

/// A bind under way.
pub(in crate::server) type BindFuture = Pin<Box<dyn Future<Output = BindAnswer> + Send>>;

/// Goes on with a bind that has to wait for authentik. Dropping the future gives the bind up.
pub(in crate::server) fn run(outpost: &Arc<Outpost>, pending: PendingBind, client: IpAddr) -> BindFuture {
    let outpost = Arc::clone(outpost);
    Box::pin(async move {
        let task = AbortOnDrop(tokio::spawn(async move { outpost.finish_bind(pending).await }));
        task.finish().await.unwrap_or_else(|error| {
            tracing::error!(%error, "a bind failed inside akldap: please report this with the lines before it");
            BindAnswer::internal_error(client)
        })
    })
}

/// A task that ends with the connection that waits for it.
struct AbortOnDrop(tokio::task::JoinHandle<BindAnswer>);

impl AbortOnDrop {
    async fn finish(mut self) -> Result<BindAnswer, tokio::task::JoinError> {
        (&mut self.0).await
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Appends a BindResponse.
pub(in crate::server) fn write(out: &mut Vec<u8>, message_id: u32, result: &LdapResult) {
    if let Some(tag) = OperationKind::Bind.response_tag() {
        response::write_result(out, message_id, tag, result, &[]);
    }
}
