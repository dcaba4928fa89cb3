//! One search (RFC 4511 section 4.5): what it asks, where it stands, and its answer a piece at a time.
//!
//! Knows scopes, limits and the controls that change an answer. Owns what it needs, so that it can be driven across
//! waits. Must not know connections or time.

use std::fmt;
use std::sync::{Arc, LazyLock};

use crate::build::builder::Builder;
use crate::filter::evaluation::{Done, LOOK, Scratch};
use crate::filter::node::Node;
use crate::filter::virtual_groups;
use crate::index::name_order::Matches;
use crate::index::order::Walk;
use crate::index::snapshot::Snapshot;
use crate::plan::candidates::{Candidates, Step};
use crate::plan::outline::{Extent, Outline, Plan, Planner, Proved, Source};
use crate::plan::sorting::{SortError, SortOrder, Sorter};
use crate::search::dereference::{Dereference, TooMuch};
use crate::search::paging::Key;
use crate::search::selection::Selection;
use crate::view::entry::{Context, Entry, Layout, Ordinal, ROOT, Special, View};
use crate::view::subschema::Attributes;
use crate::view::tree::Tree;
use akldap_ldap::control::{
    DerefSpec, PAGED_RESULTS, PagedResults, SORT_RESPONSE, SortKey, VLV_RESPONSE, VlvRequest,
    encode_sort_response, encode_vlv_response,
};
use akldap_ldap::message::{Scope, SearchRequest};
use akldap_ldap::response::{LdapResult, ResultCode, excerpt};

use crate::search::base::{base_entry, extent};
use crate::search::bounds::SearchLimits;
use crate::search::bounds::{Bounds, nested_too_far};
use crate::search::limits::{Limits, foreign_cookie, max_int, vlv_target};
use crate::search::root::Root;

/// Who is searching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// Someone who may search the full directory.
    Full,
    /// Someone who sees base, containers, the own user, the groups it is a direct member of, and the own virtual
    /// group.
    Own {
        /// The primary key of the user.
        user_pk: i64,
    },
}

impl Viewer {
    pub(crate) fn view(self, snapshot: &Snapshot) -> View {
        match self {
            Self::Full => View::Full,
            Self::Own { user_pk } => View::Own(snapshot.user_by_pk(user_pk).map(|user| user.0)),
        }
    }
}

/// The controls of a search, decoded.
#[derive(Clone, Debug, Default)]
pub struct SearchControls {
    /// Paged results, RFC 2696.
    pub paged: Option<PagedResults>,
    /// Server-side sorting, RFC 2891.
    pub sort: Option<Vec<SortKey>>,
    /// Whether a search that cannot be sorted must fail.
    pub sort_critical: bool,
    /// Virtual list view.
    pub vlv: Option<VlvRequest>,
    /// Dereference.
    pub deref: Option<Vec<DerefSpec>>,
    /// Signs the cookies of paged results. The same for all connections, or cookies do not survive them.
    pub cookie_key: [u8; 32],
}

/// How a search ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchOutcome {
    /// The result.
    pub result: LdapResult,
    /// The response controls: OID and value.
    pub controls: Vec<(&'static str, Vec<u8>)>,
    /// How many entries were returned.
    pub entries: u64,
}

/// Where a search stands after [`Search::advance`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more to do.
    More,
    /// Everything is written but the SearchResultDone.
    Done(SearchOutcome),
}

/// A search under way.
#[derive(Debug)]
pub struct Search {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) tree: Arc<Tree>,
    pub(super) view: View,
    pub(super) layout: Layout,
    pub(super) filter: Node,
    pub(super) extent: Extent,
    pub(super) selection: Selection,
    pub(super) dereference: Option<Dereference>,
    pub(super) root: Option<Box<Root>>,
    /// What the answer is sorted by.
    pub(super) order: Option<SortOrder>,
    pub(super) plan: Outline,
    pub(super) proved: Proved,
    pub(super) candidates: Candidates,
    /// Whether the filter is evaluated in steps; then the candidate it is evaluated on, and how far that went.
    pub(super) is_large: bool,
    pub(super) under_way: Option<Ordinal>,
    pub(super) done: Vec<Done>,
    pub(super) phase: Phase,
    pub(super) limits: Limits,
    pub(super) bounds: Bounds,
    pub(super) scratch: Scratch,
    pub(super) controls_scratch: Vec<u8>,
    pub(super) typical_size: usize,
    pub(super) entries: u64,
    pub(super) last: Option<Ordinal>,
    pub(super) sort_response: Option<Vec<u8>>,
}

