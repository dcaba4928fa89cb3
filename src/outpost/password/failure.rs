//! Why a password change is answered with something other than success: refused, so that it certainly did not happen, or
//! unknown.
//!
//! A client is told authentik's words if they are meant for whoever types the password, and gets a reference if they are meant for
//! the admin. No answer is `unwillingToPerform` where an agent asks: Nextcloud takes that for success. Must not know how a change
//! is carried out.

use crate::metrics::RejectReason;
use crate::outpost::bind::refusal::{Question, Refusal};
use akldap_authentik::flow::{FlowError, PasswordChangeFailure};
use akldap_authentik::{Secrets, SetPassword};
use akldap_ldap::control::PasswordPolicyError;
use akldap_ldap::response::{LdapResult, ResultCode};

/// What a client is told when it is unknown whether its password is the new one.
pub(super) const CHANGED_OR_NOT: &str = "the password may or may not have been changed: try to bind with the \
     new one";
/// The same for a generated one, which is in the answer.
const MADE_UP_OR_NOT: &str = "the password may or may not have been changed: try to bind with the generated \
     one in this answer, or set another";

/// authentik's permissions for setting the password of somebody else.
const PERMISSIONS: &str = "reset_user_password and view_user";

/// Why a change was not answered with success.
#[derive(Debug)]
pub(in crate::outpost) struct ChangeFailure {
    pub(super) refusal: Refusal,
    /// Whether the password may have been changed all the same.
    pub(in crate::outpost) unknown: bool,
}

impl ChangeFailure {
    /// What the client is told.
    pub(in crate::outpost) fn code(&self) -> ResultCode {
        self.refusal.result.code
    }

    /// Removes these from texts that are not ours: where a client gets a reference, its text is ours.
    pub(super) fn strike(&mut self, secrets: &Secrets) {
        secrets.strike(&mut self.refusal.cause);
        if self.refusal.reference.is_none() {
            secrets.strike(&mut self.refusal.result.diagnostic_message);
        }
    }

    /// The same for a password generated here: nobody knows it without being told.
    pub(super) fn of_made_up(mut self) -> Self {
        let reference = self.refusal.reference.as_deref().unwrap_or_default();
        let text = format!("{MADE_UP_OR_NOT} (reference {reference})");
        self.refusal.result = LdapResult::new(ResultCode::Other, text);
        self
    }

    /// What it is told to find the cause by.
    pub(in crate::outpost) fn reference(&self) -> Option<&str> {
        self.refusal.reference.as_deref()
    }

    /// The cause.
    pub(in crate::outpost) fn cause(&self) -> &str {
        &self.refusal.cause
    }
}

impl From<Refusal> for ChangeFailure {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            unknown: false,
        }
    }
}

/// A refusal whose text is for everybody.
fn refused(code: ResultCode, policy: Option<PasswordPolicyError>, text: impl Into<String>) -> ChangeFailure {
    let reason = match code {
        ResultCode::Busy => RejectReason::Busy,
        ResultCode::Unavailable => RejectReason::Unavailable,
        _ => RejectReason::AccessDenied,
    };
    Refusal::new(code, reason, text).with_policy(policy).into()
}

/// The old password could not be judged, so nothing was sent: that is not the code for an unknown outcome.
pub(super) fn not_judged(mut refusal: Refusal, lasting: ResultCode) -> ChangeFailure {
    if refusal.result.code == ResultCode::Other {
        refusal.result.code = lasting;
    }
    refusal.into()
}

/// The new password has been sent, and the outcome is unknown.
pub(super) fn unknown(cause: impl Into<String>) -> ChangeFailure {
    ChangeFailure {
        refusal: Refusal::caused(ResultCode::Other, RejectReason::FlowError, CHANGED_OR_NOT, cause),
        unknown: true,
    }
}

/// The new password is right, and an earlier one whose request may still be under way may take its place.
pub(super) fn may_be_undone() -> ChangeFailure {
    unknown(
        "the new password was proved, but an earlier change whose outcome is unknown may still overwrite it",
    )
}

/// A name that several users have if case is ignored, as here.
pub(super) fn ambiguous() -> ChangeFailure {
    let text = "several users have this name if case is ignored: write it exactly as authentik does";
    refused(ResultCode::InvalidDnSyntax, None, text)
}

pub(super) fn off() -> ChangeFailure {
    refused(
        ResultCode::ConstraintViolation,
        None,
        "passwords are changed in authentik: in the user settings or by its recovery flow",
    )
}

pub(super) fn provider_gone() -> ChangeFailure {
    let text = "the provider of this bind no longer exists: bind again";
    refused(ResultCode::Unavailable, None, text)
}

