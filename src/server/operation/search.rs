//! Search (RFC 4511 section 4.5): who may search where, and the search under way that the connection drives.

use std::cell::Cell;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::SearchClassConfig;
use crate::logging::audit::{self, RequestId};
use crate::metrics::{RejectReason, RequestType};
use crate::outpost::Outpost;
use crate::outpost::provider::Provider;
use akldap_directory::{
    self as directory, Progress, SearchControls, SearchLimits, SearchOutcome, Snapshot, Viewer,
};
use akldap_ldap::control::{self, Control, DerefSpec, PagedResults, SortKey, VlvRequest};
use akldap_ldap::dn::Dn;
use akldap_ldap::message::{Message, OperationKind, Scope, SearchRequest};
use akldap_ldap::response::{self, LdapResult, ResultCode};

use super::super::session::{Action, Session, WORK_PER_STEP, time_limit};
use super::root_dse;

/// A search that goes on while the connection does other things.
pub(in crate::server) struct Running {
    message_id: u32,
    search: directory::Search,
    started: Instant,
    deadline: Option<Instant>,
    /// Time a processor has worked on it, and may.
    worked: Duration,
    time_limit: Option<Duration>,
    processor_time: fn() -> Duration,
    time_option: &'static str,
    /// `None` for the entries outside every provider's tree.
    provider: Option<Arc<Provider>>,
    outpost: Arc<Outpost>,
    connection: u64,
    /// What an audit record will say, where searches are recorded.
    record: Option<Box<Record>>,
    entries: u64,
    /// Where in the buffer of the last step the result begins.
    done_at: usize,
}

/// Starts a search; a small one is finished at once.
pub(in crate::server) fn start(
    session: &Session,
    message: &Message<'_>,
    request: &SearchRequest<'_>,
    started: Instant,
    out: &mut Vec<u8>,
) -> Action {
    let message_id = message.message_id;
    let record = Record::of(session, message_id, request);
    tracing::debug!(
        connection = session.connection,
        requestId = %session.request_id(message_id),
        client = %session.client,
        bindDN = &*session.bound_dn(),
        baseDN = %String::from_utf8_lossy(request.base_object),
        scope = ?request.scope,
        filter = %request.filter,
        attributes = ?request.attributes.iter().map(|name| String::from_utf8_lossy(name)).collect::<Vec<_>>(),
        "search"
    );
    let controls = match read_controls(session, &message.controls) {
        Ok(controls) => controls,
        Err(result) => {
            session.count_refusal(OperationKind::Search, RejectReason::ProtocolError);
            Record::write(record.as_deref(), Some(result.code), 0, started);
            finish(out, message_id, &result, &[]);
            return Action::Done;
        }
    };
    let prepared = match root_dse::search(session, request, &controls) {
        Some(search) => search
            .map(|search| (search, None))
            .map_err(|result| Refusal::of(session, result)),
        None => authorise(session, request.base_object).and_then(
            |Allowed {
                 provider,
                 viewer,
                 snapshot,
             }| {
                let tree = Arc::clone(provider.tree());
                let search = if request.base_object.is_empty() {
                    let root_dse = session.outpost.root_dse_attributes(session.identity.as_deref());
                    directory::Search::from_root(snapshot, tree, viewer, &root_dse, request, &controls)
                } else {
                    directory::Search::new(snapshot, tree, viewer, request, &controls)
                };
                search
                    .map(|search| (search, Some(provider)))
                    .map_err(|result| Refusal::of(session, result))
            },
        ),
    };
    let (mut search, provider) = match prepared {
        Ok(prepared) => prepared,
        Err(Refusal { reason, result }) => {
            if let Some(reason) = reason {
                session.count_refusal(OperationKind::Search, reason);
            }
            Record::write(record.as_deref(), Some(result.code), 0, started);
            finish(out, message_id, &result, &[]);
            return Action::Done;
        }
    };
    tracing::trace!(message_id, plan = %search.plan(), "search plan");
    let class = class_of(session);
    let [time_option, comparisons_option, memory_option] = class.variables;
    search.limit(SearchLimits {
        comparisons: class.comparisons,
        memory: class.memory,
        comparisons_option,
        memory_option,
    });
    let deadline = time_limit(request.time_limit).and_then(|limit| started.checked_add(limit));
    let outpost = Arc::clone(&session.outpost);
    let mut running = Box::new(Running {
        message_id,
        search,
        started,
        deadline,
        worked: Duration::ZERO,
        time_limit: class.time,
        processor_time,
        time_option,
        provider,
        outpost,
        connection: session.connection,
        record,
        entries: 0,
        done_at: 0,
    });
    // Most searches end in their first step, so its time is not asked for: like any other it is short.
    if running.advance(out, FIRST_STEP) {
        Action::Searched {
            done_at: running.done_at,
        }
    } else {
        Action::Search(running)
    }
}

