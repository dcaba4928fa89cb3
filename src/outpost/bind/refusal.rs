//! Why a bind is refused: what the client, the log and the metrics are told, and which refusal follows from each answer of
//! authentik that is not a success.
//!
//! Must not know when authentik is asked.

use crate::metrics::RejectReason;
use akldap_authentik::ApiError;
use akldap_authentik::flow::{FlowError, Rejection};
use akldap_ldap::control::PasswordPolicyError;
use akldap_ldap::response::{LdapResult, ResultCode};

/// Why a bind is refused, on its way to an answer.
#[derive(Clone, Debug)]
pub(in crate::outpost) struct Refusal {
    /// What the client is told.
    pub(in crate::outpost) result: LdapResult,
    /// Under which reason it is counted.
    pub(in crate::outpost) reason: RejectReason,
    /// The full cause, for the log.
    pub(in crate::outpost) cause: String,
    /// What the client is told to find the cause by; `None` if the client is told everything there is.
    pub(in crate::outpost) reference: Option<String>,
    /// Whether the same secret would certainly be refused again at once: authentik judged it, and judged it wrong.
    pub(in crate::outpost) repeatable: bool,
    /// What a password policy has against the login, as far as authentik said so.
    pub(in crate::outpost) policy: Option<PasswordPolicyError>,
}

impl Refusal {
    /// A refusal whose reason anybody may know: `text` must be our own words, not authentik's or a library's.
    pub(in crate::outpost) fn new(code: ResultCode, reason: RejectReason, text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            result: LdapResult::new(code, text.clone()),
            reason,
            cause: text,
            reference: None,
            repeatable: false,
            policy: None,
        }
    }

    /// A refusal whose cause is the admin's business: the client, about whom nothing is known yet, gets a sentence and a
    /// reference, and the log gets the cause under that reference.
    pub(in crate::outpost) fn caused(
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
            policy: None,
        }
    }

    /// The same with what a password policy holds against the login.
    pub(in crate::outpost) fn with_policy(self, policy: Option<PasswordPolicyError>) -> Self {
        Self { policy, ..self }
    }
}

/// Characters in a reference: enough for those in a year's log to differ, few enough to be read out over the telephone.
pub(super) const REFERENCE_LENGTH: usize = 8;
/// Without letters and digits that are mistaken for each other.
const REFERENCE_ALPHABET: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";

pub(super) fn new_reference() -> String {
    (0..REFERENCE_LENGTH)
        .filter_map(|_| fastrand::choice(REFERENCE_ALPHABET))
        .map(|octet| char::from(*octet))
        .collect()
}

/// authentik has ended the session that a flow just opened.
pub(super) fn ended_early() -> Refusal {
    let text = "authentik ended the session while it was being opened: bind again";
    Refusal::new(ResultCode::Unavailable, RejectReason::FlowError, text)
}

/// The same answer as authentik's to a secret that is wrong.
pub(super) fn wrong_secret() -> Refusal {
    rejected(&Rejection::InvalidCredentials {
        stage: None,
        message: "authentik has just refused the same password for the same person".to_owned(),
    })
}

/// The same answer, to any password, for somebody whom the provider keeps out because it does not show them.
pub(super) fn not_shown() -> Refusal {
    rejected(&Rejection::InvalidCredentials {
        stage: None,
        message: "this provider does not show this user, and AUTHENTIK_LDAP__HIDDEN_USERS_BIND is off"
            .to_owned(),
    })
}

/// What is said about a bind that nobody judged.
pub(super) const NOT_NOW: &str = "authentik cannot judge this login at the moment";
/// The next bind is still sent: authentik throttles by address and by user, and others need not wait.
const THROTTLED: &str = "authentik accepts no further requests at the moment: try again later";
/// What is said where the flow was run and does not end in a login.
const BROKEN_FLOW: &str = "the flow that judges logins is broken";
/// What is said about a login that authentik judged.
const NOT_IDENTIFIED: &str = "authentik does not say whose login this is";

/// What a client is told that waited for a password change.
const NO_CHANGE_NOW: &str = "authentik cannot change passwords at the moment";

/// A question to authentik whose answer a bind or a password change needs, and what it means to the client if there is none.
pub(in crate::outpost) struct Question {
    /// What could not be found out or done, for the log.
    what: &'static str,
    /// The result code of an error that will not go away by itself.
    code: ResultCode,
    reason: RejectReason,
    /// What the client is told about an error that will pass.
    text: &'static str,
    /// And about one that will not.
    lasting_text: &'static str,
    /// And about a flow that is broken.
    broken_text: &'static str,
    /// What a client is told for which authentik took too long.
    timed_out: (ResultCode, &'static str),
}

impl Question {
    /// What the bind flow says about the login.
    pub(super) const FLOW: Self = Self {
        what: "the bind flow could not be run",
        code: ResultCode::Other,
        reason: RejectReason::FlowError,
        text: NOT_NOW,
        lasting_text: "the flow that judges logins cannot be run",
        broken_text: BROKEN_FLOW,
        timed_out: (ResultCode::Unavailable, NOT_NOW),
    };
    /// The same about a password that a change needs proved, for which time may run out without harm.
    pub(super) const PROOF: Self = Self {
        timed_out: (ResultCode::TimeLimitExceeded, NOT_NOW),
        ..Self::FLOW
    };
    /// What the user may do.
    pub(super) const ACCESS: Self = Self {
        what: "access to the application could not be checked",
        code: ResultCode::Other,
        reason: RejectReason::AccessCheckFail,
        text: NOT_NOW,
        lasting_text: NOT_NOW,
        broken_text: BROKEN_FLOW,
        timed_out: (ResultCode::Unavailable, NOT_NOW),
    };
    /// Who logged in.
    pub(super) const USER: Self = Self {
        what: "the user could not be identified after the login",
        code: ResultCode::OperationsError,
        reason: RejectReason::UserInfoFail,
        text: NOT_IDENTIFIED,
        lasting_text: NOT_IDENTIFIED,
        broken_text: BROKEN_FLOW,
        timed_out: (ResultCode::Unavailable, NOT_IDENTIFIED),
    };

