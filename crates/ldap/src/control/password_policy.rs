//! The response control of draft-behera-ldap-password-policy-10 section 6.2: what a password policy has against a bind or a
//! new password.
//!
//! Its warnings (time before expiration, grace logins left) are not written: neither is known here. Must not know policies.

use crate::ber;

/// The tag of `error [1] ENUMERATED`.
const ERROR: u8 = 0x81;

/// What is wrong, as far as the draft has a number for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are those of the draft")]
pub enum PasswordPolicyError {
    PasswordExpired = 0,
    AccountLocked = 1,
    ChangeAfterReset = 2,
    PasswordModNotAllowed = 3,
    MustSupplyOldPassword = 4,
    InsufficientPasswordQuality = 5,
    PasswordTooShort = 6,
    PasswordTooYoung = 7,
    PasswordInHistory = 8,
}

/// The value of the response control.
#[must_use]
pub fn encode_password_policy_response(error: Option<PasswordPolicyError>) -> Vec<u8> {
    let mut out = Vec::new();
    ber::write_constructed(&mut out, ber::SEQUENCE, |out| {
        if let Some(error) = error {
            ber::write_integer(out, ERROR, i64::from(error as u8));
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_is_as_the_draft_writes_it() {
        assert_eq!(encode_password_policy_response(None), [0x30, 0]);
        let short = PasswordPolicyError::PasswordTooShort;
        assert_eq!(
            encode_password_policy_response(Some(short)),
            [0x30, 3, 0x81, 1, 6]
        );
    }
}
