//! The parts of the outpost that binds need. Must not know what for.

use std::sync::Arc;

use crate::metrics::Metrics;
use crate::outpost::access::Logins;
use crate::outpost::directory::CurrentDirectory;
use crate::outpost::outage::Outage;
use crate::outpost::providers::Providers;
use crate::outpost::refresh::user_fetch::UserFetch;
use crate::outpost::release::KnownRelease;
use crate::outpost::right_of_way::RightOfWay;
use crate::outpost::status::Status;
use akldap_authentik::Client;
use akldap_authentik::flow::Executor;

use super::cache::BindCache;

/// What binds are judged by.
pub(in crate::outpost) struct BindParts {
    pub(in crate::outpost) client: Client,
    pub(in crate::outpost) executor: Arc<Executor>,
    pub(in crate::outpost) release: Arc<KnownRelease>,
    pub(in crate::outpost) providers: Arc<Providers>,
    pub(in crate::outpost) directory: Arc<CurrentDirectory>,
    /// Fetches those who log in and whom the directory does not show.
    pub(in crate::outpost) users: Arc<UserFetch>,
    pub(in crate::outpost) logins: Arc<Logins>,
    pub(in crate::outpost) cache: Arc<BindCache>,
    pub(in crate::outpost) outage: Arc<Outage>,
    /// Has lists of users read more slowly while somebody logs in.
    pub(in crate::outpost) right_of_way: Arc<RightOfWay>,
    pub(in crate::outpost) status: Arc<Status>,
    pub(in crate::outpost) metrics: Arc<Metrics>,
}
