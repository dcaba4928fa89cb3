//! What a change of a password is answered with. Must not know how that is written.

use zeroize::Zeroizing;

use crate::outpost::access::Rekeying;
use akldap_ldap::control::PasswordPolicyError;
use akldap_ldap::response::{LdapResult, ResultCode};

use super::failure::ChangeFailure;

/// The answer to a change.
pub struct PasswordAnswer {
    /// What the client is told.
    pub result: LdapResult,
    /// What a policy has against it, for whoever asked for that control.
    pub policy: Option<PasswordPolicyError>,
    /// The generated password.
    pub generated: Option<Zeroizing<String>>,
    /// Kept until the client was told: a session whose key is lost may end the connection.
    pub(super) _rekeying: Option<Rekeying>,
}

impl PasswordAnswer {
    /// Success. Only a password that was shown to be right is answered like this.
    pub(super) fn changed(generated: Option<Zeroizing<String>>) -> Self {
        Self {
            result: LdapResult::success(),
            policy: None,
            generated,
            _rekeying: None,
        }
    }

    /// Success with a generated password.
    #[cfg(test)]
    pub(crate) fn of_generated(password: &str) -> Self {
        Self::changed(Some(Zeroizing::new(password.to_owned())))
    }
}

impl From<ChangeFailure> for PasswordAnswer {
    fn from(failure: ChangeFailure) -> Self {
        let mut result = failure.refusal.result;
        if result.code == ResultCode::Success {
            result = LdapResult::new(ResultCode::Other, super::failure::CHANGED_OR_NOT);
        }
        Self {
            result,
            policy: failure.refusal.policy,
            generated: None,
            _rekeying: None,
        }
    }
}
