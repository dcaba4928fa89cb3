//! What is counted about clients: their connections, TLS, what they are sent, what they hold, and the limits they reach.
//! Must not know LDAP.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::words::{WordCounts, words};

words! {
    /// A port.
    Port as "port" {
        /// LDAP, with or without StartTLS.
        Ldap = "ldap",
        /// LDAPS.
        Ldaps = "ldaps",
    }
}

words! {
    /// What protects a connection.
    Protection as "tls" {
        /// Nothing.
        Clear = "none",
        /// TLS to the load balancer that named the client.
        Proxy = "proxy",
        /// TLS 1.2.
        Tls12 = "1.2",
        /// TLS 1.3.
        Tls13 = "1.3",
    }
}

words! {
    /// Why a TLS handshake failed.
    HandshakeFailure as "reason" {
        /// The client did not speak TLS.
        NotTls = "not_tls",
        /// The client closed the connection.
        Closed = "closed",
        /// It took too long.
        TooLong = "too_long",
        /// The client does not accept the certificate.
        CertificateRefused = "certificate_refused",
        /// No version or cipher suite in common.
        NothingInCommon = "nothing_in_common",
        /// Anything else.
        Other = "other",
    }
}

words! {
    /// A limit, under the name of its option without `AUTHENTIK_LDAP__`.
    Limit as "limit" {
        /// Concurrent connections: a newcomer waited, or somebody unbound had to go.
        MaxConnections = "max_connections",
        /// Connections of one address.
        MaxConnectionsPerAddress = "max_connections_per_address",
        /// Time for a handshake, or for the first message.
        HandshakeTimeout = "handshake_timeout",
        /// Time for a message.
        MessageTimeout = "message_timeout",
        /// Time for a client to read.
        WriteTimeout = "write_timeout",
        /// Time without a request.
        IdleTimeout = "idle_timeout",
        /// Size of a message from a bound client.
        MaxMessageSize = "max_message_size",
        /// The same of others.
        MaxMessageSizeUnbound = "max_message_size_unbound",
        /// Memory of all clients.
        ClientMemoryLimit = "client_memory_limit",
        /// Time of a search.
        SearchTimeLimit = "search_time_limit",
        /// Work of a search.
        SearchWorkLimit = "search_work_limit",
        /// Memory of a search.
        SearchMemoryLimit = "search_memory_limit",
        /// Binds that wait for their turn.
        FlowQueueLimit = "flow_queue_limit",
        /// Time for a turn.
        FlowQueueTimeout = "flow_queue_timeout",
        /// Wrong passwords.
        FailedBindLimit = "failed_bind_limit",
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PortLabels {
    port: Port,
    tls: Protection,
}

/// What clients do and hold. Clones share their counts.
#[derive(Debug, Clone, Default)]
pub struct ClientMetrics {
    open: Gauge,
    connections: Family<PortLabels, Gauge>,
    accepted: WordCounts<Port>,
    handshakes: WordCounts<Protection>,
    handshake_failures: WordCounts<HandshakeFailure>,
    octets_sent: Counter,
    entries_sent: Counter,
    limits: WordCounts<Limit>,
    memory: Gauge,
    memory_limit: Gauge,
    dismissed: Counter,
}

impl ClientMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        for (port, tls) in [
            (Port::Ldap, Protection::Clear),
            (Port::Ldap, Protection::Tls13),
            (Port::Ldaps, Protection::Tls13),
        ] {
            drop(self.connections.get_or_create(&PortLabels { port, tls }));
        }
        registry.register(
            "akldap_open_connections",
            "Open client connections",
            self.open.clone(),
        );
        registry.register(
            "akldap_connections",
            "Open client connections that may send requests, by port and TLS version",
            self.connections.clone(),
        );
        registry.register(
            "akldap_connections_accepted",
            "Client connections accepted",
            self.accepted.clone(),
        );
        registry.register(
            "akldap_connections_dismissed",
            "Connections closed to free connections or memory for others",
            self.dismissed.clone(),
        );
        registry.register(
            "akldap_tls_handshakes",
            "TLS handshakes that succeeded, by version",
            self.handshakes.clone(),
        );
        registry.register(
            "akldap_tls_handshake_failures",
            "TLS handshakes that failed, by reason",
            self.handshake_failures.clone(),
        );
        registry.register(
            "akldap_sent_bytes",
            "Octets sent to clients, before TLS",
            self.octets_sent.clone(),
        );
        registry.register(
            "akldap_sent_entries",
            "Entries sent to clients",
            self.entries_sent.clone(),
        );
        registry.register(
            "akldap_limit_hits",
            "Times a limit was reached, by the name of its option",
            self.limits.clone(),
        );
        registry.register(
            "akldap_client_memory_bytes",
            "Memory held for clients: half-received messages, unread answers, running searches",
            self.memory.clone(),
        );
        registry.register(
            "akldap_client_memory_limit_bytes",
            "Limit of the memory held for clients",
            self.memory_limit.clone(),
        );
    }

    /// Counts a client connection as accepted, and as open until the guard is dropped.
    #[must_use]
    pub fn accepted(&self, port: Port) -> CountedConnection {
        self.accepted.inc(port);
        CountedConnection::one(self.open.clone())
    }

    /// Counts a connection as one that may send requests until the guard is dropped.
    #[must_use]
    pub fn serving(&self, port: Port, tls: Protection) -> CountedConnection {
        let labels = PortLabels { port, tls };
        CountedConnection::one(self.connections.get_or_create_owned(&labels))
    }

    /// Counts a TLS handshake that succeeded.
    pub fn handshake(&self, version: Protection) {
        self.handshakes.inc(version);
    }

    /// Counts a TLS handshake that failed.
    pub fn handshake_failed(&self, reason: HandshakeFailure) {
        self.handshake_failures.inc(reason);
    }

    /// Counts octets that were sent.
    pub fn sent(&self, octets: usize) {
        self.octets_sent.inc_by(u64::try_from(octets).unwrap_or(u64::MAX));
    }

    /// Counts entries that were sent.
    pub fn sent_entries(&self, entries: u64) {
        self.entries_sent.inc_by(entries);
    }

    /// Counts a limit that was reached.
    pub fn limit_reached(&self, limit: Limit) {
        self.limits.inc(limit);
    }

    /// Connections that are open.
    #[must_use]
    pub fn connections_open(&self) -> u64 {
        self.open.get().try_into().unwrap_or(0)
    }

    /// Connections that were accepted so far.
    #[must_use]
    pub fn connections_accepted(&self) -> u64 {
        self.accepted.total()
    }

    /// Octets that were sent so far.
    #[must_use]
    pub fn octets_sent(&self) -> u64 {
        self.octets_sent.get()
    }

    /// Entries that were sent so far.
    #[must_use]
    pub fn entries_sent(&self) -> u64 {
        self.entries_sent.get()
    }

    /// Records how much all clients together may hold, in octets.
    pub fn set_memory_limit(&self, limit: usize) {
        self.memory_limit.set(i64::try_from(limit).unwrap_or(i64::MAX));
    }

    /// Records that a client holds `now` octets instead of `before`.
    pub fn memory_changed(&self, before: usize, now: usize) {
        let octets = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.memory.inc_by(octets(now) - octets(before));
    }

    /// Counts a client that was told to go so that others have room.
    pub fn dismissed(&self, limit: Limit) {
        self.dismissed.inc();
        self.limits.inc(limit);
    }
}

/// Something counted as there until this is dropped.
#[derive(Debug)]
pub struct CountedConnection(Gauge);

impl CountedConnection {
    fn one(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for CountedConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}
