//! Prepares a search: finds its base, prepares its filter and plans it.
//!
//! Must not know how it continues.

use std::sync::{Arc, LazyLock};

use crate::build::builder::Builder;
use crate::filter::evaluation::Scratch;
use crate::filter::node::Node;
use crate::filter::virtual_groups;
use crate::filter::within::Within;
use crate::index::name_order::Matches;
use crate::index::snapshot::Snapshot;
use crate::model::number::WrongNumber;
use crate::model::place::{Container, Place, PlaceRange, ROOT};
use crate::plan::candidates::Candidates;
use crate::plan::in_scope::InScope;
use crate::plan::outline::{CandidateSource, Plan};
use crate::plan::planner::Planner;
use crate::plan::sorting::{SortError, SortOrder, Sorter};
use crate::plan::walk::Walk;
use crate::search::base::{base_entry, damaged, in_scope};
use crate::search::bounds::{Bounds, nested_too_far};
use crate::search::dereference::Dereference;
use crate::search::limits::{AnswerLimits, foreign_cookie};
use crate::search::paging::EntryKey;
use crate::search::request::{SearchControls, Viewer, outcome};
use crate::search::selection::Selection;
use crate::search::state::{Phase, Root, Search};
use crate::view::context::{Context, View};
use crate::view::style::VirtualGroups;
use crate::view::subschema::EntryAttributes;
use crate::view::tree::Tree;
use akldap_ldap::control::encode_sort_response;
use akldap_ldap::dn::Name;
use akldap_ldap::message::{Scope, SearchRequest};
use akldap_ldap::response::{LdapResult, ResultCode, excerpt};

impl Search {
    /// Prepares a search.
    ///
    /// # Errors
    /// The result to answer with, if the base is malformed (invalidDNSyntax) or missing (noSuchObject with the closest
    /// entry above it), the cookie is not ours (unwillingToPerform), the controls contradict each other, or a number in the
    /// snapshot points nowhere (other).
    pub fn new(
        snapshot: Arc<Snapshot>,
        tree: Arc<Tree>,
        viewer: Viewer,
        request: &SearchRequest<'_>,
        controls: &SearchControls,
    ) -> Result<Self, LdapResult> {
        let base_object = Name::new(request.base_object);
        Self::from_base(&base_object, snapshot, tree, viewer, request, controls)
    }

