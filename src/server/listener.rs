//! The LDAP and LDAPS ports: accepting with back-off, as many clients as there are permits.
//!
//! Must not know what happens to a connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use akldap_authentik::Backoff;

use crate::config::LimitConfig;
use crate::metrics::{ClientMetrics, Limit};

use super::available;
use super::client_table::{ClientTable, MemoryBudget, Permit};
use super::log_limit::Reminder;
use super::service::LdapService;
use super::socket::Socket;

/// The first pause after the system refused an accept (usually for lack of file descriptors); doubles up to a
/// second.
const PAUSE: Backoff = Backoff::new(Duration::from_millis(5), Duration::from_secs(1));
/// Open files that no client may take: connections to authentik, the HTTP port, the log.
const RESERVED_FILES: u64 = 256;

/// What every port shares.
pub(super) struct Ports {
    service: Arc<LdapService>,
    clients: Arc<ClientTable>,
    tasks: TaskTracker,
}

impl Ports {
    /// Ports whose connections `service` serves, as `tasks`.
    pub(super) fn new(service: Arc<LdapService>, clients: Arc<ClientTable>, tasks: TaskTracker) -> Self {
        Self {
            service,
            clients,
            tasks,
        }
    }

    /// Takes a client that did not come through a port, as soon as there is a permit.
    pub(super) async fn take<S: Socket>(&self, stream: S, peer: SocketAddr) {
        let permit = self.clients.admit(peer.ip()).await;
        self.serve(stream, peer, false, permit);
    }

    fn serve<S: Socket>(&self, stream: S, peer: SocketAddr, implicit_tls: bool, permit: Permit) {
        let service = Arc::clone(&self.service);
        self.tasks
            .spawn(service.serve(stream, peer, implicit_tls, permit));
    }

    /// Accepts on one port until the server ends.
    pub(super) async fn accept_all(self: Arc<Self>, listener: TcpListener, implicit_tls: bool) {
        let (mut failures, mut refused, mut full) = (0_u32, Reminder::default(), Reminder::default());
        loop {
            let accepted = tokio::select! {
                () = self.service.ended() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    failures = 0;
                    // Beyond the limit this client waits here and all others in the kernel's queue.
                    let mut permit = std::pin::pin!(self.clients.admit(peer.ip()));
                    let permit = tokio::select! {
                        biased;
                        permit = &mut permit => permit,
                        () = std::future::ready(()) => {
                            self.service.metrics().limit_reached(Limit::MaxConnections);
                            if full.is_due() {
                                tracing::warn!("all connections are in use; further clients wait until one closes \
                                    (AUTHENTIK_LDAP__MAX_CONNECTIONS, --max-connections)");
                            }
                            tokio::select! {
                                () = self.service.ended() => return,
                                permit = &mut permit => permit,
                            }
                        }
                    };
                    self.serve(stream, peer, implicit_tls, permit);
                }
                Err(error) if is_theirs(&error) => tokio::task::yield_now().await,
                Err(error) => {
                    if refused.is_due() {
                        tracing::warn!(%error, "cannot accept connections; trying again until it works");
                    }
                    tokio::time::sleep(PAUSE.wait(failures, 0.0)).await;
                    failures = failures.saturating_add(1);
                }
            }
        }
    }
}

/// Room for the clients that the limits allow.
pub(super) fn client_table(limits: &LimitConfig, metrics: ClientMetrics) -> Arc<ClientTable> {
    let memory = limits.client_memory.unwrap_or_else(available::client_memory);
    ClientTable::new(
        capacity(limits),
        limits.max_connections_per_address,
        MemoryBudget::new(memory),
        metrics,
    )
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
