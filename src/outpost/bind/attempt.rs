//! One attempt to log in, as it is put to authentik. Must not know how it is judged.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::outpost::provider::Provider;
use akldap_authentik::RequestIds;

use super::origin::Origin;

/// Who wants to log in where, with what, and from where.
pub(in crate::outpost) struct Attempt {
    /// The provider whose flow judges it.
    pub(in crate::outpost) provider: Arc<Provider>,
    /// What the identification stage is given.
    pub(in crate::outpost) username: String,
    /// The password, and what follows it.
    pub(in crate::outpost) secret: Zeroizing<Vec<u8>>,
    /// Where it comes from.
    pub(in crate::outpost) client: Origin,
    /// What authentik calls the requests that judged it.
    pub(in crate::outpost) asked: RequestIds,
}
