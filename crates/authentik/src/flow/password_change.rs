//! What a change of one's own password is requested with, and how it can end.
//!
//! Must not know which requests it takes.

use std::fmt;
use std::net::IpAddr;

use super::outcome::FlowError;
use crate::error::ApiError;
use crate::session::Session;

/// Whose password to change, and to what.
#[derive(Clone, Copy)]
pub struct PasswordChangeRequest<'a> {
    /// The session of the user whose password it is.
    pub session: &'a Session,
    /// The old password, for a flow that asks for it.
    pub old: Option<&'a str>,
    /// The new one.
    pub new: &'a str,
    /// The client's address, for authentik's events, reputation and policies.
    pub client_ip: IpAddr,
}

impl fmt::Debug for PasswordChangeRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordChangeRequest")
            .field("client_ip", &self.client_ip)
            .finish_non_exhaustive()
    }
}

/// The outcome of a change.
#[derive(Debug)]
pub struct PasswordChangeReport {
    /// How the flow ended. `Ok` says that it ended after accepting the new password, not that the new one works.
    pub result: Result<(), PasswordChangeFailure>,
    /// The new password has been sent, and nobody has refused it: it may be in effect.
    pub uncertain: bool,
    /// The session as it is now: authentik gives it another key with the new password.
    pub session: Option<Session>,
}

impl PasswordChangeReport {
    /// A change that failed before its flow began.
    pub(super) fn not_begun(failure: PasswordChangeFailure) -> Self {
        Self {
            result: Err(failure),
            uncertain: false,
            session: None,
        }
    }
}

/// Why a change failed, as far as authentik said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordChangeFailure {
    /// The session no longer belongs to anybody.
    #[error("authentik no longer takes the session for anybody's")]
    SessionOver,
    /// The user's settings offer no change of the password.
    #[error(
        "authentik offers this user no way to change the password: the password stage of the brand's \
         authentication flow has no \
         configuration flow, or this account has no such settings"
    )]
    NotOffered,
    /// The configuration flow of the password stage no longer exists.
    #[error(
        "authentik has no flow with the slug {slug:?}: choose another configuration flow in the password stage of the brand's \
         authentication flow"
    )]
    FlowMissing {
        /// The flow.
        slug: String,
    },
    /// A policy, or authentik itself, refuses the new password.
    #[error("authentik refuses the new password: {text}")]
    Refused {
        /// authentik's words.
        text: String,
    },
    /// authentik considered it blank.
    #[error("authentik considers the new password blank: {text}")]
    Blank {
        /// authentik's words.
        text: String,
    },
    /// Two fields should have had the same value but did not.
    #[error("authentik compares fields that were given different values: {text}")]
    Mismatch {
        /// authentik's words.
        text: String,
    },
    /// The flow asks for more than passwords.
    #[error("the flow {slug:?} also asks for {}, which cannot be answered over LDAP", fields.join(", "))]
    AsksMore {
        /// The flow.
        slug: String,
        /// The keys of those fields.
        fields: Vec<String>,
    },
    /// The flow asks for the old password, and it was not given.
    #[error("the flow {slug:?} asks for the old password")]
    OldPasswordNeeded {
        /// The flow.
        slug: String,
    },
    /// The flow asked for the old password and refused it.
    #[error("the flow refused the old password: {text}")]
    OldPasswordWrong {
        /// authentik's words.
        text: String,
    },
    /// The flow has a stage that only a person with a browser can pass.
    #[error("the flow {slug:?} has the stage {component}, which cannot be answered over LDAP")]
    UnsupportedStage {
        /// The flow.
        slug: String,
        /// The stage's component.
        component: String,
    },
    /// The flow does not let this user change the password.
    #[error("the flow denied the change: {text}")]
    Denied {
        /// authentik's words.
        text: String,
    },
    /// The flow ended before it asked for a password.
    #[error("the flow {slug:?} ended without asking for a new password")]
    NothingAsked {
        /// The flow.
        slug: String,
    },
    /// There was no verdict.
    #[error(transparent)]
    Flow(#[from] FlowError),
}

impl From<ApiError> for PasswordChangeFailure {
    fn from(error: ApiError) -> Self {
        Self::Flow(error.into())
    }
}
