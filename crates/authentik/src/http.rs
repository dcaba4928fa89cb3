//! HTTP and websockets to authentik.
//!
//! Knows which requests share a connection, and what a connection costs. Follows no redirect, so no credential goes to
//! another origin. Must not know what is asked.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{SinkExt as _, StreamExt as _, future};
use reqwest::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use reqwest::{StatusCode, redirect};
use rustls::ClientConfig;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};
use url::Url;

use crate::endpoint::Endpoint;
use crate::error::{ApiError, is_foreign_status};
use crate::events::disconnect::Disconnect;
use crate::proxy;
use crate::request_ids::REQUEST_ID;
use crate::settings::Settings;
use crate::tls::{AuthoritiesFile, Trust, client_config};
use crate::transport::{Credential, Reply, Request, StreamFrame, Transport, Upgrade, Wire};

/// Idle connections kept: as many as binds usually run at once, so that none pays for a TLS handshake.
const IDLE_CONNECTIONS: usize = 64;
/// Shorter than the times after which authentik (120 s), nginx (75 s) and most load balancers (60 s) close idle
/// connections, so that few die under a request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);
/// How many headers of an answer are read; 100 are not enough: proxies and policies add theirs.
const MAX_HEADERS: usize = 1024;
/// Bytes of headers read from an answer over HTTP/2. Over HTTP/1.1 the library reads about 400 kB.
const MAX_HEADER_BYTES: u32 = 256 << 10;
/// How long the body of a refused websocket is waited for, if no length was announced.
const BODY_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes of a frame read at most. authentik's are under 200.
const MAX_FRAME: usize = 1 << 20;

/// The connections to one authentik.
pub(crate) struct Http {
    /// For calls with the token: lists come compressed.
    api: reqwest::Client,
    /// For calls as a user and for flows: has no token. HTTP/1.1, where a server announces the end of a connection with
    /// the last answer on it; over HTTP/2 that end collides with requests in transit.
    user: reqwest::Client,
    /// For the websocket: HTTP/1.1 only, as upgrades require.
    upgrading: reqwest::Client,
}

impl Http {
    /// Reads the trust store; opens no connection.
    pub(crate) fn new(settings: &Settings, endpoint: &Endpoint) -> Result<Self, ApiError> {
        let trust = if settings.insecure {
            Trust::Anybody
        } else {
            Trust::Authorities {
                system: endpoint.is_tls(),
                ca_file: settings.ca_file.as_deref().map(|path| AuthoritiesFile {
                    path,
                    option: "AUTHENTIK_LDAP__CA_FILE",
                }),
            }
        };
        let tls = client_config(&trust)?;
        let proxy = proxy::of(settings, endpoint)?;
        let http = |protocols: &[&[u8]]| http_client(settings, proxy.clone(), &tls, protocols);
        let one_by_one = || http(&[b"http/1.1"]).http1_only().retry(reqwest::retry::never());
        Ok(Self {
            api: build(http(&[b"h2", b"http/1.1"]).gzip(true))?,
            user: build(one_by_one())?,
            upgrading: build(one_by_one())?,
        })
    }

    async fn upgrade(&self, request: Request) -> Result<Upgrade, Disconnect> {
        let key = generate_key();
        let request = self
            .upgrading
            .request(request.method, request.url)
            .headers(request.headers)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, &key);
        let response = request.send().await.map_err(|error| unanswered(&error))?;
        let status = response.status();
        Ok(Upgrade {
            status: status.as_u16(),
            wire: wire(response, &key).await,
        })
    }
}

impl Transport for Http {
    fn call(&self, request: Request) -> BoxFuture<'_, Result<Reply, ApiError>> {
        let client = match request.credential {
            Credential::Token => &self.api,
            Credential::Session => &self.user,
        };
        let name = without_query(&request.url).to_owned();
        let mut builder = client
            .request(request.method, request.url)
            .headers(request.headers);
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        Box::pin(exchange(builder, request.most, name))
    }

    /// The handshake is done here and not by the websocket library, which writes the request, token included, to its log.
    fn events(&self, request: Request) -> BoxFuture<'_, Result<Upgrade, Disconnect>> {
        Box::pin(self.upgrade(request))
    }
}

