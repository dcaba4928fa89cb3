//! One attempt to log in, as it is put to authentik. Must not know how it is judged.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::outpost::provider::Provider;
use akldap_authentik::RequestIds;
use akldap_authentik::flow::{CodeRule, LoginRequest};

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
    pub(in crate::outpost) origin: Origin,
    /// What authentik calls the requests that judged it.
    pub(in crate::outpost) asked: RequestIds,
}

impl Attempt {
    /// What the provider's flow is asked.
    pub(in crate::outpost) fn request(&self, codes: CodeRule) -> LoginRequest<'_> {
        let settings = self.provider.settings();
        LoginRequest {
            flow_slug: &settings.bind_flow_slug,
            username: &self.username,
            password: &self.secret,
            mfa_support: settings.mfa_support,
            codes,
            client_ip: self.origin.client,
        }
    }
}
