//! Making the websocket connection: an HTTP upgrade by the same client, trust and proxies as every other call.
//!
//! The handshake is done here and not by the websocket library, which writes the request, token included, to its log.

use reqwest::header::{
    AUTHORIZATION, CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use reqwest::{StatusCode, Upgraded};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::disconnect::Disconnect;
use super::subscription::Subscription;
use crate::client::Client;
use crate::error::ApiError;

/// Bytes of a frame read at most. authentik's are under 200.
const MAX_FRAME: usize = 1 << 20;

pub(super) type Socket = WebSocketStream<Upgraded>;

/// Connects and shakes hands (RFC 6455 4.1). The caller limits the time.
pub(super) async fn dial(
    client: &Client,
    subscription: &Subscription,
    attempt: u64,
) -> Result<Socket, Disconnect> {
    let instance = subscription.instance.hyphenated().to_string();
    let url = client
        .endpoint()
        .websocket(&subscription.outpost, &instance, attempt);
    let key = generate_key();
    let credentials = client.token().current();
    let request = client
        .upgrading()
        .get(url)
        .header(AUTHORIZATION, credentials.bearer().clone())
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, &key);
    let broken = |error: &reqwest::Error| match ApiError::from_transport("", error) {
        ApiError::Unreachable { cause, .. } => Disconnect::Unreachable(cause),
        ApiError::Interrupted { cause, .. } => Disconnect::Broken(cause),
        other => Disconnect::Broken(other.to_string()),
    };
    let response = request.send().await.map_err(|error| {
        client.contact().failed();
        broken(&error)
    })?;
    client.contact().status(response.status().as_u16());
    if response.status() == StatusCode::FORBIDDEN {
        // Another token, if there is one by now, is for the next try.
        client.token().is_renewed_after(&credentials).await;
    }
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(Disconnect::Refused {
            status: response.status().as_u16(),
        });
    }
    let accept = response
        .headers()
        .get(SEC_WEBSOCKET_ACCEPT)
        .map(|value| value.as_bytes().to_vec());
    if accept.as_deref() != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
        return Err(Disconnect::Broken(
            "the answer to the websocket handshake is not for our request".to_owned(),
        ));
    }
    let stream = response.upgrade().await.map_err(|error| broken(&error))?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_FRAME))
        .max_frame_size(Some(MAX_FRAME));
    Ok(WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await)
}
