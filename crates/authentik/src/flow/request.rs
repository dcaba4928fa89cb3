//! Who wants to log in, and where.

use std::fmt;
use std::net::IpAddr;

use super::secret::CodeRule;

/// Who wants to log in, with what, and where.
#[derive(Clone, Copy)]
pub struct LoginRequest<'a> {
    /// The flow.
    pub flow_slug: &'a str,
    /// What the user calls themselves: a user name, or whatever else the identification stage accepts.
    pub username: &'a str,
    /// The secret as it came, `;code` included.
    pub password: &'a [u8],
    /// Whether to split `password;code`.
    pub mfa_support: bool,
    /// By which rule, if it is.
    pub codes: CodeRule,
    /// The client's address, for authentik's events, reputation and policies.
    pub client_ip: IpAddr,
}

impl fmt::Debug for LoginRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginRequest")
            .field("flow_slug", &self.flow_slug)
            .field("username", &self.username)
            .field("client_ip", &self.client_ip)
            .finish_non_exhaustive()
    }
}
