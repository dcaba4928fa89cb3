//! Search (RFC 4511 section 4.5): what is asked, with which controls and limits, prepared for the connection to drive.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::SearchClassConfig;
use crate::metrics::RejectReason;
use crate::outpost::provider::Provider;
use akldap_directory::{self as directory, SearchControls, SearchLimits};
use akldap_ldap::control::{self, Control, DerefSpec, PagedResults, SortKey, VlvRequest};
use akldap_ldap::dn::Name;
use akldap_ldap::message::{Message, Scope, SearchRequest};
use akldap_ldap::response::ResultCode;

use crate::server::poll_on_wake::PollOnWake;
use crate::server::session::LdapSession;

use super::access::{self, Allowed};
use super::monitor;
use super::outcome::{Answer, Outcome};
use super::root_dse;

mod filter_pattern;
pub(crate) mod running;
mod search_observer;

use running::RunningSearch;
use search_observer::{SearchObserver, attributes_shown, filter_shown};

/// What a search waits for in direct search mode: whether it may be answered then.
pub(super) fn before(
    session: &LdapSession,
    message: &Message<'_>,
    request: &SearchRequest<'_>,
    base_object: &Name<'_>,
) -> Option<PollOnWake<bool>> {
    let provider = searched_directly(session, request, base_object)?;
    // A search whose controls cannot be read is refused.
    let needs_groups = || {
        read_controls(session, &message.controls).is_ok_and(|controls| {
            let (tree, shape) = (provider.tree(), provider.shape());
            directory::depends_on_groups(tree, shape.map(AsRef::as_ref), request, base_object, &controls)
        })
    };
    session
        .outpost
        .direct_searches()
        .before(&provider, &needs_groups)
        .map(PollOnWake::new)
}

/// What a search that arrived at this moment waits for after that.
pub(super) fn confirmation(
    session: &LdapSession,
    message: &Message<'_>,
    request: &SearchRequest<'_>,
    base_object: &Name<'_>,
    arrived: tokio::time::Instant,
) -> Option<PollOnWake<bool>> {
    let provider = searched_directly(session, request, base_object)?;
    let search = || {
        let mut prepared = prepare(session, message, request, base_object).ok()?;
        prepared.provider.as_ref()?;
        prepared.search.limit(limits_of(session));
        Some(prepared.search)
    };
    session
        .outpost
        .direct_searches()
        .confirm(&provider, &search, arrived)
        .map(PollOnWake::new)
}

/// The provider whose entries a request asks for, if it is the one of the session and is searched directly.
fn searched_directly(
    session: &LdapSession,
    request: &SearchRequest<'_>,
    base_object: &Name<'_>,
) -> Option<Arc<Provider>> {
    let bound_to = session.identity.as_ref()?.provider().pk();
    let providers = session.outpost.providers().current();
    // Nobody else's names are read before they are needed.
    let bound = providers.by_pk(bound_to)?;
    if !bound.searches_directly() {
        return None;
    }
    let provider = match base_object.octets() {
        // The rootDSE says nothing about users; what is below it does.
        [] if request.scope == Scope::BaseObject => return None,
        [] => bound,
        _ => providers.locate(base_object).ok()?.provider,
    };
    // Anybody else is refused.
    (provider.pk() == bound_to).then_some(provider)
}

