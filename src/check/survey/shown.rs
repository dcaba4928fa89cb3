//! The certificates that authentik shows to whoever begins TLS: a client that accepts them does not say what else is wrong with them.
//! Finds facts and judges none.

use std::sync::Arc;
use std::time::Duration;

use akldap_authentik::tls::{Trust, client_config};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::check::certificate::Certificate;

/// How long it may take: it has just answered a call.
const LIMIT: Duration = Duration::from_secs(5);

/// What is shown on this port; `None` if it is not TLS.
pub(super) async fn on(host: &str, port: u16) -> Option<Certificate> {
    // They are looked at, and nothing is sent to whoever has them.
    let config = client_config(&Trust::Anybody).ok()?;
    let name = ServerName::try_from(host.to_owned()).ok()?;
    let shaken = async {
        let stream = TcpStream::connect((host, port)).await?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    };
    let stream = timeout(LIMIT, shaken).await.ok()?.ok()?;
    let (_, connection) = stream.get_ref();
    Some(Certificate::of_chain(connection.peer_certificates()?))
}
