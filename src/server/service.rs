//! What happens to an accepted connection before its first request: PROXY header, the limit of its address, TLS handshake.
//!
//! Must not know LDAP operations.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use crate::metrics::{ClientMetrics, HandshakeFailure, Limit, Port, Protection};
use crate::outpost::Outpost;
use crate::outpost::bind::Origin;
use akldap_ldap::response::{self, LdapResult, ResultCode};

use super::client_table::{Permit, TLS_STATE};
use super::config::ServerConfig;
use super::connection::{self, End, Surroundings};
use super::handshake_error::{HandshakeError, hint};
use super::log_limit::{LogLimit, Topic};
use super::proxy::{self, ProxyError};
use super::rewind::Rewind;
use super::session::LdapSession;
use super::socket::Socket;
use super::tls;
use super::wrong_protocol::{self, Expected};

/// Serves the connections of every LDAP port.
pub(super) struct LdapService {
    outpost: Arc<Outpost>,
    config: Arc<ServerConfig>,
    /// Authenticates paging cookies; new in each process, shared by all its connections.
    cookie_key: [u8; 32],
    acceptor: TlsAcceptor,
    log_limit: Arc<LogLimit>,
    /// Connections taken so far; each has its number.
    connections: AtomicU64,
    shutdown: CancellationToken,
}

impl LdapService {
    /// Answers from `outpost` until `shutdown`.
    ///
    /// # Errors
    /// When TLS cannot be prepared.
    pub(super) fn new(
        outpost: &Arc<Outpost>,
        config: &Arc<ServerConfig>,
        cookie_key: [u8; 32],
        log_limit: &Arc<LogLimit>,
        shutdown: &CancellationToken,
    ) -> Result<Arc<Self>, rustls::Error> {
        let tls = tls::server_config(&config.tls, Arc::clone(outpost.certificates()))?;
        Ok(Arc::new(Self {
            outpost: Arc::clone(outpost),
            config: Arc::clone(config),
            cookie_key,
            acceptor: TlsAcceptor::from(tls),
            log_limit: Arc::clone(log_limit),
            connections: AtomicU64::new(0),
            shutdown: shutdown.clone(),
        }))
    }

    /// What is counted of clients.
    pub(super) fn metrics(&self) -> &ClientMetrics {
        self.outpost.metrics().clients()
    }

