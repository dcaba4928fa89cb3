//! Sockets in: listeners, PROXY protocol, TLS, the connection loop, one connection's LDAP session, the HTTP endpoint. This is
//! where everything is started and ended.
//!
//! Knows the outpost below it and asks it for answers. Must not know authentik's API.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::logging::{self, LogControl};
use crate::outpost::{Outpost, OutpostError, Outside};

mod available;
mod client_table;
mod config;
mod connection;
mod counted_address;
mod handshake_error;
pub mod http;
mod listener;
mod log_limit;
mod operation;
mod poll_on_wake;
mod proxy;
pub mod request;
mod rewind;
mod service;
mod session;
mod socket;
mod sockets;
mod tls;
mod tls_record;
mod wrong_protocol;

use config::ServerConfig;
use listener::Ports;
use log_limit::LogLimit;
use service::LdapService;
pub use socket::Socket;
pub use sockets::{InheritError, Inherited, inherited};

/// Why the server cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} ({variable}): {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The variable that names it.
        variable: &'static str,
        /// Why not.
        cause: io::Error,
    },
    /// The outpost cannot be set up.
    #[error(transparent)]
    Outpost(#[from] OutpostError),
    /// The operating system gives no random numbers.
    #[error("the operating system gives no random numbers")]
    Random,
    /// TLS cannot be set up.
    #[error("cannot prepare TLS: {0}")]
    Tls(#[from] rustls::Error),
}

impl StartError {
    /// Whether the cause is a file named in the configuration that cannot be used.
    #[must_use]
    pub fn is_about_a_file(&self) -> bool {
        matches!(
            self,
            Self::Outpost(OutpostError::Certificate(_) | OutpostError::Client(_))
        )
    }
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
    log_limit: Arc<LogLimit>,
    ports: Arc<Ports>,
}

impl Server {
    /// Opens every port at once and starts to follow authentik. authentik need not be reachable.
    ///
    /// # Errors
    /// When a port cannot be opened or TLS cannot be prepared.
    pub async fn start(config: Config, log: Option<LogControl>) -> Result<Self, StartError> {
        Self::start_on(Inherited::default(), config, log).await
    }

    /// The same on sockets that are already open; those of a kind replace the configured addresses of that kind.
    ///
    /// # Errors
    /// As for [`Server::start`].
    pub async fn start_on(
        inherited: Inherited,
        config: Config,
        log: Option<LogControl>,
    ) -> Result<Self, StartError> {
        let own = ServerConfig::from(&config);
        let listen = &own.listen;
        let mut server = Self::unheard(config, log, Outside::default())?;
        let (outpost, ports, tasks, shutdown) =
            (&server.outpost, &server.ports, &server.tasks, &server.shutdown);
        let page = http::status_page(&own.status, outpost, tasks, shutdown);
        let mut addresses = Addresses::default();
        for listener in listeners(
            inherited.ldap,
            &listen.ldap,
            "AUTHENTIK_LISTEN__LDAP, --listen-ldap",
        )? {
            addresses.ldap.extend(listener.local_addr());
            tasks.spawn(Arc::clone(ports).accept_all(listener, false));
        }
        for listener in listeners(
            inherited.ldaps,
            &listen.ldaps,
            "AUTHENTIK_LISTEN__LDAPS, --listen-ldaps",
        )? {
            addresses.ldaps.extend(listener.local_addr());
            tasks.spawn(Arc::clone(ports).accept_all(listener, true));
        }
        for listener in listeners(
            inherited.http,
            &listen.metrics,
            "AUTHENTIK_LISTEN__METRICS, --listen-http",
        )? {
            addresses.http.extend(listener.local_addr());
            let (outpost, page) = (Arc::clone(outpost), page.clone());
            tasks.spawn(http::serve(listener, outpost, page, shutdown.clone()));
        }
        http::serve_socket(&own.metrics_socket, outpost, page, tasks, shutdown);
        server.begin();
        tracing::info!(ldap = ?addresses.ldap, ldaps = ?addresses.ldaps, http = ?addresses.http, "listening");
        server.addresses = addresses;
        Ok(server)
    }

    /// A server without ports, which is given its way to authentik and its clock: what a simulation runs. Clients arrive
    /// through [`take`](Self::take).
    ///
    /// # Errors
    /// When TLS cannot be prepared.
    pub fn without_ports(config: Config, outside: Outside) -> Result<Self, StartError> {
        let server = Self::unheard(config, None, outside)?;
        server.begin();
        Ok(server)
    }

    /// Serves a client that did not come through a port.
    pub async fn take<S: Socket>(&self, stream: S, peer: SocketAddr) {
        self.ports.take(stream, peer).await;
    }

    fn unheard(config: Config, log: Option<LogControl>, outside: Outside) -> Result<Self, StartError> {
        let own = Arc::new(ServerConfig::from(&config));
        let outpost = Outpost::new(config, operation::capabilities(), log, outside)?;
        let (shutdown, tasks) = (CancellationToken::new(), TaskTracker::new());
        let log_limit = Arc::new(LogLimit::default());
        let mut cookie_key = [0; 32];
        aws_lc_rs::rand::fill(&mut cookie_key).map_err(|_| StartError::Random)?;
        let service = LdapService::new(&outpost, &own, cookie_key, &log_limit, &shutdown)?;
        let clients = listener::client_table(&own.limits, outpost.metrics().clients().clone());
        Ok(Self {
            outpost,
            addresses: Addresses::default(),
            shutdown,
            drain: own.limits.shutdown_timeout,
            log_limit,
            ports: Arc::new(Ports::new(service, clients, tasks.clone())),
            tasks,
        })
    }

    /// Starts what goes on alongside the ports.
    fn begin(&self) {
        self.outpost.start(&self.tasks, &self.shutdown);
        self.tasks.spawn(tell_repeated(
            Arc::clone(&self.outpost),
            Arc::clone(&self.log_limit),
            self.shutdown.clone(),
        ));
    }

    /// Where it listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The outpost it serves.
    pub fn outpost(&self) -> &Arc<Outpost> {
        &self.outpost
    }

    /// Stops accepting, gives what is under way the configured time to finish, tells every client, and ends.
    pub async fn shutdown(self) {
        self.shutdown.cancel();
        self.tasks.close();
        if timeout(self.drain, self.tasks.wait()).await.is_err() {
            tracing::warn!(
                connections = self.tasks.len(),
                "gave up waiting for connections to end"
            );
        }
        self.log_limit.finish();
        self.outpost.tell_all_repeated();
    }
}

/// Writes what was counted instead of logged, when it is due.
async fn tell_repeated(outpost: Arc<Outpost>, log_limit: Arc<LogLimit>, shutdown: CancellationToken) {
    let pause = || tokio::time::sleep(logging::SWEEP_INTERVAL);
    while shutdown.run_until_cancelled(pause()).await.is_some() {
        let now = crate::clock::now();
        log_limit.tell_repeated(now);
        outpost.tell_repeated(now);
    }
}

/// The sockets of one kind: the inherited ones, or those from the configuration.
fn listeners(
    inherited: Vec<std::net::TcpListener>,
    configured: &[SocketAddr],
    variable: &'static str,
) -> Result<Vec<TcpListener>, StartError> {
    let failed = |address, cause| StartError::Listen {
        address,
        variable,
        cause,
    };
    if inherited.is_empty() {
        let open = |address: &SocketAddr| {
            sockets::open(*address, configured).map_err(|cause| failed(*address, cause))
        };
        return configured.iter().map(open).collect();
    }
    let adopt = |listener: std::net::TcpListener| {
        let address = listener
            .local_addr()
            .unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)));
        sockets::adopt(listener).map_err(|cause| failed(address, cause))
    };
    inherited.into_iter().map(adopt).collect()
}

#[cfg(test)]
mod damage_tests;