pub(super) fn process_ending() -> ChangeFailure {
    refused(ResultCode::Unavailable, None, "the server is shutting down")
}

pub(super) fn not_loaded() -> ChangeFailure {
    let text = "the directory has not been loaded from authentik yet";
    refused(ResultCode::Unavailable, None, text)
}

pub(super) fn not_in_the_directory() -> ChangeFailure {
    let text = "this account is newer than the directory: try again in a moment";
    refused(ResultCode::Unavailable, None, text)
}

pub(super) fn not_in_this_shape() -> ChangeFailure {
    let text = "the directory is being put into the shape of this provider";
    refused(ResultCode::Unavailable, None, text)
}

pub(super) fn renamed() -> ChangeFailure {
    let text = "authentik has this account under another name than the directory: try again in a moment";
    refused(ResultCode::Unavailable, None, text)
}

pub(super) fn gone() -> ChangeFailure {
    let text = "authentik no longer knows this account";
    refused(ResultCode::NoSuchObject, None, text)
}

pub(super) fn deactivated() -> ChangeFailure {
    let text = "this account is deactivated, so a new password could not be proved: activate it in authentik \
         first";
    let policy = PasswordPolicyError::PasswordModNotAllowed;
    refused(ResultCode::ConstraintViolation, Some(policy), text)
}

pub(super) fn damaged() -> ChangeFailure {
    let text = "internal error: the directory in memory is damaged";
    refused(ResultCode::Unavailable, None, text)
}

pub(super) fn nobody() -> ChangeFailure {
    refused(ResultCode::NoSuchObject, None, "there is no user of that name")
}

pub(super) fn somebody_else() -> ChangeFailure {
    let text = "this account can change only its own password, because it does not see other users";
    let policy = PasswordPolicyError::PasswordModNotAllowed;
    refused(ResultCode::InsufficientAccessRights, Some(policy), text)
}

pub(super) fn own_only() -> ChangeFailure {
    let text = "this server lets people change only their own password";
    let policy = PasswordPolicyError::PasswordModNotAllowed;
    refused(ResultCode::InsufficientAccessRights, Some(policy), text)
}

pub(super) fn nothing_generated() -> ChangeFailure {
    let text = "no password is generated for one's own account: send the new one";
    refused(ResultCode::UnwillingToPerform, None, text)
}

pub(super) fn no_random_numbers() -> ChangeFailure {
    let text = "no password can be generated at the moment: send the new one";
    refused(ResultCode::Unavailable, None, text)
}

pub(super) fn under_way() -> ChangeFailure {
    let text = "another change of this password is under way: try again in a moment";
    refused(ResultCode::Busy, None, text)
}

pub(super) fn left() -> ChangeFailure {
    refused(ResultCode::Busy, None, "the client left before its turn")
}

/// What is refused before authentik is asked.
pub(super) fn unfit(
    code: ResultCode,
    policy: Option<PasswordPolicyError>,
    text: impl Into<String>,
) -> ChangeFailure {
    refused(code, policy, text)
}

pub(super) fn session_over() -> ChangeFailure {
    let text = "authentik no longer accepts the session of this bind: bind again";
    refused(ResultCode::StrongerAuthRequired, None, text)
}

/// Why a change of one's own failed. What the new password did is known: nothing.
pub(super) fn of_own(failure: PasswordChangeFailure) -> ChangeFailure {
    use PasswordChangeFailure as Why;
    let text = failure.to_string();
    match failure {
        Why::SessionOver => session_over(),
        Why::Refused { text } => refused_by_policy(text),
        Why::Blank { .. } => refused(
            ResultCode::InvalidAttributeSyntax,
            Some(PasswordPolicyError::InsufficientPasswordQuality),
            text,
        ),
        Why::Mismatch { .. } => refused(ResultCode::OperationsError, None, text),
        Why::OldPasswordNeeded { .. } => refused(
            ResultCode::InsufficientAccessRights,
            Some(PasswordPolicyError::MustSupplyOldPassword),
            text,
        ),
        Why::OldPasswordWrong { .. } => refused(ResultCode::InvalidCredentials, None, text),
        Why::Denied { .. } => refused(
            ResultCode::InsufficientAccessRights,
            Some(PasswordPolicyError::PasswordModNotAllowed),
            text,
        ),
        Why::NotOffered
        | Why::AsksMore { .. }
        | Why::UnsupportedStage { .. }
        | Why::NothingAsked { .. }
        | Why::FlowMissing { .. } => refused(ResultCode::UnwillingToPerform, None, text),
        Why::Flow(error) => not_carried_out(error),
        other => Question::PASSWORD.answered_badly(other.to_string()).into(),
    }
}

