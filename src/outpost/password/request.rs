//! Requests for a change, and those that are refused at once. Must not know why.

use std::net::IpAddr;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::logging::audit::RequestId;
use crate::outpost::access::Identity;
use crate::outpost::bind::Origin;
use akldap_ldap::response::LdapResult;

use super::target::WhosePassword;

/// A change that somebody asks for.
pub struct PasswordRequest {
    /// Who asks.
    pub identity: Arc<Identity>,
    /// Whose password it is about.
    pub whose: WhosePassword,
    /// The previous password, if it was given.
    pub old: Option<Zeroizing<Vec<u8>>>,
    /// The new one; one is generated if it was not given.
    pub new: Option<Zeroizing<Vec<u8>>>,
    /// Where the request comes from.
    pub origin: Origin,
    /// What names it in the log.
    pub id: RequestId,
}

/// A request that is refused at once.
pub struct RefusedRequest<'a> {
    /// Who asks; `None` before a bind.
    pub identity: Option<&'a Arc<Identity>>,
    /// Whose password it is about.
    pub whose: &'a WhosePassword,
    /// The client's address.
    pub client: IpAddr,
    /// What names it in the log.
    pub id: RequestId,
    /// What it is answered.
    pub result: &'a LdapResult,
}
