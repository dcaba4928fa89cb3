//! Who holds this machine's ports: nobody, this server, or another program. Knows what akldap says about itself to anyone who asks; must not
//! judge.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use akldap_authentik::tls::{Trust, client_config};
use akldap_ldap::ber;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long whoever holds a port may take to connect, and then to answer.
const PORT_LIMIT: Duration = Duration::from_secs(3);
/// Octets that are read of an answer: what is looked for is in the first few hundred.
const ANSWER_LIMIT: u64 = 16 * 1024;
/// What begins the `vendorVersion` of the root DSE (RFC 3045).
const VENDOR: &[u8] = b"akldap ";
/// A member of what `/ready` answers.
const READINESS: &[u8] = b"\"searches\":";

/// What is spoken on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PortKind {
    /// LDAP.
    Ldap,
    /// LDAP in TLS.
    Ldaps,
    /// HTTP: metrics and health.
    Http,
}

impl PortKind {
    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ldap => "LDAP",
            Self::Ldaps => "LDAPS",
            Self::Http => "HTTP",
        }
    }
}

/// Why a port cannot be listened on.
pub(super) async fn not_free(address: SocketAddr) -> Option<String> {
    let bound = TcpListener::bind(address).await;
    bound.err().map(|error| error.to_string())
}

/// Why a port is not one of this server that runs.
pub(super) async fn not_ours(kind: PortKind, address: SocketAddr) -> Option<String> {
    // What listens on every address answers on this machine's own.
    let host = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        _ => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let stream = match timeout(PORT_LIMIT, TcpStream::connect((host, address.port()))).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Some(format!("nothing answers ({error}); is the server running?")),
        Err(_) => return Some("nothing answers in time".to_owned()),
    };
    match timeout(PORT_LIMIT, is_ours(kind, host, stream)).await {
        Ok(Ok(true)) => None,
        Ok(Ok(false)) => Some("another program answers there".to_owned()),
        Ok(Err(error)) => Some(format!("another program answers there ({error})")),
        Err(_) => Some("what listens there does not answer as this server does".to_owned()),
    }
}

async fn is_ours(kind: PortKind, host: IpAddr, stream: TcpStream) -> io::Result<bool> {
    match kind {
        PortKind::Ldap => says(stream, &root_dse_request(), VENDOR).await,
        PortKind::Ldaps => {
            let config = client_config(&Trust::Anybody).map_err(io::Error::other)?;
            let name = ServerName::IpAddress(host.into());
            let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
            says(stream, &root_dse_request(), VENDOR).await
        }
        PortKind::Http => says(stream, b"GET /ready HTTP/1.0\r\n\r\n", READINESS).await,
    }
}

/// Whether the answer to a request has these octets in it.
async fn says(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &[u8],
    sought: &[u8],
) -> io::Result<bool> {
    stream.write_all(request).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    let mut stream = stream.take(ANSWER_LIMIT);
    loop {
        if answer.windows(sought.len()).any(|part| part == sought) {
            return Ok(true);
        }
        if stream.read_buf(&mut answer).await? == 0 {
            return Ok(false);
        }
    }
}

/// A search for `vendorVersion` in the root DSE (RFC 4511 section 4.5.1, RFC 4512 section 5.1).
pub(super) fn root_dse_request() -> Vec<u8> {
    let mut request = Vec::new();
    ber::write_constructed(&mut request, 0x30, |out| {
        ber::write_integer(out, 0x02, 1);
        ber::write_constructed(out, 0x63, |out| {
            ber::write_element(out, 0x04, b"");
            ber::write_integer(out, 0x0a, 0);
            ber::write_integer(out, 0x0a, 0);
            ber::write_integer(out, 0x02, 0);
            ber::write_integer(out, 0x02, 0);
            ber::write_boolean(out, false);
            ber::write_element(out, 0x87, b"objectClass");
            ber::write_constructed(out, 0x30, |out| ber::write_element(out, 0x04, b"vendorVersion"));
        });
    });
    request
}
