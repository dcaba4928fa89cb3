//! A search that the connection drives, step by step, and every way in which it ends.
//!
//! Must not know how it was asked for, nor what else the connection does.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::clock;
use crate::logging::audit::RequestId;
use crate::metrics::{Limit, OperationPlan, RejectReason, RequestType, SLOW, SlowSearch};
use crate::outpost::Outpost;
use crate::outpost::provider::Provider;
use akldap_directory::{self as directory, PlanKind, Progress, SearchOutcome};
use akldap_ldap::control::Control;
use akldap_ldap::message::{Operation, OperationKind};
use akldap_ldap::response::{self, LdapResult, ResultCode};

use super::filter_pattern;
use super::search_observer::SearchObserver;

/// Searches are driven in steps; one step compares about this many octets, a tenth of a millisecond, and then lets others
/// run.
const WORK_PER_STEP: usize = 100_000;

/// A search that runs while the connection does other things.
pub(crate) struct RunningSearch {
    pub(super) message_id: u32,
    pub(super) search: directory::Search,
    /// Searches of more entries of the monitor, from the last to the first.
    pub(super) others: Vec<directory::Search>,
    /// The most entries that the client wants in total; 0 for no limit.
    pub(super) size_limit: u64,
    pub(super) started: Instant,
    pub(super) deadline: Option<Instant>,
    /// The processor time it has used, and may use.
    pub(super) worked: Duration,
    pub(super) time_limit: Option<Duration>,
    pub(super) processor_time: fn() -> Duration,
    pub(super) time_option: &'static str,
    /// `None` for the entries outside every provider's tree.
    pub(super) provider: Option<Arc<Provider>>,
    pub(super) outpost: Arc<Outpost>,
    pub(super) connection: u64,
    /// What will be written about it, where searches are recorded or logged.
    pub(super) observer: Option<Box<SearchObserver>>,
    pub(super) entries: u64,
    /// Its filter without values, once it has taken more than one step.
    pub(super) pattern: Option<String>,
    /// Where in the buffer of the last step the result begins.
    pub(super) done_at: usize,
}

/// What each entry adds to the time a search may take, so that a listing of everything does not reach its limit.
const TIME_PER_ENTRY: Duration = Duration::from_micros(100);

/// Time that processors have given the thread. It stands still while a busy machine or a container's CPU share makes the
/// thread wait: nobody's search is cut because others are working.
pub(super) fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// What a search may add to the buffer before other requests of the connection get their turn, in octets.
const FIRST_STEP: usize = 32 * 1024;

impl RunningSearch {
    /// The message id of the request.
    pub(crate) fn message_id(&self) -> u32 {
        self.message_id
    }

    /// Where in the buffer of the last step its SearchResultDone begins.
    pub(crate) fn done_at(&self) -> usize {
        self.done_at
    }

    /// Begins the search. Most end in this step, so its time is not measured: like any other step it is short. True when the
    /// search has ended and its result is written.
    pub(crate) fn first_step(&mut self, out: &mut Vec<u8>) -> bool {
        self.advance(out, FIRST_STEP)
    }

    /// The search is not over after its first step: should it be slow, it will be reported by the pattern of its filter.
    pub(crate) fn goes_on(&mut self, operation: &Operation<'_>) {
        if let Operation::Search(request) = operation {
            self.pattern = Some(filter_pattern::of(&request.filter));
        }
    }

    /// Continues for about `budget` octets of answers. True when the search has ended and its result is written.
    pub(crate) fn step(&mut self, out: &mut Vec<u8>, budget: usize) -> bool {
        let began = (self.processor_time)();
        if self.advance(out, budget) {
            return true;
        }
        self.worked += (self.processor_time)().saturating_sub(began);
        let Some(text) = self.out_of_time(clock::now()) else {
            return false;
        };
        self.done_at = out.len();
        self.end(out, &LdapResult::new(ResultCode::TimeLimitExceeded, text), &[]);
        true
    }

    fn advance(&mut self, out: &mut Vec<u8>, budget: usize) -> bool {
        // Beyond the limit it only counts whether there is one more.
        let is_full = self.size_limit > 0 && self.entries >= self.size_limit;
        let mut unwanted = Vec::new();
        let written = if is_full { &mut unwanted } else { &mut *out };
        match self
            .search
            .advance(written, self.message_id, budget, WORK_PER_STEP)
        {
            Progress::Done(SearchOutcome {
                mut result,
                controls,
                entries,
            }) => {
                note_damage(&self.outpost, &result);
                if is_full && entries > 0 {
                    let text = format!("more than {} entries match", self.size_limit);
                    result = LdapResult::new(ResultCode::SizeLimitExceeded, text);
                } else {
                    self.entries += entries;
                }
                if result.code == ResultCode::Success
                    && let Some(next) = self.others.pop()
                {
                    self.search = next;
                    return false;
                }
                let controls: Vec<Control<'_>> = controls
                    .iter()
                    .map(|(oid, value)| Control {
                        control_type: oid.as_bytes(),
                        criticality: false,
                        value: Some(value),
                    })
                    .collect();
                self.done_at = out.len();
                self.end(out, &result, &controls);
                true
            }
            Progress::More => false,
        }
    }