fn http_client(
    settings: &Settings,
    proxy: Option<reqwest::Proxy>,
    tls: &ClientConfig,
    protocols: &[&[u8]],
) -> reqwest::ClientBuilder {
    let mut tls = tls.clone();
    tls.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(&settings.user_agent)
        .redirect(redirect::Policy::none())
        .referer(false)
        .connect_timeout(settings.connect_timeout)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(30))
        .http1_max_headers(MAX_HEADERS)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        // The configuration has decided which proxy to use; otherwise the library would read the environment.
        .no_proxy()
        .gzip(false);
    match proxy {
        Some(proxy) => builder.proxy(proxy),
        None => builder,
    }
}

fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, ApiError> {
    builder
        .build()
        .map_err(|error| ApiError::Settings(format!("the HTTP client cannot be set up: {error}")))
}

async fn exchange(request: reqwest::RequestBuilder, most: usize, name: String) -> Result<Reply, ApiError> {
    let mut response = request
        .send()
        .await
        .map_err(|error| ApiError::from_transport(&name, &error))?;
    let too_large = || ApiError::TooLarge {
        url: name.clone(),
        limit: most,
    };
    let expected = response
        .content_length()
        .and_then(|length| usize::try_from(length).ok())
        .unwrap_or(0);
    if expected > most {
        return Err(too_large());
    }
    // No more than one usual page is allocated in advance, whatever length is claimed.
    let mut body = Vec::with_capacity(expected.min(1 << 20));
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| ApiError::from_transport(&name, &error))?
    {
        if body.len() + chunk.len() > most {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply {
        status: response.status().as_u16(),
        headers: std::mem::take(response.headers_mut()),
        body,
    })
}

/// Shakes hands (RFC 6455 4.1).
async fn wire(mut response: reqwest::Response, key: &str) -> Result<Wire, Disconnect> {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let status = response.status().as_u16();
        let has_id = response.headers().contains_key(REQUEST_ID);
        let is_foreign = match status {
            200 => !has_id,
            403 => !has_id && !is_empty(&mut response).await,
            status => is_foreign_status(status, false, has_id),
        };
        return Err(Disconnect::Refused { status, is_foreign });
    }
    let accept = response
        .headers()
        .get(SEC_WEBSOCKET_ACCEPT)
        .map(|value| value.as_bytes().to_vec());
    if accept.as_deref() != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
        return Err(Disconnect::Broken(
            "the answer to the websocket handshake does not belong to our request".to_owned(),
        ));
    }
    let stream = response.upgrade().await.map_err(|error| unanswered(&error))?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_FRAME))
        .max_frame_size(Some(MAX_FRAME));
    let socket = WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await;
    let (sink, stream) = socket.split();
    Ok(Wire {
        incoming: Box::pin(stream.map(|message| message.map(received).map_err(|error| broken(&error)))),
        outgoing: Box::pin(
            sink.sink_map_err(|error| broken(&error))
                .with(|frame| future::ok(sent(frame))),
        ),
    })
}

/// Whether an answer has no body. One that is announced and does not come is there.
async fn is_empty(response: &mut reqwest::Response) -> bool {
    match response.content_length() {
        Some(length) => length == 0,
        None => matches!(timeout(BODY_TIMEOUT, response.chunk()).await, Ok(Ok(None))),
    }
}

fn received(message: Message) -> StreamFrame {
    match message {
        Message::Text(text) => StreamFrame::Text(text.as_str().to_owned()),
        Message::Close(frame) => StreamFrame::Close(frame.map(|frame| u16::from(frame.code))),
        Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => StreamFrame::Other,
    }
}

fn sent(frame: StreamFrame) -> Message {
    match frame {
        StreamFrame::Text(text) => Message::text(text),
        StreamFrame::Close(code) => Message::Close(code.map(|code| CloseFrame {
            code: CloseCode::from(code),
            reason: "".into(),
        })),
        StreamFrame::Other => Message::Ping(Bytes::new()),
    }
}

fn broken(error: &tungstenite::Error) -> Disconnect {
    match error {
        tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => {
            Disconnect::Closed { code: None }
        }
        other => Disconnect::Broken(crate::excerpt::excerpt(&other.to_string())),
    }
}

fn unanswered(error: &reqwest::Error) -> Disconnect {
    match ApiError::from_transport("", error) {
        ApiError::Unreachable { cause, .. } => Disconnect::Unreachable(cause),
        ApiError::Interrupted { cause, .. } => Disconnect::Broken(cause),
        other => Disconnect::Broken(other.to_string()),
    }
}

/// Queries may contain names of users; the path says enough.
fn without_query(url: &Url) -> &str {
    let text = url.as_str();
    text.split('?').next().unwrap_or(text)
}
