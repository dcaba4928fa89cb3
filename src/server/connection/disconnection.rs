//! Why the server ends a connection before its client wants to: the words for the client, and those for the log.
//!
//! Must not know how a connection ends.

use crate::clock;
use crate::logging::audit;
use crate::outpost::access::Ending;
use akldap_ldap::response::{LdapResult, ResultCode};

use super::super::client_table::Dismissal;
use super::super::log_limit::{LogLimit, Topic};
use super::super::session::LdapSession;

/// At the end of the process.
pub(super) fn shutting_down() -> LdapResult {
    LdapResult::new(ResultCode::Unavailable, "the server is shutting down")
}

/// For a client that asks nothing.
pub(super) fn idle() -> LdapResult {
    LdapResult::new(ResultCode::Unavailable, "the connection was idle for too long")
}

/// For a client that does not bind while permits are short.
pub(super) fn unbound() -> LdapResult {
    let text = "idle or unbound for too long while the server is short of connections: bind, or connect \
         again";
    LdapResult::new(ResultCode::Unavailable, text)
}

/// For a client whose message is not completed.
pub(super) fn slow(session: &LdapSession, log_limit: &LogLimit) -> LdapResult {
    let LdapSession {
        client, connection, ..
    } = *session;
    if log_limit.is_news(client, Topic::Slow, clock::now()) {
        tracing::info!(connection, %client, "a message did not arrive in time; the connection is closed");
    }
    LdapResult::new(ResultCode::Unavailable, "the message did not arrive in time")
}

/// For a client whose login was withdrawn.
pub(super) fn revoked(session: &LdapSession, ending: &Ending) -> LdapResult {
    tracing::info!(
        target: audit::TARGET,
        audit = "revocation",
        connection = session.connection,
        client = %session.client,
        bindDN = &*session.bound_dn(),
        cause = %ending,
        "the connection of a withdrawn login is closed"
    );
    LdapResult::new(ResultCode::Unavailable, ending.to_string())
}

/// For a client that has to go so that others have permits or memory.
pub(super) fn dismissed(
    dismissal: Dismissal,
    searches: usize,
    session: &LdapSession,
    log_limit: &LogLimit,
) -> LdapResult {
    let LdapSession {
        client, connection, ..
    } = *session;
    let is_news = |topic| log_limit.is_news(client, topic, clock::now());
    let text = match dismissal {
        Dismissal::Unbound => {
            if is_news(Topic::Unbound) {
                tracing::warn!(
                    connection,
                    %client,
                    "an unbound connection was closed because the server is short of connections \
                     (AUTHENTIK_LDAP__MAX_CONNECTIONS, --max-connections)"
                );
            }
            "the server is short of connections, and this one has not bound: connect again, and bind at \
             once"
                .to_owned()
        }
        Dismissal::Memory { held } => {
            if is_news(Topic::Memory) {
                tracing::warn!(
                    connection,
                    %client,
                    bind_dn = &*session.bound_dn(),
                    held,
                    searches,
                    "a connection was closed because clients hold too much memory: its address holds the \
                     most, and of that address's connections it holds the most \
                     (AUTHENTIK_LDAP__CLIENT_MEMORY_LIMIT, \
                     --client-memory-limit)"
                );
            }
            format!("the server is short of memory, and this connection holds {held} octets of it")
        }
    };
    LdapResult::new(ResultCode::Busy, text)
}
