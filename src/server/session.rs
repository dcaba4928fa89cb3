//! The LDAP session of one connection (RFC 4511 section 3.1): who is bound, and what is known of the client.
//!
//! Identity lives here and nowhere else: it comes from the last bind answered with success, with no bind request,
//! StartTLS or withdrawal by authentik since. Must not know sockets, nor what is asked.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use crate::config::LimitConfig;
use crate::logging::audit::RequestId;
use crate::metrics::{ApplicationMetrics, Limit};
use crate::outpost::Outpost;
use crate::outpost::access::Identity;
use crate::outpost::bind::Origin;
use crate::outpost::bound_dn::bound_dn;
use akldap_ldap::frame::FrameError;

use super::config::ServerConfig;

/// The state of one connection.
pub(super) struct LdapSession {
    pub(super) outpost: Arc<Outpost>,
    pub(super) config: Arc<ServerConfig>,
    /// Authenticates its paging cookies.
    pub(super) cookie_key: [u8; 32],
    /// The number of the connection in this process.
    pub(super) connection: u64,
    /// The client's address, after the PROXY header.
    pub(super) client: IpAddr,
    /// Who named that address, if it may be invented.
    pub(super) proxy: Option<IpAddr>,
    /// Who is bound; `None` is anonymous.
    pub(super) identity: Option<Arc<Identity>>,
    /// Whether TLS is in place.
    pub(super) secure: bool,
}

impl LdapSession {
    pub(super) fn new(
        outpost: Arc<Outpost>,
        config: Arc<ServerConfig>,
        cookie_key: [u8; 32],
        connection: u64,
        origin: Origin,
        secure: bool,
    ) -> Self {
        Self {
            outpost,
            config,
            cookie_key,
            connection,
            client: origin.client,
            proxy: origin.proxy,
            identity: None,
            secure,
        }
    }

    /// What the client may cost.
    pub(super) fn limits(&self) -> &LimitConfig {
        &self.config.limits
    }

    /// The largest message to accept now, in octets.
    pub(super) fn message_limit(&self) -> usize {
        let limits = self.limits();
        if self.identity.is_some() {
            limits.max_message_size
        } else {
            limits.max_message_size_unbound
        }
    }

    /// Counts a message that is larger than it may be.
    pub(super) fn count_limit_of_frame(&self, error: &FrameError) {
        if matches!(error, FrameError::TooLarge { .. }) {
            self.outpost
                .metrics()
                .clients()
                .limit_reached(match self.identity {
                    Some(_) => Limit::MaxMessageSize,
                    None => Limit::MaxMessageSizeUnbound,
                });
        }
    }

    /// The metrics in which requests of this session are counted: those of the application it is bound to.
    pub(super) fn metrics(&self, count: impl FnOnce(&ApplicationMetrics)) {
        match &self.identity {
            Some(identity) => count(identity.provider().metrics()),
            None => count(&self.outpost.providers().unclaimed()),
        }
    }

    /// What names a request of this session in the log.
    pub(super) fn request_id(&self, message_id: u32) -> RequestId {
        RequestId {
            connection: self.connection,
            message_id,
        }
    }

    /// Who is bound, by the DN of their entry: for log lines.
    pub(super) fn bound_dn(&self) -> Cow<'_, str> {
        let identity = self.identity.as_ref();
        identity.map_or(Cow::Borrowed(""), |identity| {
            bound_dn(identity, self.outpost.providers(), self.outpost.directory())
        })
    }
}