    /// Whether authentik changes a password, where it certainly did nothing.
    pub(in crate::outpost) const PASSWORD: Self = Self {
        what: "the password could not be changed",
        code: ResultCode::Unavailable,
        reason: RejectReason::FlowError,
        text: NO_CHANGE_NOW,
        lasting_text: NO_CHANGE_NOW,
        broken_text: NO_CHANGE_NOW,
        timed_out: (
            ResultCode::TimeLimitExceeded,
            "authentik took too long: the password is not changed",
        ),
    };

    /// What it means to the client that authentik gave no answer. Nothing of it blames the password.
    pub(in crate::outpost) fn unanswered(&self, error: impl Into<FlowError>) -> Refusal {
        let error = error.into();
        let (code, reason, text) = if error.throttled_for().is_some() {
            (ResultCode::Busy, RejectReason::Busy, THROTTLED)
        } else if error.is_broken_flow() {
            // To a client this is an outage: it may let in people whom it knows, and must not count a wrong password.
            (ResultCode::Unavailable, self.reason, self.broken_text)
        } else if error.is_unanswered() {
            // An outage, whatever was asked: nothing is wrong with flow or permissions.
            let (code, text) = match error {
                FlowError::Api(ApiError::TimedOut { .. }) => self.timed_out,
                _ => (ResultCode::Unavailable, self.text),
            };
            (code, RejectReason::Unavailable, text)
        } else if error.is_transient() {
            (ResultCode::Unavailable, self.reason, self.text)
        } else {
            (self.code, self.reason, self.lasting_text)
        };
        let cause = format!("{}: {error}; {}", self.what, error.hint());
        Refusal::caused(code, reason, text, cause)
    }

    /// The same for a useless answer.
    pub(in crate::outpost) fn answered_badly(&self, cause: impl Into<String>) -> Refusal {
        Refusal::caused(self.code, self.reason, self.lasting_text, cause)
    }
}

/// What authentik's refusal means to the client. What exactly the user typed wrong is not revealed, and authentik's words and
/// the names of its stages go to the log.
pub(super) fn rejected(rejection: &Rejection) -> Refusal {
    let reason = match rejection {
        Rejection::InvalidCredentials { .. } | Rejection::Denied { .. } => RejectReason::InvalidCredentials,
        _ => RejectReason::FlowError,
    };
    let text = match rejection {
        Rejection::Denied { .. } => "authentik denies this login",
        Rejection::UnsupportedStage { .. } => "this login needs a step that LDAP cannot show",
        Rejection::NoCompatibleAuthenticator { offered, code_given } => {
            match offered
                .iter()
                .any(|class| matches!(class.as_str(), "totp" | "static"))
                && !code_given
            {
                true => "this login needs a code: append ;code to the password",
                false => "this login needs a second factor that LDAP cannot ask for",
            }
        }
        _ => "invalid credentials",
    };
    Refusal {
        repeatable: matches!(rejection, Rejection::InvalidCredentials { .. }),
        ..Refusal::caused(
            ResultCode::InvalidCredentials,
            reason,
            text,
            rejection.to_string(),
        )
    }
}

#[cfg(test)]
mod tests {
    use akldap_authentik::{ApiError, Unreachable};

    use super::*;

    #[test]
    fn an_outage_is_counted_as_one_whatever_was_asked() {
        let url = || "http://authentik/".to_owned();
        let away = || ApiError::Unreachable {
            url: url(),
            cause: Unreachable::Refused,
        };
        for question in [Question::FLOW, Question::ACCESS, Question::USER] {
            let refusal = question.unanswered(away());
            let counted = (refusal.result.code, refusal.reason);
            assert_eq!(counted, (ResultCode::Unavailable, RejectReason::Unavailable));
            // An answer, though a useless one: something has to be fixed there.
            let refusal = question.unanswered(ApiError::InvalidPage { url: url() });
            assert_eq!(refusal.reason, question.reason);
        }
        let broken = Question::FLOW.unanswered(FlowError::CookieMissing);
        let counted = (broken.result.code, broken.reason);
        assert_eq!(counted, (ResultCode::Unavailable, RejectReason::FlowError));
    }
}
