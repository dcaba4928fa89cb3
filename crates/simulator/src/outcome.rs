//! What comes of a request.

use std::time::Duration;

use super::reply::Reply;
use super::sessions::Session;

/// The reply, and what comes with it.
pub(crate) struct Outcome {
    pub(crate) reply: Reply,
    /// Time the server would have spent on it.
    pub(crate) delay: Duration,
    /// Sessions of users that ended, to be announced.
    pub(crate) ended: Vec<Session>,
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Self {
        Self {
            reply,
            delay: Duration::ZERO,
            ended: Vec::new(),
        }
    }
}
