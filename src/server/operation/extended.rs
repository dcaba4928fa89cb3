//! Extended operations (RFC 4511 section 4.12): StartTLS, Who am I, Cancel, and Password Modify where passwords can be changed.

use std::time::Instant;

use crate::clock;
use crate::metrics::{RejectReason, RequestType};
use crate::outpost::password::WhosePassword;
use akldap_ldap::ber::{self, Reader};
use akldap_ldap::message::{ExtendedRequest, Message};
use akldap_ldap::password_modify::PasswordModify;
use akldap_ldap::response::{self, LdapResult, ResultCode};

use crate::server::session::LdapSession;

use super::controls;
use super::outcome::{Answer, Outcome};
use super::password::{self, Asked};

/// StartTLS, RFC 4511 section 4.14.
pub(crate) const START_TLS: &str = "1.3.6.1.4.1.1466.20037";
/// Who am I, RFC 4532.
const WHO_AM_I: &str = "1.3.6.1.4.1.4203.1.11.3";
/// Cancel, RFC 3909.
const CANCEL: &str = "1.3.6.1.1.8";

/// What the rootDSE says under supportedExtension, besides Password Modify where passwords can be changed.
pub(super) const SUPPORTED: &[&str] = &[START_TLS, WHO_AM_I, CANCEL];

/// Carries out a Password Modify (RFC 3062), or says where passwords are changed.
pub(super) fn modify_password(
    session: &LdapSession,
    request: &ExtendedRequest,
    message: &Message<'_>,
    started: Instant,
) -> Outcome {
    if let Some(answer) = password::impossible(session) {
        session.metrics(|metrics| metrics.observe(RequestType::Extended, clock::since(started)));
        return Outcome::Answer(answer);
    }
    let value = request.value.as_ref().map(|value| value.as_slice());
    match PasswordModify::read(value) {
        Ok(asked) => {
            let whose = match asked.user_identity {
                Some(name) => WhosePassword::Identity(name.to_vec()),
                None => WhosePassword::Bound,
            };
            let (old, new) = (asked.old_password, asked.new_password);
            password::run(session, message, started, whose, Ok(Asked { old, new }))
        }
        // Whom it is about cannot be read, so it is not an attempt that could be recorded.
        Err(error) => {
            let malformed = || {
                Answer::refused(
                    RejectReason::ProtocolError,
                    ResultCode::ProtocolError,
                    format!("malformed Password Modify request: {error}"),
                )
            };
            Outcome::Answer(Answer {
                policy: controls::asks_for_policy(&message.controls).then_some(None),
                ..password::unencrypted(session).unwrap_or_else(malformed)
            })
        }
    }
}

/// Carries out an extended operation; `busy` is true while other operations of the session are under way.
pub(super) fn run(session: &LdapSession, request: &ExtendedRequest, busy: bool) -> Outcome {
    let protocol_error =
        |text: String| Answer::refused(RejectReason::ProtocolError, ResultCode::ProtocolError, text);
    Outcome::Answer(match request.name.as_str() {
        START_TLS => return start_tls(session, request, busy),
        CANCEL => match cancel_target(request) {
            Some(target) => return Outcome::Cancel(target),
            None => protocol_error("a Cancel request must name a message id".to_owned()),
        },
        WHO_AM_I if request.value.is_some() => protocol_error("Who am I takes no value".to_owned()),
        WHO_AM_I => Answer {
            value: Some(authorization_id(session).into()),
            ..Answer::from(LdapResult::success())
        },
        other => {
            let name = response::excerpt(other.as_bytes());
            protocol_error(format!("extended operation \"{name}\" is not supported"))
        }
    })
}

/// RFC 4532: `dn:` and the DN of whoever is bound, nothing for anonymous clients. `u:` and the name for somebody who bound with
/// a name that is no DN and whom the directory does not know (RFC 4513 section 5.2.1.8).
fn authorization_id(session: &LdapSession) -> Vec<u8> {
    if session.identity.is_none() {
        return Vec::new();
    }
    let name = session.bound_dn();
    let kind = if name.contains('=') { "dn" } else { "u" };
    format!("{kind}:{name}").into_bytes()
}

fn start_tls(session: &LdapSession, request: &ExtendedRequest, busy: bool) -> Outcome {
    let refused = |answer: Answer| {
        Outcome::Answer(Answer {
            name: Some(START_TLS),
            ..answer
        })
    };
    let not_now = |text: &str| refused(LdapResult::new(ResultCode::OperationsError, text).into());
    if request.value.is_some() {
        let text = "StartTLS takes no value";
        return refused(Answer::refused(
            RejectReason::ProtocolError,
            ResultCode::ProtocolError,
            text,
        ));
    }
    if session.secure {
        return not_now("TLS is already in place");
    }
    if busy {
        return not_now("StartTLS must wait until no other operation is under way");
    }
    Outcome::StartTls
}

/// The value of a cancel request: `SEQUENCE { cancelID MessageID }`.
fn cancel_target(request: &ExtendedRequest) -> Option<u32> {
    let mut outer = Reader::new(request.value.as_deref()?.as_slice());
    let mut sequence = outer.constructed(ber::SEQUENCE).ok()?;
    let target = sequence.max_int().ok()?;
    sequence.end_of_sequence(&[ber::INTEGER]).ok()?;
    outer.end().ok()?;
    Some(target)
}