/// What a search is doing.
#[derive(Debug)]
pub(super) enum Phase {
    /// Looks at candidates that do not come in the order of names, and marks the matches.
    Marking(Matches),
    /// Writes marked matches.
    Marked {
        ordinals: Vec<Ordinal>,
        next: usize,
    },
    /// Looks at candidates and writes matches.
    Listing,
    /// Looks at candidates and keeps the keys of matches.
    Collecting(Box<Sorter>),
    Sorting(Box<Sorter>),
    /// Writes matches by rank.
    Window {
        sorter: Box<Sorter>,
        next: usize,
        end: usize,
        vlv: Option<Vec<u8>>,
    },
    Finished(SearchOutcome),
}

impl Search {
    /// Prepares a search.
    ///
    /// # Errors
    /// The result to answer with, if the base is malformed (invalidDNSyntax) or missing (noSuchObject with the closest
    /// entry above it), the cookie is not ours (unwillingToPerform), or the controls contradict each other.
    pub fn new(
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
        let base = base_entry(&context, request.base_object)?;
        let extent = extent(Layout::new(&snapshot), base, request.scope);
        Self::prepare(snapshot, tree, view, extent, None, request, controls)
    }

    /// Prepares a search of one entry that belongs to no provider: the rootDSE (`dn` empty) or the subschema. The
    /// entry is its own base, whatever base the request names.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of_entry(
        dn: &str,
        attributes: &Attributes,
        request: &SearchRequest<'_>,
        controls: &SearchControls,
    ) -> Result<Self, LdapResult> {
        let here = matches!(request.scope, Scope::BaseObject | Scope::WholeSubtree);
        let extent = Extent::one(if here { 0..1 } else { 0..0 });
        let tree = Arc::new(Tree::of_one_entry(dn, attributes));
        let mut search = Self::prepare(
            empty_snapshot(),
            tree,
            View::Full,
            extent,
            None,
            request,
            controls,
        )?;
        search.selection.all_is_operational();
        Ok(search)
    }

    #[inline(always)] // Else what it makes is copied once more on its way out.
    pub(super) fn prepare(
        snapshot: Arc<Snapshot>,
        tree: Arc<Tree>,
        view: View,
        extent: Extent,
        root: Option<Root>,
        request: &SearchRequest<'_>,
        controls: &SearchControls,
    ) -> Result<Self, LdapResult> {
        let layout = Layout::new(&snapshot);
        let context = Context {
            snapshot: &snapshot,
            tree: &tree,
            view,
        };
        let (limits, position) = Limits::new(request, controls)?;
        let mut sort_response = None;
        let mut finished = None;
        let asked = controls.sort.as_deref();
        // A page that goes on in an order does so, even if nothing has the attribute any more.
        let go_on = position.as_ref().map(|position| position.sort_key.is_some());
        let order = match asked.map(|keys| SortOrder::new(&context, keys, go_on == Some(true))) {
            None => None,
            Some(Ok(_)) if go_on == Some(false) && controls.sort_critical => return Err(foreign_cookie()),
            // Nor does an answer that was not sorted become sorted on its way.
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
        let (mut from, mut sorted_from) = (0, None);
        if let Some(position) = position {
            match position.sort_key {
                Some(key) => sorted_from = Some((key, position.after.next(&snapshot, layout))),
                None if position.after != Key::RootDse => from = position.after.next(&snapshot, layout),
                None => {}
            }
        }
        // Without a sort the root DSE comes before everything else.
        let root = root.filter(|_| go_on != Some(false)).map(Box::new);
        let virtual_groups = layout.children(Special::VirtualGroups).start;
        let hidden = extent.reaches(virtual_groups)
            && virtual_groups::are_hidden(&request.filter, tree.direct && view == View::Full);
        let extent = if hidden {
            extent.before(virtual_groups)
        } else {
            extent
        };
        let filter = Node::compile(&context, &request.filter).ok_or_else(nested_too_far)?;
        let mut plan: Plan = Planner { context, layout }.plan(&filter, &extent);
        if let Some(order) = &order
            && view == View::Full
            && limits.vlv.is_none()
        {
            let root = root.as_ref().map(|root| root.sort_key(order));
            plan = plan.walk(layout, || {
                Walk::new(&context, layout, order, root, sorted_from.as_ref())
            });
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
            Source::Ordinals(ordinals) if by_name => snapshot.order_by_name(layout, ordinals),
            Source::Scan { .. } if by_name => phase = Phase::Marking(Matches::default()),
            _ => {}
        }
        let selection = Selection::new(&snapshot.attributes, &request.attributes, request.types_only);
        let dereference = controls
            .deref
            .as_ref()
            .map(|specs| Dereference::new(&context, specs));
        if let Some(result) = finished {
            let cookie = limits.paged().then(Vec::new);
            phase = Phase::Finished(outcome(result, sort_response.take(), None, cookie, 0));
        }
        // Nothing is done to it before it is returned: it would be copied.
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
            extent,
            selection,
            dereference,
            root,
            order,
            phase,
            limits,
            bounds: Bounds::default(),
            scratch: Scratch::default(),
            controls_scratch: Vec::new(),
            typical_size: TYPICAL_SIZE,
            entries: 0,
            last: None,
            sort_response,
        })
    }

    /// How the search finds its entries, for a trace.
    #[must_use]
    pub fn plan(&self) -> impl fmt::Display + use<> {
        self.plan
    }

    /// Sets what the search may cost; nothing is limited before.
    pub fn limit(&mut self, limits: SearchLimits) {
        self.bounds.limits = limits;
    }

    /// The directory it reads.
    #[must_use]
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// How many entries were returned so far.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Octets on the heap that the search alone holds: its filter, what it found without having returned it, and what it
    /// sorts.
    #[must_use]
    pub fn memory(&self) -> usize {
        let found = match &self.phase {
            Phase::Collecting(sorter) | Phase::Sorting(sorter) | Phase::Window { sorter, .. } => {
                sorter.memory()
            }
            Phase::Marking(matches) => matches.memory(),
            Phase::Marked { ordinals, .. } => ordinals.capacity() * size_of::<Ordinal>(),
            Phase::Listing | Phase::Finished(_) => 0,
        };
        // What was compiled does not change.
        let compiled = self.bounds.compiled.get_or_init(|| {
            let root = self.root.as_ref().map_or(0, |root| root.memory());
            self.filter.memory() + self.selection.memory() + root
        });
        let sources = self.candidates.memory() + self.controls_scratch.capacity();
        size_of::<Self>() + compiled + sources + found
    }

    /// Appends entries until `out` has grown by about `budget` octets (at most one entry more), about `work` octets were
    /// compared (a nanosecond each; small things count for more than they have), or the search is done.
    pub fn advance(&mut self, out: &mut Vec<u8>, message_id: u32, budget: usize, work: usize) -> Progress {
        self.scratch.work = 0;
        let end = out.len().saturating_add(budget);
        loop {
            if let Phase::Finished(outcome) = &self.phase {
                return Progress::Done(outcome.clone());
            }
            if out.len() >= end || self.scratch.work >= work {
                match self.exceeded() {
                    Some(exceeded) => self.finish(exceeded, None, None),
                    None => return Progress::More,
                }
            }
            match &mut self.phase {
                Phase::Listing => self.list(out, message_id, work),
                Phase::Marking(_) => self.mark(work),
                Phase::Marked { .. } => self.list_marked(out, message_id),
                Phase::Collecting(_) => self.collect(work),
                Phase::Sorting(sorter) => {
                    let steps = work.saturating_sub(self.scratch.work) / LOOK + 1;
                    self.scratch.work = self.scratch.work.saturating_add(steps * LOOK);
                    if sorter.advance(steps) {
                        self.open_window();
                    }
                }
                Phase::Window { .. } => self.list_window(out, message_id),
                Phase::Finished(_) => {}
            }
        }
    }

    /// After a step: the limit that it went beyond.
    #[inline(never)] // Seldom called, from where entries pass.
    fn exceeded(&mut self) -> Option<LdapResult> {
        let work = self.scratch.work as u64;
        // What entries cost to be written is paid for by those who read them.
        self.bounds.spend(work);
        let memory = self.memory();
        let exceeded = self.bounds.too_much_work();
        exceeded.or_else(|| self.bounds.too_much_memory(memory))
    }

    /// The next candidate if it is a match.
    pub(super) fn next_match(&mut self, limit: usize) -> Result<Option<Ordinal>, Exhausted> {
        let context = Context {
            snapshot: &self.snapshot,
            tree: &self.tree,
            view: self.view,
        };
        let scratch = &mut self.scratch;
        let ordinal = match self.under_way.take() {
            Some(ordinal) => ordinal,
            None => match self.candidates.step(&context, self.layout, &mut scratch.work) {
                Step::End => return Err(Exhausted),
                Step::Nothing => return Ok(None),
                Step::Candidate(ordinal) => ordinal,
            },
        };
        let entry = self.layout.entry(ordinal);
        if !self.extent.contains(ordinal) || !context.is_visible(entry) {
            return Ok((ordinal == ROOT && self.root_matches(limit)).then_some(ROOT));
        }
        let truth = match (self.proved, entry) {
            (Proved::Everything, Entry::User(_) | Entry::Group(_) | Entry::VirtualGroup(_)) => Some(true),
            _ if self.is_large => {
                let done = &mut self.done;
                match self
                    .filter
                    .evaluate_in_steps(&context, entry, scratch, done, limit)
                {
                    Some(truth) => truth,
                    None => {
                        self.under_way = Some(ordinal);
                        return Ok(None);
                    }
                }
            }
            (Proved::Nothing, _) | (_, Entry::Special(_)) => self.filter.evaluate(&context, entry, scratch),
            (Proved::Conjunct(proved), _) => self.filter.evaluate_without(proved, &context, entry, scratch),
        };
        Ok((truth == Some(true)).then_some(ordinal))
    }

    fn list(&mut self, out: &mut Vec<u8>, message_id: u32, limit: usize) {
        match self.next_match(limit) {
            Err(Exhausted) => self.finish(LdapResult::success(), None, None),
            Ok(None) => {}
            // That there is one more is all that counts: it exceeds the size limit, or opens the next page.
            Ok(Some(_)) if self.limits.size_is_reached(self.entries) => {
                self.finish(self.limits.size_exceeded(), None, None);
            }
            Ok(Some(_)) if self.limits.page_is_full(self.entries) => {
                self.finish(LdapResult::success(), self.last, None);
            }
            Ok(Some(ordinal)) => self.write(ordinal, out, message_id),
        }
    }

    fn mark(&mut self, limit: usize) {
        let Phase::Marking(matches) = &mut self.phase else {
            return;
        };
        let mut matches = std::mem::take(matches);
        while self.scratch.work < limit {
            match self.next_match(limit) {
                Ok(Some(ordinal)) => matches.insert(&self.snapshot, self.layout, ordinal),
                Ok(None) => {}
                Err(Exhausted) => {
                    let ordinals = matches.into_places(&self.snapshot, self.layout);
                    self.phase = Phase::Marked { ordinals, next: 0 };
                    return;
                }
            }
        }
        self.phase = Phase::Marking(matches);
    }

    fn list_marked(&mut self, out: &mut Vec<u8>, message_id: u32) {
        let Phase::Marked { ordinals, next } = &mut self.phase else {
            return;
        };
        self.scratch.work += LOOK;
        match ordinals.get(*next) {
            None => self.finish(LdapResult::success(), None, None),
            Some(_) if self.limits.size_is_reached(self.entries) => {
                self.finish(self.limits.size_exceeded(), None, None);
            }
            Some(&ordinal) => {
                *next += 1;
                self.write(ordinal, out, message_id);
            }
        }
    }

    fn collect(&mut self, limit: usize) {
        let found = self.next_match(limit);
        let Phase::Collecting(sorter) = &mut self.phase else {
            return;
        };
        match found {
            Ok(Some(ordinal)) => {
                let (context, entry) = match &self.root {
                    Some(root) if ordinal == ROOT => root.entry(),
                    _ => {
                        let context = Context {
                            snapshot: &self.snapshot,
                            tree: &self.tree,
                            view: self.view,
                        };
                        (context, self.layout.entry(ordinal))
                    }
                };
                self.scratch.work += SORT_KEY + sorter.push(&context, entry, ordinal);
            }
            Ok(None) => {}
            Err(Exhausted) => {
                let order = sorter.order.clone();
                let sorter = std::mem::replace(sorter, Box::new(Sorter::new(order, None)));
                self.phase = Phase::Sorting(sorter);
            }
        }
    }

    /// Decides which part of a sorted answer is wanted.
    fn open_window(&mut self) {
        let Phase::Sorting(sorter) = &mut self.phase else {
            return;
        };
        let order = sorter.order.clone();
        let sorter = std::mem::replace(sorter, Box::new(Sorter::new(order, None)));
        let count = sorter.len();
        let Some(request) = self.limits.vlv.take() else {
            self.phase = Phase::Window {
                sorter,
                next: 0,
                end: count,
                vlv: None,
            };
            return;
        };
        let Some(target) = vlv_target(&sorter, &request) else {
            let response = encode_vlv_response(0, max_int(count), ResultCode::OffsetRangeError as u8);
            let message = "the offset of a virtual list view starts at 1";
            return self.finish(
                LdapResult::new(ResultCode::OffsetRangeError, message),
                None,
                Some(response),
            );
        };
        let response = encode_vlv_response(max_int(target + 1), max_int(count), 0);
        self.phase = Phase::Window {
            next: target.saturating_sub(request.before_count as usize),
            end: target
                .saturating_add(request.after_count as usize)
                .saturating_add(1)
                .min(count),
            sorter,
            vlv: Some(response),
        };
    }

    fn list_window(&mut self, out: &mut Vec<u8>, message_id: u32) {
        let Phase::Window {
            sorter,
            next,
            end,
            vlv,
        } = &mut self.phase
        else {
            return;
        };
        let ordinal = if *next < *end { sorter.get(*next) } else { None };
        let Some(ordinal) = ordinal else {
            let vlv = vlv.take();
            return self.finish(LdapResult::success(), None, vlv);
        };
        if self.limits.size_is_reached(self.entries) {
            return self.finish(self.limits.size_exceeded(), None, None);
        }
        if self.limits.page_is_full(self.entries) {
            return self.finish(LdapResult::success(), self.last, None);
        }
        *next += 1;
        self.write(ordinal, out, message_id);
    }

    pub(super) fn write(&mut self, ordinal: Ordinal, out: &mut Vec<u8>, message_id: u32) {
        if ordinal == ROOT {
            return self.write_root(out, message_id);
        }
        let entry = self.layout.entry(ordinal);
        let context = Context {
            snapshot: &self.snapshot,
            tree: &self.tree,
            view: self.view,
        };
        self.controls_scratch.clear();
        if let Some(dereference) = &self.dereference {
            let most = self.bounds.limits.memory;
            if let Err(TooMuch) = dereference.write(&context, entry, most, &mut self.controls_scratch) {
                let dn = context.dn(entry).concat();
                return self.finish(self.bounds.too_much_named(&dn), None, None);
            }
        }
        self.selection.write_entry(
            &context,
            entry,
            message_id,
            &self.controls_scratch,
            &mut self.typical_size,
            out,
        );
        let written = self.selection.work() + self.controls_scratch.len();
        self.scratch.work += written;
        self.bounds.earn(written);
        self.entries += 1;
        self.last = Some(ordinal);
    }

    /// The cookie of a page that ends with an entry.
    fn cookie(&self, last: Ordinal) -> Vec<u8> {
        let context = Context {
            snapshot: &self.snapshot,
            tree: &self.tree,
            view: self.view,
        };
        let (context, entry) = match &self.root {
            Some(root) if last == ROOT => root.entry(),
            _ => (context, self.layout.entry(last)),
        };
        let sort_key = self.order.as_ref().map(|order| order.key_of(&context, entry));
        let key = Key::of(&self.snapshot, self.layout, last);
        self.limits.cookie(key, sort_key, self.entries)
    }

    /// Ends the search; `last` is the last entry of a page that others follow.
    fn finish(&mut self, result: LdapResult, last: Option<Ordinal>, vlv: Option<Vec<u8>>) {
        let cookie = self.limits.paged().then(|| last.map(|last| self.cookie(last)));
        let cookie = cookie.map(Option::unwrap_or_default);
        let sorted = self.sort_response.take();
        self.phase = Phase::Finished(outcome(result, sorted, vlv, cookie, self.entries));
    }
}

