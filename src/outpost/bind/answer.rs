//! The outcome of a bind. Success can only be made from an identity, and an identity only from a login.

use std::net::IpAddr;
use std::sync::Arc;

use crate::metrics::RejectReason;
use crate::outpost::access::Identity;
use crate::outpost::providers::Provider;
use akldap_ldap::response::{LdapResult, ResultCode};

/// How a bind ended.
#[derive(Debug)]
pub struct BindAnswer {
    result: LdapResult,
    outcome: Outcome,
    client: IpAddr,
}

#[derive(Debug)]
enum Outcome {
    Granted(Arc<Identity>),
    Refused(Details),
}

/// What the log and the metrics say about a refusal.
#[derive(Debug)]
struct Details {
    provider: Option<Arc<Provider>>,
    reason: Option<RejectReason>,
    cause: String,
    reference: Option<String>,
    bind_dn: String,
}

impl BindAnswer {
    /// Success, for an identity that stands on a proof.
    pub(super) fn granted(identity: Identity, client: IpAddr) -> Self {
        Self {
            result: LdapResult::success(),
            outcome: Outcome::Granted(Arc::new(identity)),
            client,
        }
    }

    /// A refusal. A result that says success is turned into an error: success needs an identity.
    fn refused(mut result: LdapResult, details: Details, client: IpAddr) -> Self {
        if result.code == ResultCode::Success {
            result = LdapResult::new(ResultCode::Other, "internal error while binding");
        }
        Self {
            result,
            outcome: Outcome::Refused(details),
            client,
        }
    }

    /// The answer to a bind that failed inside akldap.
    pub fn internal_error(client: IpAddr) -> Self {
        let refusal = Refusal::caused(
            ResultCode::Other,
            RejectReason::FlowError,
            "internal error while binding",
            "a bind failed inside akldap: see the line before",
        );
        let details = Details {
            provider: None,
            reason: None,
            cause: refusal.cause,
            reference: refusal.reference,
            bind_dn: String::new(),
        };
        Self::refused(refusal.result, details, client)
    }

    /// What the client is told.
    pub fn result(&self) -> &LdapResult {
        &self.result
    }

    /// Who the client is from now on; `None` is anonymous.
    pub fn into_identity(self) -> Option<Arc<Identity>> {
        match self.outcome {
            Outcome::Granted(identity) => Some(identity),
            Outcome::Refused(_) => None,
        }
    }

    /// The same for a look at it, before it is taken.
    pub fn identity(&self) -> Option<&Identity> {
        match &self.outcome {
            Outcome::Granted(identity) => Some(identity),
            Outcome::Refused(_) => None,
        }
    }

    /// The provider the bind DN belongs to.
    pub fn provider(&self) -> Option<&Arc<Provider>> {
        match &self.outcome {
            Outcome::Granted(identity) => Some(identity.provider()),
            Outcome::Refused(details) => details.provider.as_ref(),
        }
    }

    /// Under which reason a refusal is counted.
    pub fn reject_reason(&self) -> Option<RejectReason> {
        match &self.outcome {
            Outcome::Granted(_) => None,
            Outcome::Refused(details) => details.reason,
        }
    }

    /// The bind DN, for the log.
    pub fn bind_dn(&self) -> &str {
        match &self.outcome {
            Outcome::Granted(identity) => identity.dn(),
            Outcome::Refused(details) => &details.bind_dn,
        }
    }

    /// The client's address, for the log.
    pub fn client(&self) -> IpAddr {
        self.client
    }

    /// What the client was told to find the cause in the log by.
    pub fn reference(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Granted(_) => None,
            Outcome::Refused(details) => details.reference.as_deref(),
        }
    }

    /// The full cause of a refusal, for the log.
    pub fn cause(&self) -> &str {
        match &self.outcome {
            Outcome::Granted(_) => "",
            Outcome::Refused(details) => &details.cause,
        }
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
    /// What the client is told to find the cause by; `None` where the client is told all there is.
    pub(super) reference: Option<String>,
    /// Whether the same secret would surely be refused again at once: authentik judged it, and judged it wrong.
    pub(super) repeatable: bool,
}

impl Refusal {
    /// A refusal whose reason anybody may know: `text` must be our own words, not authentik's or a library's.
    pub(super) fn new(code: ResultCode, reason: RejectReason, text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            result: LdapResult::new(code, text.clone()),
            reason,
            cause: text,
            reference: None,
            repeatable: false,
        }
    }

    /// A refusal whose cause is the admin's business: the client, of whom nothing is known yet, gets a sentence and a
    /// reference, and the log gets the cause under that reference.
    pub(super) fn caused(
        code: ResultCode,
        reason: RejectReason,
        text: &'static str,
        cause: impl Into<String>,
    ) -> Self {
        let reference = new_reference();
        Self {
            result: LdapResult::new(code, format!("{text} (reference {reference})")),
            reason,
            cause: cause.into(),
            reference: Some(reference),
            repeatable: false,
        }
    }

    pub(super) fn into_answer(
        self,
        provider: Option<Arc<Provider>>,
        bind_dn: String,
        client: IpAddr,
    ) -> BindAnswer {
        let details = Details {
            provider,
            reason: Some(self.reason),
            cause: self.cause,
            reference: self.reference,
            bind_dn,
        };
        BindAnswer::refused(self.result, details, client)
    }
}

/// Characters of a reference: enough that those of a year's log differ, few enough to be read over the telephone.
const REFERENCE_LENGTH: usize = 8;
/// Without letters and digits that are taken for each other.
const REFERENCE_ALPHABET: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";

fn new_reference() -> String {
    (0..REFERENCE_LENGTH)
        .filter_map(|_| fastrand::choice(REFERENCE_ALPHABET))
        .map(|octet| char::from(*octet))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn success_without_an_identity_cannot_be_made() {
        let mut refusal = Refusal::new(ResultCode::Other, RejectReason::FlowError, "");
        refusal.result = LdapResult::success();
        let answer = refusal.into_answer(None, String::new(), Ipv4Addr::LOCALHOST.into());
        assert_ne!(answer.result().code, ResultCode::Success);
        assert!(answer.into_identity().is_none());
    }

    #[test]
    fn the_client_is_told_a_reference_and_the_log_the_cause() {
        let refusal = Refusal::caused(
            ResultCode::Unavailable,
            RejectReason::FlowError,
            "not now",
            "http://internal/",
        );
        let answer = refusal.into_answer(None, String::new(), Ipv4Addr::LOCALHOST.into());
        let reference = answer.reference().unwrap();
        assert_eq!(reference.len(), REFERENCE_LENGTH);
        assert_eq!(
            answer.result().diagnostic_message,
            format!("not now (reference {reference})")
        );
        assert_eq!(answer.cause(), "http://internal/");
        assert_ne!(new_reference(), new_reference());
    }
}
