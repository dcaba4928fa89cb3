//! The table of every variable this server reads. The environment, the flags, `--help` and `docs/options.md` all come
//! from it, so they cannot disagree. Knows texts and ranges; reading them is the parent module's work.

pub use super::page::options_page;
pub use super::setting::{Kind, Setting};

const fn official(variable: &'static str, default: &'static str, kind: Kind, help: &'static str) -> Setting {
    Setting {
        variable,
        flag: None,
        default,
        kind,
        help,
    }
}

const fn own(
    variable: &'static str,
    flag: &'static str,
    default: &'static str,
    kind: Kind,
    help: &'static str,
) -> Setting {
    Setting {
        variable,
        flag: Some(flag),
        default,
        kind,
        help,
    }
}

/// The largest duration any setting takes: a year, in seconds.
const YEAR: u64 = 365 * 86_400;
/// The largest LDAP message any setting allows. Larger ones would let one client claim a noticeable part of memory.
const LARGEST_MESSAGE: u64 = 256 << 20;

/// The largest amount of memory any setting takes: 1 TiB.
const LARGEST_MEMORY: u64 = 1 << 40;

pub(crate) static HOST: Setting = official(
    "AUTHENTIK_HOST",
    "",
    Kind::Host,
    "URL of authentik. A path is kept. Required.",
);
pub(crate) static TOKEN: Setting = official(
    "AUTHENTIK_TOKEN",
    "",
    Kind::Secret,
    "API token of the outpost. Required. A token from a file (`file:///path`) is read again when authentik refuses it and \
     on SIGHUP.",
);
pub(crate) static INSECURE: Setting = official(
    "AUTHENTIK_INSECURE",
    "false",
    Kind::Switch,
    "Do not verify authentik's certificate. For a private CA, AUTHENTIK_LDAP__CA_FILE is the better way.",
);
pub(crate) static LOG_LEVEL: Setting = official(
    "AUTHENTIK_LOG_LEVEL",
    "info",
    Kind::Level,
    "Log level at start. The log level in the outpost's configuration replaces it once that is read.",
);
pub(crate) static DEBUG: Setting = official(
    "AUTHENTIK_DEBUG",
    "false",
    Kind::Switch,
    "Log as text instead of JSON.",
);
pub(crate) static LISTEN_LDAP: Setting = official(
    "AUTHENTIK_LISTEN__LDAP",
    "[::]:3389",
    Kind::Listen,
    "Where to listen for LDAP with StartTLS: a comma-separated list. [::] also takes IPv4.",
);
pub(crate) static LISTEN_LDAPS: Setting = official(
    "AUTHENTIK_LISTEN__LDAPS",
    "[::]:6636",
    Kind::Listen,
    "Where to listen for LDAPS: a comma-separated list.",
);
pub(crate) static LISTEN_METRICS: Setting = official(
    "AUTHENTIK_LISTEN__METRICS",
    "[::]:9300",
    Kind::Listen,
    "Where to serve metrics, health and readiness over HTTP: a comma-separated list.",
);
pub(crate) static TRUSTED_PROXIES: Setting = official(
    "AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS",
    "127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fe80::/10,::1/128",
    Kind::Networks,
    "Networks whose PROXY protocol headers are believed on the LDAP ports. `none` believes nobody. Set it to the addresses of your load balancer: by the default any host in a private network can invent client addresses, so there the failed-bind limit also counts for the host itself, ten times as high.",
);
pub(crate) static BUILD_HASH: Setting = official(
    "GIT_BUILD_HASH",
    "",
    Kind::Text,
    "Build hash reported to authentik and in the metrics.",
);
pub(crate) static TEMPORARY_DIRECTORY: Setting = official(
    "TMPDIR",
    "/tmp",
    Kind::Path,
    "Directory of the socket `authentik-metrics.sock`, which the health check asks. /dev/shm in the image.",
);
pub(crate) static HTTP_PROXY: Setting = official(
    "HTTP_PROXY",
    "",
    Kind::Proxy,
    "Proxy for an http:// URL in AUTHENTIK_HOST; also `http_proxy`. It can read the outpost's token and people's passwords.",
);
pub(crate) static HTTPS_PROXY: Setting = official(
    "HTTPS_PROXY",
    "",
    Kind::Proxy,
    "Proxy for an https:// URL in AUTHENTIK_HOST, which it forwards unread (CONNECT); also `https_proxy`.",
);
pub(crate) static NO_PROXY: Setting = official(
    "NO_PROXY",
    "",
    Kind::Text,
    "Hosts that are called without a proxy: a comma-separated list of names (with what is below them), addresses, networks \
     or `*`; also `no_proxy`. localhost and loopback addresses never have one.",
);

