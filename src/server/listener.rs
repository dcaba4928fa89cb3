//! The LDAP and LDAPS ports: accepting with back-off and limits, and what happens to a connection before its first
//! request: PROXY header, TLS handshake.
//!
//! Must not know LDAP operations.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, LimitConfig};
use crate::logging::{self, LogControl};
use crate::outpost::bind::Origin;
use crate::outpost::{Capabilities, Outpost, OutpostError};
use akldap_ldap::response::{self, LdapResult, ResultCode};

use super::config::ServerConfig;
use super::connection::{self, End, Surroundings};
use super::crowd::{Budget, Crowd, Seat, TLS_STATE};
use super::foreign::{self, Expected};
use super::handshake_error::{HandshakeError, hint};
use super::log_limit::{LogLimit, Reminder, Topic};
use super::rewind::Rewind;
use super::session::Session;
use super::sockets::{self, Inherited};
use super::{available, http, operation, proxy, tls};

/// The first pause after the system refused an accept (out of file descriptors, mostly); doubles up to a second.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LAST_PAUSE: Duration = Duration::from_secs(1);
/// Open files that no client may take: connections to authentik, the HTTP port, the log.
const RESERVED_FILES: u64 = 256;

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
    log_limit: Arc<LogLimit>,
}

/// What every port shares.
struct Ports {
    outpost: Arc<Outpost>,
    config: Arc<ServerConfig>,
    acceptor: TlsAcceptor,
    crowd: Arc<Crowd>,
    log_limit: Arc<LogLimit>,
    /// Connections taken so far; each has its number.
    connections: AtomicU64,
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    /// Opens every port at once and starts to follow authentik. authentik need not be reachable.
    ///
    /// # Errors
    /// When a port cannot be opened or TLS cannot be prepared.
    pub async fn start(config: Config, log: Option<LogControl>) -> Result<Self, StartError> {
        Self::start_on(Inherited::default(), config, log).await
    }

    /// The same on sockets that are open already; those of a kind replace the configured addresses of that kind.
    ///
    /// # Errors
    /// As for [`Server::start`].
    pub async fn start_on(
        inherited: Inherited,
        config: Config,
        log: Option<LogControl>,
    ) -> Result<Self, StartError> {
        let capabilities = Capabilities {
            controls: operation::supported_controls().collect(),
            extensions: operation::extended::SUPPORTED.to_vec(),
            features: operation::SUPPORTED_FEATURES.to_vec(),
        };
        let own = Arc::new(ServerConfig::from(&config));
        let outpost = Outpost::new(config, capabilities, log)?;
        let config = own;
        let (shutdown, tasks) = (CancellationToken::new(), TaskTracker::new());
        let tls = tls::server_config(&config.tls, Arc::clone(outpost.certificates()))?;
        let crowd = Crowd::new(
            capacity(&config.limits),
            config.limits.max_connections_per_address,
            Budget::new(
                config
                    .limits
                    .client_memory
                    .unwrap_or_else(available::client_memory),
            ),
            outpost.metrics().clients(),
        );
        let log_limit = Arc::new(LogLimit::default());
        let ports = Arc::new(Ports {
            outpost: Arc::clone(&outpost),
            config: Arc::clone(&config),
            acceptor: TlsAcceptor::from(tls),
            crowd,
            log_limit: Arc::clone(&log_limit),
            connections: AtomicU64::new(0),
            shutdown: shutdown.clone(),
            tasks: tasks.clone(),
        });
        let mut addresses = Addresses::default();
        let listen = &config.listen;
        for listener in listeners(inherited.ldap, &listen.ldap, "AUTHENTIK_LISTEN__LDAP")? {
            addresses.ldap.extend(listener.local_addr());
            tasks.spawn(Arc::clone(&ports).accept_all(listener, false));
        }
        for listener in listeners(inherited.ldaps, &listen.ldaps, "AUTHENTIK_LISTEN__LDAPS")? {
            addresses.ldaps.extend(listener.local_addr());
            tasks.spawn(Arc::clone(&ports).accept_all(listener, true));
        }
        for listener in listeners(inherited.http, &listen.metrics, "AUTHENTIK_LISTEN__METRICS")? {
            addresses.http.extend(listener.local_addr());
            tasks.spawn(http::serve(listener, Arc::clone(&outpost), shutdown.clone()));
        }
        http::serve_socket(&config.metrics_socket, &outpost, &tasks, &shutdown);
        outpost.start(&tasks, &shutdown);
        tasks.spawn(tell_repeated(
            Arc::clone(&outpost),
            Arc::clone(&log_limit),
            shutdown.clone(),
        ));
        let drain = config.limits.shutdown_timeout;
        tracing::info!(ldap = ?addresses.ldap, ldaps = ?addresses.ldaps, http = ?addresses.http, "listening");
        Ok(Self {
            outpost,
            addresses,
            shutdown,
            tasks,
            drain,
            log_limit,
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
        self.log_limit.finish();
        self.outpost.tell_all_repeated();
    }
}

/// Writes what was counted instead of logged, when its time has come.
async fn tell_repeated(outpost: Arc<Outpost>, log_limit: Arc<LogLimit>, shutdown: CancellationToken) {
    let pause = || tokio::time::sleep(logging::SWEEP_INTERVAL);
    while shutdown.run_until_cancelled(pause()).await.is_some() {
        let now = std::time::Instant::now();
        log_limit.tell_repeated(now);
        outpost.tell_repeated(now);
    }
}

/// The sockets of one kind: those that were inherited, or else those of the configuration.
fn listeners(
    inherited: Vec<std::net::TcpListener>,
    configured: &[SocketAddr],
    variable: &'static str,
) -> Result<Vec<TcpListener>, StartError> {
    let failed = |address, source| StartError::Listen {
        address,
        variable,
        source,
    };
    if inherited.is_empty() {
        let open = |address: &SocketAddr| {
            sockets::open(*address, configured).map_err(|source| failed(*address, source))
        };
        return configured.iter().map(open).collect();
    }
    let adopt = |listener: std::net::TcpListener| {
        let address = listener
            .local_addr()
            .unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)));
        sockets::adopt(listener).map_err(|source| failed(address, source))
    };
    inherited.into_iter().map(adopt).collect()
}

