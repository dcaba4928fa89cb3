//! What is spoken on the port that should be authentik's, when it does not answer as authentik does: found out by beginning in each
//! language. No token or password is sent. Must not judge.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use akldap_authentik::tls::{Trust, client_config};
use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::ports::root_dse_request;

/// How long the port may take for the beginning of an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// Octets by which an answer is told.
const BEGINNING: usize = 5;
/// What is asked over HTTP.
const HTTP_REQUEST: &[u8] = b"GET / HTTP/1.0\r\n\r\n";
/// The tags of a TLS record with a handshake or an alert (RFC 8446 section 5.1), and the first octet of its version.
const TLS_TAGS: [u8; 2] = [0x16, 0x15];
const TLS_VERSION: u8 = 3;
/// The tag of an LDAP message (RFC 4511 section 4.1.1).
const LDAP_MESSAGE: u8 = 0x30;

/// What is spoken on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoken {
    /// HTTP without TLS.
    Http,
    /// TLS, and within it what is not LDAP.
    Tls,
    /// LDAP.
    Ldap,
    /// LDAP in TLS.
    Ldaps,
    /// None of these: it is silent, hangs up, or speaks another language.
    Unknown,
}

/// What is spoken on this port; `None` if it takes no connections.
pub(super) async fn on(host: &str, port: u16) -> Option<Spoken> {
    let tls = tls(host)?;
    let hello = client_hello(&tls)?;
    let root_dse = root_dse_request();
    let ask = async |request: &[u8]| -> io::Result<Vec<u8>> {
        let stream = connect(host, port).await?;
        Ok(beginning(stream, request).await)
    };
    let (to_hello, to_http, to_ldap) = tokio::join!(ask(&hello), ask(HTTP_REQUEST), ask(&root_dse));
    if to_hello.is_err() && to_http.is_err() && to_ldap.is_err() {
        return None;
    }
    Some(
        match (to_hello.as_deref(), to_http.as_deref(), to_ldap.as_deref()) {
            (Ok([tag, TLS_VERSION, ..]), ..) if TLS_TAGS.contains(tag) => {
                let within = within(tls, host, port, &root_dse);
                match timeout(ANSWER_LIMIT, within).await {
                    Ok(Ok(answer)) if answer.first() == Some(&LDAP_MESSAGE) => Spoken::Ldaps,
                    _ => Spoken::Tls,
                }
            }
            (_, Ok(answer), _) if answer.starts_with(b"HTTP/") => Spoken::Http,
            (.., Ok([LDAP_MESSAGE, ..])) => Spoken::Ldap,
            _ => Spoken::Unknown,
        },
    )
}

/// The configuration, and the name to ask for: whose certificate it is does not matter here.
fn tls(host: &str) -> Option<(Arc<ClientConfig>, ServerName<'static>)> {
    let config = client_config(&Trust::Anybody).ok()?;
    Some((Arc::new(config), ServerName::try_from(host.to_owned()).ok()?))
}

/// The first octets of a TLS client.
fn client_hello((config, name): &(Arc<ClientConfig>, ServerName<'static>)) -> Option<Vec<u8>> {
    let mut connection = ClientConnection::new(Arc::clone(config), name.clone()).ok()?;
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).ok()?;
    Some(hello)
}

async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    timeout(ANSWER_LIMIT, TcpStream::connect((host, port))).await?
}

async fn within(
    (config, name): (Arc<ClientConfig>, ServerName<'static>),
    host: &str,
    port: u16,
    request: &[u8],
) -> io::Result<Vec<u8>> {
    let stream = connect(host, port).await?;
    let stream = TlsConnector::from(config).connect(name, stream).await?;
    Ok(beginning(stream, request).await)
}

/// How the answer to a request begins; empty if there is none.
async fn beginning(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    let exchange = async {
        stream.write_all(request).await?;
        stream.flush().await?;
        while answer.len() < BEGINNING && stream.read_buf(&mut answer).await? > 0 {}
        io::Result::Ok(())
    };
    // What came before it broke, or before the time was up, still tells what is spoken.
    let _ = timeout(ANSWER_LIMIT, exchange).await;
    answer
}
