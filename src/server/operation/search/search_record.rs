//! What is written of a search when it ends: an audit record (`docs/audit.md`), a line of the log, a span, or several of them. Made when the search
//! begins and only where one is asked for; written once.

use std::cell::Cell;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::clock;
use crate::logging::audit::{self, RequestId};
use akldap_ldap::message::{Scope, SearchRequest};
use akldap_ldap::response::ResultCode;

use crate::server::config::ServerConfig;
use crate::server::session::LdapSession;
use crate::traces;

/// A search that takes longer is logged whatever the sampling says. Most take microseconds.
const SLOW: Duration = Duration::from_secs(1);

/// What is written of a search.
pub(crate) struct SearchRecord {
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
    /// `None`: it did not come to its end.
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

impl SearchRecord {
    pub(super) fn of(
        session: &LdapSession,
        message_id: u32,
        request: &SearchRequest<'_>,
    ) -> Option<Box<Self>> {
        let config = &session.config;
        if !config.audit_searches && !config.search_log.enabled && !traces::is_on() {
            return None;
        }
        let names: Vec<_> = request
            .attributes
            .iter()
            .map(|name| String::from_utf8_lossy(name))
            .collect();
        Some(Box::new(Self {
            config: Arc::clone(config),
            request: session.request_id(message_id),
            client: session.client,
            bind_dn: session.bound_dn().into_owned(),
            base_dn: String::from_utf8_lossy(request.base_object).into_owned(),
            scope: request.scope,
            filter: request.filter.to_string(),
            attributes: names.join(" "),
            written: Cell::new(false),
        }))
    }

    /// Writes it, once. Without a code the search did not come to its end.
    pub(super) fn write(record: Option<&Self>, code: Option<ResultCode>, entries: u64, started: Instant) {
        let Some(record) = record.filter(|record| !record.written.replace(true)) else {
            return;
        };
        let end = SearchEnd {
            code,
            entries,
            took: clock::since(started),
        };
        traces::record(&traces::TracedRequest {
            operation: "search",
            id: record.request,
            client: record.client,
            code: end.code.map(|code| code as u8),
            entries: Some(end.entries),
            authentik: &[],
            took: end.took,
        });
        if record.config.audit_searches {
            record.audit(&end);
        }
        let log = &record.config.search_log;
        if log.enabled && (is_remarkable(&end) || is_chosen(&SEARCHES, log.one_in)) {
            record.log(&end);
        }
    }

    fn audit(&self, end: &SearchEnd) {
        tracing::info!(
            target: audit::TARGET,
            audit = "search",
            connection = self.request.connection,
            requestId = %self.request,
            client = %self.client,
            bindDN = self.bind_dn,
            baseDN = self.base_dn,
            scope = ?self.scope,
            filter = self.filter,
            attributes = self.attributes,
            code = end.code.map(|code| code as u8),
            entries = end.entries,
            "took-ms" = end.milliseconds(),
            "{}",
            end.text()
        );
    }

    fn log(&self, end: &SearchEnd) {
        tracing::info!(
            connection = self.request.connection,
            requestId = %self.request,
            client = %self.client,
            bindDN = self.bind_dn,
            baseDN = self.base_dn,
            scope = ?self.scope,
            filter = self.filter,
            attributes = self.attributes,
            code = end.code.map(|code| code as u8),
            entries = end.entries,
            "took-ms" = end.milliseconds(),
            "{}",
            end.text()
        );
    }
}

/// Searches that succeeded soon, in this process.
static SEARCHES: AtomicU32 = AtomicU32::new(0);

/// Whether a search is logged whatever the sampling says.
fn is_remarkable(end: &SearchEnd) -> bool {
    end.code != Some(ResultCode::Success) || end.took >= SLOW
}

/// Whether this one of those counted is the one in so many.
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
