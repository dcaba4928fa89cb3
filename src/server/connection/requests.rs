//! From octets to what they ask: which requests are carried out when, and what is answered to those that are none.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::time::Instant;

use crate::metrics::RejectReason;
use akldap_ldap::frame::{self, Frame, FrameError};
use akldap_ldap::message::{Message, MessageError, Operation, OperationError, OperationKind};
use akldap_ldap::response::{self, LdapResult, ResultCode};

use super::super::foreign;
use super::super::log_limit::Topic;
use super::super::record::RecordStream;
use super::super::request;
use super::super::session::{Action, Session};
use super::{Binding, Connection, State, WRITE_SIZE};

/// Searches of one connection under way at once; further requests wait in the socket.
const MAX_RUNNING: usize = 64;
/// A bind under way holds its name and its secret for itself, and for the judgement that equal ones share.
const BIND_COPIES: usize = 2;

impl<S: RecordStream> Connection<'_, S> {
    /// Carries out the requests that are whole in the buffer.
    pub(super) fn process(&mut self) {
        // Only a message whose rest is awaited from the client runs out of time, not one that waits for us.
        let mut since = self.message_since.take();
        while self.binding.is_none()
            && matches!(self.state, State::Open | State::Draining)
            && self.output.len() < WRITE_SIZE
        {
            match frame::split(self.input.pending(), self.session.message_limit(self.limits)) {
                Ok(Frame::Complete { length }) => {
                    if !self.request(length) {
                        break;
                    }
                    since = None;
                }
                Ok(Frame::Incomplete { .. }) => {
                    if self.input.len() > 0 {
                        self.message_since = Some(since.unwrap_or_else(Instant::now));
                    }
                    break;
                }
                Err(error) => {
                    self.broken_framing(&error);
                    break;
                }
            }
        }
        self.input.tidy();
    }

    /// Carries out the request in the next `length` octets of input. False if it has to wait.
    fn request(&mut self, length: usize) -> bool {
        let frame = self.input.pending().get(..length).unwrap_or_default();
        let busy = !self.running.is_empty();
        let (action, secret) = match request::decode(frame) {
            Ok(message) => {
                let secret = matches!(message.operation, Operation::Bind(_) | Operation::Extended(_));
                // RFC 4511 section 4.2.1: a bind is processed when no other operation is outstanding.
                if busy
                    && (matches!(message.operation, Operation::Bind(_)) || self.running.len() >= MAX_RUNNING)
                {
                    return false;
                }
                let (session, output) = (&mut *self.session, &mut self.output);
                let start = output.len();
                let action = catch_unwind(AssertUnwindSafe(|| session.handle(&message, busy, output)));
                let action = action.unwrap_or_else(|_| {
                    output.truncate(start);
                    internal_error(&message, output);
                    Action::Done
                });
                (action, secret)
            }
            Err(error) => {
                // Whatever it was meant to be, there may be a password in it.
                self.input.take(length, true);
                self.malformed(&error);
                return true;
            }
        };
        self.input.take(length, secret);
        self.apply(action);
        if let Some(binding) = &mut self.binding {
            binding.size = length * BIND_COPIES;
        }
        true
    }

    fn apply(&mut self, action: Action) {
        match action {
            Action::Done => {
                if self.session.identity.is_none() {
                    self.ending = None;
                }
            }
            Action::Searched { done_at } => self.record_at = done_at,
            Action::Bound {
                message_id,
                started,
                answer,
            } => self.take_identity(message_id, started, answer),
            Action::Search(running) => {
                self.running.push_back(running);
                if self.retired.is_none() {
                    // One may have been installed since the search began.
                    self.end_retired();
                }
            }
            Action::Bind {
                message_id,
                started,
                answer,
            } => {
                self.ending = None;
                if self.state == State::Draining {
                    answer.client_left();
                }
                self.binding = Some(Binding {
                    message_id,
                    started,
                    size: 0,
                    answer,
                });
            }
            Action::StartTls => {
                // Octets that follow the request came in plain text and must not survive into the secure session.
                self.input.clear();
                self.state = State::StartingTls;
            }
            Action::Abandon(target) => self.running.retain(|running| running.message_id() != target),
            Action::Cancel { message_id, target } => self.cancel(message_id, target),
            Action::Unbind => {
                self.running.clear();
                self.state = State::Closing;
            }
        }
    }

    fn cancel(&mut self, message_id: u32, target: u32) {
        let place = self
            .running
            .iter()
            .position(|running| running.message_id() == target);
        let result = match place.and_then(|place| self.running.remove(place)) {
            Some(running) => {
                self.record_at = self.output.len();
                running.cancel(&mut self.output);
                LdapResult::success()
            }
            None => LdapResult::new(ResultCode::NoSuchOperation, "no such operation is under way"),
        };
        response::write_extended(&mut self.output, message_id, &result, None, None);
    }

    fn malformed(&mut self, error: &MessageError) {
        let connection = self.session.connection;
        tracing::debug!(connection, client = %self.session.client, %error, "malformed request");
        match error {
            MessageError::Operation {
                message_id,
                kind,
                reason,
            } => {
                match kind {
                    OperationKind::Bind => {
                        self.session.forget_identity();
                        self.ending = None;
                    }
                    // However it is written, the client has said goodbye.
                    OperationKind::Unbind => return self.apply(Action::Unbind),
                    _ => {}
                }
                if let Some(tag) = kind.response_tag() {
                    let result = LdapResult::new(ResultCode::ProtocolError, error.to_string());
                    match (kind, reason) {
                        (OperationKind::Bind, _) => self.session.record_refusal(*message_id, &[], &result),
                        (_, OperationError::Filter(_)) => {
                            self.session.count_refusal(*kind, RejectReason::FilterParseFail);
                        }
                        _ => self.session.count_refusal(*kind, RejectReason::ProtocolError),
                    }
                    response::write_result(&mut self.output, *message_id, tag, &result, &[]);
                }
            }
            MessageError::Envelope(_) | MessageError::UnknownOperation { .. } => {
                self.disconnect(&LdapResult::new(ResultCode::ProtocolError, error.to_string()));
            }
        }
    }

    fn broken_framing(&mut self, error: &FrameError) {
        let Session {
            client, connection, ..
        } = *self.session;
        match foreign::explain(self.input.pending(), self.surroundings.expected) {
            Some(explanation) if self.is_news(Topic::Protocol) => {
                tracing::warn!(connection, %client, "{explanation}")
            }
            _ => tracing::debug!(connection, %client, %error, "broken framing"),
        }
        self.disconnect(&LdapResult::new(ResultCode::ProtocolError, error.to_string()));
    }
}

/// The answer to a request whose handling failed inside the server.
fn internal_error(message: &Message<'_>, output: &mut Vec<u8>) {
    if let Some(tag) = message.operation.kind().response_tag() {
        let result = LdapResult::new(ResultCode::Other, "internal error");
        response::write_result(output, message.message_id, tag, &result, &[]);
    }
}
