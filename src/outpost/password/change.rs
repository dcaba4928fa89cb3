//! A change of a password: whose, by whom, and to what.
//!
//! Must not know how it is carried out.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::outpost::access::Identity;
use crate::outpost::bind::Origin;
use crate::outpost::bind::attempt::Attempt;
use crate::outpost::bind::cache::{BindCache, BindKey};
use crate::outpost::provider::Provider;
use akldap_authentik::RequestIds;

use super::target::ChangeTarget;

/// What a change is carried out with.
pub(super) struct RequestedChange<'a> {
    pub(super) identity: &'a Arc<Identity>,
    pub(super) provider: Arc<Provider>,
    pub(super) target: ChangeTarget,
    pub(super) old: Option<&'a str>,
    pub(super) new: Zeroizing<String>,
    pub(super) origin: Origin,
}

impl RequestedChange<'_> {
    /// The key under which the old password is remembered if it is wrong: like that of a bind.
    pub(super) fn old_key(&self, cache: &BindCache) -> Option<BindKey> {
        let old = self.old?.as_bytes();
        Some(cache.key(&self.provider, &self.target.username, old))
    }

    /// A login of the user whose password it is.
    pub(super) fn attempt(&self, secret: &str) -> Attempt {
        Attempt {
            provider: Arc::clone(&self.provider),
            username: self.target.username.clone(),
            secret: Zeroizing::new(secret.as_bytes().to_vec()),
            origin: self.origin,
            asked: RequestIds::default(),
        }
    }
}
