//! What an operation asks authentik, and what comes of it.
//!
//! Must not know what follows from either.

use std::task::{Context, Poll};

use crate::outpost::bind::BindAnswer;
use crate::outpost::password::PasswordAnswer;

use super::bind::pending::BindFuture;
use super::password::pending::PasswordFuture;

/// What authentik is asked.
pub(crate) enum AwaitedFuture {
    /// Whether somebody may log in.
    Bind(BindFuture),
    /// For a new password.
    Password(PasswordFuture),
}

/// What comes of it.
pub(crate) enum AwaitedEnd {
    /// A bind that is judged.
    Bound(BindAnswer),
    /// A change that has ended.
    Changed(PasswordAnswer),
}

impl AwaitedFuture {
    /// Waits for the outcome.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<AwaitedEnd> {
        match self {
            Self::Bind(bind) => bind.poll(context).map(AwaitedEnd::Bound),
            Self::Password(change) => change.poll(context).map(AwaitedEnd::Changed),
        }
    }

    /// The client sends no more, as one does that is gone. What waits for its turn ends.
    pub(crate) fn client_left(&self) {
        match self {
            Self::Bind(bind) => bind.client_left(),
            Self::Password(change) => change.client_left(),
        }
    }
}
