//! What a password policy has against a login, in the words of draft-behera-ldap-password-policy: only what authentik itself
//! said, and, except for a lock, only to those who know the password.
//!
//! Must not know who asks for it.

use akldap_authentik::flow::{FlowOutcome, JudgedFlow, Rejection};
use akldap_ldap::control::PasswordPolicyError;

/// What is held against a login that authentik judged.
pub(super) fn policy(judged: &JudgedFlow) -> Option<PasswordPolicyError> {
    let FlowOutcome::Rejected(rejection) = &judged.outcome else {
        return None;
    };
    match rejection {
        Rejection::UnsupportedStage { .. } if judged.password_accepted && judged.asks_new_password => {
            Some(PasswordPolicyError::ChangeAfterReset)
        }
        Rejection::Denied { message } => {
            let message = message.to_lowercase();
            let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
            if says(&[
                "account is locked",
                "account has been locked",
                "account was locked",
            ]) {
                Some(PasswordPolicyError::AccountLocked)
            } else if judged.password_accepted && says(&["password"]) && says(&["expired"]) {
                Some(PasswordPolicyError::PasswordExpired)
            } else {
                None
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(message: &str, password_accepted: bool) -> Option<PasswordPolicyError> {
        policy(&JudgedFlow {
            outcome: FlowOutcome::Rejected(Rejection::Denied {
                message: message.to_owned(),
            }),
            password_accepted,
            asks_new_password: false,
        })
    }

    #[test]
    fn nothing_is_made_up() {
        let expired = "Password expired 3 days ago. Please update your password.";
        assert_eq!(denied(expired, true), Some(PasswordPolicyError::PasswordExpired));
        assert_eq!(denied(expired, false), None, "not for whoever guesses");
        assert_eq!(denied("Your session has expired.", true), None);
        let locked = denied("This account is locked.", false);
        assert_eq!(
            locked,
            Some(PasswordPolicyError::AccountLocked),
            "authentik said so itself"
        );
        assert_eq!(denied("Not today.", true), None);
        for (accepted, asks, policy_error) in [
            (true, true, Some(PasswordPolicyError::ChangeAfterReset)),
            (true, false, None),
            (false, true, None),
        ] {
            let judged = JudgedFlow {
                outcome: FlowOutcome::Rejected(Rejection::UnsupportedStage {
                    component: "ak-stage-prompt".to_owned(),
                    remedy: "",
                }),
                password_accepted: accepted,
                asks_new_password: asks,
            };
            assert_eq!(policy(&judged), policy_error);
        }
    }
}
