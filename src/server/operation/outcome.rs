//! What comes of a request, as values. Operations write nothing and change nothing of the connection: its dispatcher does
//! what an outcome says.

use std::time::Instant;

use crate::metrics::RejectReason;
use crate::outpost::bind::BindAnswer;
use akldap_ldap::message::OperationKind;
use akldap_ldap::response::{self, LdapResult, ResultCode};

use super::bind::pending::BindFuture;
use super::search::running::RunningSearch;

/// What comes of a request.
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
    },
    /// A bind that authentik has to judge.
    Bind {
        /// When the request was read.
        started: Instant,
        /// The judgement to come.
        answer: BindFuture,
    },
    /// Success; after it, TLS begins.
    StartTls,
    /// The operation of this message id is given up.
    Abandon(u32),
    /// The operation of this message id is given up, and both are answered.
    Cancel(u32),
    /// The connection ends without a word.
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
    /// Its responseValue.
    pub(crate) value: Option<Vec<u8>>,
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
        match kind.response_tag() {
            Some(_) if kind == OperationKind::Extended => {
                response::write_extended(out, message_id, &self.result, self.name, self.value.as_deref());
            }
            Some(tag) => response::write_result(out, message_id, tag, &self.result, &[]),
            None => {}
        }
    }
}

impl From<LdapResult> for Answer {
    fn from(result: LdapResult) -> Self {
        Self {
            result,
            refusal: None,
            name: None,
            value: None,
        }
    }
}
