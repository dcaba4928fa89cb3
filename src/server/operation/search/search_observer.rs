//! What is written about a search when it ends: an audit record (`docs/audit.md`), a line of the log, a span, or several of them. Made when the
//! search begins and only if one is wanted; written once.

use std::cell::Cell;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::clock;
use crate::logging::audit::{self, RequestId};
use akldap_directory::password_attributes;
use akldap_ldap::message::{Scope, SearchRequest};
use akldap_ldap::response::ResultCode;

use crate::server::config::ServerConfig;
use crate::server::session::LdapSession;
use crate::traces;

/// A search that takes longer is logged whatever the sampling says. Most take microseconds.
const SLOW: Duration = Duration::from_secs(1);

/// What is written about a search.
pub(crate) struct SearchObserver {
    config: Arc<ServerConfig>,
    request: RequestId,
    client: IpAddr,
    bind_dn: String,
    base_dn: String,
    scope: Scope,
    filter: String,
    attributes: String,
    written: Cell<bool>,
}

/// How a search ended.
struct SearchEnd {
    /// `None`: it did not finish.
    code: Option<ResultCode>,
    entries: u64,
    took: Duration,
}

impl SearchEnd {
    fn text(&self) -> &'static str {
        if self.code.is_some() {
            "search"
        } else {
            "search not finished"
        }
    }

    fn milliseconds(&self) -> f64 {
        self.took.as_secs_f64() * 1000.0
    }
}

/// Writes a line with what begins it, and the same of every search.
macro_rules! write_search {
    ($observer:expr, $end:expr, $($beginning:tt)*) => {
        tracing::info!(
            $($beginning)*
            connection = $observer.request.connection,
            requestId = %$observer.request,
            client = %$observer.client,
            bindDN = $observer.bind_dn,
            baseDN = $observer.base_dn,
            scope = ?$observer.scope,
            filter = $observer.filter,
            attributes = $observer.attributes,
            code = $end.code.map(|code| code as u8),
            entries = $end.entries,
            "took-ms" = $end.milliseconds(),
            "{}",
            $end.text()
        )
    };
}

impl SearchObserver {
    pub(super) fn of(
        session: &LdapSession,
        message_id: u32,
        request: &SearchRequest<'_>,
    ) -> Option<Box<Self>> {
        let config = &session.config;
        if !config.audit_searches && !config.search_log.enabled && !traces::is_on() {
            return None;
        }
        Some(Box::new(Self {
            config: Arc::clone(config),
            request: session.request_id(message_id),
            client: session.client,
            bind_dn: session.bound_dn().into_owned(),
            base_dn: String::from_utf8_lossy(request.base_object).into_owned(),
            scope: request.scope,
            filter: filter_shown(request).to_string(),
            attributes: attributes_shown(request),
            written: Cell::new(false),
        }))
    }

    /// Writes it, once. Without a code the search did not finish.
    pub(super) fn write(observer: Option<&Self>, code: Option<ResultCode>, entries: u64, started: Instant) {
        let Some(observer) = observer.filter(|observer| !observer.written.replace(true)) else {
            return;
        };
        let end = SearchEnd {
            code,
            entries,
            took: clock::since(started),
        };
        traces::record(&traces::TracedRequest {
            operation: "search",
            id: observer.request,
            client: observer.client,
            code: end.code.map(|code| code as u8),
            entries: Some(end.entries),
            authentik: &[],
            took: end.took,
        });
        if observer.config.audit_searches {
            write_search!(observer, end, target: audit::TARGET, audit = "search",);
        }
        let log = &observer.config.search_log;
        if log.enabled && (is_remarkable(&end) || is_chosen(&SEARCHES, log.one_in)) {
            write_search!(observer, end,);
        }
    }
}

/// The filter as logs and records show it: a client that compares passwords sends them in plain text.
pub(super) fn filter_shown(request: &SearchRequest<'_>) -> impl std::fmt::Display {
    request.filter.without_values_of(holds_password)
}

/// The attributes that were asked for, as logs and records show them.
pub(super) fn attributes_shown(request: &SearchRequest<'_>) -> String {
    let names = request
        .attributes
        .iter()
        .map(|name| String::from_utf8_lossy(name));
    names.collect::<Vec<_>>().join(" ")
}

/// Whether an attribute description (RFC 4512 section 2.5) is of one that holds passwords.
fn holds_password(description: &[u8]) -> bool {
    let mut parts = description.split(|octet| *octet == b';');
    let name = parts.next().unwrap_or_default();
    password_attributes::index_of(name).is_some() || name == USER_PASSWORD
}

/// `userPassword` by its number (RFC 4519 section 2.41).
const USER_PASSWORD: &[u8] = b"2.5.4.35";

/// Searches that succeeded soon, in this process.
static SEARCHES: AtomicU32 = AtomicU32::new(0);

/// Whether a search is logged whatever the sampling says.
fn is_remarkable(end: &SearchEnd) -> bool {
    end.code != Some(ResultCode::Success) || end.took >= SLOW
}

/// Whether this one of those counted is the one in this many.
fn is_chosen(counted: &AtomicU32, one_in: u32) -> bool {
    counted.fetch_add(1, Ordering::Relaxed).checked_rem(one_in) == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_so_many_is_chosen() {
        let chosen = |one_in| {
            let counted = AtomicU32::new(0);
            (0..100).filter(|_| is_chosen(&counted, one_in)).count()
        };
        assert_eq!((chosen(1), chosen(10), chosen(30)), (100, 10, 4));
    }

    #[test]
    fn attributes_that_hold_passwords_are_known_by_every_spelling() {
        for name in [
            "userPassword",
            "USERPASSWORD",
            "userPassword;x-a",
            "2.5.4.35",
            "unicodePwd",
        ] {
            assert!(holds_password(name.as_bytes()), "{name}");
        }
        for name in ["", "cn", "userPasswordHint", "2.5.4.3"] {
            assert!(!holds_password(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn failures_and_slow_searches_are_always_logged() {
        let end = |code, took| SearchEnd {
            code,
            entries: 0,
            took,
        };
        assert!(!is_remarkable(&end(Some(ResultCode::Success), Duration::ZERO)));
        assert!(is_remarkable(&end(Some(ResultCode::Success), SLOW)));
        assert!(is_remarkable(&end(
            Some(ResultCode::NoSuchObject),
            Duration::ZERO
        )));
        assert!(is_remarkable(&end(None, Duration::ZERO)));
    }
}
