//! What follows when authentik has judged a bind or ended a change of a password: the answer, and who is bound from then on.
//!
//! Must not know how either was judged.

use std::sync::Arc;
use std::time::Instant;

use crate::clock;
use crate::outpost::bind::BindAnswer;
use akldap_ldap::message::OperationKind;
use akldap_ldap::response;

use super::super::super::operation::waiting::AwaitedEnd;
use super::super::super::operation::{self, password};
use super::super::super::poll_on_wake::PollOnWake;
use super::Dispatcher;

impl Dispatcher<'_> {
    /// Takes what came of what authentik was asked.
    pub(in crate::server::connection) fn settled(&mut self, settled: AwaitedEnd) {
        let Some(awaited) = self.awaited.take() else {
            return;
        };
        match settled {
            AwaitedEnd::Bound(answer) => {
                self.take_identity(awaited.message_id, awaited.started, answer, awaited.policy);
            }
            AwaitedEnd::Changed(answer) => {
                let (kind, took) = (awaited.kind, clock::since(awaited.started));
                let code = answer.result.code;
                operation::settled(self.session, awaited.message_id, kind, code, took);
                password::answer(answer, awaited.policy).write(
                    awaited.message_id,
                    kind,
                    self.output.octets(),
                );
            }
        }
    }

    /// Takes the judgement of a bind: the only place where a connection gains an identity. `policy`: the client wants to hear
    /// of a password policy.
    pub(super) fn take_identity(
        &mut self,
        message_id: u32,
        started: Instant,
        answer: BindAnswer,
        policy: bool,
    ) {
        let request = self.session.request_id(message_id);
        self.session
            .outpost
            .binds()
            .observe(request, &answer, clock::since(started));
        if let Some(tag) = OperationKind::Bind.response_tag() {
            let policy = policy
                .then(|| operation::policy_of(self.session, &answer))
                .flatten();
            let control = policy.as_deref().map(operation::policy_control);
            let output = self.output.octets();
            response::write_result(output, message_id, tag, answer.result(), control.as_slice());
        }
        self.session.identity = answer.into_identity();
        let identity = self.session.identity.as_ref();
        self.ending = identity.map(|identity| PollOnWake::new(Arc::clone(identity).ended()));
    }
}