pub(crate) static PAGE_SIZE: Setting = own(
    "AUTHENTIK_LDAP__PAGE_SIZE",
    "page-size",
    "100",
    Kind::Count { min: 1, max: 10_000 },
    "Users or groups asked of authentik in one request. authentik lowers it to its own maximum, 100 unless changed there.",
);
pub(crate) static CA_FILE: Setting = own(
    "AUTHENTIK_LDAP__CA_FILE",
    "ca-file",
    "",
    Kind::Path,
    "PEM file of further certificate authorities to trust for authentik's certificate, beside those of the system.",
);
pub(crate) static REQUEST_TIMEOUT: Setting = own(
    "AUTHENTIK_LDAP__REQUEST_TIMEOUT",
    "request-timeout",
    "60s",
    Kind::Duration {
        min: 1,
        max: 600,
        off: false,
    },
    "How long one request to authentik may take. authentik itself cuts an answer off after 60 seconds.",
);
pub(crate) static CONNECT_TIMEOUT: Setting = own(
    "AUTHENTIK_LDAP__CONNECT_TIMEOUT",
    "connect-timeout",
    "5s",
    Kind::Duration {
        min: 1,
        max: 600,
        off: false,
    },
    "How long connecting to authentik may take, the TLS handshake included.",
);
pub(crate) static MAX_MESSAGE_SIZE: Setting = own(
    "AUTHENTIK_LDAP__MAX_MESSAGE_SIZE",
    "max-message-size",
    "1MiB",
    Kind::Size {
        min: 1 << 10,
        max: LARGEST_MESSAGE,
    },
    "Largest LDAP message of a bound client. Some directory clients put thousands of names into one filter.",
);
pub(crate) static MAX_MESSAGE_SIZE_UNBOUND: Setting = own(
    "AUTHENTIK_LDAP__MAX_MESSAGE_SIZE_UNBOUND",
    "max-message-size-unbound",
    "64KiB",
    Kind::Size {
        min: 1 << 10,
        max: LARGEST_MESSAGE,
    },
    "Largest LDAP message before a successful bind, when anybody may be talking.",
);
pub(crate) static MAX_CONNECTIONS: Setting = own(
    "AUTHENTIK_LDAP__MAX_CONNECTIONS",
    "max-connections",
    "16384",
    Kind::Count {
        min: 1,
        max: 1_000_000,
    },
    "Open client connections, LDAP and LDAPS together. Further ones wait until one closes. The limit of open files lowers it.",
);
pub(crate) static MAX_CONNECTIONS_PER_ADDRESS: Setting = own(
    "AUTHENTIK_LDAP__MAX_CONNECTIONS_PER_ADDRESS",
    "max-connections-per-address",
    "4096",
    Kind::Count {
        min: 0,
        max: 1_000_000,
    },
    "Open connections of one client address (IPv6: a /64), the real one behind a PROXY protocol header. Further ones are refused. 0 is no limit.",
);
pub(crate) static IDLE_TIMEOUT: Setting = own(
    "AUTHENTIK_LDAP__IDLE_TIMEOUT",
    "idle-timeout",
    "15m",
    Kind::Duration {
        min: 1,
        max: YEAR,
        off: true,
    },
    "A connection without requests for so long is closed with a notice. 15 minutes is what connection pools expect; 0 is never.",
);
pub(crate) static MESSAGE_TIMEOUT: Setting = own(
    "AUTHENTIK_LDAP__MESSAGE_TIMEOUT",
    "message-timeout",
    "30s",
    Kind::Duration {
        min: 1,
        max: 3_600,
        off: false,
    },
    "How long a client may take to send one message, from its first octet to its last; each 8 KiB that arrived give a second more. Before a bind at most the handshake time-out counts.",
);
pub(crate) static WRITE_TIMEOUT: Setting = own(
    "AUTHENTIK_LDAP__WRITE_TIMEOUT",
    "write-timeout",
    "30s",
    Kind::Duration {
        min: 1,
        max: 3_600,
        off: false,
    },
    "A client that reads nothing of its answer for so long is disconnected.",
);
pub(crate) static HANDSHAKE_TIMEOUT: Setting = own(
    "AUTHENTIK_LDAP__HANDSHAKE_TIMEOUT",
    "handshake-timeout",
    "10s",
    Kind::Duration {
        min: 1,
        max: 600,
        off: false,
    },
    "How long a TLS handshake may take, the PROXY protocol header before it included, and the message of an unbound client.",
);
pub(crate) static SHUTDOWN_TIMEOUT: Setting = own(
    "AUTHENTIK_LDAP__SHUTDOWN_TIMEOUT",
    "shutdown-timeout",
    "8s",
    Kind::Duration {
        min: 1,
        max: 3_600,
        off: true,
    },
    "How long running operations may take to end at shutdown. Below the 10 seconds after which Docker kills; 0 is at once.",
);
pub(crate) static SEARCH_TIME_LIMIT: Setting = own(
    "AUTHENTIK_LDAP__SEARCH_TIME_LIMIT",
    "search-time-limit",
    "30s",
    Kind::Duration {
        min: 1,
        max: 3_600,
        off: true,
    },
    "How long a processor works on one search of an account that may search everything, before it is answered timeLimitExceeded (3). Waiting for the client or for a processor does not count, and each entry returned gives 0.1 ms more. 0 is no limit.",
);
pub(crate) static SEARCH_TIME_LIMIT_OWN: Setting = own(
    "AUTHENTIK_LDAP__SEARCH_TIME_LIMIT_OWN",
    "search-time-limit-own",
    "10s",
    Kind::Duration {
        min: 1,
        max: 3_600,
        off: true,
    },
    "The same for accounts that see only themselves and their groups.",
);
pub(crate) static SEARCH_TIME_LIMIT_ANONYMOUS: Setting = own(
    "AUTHENTIK_LDAP__SEARCH_TIME_LIMIT_ANONYMOUS",
    "search-time-limit-anonymous",
    "5s",
    Kind::Duration {
        min: 1,
        max: 3_600,
        off: true,
    },
    "The same without a bind, for the rootDSE and the subschema.",
);
pub(crate) static SEARCH_WORK_LIMIT: Setting = own(
    "AUTHENTIK_LDAP__SEARCH_WORK_LIMIT",
    "search-work-limit",
    "200000000",
    Kind::Count {
        min: 1_000,
        max: 1_000_000_000_000,
    },
    "Comparisons of one search of an account that may search everything, before it is answered adminLimitExceeded (11): an assertion held against an entry is one, and one more for each 32 octets of its values. 128 for each entry returned are free, so that listings never meet it. Some seconds of work.",
);
pub(crate) static SEARCH_WORK_LIMIT_OWN: Setting = own(
    "AUTHENTIK_LDAP__SEARCH_WORK_LIMIT_OWN",
    "search-work-limit-own",
    "10000000",
    Kind::Count {
        min: 1_000,
        max: 1_000_000_000_000,
    },
    "The same for accounts that see only themselves and their groups.",
);
pub(crate) static SEARCH_WORK_LIMIT_ANONYMOUS: Setting = own(
    "AUTHENTIK_LDAP__SEARCH_WORK_LIMIT_ANONYMOUS",
    "search-work-limit-anonymous",
    "250000",
    Kind::Count {
        min: 1_000,
        max: 1_000_000_000_000,
    },
    "The same without a bind, for the rootDSE and the subschema. Some milliseconds of work.",
);
pub(crate) static SEARCH_MEMORY_LIMIT: Setting = own(
    "AUTHENTIK_LDAP__SEARCH_MEMORY_LIMIT",
    "search-memory-limit",
    "256MiB",
    Kind::Size {
        min: 64 << 10,
        max: LARGEST_MEMORY,
    },
    "Memory of one search of an account that may search everything (its filter, what it sorts, what the dereference control adds to one entry), before it is answered adminLimitExceeded (11).",
);
pub(crate) static SEARCH_MEMORY_LIMIT_OWN: Setting = own(
    "AUTHENTIK_LDAP__SEARCH_MEMORY_LIMIT_OWN",
    "search-memory-limit-own",
    "32MiB",
    Kind::Size {
        min: 64 << 10,
        max: LARGEST_MEMORY,
    },
    "The same for accounts that see only themselves and their groups.",
);
pub(crate) static SEARCH_MEMORY_LIMIT_ANONYMOUS: Setting = own(
    "AUTHENTIK_LDAP__SEARCH_MEMORY_LIMIT_ANONYMOUS",
    "search-memory-limit-anonymous",
    "4MiB",
    Kind::Size {
        min: 64 << 10,
        max: LARGEST_MEMORY,
    },
    "The same without a bind, for the rootDSE and the subschema.",
);
pub(crate) static CLIENT_MEMORY_LIMIT: Setting = own(
    "AUTHENTIK_LDAP__CLIENT_MEMORY_LIMIT",
    "client-memory-limit",
    "",
    Kind::Size {
        min: 1 << 20,
        max: LARGEST_MEMORY,
    },
    "Memory that all clients together may make the server hold: what they sent by half, answers they do not read, running searches. Beyond it, whoever holds most is disconnected; unbound clients have a quarter of it. Unset: a quarter of the memory that the control group (cgroup v2 or v1), or else the machine, gives the process, from 16MiB to 1024MiB.",
);
pub(crate) static MAX_CONCURRENT_FLOWS: Setting = own(
    "AUTHENTIK_LDAP__MAX_CONCURRENT_FLOWS",
    "max-concurrent-flows",
    "8",
    Kind::Count { min: 1, max: 10_000 },
    "Logins run at the same time in authentik, which has two workers by default. Further ones wait in a queue.",
);
pub(crate) static FLOW_QUEUE_LIMIT: Setting = own(
    "AUTHENTIK_LDAP__FLOW_QUEUE_LIMIT",
    "flow-queue-limit",
    "1024",
    Kind::Count {
        min: 0,
        max: 1_000_000,
    },
    "Logins that may wait for their turn. Further ones are answered busy (51).",
);
pub(crate) static FLOW_QUEUE_TIMEOUT: Setting = own(
    "AUTHENTIK_LDAP__FLOW_QUEUE_TIMEOUT",
    "flow-queue-timeout",
    "10s",
    Kind::Duration {
        min: 1,
        max: 600,
        off: false,
    },
    "How long a login may wait for its turn before it is answered busy (51).",
);
pub(crate) static BIND_TIMEOUT: Setting = own(
    "AUTHENTIK_LDAP__BIND_TIMEOUT",
    "bind-timeout",
    "30s",
    Kind::Duration {
        min: 1,
        max: 600,
        off: false,
    },
    "How long authentik may take to judge a login before it is answered unavailable (52). Waiting for a turn and for a Duo push comes on top.",
);
pub(crate) static FAILED_BIND_LIMIT: Setting = own(
    "AUTHENTIK_LDAP__FAILED_BIND_LIMIT",
    "failed-bind-limit",
    "20",
    Kind::Count { min: 0, max: 100 },
    "Different wrong passwords for one person from one address (IPv6: a /64) after which such binds are answered busy (51) for a while, unless they are cached. A password that is repeated counts once; user name, e-mail address and UUID are one person; nobody else and no other address is affected. 0 is no limit.",
);
pub(crate) static FAILED_BIND_WINDOW: Setting = own(
    "AUTHENTIK_LDAP__FAILED_BIND_WINDOW",
    "failed-bind-window",
    "5m",
    Kind::Duration {
        min: 1,
        max: 86_400,
        off: false,
    },
    "The time in which wrong passwords are counted for that limit.",
);
pub(crate) static BIND_CACHE_MAX_AGE: Setting = own(
    "AUTHENTIK_LDAP__BIND_CACHE_MAX_AGE",
    "bind-cache-max-age",
    "1h",
    Kind::Duration {
        min: 1,
        max: YEAR,
        off: false,
    },
    "Longest life of a cached bind, for providers in cached bind mode. The session's own end comes first if it is earlier.",
);
pub(crate) static BIND_CACHE_CODE_MAX_AGE: Setting = own(
    "AUTHENTIK_LDAP__BIND_CACHE_CODE_MAX_AGE",
    "bind-cache-code-max-age",
    "",
    Kind::Duration {
        min: 1,
        max: YEAR,
        off: true,
    },
    "Longest life of a cached bind that took a one-time code. Unset: that of any cached bind, so that clients that bind again and again with the same `password;code` go on; 0: it is not cached.",
);
pub(crate) static BIND_CACHE_CODE_SAME_ADDRESS: Setting = own(
    "AUTHENTIK_LDAP__BIND_CACHE_CODE_SAME_ADDRESS",
    "bind-cache-code-same-address",
    "true",
    Kind::Switch,
    "A cached bind that took a one-time code counts only for the client address that gave it. Turn it off if one client comes from several addresses: a pool of application servers, a NAT with several, IPv6 privacy addresses.",
);
pub(crate) static USERS_UNREAD_LIMIT: Setting = own(
    "AUTHENTIK_LDAP__USERS_UNREAD_LIMIT",
    "users-unread-limit",
    "5m",
    Kind::Duration {
        min: 1,
        max: 86_400,
        off: false,
    },
    "While authentik's users cannot be read for so long beyond the next look that is due, logins work all the same: changed passwords would go unseen, so equal binds are no longer answered from the cache unasked.",
);
pub(crate) static BIND_CACHE_OUTAGE_GRACE: Setting = own(
    "AUTHENTIK_LDAP__BIND_CACHE_OUTAGE_GRACE",
    "bind-cache-outage-grace",
    "0",
    Kind::Duration {
        min: 1,
        max: 7 * 86_400,
        off: true,
    },
    "How long a cached bind may outlive that age while authentik cannot be reached. Never beyond its session's own end or a change known before, and only until authentik answers again.",
);
pub(crate) static BIND_NEGATIVE_WINDOW: Setting = own(
    "AUTHENTIK_LDAP__BIND_NEGATIVE_WINDOW",
    "bind-negative-window",
    "10s",
    Kind::Duration {
        min: 1,
        max: 3_600,
        off: true,
    },
    "How long the same wrong secret for the same DN is refused without asking authentik again.",
);
pub(crate) static ACCESS_RECHECK_INTERVAL: Setting = own(
    "AUTHENTIK_LDAP__ACCESS_RECHECK_INTERVAL",
    "access-recheck-interval",
    "5m",
    Kind::Duration {
        min: 1,
        max: YEAR,
        off: true,
    },
    "How often the session, application access and search permission of a login in use are asked about again, and after how long a cached bind is asked about before it is used.",
);
pub(crate) static ACCESS_RECHECK_RATE: Setting = own(
    "AUTHENTIK_LDAP__ACCESS_RECHECK_RATE",
    "access-recheck-rate",
    "10",
    Kind::Count { min: 1, max: 1000 },
    "Logins in use asked about again in a second at most, one request each. With more logins than this times the interval, the checks take longer than the interval: 20,000 logins at 10 a second some 35 minutes.",
);
pub(crate) static MFA_SECOND_TRY: Setting = own(
    "AUTHENTIK_LDAP__MFA_SECOND_TRY",
    "mfa-second-try",
    "true",
    Kind::Switch,
    "With authentik before 2026.5.4 and a provider with MFA support, `password;code` whose password is refused is tried once \
     more as a whole, for a password may end in what looks like a code. A wrong password then counts twice in authentik.",
);
pub(crate) static STRICT_BIND_DN: Setting = own(
    "AUTHENTIK_LDAP__STRICT_BIND_DN",
    "strict-bind-dn",
    "false",
    Kind::Switch,
    "Accept only `cn=name,ou=users,<base>` as bind DN. Otherwise any DN below the base with a `cn` logs in.",
);
pub(crate) static ACCEPT_BARE_NAMES: Setting = own(
    "AUTHENTIK_LDAP__ACCEPT_BARE_NAMES",
    "accept-bare-names",
    "true",
    Kind::Switch,
    "Accept bind names that are no DNs, as Active Directory does and as Outlook, printers and many forms send them: `name`, \
     `name@domain` and `DOMAIN\\name`. The name is what stands behind the backslash, and before an `@` whose domain is that \
     of the base DN (`dc=example,dc=com`: `example.com`); any other `@` is part of it. Only with exactly one provider; off \
     with `AUTHENTIK_LDAP__STRICT_BIND_DN`.",
);
pub(crate) static REFRESH_DELTA_INTERVAL: Setting = own(
    "AUTHENTIK_LDAP__REFRESH_DELTA_INTERVAL",
    "refresh-delta-interval",
    "30s",
    Kind::Duration {
        min: 1,
        max: 86_400,
        off: true,
    },
    "Look for changes in the directory so often, if the outpost's configuration asks for fewer refreshes. A password changed in authentik voids cached binds with the next look, so after this time and that of the look. 0: only as often as the configuration says.",
);
pub(crate) static REFRESH_FULL_EVERY: Setting = own(
    "AUTHENTIK_LDAP__REFRESH_FULL_EVERY",
    "refresh-full-every",
    "12",
    Kind::Count { min: 1, max: 10_000 },
    "Read the whole directory at every so many refreshes, and between them only what changed. 1 reads it at each.",
);
pub(crate) static SNAPSHOT_FILE: Setting = own(
    "AUTHENTIK_LDAP__SNAPSHOT_FILE",
    "snapshot-file",
    "",
    Kind::Path,
    "Keep the directory in this file too, encrypted with a key made of the token, and serve it after a restart until authentik's lists can be read again. One file for each process; unset: none.",
);
pub(crate) static SERVE_ATTRIBUTES: Setting = own(
    "AUTHENTIK_LDAP__SERVE_ATTRIBUTES",
    "serve-attributes",
    "",
    Kind::PasswordAttributes,
    "Custom attributes that hold passwords or keys (`userPassword`, `sambaNTPassword`, …) and are to be served all the same, as FreeRADIUS with MS-CHAP needs. Whoever may search sees them.",
);
pub(crate) static LEGAL_ATTRIBUTE_NAMES: Setting = own(
    "AUTHENTIK_LDAP__LEGAL_ATTRIBUTE_NAMES",
    "legal-attribute-names",
    "false",
    Kind::Switch,
    "Serve custom attributes whose names RFC 4512 does not allow (`with space`, `straße`, `a;binary`) under legal ones (`with-space`, `stra-e`, `a-binary`). Both spellings are understood either way.",
);
pub(crate) static REQUIRE_TLS: Setting = own(
    "AUTHENTIK_LDAP__REQUIRE_TLS",
    "require-tls",
    "false",
    Kind::Switch,
    "Refuse binds on the plain port before StartTLS with confidentialityRequired (13).",
);
pub(crate) static TLS_MIN_VERSION: Setting = own(
    "AUTHENTIK_LDAP__TLS_MIN_VERSION",
    "tls-min-version",
    "1.2",
    Kind::TlsVersion,
    "Oldest version of TLS for LDAPS and StartTLS. Printers and storage systems in use often know no newer one than 1.2.",
);
pub(crate) static TLS_CIPHER_SUITES: Setting = own(
    "AUTHENTIK_LDAP__TLS_CIPHER_SUITES",
    "tls-cipher-suites",
    "",
    Kind::CipherSuites,
    "The cipher suites to offer, by their IANA or OpenSSL names. Unset: all that are known, none of which is weak.",
);
pub(crate) static TLS_CERTIFICATE_FILE: Setting = own(
    "AUTHENTIK_LDAP__TLS_CERTIFICATE_FILE",
    "tls-certificate-file",
    "",
    Kind::Path,
    "PEM file of the certificate chain to serve instead of the providers' certificates. Needs the key file too. Both are looked at every ten seconds and read anew when they change.",
);
pub(crate) static TLS_KEY_FILE: Setting = own(
    "AUTHENTIK_LDAP__TLS_KEY_FILE",
    "tls-key-file",
    "",
    Kind::Path,
    "PEM file of the private key of that certificate.",
);
pub(crate) static LOG_FORMAT: Setting = own(
    "AUTHENTIK_LDAP__LOG_FORMAT",
    "log-format",
    "",
    Kind::Format,
    "`json` or `text`. Unset: JSON, or text when AUTHENTIK_DEBUG is true.",
);