/// What the searches of a session may cost.
fn class_of(session: &Session) -> &SearchClassConfig {
    let limits = &session.config.limits.search;
    match &session.identity {
        None => &limits.anonymous,
        Some(identity) if identity.may_search_everything() => &limits.full,
        Some(_) => &limits.own,
    }
}

/// What each entry adds to the time a search may take, so that a listing of everything does not meet its limit.
const TIME_PER_ENTRY: Duration = Duration::from_micros(100);

/// Time that processors have given the thread. While a busy machine or a container's share of one makes the thread wait,
/// it stands still: nobody's search is cut because others work.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// What a search may add to the buffer before other requests of the connection get their turn, in octets.
const FIRST_STEP: usize = 32 * 1024;

impl Running {
    /// The message id of the request.
    pub(in crate::server) fn message_id(&self) -> u32 {
        self.message_id
    }

    /// Where in the buffer of the last step its SearchResultDone begins.
    pub(in crate::server) fn done_at(&self) -> usize {
        self.done_at
    }

    /// Goes on for about `budget` octets of answers. True when the search has ended and its result is written.
    pub(in crate::server) fn step(&mut self, out: &mut Vec<u8>, budget: usize) -> bool {
        let began = (self.processor_time)();
        if self.advance(out, budget) {
            return true;
        }
        self.worked += (self.processor_time)().saturating_sub(began);
        let Some(text) = self.out_of_time(Instant::now()) else {
            return false;
        };
        self.done_at = out.len();
        self.end(out, &LdapResult::new(ResultCode::TimeLimitExceeded, text), &[]);
        true
    }

