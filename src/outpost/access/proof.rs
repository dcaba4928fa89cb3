//! What a login is based on. Must not know what is made of it.

use akldap_authentik::AccessCheck;

use super::session::OpenSession;

/// Everything a success is based on: a session in which somebody is logged in, access to the application, and the user's
/// key. There is no other way to a [`Login`](super::Login).
#[derive(Debug)]
pub struct Proof {
    pub(super) opened: OpenSession,
    pub(super) user_pk: i64,
    pub(super) search_everything: bool,
}

impl Proof {
    /// Puts the three answers together; `None` if access does not pass.
    ///
    /// The session's existence shows that it is logged in: one is only made from a cookie that says `authenticated`. The
    /// answer about access, which leaves the cookie alone, shows that it still is.
    pub fn new(opened: OpenSession, access: &AccessCheck, user_pk: i64) -> Option<Self> {
        (access.passing && !access.session_ended).then_some(Self {
            opened,
            user_pk,
            search_everything: access.has_search_permission,
        })
    }
}