/// Prepares a search to be carried out.
pub(super) fn start(
    session: &LdapSession,
    message: &Message<'_>,
    request: &SearchRequest<'_>,
    base_object: &Name<'_>,
    started: Instant,
) -> Outcome {
    let message_id = message.message_id;
    let observer = SearchObserver::of(session, message_id, request);
    tracing::debug!(
        connection = session.connection,
        requestId = %session.request_id(message_id),
        client = %session.client,
        bindDN = &*session.bound_dn(),
        baseDN = %String::from_utf8_lossy(request.base_object),
        scope = ?request.scope,
        filter = %filter_shown(request),
        attributes = %attributes_shown(request),
        "search"
    );
    let Prepared {
        mut search,
        mut others,
        provider,
    } = match prepare(session, message, request, base_object) {
        Ok(prepared) => prepared,
        Err(answer) => {
            SearchObserver::write(observer.as_deref(), Some(answer.result.code), 0, started);
            return Outcome::Answer(answer);
        }
    };
    tracing::trace!(
        connection = session.connection,
        requestId = %session.request_id(message_id),
        plan = %search.plan(),
        "search plan"
    );
    let class = class_of(session);
    let [time_option, ..] = class.variables;
    for search in std::iter::once(&mut search).chain(&mut others) {
        search.limit(limits_of(session));
    }
    let deadline = time_limit(request.time_limit).and_then(|limit| started.checked_add(limit));
    let outpost = Arc::clone(&session.outpost);
    Outcome::Search(Box::new(RunningSearch {
        message_id,
        search,
        others,
        size_limit: u64::from(request.size_limit),
        started,
        deadline,
        worked: Duration::ZERO,
        time_limit: class.time,
        processor_time: running::processor_time,
        time_option,
        provider,
        outpost,
        connection: session.connection,
        observer,
        entries: 0,
        pattern: None,
        done_at: 0,
    }))
}

/// What to search.
struct Prepared {
    search: directory::Search,
    /// Searches of more entries of the monitor, from the last to the first.
    others: Vec<directory::Search>,
    /// `None` for the entries outside every provider's tree.
    provider: Option<Arc<Provider>>,
}

impl Prepared {
    fn of_one(search: directory::Search, provider: Option<Arc<Provider>>) -> Self {
        Self {
            search,
            others: Vec::new(),
            provider,
        }
    }
}

/// What to search, within what the bound user may see.
fn prepare(
    session: &LdapSession,
    message: &Message<'_>,
    request: &SearchRequest<'_>,
    base_object: &Name<'_>,
) -> Result<Prepared, Answer> {
    let controls = read_controls(session, &message.controls)?;
    if let Some(search) = root_dse::search(session, base_object, request, &controls) {
        return search
            .map(|search| Prepared::of_one(search, None))
            .map_err(|result| access::refused(session, result));
    }
    if let Some(found) = monitor::search(session, base_object, message, request) {
        let prepared = |(search, others)| Prepared {
            search,
            others,
            provider: None,
        };
        return found
            .map(prepared)
            .map_err(|result| access::refused(session, result));
    }
    let Allowed {
        provider,
        viewer,
        snapshot,
    } = access::authorise(session, base_object)?;
    let tree = Arc::clone(provider.tree());
    let search = if request.base_object.is_empty() {
        let root_dse = session.outpost.entries().root_dse(session.identity.as_deref());
        directory::Search::from_root(snapshot, tree, viewer, &root_dse, request, &controls)
    } else {
        directory::Search::from_base(base_object, snapshot, tree, viewer, request, &controls)
    };
    search
        .map(|search| Prepared::of_one(search, Some(provider)))
        .map_err(|result| access::refused_by_directory(session, result))
}

/// How long a search may take when its time limit says `seconds`; zero means no limit.
fn time_limit(seconds: u32) -> Option<Duration> {
    (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)))
}

/// What a search of a session may cost, time aside.
fn limits_of(session: &LdapSession) -> SearchLimits {
    let class = class_of(session);
    let [_, comparisons_option, memory_option] = class.variables;
    SearchLimits {
        comparisons: class.comparisons,
        memory: class.memory,
        comparisons_option,
        memory_option,
    }
}

/// What the searches of a session may cost.
fn class_of(session: &LdapSession) -> &SearchClassConfig {
    let limits = &session.config.limits.search;
    match &session.identity {
        None => &limits.anonymous,
        Some(identity) if identity.may_search_everything() => &limits.full,
        Some(_) => &limits.own,
    }
}

fn read_controls(session: &LdapSession, controls: &[Control<'_>]) -> Result<SearchControls, Answer> {
    let malformed = |what: &str| {
        Answer::refused(
            RejectReason::ProtocolError,
            ResultCode::ProtocolError,
            format!("the value of the {what} control is malformed"),
        )
    };
    let mut known = SearchControls {
        cookie_key: session.cookie_key,
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
