//! The one operation of a connection that authentik is asked about: a bind or a change of a password. While there is one, no
//! other request is carried out.
//!
//! Must not know what follows from its outcome.

use std::task::{Context, Poll};
use std::time::Instant;

use akldap_ldap::message::OperationKind;

use super::super::operation::waiting::{AwaitedEnd, AwaitedFuture};

/// An operation under way.
pub(super) struct Awaited {
    pub(super) message_id: u32,
    pub(super) kind: OperationKind,
    pub(super) started: Instant,
    /// The client asked for password policy information.
    pub(super) policy: bool,
    /// Octets that it holds.
    pub(super) size: usize,
    pub(super) question: AwaitedFuture,
}

impl Awaited {
    /// The operation of a request.
    pub(super) fn new(
        message_id: u32,
        kind: OperationKind,
        started: Instant,
        policy: bool,
        question: AwaitedFuture,
    ) -> Self {
        Self {
            message_id,
            kind,
            started,
            policy,
            size: 0,
            question,
        }
    }

    /// Waits for the outcome.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<AwaitedEnd> {
        self.question.poll(context)
    }

    /// The client sends no more, like one that has gone. What waits for its turn ends.
    pub(super) fn client_left(&self) {
        self.question.client_left();
    }
}
