//! What the server itself is told at start: where to listen, TLS, limits. Made once, from the whole configuration;
//! must not know what the outpost is told.

use std::path::PathBuf;

use crate::config::{Config, LimitConfig, ListenConfig, SearchLogConfig, StatusConfig, TlsConfig};

/// The server's part of the configuration.
#[derive(Debug)]
pub(super) struct ServerConfig {
    /// Where to listen, and whose PROXY headers are trusted.
    pub(super) listen: ListenConfig,
    /// The status page.
    pub(super) status: StatusConfig,
    /// TLS on the LDAP ports.
    pub(super) tls: TlsConfig,
    /// What one client may cost.
    pub(super) limits: LimitConfig,
    /// Which searches are logged at info.
    pub(super) search_log: SearchLogConfig,
    /// Whether searches have audit records too.
    pub(super) audit_searches: bool,
    /// The unix socket for health and metrics.
    pub(super) metrics_socket: PathBuf,
}

impl From<&Config> for ServerConfig {
    fn from(config: &Config) -> Self {
        Self {
            listen: config.listen.clone(),
            status: config.status.clone(),
            tls: config.tls.clone(),
            limits: config.limits.clone(),
            search_log: config.search_log,
            audit_searches: config.audit_searches,
            metrics_socket: config.metrics_socket.clone(),
        }
    }
}

#[cfg(test)]
impl ServerConfig {
    /// That of a server that is told nothing but where authentik is.
    pub(super) fn of_defaults() -> Self {
        let required = [
            ("AUTHENTIK_HOST", "http://127.0.0.1:9"),
            ("AUTHENTIK_TOKEN", "token"),
        ];
        let config = Config::read(&required.into_iter().collect::<crate::config::StringMap>());
        Self::from(&config.expect("the rest has defaults"))
    }
}
