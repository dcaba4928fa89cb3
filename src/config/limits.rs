//! What one client may cost: octets, connections, time, memory. Knows these settings and what they are read into; must
//! not know what the values are used for.

use std::time::Duration;

use super::error::ConfigError;
use super::kind::{Optional, Unset};
use super::quantity::{Count, Interval, Period, Size, YEAR};
use super::reader::SettingReader;
use super::setting::{Setting, own};

/// The largest LDAP message any setting allows. Larger ones would let one client claim a noticeable share of memory.
const LARGEST_MESSAGE: u64 = 256 << 20;

/// The largest amount of memory any setting takes: 1 TiB.
const LARGEST_MEMORY: u64 = 1 << 40;

pub(super) static MAX_MESSAGE_SIZE: Setting<Size> = own(
    "AUTHENTIK_LDAP__MAX_MESSAGE_SIZE",
    "max-message-size",
    Size {
        min: 1 << 10,
        max: LARGEST_MESSAGE,
    },
    1 << 20,
    "Largest LDAP message of a bound client. Some directory clients put thousands of names into one filter.",
);

pub(super) static MAX_MESSAGE_SIZE_UNBOUND: Setting<Size> = own(
    "AUTHENTIK_LDAP__MAX_MESSAGE_SIZE_UNBOUND",
    "max-message-size-unbound",
    Size {
        min: 1 << 10,
        max: LARGEST_MESSAGE,
    },
    64 << 10,
    "Largest LDAP message before a successful bind, when the client could be anybody.",
);

pub(super) static MAX_CONNECTIONS: Setting<Count<usize>> = own(
    "AUTHENTIK_LDAP__MAX_CONNECTIONS",
    "max-connections",
    Count {
        min: 1,
        max: 1_000_000,
    },
    16_384,
    "Open client connections, LDAP and LDAPS together. Further ones wait until one closes. The limit on open files lowers it.",
);

pub(super) static MAX_CONNECTIONS_PER_ADDRESS: Setting<Count<usize>> = own(
    "AUTHENTIK_LDAP__MAX_CONNECTIONS_PER_ADDRESS",
    "max-connections-per-address",
    Count {
        min: 0,
        max: 1_000_000,
    },
    4096,
    "Open connections of one client address (IPv6: a /64), the real one behind a PROXY protocol header. Further ones are refused. 0 means no limit.",
);

pub(super) static IDLE_TIMEOUT: Setting<Interval> = own(
    "AUTHENTIK_LDAP__IDLE_TIMEOUT",
    "idle-timeout",
    Interval { max: YEAR },
    Some(Duration::from_mins(15)),
    "A connection without requests for this long is closed with a notice. 15 minutes is what connection pools expect; 0 means never.",
);

pub(super) static MESSAGE_TIMEOUT: Setting<Period> = own(
    "AUTHENTIK_LDAP__MESSAGE_TIMEOUT",
    "message-timeout",
    Period {
        max: Duration::from_hours(1),
        off: false,
    },
    Duration::from_secs(30),
    "How long a client may take to send one message, from its first octet to its last; each 8 KiB that arrives adds a second. Before a bind it is at most the handshake time-out.",
);

pub(super) static WRITE_TIMEOUT: Setting<Period> = own(
    "AUTHENTIK_LDAP__WRITE_TIMEOUT",
    "write-timeout",
    Period {
        max: Duration::from_hours(1),
        off: false,
    },
    Duration::from_secs(30),
    "A client that reads none of its answer for this long is disconnected.",
);

pub(super) static HANDSHAKE_TIMEOUT: Setting<Period> = own(
    "AUTHENTIK_LDAP__HANDSHAKE_TIMEOUT",
    "handshake-timeout",
    Period {
        max: Duration::from_mins(10),
        off: false,
    },
    Duration::from_secs(10),
    "How long a TLS handshake may take, including the PROXY protocol header before it, and a message from an unbound client.",
);

pub(super) static SHUTDOWN_TIMEOUT: Setting<Period> = own(
    "AUTHENTIK_LDAP__SHUTDOWN_TIMEOUT",
    "shutdown-timeout",
    Period {
        max: Duration::from_hours(1),
        off: true,
    },
    Duration::from_secs(8),
    "How long running operations may take to finish at shutdown. Less than the 10 seconds after which Docker kills; 0 means at once.",
);

pub(super) static SEARCH_TIME_LIMIT: Setting<Interval> = own(
    "AUTHENTIK_LDAP__SEARCH_TIME_LIMIT",
    "search-time-limit",
    Interval {
        max: Duration::from_hours(1),
    },
    Some(Duration::from_secs(30)),
    "How long a processor works on one search by an account that may search everything before it is answered timeLimitExceeded (3). Waiting for the client or for a processor does not count, and each entry returned adds 0.1 ms. 0 means no limit.",
);

