//! From octets to requests, and from their outcomes to what follows: the one place where requests become answers, searches
//! and binds under way, a new identity, or the end of the connection.
//!
//! Must not know the stream, nor what the operations do.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use crate::outpost::access::Ending;
use akldap_ldap::frame::{self, Frame, FrameError};
use akldap_ldap::message::{MessageError, Operation, OperationKind};
use akldap_ldap::response::{self, LdapResult, ResultCode};

use super::super::log_limit::{LogLimit, Topic};
use super::super::operation::waiting::AwaitedEnd;
use super::super::operation::{self, Answer, Outcome};
use super::super::poll_on_wake::PollOnWake;
use super::super::request;
use super::super::session::LdapSession;
use super::super::wrong_protocol::{self, Expected};
use super::awaited::Awaited;
use super::awaited_look::AwaitedLook;
use super::input::Input;
use super::log_hints;
use super::output::{Output, WRITE_SIZE};
use super::phase::ConnectionPhase;
use searches::SearchesUnderWay;
use settling::EndedBind;

mod searches;
mod settling;

/// A bind under way holds its name and secret once for itself and once for the judgement that equal ones share; a password
/// change holds what was sent, and what authentik is asked with it.
const COPIES: usize = 2;

/// The requests of a connection.
pub(super) struct Dispatcher<'a> {
    pub(super) session: &'a mut LdapSession,
    log_limit: &'a LogLimit,
    expected: Expected,
    /// What was logged about this connection, so that searches take the lock of the log's memory only once per topic.
    noticed: HashSet<Topic>,
    pub(super) input: Input,
    pub(super) output: Output,
    /// Since when part of a message has been there and the rest awaited.
    partial_since: Option<Instant>,
    searches: SearchesUnderWay,
    awaited: Option<Awaited>,
    pub(super) awaited_look: AwaitedLook,
    /// Resolves when the bound identity is revoked; present only while somebody is bound.
    ending: Option<PollOnWake<Ending>>,
    state: ConnectionPhase,
}

impl<'a> Dispatcher<'a> {
    pub(super) fn new(session: &'a mut LdapSession, log_limit: &'a LogLimit, expected: Expected) -> Self {
        Self {
            session,
            log_limit,
            expected,
            noticed: HashSet::new(),
            input: Input::new(),
            output: Output::default(),
            partial_since: None,
            searches: SearchesUnderWay::default(),
            awaited: None,
            awaited_look: AwaitedLook::default(),
            ending: None,
            state: ConnectionPhase::Open,
        }
    }

    pub(super) fn state(&self) -> ConnectionPhase {
        self.state
    }

    /// Whether operations are under way.
    pub(super) fn is_busy(&self) -> bool {
        !self.searches.is_empty() || self.is_awaiting()
    }

    /// Whether authentik is being asked for the client.
    pub(super) fn is_awaiting(&self) -> bool {
        self.awaited.is_some() || self.awaited_look.is_pending()
    }

    /// Searches under way.
    pub(super) fn searches(&self) -> usize {
        self.searches.len()
    }

    /// Since when part of a message has been there and the rest awaited.
    pub(super) fn partial_since(&self) -> Option<Instant> {
        self.partial_since
    }

    /// Octets that requests and answers hold.
    pub(super) fn memory(&self) -> usize {
        let searches = self.searches.memory();
        let awaited = self.awaited.as_ref().map_or(0, |awaited| awaited.size);
        let identity = self.session.identity.as_ref();
        let name = identity.map_or(0, |identity| identity.dn().len());
        self.input.capacity() + self.output.capacity() + searches + awaited + name
    }

    /// Whether more input may be read: never more than one message beyond what is being worked on.
    pub(super) fn wants_input(&self) -> bool {
        self.state == ConnectionPhase::Open && self.input.len() <= self.session.message_limit()
    }

