//! The table of every variable this server reads. The environment, the flags, `--help` and `docs/options.md` all come
//! from it, so they cannot disagree. Holds their order; each is defined in the module that reads it.

use super::{
    attributes, authentik, bind, direct_search, limits, listen, log, password_change, process, refresh,
    status, tls, traces,
};

pub use super::setting::AnySetting;

/// The variables authentik's own LDAP outpost reads, as far as they mean something here.
pub static OFFICIAL: &[&dyn AnySetting] = &[
    &authentik::HOST,
    &authentik::TOKEN,
    &authentik::INSECURE,
    &log::LOG_LEVEL,
    &log::DEBUG,
    &log::NO_COLOR,
    &listen::LISTEN_LDAP,
    &listen::LISTEN_LDAPS,
    &listen::LISTEN_METRICS,
    &listen::TRUSTED_PROXIES,
    &process::BUILD_HASH,
    &process::TEMPORARY_DIRECTORY,
    &authentik::HTTP_PROXY,
    &authentik::HTTPS_PROXY,
    &authentik::NO_PROXY,
    &traces::ENDPOINT,
    &traces::TRACES_ENDPOINT,
    &traces::HEADERS,
    &traces::CERTIFICATE,
    &traces::SERVICE_NAME,
    &traces::SAMPLER,
    &traces::SAMPLER_ARGUMENT,
    &traces::DISABLED,
];

/// The options under `AUTHENTIK_LDAP__`, each also a flag.
pub static OPTIONS: &[&dyn AnySetting] = &[
    &process::CONFIG_FILE,
    &authentik::PAGE_SIZE,
    &authentik::CA_FILE,
    &authentik::REQUEST_TIMEOUT,
    &authentik::CONNECT_TIMEOUT,
    &limits::MAX_MESSAGE_SIZE,
    &limits::MAX_MESSAGE_SIZE_UNBOUND,
    &limits::MAX_CONNECTIONS,
    &limits::MAX_CONNECTIONS_PER_ADDRESS,
    &limits::IDLE_TIMEOUT,
    &limits::MESSAGE_TIMEOUT,
    &limits::WRITE_TIMEOUT,
    &limits::HANDSHAKE_TIMEOUT,
    &limits::SHUTDOWN_TIMEOUT,
    &limits::SEARCH_TIME_LIMIT,
    &limits::SEARCH_TIME_LIMIT_OWN,
    &limits::SEARCH_TIME_LIMIT_ANONYMOUS,
    &limits::SEARCH_WORK_LIMIT,
    &limits::SEARCH_WORK_LIMIT_OWN,
    &limits::SEARCH_WORK_LIMIT_ANONYMOUS,
    &limits::SEARCH_MEMORY_LIMIT,
    &limits::SEARCH_MEMORY_LIMIT_OWN,
    &limits::SEARCH_MEMORY_LIMIT_ANONYMOUS,
    &limits::CLIENT_MEMORY_LIMIT,
    &bind::MAX_CONCURRENT_FLOWS,
    &bind::FLOW_QUEUE_LIMIT,
    &bind::FLOW_QUEUE_TIMEOUT,
    &bind::BIND_TIMEOUT,
    &bind::FAILED_BIND_LIMIT,
    &bind::FAILED_BIND_WINDOW,
    &bind::BIND_CACHE_MAX_AGE,
    &bind::BIND_CACHE_CODE_MAX_AGE,
    &bind::BIND_CACHE_CODE_SAME_ADDRESS,
    &bind::BIND_CACHE_OUTAGE_GRACE,
    &bind::USERS_UNREAD_LIMIT,
    &bind::BIND_NEGATIVE_WINDOW,
    &bind::ACCESS_RECHECK_INTERVAL,
    &bind::ACCESS_RECHECK_RATE,
    &bind::MFA_SECOND_TRY,
    &bind::STRICT_BIND_DN,
    &bind::ACCEPT_BARE_NAMES,
    &password_change::PASSWORD_CHANGE,
    &password_change::PASSWORD_AGENT_MIN_LENGTH,
    &refresh::REFRESH_DELTA_INTERVAL,
    &refresh::SNAPSHOT_FILE,
    &attributes::SERVE_ATTRIBUTES,
    &attributes::LEGAL_ATTRIBUTE_NAMES,
    &refresh::REFRESH_FULL_EVERY,
    &direct_search::DIRECT_SEARCH,
    &direct_search::DIRECT_SEARCH_MAX_AGE,
    &direct_search::DIRECT_SEARCH_PATIENCE,
    &tls::REQUIRE_TLS,
    &tls::TLS_MIN_VERSION,
    &tls::TLS_CIPHER_SUITES,
    &tls::TLS_CERTIFICATE_FILE,
    &tls::TLS_KEY_FILE,
    &status::STATUS_PAGE,
    &status::STATUS_NETWORKS,
    &log::LOG_FORMAT,
    &log::LOG_SEARCHES,
    &log::LOG_SEARCHES_ONE_IN,
    &log::AUDIT_SEARCHES,
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
pub(super) const OPTION_PREFIX: &str = "AUTHENTIK_LDAP__";
