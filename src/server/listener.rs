//! The LDAP and LDAPS ports: accepting with back-off and a limit, and what happens to a connection before its first
//! request: PROXY header, TLS handshake.
//!
//! Must not know LDAP operations.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, ListenConfig};
use crate::logging::LogControl;
use crate::outpost::{Capabilities, Outpost, OutpostError};

use super::connection::{self, End};
use super::session::Session;
use super::{http, operation, proxy, tls};

/// Connections the kernel may hold for us until they are accepted.
const BACKLOG: i32 = 4096;
/// The first pause after the system refused an accept (out of file descriptors, mostly); doubles up to a second.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// Why the server cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} ({variable}): {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The variable that names it.
        variable: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The outpost cannot be set up.
    #[error(transparent)]
    Outpost(#[from] OutpostError),
    /// TLS cannot be set up.
    #[error("cannot prepare TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Where a server listens; real ports even where 0 was asked for.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// LDAP.
    pub ldap: Vec<SocketAddr>,
    /// LDAPS.
    pub ldaps: Vec<SocketAddr>,
    /// HTTP.
    pub http: Vec<SocketAddr>,
}

/// A running server.
pub struct Server {
    outpost: Arc<Outpost>,
    addresses: Addresses,
    shutdown: CancellationToken,
    tasks: TaskTracker,
    drain: Duration,
}

struct Port {
    outpost: Arc<Outpost>,
    acceptor: TlsAcceptor,
    permits: Arc<Semaphore>,
    shutdown: CancellationToken,
    tasks: TaskTracker,
    implicit_tls: bool,
}

impl Server {
    /// Opens every port at once and starts to follow authentik. authentik need not be reachable.
    ///
    /// # Errors
    /// When a port cannot be opened or TLS cannot be prepared.
    pub async fn start(config: Config, log: Option<LogControl>) -> Result<Self, StartError> {
        let capabilities = Capabilities {
            controls: operation::supported_controls().collect(),
            extensions: operation::extended::SUPPORTED.to_vec(),
            features: operation::SUPPORTED_FEATURES.to_vec(),
        };
        let outpost = Outpost::new(config, capabilities, log)?;
        let config = outpost.config();
        let listen: &ListenConfig = &config.listen;
        let (shutdown, tasks) = (CancellationToken::new(), TaskTracker::new());
        let acceptor = TlsAcceptor::from(tls::server_config(Arc::clone(outpost.certificates()))?);
        let permits = Arc::new(Semaphore::new(
            config.limits.max_connections.min(Semaphore::MAX_PERMITS),
        ));
        let mut addresses = Addresses::default();
        let port = |implicit_tls| Port {
            outpost: Arc::clone(&outpost),
            acceptor: acceptor.clone(),
            permits: Arc::clone(&permits),
            shutdown: shutdown.clone(),
            tasks: tasks.clone(),
            implicit_tls,
        };
        for address in &listen.ldap {
            let listener = bind(*address, "AUTHENTIK_LISTEN__LDAP")?;
            addresses.ldap.push(listener.local_addr().unwrap_or(*address));
            tasks.spawn(port(false).accept_all(listener));
        }
        for address in &listen.ldaps {
            let listener = bind(*address, "AUTHENTIK_LISTEN__LDAPS")?;
            addresses.ldaps.push(listener.local_addr().unwrap_or(*address));
            tasks.spawn(port(true).accept_all(listener));
        }
        for address in &listen.metrics {
            let listener = bind(*address, "AUTHENTIK_LISTEN__METRICS")?;
            addresses.http.push(listener.local_addr().unwrap_or(*address));
            tasks.spawn(http::serve(listener, Arc::clone(&outpost), shutdown.clone()));
        }
        http::serve_socket(&outpost, &tasks, &shutdown);
        outpost.start(&tasks, &shutdown);
        let drain = config.limits.shutdown_timeout;
        tracing::info!(ldap = ?addresses.ldap, ldaps = ?addresses.ldaps, http = ?addresses.http, "listening");
        Ok(Self {
            outpost,
            addresses,
            shutdown,
            tasks,
            drain,
        })
    }