    /// Whether searches should be driven: not while answers wait to be written.
    pub(super) fn wants_to_advance(&self) -> bool {
        !self.searches.is_empty() && self.output.is_empty() && self.awaited.is_none()
    }

    /// The client sends no more.
    pub(super) fn input_ended(&mut self) {
        self.state = ConnectionPhase::Draining;
        if let Some(awaited) = &self.awaited {
            awaited.client_left();
        }
    }

    /// The server ends.
    pub(super) fn shut_down(&mut self) {
        self.state = ConnectionPhase::ShuttingDown;
        // The rest of a message is no longer awaited.
        self.partial_since = None;
    }

    /// Waits for what authentik is being asked.
    pub(super) fn poll_awaited(&mut self, context: &mut Context<'_>) -> Poll<AwaitedEnd> {
        match &mut self.awaited {
            Some(awaited) => awaited.poll(context),
            None => Poll::Pending,
        }
    }

    /// Waits for the bound identity to be withdrawn.
    pub(super) fn poll_revoked(&mut self, context: &Context<'_>) -> Poll<Ending> {
        let Some(ending) = &mut self.ending else {
            return Poll::Pending;
        };
        let revoked = ending.poll(context);
        if revoked.is_ready() {
            self.ending = None;
        }
        revoked
    }

    /// Waits for a directory that searches read to become too old.
    pub(super) fn poll_retired(&mut self, context: &Context<'_>) -> Poll<()> {
        self.searches.poll_retired(context)
    }

