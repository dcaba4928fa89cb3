//! The audit record of a search (`docs/audit.md`): made when it begins and only where searches are recorded, written once.

use std::cell::Cell;
use std::net::IpAddr;
use std::time::Instant;

use crate::clock;
use crate::logging::audit::{self, RequestId};
use akldap_ldap::message::{Scope, SearchRequest};
use akldap_ldap::response::ResultCode;

use crate::server::session::LdapSession;

/// What the audit record of a search says. Made only where searches are recorded.
pub(crate) struct AuditRecord {
    request: RequestId,
    client: IpAddr,
    bind_dn: String,
    base_dn: String,
    scope: Scope,
    filter: String,
    attributes: String,
    written: Cell<bool>,
}

impl AuditRecord {
    pub(super) fn of(
        session: &LdapSession,
        message_id: u32,
        request: &SearchRequest<'_>,
    ) -> Option<Box<Self>> {
        if !session.config.audit_searches {
            return None;
        }
        let names: Vec<_> = request
            .attributes
            .iter()
            .map(|name| String::from_utf8_lossy(name))
            .collect();
        Some(Box::new(Self {
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

    /// Writes the record, once. Without a code the search did not come to its end.
    pub(super) fn write(record: Option<&Self>, code: Option<ResultCode>, entries: u64, started: Instant) {
        let Some(record) = record.filter(|record| !record.written.replace(true)) else {
            return;
        };
        tracing::info!(
            target: audit::TARGET,
            audit = "search",
            connection = record.request.connection,
            requestId = %record.request,
            client = %record.client,
            bindDN = record.bind_dn,
            baseDN = record.base_dn,
            scope = ?record.scope,
            filter = record.filter,
            attributes = record.attributes,
            code = code.map(|code| code as u8),
            entries,
            "took-ms" = clock::since(started).as_secs_f64() * 1000.0,
            "{}",
            if code.is_some() { "search" } else { "search not finished" }
        );
    }
}
