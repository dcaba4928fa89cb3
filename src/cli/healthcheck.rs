//! The `healthcheck` command: asks the running server over its unix socket whether its HTTP side answers. Knows the
//! socket and one request; must not need any configuration, because container platforms run it bare.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::args::HealthcheckArgs;
use crate::server::http::health_socket::{HealthSocketError, check_owner};

/// The limit for the whole check. Docker's own limit for a health check is longer, so this error is the one that
/// shows.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A status line is a few dozen bytes and readiness a few hundred; more is not from the server.
const ANSWER_LIMIT: usize = 64 * 1024;

const REQUEST: &[u8] = b"HEAD /outpost.goauthentik.io/ping HTTP/1.1\r\n\
    Host: localhost\r\nUser-Agent: goauthentik.io/outpost/healthcheck\r\nConnection: close\r\n\r\n";

const REQUEST_READY: &[u8] = b"GET /ready HTTP/1.1\r\n\
    Host: localhost\r\nUser-Agent: goauthentik.io/outpost/healthcheck\r\nConnection: close\r\n\r\n";

/// Why the server does not count as healthy.
#[derive(Debug, thiserror::Error)]
pub enum HealthcheckError {
    /// Nobody listens on the socket.
    #[error("cannot connect to {socket}: {cause}; is the server running with the same TMPDIR?")]
    Connect {
        /// The socket.
        socket: String,
        /// The system's reason.
        cause: io::Error,
    },
    /// Somebody else's socket, or none: its answer would say nothing about the server.
    #[error(transparent)]
    Socket(#[from] HealthSocketError),
    /// The connection broke.
    #[error("the connection to the server broke: {0}")]
    Connection(#[from] io::Error),
    /// No answer within five seconds.
    #[error("no answer within {} seconds; the server is overloaded or stuck", TIMEOUT.as_secs())]
    Timeout,
    /// The answer is not HTTP.
    #[error("the answer is not HTTP; does another program own the socket?")]
    Malformed,
    /// The server is alive but cannot serve.
    #[error("not ready: {0}")]
    NotReady(String),
    /// The server answered with an error.
    #[error("the server answered with HTTP status {0}")]
    Status(u16),
}

/// Asks `HEAD /outpost.goauthentik.io/ping` over `socket`, or `GET /ready`. Healthy is any status below 400.
///
/// # Errors
/// See [`HealthcheckError`].
pub async fn run(socket: &Path, arguments: HealthcheckArgs) -> Result<(), HealthcheckError> {
    check_owner(socket)?;
    let request = if arguments.ready { REQUEST_READY } else { REQUEST };
    let answer = tokio::time::timeout(TIMEOUT, ask(socket, request))
        .await
        .map_err(|_| HealthcheckError::Timeout)??;
    match status(&answer).ok_or(HealthcheckError::Malformed)? {
        ..400 => Ok(()),
        503 if arguments.ready => Err(HealthcheckError::NotReady(reasons(&answer))),
        status => Err(HealthcheckError::Status(status)),
    }
}

/// Why the server is not ready, taken from what `/ready` says.
fn reasons(answer: &[u8]) -> String {
    let body = answer
        .windows(4)
        .position(|octets| octets == b"\r\n\r\n")
        .and_then(|end| answer.get(end + 4..))
        .and_then(|body| serde_json::from_slice::<Value>(body).ok())
        .unwrap_or_default();
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let mut reasons: Vec<String> = ["/authentik/cause", "/configuration/failure", "/directory/failure"]
        .into_iter()
        .filter_map(text)
        .collect();
    reasons.dedup();
    let is_configured = body.pointer("/configuration/age_s").is_some_and(Value::is_u64);
    if is_configured && body.get("providers").and_then(Value::as_u64) == Some(0) {
        reasons.push("authentik assigns no LDAP provider to this outpost".to_owned());
    }
    reasons.extend(text("/directory/progress/text"));
    if reasons.is_empty() {
        reasons.push("nothing is loaded from authentik yet".to_owned());
    }
    reasons.join("; ")
}

/// What the server answers, to the end of the connection.
async fn ask(socket: &Path, request: &[u8]) -> Result<Vec<u8>, HealthcheckError> {
    let mut stream = UnixStream::connect(socket)
        .await
        .map_err(|cause| HealthcheckError::Connect {
            socket: socket.display().to_string(),
            cause,
        })?;
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    let limit = u64::try_from(ANSWER_LIMIT).unwrap_or(u64::MAX);
    stream.take(limit).read_to_end(&mut answer).await?;
    Ok(answer)
}

/// The status code of an answer that begins with a complete HTTP/1 status line.
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer
        .split(|byte| *byte == b'\n')
        .next()
        .filter(|line| line.len() < answer.len())?;
    let line = std::str::from_utf8(line).ok()?.trim_end();
    let mut words = line.strip_prefix("HTTP/1.")?.split(' ');
    words.next().filter(|minor| matches!(*minor, "0" | "1"))?;
    let code = words.next().filter(|code| code.len() == 3)?;
    code.parse().ok().filter(|code| *code >= 100)
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;

    /// Answers one connection with `answer` and returns what was asked.
    async fn check_against(answer: &'static [u8]) -> (Result<(), HealthcheckError>, String) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("authentik-metrics.sock");
        let listener = UnixListener::bind(&path).expect("bind");
        let server = async {
            let (mut stream, _) = listener.accept().await.expect("accept");
            let mut request = Vec::new();
            let mut buffer = [0; 1024];
            while !request.ends_with(b"\r\n\r\n") {
                let length = stream.read(&mut buffer).await.expect("read");
                request.extend_from_slice(&buffer[..length]);
            }
            stream.write_all(answer).await.expect("write");
            String::from_utf8(request).expect("the request is text")
        };
        tokio::join!(run(&path, HealthcheckArgs { ready: false }), server)
    }

    #[tokio::test]
    async fn statuses_below_400_are_healthy() {
        for answer in [
            &b"HTTP/1.1 204 No Content\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.0 399\n",
        ] {
            let (result, request) = check_against(answer).await;
            assert!(result.is_ok(), "{result:?}");
            assert!(request.starts_with("HEAD /outpost.goauthentik.io/ping HTTP/1.1\r\nHost: localhost\r\n"));
        }
    }

    #[tokio::test]
    async fn error_statuses_are_unhealthy() {
        for (answer, status) in [
            (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], 400),
            (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", 503),
        ] {
            let (result, _) = check_against(answer).await;
            assert!(
                matches!(result, Err(HealthcheckError::Status(found)) if found == status),
                "{result:?}"
            );
        }
    }

    #[tokio::test]
    async fn answers_that_are_not_http_are_unhealthy() {
        for answer in [
            &b""[..],
            b"HTTP/1.1 204 No Content",
            b"SSH-2.0-OpenSSH\r\n",
            b"HTTP/1.1 099 x\r\n",
            b"HTTP/1.1 20 x\r\n",
            b"HTTP/2 200 x\r\n",
            b"\xff\xfe\n",
        ] {
            let (result, _) = check_against(answer).await;
            assert!(
                matches!(result, Err(HealthcheckError::Malformed)),
                "{answer:?}: {result:?}"
            );
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let answer =
            |body: &str| format!("HTTP/1.1 503 Service Unavailable\r\nA: b\r\n\r\n{body}").into_bytes();
        for (body, expected) in [
            (
                r#"{"authentik":{"cause":"refused"},"configuration":{"failure":"refused"},"directory":{"failure":null}}"#,
                "refused",
            ),
            (
                r#"{"providers":0,"configuration":{"age_s":3},"directory":{"progress":{"text":"reading users: 100 of 300"}}}"#,
                "authentik assigns no LDAP provider to this outpost; reading users: 100 of 300",
            ),
            ("{}", "nothing is loaded from authentik yet"),
            ("no JSON", "nothing is loaded from authentik yet"),
        ] {
            assert_eq!(reasons(&answer(body)), expected, "{body}");
        }
    }

    #[tokio::test]
    async fn nobody_listening_is_unhealthy() {
        let directory = tempfile::tempdir().expect("a directory");
        let result = run(
            &directory.path().join("nothing.sock"),
            HealthcheckArgs { ready: false },
        )
        .await;
        assert!(
            matches!(result, Err(HealthcheckError::Connect { .. })),
            "{result:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_unhealthy_after_five_seconds() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("silent.sock");
        let listener = UnixListener::bind(&path).expect("bind");
        let silent = async {
            let connection = listener.accept().await.expect("accept");
            tokio::time::sleep(TIMEOUT * 2).await;
            drop(connection);
        };
        let (result, ()) = tokio::join!(run(&path, HealthcheckArgs { ready: false }), silent);
        assert!(matches!(result, Err(HealthcheckError::Timeout)), "{result:?}");
    }
}
