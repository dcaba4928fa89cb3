//! Why a connection for events ends, or cannot be made.
//!
//! Must not know what follows from it.

use std::time::Duration;

use crate::unreachable::Unreachable;

/// The close code of a web worker that is being recycled.
const SERVICE_RESTART: u16 = 1012;

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Disconnect {
    /// No connection could be made.
    #[error("authentik cannot be reached: {0}")]
    Unreachable(Unreachable),
    /// The handshake took too long.
    #[error("authentik did not complete the websocket handshake in time")]
    HandshakeTimeout,
    /// The handshake was answered with another status.
    #[error("the websocket was refused with status {status}: {}", refusal_hint(*.status, *.is_foreign))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Whether it was not authentik that refused: it does so with 403 and without a body, and a page of its own, for which it
        /// takes a request that arrives without `Upgrade`, has a request id.
        is_foreign: bool,
    },
    /// The server closed the connection.
    #[error("authentik closed the websocket (code {})", .code.map_or_else(|| "none".to_owned(), |code| code.to_string()))]
    Closed {
        /// The close code.
        code: Option<u16>,
    },
    /// The connection broke.
    #[error("the websocket broke: {0}")]
    Broken(String),
    /// Nothing was heard for too long, not even answers to hellos.
    #[error("authentik sent nothing for {} s", .0.as_secs())]
    Silent(Duration),
    /// We closed it to make a fresh one: authentik stops sending events on a connection older than a day.
    #[error("the websocket is renewed")]
    Renewal,
}

impl Disconnect {
    /// Whether this is harmless: a web worker that authentik recycles, or our own renewal. There is a new
    /// connection at once.
    pub fn is_routine(&self) -> bool {
        matches!(
            self,
            Self::Renewal
                | Self::Closed {
                    code: Some(SERVICE_RESTART)
                }
        )
    }
}

fn refusal_hint(status: u16, is_foreign: bool) -> &'static str {
    match status {
        401 | 407 => "a proxy in front of authentik demands its own credentials",
        429 => "authentik, or a proxy in front of it, throttles requests",
        500..=599 => "authentik's web workers or the proxy in front of them are in trouble: see their logs",
        301 | 302 | 303 | 307 | 308 => "set AUTHENTIK_HOST to the final URL",
        403 if is_foreign => "a proxy or firewall in front of authentik refuses it",
        403 => "the token is not valid or not this outpost's, or a proxy in between does not pass it on",
        200 | 404 if is_foreign => {
            "a proxy in front of authentik answers itself: it must pass /ws/outpost/ on, with websockets"
        }
        404 | 426 | 400 | 200 => {
            "a proxy in between must pass websockets on (Upgrade and Connection headers)"
        }
        _ => "see authentik's server log",
    }
}
