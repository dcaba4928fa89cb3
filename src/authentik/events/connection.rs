//! Making the websocket connection: TCP, TLS with the same trust as the HTTP calls, handshake.

use std::sync::Arc;

use reqwest::header::{AUTHORIZATION, HeaderValue, USER_AGENT};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::{Disconnect, Subscription};
use crate::authentik::client::Client;
use crate::authentik::error::{excerpt, unreachable_io};

/// Bytes of a frame read at most. authentik's are under 200.
const MAX_FRAME: usize = 1 << 20;

/// A byte stream, encrypted or not.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

pub(super) type Socket = WebSocketStream<Box<dyn Duplex>>;

/// Connects and shakes hands. The caller limits the time.
pub(super) async fn dial(
    client: &Client,
    subscription: &Subscription,
    attempt: u64,
) -> Result<Socket, Disconnect> {
    let endpoint = client.endpoint();
    let instance = subscription.instance.hyphenated().to_string();
    let url = endpoint.websocket(&subscription.outpost, &instance, attempt);
    let settings = |problem: String| Disconnect::Settings(excerpt(&problem));
    let mut request = url
        .as_str()
        .into_client_request()
        .map_err(|error| settings(error.to_string()))?;
    let headers = request.headers_mut();
    headers.insert(AUTHORIZATION, client.bearer().clone());
    if let Ok(agent) = HeaderValue::from_str(&client.settings().user_agent) {
        headers.insert(USER_AGENT, agent);
    }

    let unreachable = |error: std::io::Error| Disconnect::Unreachable(unreachable_io(&error));
    let tcp = TcpStream::connect((endpoint.host(), endpoint.port()))
        .await
        .map_err(unreachable)?;
    tcp.set_nodelay(true).map_err(unreachable)?;
    let stream: Box<dyn Duplex> = if endpoint.is_tls() {
        let mut tls = client.tls().as_ref().clone();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let name =
            ServerName::try_from(endpoint.host().to_owned()).map_err(|error| settings(error.to_string()))?;
        Box::new(
            TlsConnector::from(Arc::new(tls))
                .connect(name, tcp)
                .await
                .map_err(unreachable)?,
        )
    } else {
        Box::new(tcp)
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_FRAME))
        .max_frame_size(Some(MAX_FRAME));
    match client_async_with_config(request, stream, Some(config)).await {
        Ok((socket, _response)) => Ok(socket),
        Err(tungstenite::Error::Http(response)) => Err(Disconnect::Refused {
            status: response.status().as_u16(),
        }),
        Err(error) => Err(Disconnect::Broken(excerpt(&error.to_string()))),
    }
}