    /// Where it listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The outpost it serves.
    pub fn outpost(&self) -> &Arc<Outpost> {
        &self.outpost
    }

    /// Stops accepting, lets what is under way finish for as long as configured, tells every client, and ends.
    pub async fn shutdown(self) {
        self.shutdown.cancel();
        self.tasks.close();
        if timeout(self.drain, self.tasks.wait()).await.is_err() {
            tracing::warn!(
                connections = self.tasks.len(),
                "gave up waiting for connections to end"
            );
        }
    }
}

/// Opens a port. An IPv6 wildcard takes IPv4 clients too, as Go's listeners do.
fn bind(address: SocketAddr, variable: &'static str) -> Result<TcpListener, StartError> {
    let open = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(!address.ip().is_unspecified())?;
        }
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    open().map_err(|source| StartError::Listen {
        address,
        variable,
        source,
    })
}

impl Port {
    async fn accept_all(self, listener: TcpListener) {
        let port = Arc::new(self);
        let mut pause = FIRST_PAUSE;
        loop {
            // The permit comes first: beyond the limit, clients wait in the kernel's queue.
            let permit = tokio::select! {
                () = port.shutdown.cancelled() => return,
                permit = Arc::clone(&port.permits).acquire_owned() => match permit {
                    Ok(permit) => permit,
                    Err(_) => return,
                },
            };
            let accepted = tokio::select! {
                () = port.shutdown.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    pause = FIRST_PAUSE;
                    port.tasks.spawn(Arc::clone(&port).serve(stream, peer, permit));
                }
                Err(error) => {
                    tracing::warn!(%error, pause_ms = pause.as_millis(), "cannot accept connections; trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LAST_PAUSE);
                }
            }
        }
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, _permit: OwnedSemaphorePermit) {
        let config = self.outpost.config();
        let (limits, trusted) = (&config.limits, &config.listen.trusted_proxies);
        let _open = self.outpost.metrics().connection_opened();
        // Answers are written whole; waiting for more to send would only delay them.
        let _ = stream.set_nodelay(true);
        let (client, stream) = match proxy::accept(stream, peer, trusted, limits.handshake_timeout).await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%peer, %error, "connection given up");
                return;
            }
        };
        let mut session = Session::new(Arc::clone(&self.outpost), client.ip(), self.implicit_tls);
        if !self.implicit_tls {
            match connection::serve(stream, &mut session, limits, &self.shutdown).await {
                End::Closed => {}
                End::StartTls(stream) => self.secure(stream, session).await,
            }
            return;
        }
        self.secure(stream, session).await;
    }

    /// The handshake, then LDAP with a fresh state: what was known in plain text does not count under TLS.
    async fn secure<S>(&self, stream: S, session: Session)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let limits = &self.outpost.config().limits;
        let client = session.client;
        let stream = match timeout(limits.handshake_timeout, self.acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::info!(%client, %error, "TLS handshake failed{}", handshake_hint(&error, self.implicit_tls));
                return;
            }
            Err(_) => {
                tracing::debug!(%client, "the TLS handshake took too long");
                return;
            }
        };
        let mut session = Session::new(Arc::clone(&self.outpost), client, true);
        // StartTLS is refused under TLS, so the conversation can only end.
        connection::serve(stream, &mut session, limits, &self.shutdown).await;
    }
}

fn handshake_hint(error: &io::Error, implicit_tls: bool) -> &'static str {
    let corrupt = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        .is_some_and(|error| matches!(error, rustls::Error::InvalidMessage(_)));
    match (corrupt, implicit_tls) {
        (true, true) => {
            ": the LDAPS port was spoken to without TLS; use the LDAP port or ldaps:// in the client"
        }
        (true, false) => ": what followed StartTLS was not TLS",
        _ => "",
    }
}
