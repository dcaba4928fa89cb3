//! One attempt to log in, as authentik is asked about it. Must not know how it is judged.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::outpost::provider::Provider;
use akldap_authentik::RequestIds;

use super::origin::Origin;

/// Who wants to log in where, with what, and from where.
pub(super) struct Attempt {
    /// The provider whose flow judges it.
    pub(super) provider: Arc<Provider>,
    /// What the identification stage is given.
    pub(super) username: String,
    /// The password, and what comes behind it.
    pub(super) secret: Zeroizing<Vec<u8>>,
    /// Where it comes from.
    pub(super) client: Origin,
    /// What authentik calls the requests that judged it.
    pub(super) asked: RequestIds,
}
