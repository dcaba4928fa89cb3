//! What a password must be to be sent at all: only what authentik would change or nobody could bind with is refused here, and
//! what an agent sets must have a length. Everything else is for authentik's policies. Must not know whose password it is.

use crate::outpost::provider::Provider;
use akldap_authentik::flow::CodeRule;
use akldap_ldap::control::PasswordPolicyError;
use akldap_ldap::response::ResultCode;

use super::failure::{ChangeFailure, unfit};

/// Octets of the longest new password: far beyond what people and generators make, and authentik hashes each three times.
const MAX_OCTETS: usize = 1024;

/// The password of before, as text.
pub(super) fn old(octets: &[u8]) -> Result<&str, ChangeFailure> {
    let wrong = || {
        let text = "the old password is wrong";
        unfit(ResultCode::InvalidCredentials, None, text)
    };
    let text = std::str::from_utf8(octets).map_err(|_| wrong())?;
    match text {
        "" => Err(wrong()),
        text => Ok(text),
    }
}

/// The new password, as text.
pub(super) fn new<'a>(
    octets: &'a [u8],
    provider: &Provider,
    codes: CodeRule,
) -> Result<&'a str, ChangeFailure> {
    let quality = Some(PasswordPolicyError::InsufficientPasswordQuality);
    if octets.len() > MAX_OCTETS {
        let text = format!("the new password has more than {MAX_OCTETS} octets");
        return Err(unfit(ResultCode::ConstraintViolation, quality, text));
    }
    let text = std::str::from_utf8(octets).map_err(|_| {
        let text = "the new password is not UTF-8 and cannot be sent to authentik";
        unfit(ResultCode::InvalidAttributeSyntax, quality, text)
    })?;
    if text.is_empty() {
        let text = "the new password is empty";
        return Err(unfit(ResultCode::InvalidAttributeSyntax, quality, text));
    }
    if text.starts_with(is_cut_off) || text.ends_with(is_cut_off) {
        let text = "the new password begins or ends with white space, which authentik would cut off";
        return Err(unfit(ResultCode::ConstraintViolation, quality, text));
    }
    if provider.settings().mfa_support && codes.never_whole(text) {
        let text = "a bind would take what follows the last ; of the new password for a one-time code";
        return Err(unfit(ResultCode::ConstraintViolation, quality, text));
    }
    Ok(text)
}

/// Whether what an agent sets is long enough.
pub(super) fn long_enough(password: &str, least: usize) -> Result<(), ChangeFailure> {
    if password.chars().count() >= least {
        return Ok(());
    }
    let text = format!("the new password needs {least} characters or more");
    let policy = Some(PasswordPolicyError::PasswordTooShort);
    Err(unfit(ResultCode::ConstraintViolation, policy, text))
}

/// Python's white space.
fn is_cut_off(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}
