//! Making a connection for events: the same client, trust and proxies as every other call.
//!
//! Knows where the events are. Must not know what they say.

use super::disconnect::Disconnect;
use super::subscription::Subscription;
use crate::client::Client;
use crate::transport::Wire;

/// Connects. The caller limits the time.
pub(super) async fn dial(
    client: &Client,
    subscription: &Subscription,
    attempt: u64,
) -> Result<Wire, Disconnect> {
    let instance = subscription.instance.hyphenated().to_string();
    let url = client
        .endpoint()
        .websocket(&subscription.outpost, &instance, attempt);
    client.events(url).await
}
