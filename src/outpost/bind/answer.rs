//! The outcome of a bind. Success can only be made from an identity, and an identity only from a login.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::ldap::response::{LdapResult, ResultCode};
use crate::metrics::RejectReason;
use crate::outpost::access::Identity;
use crate::outpost::providers::Provider;

/// How a bind ended.
#[derive(Debug)]
pub struct BindAnswer {
    result: LdapResult,
    identity: Option<Arc<Identity>>,
    provider: Option<Arc<Provider>>,
    reason: Option<RejectReason>,
    cause: String,
    bind_dn: String,
    client: IpAddr,
}

impl BindAnswer {
    /// Success, for an identity that stands on a proof.
    pub(super) fn granted(identity: Identity) -> Self {
        let provider = Some(Arc::clone(identity.provider()));
        Self {
            result: LdapResult::success(),
            identity: Some(Arc::new(identity)),
            provider,
            reason: None,
            cause: String::new(),
            bind_dn: String::new(),
            client: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        }
    }

    /// A refusal. A result that says success is turned into an error: success needs an identity.
    pub fn refused(mut result: LdapResult) -> Self {
        if result.code == ResultCode::Success {
            result = LdapResult::new(ResultCode::Other, "internal error while binding");
        }
        Self {
            cause: result.diagnostic_message.clone(),
            result,
            identity: None,
            provider: None,
            reason: None,
            bind_dn: String::new(),
            client: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        }
    }

    pub(super) fn from(mut self, bind_dn: String, client: IpAddr) -> Self {
        self.bind_dn = bind_dn;
        self.client = client;
        self
    }

    /// What the client is told.
    pub fn result(&self) -> &LdapResult {
        &self.result
    }

    /// Who the client is from now on; `None` is anonymous.
    pub fn into_identity(self) -> Option<Arc<Identity>> {
        self.identity
    }

    /// The provider the bind DN belongs to.
    pub fn provider(&self) -> Option<&Arc<Provider>> {
        self.provider.as_ref()
    }

    /// Under which reason a refusal is counted.
    pub fn reject_reason(&self) -> Option<RejectReason> {
        self.reason
    }

    /// The bind DN, for the log.
    pub fn bind_dn(&self) -> &str {
        &self.bind_dn
    }

    /// The client's address, for the log.
    pub fn client(&self) -> IpAddr {
        self.client
    }

    /// The full cause of a refusal, for the log.
    pub fn cause(&self) -> &str {
        &self.cause
    }
}

/// Why a bind is refused, on its way to an answer.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    /// What the client is told.
    pub(super) result: LdapResult,
    /// Under which reason it is counted.
    pub(super) reason: RejectReason,
    /// The full cause, for the log.
    pub(super) cause: String,
    /// Whether the same secret would surely be refused again at once: authentik judged it, and judged it wrong.
    pub(super) repeatable: bool,
}

impl Refusal {
    pub(super) fn new(code: ResultCode, reason: RejectReason, text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            result: LdapResult::new(code, text.clone()),
            reason,
            cause: text,
            repeatable: false,
        }
    }

    pub(super) fn into_answer(self, provider: Option<Arc<Provider>>) -> BindAnswer {
        let mut answer = BindAnswer::refused(self.result);
        answer.provider = provider;
        answer.reason = Some(self.reason);
        answer.cause = self.cause;
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn success_without_an_identity_cannot_be_made() {
        let answer = BindAnswer::refused(LdapResult::success());
        assert_ne!(answer.result().code, ResultCode::Success);
        assert!(answer.into_identity().is_none());
    }
}