/// What authentik says to an agent that is not a success; `None` if it is one.
pub(super) fn of_agent(answer: SetPassword) -> Option<ChangeFailure> {
    match answer {
        SetPassword::Done => None,
        SetPassword::SessionOver => Some(session_over()),
        SetPassword::NotTaken { text } => Some(Question::PASSWORD.answered_badly(text).into()),
        SetPassword::Refused { text } => Some(refused_by_policy(text)),
        SetPassword::Forbidden { text } => Some(refused(
            ResultCode::InsufficientAccessRights,
            Some(PasswordPolicyError::PasswordModNotAllowed),
            format!(
                "authentik does not let this account set this password: it needs the permissions {PERMISSIONS} ({text})"
            ),
        )),
    }
}

/// authentik certainly did nothing.
pub(super) fn not_carried_out(error: impl Into<FlowError>) -> ChangeFailure {
    Question::PASSWORD.unanswered(error).into()
}

/// A policy's words are for whoever chose the password. Nextcloud shows them with this code, and with no other.
fn refused_by_policy(text: String) -> ChangeFailure {
    let policy = policy_of(&text);
    refused(ResultCode::ConstraintViolation, Some(policy), text)
}

/// Which error of the draft matches a policy's words.
fn policy_of(text: &str) -> PasswordPolicyError {
    let text = text.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&["characters or longer", "too short"]) {
        PasswordPolicyError::PasswordTooShort
    } else if says(&["used previously", "used before", "reuse"]) {
        PasswordPolicyError::PasswordInHistory
    } else {
        PasswordPolicyError::InsufficientPasswordQuality
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use akldap_authentik::{ApiError, Unreachable};

    use super::*;

    #[test]
    fn authentiks_words_are_told_from_each_other() {
        for (text, policy) in [
            (
                "Password needs to be 8 characters or longer.",
                PasswordPolicyError::PasswordTooShort,
            ),
            (
                "This password has been used previously. Please choose a different one.",
                PasswordPolicyError::PasswordInHistory,
            ),
            (
                "Password exists on 17 online lists.",
                PasswordPolicyError::InsufficientPasswordQuality,
            ),
        ] {
            let failure = refused_by_policy(text.to_owned());
            assert_eq!(failure.code(), ResultCode::ConstraintViolation);
            assert_eq!(failure.refusal.result.diagnostic_message, text);
            assert_eq!(failure.refusal.policy, Some(policy));
        }
    }

    #[test]
    fn an_outage_during_a_change_is_counted_like_one_during_a_bind() {
        let url = || "http://authentik/".to_owned();
        let timed_out = ApiError::TimedOut {
            url: url(),
            after: Duration::from_secs(1),
        };
        let throttled = ApiError::Throttled {
            url: url(),
            retry_after: None,
        };
        let unreachable = ApiError::Unreachable {
            url: url(),
            cause: Unreachable::Refused,
        };
        for (error, code, reason) in [
            (unreachable, ResultCode::Unavailable, RejectReason::Unavailable),
            (
                timed_out,
                ResultCode::TimeLimitExceeded,
                RejectReason::Unavailable,
            ),
            (throttled, ResultCode::Busy, RejectReason::Busy),
            (
                ApiError::InvalidPage { url: url() },
                ResultCode::Unavailable,
                RejectReason::FlowError,
            ),
        ] {
            let failure = not_carried_out(error);
            assert_eq!(
                (failure.code(), failure.refusal.reason),
                (code, reason),
                "{failure:?}"
            );
            assert!(!failure.unknown, "{failure:?}");
        }
    }

    #[test]
    fn what_nobody_knows_says_so_and_nothing_else_does() {
        let failure = unknown("the connection broke");
        assert!(failure.unknown && failure.code() == ResultCode::Other);
        let text = &failure.refusal.result.diagnostic_message;
        assert!(text.starts_with(CHANGED_OR_NOT), "{text}");
        let slug = || "f".to_owned();
        for known in [
            PasswordChangeFailure::SessionOver,
            PasswordChangeFailure::NotOffered,
            PasswordChangeFailure::Blank { text: slug() },
            PasswordChangeFailure::Mismatch { text: slug() },
            PasswordChangeFailure::AsksMore {
                slug: slug(),
                fields: vec!["email".to_owned()],
            },
            PasswordChangeFailure::Flow(FlowError::CookieMissing),
        ] {
            let failure = of_own(known);
            assert!(
                !failure.unknown && failure.code() != ResultCode::Other,
                "{failure:?}"
            );
            let text = &failure.refusal.result.diagnostic_message;
            assert!(!text.contains("may or may not have been changed"), "{text}");
        }
    }
}
