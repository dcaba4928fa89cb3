//! Extended operations (RFC 4511 section 4.12): StartTLS, Who am I, Cancel, and a clear word for password changes.

use crate::metrics::RejectReason;
use akldap_ldap::ber::{self, Reader};
use akldap_ldap::message::{ExtendedRequest, OperationKind};
use akldap_ldap::response::{self, LdapResult, ResultCode};

use super::super::session::{Action, Session};

/// StartTLS, RFC 4511 section 4.14.
pub(in crate::server) const START_TLS: &str = "1.3.6.1.4.1.1466.20037";
/// Who am I, RFC 4532.
const WHO_AM_I: &str = "1.3.6.1.4.1.4203.1.11.3";
/// Cancel, RFC 3909.
const CANCEL: &str = "1.3.6.1.1.8";
/// Password Modify, RFC 3062. Refused, so not advertised.
const PASSWORD_MODIFY: &str = "1.3.6.1.4.1.4203.1.11.1";

/// What the rootDSE says under supportedExtension.
pub(in crate::server) const SUPPORTED: &[&str] = &[START_TLS, WHO_AM_I, CANCEL];

/// Carries out an extended operation.
pub(in crate::server) fn run(
    session: &mut Session,
    message_id: u32,
    request: &ExtendedRequest,
    busy: bool,
    out: &mut Vec<u8>,
) -> Action {
    let (result, name, value) = match request.name.as_str() {
        START_TLS => return start_tls(session, message_id, request, busy, out),
        CANCEL => match cancel_target(request) {
            Some(target) => return Action::Cancel { message_id, target },
            None => (
                LdapResult::new(ResultCode::ProtocolError, "a cancel names a message id"),
                None,
                None,
            ),
        },
        WHO_AM_I if request.value.is_some() => (
            LdapResult::new(ResultCode::ProtocolError, "Who am I takes no value"),
            None,
            None,
        ),
        WHO_AM_I => (LdapResult::success(), None, Some(authorization_id(session))),
        PASSWORD_MODIFY => (password_unchangeable(), None, None),
        other => {
            let name = response::excerpt(other.as_bytes());
            let text = format!("extended operation \"{name}\" is not supported");
            (LdapResult::new(ResultCode::ProtocolError, text), None, None)
        }
    };
    if result.code == ResultCode::ProtocolError {
        session.count_refusal(OperationKind::Extended, RejectReason::ProtocolError);
    }
    response::write_extended(out, message_id, &result, name, value.as_deref());
    Action::Done
}

/// RFC 4532: `dn:` and the DN of who is bound, nothing for the anonymous. `u:` and the name for somebody who bound with a name
/// that is no DN and whom the directory does not know (RFC 4513 section 5.2.1.8).
fn authorization_id(session: &Session) -> Vec<u8> {
    let Some(identity) = &session.identity else {
        return Vec::new();
    };
    let name = session.outpost.bound_dn(identity);
    let kind = if name.contains('=') { "dn" } else { "u" };
    format!("{kind}:{name}").into_bytes()
}

/// To a new password, by the extended operation or by a modify. Nextcloud shows this code's text to whoever asked, and takes
/// `unwillingToPerform` for success.
pub(in crate::server) fn password_unchangeable() -> LdapResult {
    LdapResult::new(
        ResultCode::ConstraintViolation,
        "passwords are changed in authentik: in the user settings or by its recovery flow",
    )
}

fn start_tls(
    session: &mut Session,
    message_id: u32,
    request: &ExtendedRequest,
    busy: bool,
    out: &mut Vec<u8>,
) -> Action {
    let refusal = if request.value.is_some() {
        Some((ResultCode::ProtocolError, "StartTLS takes no value"))
    } else if session.secure {
        Some((ResultCode::OperationsError, "TLS is already in place"))
    } else if busy {
        Some((
            ResultCode::OperationsError,
            "StartTLS must wait until no other operation is under way",
        ))
    } else {
        None
    };
    if let Some((ResultCode::ProtocolError, _)) = refusal {
        session.count_refusal(OperationKind::Extended, RejectReason::ProtocolError);
    }
    let result = refusal.map_or_else(LdapResult::success, |(code, text)| LdapResult::new(code, text));
    response::write_extended(out, message_id, &result, Some(START_TLS), None);
    if result.code == ResultCode::Success {
        Action::StartTls
    } else {
        Action::Done
    }
}

/// The value of a cancel request: `SEQUENCE { cancelID MessageID }`.
fn cancel_target(request: &ExtendedRequest) -> Option<u32> {
    let mut outer = Reader::new(request.value.as_deref()?);
    let mut sequence = outer.constructed(ber::SEQUENCE).ok()?;
    let target = sequence.max_int().ok()?;
    sequence.end_of_sequence(&[ber::INTEGER]).ok()?;
    outer.end().ok()?;
    Some(target)
}
