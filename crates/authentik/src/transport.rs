//! How a request reaches authentik and its answer comes back, and how its events do: usually over HTTP, in a simulation by a
//! function of the request.
//!
//! Knows what is in a request and in an answer. Must not know why it is made, nor how long it may take.

use std::fmt;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{Sink, Stream};
use reqwest::Method;
use reqwest::header::HeaderMap;
use url::Url;

use crate::error::ApiError;
use crate::events::disconnect::Disconnect;

/// The way to authentik and back.
pub trait Transport: Send + Sync {
    /// Carries out one request and brings back the whole answer, whatever its status. Whoever calls limits the time.
    ///
    /// # Errors
    /// When there is no complete answer.
    fn call(&self, request: Request) -> BoxFuture<'_, Result<Reply, ApiError>>;

    /// Asks for the stream of events.
    ///
    /// # Errors
    /// When nobody answered.
    fn events(&self, request: Request) -> BoxFuture<'_, Result<Upgrade, Disconnect>>;
}

/// How a request is authorised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The outpost's token.
    Token,
    /// The cookies of somebody's session.
    Session,
}

/// A request, complete except for what a connection adds.
pub struct Request {
    /// The method.
    pub method: Method,
    /// The whole URL.
    pub url: Url,
    /// How it is authorised; requests of the two kinds share no connection.
    pub credential: Credential,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, which is wiped when the last copy goes.
    pub body: Option<Bytes>,
    /// The most octets of an answer that are read.
    pub most: usize,
}

impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither headers nor body: both may contain secrets.
        write!(formatter, "{} {}", self.method, self.url.path())
    }
}

/// A complete answer.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Vec<u8>,
}

/// The answer to a request for events.
pub struct Upgrade {
    /// The HTTP status.
    pub status: u16,
    /// The events, if they are granted.
    pub wire: Result<Wire, Disconnect>,
}

/// An open stream of events.
pub struct Wire {
    /// What authentik sends.
    pub incoming: Pin<Box<dyn Stream<Item = Result<StreamFrame, Disconnect>> + Send>>,
    /// What is sent to it.
    pub outgoing: Pin<Box<dyn Sink<StreamFrame, Error = Disconnect> + Send>>,
}

/// A frame of the stream of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamFrame {
    /// Text: a hello of ours, or an instruction.
    Text(String),
    /// The end, with its code.
    Close(Option<u16>),
    /// Anything else, which shows no more than that the other side is there.
    Other,
}
