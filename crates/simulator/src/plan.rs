//! Where a session is in a flow.
//!
//! Must not know what a stage asks.

use super::directory::Directory;
use super::flows::{Flow, Requirement};
use super::users::{User, avatar};

/// A flow in progress in a session.
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
    /// What a prompt has collected and no stage has written yet.
    pub(crate) new_password: Option<String>,
}

impl Plan {
    /// The beginning of a flow, about whoever is logged in, where it is not to log anybody in.
    pub(crate) fn begin(flow: &Flow, caller: Option<i32>) -> Self {
        let known = caller.filter(|_| flow.designation != "authentication");
        Self {
            slug: flow.slug.clone(),
            at: 0,
            pending: known.map(Pending::Known),
            wrong_passwords: 0,
            devices_shown: false,
            consent_token: None,
            new_password: None,
        }
    }
}

/// Whether a flow may be run by this user, or by nobody in particular.
pub(crate) fn applies(directory: &Directory, flow: &Flow, user: Option<&User>, outpost: bool) -> bool {
    match flow.requirement {
        Requirement::None => true,
        Requirement::Authenticated => user.is_some(),
        Requirement::Unauthenticated => user.is_none(),
        Requirement::Superuser => user.is_some_and(|user| directory.is_superuser(user)),
        Requirement::Outpost => outpost,
    }
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