pub(crate) static AUDIT_SEARCHES: Setting = own(
    "AUTHENTIK_LDAP__AUDIT_SEARCHES",
    "audit-searches",
    "false",
    Kind::Switch,
    "Write an audit record for each search: who, what, how many entries. Logins, refusals and revocations always have one.",
);

/// The variables authentik's own LDAP outpost reads, as far as they mean something here.
pub static OFFICIAL: &[&Setting] = &[
    &HOST,
    &TOKEN,
    &INSECURE,
    &LOG_LEVEL,
    &DEBUG,
    &LISTEN_LDAP,
    &LISTEN_LDAPS,
    &LISTEN_METRICS,
    &TRUSTED_PROXIES,
    &BUILD_HASH,
    &TEMPORARY_DIRECTORY,
    &HTTP_PROXY,
    &HTTPS_PROXY,
    &NO_PROXY,
];

/// The options under `AUTHENTIK_LDAP__`, each also a flag.
pub static OPTIONS: &[&Setting] = &[
    &PAGE_SIZE,
    &CA_FILE,
    &REQUEST_TIMEOUT,
    &CONNECT_TIMEOUT,
    &MAX_MESSAGE_SIZE,
    &MAX_MESSAGE_SIZE_UNBOUND,
    &MAX_CONNECTIONS,
    &MAX_CONNECTIONS_PER_ADDRESS,
    &IDLE_TIMEOUT,
    &MESSAGE_TIMEOUT,
    &WRITE_TIMEOUT,
    &HANDSHAKE_TIMEOUT,
    &SHUTDOWN_TIMEOUT,
    &SEARCH_TIME_LIMIT,
    &SEARCH_TIME_LIMIT_OWN,
    &SEARCH_TIME_LIMIT_ANONYMOUS,
    &SEARCH_WORK_LIMIT,
    &SEARCH_WORK_LIMIT_OWN,
    &SEARCH_WORK_LIMIT_ANONYMOUS,
    &SEARCH_MEMORY_LIMIT,
    &SEARCH_MEMORY_LIMIT_OWN,
    &SEARCH_MEMORY_LIMIT_ANONYMOUS,
    &CLIENT_MEMORY_LIMIT,
    &MAX_CONCURRENT_FLOWS,
    &FLOW_QUEUE_LIMIT,
    &FLOW_QUEUE_TIMEOUT,
    &BIND_TIMEOUT,
    &FAILED_BIND_LIMIT,
    &FAILED_BIND_WINDOW,
    &BIND_CACHE_MAX_AGE,
    &BIND_CACHE_CODE_MAX_AGE,
    &BIND_CACHE_CODE_SAME_ADDRESS,
    &BIND_CACHE_OUTAGE_GRACE,
    &USERS_UNREAD_LIMIT,
    &BIND_NEGATIVE_WINDOW,
    &ACCESS_RECHECK_INTERVAL,
    &ACCESS_RECHECK_RATE,
    &MFA_SECOND_TRY,
    &STRICT_BIND_DN,
    &ACCEPT_BARE_NAMES,
    &REFRESH_DELTA_INTERVAL,
    &SNAPSHOT_FILE,
    &SERVE_ATTRIBUTES,
    &LEGAL_ATTRIBUTE_NAMES,
    &REFRESH_FULL_EVERY,
    &REQUIRE_TLS,
    &TLS_MIN_VERSION,
    &TLS_CIPHER_SUITES,
    &TLS_CERTIFICATE_FILE,
    &TLS_KEY_FILE,
    &LOG_FORMAT,
    &AUDIT_SEARCHES,
];

/// Official variables that are accepted and have no effect here, with the reason.
pub static TOLERATED: &[(&str, &str)] = &[
    (
        "AUTHENTIK_HOST_BROWSER",
        "set by authentik's deployments; no browser is involved",
    ),
    ("AUTHENTIK_LISTEN__DEBUG", "there is no profiling endpoint"),
    (
        "AUTHENTIK_ERROR_REPORTING__*",
        "errors are logged, not sent anywhere",
    ),
    ("AUTHENTIK_PYROSCOPE_HOST", "there is no profiling endpoint"),
    (
        "AUTHENTIK_ENV, WORKSPACE_DIR",
        "they choose configuration files, which are not read",
    ),
];

/// The prefix of our own options.
pub(crate) const OPTION_PREFIX: &str = "AUTHENTIK_LDAP__";
