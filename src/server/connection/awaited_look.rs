//! What the next search in the input waits for in direct search mode: a look at authentik, and then the confirmation of the
//! users it finds. The requests behind it wait with it, as they do behind a bind. Must not know what is looked at.

use std::task::{Context, Poll};

use akldap_ldap::dn::Name;
use akldap_ldap::message::Message;
use tokio::time::Instant;

use super::super::operation;
use super::super::poll_on_wake::PollOnWake;
use super::super::session::LdapSession;

/// A look that is awaited, or what happened.
#[derive(Default)]
pub(super) struct AwaitedLook {
    look: Option<PollOnWake<bool>>,
    /// When the waiting search arrived, until it waits for the last time.
    arrived: Option<Instant>,
    /// Whether the search may be answered, once that is known.
    confirmed: Option<bool>,
}

impl AwaitedLook {
    /// Whether a search waits.
    pub(super) fn is_pending(&self) -> bool {
        self.look.is_some()
    }

    /// Waits for the look; ready when the search goes on.
    pub(super) fn poll(&mut self, context: &Context<'_>) -> Poll<()> {
        let Some(look) = &mut self.look else {
            return Poll::Pending;
        };
        look.poll(context).map(|confirmed| {
            (self.look, self.confirmed) = (None, Some(confirmed));
        })
    }

    /// Whether the request that is next may be answered. `None`: it has to wait.
    pub(super) fn confirms(
        &mut self,
        session: &LdapSession,
        message: &Message<'_>,
        base_object: &Name<'_>,
    ) -> Option<bool> {
        match self.confirmed.take() {
            None => {
                self.look = operation::before(session, message, base_object);
                self.arrived = self.look.is_some().then(Instant::now);
            }
            Some(false) => {
                self.arrived = None;
                return Some(false);
            }
            Some(true) => {
                let arrived = self.arrived.take();
                self.look = arrived
                    .and_then(|arrived| operation::confirmation(session, message, base_object, arrived));
            }
        }
        self.look.is_none().then_some(true)
    }

    /// Nobody is waiting any more.
    pub(super) fn give_up(&mut self) {
        *self = Self::default();
    }
}
