//! How binds ended, counted under the official names and recorded for the audit. Must not know why they ended so.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::logging::audit::RequestId;
use crate::metrics::{Metrics, RejectReason, RequestType};
use crate::outpost::audit::{Audit, Granted, Refused};
use crate::outpost::providers::Providers;
use crate::traces;
use akldap_ldap::response::LdapResult;

use super::answer::BindAnswer;

/// Counts and records binds.
pub(super) struct BindObserver {
    providers: Arc<Providers>,
    metrics: Arc<Metrics>,
    audit: Audit,
}

impl BindObserver {
    pub(super) fn new(providers: Arc<Providers>, metrics: Arc<Metrics>) -> Self {
        Self {
            providers,
            metrics,
            audit: Audit::default(),
        }
    }

    /// Counts and records a finished bind.
    pub(super) fn finished(&self, request: RequestId, answer: &BindAnswer, took: Duration) {
        let code = answer.result().code.number();
        self.metrics
            .operation(RequestType::Bind, answer.plan(), code, took);
        let unclaimed = self.providers.unclaimed();
        let application = answer
            .provider()
            .map_or(&**unclaimed, |provider| provider.metrics());
        application.observe(RequestType::Bind, took);
        if let Some(reason) = answer.reject_reason() {
            application.rejected(RequestType::Bind, reason);
        }
        traces::record(&traces::TracedRequest {
            operation: "bind",
            id: request,
            client: answer.client(),
            code: Some(answer.result().code as u8),
            entries: None,
            authentik: answer.asked(),
            took,
        });
        let provider = answer.provider().map_or("", |provider| provider.name());
        match answer.identity() {
            Some(identity) => self.audit.granted(&Granted {
                request,
                client: answer.client(),
                bind_dn: identity.dn(),
                provider,
                user_pk: identity.user_pk(),
                took,
            }),
            None => self.audit.refused(&Refused {
                request,
                client: answer.client(),
                bind_dn: answer.bind_dn(),
                provider,
                code: answer.result().code,
                reason: answer.reject_reason(),
                reference: answer.reference(),
                cause: answer.cause(),
                took,
            }),
        }
    }

    /// Counts and records a bind that was refused before it was judged.
    pub(super) fn refused(
        &self,
        request: RequestId,
        client: IpAddr,
        bind_dn: &[u8],
        reason: RejectReason,
        result: &LdapResult,
    ) {
        self.providers.unclaimed().rejected(RequestType::Bind, reason);
        traces::record(&traces::TracedRequest {
            operation: "bind",
            id: request,
            client,
            code: Some(result.code as u8),
            entries: None,
            authentik: &[],
            took: Duration::ZERO,
        });
        self.audit.refused(&Refused {
            request,
            client,
            bind_dn: &String::from_utf8_lossy(bind_dn),
            provider: "",
            code: result.code,
            reason: Some(reason),
            reference: None,
            cause: &result.diagnostic_message,
            took: Duration::ZERO,
        });
    }

    /// Writes the records that were counted instead and are now due.
    pub(super) fn tell_repeated(&self, now: Instant) {
        self.audit.tell_repeated(now);
    }

    /// Writes all that were counted instead, at the end of the process.
    pub(super) fn finish(&self) {
        self.audit.finish();
    }
}
