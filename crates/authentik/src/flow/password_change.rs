//! What a change of one's own password is asked with, and how it can end.
//!
//! Must not know which requests it takes.

use std::fmt;
use std::net::IpAddr;

use super::outcome::FlowError;
use crate::error::ApiError;
use crate::session::Session;

/// Whose password is to be changed, and into what.
#[derive(Clone, Copy)]
pub struct PasswordChangeRequest<'a> {
    /// The session of the user whose password it is.
    pub session: &'a Session,
    /// The password of before, for a flow that asks for it.
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

/// What came of a change.
#[derive(Debug)]
pub struct PasswordChangeReport {
    /// How the flow ended. `Ok` says that it came to its end after it took the new password, not that the new one works.
    pub result: Result<(), PasswordChangeFailure>,
    /// The new password has been sent, and nobody has refused it: it may be in force.
    pub uncertain: bool,
    /// The session as it is now: authentik gives it another key with the new password.
    pub session: Option<Session>,
}

impl PasswordChangeReport {
    /// A change that failed before its flow was begun.
    pub(super) fn not_begun(failure: PasswordChangeFailure) -> Self {
        Self {
            result: Err(failure),
            uncertain: false,
            session: None,
        }
    }
}

/// Why a change came to nothing, as far as authentik said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordChangeFailure {
    /// The session is nobody's any more.
    #[error("authentik does not take the session for anybody's any more")]
    SessionOver,
    /// The user's settings offer no change of the password.
    #[error(
        "authentik offers this user no change of the password: the password stage of the brand's authentication flow has no \
         configuration flow, or this account has no such settings"
    )]
    NotOffered,
    /// A policy, or authentik itself, refuses the new password.
    #[error("authentik refuses the new password: {text}")]
    Refused {
        /// authentik's words.
        text: String,
    },
    /// authentik took it for blank.
    #[error("authentik takes the new password for blank: {text}")]
    Blank {
        /// authentik's words.
        text: String,
    },
    /// Two fields were to have the same value and had not.
    #[error("authentik compares fields that were not given the same value: {text}")]
    Mismatch {
        /// authentik's words.
        text: String,
    },
    /// The flow asks for more than passwords.
    #[error("the flow {slug:?} also asks for {}, which nobody can answer here", fields.join(", "))]
    AsksMore {
        /// The flow.
        slug: String,
        /// The keys of those fields.
        fields: Vec<String>,
    },
    /// The flow asks for the password of before, and it was not given.
    #[error("the flow {slug:?} asks for the old password")]
    OldPasswordNeeded {
        /// The flow.
        slug: String,
    },
    /// The flow asked for the password of before and refused it.
    #[error("the flow refused the old password: {text}")]
    OldPasswordWrong {
        /// authentik's words.
        text: String,
    },
    /// The flow has a stage that only a person with a browser can pass.
    #[error("the flow {slug:?} has the stage {component}, which nobody can answer here")]
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