    /// Waits for the server to end.
    pub(super) fn ended(&self) -> WaitForCancellationFuture<'_> {
        self.shutdown.cancelled()
    }

    /// Serves an accepted connection to its end.
    pub(super) async fn serve<S: Socket>(
        self: Arc<Self>,
        stream: S,
        peer: SocketAddr,
        implicit_tls: bool,
        mut permit: Permit,
    ) {
        let config = &self.config;
        let connection = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let deadline = Instant::now() + config.limits.handshake_timeout;
        let port = if implicit_tls { Port::Ldaps } else { Port::Ldap };
        let _open = self.metrics().accepted(port);
        stream.send_at_once();
        let trust = proxy::TrustedPeers {
            networks: &config.listen.trusted_proxies,
            named: config.listen.trusted_proxies_set,
        };
        let dismissed = permit.dismissed();
        // At the end of the process, silent clients are told so like everybody else.
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
                if matches!(error, ProxyError::TimedOut) {
                    self.metrics().limit_reached(Limit::HandshakeTimeout);
                }
                tracing::debug!(connection, %peer, %error, "connection given up");
                return;
            }
        };
        let client = origin.client;
        if !permit.enter(origin) {
            self.refuse(client, &stream, implicit_tls);
            return;
        }
        if implicit_tls {
            return Box::pin(self.secure(stream, connection, origin, &mut permit, Expected::Ldaps, deadline))
                .await;
        }
        let mut session = self.session(connection, origin, tls);
        let surroundings = self.surroundings(Expected::Ldap, 0);
        let protection = if tls { Protection::Proxy } else { Protection::Clear };
        let serving = self.metrics().serving(port, protection);
        let end = connection::serve(stream, &mut session, &mut permit, &surroundings).await;
        drop((session, serving));
        if let End::StartTls(stream) = end {
            let deadline = Instant::now() + config.limits.handshake_timeout;
            Box::pin(self.secure(
                stream,
                connection,
                origin,
                &mut permit,
                Expected::StartTls,
                deadline,
            ))
            .await;
        }
    }

    /// Where a client's binds come from. Logs which peers are believed only because nobody set whom to trust.
    fn origin(&self, client: IpAddr, named_by: Option<IpAddr>) -> Origin {
        let chosen = self.config.listen.trusted_proxies_set;
        let proxy = named_by.filter(|_| !chosen);
        if let Some(peer) = proxy
            && self.log_limit.is_news(peer, Topic::Believed, crate::clock::now())
        {
            tracing::warn!(
                %peer,
                %client,
                "this peer names other client addresses in PROXY protocol headers and is believed by \
                 default, like every host in a private network; if it is your load balancer, set \
                 AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS (--trusted-proxies) to its address, otherwise to none"
            );
        }
        Origin { client, proxy }
    }

    fn session(&self, connection: u64, origin: Origin, secure: bool) -> LdapSession {
        let (outpost, config) = (Arc::clone(&self.outpost), Arc::clone(&self.config));
        LdapSession::new(outpost, config, self.cookie_key, connection, origin, secure)
    }

    fn surroundings(&self, expected: Expected, stream_size: usize) -> Surroundings<'_> {
        Surroundings {
            log_limit: &self.log_limit,
            shutdown: &self.shutdown,
            expected,
            stream_size,
        }
    }

    /// Ends a connection of an address that has too many. Under TLS nothing could be said in time.
    fn refuse<S: Socket>(&self, client: IpAddr, stream: &Rewind<S>, implicit_tls: bool) {
        let limit = self.config.limits.max_connections_per_address;
        self.metrics().limit_reached(Limit::MaxConnectionsPerAddress);
        if self
            .log_limit
            .is_news(client, Topic::TooMany, crate::clock::now())
        {
            tracing::warn!(
                %client,
                limit,
                "too many connections from this address, so further ones are refused; if it is a proxy, have \
                 it send PROXY protocol headers, or raise AUTHENTIK_LDAP__MAX_CONNECTIONS_PER_ADDRESS \
                 (--max-connections-per-address)"
            );
        }
        if !implicit_tls {
            let mut notice = Vec::new();
            let text = "too many connections from this address";
            response::write_notice_of_disconnection(
                &mut notice,
                &LdapResult::new(ResultCode::Unavailable, text),
            );
            stream.stream().write_now(&notice);
        }
    }

    /// The handshake, then LDAP with a fresh state: what was known in plain text does not apply under TLS.
    async fn secure<S: Socket>(
        &self,
        stream: Rewind<S>,
        connection: u64,
        origin: Origin,
        permit: &mut Permit,
        expected: Expected,
        deadline: Instant,
    ) {
        let client = origin.client;
        permit.note(TLS_STATE, false, false);
        let dismissed = permit.dismissed();
        let shaken = tokio::select! {
            biased;
            shaken = timeout_at(deadline, self.handshake(stream, expected)) => shaken,
            _ = dismissed => return,
            () = self.shutdown.cancelled() => return,
        };
        let stream = match shaken {
            Ok(Ok(stream)) => stream,
            Ok(Err(failure)) => {
                self.metrics().handshake_failed(failure.reason());
                return self.tell(connection, client, &failure);
            }
            Err(_) => {
                self.metrics().handshake_failed(HandshakeFailure::TooLong);
                self.metrics().limit_reached(Limit::HandshakeTimeout);
                tracing::debug!(connection, %client, "the TLS handshake took too long");
                return;
            }
        };
        let version = match stream.get_ref().1.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => Protection::Tls12,
            _ => Protection::Tls13,
        };
        self.metrics().handshake(version);
        let port = match expected {
            Expected::Ldaps => Port::Ldaps,
            _ => Port::Ldap,
        };
        let _serving = self.metrics().serving(port, version);
        let mut session = self.session(connection, origin, true);
        // StartTLS is refused under TLS, so the conversation can only end.
        let surroundings = self.surroundings(Expected::Inside, TLS_STATE);
        connection::serve(stream, &mut session, permit, &surroundings).await;
    }

    async fn handshake<S: Socket>(
        &self,
        mut stream: Rewind<S>,
        expected: Expected,
    ) -> Result<TlsStream<Rewind<S>>, HandshakeError> {
        stream.look_ahead().await?;
        if wrong_protocol::may_be_tls(stream.front()) {
            Ok(self.acceptor.accept(stream).await?)
        } else {
            Err(HandshakeError::WrongProtocol(wrong_protocol::explain(
                stream.front(),
                expected,
            )))
        }
    }

    /// Logs why there is no TLS: for each address only once in a while, because whoever fails, fails often.
    fn tell(&self, connection: u64, client: IpAddr, failure: &HandshakeError) {
        let is_news = |topic| self.log_limit.is_news(client, topic, crate::clock::now());
        match failure {
            HandshakeError::WrongProtocol(Some(explanation)) if is_news(Topic::Protocol) => {
                tracing::warn!(connection, %client, "{explanation}");
            }
            HandshakeError::WrongProtocol(_) => tracing::debug!(connection, %client, "no TLS handshake"),
            // Probes of a load balancer come and go silently.
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
