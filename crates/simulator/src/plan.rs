//! Where a session is in a flow.
//!
//! Must not know what a stage asks.

use super::directory::Directory;
use super::users::avatar;

/// A flow on its way in a session.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) slug: String,
    /// Index of the stage to answer next.
    pub(crate) at: usize,
    pub(crate) pending: Option<Pending>,
    pub(crate) wrong_passwords: u32,
    /// The authenticator stage has shown its challenges.
    pub(crate) devices_shown: bool,
    pub(crate) consent_token: Option<String>,
    /// What a prompt collected and no stage has written yet.
    pub(crate) new_password: Option<String>,
}

/// The user a flow is about.
#[derive(Debug, Clone)]
pub(crate) enum Pending {
    Known(i32),
    /// A name nobody has, treated as if somebody had.
    Pretended(String),
}

impl Pending {
    /// Name and picture of the user, as a challenge shows them.
    pub(crate) fn shown(&self, directory: &Directory) -> (String, String) {
        match self {
            Self::Known(pk) => directory
                .user(*pk)
                .map(|user| (user.username.to_string(), user.avatar()))
                .unwrap_or_default(),
            Self::Pretended(name) => (name.clone(), avatar(name, name)),
        }
    }
}
