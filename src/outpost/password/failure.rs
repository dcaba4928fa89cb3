//! Why a change of a password is answered with something else than success: refused, so that it surely did not happen, or
//! unknown.
//!
//! A client is told authentik's words where they are for whoever types the password, and a reference where they are for the admin.
//! No answer is `unwillingToPerform` where an agent asks: Nextcloud takes that for success. Must not know how a change is carried
//! out.

use crate::metrics::RejectReason;
use crate::outpost::bind::refusal::Refusal;
use akldap_authentik::flow::{FlowError, PasswordChangeFailure};
use akldap_authentik::{ApiError, SetPassword};
use akldap_ldap::control::PasswordPolicyError;
use akldap_ldap::response::ResultCode;

/// What a client is told when nobody knows whether its password is the new one.
pub(super) const CHANGED_OR_NOT: &str = "the password is changed or not: bind with the new one";

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

/// One whose cause is for the admin.
fn caused(code: ResultCode, text: &'static str, cause: impl Into<String>) -> ChangeFailure {
    Refusal::caused(code, RejectReason::FlowError, text, cause).into()
}

/// The old password could not be judged, so nothing was sent: that is not the code of what nobody knows.
pub(super) fn not_judged(mut refusal: Refusal, lasting: ResultCode) -> ChangeFailure {
    if refusal.result.code == ResultCode::Other {
        refusal.result.code = lasting;
    }
    refusal.into()
}

/// The new password has been sent, and nobody knows what came of it.
pub(super) fn unknown(cause: impl Into<String>) -> ChangeFailure {
    ChangeFailure {
        unknown: true,
        ..caused(ResultCode::Other, CHANGED_OR_NOT, cause)
    }
}

pub(super) fn off() -> ChangeFailure {
    refused(
        ResultCode::ConstraintViolation,
        None,
        "passwords are changed in authentik: in the user settings or by its recovery flow",
    )
}

pub(super) fn provider_gone() -> ChangeFailure {
    let text = "the provider of this bind is gone: bind again";
    refused(ResultCode::Unavailable, None, text)
}

pub(super) fn not_loaded() -> ChangeFailure {
    let text = "the directory has not been loaded from authentik yet";
    refused(ResultCode::Unavailable, None, text)
}

pub(super) fn not_in_the_directory() -> ChangeFailure {
    let text = "this account is newer than the directory: try again in a moment";
    refused(ResultCode::Unavailable, None, text)
}

pub(super) fn damaged() -> ChangeFailure {
    let text = "internal error: the directory in memory is damaged";
    refused(ResultCode::Unavailable, None, text)
}

pub(super) fn nobody() -> ChangeFailure {
    refused(ResultCode::NoSuchObject, None, "there is no user of that name")
}

pub(super) fn somebody_else() -> ChangeFailure {
    let text = "this account can change no password but its own: it does not see other users";
    let policy = PasswordPolicyError::PasswordModNotAllowed;
    refused(ResultCode::InsufficientAccessRights, Some(policy), text)
}

pub(super) fn own_only() -> ChangeFailure {
    let text = "this server lets people change their own password and nobody else's";
    let policy = PasswordPolicyError::PasswordModNotAllowed;
    refused(ResultCode::InsufficientAccessRights, Some(policy), text)
}

pub(super) fn nothing_generated() -> ChangeFailure {
    let text = "no password is made up for one's own account: send the new one";
    refused(ResultCode::UnwillingToPerform, None, text)
}

pub(super) fn no_random_numbers() -> ChangeFailure {
    let text = "no password can be made up at the moment: send the new one";
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
    let text = "authentik does not take the session of this bind any more: bind again";
    refused(ResultCode::StrongerAuthRequired, None, text)
}

/// Why a change of one's own came to nothing. What the new password did is known: nothing.
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
        | Why::Flow(FlowError::FlowNotFound { .. }) => refused(ResultCode::UnwillingToPerform, None, text),
        Why::Flow(error) => unanswered(&error),
        other => caused(ResultCode::Unavailable, NOT_NOW, other.to_string()),
    }
}

const NOT_NOW: &str = "authentik cannot change passwords at the moment";

/// authentik gave no answer to a question that changes nothing.
fn unanswered(error: &FlowError) -> ChangeFailure {
    let cause = format!("the password could not be changed: {error}; {}", error.hint());
    if error.throttled_for().is_some() {
        let text = "authentik takes no further requests at the moment: try again later";
        return caused(ResultCode::Busy, text, cause);
    }
    match error {
        FlowError::Api(ApiError::TimedOut { .. }) => {
            let text = "authentik took too long: the password is not changed";
            caused(ResultCode::TimeLimitExceeded, text, cause)
        }
        _ => caused(ResultCode::Unavailable, NOT_NOW, cause),
    }
}

/// What authentik says to an agent that is no success; `None` where it is one.
pub(super) fn of_agent(answer: SetPassword) -> Option<ChangeFailure> {
    match answer {
        SetPassword::Done => None,
        SetPassword::SessionOver => Some(session_over()),
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

/// authentik surely did nothing.
pub(super) fn not_carried_out(error: ApiError) -> ChangeFailure {
    unanswered(&error.into())
}

/// A policy's words are for whoever chose the password. Nextcloud shows them with this code, and with no other.
fn refused_by_policy(text: String) -> ChangeFailure {
    let policy = policy_of(&text);
    refused(ResultCode::ConstraintViolation, Some(policy), text)
}

/// Which error of the draft a policy's words are.
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
            assert!(!text.contains("changed or not"), "{text}");
        }
    }
}
