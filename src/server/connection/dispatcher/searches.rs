//! The searches of a connection that are under way: driven one step after the other, and ended when they are told to or when
//! the directory that they read has become too old.
//!
//! Must not know requests, nor what a search finds.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

use tokio::sync::watch;

use akldap_ldap::response::{LdapResult, ResultCode};

use super::super::super::operation::search::running::RunningSearch;
use super::super::super::poll_on_wake::PollOnWake;
use super::super::output::{Output, WRITE_SIZE};

/// How many searches of one connection may be under way at once; further requests wait in the socket.
const MAX_RUNNING: usize = 64;

/// The searches under way.
#[derive(Default)]
pub(super) struct SearchesUnderWay {
    searches: VecDeque<Box<RunningSearch>>,
    /// Resolves when directories that they may read have become too old; present while there are any.
    retired: Option<PollOnWake<()>>,
}

impl SearchesUnderWay {
    pub(super) fn len(&self) -> usize {
        self.searches.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.searches.is_empty()
    }

    /// Whether no further one may begin.
    pub(super) fn is_full(&self) -> bool {
        self.searches.len() >= MAX_RUNNING
    }

    /// Octets that they hold.
    pub(super) fn memory(&self) -> usize {
        self.searches.iter().map(|search| search.memory()).sum()
    }

    /// Takes one more. True if nobody watches yet for the directories that it reads:
    /// [`end_retired`](Self::end_retired) has to follow.
    pub(super) fn begin(&mut self, search: Box<RunningSearch>) -> bool {
        self.searches.push_back(search);
        self.retired.is_none()
    }

    /// Waits for a directory that they read to become too old.
    pub(super) fn poll_retired(&mut self, context: &Context<'_>) -> Poll<()> {
        match &mut self.retired {
            Some(retired) => retired.poll(context),
            None => Poll::Pending,
        }
    }

    /// Ends all without a word.
    pub(super) fn clear(&mut self) {
        self.searches.clear();
    }

    /// Ends one without a word.
    pub(super) fn abandon(&mut self, target: u32) {
        self.searches.retain(|search| search.message_id() != target);
    }

    /// Ends one as a cancel asks; returns what the cancel is answered.
    pub(super) fn cancel(&mut self, target: u32, output: &mut Output) -> LdapResult {
        let mut searches = self.searches.iter();
        let position = searches.position(|search| search.message_id() == target);
        match position.and_then(|position| self.searches.remove(position)) {
            Some(search) => {
                output.begin_record();
                search.cancel(output.octets());
                LdapResult::success()
            }
            None => LdapResult::new(ResultCode::NoSuchOperation, "no such operation is under way"),
        }
    }

    /// Drives them, each one step after the other. True if one has ended.
    pub(super) fn advance(&mut self, output: &mut Output) -> bool {
        let before = self.searches.len();
        while output.len() < WRITE_SIZE {
            let Some(mut search) = self.searches.pop_front() else {
                break;
            };
            let start = output.len();
            let octets = output.octets();
            match catch_unwind(AssertUnwindSafe(|| search.step(octets, WRITE_SIZE))) {
                Ok(true) => output.begin_record_at(search.done_at()),
                Ok(false) => {
                    self.searches.push_back(search);
                    // A step that found nothing has used its share of time: let other connections run.
                    break;
                }
                Err(_) => {
                    output.truncate(start);
                    output.begin_record();
                    search.fail(output.octets());
                }
            }
        }
        self.searches.len() < before
    }

    /// Ends those that read a directory that two newer ones have followed, and watches for the next such one. `retirements` must
    /// be taken before, so that no directory is installed unnoticed between the look and the watch. Returns how many ended.
    pub(super) fn end_retired(
        &mut self,
        mut retirements: watch::Receiver<u64>,
        output: &mut Output,
    ) -> usize {
        let before = self.searches.len();
        self.searches.retain(|search| {
            let served = search.is_served();
            if !served {
                output.begin_record();
                search.retire(output.octets());
            }
            served
        });
        self.retired = (!self.searches.is_empty()).then(|| {
            PollOnWake::new(async move {
                // The outpost outlives its connections.
                let _ = retirements.changed().await;
            })
        });
        before - self.searches.len()
    }
}