    /// Carries out the requests that are whole in the buffer.
    pub(super) fn process(&mut self) {
        // Only a message whose rest we await from the client runs out of time, not one that waits for us.
        let mut since = self.partial_since.take();
        while !self.is_awaiting()
            && matches!(
                self.state,
                ConnectionPhase::Open | ConnectionPhase::Draining | ConnectionPhase::ShuttingDown
            )
            && self.output.len() < WRITE_SIZE
        {
            match frame::split(self.input.pending(), self.session.message_limit()) {
                Ok(Frame::Complete { length }) => {
                    if !self.request(length) {
                        break;
                    }
                    since = None;
                }
                Ok(Frame::Incomplete { .. }) => {
                    if self.input.len() > 0 && self.state != ConnectionPhase::ShuttingDown {
                        self.partial_since = Some(since.unwrap_or_else(Instant::now));
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
        let busy = !self.searches.is_empty();
        let message = match request::decode(frame) {
            Ok(message) => message,
            Err(error) => {
                let in_clear = match &error {
                    MessageError::Operation { kind, .. } => {
                        operation::password::unreadable_in_clear(self.session, *kind, frame)
                    }
                    _ => None,
                };
                // Whatever it was meant to be, it may contain a password.
                self.input.take(length, true);
                self.malformed(&error, in_clear);
                return true;
            }
        };
        let (message_id, kind) = (message.message_id, message.operation.kind());
        // RFC 4511 section 4.2.1: a bind is processed when no other operation is outstanding.
        if busy && (kind == OperationKind::Bind || self.searches.is_full()) {
            return false;
        }
        if kind == OperationKind::Bind {
            // RFC 4511 section 4.2.1: a bind request makes the session anonymous until it succeeds, also one that is refused
            // before it is judged.
            (self.session.identity, self.ending) = (None, None);
        }
        let (session, output) = (&*self.session, &mut self.output);
        let base_object = operation::base_object(&message);
        let Some(confirmed) = self.awaited_look.confirms(session, &message, &base_object) else {
            return false;
        };
        let start = output.len();
        let mut topic = None;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut outcome = match confirmed {
                true => operation::run(session, &message, &base_object, busy),
                false => operation::unconfirmed(session, &message),
            };
            topic = log_hints::topic_of(session, &message, &outcome);
            if let Outcome::Search(search) = &mut outcome {
                if search.first_step(output.octets()) {
                    output.begin_record_at(search.done_at());
                    return None;
                }
                search.goes_on(&message.operation);
            }
            Some(outcome)
        }));
        let outcome = outcome.unwrap_or_else(|_| {
            output.truncate(start);
            let result = LdapResult::new(ResultCode::Other, "internal error");
            Some(Outcome::Answer(result.into()))
        });
        let secret = matches!(
            message.operation,
            Operation::Bind(_) | Operation::Extended(_) | Operation::Update(_)
        );
        self.input.take(length, secret);
        if let Some(topic) = topic
            && self.noticed.insert(topic)
            && self.is_news(topic)
        {
            log_hints::tell(self.session, message_id, topic);
        }
        if let Some(outcome) = outcome {
            self.dispatch(message_id, kind, outcome);
        }
        if let Some(awaited) = &mut self.awaited {
            awaited.size = length * COPIES;
        }
        true
    }

    /// Does what the outcome of a request says.
    fn dispatch(&mut self, message_id: u32, kind: OperationKind, outcome: Outcome) {
        match outcome {
            Outcome::Answer(answer) => self.write(&answer, message_id, kind),
            Outcome::Search(search) => {
                if self.searches.begin(search) {
                    // A directory may have been installed since the search began.
                    self.end_retired();
                }
            }
            Outcome::Bound {
                started,
                answer,
                policy,
            } => self.bound(EndedBind {
                message_id,
                started,
                answer,
                policy,
            }),
            Outcome::Waits {
                started,
                policy,
                question,
            } => {
                let awaited = Awaited::new(message_id, kind, started, policy, question);
                if self.state == ConnectionPhase::Draining {
                    awaited.client_left();
                }
                self.awaited = Some(awaited);
            }
            Outcome::StartTls => {
                let success = Answer {
                    name: Some(operation::START_TLS),
                    ..Answer::from(LdapResult::success())
                };
                success.write(message_id, kind, self.output.octets());
                // Octets that follow the request came in plain text and must not survive into the secure session.
                self.input.clear();
                self.state = ConnectionPhase::StartingTls;
            }
            Outcome::Abandon(target) => self.searches.abandon(target),
            Outcome::Cancel(target) => {
                let result = self.searches.cancel(target, &mut self.output);
                operation::count(self.session, kind, result.code.number(), Duration::ZERO);
                Answer::from(result).write(message_id, kind, self.output.octets());
            }
            Outcome::Close => {
                self.searches.clear();
                self.state = ConnectionPhase::Closing;
            }
        }
    }

    /// Takes the outcome of what authentik was asked.
    pub(super) fn settled(&mut self, settled: AwaitedEnd) {
        let Some(awaited) = self.awaited.take() else {
            return;
        };
        match settled {
            AwaitedEnd::Bound(answer) => self.bound(EndedBind::of(&awaited, answer)),
            AwaitedEnd::Changed(answer) => {
                let answer = settling::answer_to_change(self.session, &awaited, answer);
                self.write(&answer, awaited.message_id, awaited.kind);
            }
        }
    }

    /// Writes an answer, whose value may be a password.
    fn write(&mut self, answer: &Answer, message_id: u32, kind: OperationKind) {
        if answer.value.is_some() {
            self.output.holds_secret();
        }
        answer.write(message_id, kind, self.output.octets());
    }

    fn bound(&mut self, bind: EndedBind) {
        self.ending = settling::take_identity(self.session, bind, self.output.octets());
    }

    fn malformed(&mut self, error: &MessageError, in_clear: Option<Answer>) {
        let (client, connection) = (self.session.client, self.session.connection);
        match error {
            MessageError::Operation {
                message_id,
                kind,
                reason,
            } => {
                let request = self.session.request_id(*message_id);
                tracing::debug!(connection, requestId = %request, %client, %error, "malformed request");
                if *kind == OperationKind::Bind {
                    (self.session.identity, self.ending) = (None, None);
                }
                let text = error.to_string();
                let outcome = operation::malformed(self.session, *message_id, *kind, reason, text, in_clear);
                self.dispatch(*message_id, *kind, outcome);
            }
            MessageError::Envelope(_) | MessageError::UnknownOperation { .. } => {
                tracing::debug!(connection, %client, %error, "malformed request");
                self.disconnect(&LdapResult::new(ResultCode::ProtocolError, error.to_string()));
            }
        }
    }

    fn broken_framing(&mut self, error: &FrameError) {
        self.session.count_limit_of_frame(error);
        let (client, connection) = (self.session.client, self.session.connection);
        match wrong_protocol::explain(self.input.pending(), self.expected) {
            Some(explanation) if self.is_news(Topic::Protocol) => {
                tracing::warn!(connection, %client, "{explanation}")
            }
            _ => tracing::debug!(connection, %client, %error, "broken framing"),
        }
        self.disconnect(&LdapResult::new(ResultCode::ProtocolError, error.to_string()));
    }

    fn is_news(&self, topic: Topic) -> bool {
        let now = crate::clock::now();
        self.log_limit.is_news(self.session.client, topic, now)
    }

    /// Drives the searches under way, each one step after the other.
    pub(super) fn advance(&mut self) {
        if self.searches.advance(&mut self.output) {
            self.process();
        }
    }

    /// Ends the searches that read a directory that two newer ones have followed.
    pub(super) fn end_retired(&mut self) {
        let retirements = self.session.outpost.directory().retirements();
        let ended = self.searches.end_retired(retirements, &mut self.output);
        if ended > 0 && self.is_news(Topic::Retired) {
            tracing::info!(
                connection = self.session.connection,
                client = %self.session.client,
                searches = ended,
                "searches were ended because their client read slowly and the directory changed twice \
                 meanwhile"
            );
        }
        self.process();
    }

    /// Says why (RFC 4511 section 4.4.1), then ends the connection.
    pub(super) fn disconnect(&mut self, result: &LdapResult) {
        self.searches.clear();
        self.awaited = None;
        self.awaited_look.give_up();
        (self.session.identity, self.ending) = (None, None);
        if self.state != ConnectionPhase::Closing {
            response::write_notice_of_disconnection(self.output.octets(), result);
        }
        self.state = ConnectionPhase::Closing;
    }

    /// The same, but forgets what was read: for a connection that holds too much.
    pub(super) fn dismiss(&mut self, result: &LdapResult) {
        self.disconnect(result);
        self.input = Input::new();
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use tokio_util::sync::CancellationToken;

    use super::super::super::config::ServerConfig;
    use super::super::super::operation::password::pending::PasswordFuture;
    use super::super::super::operation::waiting::AwaitedFuture;
    use super::*;
    use crate::clock;
    use crate::outpost::Outpost;
    use crate::outpost::password::PasswordAnswer;

    #[tokio::test]
    async fn a_generated_password_is_overwritten_where_it_was_written() {
        let (config, log_limit) = (Arc::new(ServerConfig::of_defaults()), LogLimit::default());
        let client = IpAddr::from([192, 0, 2, 1]);
        let outpost = Outpost::of_bases(&["dc=io"]);
        let mut session = LdapSession::new(outpost, config, [0; 32], 1, client.into(), true);
        let mut dispatcher = Dispatcher::new(&mut session, &log_limit, Expected::Ldap);
        let change = PasswordFuture::new(std::future::pending(), CancellationToken::new());
        let question = AwaitedFuture::Password(change);
        let kind = OperationKind::Extended;
        dispatcher.awaited = Some(Awaited::new(1, kind, clock::now(), false, question));
        dispatcher.settled(AwaitedEnd::Changed(PasswordAnswer::of_generated("Sesame")));
        let written = dispatcher.output.octets();
        assert!(written.windows(6).any(|octets| octets == b"Sesame"));
        assert!(dispatcher.output.is_secret());
    }
}