/// How many clients there is room for: no more than the limit of open files leaves.
fn capacity(limits: &LimitConfig) -> usize {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let room = files.map_or(usize::MAX, |files| {
        // Of a very low limit, half is for clients.
        let room = files.saturating_sub(RESERVED_FILES).max(files / 2);
        usize::try_from(room).unwrap_or(usize::MAX)
    });
    if room < limits.max_connections {
        tracing::warn!(
            open_files = files,
            max_connections = room,
            "the limit of open files allows fewer connections than configured; raise it (ulimit -n, LimitNOFILE=)"
        );
    }
    limits.max_connections.min(room)
}

/// Whether a failed accept concerns only the one connection that is gone, so that the next one can be tried at once.
fn is_theirs(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, WouldBlock};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted | WouldBlock
    )
}

impl Ports {
    async fn accept_all(self: Arc<Self>, listener: TcpListener, implicit_tls: bool) {
        let (mut pause, mut refused, mut full) = (FIRST_PAUSE, Reminder::default(), Reminder::default());
        loop {
            let accepted = tokio::select! {
                () = self.shutdown.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    pause = FIRST_PAUSE;
                    // Beyond the limit this client waits here and all others in the kernel's queue.
                    let mut place = std::pin::pin!(self.crowd.admit(peer.ip()));
                    let place = tokio::select! {
                        biased;
                        place = &mut place => place,
                        () = std::future::ready(()) => {
                            if full.is_due() {
                                tracing::warn!("all connections are in use; further clients wait until one closes \
                                    (AUTHENTIK_LDAP__MAX_CONNECTIONS)");
                            }
                            tokio::select! {
                                () = self.shutdown.cancelled() => return,
                                place = &mut place => place,
                            }
                        }
                    };
                    self.tasks
                        .spawn(Arc::clone(&self).serve(stream, peer, implicit_tls, place));
                }
                Err(error) if is_theirs(&error) => tokio::task::yield_now().await,
                Err(error) => {
                    if refused.is_due() {
                        tracing::warn!(%error, "cannot accept connections; trying again until it works");
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LAST_PAUSE);
                }
            }
        }
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, implicit_tls: bool, mut seat: Seat) {
        let config = &self.config;
        let connection = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let deadline = Instant::now() + config.limits.handshake_timeout;
        let _open = self.outpost.metrics().connection_opened();
        // Answers are written whole; waiting for more to send would only delay them.
        let _ = stream.set_nodelay(true);
        let trust = proxy::Trust {
            networks: &config.listen.trusted_proxies,
            named: config.listen.trusted_proxies_set,
        };
        let dismissed = seat.dismissed();
        // At the end of the process whoever was silent is told so like everybody else.
        let enough = async {
            let _ = timeout_at(deadline, self.shutdown.cancelled()).await;
        };
        let accepted = tokio::select! {
            biased;
            accepted = proxy::accept(stream, peer, trust, enough) => accepted,
            _ = dismissed => return,
        };
        let (origin, tls, stream) = match accepted {
            Ok(accepted) => {
                let origin = self.origin(accepted.client.ip(), accepted.named_by);
                (origin, accepted.tls, accepted.stream)
            }
            Err(error) => {
                tracing::debug!(connection, %peer, %error, "connection given up");
                return;
            }
        };
        let client = origin.client;
        if !seat.enter(origin) {
            self.turn_away(client, &stream, implicit_tls);
            return;
        }
        if implicit_tls {
            return Box::pin(self.secure(stream, connection, origin, &mut seat, Expected::Ldaps, deadline))
                .await;
        }
        let mut session = self.session(connection, origin, tls);
        let surroundings = self.surroundings(Expected::Ldap, 0);
        let end = connection::serve(stream, &mut session, &mut seat, &surroundings).await;
        drop(session);
        if let End::StartTls(stream) = end {
            let deadline = Instant::now() + config.limits.handshake_timeout;
            Box::pin(self.secure(
                stream,
                connection,
                origin,
                &mut seat,
                Expected::StartTls,
                deadline,
            ))
            .await;
        }
    }

    /// Where a client's binds come from. Says which peers are believed only because nobody set whom to believe.
    fn origin(&self, client: IpAddr, named_by: Option<IpAddr>) -> Origin {
        let chosen = self.config.listen.trusted_proxies_set;
        let proxy = named_by.filter(|_| !chosen);
        if let Some(peer) = proxy
            && self
                .log_limit
                .is_news(peer, Topic::Believed, std::time::Instant::now())
        {
            tracing::warn!(
                %peer,
                %client,
                "this peer names other client addresses in PROXY protocol headers and is believed by default, like every \
                 host of a private network; if it is your load balancer, set AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS to its \
                 address, else to none"
            );
        }
        Origin { client, proxy }
    }

    fn session(&self, connection: u64, origin: Origin, secure: bool) -> Session {
        let (outpost, config) = (Arc::clone(&self.outpost), Arc::clone(&self.config));
        Session::new(outpost, config, connection, origin, secure)
    }

    fn surroundings(&self, expected: Expected, stream_size: usize) -> Surroundings<'_> {
        Surroundings {
            limits: &self.config.limits,
            log_limit: &self.log_limit,
            shutdown: &self.shutdown,
            expected,
            stream_size,
        }
    }

    /// Ends a connection of an address that has too many. Under TLS there is nothing that could be said in time.
    fn turn_away(&self, client: IpAddr, stream: &Rewind<TcpStream>, implicit_tls: bool) {
        let limit = self.config.limits.max_connections_per_address;
        if self
            .log_limit
            .is_news(client, Topic::TooMany, std::time::Instant::now())
        {
            tracing::warn!(
                %client,
                limit,
                "too many connections from this address, further ones are refused; if it is a proxy, let it send the \
                 PROXY protocol, or raise AUTHENTIK_LDAP__MAX_CONNECTIONS_PER_ADDRESS"
            );
        }
        if !implicit_tls {
            let mut notice = Vec::new();
            let text = "too many connections from this address";
            response::write_notice_of_disconnection(
                &mut notice,
                &LdapResult::new(ResultCode::Unavailable, text),
            );
            let _ = stream.stream().try_write(&notice);
        }
    }

    /// The handshake, then LDAP with a fresh state: what was known in plain text does not count under TLS.
    async fn secure(
        &self,
        stream: Rewind<TcpStream>,
        connection: u64,
        origin: Origin,
        seat: &mut Seat,
        expected: Expected,
        deadline: Instant,
    ) {
        let client = origin.client;
        seat.note(TLS_STATE, false, false);
        let dismissed = seat.dismissed();
        let shaken = tokio::select! {
            biased;
            shaken = timeout_at(deadline, self.handshake(stream, expected)) => shaken,
            _ = dismissed => return,
            () = self.shutdown.cancelled() => return,
        };
        let stream = match shaken {
            Ok(Ok(stream)) => stream,
            Ok(Err(failure)) => return self.tell(connection, client, &failure),
            Err(_) => {
                tracing::debug!(connection, %client, "the TLS handshake took too long");
                return;
            }
        };
        let mut session = self.session(connection, origin, true);
        // StartTLS is refused under TLS, so the conversation can only end.
        let surroundings = self.surroundings(Expected::Inside, TLS_STATE);
        connection::serve(stream, &mut session, seat, &surroundings).await;
    }

    async fn handshake(
        &self,
        mut stream: Rewind<TcpStream>,
        expected: Expected,
    ) -> Result<TlsStream<Rewind<TcpStream>>, HandshakeError> {
        stream.look_ahead().await?;
        if foreign::may_be_tls(stream.front()) {
            Ok(self.acceptor.accept(stream).await?)
        } else {
            Err(HandshakeError::Foreign(foreign::explain(
                stream.front(),
                expected,
            )))
        }
    }

    /// Logs why there is no TLS: for each address once in a while, as whoever fails, fails often.
    fn tell(&self, connection: u64, client: IpAddr, failure: &HandshakeError) {
        let is_news = |topic| self.log_limit.is_news(client, topic, std::time::Instant::now());
        match failure {
            HandshakeError::Foreign(Some(explanation)) if is_news(Topic::Protocol) => {
                tracing::warn!(connection, %client, "{explanation}");
            }
            HandshakeError::Foreign(_) => tracing::debug!(connection, %client, "no TLS handshake"),
            // Probes of a load balancer come and go without a word.
            HandshakeError::Tls(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                tracing::debug!(connection, %client, %error, "TLS handshake not completed");
            }
            HandshakeError::Tls(error) if is_news(Topic::Handshake) => {
                tracing::info!(connection, %client, %error, "TLS handshake failed{}", hint(error));
            }
            HandshakeError::Tls(error) => {
                tracing::debug!(connection, %client, %error, "TLS handshake failed")
            }
        }
    }
}
