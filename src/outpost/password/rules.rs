//! What a password must be like to be sent at all: only what authentik would alter or nobody could bind with is refused here,
//! and what an agent sets must have a minimum length. Everything else is for authentik's policies. Must not know whose
//! password it is.

use crate::outpost::provider::Provider;
use akldap_authentik::flow::CodeRule;
use akldap_ldap::control::PasswordPolicyError;
use akldap_ldap::response::ResultCode;

use super::failure::{ChangeFailure, unfit};

/// Octets of the longest new password: far beyond what people and generators produce, and authentik hashes each three times.
const MAX_OCTETS: usize = 1024;
/// And of the longest old one, which somebody may have set elsewhere.
const MAX_OLD_OCTETS: usize = 4096;

/// Refuses passwords that are too long to be even looked at.
pub(super) fn lengths(old: Option<&[u8]>, new: Option<&[u8]>) -> Result<(), ChangeFailure> {
    if old.is_some_and(|old| old.len() > MAX_OLD_OCTETS) {
        return Err(wrong());
    }
    if new.is_some_and(|new| new.len() > MAX_OCTETS) {
        let quality = Some(PasswordPolicyError::InsufficientPasswordQuality);
        let text = format!("the new password has more than {MAX_OCTETS} octets");
        return Err(unfit(ResultCode::ConstraintViolation, quality, text));
    }
    Ok(())
}

fn wrong() -> ChangeFailure {
    unfit(ResultCode::InvalidCredentials, None, "the old password is wrong")
}

/// The old password, as text.
pub(super) fn old(octets: &[u8]) -> Result<&str, ChangeFailure> {
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
    let text = format!("the new password needs at least {least} characters");
    let policy = Some(PasswordPolicyError::PasswordTooShort);
    Err(unfit(ResultCode::ConstraintViolation, policy, text))
}

/// Python's white space.
fn is_cut_off(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}