    /// The same for a base object that has already been looked at.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_base(
        base_object: &Name<'_>,
        snapshot: Arc<Snapshot>,
        tree: Arc<Tree>,
        viewer: Viewer,
        request: &SearchRequest<'_>,
        controls: &SearchControls,
    ) -> Result<Self, LdapResult> {
        let view = viewer.view(&snapshot);
        let context = Context {
            snapshot: &snapshot,
            tree: &tree,
            view,
        };
        let base = base_entry(&context, base_object)?;
        let (in_scope, within) = in_scope(&snapshot, base, request.scope).map_err(damaged)?;
        Self::prepare(snapshot, tree, view, (in_scope, within), None, request, controls)
    }

    /// Prepares a search of one entry that belongs to no provider: the rootDSE (`dn` empty) or the subschema. The
    /// entry is its own base, whatever base the request names.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of_entry(
        dn: &str,
        attributes: &EntryAttributes,
        request: &SearchRequest<'_>,
        controls: &SearchControls,
    ) -> Result<Self, LdapResult> {
        let here = matches!(request.scope, Scope::BaseObject | Scope::WholeSubtree);
        let in_scope = InScope::one(match here {
            true => PlaceRange::one(Place::FIRST),
            false => PlaceRange::default(),
        });
        let tree = Arc::new(Tree::of_one_entry(dn, attributes));
        let mut search = Self::prepare(
            empty_snapshot().map_err(damaged)?,
            tree,
            View::Full,
            (in_scope, None),
            None,
            request,
            controls,
        )?;
        search.selection.all_is_operational();
        Ok(search)
    }

    #[expect(
        clippy::too_many_lines,
        reason = "a list of steps, each of which needs what those before it found"
    )]
    #[inline(always)] // Else what it makes is copied once more on its way out.
    pub(super) fn prepare(
        snapshot: Arc<Snapshot>,
        tree: Arc<Tree>,
        view: View,
        (in_scope, within): (InScope, Option<Within>),
        root: Option<Root>,
        request: &SearchRequest<'_>,
        controls: &SearchControls,
    ) -> Result<Self, LdapResult> {
        let layout = snapshot.records.layout;
        let context = Context {
            snapshot: &snapshot,
            tree: &tree,
            view,
        };
        let (limits, position) = AnswerLimits::new(request, controls)?;
        let mut sort_response = None;
        let mut finished = None;
        let asked = controls.sort.as_deref();
        // A page that continues in an order does so, even if nothing has the attribute now.
        let go_on = position.as_ref().map(|position| position.sort_key.is_some());
        let order = asked.map(|keys| SortOrder::new(&context, keys, go_on == Some(true)));
        let order = match order.transpose().map_err(damaged)? {
            None => None,
            Some(Ok(_)) if go_on == Some(false) && controls.sort_critical => {
                return Err(foreign_cookie());
            }
            // Nor does an answer that was not sorted become sorted midway.
            Some(Ok(_)) if go_on == Some(false) => {
                sort_response = Some(encode_sort_response(ResultCode::UnwillingToPerform as u8, None));
                None
            }
            Some(Ok(order)) => {
                sort_response = Some(encode_sort_response(0, None));
                Some(order)
            }
            Some(Err(SortError { code, attribute })) => {
                sort_response = Some(encode_sort_response(code, Some(&attribute)));
                if controls.sort_critical {
                    let message = format!("cannot sort by {}", excerpt(&attribute));
                    finished = Some(LdapResult::new(ResultCode::UnavailableCriticalExtension, message));
                }
                None
            }
        };
        if limits.ended && finished.is_none() {
            finished = Some(LdapResult::success());
        }
        let (mut from, mut sorted_from) = (Place::FIRST, None);
        if let Some(position) = position {
            match position.sort_key {
                Some(key) => sorted_from = Some((key, position.after.next(&snapshot, layout))),
                None if position.after != EntryKey::RootDse => from = position.after.next(&snapshot, layout),
                None => {}
            }
        }
        // Without a sort the root DSE comes before everything else.
        let root = root.filter(|_| go_on != Some(false)).map(Box::new);
        let virtual_groups = layout.children(Container::VirtualGroups).start;
        let their_ou = layout.container(Container::VirtualGroups);
        let are_hidden =
            |direct| in_scope.reaches(virtual_groups) && virtual_groups::are_hidden(&request.filter, direct);
        let end = match tree.virtual_groups() {
            VirtualGroups::AsRecorded if are_hidden(tree.direct && view == View::Full) => virtual_groups,
            VirtualGroups::AsCached if are_hidden(false) => virtual_groups,
            VirtualGroups::BelowOu if in_scope.begins_before(their_ou) => virtual_groups,
            VirtualGroups::Off => their_ou,
            _ => layout.end(),
        };
        let in_scope = match end < layout.end() {
            true => in_scope.before(end),
            false => in_scope,
        };
        let filter = Node::compile(&context, &request.filter).map_err(damaged)?;
        let mut filter = filter.ok_or_else(nested_too_far)?;
        if let Some(within) = within {
            filter = filter.within(within);
        }
        let plan = Planner { context, layout }.plan(&filter, &in_scope);
        let mut plan: Plan = plan.map_err(damaged)?;
        if let Some(order) = &order
            && view == View::Full
            && limits.vlv.is_none()
        {
            let root = root.as_ref().map(|root| root.sort_key(order)).transpose();
            let root = root.map_err(damaged)?;
            let walk = || Walk::new(&context, layout, order, root, sorted_from.as_ref());
            plan = plan.walk(layout, walk).map_err(damaged)?;
        }
        let mut phase = match &order {
            Some(order) if !plan.is_walk() => {
                Phase::Collecting(Box::new(Sorter::new(order.clone(), sorted_from)))
            }
            _ => Phase::Listing,
        };
        let under_way = root.as_ref().filter(|_| !plan.is_walk()).map(|_| ROOT);
        let by_name = matches!(phase, Phase::Listing) && !plan.is_walk() && !limits.paged();
        match &mut plan.source {
            CandidateSource::Places(places) if by_name => {
                snapshot.order_by_name(layout, places).map_err(damaged)?;
            }
            CandidateSource::Scan { .. } if by_name => phase = Phase::Marking(Matches::default()),
            _ => {}
        }
        let selection = Selection::new(
            &snapshot.records.attributes,
            &request.attributes,
            request.types_only,
        );
        let typical_size = selection.expected_size();
        let dereference = controls
            .deref
            .as_ref()
            .map(|specs| Dereference::new(&context, specs));
        if let Some(result) = finished {
            let cookie = limits.paged().then(Vec::new);
            phase = Phase::Finished(outcome(result, sort_response.take(), None, cookie, 0));
        }
        // It is returned untouched: anything else would copy it.
        Ok(Self {
            plan: plan.outline(),
            proved: plan.proved,
            candidates: Candidates::new(plan.source, from, by_name),
            is_large: filter.is_large(),
            under_way,
            done: Vec::new(),
            snapshot,
            tree,
            view,
            layout,
            filter,
            in_scope,
            selection,
            dereference,
            root,
            order,
            phase,
            limits,
            bounds: Bounds::default(),
            scratch: Scratch::default(),
            controls_scratch: Vec::new(),
            typical_size,
            entries: 0,
            last: None,
            sort_response,
        })
    }

    /// Prepares a search below the empty name: of the root DSE and the tree of a provider, according to the scope. The base
    /// DN of the provider is one level below.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_root(
        snapshot: Arc<Snapshot>,
        tree: Arc<Tree>,
        viewer: Viewer,
        root_dse: &EntryAttributes,
        request: &SearchRequest<'_>,
        controls: &SearchControls,
    ) -> Result<Self, LdapResult> {
        let view = viewer.view(&snapshot);
        let all = snapshot.records.layout.all();
        let none = PlaceRange::default();
        let (in_scope, with_root) = match request.scope {
            Scope::BaseObject => (none, true),
            Scope::SingleLevel => (PlaceRange::one(Place::FIRST), false),
            Scope::WholeSubtree => (all, true),
            Scope::SubordinateSubtree => (all, false),
        };
        let root = || {
            let controls = SearchControls {
                deref: controls.deref.clone(),
                ..SearchControls::default()
            };
            let search = Self::of_entry("", root_dse, request, &controls)?;
            Ok(Root {
                search,
                matches: None,
            })
        };
        let root = with_root.then(root).transpose()?;
        Self::prepare(
            snapshot,
            tree,
            view,
            (InScope::one(in_scope), None),
            root,
            request,
            controls,
        )
    }
}

/// For the entries that belong to no provider.
pub(crate) fn empty_snapshot() -> Result<Arc<Snapshot>, WrongNumber> {
    static EMPTY: LazyLock<Result<Arc<Snapshot>, WrongNumber>> =
        LazyLock::new(|| Ok(Arc::new(Builder::new().finish()?.0)));
    EMPTY.clone()
}
