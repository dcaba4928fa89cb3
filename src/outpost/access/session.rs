//! A session that a bind opened in authentik, until nobody here needs it any more. Must not know whether it was enough for a
//! login.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::mpsc;

use akldap_authentik::Session;

use crate::outpost::provider::Provider;

/// A session that a bind opened in authentik. When nobody here needs it any more it is ended by the provider's unbind
/// flow, if one is set: a refused or abandoned bind leaves no session behind either.
pub struct OpenSession {
    session: ArcSwap<Session>,
    provider: Arc<Provider>,
    client: IpAddr,
    unneeded: mpsc::Sender<UnneededSession>,
    /// authentik has ended it already.
    gone: AtomicBool,
    /// Since when its end would have been heard.
    heard: Heard,
    /// Another flow to end it with if the provider's does not.
    otherwise: Option<&'static str>,
}

/// A session that nobody here needs any more, and how to end it in authentik.
pub struct UnneededSession {
    /// The session.
    pub session: Arc<Session>,
    /// The flows to end it with, one after the other until one does.
    pub flow_slugs: Vec<String>,
    /// The address of the client that was bound.
    pub client: IpAddr,
}

/// A moment in the stream of announcements: until the next gap in it, every end of a session is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard(pub(super) u64);

impl fmt::Debug for OpenSession {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("OpenSession")
            .field("session", &self.session.load())
            .finish_non_exhaustive()
    }
}

impl OpenSession {
    /// `unneeded` takes the session when nobody needs it any more.
    pub(super) fn new(
        session: Session,
        provider: Arc<Provider>,
        client: IpAddr,
        heard: Heard,
        unneeded: mpsc::Sender<UnneededSession>,
    ) -> Self {
        Self {
            session: ArcSwap::from_pointee(session),
            provider,
            client,
            unneeded,
            gone: AtomicBool::new(false),
            heard,
            otherwise: None,
        }
    }

    /// Has it ended by this flow if the provider has no unbind flow, or one that ends nothing: nobody ends the session of a
    /// proof by unbinding.
    pub(super) fn ended_by(mut self, flow_slug: &'static str) -> Self {
        self.otherwise = Some(flow_slug);
        self
    }

    /// The session itself, as it is now.
    pub fn session(&self) -> Arc<Session> {
        self.session.load_full()
    }

    /// authentik has given it another key.
    pub(in crate::outpost) fn moved_to(&self, session: Session) {
        self.session.store(Arc::new(session));
    }

    /// The provider whose flow opened it.
    pub(super) fn provider(&self) -> &Arc<Provider> {
        &self.provider
    }

    /// The address of the client whose bind opened it.
    pub(super) fn client(&self) -> IpAddr {
        self.client
    }

    /// Since when its end would have been heard.
    pub(super) fn heard(&self) -> Heard {
        self.heard
    }

    /// authentik has ended it: there is nothing left to end.
    pub(super) fn note_gone(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        let own = self.provider.settings().unbind_flow_slug.clone();
        let flow_slugs: Vec<String> = own.into_iter().chain(self.otherwise.map(str::to_owned)).collect();
        if !self.gone.load(Ordering::Relaxed) && !flow_slugs.is_empty() {
            let unneeded = UnneededSession {
                session: self.session(),
                flow_slugs,
                client: self.client,
            };
            if self.unneeded.try_send(unneeded).is_err() {
                tracing::debug!("too many sessions are waiting for their unbind flow; one is left to expire");
            }
        }
    }
}
