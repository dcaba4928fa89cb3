//! What follows when authentik has judged a bind or finished a password change: the answer, and who is bound from then on.
//!
//! Must not know how either was judged, nor what else the connection does.

use std::sync::Arc;
use std::time::Instant;

use crate::clock;
use crate::outpost::access::Ending;
use crate::outpost::bind::BindAnswer;
use crate::outpost::password::PasswordAnswer;
use akldap_ldap::message::OperationKind;
use akldap_ldap::response;

use super::super::super::operation::{self, Answer, password};
use super::super::super::poll_on_wake::PollOnWake;
use super::super::super::session::LdapSession;
use super::super::awaited::Awaited;

/// A judged bind.
pub(super) struct EndedBind {
    pub(super) message_id: u32,
    pub(super) started: Instant,
    pub(super) answer: BindAnswer,
    /// The client asked for password policy information.
    pub(super) policy: bool,
}

impl EndedBind {
    /// What a bind that was awaited is answered.
    pub(super) fn of(bind: &Awaited, answer: BindAnswer) -> Self {
        Self {
            message_id: bind.message_id,
            started: bind.started,
            answer,
            policy: bind.policy,
        }
    }
}

/// Takes the judgement of a bind: the only place where a connection gains an identity. Returns what resolves when that is
/// withdrawn.
pub(super) fn take_identity(
    session: &mut LdapSession,
    bind: EndedBind,
    output: &mut Vec<u8>,
) -> Option<PollOnWake<Ending>> {
    let answer = bind.answer;
    let request = session.request_id(bind.message_id);
    let took = clock::since(bind.started);
    session.outpost.binds().observe(request, &answer, took);
    if let Some(tag) = OperationKind::Bind.response_tag() {
        let policy = bind
            .policy
            .then(|| operation::policy_of(session, &answer))
            .flatten();
        let control = policy.as_deref().map(operation::policy_control);
        response::write_result(output, bind.message_id, tag, answer.result(), control.as_slice());
    }
    session.identity = answer.into_identity();
    let identity = session.identity.as_ref();
    identity.map(|identity| PollOnWake::new(Arc::clone(identity).ended()))
}

/// Counts a password change that has ended. Returns what it is answered.
pub(super) fn answer_to_change(session: &LdapSession, change: &Awaited, answer: PasswordAnswer) -> Answer {
    let took = clock::since(change.started);
    operation::settled(session, change.message_id, change.kind, answer.result.code, took);
    password::answer(answer, change.policy)
}