    /// Why there is no time left, if there is none.
    fn out_of_time(&self, now: Instant) -> Option<String> {
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            return Some("the search took longer than its time limit".to_owned());
        }
        let limit = self.time_limit?;
        let entries = u32::try_from(self.search.entries()).unwrap_or(u32::MAX);
        (self.worked > limit.saturating_add(TIME_PER_ENTRY.saturating_mul(entries))).then(|| {
            self.outpost
                .metrics()
                .clients()
                .limit_reached(Limit::SearchTimeLimit);
            let option = self.time_option;
            format!("the server worked on this search for more than {limit:?} ({option})")
        })
    }

    /// Ends the search early, as a cancel asks (RFC 3909 section 2).
    pub(crate) fn cancel(&self, out: &mut Vec<u8>) {
        self.end(
            out,
            &LdapResult::new(ResultCode::Canceled, "cancelled by the client"),
            &[],
        );
    }

    /// Octets that the search holds.
    pub(crate) fn memory(&self) -> usize {
        let others: usize = self.others.iter().map(directory::Search::memory).sum();
        size_of::<Self>() + self.search.memory() + others
    }

    /// Whether the directory it reads may still be read. What belongs to no provider does not depend on one.
    pub(crate) fn is_served(&self) -> bool {
        self.provider.is_none() || self.outpost.directory().is_served(self.search.snapshot())
    }

    /// Ends the search because two newer directories were installed while its client read.
    pub(crate) fn retire(&self, out: &mut Vec<u8>) {
        let text = "the directory changed twice while this answer was being read, and the old one cannot be \
             kept any longer: search again, in pages if the line is slow (RFC 2696)";
        self.end(out, &LdapResult::new(ResultCode::Busy, text), &[]);
    }

    /// Ends the search because of an internal error.
    pub(crate) fn fail(&self, out: &mut Vec<u8>) {
        self.end(
            out,
            &LdapResult::new(ResultCode::Other, "internal error while searching"),
            &[],
        );
    }

    fn end(&self, out: &mut Vec<u8>, result: &LdapResult, controls: &[Control<'_>]) {
        let took = clock::since(self.started);
        let unclaimed;
        let metrics = match &self.provider {
            Some(provider) => provider.metrics(),
            None => {
                unclaimed = self.outpost.providers().unclaimed();
                &**unclaimed
            }
        };
        metrics.observe(RequestType::Search, took);
        let all = self.outpost.metrics();
        all.operation(RequestType::Search, self.plan(), result.code.number(), took);
        if took >= SLOW
            && let Some(filter) = &self.pattern
        {
            all.slow_search(SlowSearch {
                at: SystemTime::now(),
                took,
                plan: self.plan(),
                filter: filter.clone(),
                entries: self.entries,
            });
        }
        if result.code == ResultCode::AdminLimitExceeded {
            all.clients().limit_reached(match self.search.is_out_of_work() {
                true => Limit::SearchWorkLimit,
                false => Limit::SearchMemoryLimit,
            });
        }
        if is_limit(result.code) {
            metrics.rejected(RequestType::Search, RejectReason::LimitExceeded);
        }
        if tell_fault(self.connection, result) {
            metrics.rejected(RequestType::Search, RejectReason::InternalError);
        }
        tracing::debug!(
            connection = self.connection,
            requestId = %RequestId { connection: self.connection, message_id: self.message_id },
            code = result.code as u8,
            entries = self.entries,
            "took-ms" = took.as_secs_f64() * 1000.0,
            "search ended"
        );
        SearchObserver::write(
            self.observer.as_deref(),
            Some(result.code),
            self.entries,
            self.started,
        );
        finish(out, self.message_id, result, controls);
    }

    /// How it finds its entries, for the metrics.
    fn plan(&self) -> OperationPlan {
        if self.provider.is_none() {
            return OperationPlan::Server;
        }
        match self.search.plan_kind() {
            PlanKind::Index => OperationPlan::Index,
            PlanKind::Ranges => OperationPlan::Ranges,
            PlanKind::Scan => OperationPlan::Scan,
            PlanKind::Order => OperationPlan::Order,
        }
    }
}

impl Drop for RunningSearch {
    fn drop(&mut self) {
        // For a search that ended these are known; for one that was given up, how many were written.
        let entries = self.entries.max(self.search.entries());
        self.outpost.metrics().clients().sent_entries(entries);
        // Abandoned, or the connection ended: what was read until then was read.
        SearchObserver::write(
            self.observer.as_deref(),
            None,
            self.search.entries(),
            self.started,
        );
    }
}

fn finish(out: &mut Vec<u8>, message_id: u32, result: &LdapResult, controls: &[Control<'_>]) {
    if let Some(tag) = OperationKind::Search.response_tag() {
        response::write_result(out, message_id, tag, result, controls);
    }
}

/// Reports a result that only a fault of ours can cause; returns whether this is one. The directory answers like this where a
/// number points nowhere.
pub(crate) fn tell_fault(connection: u64, result: &LdapResult) -> bool {
    let is_fault = result.code == ResultCode::Other;
    if is_fault {
        tracing::error!(
            connection,
            error = %result.diagnostic_message,
            "a request was answered with other (80) because of an internal error: restart the server, and \
             report this line and those before it"
        );
    }
    is_fault
}

/// Counts a result that the directory gives only where a number points nowhere.
pub(crate) fn note_damage(outpost: &Outpost, result: &LdapResult) {
    if result.code == ResultCode::Other {
        outpost.metrics().directory_damage().met();
    }
}

/// Whether a search with this result reached a limit on what it may cost.
pub(crate) fn is_limit(code: ResultCode) -> bool {
    matches!(
        code,
        ResultCode::TimeLimitExceeded | ResultCode::AdminLimitExceeded
    )
}

#[cfg(test)]
mod tests;
