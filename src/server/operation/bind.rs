//! Bind (RFC 4511 section 4.2): anything but a simple bind of version 3 is refused here, everything else is judged by the
//! outpost.

use std::time::Instant;

use crate::metrics::RejectReason;
use crate::outpost::bind::{Begun, BindAnswer, Origin};
use akldap_ldap::control::{Control, encode_password_policy_response};
use akldap_ldap::message::{Authentication, BindRequest};
use akldap_ldap::response::{self, LdapResult, ResultCode};

use crate::server::session::LdapSession;

use super::controls;
use super::outcome::{Answer, Outcome};
use super::waiting::AwaitedFuture;

pub(crate) mod pending;

/// What is said about a password policy to a client that asked for it with a bind: nothing where passwords cannot be changed.
pub(crate) fn policy_of(session: &LdapSession, answer: &BindAnswer) -> Option<Vec<u8>> {
    let passwords = session.outpost.passwords();
    let on = answer
        .provider()
        .map_or(passwords.is_on(), |provider| passwords.is_on_at(provider));
    on.then(|| encode_password_policy_response(answer.policy()))
}

/// Begins a bind.
pub(super) fn run(
    session: &LdapSession,
    request: &BindRequest<'_>,
    controls: &[Control<'_>],
    started: Instant,
) -> Outcome {
    let policy = controls::asks_for_policy(controls) && session.outpost.passwords().is_on();
    let refused =
        |code, text: String| Outcome::Answer(Answer::refused(RejectReason::ProtocolError, code, text));
    if request.version != 3 {
        let text = format!(
            "LDAP version {} is not supported, only version 3 is",
            request.version
        );
        return refused(ResultCode::ProtocolError, text);
    }
    let secret = match request.authentication {
        Authentication::Simple(secret) => secret,
        Authentication::Sasl(mechanism) => {
            let mechanism = response::excerpt(mechanism);
            let text = format!("SASL mechanism \"{mechanism}\" is not supported, only simple binds are");
            return refused(ResultCode::AuthMethodNotSupported, text);
        }
        Authentication::Unknown(_) => {
            let text = "this authentication choice is not supported, only simple binds are";
            return refused(ResultCode::AuthMethodNotSupported, text.to_owned());
        }
    };
    if request.name.is_empty() && secret.is_empty() {
        return Outcome::Answer(LdapResult::success().into());
    }
    let origin = Origin {
        client: session.client,
        proxy: session.proxy,
    };
    match session.outpost.binds().begin(request.name, secret, origin) {
        Begun::Answered(answer) => Outcome::Bound {
            started,
            answer,
            policy,
        },
        Begun::Pending(bind) => Outcome::Waits {
            started,
            policy,
            question: AwaitedFuture::Bind(pending::run(&session.outpost, bind, session.client)),
        },
    }
}
