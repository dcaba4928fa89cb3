//! The outcomes of requests, as values. Operations write nothing and change nothing in the connection: its dispatcher
//! does what an outcome says.

use std::time::Instant;

use zeroize::Zeroizing;

use crate::metrics::RejectReason;
use crate::outpost::bind::BindAnswer;
use akldap_ldap::control::{Control, PASSWORD_POLICY, PasswordPolicyError, encode_password_policy_response};
use akldap_ldap::message::OperationKind;
use akldap_ldap::response::{self, LdapResult, ResultCode};

use super::search::running::RunningSearch;
use super::waiting::AwaitedFuture;

/// The outcome of a request.
pub(crate) enum Outcome {
    /// An answer of the request's own kind, if that kind has one.
    Answer(Answer),
    /// A search. Its first step follows at once, the others in turn with whatever else is asked.
    Search(Box<RunningSearch>),
    /// A bind that is judged: what it is answered, and who is bound from now on.
    Bound {
        /// When the request was read.
        started: Instant,
        /// The judgement.
        answer: BindAnswer,
        /// The client asked for password policy information.
        policy: bool,
    },
    /// A bind that authentik has to judge, or a change of a password.
    Waits {
        /// When the request was read.
        started: Instant,
        /// The client asked for password policy information.
        policy: bool,
        /// What authentik is asked.
        question: AwaitedFuture,
    },
    /// Success; after it, TLS begins.
    StartTls,
    /// The operation of this message id is given up.
    Abandon(u32),
    /// The operation of this message id is given up, and both are answered.
    Cancel(u32),
    /// The connection ends without a notice.
    Close,
}

/// How a request is answered.
pub(crate) struct Answer {
    /// The result.
    pub(crate) result: LdapResult,
    /// What it counts as, where it is a refusal that is counted.
    pub(crate) refusal: Option<RejectReason>,
    /// The responseName of an extended response (RFC 4511 section 4.12).
    pub(crate) name: Option<&'static str>,
    /// Its responseValue, which may be a password.
    pub(crate) value: Option<Zeroizing<Vec<u8>>>,
    /// What a password policy has against it, if the client asked for that.
    pub(crate) policy: Option<Option<PasswordPolicyError>>,
}

impl Answer {
    /// An answer that is counted as a refusal.
    pub(crate) fn refused(reason: RejectReason, code: ResultCode, text: impl Into<String>) -> Self {
        Self {
            refusal: Some(reason),
            ..Self::from(LdapResult::new(code, text))
        }
    }

    /// Appends it as the response to a request of this kind; nothing where that kind has none.
    pub(crate) fn write(&self, message_id: u32, kind: OperationKind, out: &mut Vec<u8>) {
        let policy = self.policy.map(encode_password_policy_response);
        let policy = policy.as_deref().map(policy_control);
        let controls = policy.as_slice();
        match kind.response_tag() {
            Some(_) if kind == OperationKind::Extended => {
                let value = self.value.as_ref().map(|value| value.as_slice());
                response::write_extended(out, message_id, &self.result, self.name, value, controls);
            }
            Some(tag) => response::write_result(out, message_id, tag, &self.result, controls),
            None => {}
        }
    }
}

/// The control that says what a password policy has against somebody.
pub(crate) fn policy_control(value: &[u8]) -> Control<'_> {
    Control {
        control_type: PASSWORD_POLICY.as_bytes(),
        criticality: false,
        value: Some(value),
    }
}

impl From<LdapResult> for Answer {
    fn from(result: LdapResult) -> Self {
        Self {
            result,
            refusal: None,
            name: None,
            value: None,
            policy: None,
        }
    }
}
