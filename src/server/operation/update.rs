//! Add, delete, modify and modify DN (RFC 4511 sections 4.6 to 4.9): nothing can be changed here, and the answer says where
//! it can.

use akldap_ldap::message::Update;
use akldap_ldap::response::{LdapResult, ResultCode};

use crate::server::request;

use super::outcome::Answer;

/// The answer to any of them.
pub(super) fn refuse(update: &Update) -> Answer {
    if request::is_of_password(update) {
        return password_unchangeable();
    }
    Answer::from(LdapResult::new(
        ResultCode::InsufficientAccessRights,
        "this directory is read-only: users and groups are changed in authentik",
    ))
}

/// To a new password, by the extended operation or by a modify. Nextcloud shows this code's text to whoever asked, and takes
/// `unwillingToPerform` for success.
pub(super) fn password_unchangeable() -> Answer {
    Answer::from(LdapResult::new(
        ResultCode::ConstraintViolation,
        "passwords are changed in authentik: in the user settings or by its recovery flow",
    ))
}