pub(super) static SEARCH_TIME_LIMIT_OWN: Setting<Interval> = own(
    "AUTHENTIK_LDAP__SEARCH_TIME_LIMIT_OWN",
    "search-time-limit-own",
    Interval {
        max: Duration::from_hours(1),
    },
    Some(Duration::from_secs(10)),
    "How long a processor works on one search by an account that sees only itself and its groups: see AUTHENTIK_LDAP__SEARCH_TIME_LIMIT.",
);

pub(super) static SEARCH_TIME_LIMIT_ANONYMOUS: Setting<Interval> = own(
    "AUTHENTIK_LDAP__SEARCH_TIME_LIMIT_ANONYMOUS",
    "search-time-limit-anonymous",
    Interval {
        max: Duration::from_hours(1),
    },
    Some(Duration::from_secs(5)),
    "How long a processor works on one search without a bind, of the rootDSE or the subschema: see AUTHENTIK_LDAP__SEARCH_TIME_LIMIT.",
);

pub(super) static SEARCH_WORK_LIMIT: Setting<Count<u64>> = own(
    "AUTHENTIK_LDAP__SEARCH_WORK_LIMIT",
    "search-work-limit",
    Count {
        min: 1_000,
        max: 1_000_000_000_000,
    },
    200_000_000,
    "Comparisons in one search by an account that may search everything before it is answered adminLimitExceeded (11): comparing an assertion with an entry is one, plus one for each 32 octets of its values. 128 for each entry returned are free, so listings never reach the limit. A few seconds of work.",
);

pub(super) static SEARCH_WORK_LIMIT_OWN: Setting<Count<u64>> = own(
    "AUTHENTIK_LDAP__SEARCH_WORK_LIMIT_OWN",
    "search-work-limit-own",
    Count {
        min: 1_000,
        max: 1_000_000_000_000,
    },
    10_000_000,
    "Comparisons in one search by an account that sees only itself and its groups: see AUTHENTIK_LDAP__SEARCH_WORK_LIMIT.",
);

pub(super) static SEARCH_WORK_LIMIT_ANONYMOUS: Setting<Count<u64>> = own(
    "AUTHENTIK_LDAP__SEARCH_WORK_LIMIT_ANONYMOUS",
    "search-work-limit-anonymous",
    Count {
        min: 1_000,
        max: 1_000_000_000_000,
    },
    250_000,
    "Comparisons in one search without a bind, of the rootDSE or the subschema: see AUTHENTIK_LDAP__SEARCH_WORK_LIMIT. A few milliseconds of work.",
);

pub(super) static SEARCH_MEMORY_LIMIT: Setting<Size> = own(
    "AUTHENTIK_LDAP__SEARCH_MEMORY_LIMIT",
    "search-memory-limit",
    Size {
        min: 64 << 10,
        max: LARGEST_MEMORY,
    },
    256 << 20,
    "Memory that one search by an account that may search everything may take (its filter, what it sorts, what the dereference control adds to one entry) before it is answered adminLimitExceeded (11).",
);

pub(super) static SEARCH_MEMORY_LIMIT_OWN: Setting<Size> = own(
    "AUTHENTIK_LDAP__SEARCH_MEMORY_LIMIT_OWN",
    "search-memory-limit-own",
    Size {
        min: 64 << 10,
        max: LARGEST_MEMORY,
    },
    32 << 20,
    "Memory that one search by an account that sees only itself and its groups may take: see AUTHENTIK_LDAP__SEARCH_MEMORY_LIMIT.",
);

pub(super) static SEARCH_MEMORY_LIMIT_ANONYMOUS: Setting<Size> = own(
    "AUTHENTIK_LDAP__SEARCH_MEMORY_LIMIT_ANONYMOUS",
    "search-memory-limit-anonymous",
    Size {
        min: 64 << 10,
        max: LARGEST_MEMORY,
    },
    4 << 20,
    "Memory that one search without a bind, of the rootDSE or the subschema, may take: see AUTHENTIK_LDAP__SEARCH_MEMORY_LIMIT.",
);

pub(super) static CLIENT_MEMORY_LIMIT: Setting<Optional<Size>> = own(
    "AUTHENTIK_LDAP__CLIENT_MEMORY_LIMIT",
    "client-memory-limit",
    Optional(Size {
        min: 1 << 20,
        max: LARGEST_MEMORY,
    }),
    Unset,
    "Memory that all clients together may take: half-sent messages, unread answers, running searches. Beyond it, the client that takes most is disconnected; unbound clients have a quarter of it. Unset: a quarter of the memory that the control group (cgroup v2 or v1), or else the machine, gives the process, from 16MiB to 1024MiB.",
);