/// How a search ended: with the values of its response controls, and with a cookie if it was paged.
fn outcome(
    result: LdapResult,
    sort: Option<Vec<u8>>,
    vlv: Option<Vec<u8>>,
    cookie: Option<Vec<u8>>,
    entries: u64,
) -> SearchOutcome {
    let mut controls = Vec::new();
    controls.extend(sort.map(|value| (SORT_RESPONSE, value)));
    controls.extend(vlv.map(|value| (VLV_RESPONSE, value)));
    controls.extend(cookie.map(|cookie| {
        let response = PagedResults { size: 0, cookie };
        (PAGED_RESULTS, response.encode())
    }));
    SearchOutcome {
        result,
        controls,
        entries,
    }
}

/// Work of making the key by which an entry is sorted, besides its octets.
const SORT_KEY: usize = 4 * LOOK;

/// Octets of the attributes of the first entry: a guess, by which the space for a length is chosen.
const TYPICAL_SIZE: usize = 1000;

/// There are no candidates left.
pub(super) struct Exhausted;

/// For the entries that belong to no provider.
pub(crate) fn empty_snapshot() -> Arc<Snapshot> {
    static EMPTY: LazyLock<Arc<Snapshot>> = LazyLock::new(|| Arc::new(Builder::new().finish().0));
    Arc::clone(&EMPTY)
}

/// Finds the entry a name means to a viewer, for operations on one entry.
pub(crate) fn named_entry(context: &Context<'_>, name: &[u8]) -> Result<Entry, LdapResult> {
    base_entry(context, name)
}

#[cfg(test)]
mod large_tests;
#[cfg(test)]
mod paging_tests;
#[cfg(test)]
mod tests;
