//! A password change, whichever operation asks for it: what must be true before it begins, and how it is answered.
//!
//! Must not know how a password is changed.

use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::metrics::{RejectReason, RequestType};
use crate::outpost::access::Identity;
use crate::outpost::bind::Origin;
use crate::outpost::password::{
    PasswordAnswer, PasswordChanges, PasswordRequest, RefusedRequest, WhosePassword,
};
use akldap_ldap::control::PasswordPolicyError;
use akldap_ldap::message::{Message, OperationKind, PASSWORD_ATTRIBUTE};
use akldap_ldap::password_modify::{PASSWORD_MODIFY, encode_generated};
use akldap_ldap::response::{LdapResult, ResultCode};

use crate::server::session::LdapSession;

use super::controls;
use super::outcome::{Answer, Outcome};
use super::waiting::AwaitedFuture;
use hash::is_hash;
use pending::PasswordFuture;

mod hash;
pub(crate) mod pending;

/// The attribute in which clients of Active Directory set passwords ([MS-ADTS] 3.1.1.3.1.5.1).
const ACTIVE_DIRECTORY: &str = "unicodePwd";

/// What is asked, as the request has it.
pub(super) struct Asked<'a> {
    pub(super) old: Option<&'a [u8]>,
    pub(super) new: Option<&'a [u8]>,
}

/// Why no password can be changed here, whatever is asked; `None` where one can: who is bound where that is off is told so, as is
/// everybody where it is off everywhere. Before authentik has named the providers, nobody knows whether it is off there.
pub(super) fn impossible(session: &LdapSession) -> Option<Answer> {
    let passwords = session.outpost.passwords();
    let on = match &session.identity {
        Some(identity) => passwords.is_on_at(identity.provider()),
        None => passwords.is_on(),
    };
    match (on, passwords.may_be_on_later()) {
        (true, _) => None,
        (false, false) => Some(off()),
        (false, true) if !session.secure => Some(in_clear()),
        (false, true) => {
            let text = "the configuration has not been loaded from authentik yet";
            let reason = RejectReason::Unavailable;
            Some(Answer::refused(reason, ResultCode::Unavailable, text))
        }
    }
}

/// Where nothing changes passwords. Nextcloud shows this code's text to whoever asked, and takes `unwillingToPerform` for success.
fn off() -> Answer {
    let text = "passwords are changed in authentik: in the user settings or by its recovery flow";
    Answer::from(LdapResult::new(ResultCode::ConstraintViolation, text))
}

/// The answer to a request that cannot be read, or is no change of a password, and that may hold one in clear, by the names in its
/// octets; `None` if it is to be told what is wrong with it.
pub(crate) fn unreadable_in_clear(
    session: &LdapSession,
    kind: OperationKind,
    octets: &[u8],
) -> Option<Answer> {
    let named = |name: &[u8]| {
        octets
            .windows(name.len())
            .any(|octets| octets.eq_ignore_ascii_case(name))
    };
    let may_hold_password = match kind {
        OperationKind::Extended => named(PASSWORD_MODIFY.as_bytes()),
        OperationKind::Modify | OperationKind::Add => {
            named(ACTIVE_DIRECTORY.as_bytes()) || PASSWORD_ATTRIBUTE.iter().any(|name| named(name.as_bytes()))
        }
        _ => false,
    };
    let passwords = session.outpost.passwords();
    let on = || passwords.is_on() || passwords.may_be_on_later();
    (may_hold_password && !session.secure && on()).then(in_clear)
}

/// The answer to a request for a change that comes in clear, whatever else is wrong with it.
pub(super) fn unencrypted(session: &LdapSession) -> Option<Answer> {
    (!session.secure).then(in_clear)
}

fn in_clear() -> Answer {
    Answer::refused(
        RejectReason::ConfidentialityRequired,
        ResultCode::ConfidentialityRequired,
        "passwords are changed over TLS only: use StartTLS or the LDAPS port",
    )
}

/// Begins a change, unless what is `asked` does not have the shape of one. What is refused at once is recorded, too.
pub(super) fn run(
    session: &LdapSession,
    message: &Message<'_>,
    started: Instant,
    whose: WhosePassword,
    asked: Result<Asked<'_>, Answer>,
) -> Outcome {
    let policy = controls::asks_for_policy(&message.controls);
    let (identity, asked) = match admit(session, asked) {
        Ok(admitted) => admitted,
        Err(refusal) => {
            session.outpost.passwords().refused(&RefusedRequest {
                identity: session.identity.as_ref(),
                whose: &whose,
                client: session.client,
                id: session.request_id(message.message_id),
                result: &refusal.result,
            });
            return Outcome::Answer(Answer {
                policy: policy.then_some(refusal.policy.flatten()),
                ..refusal
            });
        }
    };
    let secret = |octets: &[u8]| Zeroizing::new(octets.to_vec());
    let request = PasswordRequest {
        identity: Arc::clone(identity),
        whose,
        old: asked.old.map(secret),
        new: asked.new.map(secret),
        origin: Origin {
            client: session.client,
            proxy: session.proxy,
        },
        id: session.request_id(message.message_id),
    };
    let left = CancellationToken::new();
    let answer = session.outpost.passwords().begin(request, left.clone());
    Outcome::Waits {
        started,
        policy,
        question: AwaitedFuture::Password(PasswordFuture::new(answer, left)),
    }
}

/// What must be true before a change is begun.
fn admit<'a, 'b>(
    session: &'a LdapSession,
    asked: Result<Asked<'b>, Answer>,
) -> Result<(&'a Arc<Identity>, Asked<'b>), Answer> {
    if let Some(refusal) = unencrypted(session) {
        return Err(refusal);
    }
    let Some(identity) = &session.identity else {
        return Err(Answer {
            policy: Some(Some(PasswordPolicyError::PasswordModNotAllowed)),
            ..Answer::refused(
                RejectReason::EmptyBindDn,
                ResultCode::InsufficientAccessRights,
                "bind first: only a bound client can change a password",
            )
        });
    };
    let asked = asked?;
    PasswordChanges::lengths(asked.old, asked.new).map_err(|refusal| answer(refusal, true))?;
    if asked.old.is_some_and(is_hash) || asked.new.is_some_and(is_hash) {
        let text = "the password must be sent as it is typed: authentik's policies cannot judge a hash";
        return Err(Answer {
            policy: Some(Some(PasswordPolicyError::InsufficientPasswordQuality)),
            ..Answer::from(LdapResult::new(ResultCode::ConstraintViolation, text))
        });
    }
    Ok((identity, asked))
}

/// How a change is answered, which is to be written at once; `policy`: the client wants to hear of a password policy.
pub(crate) fn answer(answer: PasswordAnswer, policy: bool) -> Answer {
    let generated = answer.generated;
    Answer {
        value: generated.map(|password| encode_generated(password.as_bytes())),
        policy: policy.then_some(answer.policy),
        ..Answer::from(answer.result)
    }
}

/// Under which kind of request a change is counted.
pub(crate) fn request_type(kind: OperationKind) -> RequestType {
    match kind {
        OperationKind::Extended => RequestType::Extended,
        _ => RequestType::Update,
    }
}
