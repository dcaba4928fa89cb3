//! Bind (RFC 4511 section 4.2): what is no simple bind of version 3 is refused here, everything else is judged by the outpost.

use std::time::Instant;

use crate::metrics::RejectReason;
use crate::outpost::bind::{Begun, Origin};
use akldap_ldap::message::{Authentication, BindRequest};
use akldap_ldap::response::{self, LdapResult, ResultCode};

use crate::server::session::LdapSession;

use super::outcome::{Answer, Outcome};

pub(crate) mod pending;

/// Begins a bind.
pub(super) fn run(session: &LdapSession, request: &BindRequest<'_>, started: Instant) -> Outcome {
    let refused =
        |code, text: String| Outcome::Answer(Answer::refused(RejectReason::ProtocolError, code, text));
    if request.version != 3 {
        let text = format!(
            "LDAP version {} is not supported, only version 3",
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
        Begun::Answered(answer) => Outcome::Bound { started, answer },
        Begun::Pending(bind) => Outcome::Bind {
            started,
            answer: pending::run(&session.outpost, bind, session.client),
        },
    }
}