/// What one client may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitConfig {
    /// Bytes of one message of a bound client.
    pub max_message_size: usize,
    /// Bytes of one message before a bind.
    pub max_message_size_unbound: usize,
    /// Open connections.
    pub max_connections: usize,
    /// Open connections of one address. `None`: no limit.
    pub max_connections_per_address: Option<usize>,
    /// Close a connection without requests after this. `None`: never.
    pub idle_timeout: Option<Duration>,
    /// Close a connection that started a message and did not finish it within this time, plus a time for the octets
    /// that arrived.
    pub message_timeout: Duration,
    /// Close a connection that has not read any of its answer for this long.
    pub write_timeout: Duration,
    /// Limit for a TLS handshake or PROXY header.
    pub handshake_timeout: Duration,
    /// Limit for draining at shutdown. Zero: do not wait.
    pub shutdown_timeout: Duration,
    /// What a search may cost.
    pub search: SearchConfig,
    /// Bytes all clients together may make the server hold. `None`: a part of what the process may use.
    pub client_memory: Option<usize>,
}

/// What a search may cost, by who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchConfig {
    /// Those who may search everything.
    pub full: SearchClassConfig,
    /// Those who see themselves and their groups.
    pub own: SearchClassConfig,
    /// Those who have not bound.
    pub anonymous: SearchClassConfig,
}

/// What a search of one class of clients may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchClassConfig {
    /// Time the server works on it. `None`: no limit.
    pub time: Option<Duration>,
    /// Comparisons.
    pub comparisons: u64,
    /// Bytes.
    pub memory: usize,
    /// The variables of these, for diagnostics.
    pub variables: [&'static str; 3],
}

impl LimitConfig {
    pub(super) fn read(reader: &mut SettingReader<'_>) -> Result<Self, ConfigError> {
        let max_message_size = reader.value(&MAX_MESSAGE_SIZE)?;
        let max_message_size_unbound = reader.value(&MAX_MESSAGE_SIZE_UNBOUND)?;
        if max_message_size_unbound > max_message_size {
            return Err(ConfigError::Conflict {
                name: reader.strings.spelling(MAX_MESSAGE_SIZE_UNBOUND.variable),
                other: reader.strings.spelling(MAX_MESSAGE_SIZE.variable),
                problem: "an unbound client may not send larger messages than a bound one",
            });
        }
        Ok(Self {
            max_message_size,
            max_message_size_unbound,
            max_connections: reader.value(&MAX_CONNECTIONS)?,
            max_connections_per_address: Some(reader.value(&MAX_CONNECTIONS_PER_ADDRESS)?)
                .filter(|limit| *limit > 0),
            idle_timeout: reader.value(&IDLE_TIMEOUT)?,
            message_timeout: reader.value(&MESSAGE_TIMEOUT)?,
            write_timeout: reader.value(&WRITE_TIMEOUT)?,
            handshake_timeout: reader.value(&HANDSHAKE_TIMEOUT)?,
            shutdown_timeout: reader.value(&SHUTDOWN_TIMEOUT)?,
            search: SearchConfig::read(reader)?,
            client_memory: reader.value(&CLIENT_MEMORY_LIMIT)?,
        })
    }
}

impl SearchConfig {
    pub(super) fn read(reader: &mut SettingReader<'_>) -> Result<Self, ConfigError> {
        let mut class = |time: &'static Setting<Interval>,
                         work: &'static Setting<Count<u64>>,
                         memory: &'static Setting<Size>| {
            Ok(SearchClassConfig {
                time: reader.value(time)?,
                comparisons: reader.value(work)?,
                memory: reader.value(memory)?,
                variables: [time.variable, work.variable, memory.variable],
            })
        };
        Ok(Self {
            full: class(&SEARCH_TIME_LIMIT, &SEARCH_WORK_LIMIT, &SEARCH_MEMORY_LIMIT)?,
            own: class(
                &SEARCH_TIME_LIMIT_OWN,
                &SEARCH_WORK_LIMIT_OWN,
                &SEARCH_MEMORY_LIMIT_OWN,
            )?,
            anonymous: class(
                &SEARCH_TIME_LIMIT_ANONYMOUS,
                &SEARCH_WORK_LIMIT_ANONYMOUS,
                &SEARCH_MEMORY_LIMIT_ANONYMOUS,
            )?,
        })
    }
}
