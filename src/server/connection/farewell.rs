//! How a connection ends before its client wants it to: what the client is told, and what the log.

use std::future::poll_fn;
use std::task::Poll;

use crate::logging::audit;
use crate::outpost::access::Ending;
use akldap_ldap::response::{self, LdapResult, ResultCode};

use super::super::crowd::Dismissal;
use super::super::log_limit::Topic;
use super::super::record::RecordStream;
use super::super::session::Session;
use super::{Connection, Event, State};

impl<S: RecordStream> Connection<'_, S> {
    /// Logs that the connection has to go; what to tell the client.
    pub(super) fn tell_dismissal(&self, dismissal: Dismissal) -> String {
        let Session {
            client, connection, ..
        } = *self.session;
        match dismissal {
            Dismissal::Place => {
                if self.is_news(Topic::Place) {
                    tracing::warn!(
                        connection,
                        %client,
                        "an unbound connection was closed because connections are short \
                         (AUTHENTIK_LDAP__MAX_CONNECTIONS)"
                    );
                }
                "connections are short, and this one has not bound: connect again, and bind at once"
                    .to_owned()
            }
            Dismissal::Memory { held } => {
                if self.is_news(Topic::Memory) {
                    tracing::warn!(
                        connection,
                        %client,
                        bind_dn = &*self.session.bound_dn(),
                        held,
                        searches = self.running.len(),
                        "a connection was closed because clients hold too much memory and it holds most of its \
                         address, which holds most (AUTHENTIK_LDAP__CLIENT_MEMORY_LIMIT)"
                    );
                }
                format!("the server is short of memory, and this connection holds {held} octets of it")
            }
        }
    }

    pub(super) fn record_revocation(&self, ending: &Ending) {
        tracing::info!(
            target: audit::TARGET,
            audit = "revocation",
            connection = self.session.connection,
            client = %self.session.client,
            bindDN = &*self.session.bound_dn(),
            cause = %ending,
            "the connection of a withdrawn login is closed"
        );
    }

    pub(super) fn too_slow(&mut self) {
        let Session {
            client, connection, ..
        } = *self.session;
        if self.is_news(Topic::Slow) {
            tracing::info!(connection, %client, "a message did not arrive in time; the connection is closed");
        }
        let text = "the message did not arrive in time";
        self.disconnect(&LdapResult::new(ResultCode::Unavailable, text));
    }

    pub(super) fn is_news(&self, topic: Topic) -> bool {
        let now = std::time::Instant::now();
        self.surroundings
            .log_limit
            .is_news(self.session.client, topic, now)
    }

    /// Says why (RFC 4511 section 4.4.1), then ends the connection.
    pub(super) fn disconnect(&mut self, result: &LdapResult) {
        self.running.clear();
        self.binding = None;
        self.ending = None;
        self.session.identity = None;
        if self.state != State::Closing {
            response::write_notice_of_disconnection(&mut self.output, result);
        }
        self.state = State::Closing;
    }

    /// At shutdown, what is under way may finish; the server as a whole limits how long that takes.
    pub(super) async fn finish_before_shutdown(&mut self) {
        while self.is_busy() {
            let event = poll_fn(|context| {
                if let Poll::Ready(event) = self.poll_write(context) {
                    return Poll::Ready(event);
                }
                if let Some(binding) = &mut self.binding
                    && let Poll::Ready(answer) = binding.answer.poll(context)
                {
                    return Poll::Ready(Event::Bound(answer));
                }
                if !self.running.is_empty() && self.output.is_empty() {
                    return Poll::Ready(Event::Advance);
                }
                Poll::Pending
            })
            .await;
            match event {
                Event::Bound(answer) => self.bound(answer),
                Event::Advance => {
                    self.advance();
                    tokio::task::consume_budget().await;
                }
                Event::Wrote(Ok(_)) => {
                    if self.written >= self.output.len() {
                        self.output.clear();
                        (self.written, self.record_at) = (0, 0);
                    }
                }
                _ => {
                    self.running.clear();
                    self.binding = None;
                }
            }
        }
    }
}
