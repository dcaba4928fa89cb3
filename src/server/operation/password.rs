//! A change of a password, by whichever operation it is asked: what must be so before it begins, and how it is answered.
//!
//! Must not know how a password is changed.

use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::metrics::{RejectReason, RequestType};
use crate::outpost::bind::Origin;
use crate::outpost::password::{PasswordAnswer, PasswordRequest, WhosePassword};
use akldap_ldap::control::PasswordPolicyError;
use akldap_ldap::message::{Message, OperationKind};
use akldap_ldap::password_modify::encode_generated;
use akldap_ldap::response::ResultCode;

use crate::server::session::LdapSession;

use super::controls;
use super::outcome::{Answer, Outcome};
use super::waiting::AwaitedFuture;
use pending::PasswordFuture;

pub(crate) mod pending;

/// What is asked, as the request has it.
pub(super) struct Asked<'a> {
    pub(super) whose: WhosePassword,
    pub(super) old: Option<&'a [u8]>,
    pub(super) new: Option<&'a [u8]>,
}

/// Whether somebody's password can be changed here: who is bound where that is off is told so, as is everybody where it is
/// off everywhere.
pub(super) fn is_on(session: &LdapSession) -> bool {
    let passwords = session.outpost.passwords();
    match &session.identity {
        Some(identity) => passwords.is_on_at(identity.provider()),
        None => passwords.is_on(),
    }
}

/// Begins a change.
pub(super) fn run(
    session: &LdapSession,
    message: &Message<'_>,
    started: Instant,
    asked: Asked<'_>,
) -> Outcome {
    let policy = controls::asks_for_policy(&message.controls);
    let refused = |reason, code, text: &str| {
        let error = (code == ResultCode::InsufficientAccessRights)
            .then_some(PasswordPolicyError::PasswordModNotAllowed);
        Outcome::Answer(Answer {
            policy: policy.then_some(error),
            ..Answer::refused(reason, code, text)
        })
    };
    if !session.secure {
        return refused(
            RejectReason::ConfidentialityRequired,
            ResultCode::ConfidentialityRequired,
            "passwords are changed over TLS only: use StartTLS or the LDAPS port",
        );
    }
    let Some(identity) = &session.identity else {
        return refused(
            RejectReason::EmptyBindDn,
            ResultCode::InsufficientAccessRights,
            "bind first: a password is changed by whoever is bound",
        );
    };
    let secret = |octets: &[u8]| Zeroizing::new(octets.to_vec());
    let request = PasswordRequest {
        identity: Arc::clone(identity),
        whose: asked.whose,
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

/// How a change is answered, which is to be written at once; `policy`: the client wants to hear of a password policy.
pub(crate) fn answer(answer: PasswordAnswer, policy: bool) -> Answer {
    let generated = answer.generated;
    Answer {
        value: generated.map(|password| encode_generated(password.as_bytes()).to_vec()),
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