    fn advance(&mut self, out: &mut Vec<u8>, budget: usize) -> bool {
        match self.search.advance(out, self.message_id, budget, WORK_PER_STEP) {
            Progress::Done(SearchOutcome {
                result,
                controls,
                entries,
            }) => {
                self.entries = entries;
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

    /// Why there is no more time, if there is none.
    fn out_of_time(&self, now: Instant) -> Option<String> {
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            return Some("the search took longer than its time limit".to_owned());
        }
        let limit = self.time_limit?;
        let entries = u32::try_from(self.search.entries()).unwrap_or(u32::MAX);
        (self.worked > limit.saturating_add(TIME_PER_ENTRY.saturating_mul(entries))).then(|| {
            let option = self.time_option;
            format!("the server worked on this search for more than {limit:?} ({option})")
        })
    }

    /// Ends the search early, as a cancel asks (RFC 3909 section 2).
    pub(in crate::server) fn cancel(&self, out: &mut Vec<u8>) {
        self.end(
            out,
            &LdapResult::new(ResultCode::Canceled, "cancelled by the client"),
            &[],
        );
    }

    /// Octets that the search holds.
    pub(in crate::server) fn memory(&self) -> usize {
        size_of::<Self>() + self.search.memory()
    }

    /// Whether the directory it reads may still be read. What belongs to no provider does not depend on one.
    pub(in crate::server) fn is_served(&self) -> bool {
        self.provider.is_none() || self.outpost.is_served(self.search.snapshot())
    }

    /// Ends the search because two newer directories were installed while its client read.
    pub(in crate::server) fn retire(&self, out: &mut Vec<u8>) {
        let text = "the directory changed twice while this answer was read, and cannot be kept longer: ask again, in \
                    pages if the line is slow (RFC 2696)";
        self.end(out, &LdapResult::new(ResultCode::Busy, text), &[]);
    }

    /// Ends the search because of a fault of ours.
    pub(in crate::server) fn fail(&self, out: &mut Vec<u8>) {
        self.end(
            out,
            &LdapResult::new(ResultCode::Other, "internal error while searching"),
            &[],
        );
    }

    fn end(&self, out: &mut Vec<u8>, result: &LdapResult, controls: &[Control<'_>]) {
        let took = self.started.elapsed();
        let unclaimed;
        let metrics = match &self.provider {
            Some(provider) => provider.metrics(),
            None => {
                unclaimed = self.outpost.unclaimed();
                &**unclaimed
            }
        };
        metrics.observe(RequestType::Search, took);
        if is_limit(result.code) {
            metrics.rejected(RequestType::Search, RejectReason::LimitExceeded);
        }
        tracing::debug!(
            connection = self.connection,
            message_id = self.message_id,
            code = ?result.code,
            entries = self.entries,
            "took-ms" = took.as_secs_f64() * 1000.0,
            "search ended"
        );
        Record::write(
            self.record.as_deref(),
            Some(result.code),
            self.entries,
            self.started,
        );
        finish(out, self.message_id, result, controls);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Abandoned, or the connection ended: what was read until then was read.
        Record::write(self.record.as_deref(), None, self.search.entries(), self.started);
    }
}

/// What the audit record of a search says. Made only where searches are recorded.
struct Record {
    request: RequestId,
    client: IpAddr,
    bind_dn: String,
    base_dn: String,
    scope: Scope,
    filter: String,
    attributes: String,
    written: Cell<bool>,
}

impl Record {
    fn of(session: &Session, message_id: u32, request: &SearchRequest<'_>) -> Option<Box<Self>> {
        if !session.config.audit_searches {
            return None;
        }
        let names: Vec<_> = request
            .attributes
            .iter()
            .map(|name| String::from_utf8_lossy(name))
            .collect();
        Some(Box::new(Self {
            request: session.request_id(message_id),
            client: session.client,
            bind_dn: session.bound_dn().into_owned(),
            base_dn: String::from_utf8_lossy(request.base_object).into_owned(),
            scope: request.scope,
            filter: request.filter.to_string(),
            attributes: names.join(" "),
            written: Cell::new(false),
        }))
    }

    /// Writes the record, once. Without a code the search did not come to its end.
    fn write(record: Option<&Self>, code: Option<ResultCode>, entries: u64, started: Instant) {
        let Some(record) = record.filter(|record| !record.written.replace(true)) else {
            return;
        };
        tracing::info!(
            target: audit::TARGET,
            audit = "search",
            connection = record.request.connection,
            requestId = %record.request,
            client = %record.client,
            bindDN = record.bind_dn,
            baseDN = record.base_dn,
            scope = ?record.scope,
            filter = record.filter,
            attributes = record.attributes,
            code = code.map(|code| code as u8),
            entries,
            "took-ms" = started.elapsed().as_secs_f64() * 1000.0,
            "{}",
            if code.is_some() { "search" } else { "search not finished" }
        );
    }
}

fn finish(out: &mut Vec<u8>, message_id: u32, result: &LdapResult, controls: &[Control<'_>]) {
    if let Some(tag) = OperationKind::Search.response_tag() {
        response::write_result(out, message_id, tag, result, controls);
    }
}

/// Why a search or compare is not carried out.
pub(in crate::server) struct Refusal {
    /// What it is counted as; `None` where the entry is just not there.
    pub(in crate::server) reason: Option<RejectReason>,
    /// The answer.
    pub(in crate::server) result: LdapResult,
}

impl Refusal {
    fn of(session: &Session, result: LdapResult) -> Self {
        let reason = match (&session.identity, result.code) {
            (None, ResultCode::InsufficientAccessRights) => Some(RejectReason::EmptyBindDn),
            (Some(_), ResultCode::InsufficientAccessRights) => Some(RejectReason::InvalidBindDn),
            (_, ResultCode::Unavailable) => Some(RejectReason::Unavailable),
            (_, ResultCode::ProtocolError) => Some(RejectReason::ProtocolError),
            (_, code) => is_limit(code).then_some(RejectReason::LimitExceeded),
        };
        Self { reason, result }
    }
}

/// Whether a search with this result reached a limit on what it may cost.
fn is_limit(code: ResultCode) -> bool {
    matches!(
        code,
        ResultCode::TimeLimitExceeded | ResultCode::AdminLimitExceeded
    )
}

/// Whose tree is asked about, what of it is shown, and the directory of the moment.
pub(in crate::server) struct Allowed {
    pub(in crate::server) provider: Arc<Provider>,
    pub(in crate::server) viewer: Viewer,
    pub(in crate::server) snapshot: Arc<Snapshot>,
}

/// What the bound user is shown, if they may ask about `base_object` at all.
pub(in crate::server) fn authorise(session: &Session, base_object: &[u8]) -> Result<Allowed, Refusal> {
    // An outage looks like one to everybody: nobody can bind before the first load, so "bind first" would mislead.
    let Some(snapshot) = session.outpost.snapshot() else {
        let text = "the directory has not been loaded from authentik yet";
        return Err(Refusal::of(
            session,
            LdapResult::new(ResultCode::Unavailable, text),
        ));
    };
    let Some(identity) = &session.identity else {
        let text = "bind first: without a bind only the rootDSE and the subschema are readable";
        let result = LdapResult::new(ResultCode::InsufficientAccessRights, text);
        return Err(Refusal::of(session, result));
    };
    // Below the empty name lie all trees, and this is the one that the bound user may see.
    let provider = match base_object {
        [] => session.outpost.providers().by_pk(identity.provider().pk()),
        _ => provider_for(&session.outpost, base_object).map_err(|result| Refusal::of(session, result))?,
    };
    let Some(provider) = provider else {
        if !session.outpost.status().configured() {
            let text = "the configuration has not been loaded from authentik yet";
            return Err(Refusal::of(
                session,
                LdapResult::new(ResultCode::Unavailable, text),
            ));
        }
        let text = "no LDAP provider of this outpost has a base DN at or above this name";
        return Err(Refusal::of(
            session,
            LdapResult::new(ResultCode::NoSuchObject, text),
        ));
    };
    if provider.pk() != identity.provider().pk() {
        let text = "bound to another provider than the one whose tree this is";
        let result = LdapResult::new(ResultCode::InsufficientAccessRights, text);
        return Err(Refusal::of(session, result));
    }
    if !identity.may_search_everything() && snapshot.user_by_pk(identity.user_pk()).is_none() {
        session.outpost.fetch_user_soon(identity.user_pk());
        let text = "this account is newer than the directory: it is being fetched";
        return Err(Refusal {
            reason: Some(RejectReason::UserInfoNotCached),
            result: LdapResult::new(ResultCode::Unavailable, text),
        });
    }
    Ok(Allowed {
        provider,
        viewer: identity.viewer(),
        snapshot,
    })
}

fn provider_for(outpost: &Outpost, base_object: &[u8]) -> Result<Option<Arc<Provider>>, LdapResult> {
    let providers = outpost.providers();
    if let Some(provider) = providers.for_plain_name(base_object) {
        return Ok(Some(Arc::clone(provider)));
    }
    match Dn::parse(base_object) {
        Ok(base) => Ok(providers.for_dn(&base)),
        // The official outpost's unescaped spelling is not RFC 4514; the directory judges it within its tree.
        Err(error) => match providers.for_unescaped_dn(base_object) {
            Some((provider, _)) => Ok(Some(provider)),
            None => {
                let text = format!("the base DN is malformed: {error}");
                Err(LdapResult::new(ResultCode::InvalidDnSyntax, text))
            }
        },
    }
}

fn read_controls(session: &Session, controls: &[Control<'_>]) -> Result<SearchControls, LdapResult> {
    let malformed = |what: &str| {
        LdapResult::new(
            ResultCode::ProtocolError,
            format!("the value of the {what} control is malformed"),
        )
    };
    let mut known = SearchControls {
        cookie_key: session.outpost.cookie_key(),
        ..SearchControls::default()
    };
    for control in controls {
        let value = control.value.unwrap_or_default();
        match std::str::from_utf8(control.control_type) {
            Ok(control::PAGED_RESULTS) => {
                known.paged = Some(PagedResults::read(value).map_err(|_| malformed("paged results"))?);
            }
            Ok(control::SORT_REQUEST) => {
                known.sort_critical = control.criticality;
                known.sort = Some(SortKey::read_all(value).map_err(|_| malformed("sort"))?);
            }
            Ok(control::VLV_REQUEST) => {
                known.vlv = Some(VlvRequest::read(value).map_err(|_| malformed("virtual list view"))?);
            }
            Ok(control::DEREF) => {
                known.deref = Some(DerefSpec::read_all(value).map_err(|_| malformed("dereference"))?);
            }
            _ => {}
        }
    }
    Ok(known)
}

#[cfg(test)]
mod tests;
