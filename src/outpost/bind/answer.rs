//! The outcome of a bind. Success can only be made from an identity, and an identity only from a login.

use std::net::IpAddr;
use std::sync::Arc;

use crate::metrics::{OperationPlan, RejectReason};
use crate::outpost::access::Identity;
use crate::outpost::provider::Provider;
use akldap_ldap::control::PasswordPolicyError;
use akldap_ldap::response::{LdapResult, ResultCode};

use super::refusal::Refusal;

/// How a bind ended.
#[derive(Debug)]
pub struct BindAnswer {
    result: LdapResult,
    outcome: BindOutcome,
    client: IpAddr,
    /// What authentik calls the requests that it was asked with.
    asked: Vec<String>,
    plan: OperationPlan,
}

#[derive(Debug)]
enum BindOutcome {
    Granted(Arc<Identity>),
    Refused(RefusalDetails),
}

/// What the log and the metrics say about a refusal.
#[derive(Debug)]
struct RefusalDetails {
    provider: Option<Arc<Provider>>,
    reason: Option<RejectReason>,
    cause: String,
    reference: Option<String>,
    bind_dn: String,
    policy: Option<PasswordPolicyError>,
}

impl BindAnswer {
    /// Success, for an identity that is based on a proof.
    pub(super) fn granted(identity: Identity, client: IpAddr) -> Self {
        Self {
            result: LdapResult::success(),
            outcome: BindOutcome::Granted(Arc::new(identity)),
            client,
            asked: Vec::new(),
            plan: OperationPlan::AtOnce,
        }
    }

    /// A bind that was refused; `provider` is the one its name belongs to.
    pub(super) fn of_refusal(
        refusal: Refusal,
        provider: Option<Arc<Provider>>,
        bind_dn: String,
        client: IpAddr,
    ) -> Self {
        let details = RefusalDetails {
            provider,
            reason: Some(refusal.reason),
            cause: refusal.cause,
            reference: refusal.reference,
            bind_dn,
            policy: refusal.policy,
        };
        Self::refused(refusal.result, details, client)
    }

    /// A refusal. A result that says success is turned into an error: success needs an identity.
    fn refused(mut result: LdapResult, details: RefusalDetails, client: IpAddr) -> Self {
        if result.code == ResultCode::Success {
            result = LdapResult::new(ResultCode::Other, "internal error while binding");
        }
        Self {
            result,
            outcome: BindOutcome::Refused(details),
            client,
            asked: Vec::new(),
            plan: OperationPlan::AtOnce,
        }
    }

    /// The same, after these requests to authentik, or none if it had no turn.
    pub(super) fn after(self, asked: Vec<String>) -> Self {
        Self {
            asked,
            plan: OperationPlan::Authentik,
            ..self
        }
    }

    /// How it was found, for the metrics.
    pub(super) fn plan(&self) -> OperationPlan {
        self.plan
    }

    /// What authentik calls the requests that it was asked with, if anybody wants to know.
    pub fn asked(&self) -> &[String] {
        &self.asked
    }

    /// The answer to a bind that failed inside akldap.
    pub fn internal_error(client: IpAddr) -> Self {
        let refusal = Refusal::caused(
            ResultCode::Other,
            RejectReason::FlowError,
            "internal error while binding",
            "a bind failed because of an internal error: see the previous line",
        );
        let details = RefusalDetails {
            provider: None,
            reason: None,
            cause: refusal.cause,
            reference: refusal.reference,
            bind_dn: String::new(),
            policy: None,
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
            BindOutcome::Granted(identity) => Some(identity),
            BindOutcome::Refused(_) => None,
        }
    }

    /// The same by reference, before it is taken.
    pub fn identity(&self) -> Option<&Identity> {
        match &self.outcome {
            BindOutcome::Granted(identity) => Some(identity),
            BindOutcome::Refused(_) => None,
        }
    }

    /// What a password policy has against the login, as far as authentik said so.
    pub fn policy(&self) -> Option<PasswordPolicyError> {
        match &self.outcome {
            BindOutcome::Granted(_) => None,
            BindOutcome::Refused(details) => details.policy,
        }
    }

    /// The provider the bind DN belongs to.
    pub fn provider(&self) -> Option<&Arc<Provider>> {
        match &self.outcome {
            BindOutcome::Granted(identity) => Some(identity.provider()),
            BindOutcome::Refused(details) => details.provider.as_ref(),
        }
    }

    /// Under which reason a refusal is counted.
    pub fn reject_reason(&self) -> Option<RejectReason> {
        match &self.outcome {
            BindOutcome::Granted(_) => None,
            BindOutcome::Refused(details) => details.reason,
        }
    }

    /// The bind DN, for the log.
    pub fn bind_dn(&self) -> &str {
        match &self.outcome {
            BindOutcome::Granted(identity) => identity.dn(),
            BindOutcome::Refused(details) => &details.bind_dn,
        }
    }

    /// The client's address, for the log.
    pub fn client(&self) -> IpAddr {
        self.client
    }

    /// What the client was told to find the cause in the log by.
    pub fn reference(&self) -> Option<&str> {
        match &self.outcome {
            BindOutcome::Granted(_) => None,
            BindOutcome::Refused(details) => details.reference.as_deref(),
        }
    }

    /// The full cause of a refusal, for the log.
    pub fn cause(&self) -> &str {
        match &self.outcome {
            BindOutcome::Granted(_) => "",
            BindOutcome::Refused(details) => &details.cause,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::refusal;
    use super::*;

    #[test]
    fn success_without_an_identity_cannot_be_made() {
        let mut refusal = Refusal::new(ResultCode::Other, RejectReason::FlowError, "");
        refusal.result = LdapResult::success();
        let answer = BindAnswer::of_refusal(refusal, None, String::new(), Ipv4Addr::LOCALHOST.into());
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
        let answer = BindAnswer::of_refusal(refusal, None, String::new(), Ipv4Addr::LOCALHOST.into());
        let reference = answer.reference().unwrap();
        assert_eq!(reference.len(), refusal::REFERENCE_LENGTH);
        assert_eq!(
            answer.result().diagnostic_message,
            format!("not now (reference {reference})")
        );
        assert_eq!(answer.cause(), "http://internal/");
        assert_ne!(refusal::new_reference(), refusal::new_reference());
    }
}
