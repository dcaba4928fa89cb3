//! The `healthcheck` command: asks the running server over its unix socket whether its HTTP side answers. Knows the
//! socket and one request; must not need any configuration, because container platforms run it bare.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::server::http::health_socket::{HealthSocketError, check_owner};

/// The whole check. Docker's own limit for a health check is longer, so that this error is the one that shows.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A status line is a few dozen bytes; more before its end is not HTTP.
const STATUS_LINE_LIMIT: usize = 1024;

const REQUEST: &[u8] = b"HEAD /outpost.goauthentik.io/ping HTTP/1.1\r\n\
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
    /// The server answered with an error.
    #[error("the server answered with HTTP status {0}")]
    Status(u16),
}

/// Asks `HEAD /outpost.goauthentik.io/ping` over `socket`. Healthy is any status below 400.
///
/// # Errors
/// See [`HealthcheckError`].
pub async fn run(socket: &Path) -> Result<(), HealthcheckError> {
    check_owner(socket)?;
    let status = tokio::time::timeout(TIMEOUT, ask(socket))
        .await
        .map_err(|_| HealthcheckError::Timeout)??;
    if status < 400 {
        Ok(())
    } else {
        Err(HealthcheckError::Status(status))
    }
}

async fn ask(socket: &Path) -> Result<u16, HealthcheckError> {
    let mut stream = UnixStream::connect(socket)
        .await
        .map_err(|cause| HealthcheckError::Connect {
            socket: socket.display().to_string(),
            cause,
        })?;
    stream.write_all(REQUEST).await?;
    let mut answer = Vec::new();
    let mut buffer = [0; 256];
    while !answer.contains(&b'\n') && answer.len() < STATUS_LINE_LIMIT {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            break;
        }
        answer.extend(buffer.iter().take(length));
    }
    status(&answer).ok_or(HealthcheckError::Malformed)
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

    /// Answers one connection with `answer` and gives back what was asked.
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
        tokio::join!(run(&path), server)
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

    #[tokio::test]
    async fn nobody_listening_is_unhealthy() {
        let directory = tempfile::tempdir().expect("a directory");
        let result = run(&directory.path().join("nothing.sock")).await;
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
        let (result, ()) = tokio::join!(run(&path), silent);
        assert!(matches!(result, Err(HealthcheckError::Timeout)), "{result:?}");
    }
}
