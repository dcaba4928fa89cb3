//! What an operation asks authentik, and the outcome.
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
    /// To set a new password.
    Password(PasswordFuture),
}

/// The outcome.
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

    /// The client sends no more, like one that has gone. What waits for its turn ends.
    pub(crate) fn client_left(&self) {
        match self {
            Self::Bind(bind) => bind.client_left(),
            Self::Password(change) => change.client_left(),
        }
    }
}
