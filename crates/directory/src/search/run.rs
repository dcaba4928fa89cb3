//! A search in progress: its answer, a piece at a time (RFC 4511 section 4.5).
//!
//! Owns what it needs, so that it can be driven across waits. Must not know connections or time.

use crate::filter::evaluation::STEP_WORK;
use crate::index::name_order::Matches;
use crate::model::number::WrongNumber;
use crate::model::place::{Entry, Place, ROOT};
use crate::plan::candidates::Step;
use crate::plan::outline::Proved;
use crate::plan::sorting::Sorter;
use crate::search::base::damaged;
use crate::search::dereference::NotFollowed;
use crate::search::limits::{max_int, vlv_target};
use crate::search::paging::EntryKey;
use crate::search::request::{Progress, outcome};
use crate::search::state::{NoMatch, Phase, Search};
use crate::view::context::Context;
use akldap_ldap::control::encode_vlv_response;
use akldap_ldap::response::{LdapResult, ResultCode};

impl Search {
    /// Appends entries until `out` has grown by about `budget` octets (at most one entry more), about `work` octets were
    /// compared (a nanosecond each; small things count for more than their size), or the search is done.
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
                    let steps = work.saturating_sub(self.scratch.work) / STEP_WORK + 1;
                    self.scratch.work = self.scratch.work.saturating_add(steps * STEP_WORK);
                    if sorter.advance(steps) {
                        self.open_window();
                    }
                }
                Phase::Window { .. } => self.list_window(out, message_id),
                Phase::Finished(_) => {}
            }
        }
    }

    /// After a step: the limit that it exceeded.
    #[inline(never)] // Seldom called, from where entries pass.
    fn exceeded(&mut self) -> Option<LdapResult> {
        let work = self.scratch.work as u64;
        // Those who read entries pay for the cost of writing them.
        self.bounds.spend(work);
        let memory = self.memory();
        let exceeded = self.bounds.too_much_work();
        exceeded.or_else(|| self.bounds.too_much_memory(memory))
    }

    /// The next candidate if it is a match.
    pub(super) fn next_match(&mut self, limit: usize) -> Result<Option<Place>, NoMatch> {
        let context = Context {
            snapshot: &self.snapshot,
            tree: &self.tree,
            view: self.view,
        };
        let scratch = &mut self.scratch;
        let place = match self.under_way.take() {
            Some(place) => place,
            None => match self.candidates.step(&context, self.layout, &mut scratch.work)? {
                Step::End => return Err(NoMatch::Exhausted),
                Step::Nothing => return Ok(None),
                Step::Candidate(place) => place,
            },
        };
        if !self.in_scope.contains(place) {
            return Ok((place == ROOT && self.root_matches(limit)?).then_some(ROOT));
        }
        let entry = self.layout.entry(place)?;
        if !context.is_visible(entry)? {
            return Ok(None);
        }
        let truth = match (self.proved, entry) {
            (Proved::Everything, Entry::User(_) | Entry::Group(_) | Entry::VirtualGroup(_)) => Some(true),
            _ if self.is_large => {
                let done = &mut self.done;
                match self
                    .filter
                    .evaluate_in_steps(&context, entry, scratch, done, limit)?
                {
                    Some(truth) => truth,
                    None => {
                        self.under_way = Some(place);
                        return Ok(None);
                    }
                }
            }
            (Proved::Nothing, _) | (_, Entry::Container(_) | Entry::Branch(_)) => {
                self.filter.evaluate(&context, entry, scratch)?
            }
            (Proved::Conjunct(proved), _) => {
                self.filter.evaluate_without(proved, &context, entry, scratch)?
            }
        };
        Ok((truth == Some(true)).then_some(place))
    }

    fn list(&mut self, out: &mut Vec<u8>, message_id: u32, limit: usize) {
        match self.next_match(limit) {
            Err(NoMatch::Exhausted) => self.finish(LdapResult::success(), None, None),
            Err(no_match) => self.stop(no_match),
            Ok(None) => {}
            // All that matters is that there is one more: it exceeds the size limit, or opens the next page.
            Ok(Some(_)) if self.limits.size_is_reached(self.entries) => {
                self.finish(self.limits.size_exceeded(), None, None);
            }
            Ok(Some(_)) if self.limits.page_is_full(self.entries) => {
                self.finish(LdapResult::success(), self.last, None);
            }
            Ok(Some(place)) => self.give(place, out, message_id),
        }
    }

    /// Ends the search for lack of a further match.
    #[cold]
    fn stop(&mut self, no_match: NoMatch) {
        let result = match no_match {
            NoMatch::Exhausted => LdapResult::success(),
            NoMatch::Wrong(wrong) => damaged(wrong),
        };
        self.finish(result, None, None);
    }

    fn mark(&mut self, limit: usize) {
        let Phase::Marking(matches) = &mut self.phase else {
            return;
        };
        let mut matches = std::mem::take(matches);
        match self.mark_some(&mut matches, limit) {
            Ok(()) => self.phase = Phase::Marking(matches),
            Err(NoMatch::Wrong(wrong)) => self.stop(NoMatch::Wrong(wrong)),
            Err(NoMatch::Exhausted) => {
                let order = self.snapshot.name_order();
                match order.and_then(|order| matches.into_places(order, self.layout)) {
                    Ok(places) => self.phase = Phase::Marked { places, next: 0 },
                    Err(wrong) => self.stop(NoMatch::Wrong(wrong)),
                }
            }
        }
    }

    fn mark_some(&mut self, matches: &mut Matches, limit: usize) -> Result<(), NoMatch> {
        while self.scratch.work < limit {
            if let Some(place) = self.next_match(limit)? {
                matches.insert(self.snapshot.name_order()?, self.layout, place)?;
            }
        }
        Ok(())
    }

    fn list_marked(&mut self, out: &mut Vec<u8>, message_id: u32) {
        let Phase::Marked { places, next } = &mut self.phase else {
            return;
        };
        self.scratch.work += STEP_WORK;
        match places.get(*next) {
            None => self.finish(LdapResult::success(), None, None),
            Some(_) if self.limits.size_is_reached(self.entries) => {
                self.finish(self.limits.size_exceeded(), None, None);
            }
            Some(&place) => {
                *next += 1;
                self.give(place, out, message_id);
            }
        }
    }

    fn collect(&mut self, limit: usize) {
        if let Err(no_match) = self.collect_one(limit) {
            match (no_match, &mut self.phase) {
                (NoMatch::Exhausted, Phase::Collecting(sorter)) => {
                    let order = sorter.order.clone();
                    let sorter = std::mem::replace(sorter, Box::new(Sorter::new(order, None)));
                    self.phase = Phase::Sorting(sorter);
                }
                (no_match, _) => self.stop(no_match),
            }
        }
    }

    fn collect_one(&mut self, limit: usize) -> Result<(), NoMatch> {
        let (Some(place), Phase::Collecting(sorter)) = (self.next_match(limit)?, &mut self.phase) else {
            return Ok(());
        };
        let (context, entry) = match &self.root {
            Some(root) if place == ROOT => root.entry(),
            _ => {
                let context = Context {
                    snapshot: &self.snapshot,
                    tree: &self.tree,
                    view: self.view,
                };
                (context, self.layout.entry(place)?)
            }
        };
        self.scratch.work += SORT_KEY + sorter.push(&context, entry, place)?;
        Ok(())
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
        let place = if *next < *end { sorter.get(*next) } else { None };
        let Some(place) = place else {
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
        self.give(place, out, message_id);
    }

    /// Appends an entry; if a number points to nothing, none of it, and the search ends.
    #[inline]
    fn give(&mut self, place: Place, out: &mut Vec<u8>, message_id: u32) {
        let start = out.len();
        if let Err(wrong) = self.write(place, out, message_id) {
            out.truncate(start);
            self.stop(NoMatch::Wrong(wrong));
        }
    }

    pub(super) fn write(
        &mut self,
        place: Place,
        out: &mut Vec<u8>,
        message_id: u32,
    ) -> Result<(), WrongNumber> {
        if place == ROOT {
            return self.write_root(out, message_id);
        }
        let entry = self.layout.entry(place)?;
        let context = Context {
            snapshot: &self.snapshot,
            tree: &self.tree,
            view: self.view,
        };
        self.controls_scratch.clear();
        if let Some(dereference) = &self.dereference {
            let most = self.bounds.limits.memory;
            match dereference.write(&context, entry, most, &mut self.controls_scratch) {
                Ok(()) => {}
                Err(NotFollowed::TooMuch) => {
                    let dn = context.dn(entry)?.concat();
                    self.finish(self.bounds.too_much_named(&dn), None, None);
                    return Ok(());
                }
                Err(NotFollowed::Wrong(wrong)) => return Err(wrong),
            }
        }
        self.selection.write_entry(
            &context,
            entry,
            message_id,
            &self.controls_scratch,
            &mut self.typical_size,
            out,
        )?;
        let written = self.selection.work() + self.controls_scratch.len();
        self.scratch.work += written;
        self.bounds.earn(written);
        self.entries += 1;
        self.last = Some(place);
        Ok(())
    }

    /// Whether the root DSE is a match; also false while that is not known, and then it is being found out.
    #[cold]
    fn root_matches(&mut self, limit: usize) -> Result<bool, WrongNumber> {
        let Some(root) = &mut self.root else {
            return Ok(false);
        };
        if let Some(matches) = root.matches {
            return Ok(matches);
        }
        root.search.scratch.work = self.scratch.work;
        let found = root.search.next_match(limit);
        self.scratch.work = root.search.scratch.work;
        match found {
            Ok(Some(_)) => root.matches = Some(true),
            Err(NoMatch::Exhausted) => root.matches = Some(false),
            Err(NoMatch::Wrong(wrong)) => return Err(wrong),
            Ok(None) => self.under_way = Some(ROOT),
        }
        Ok(root.matches == Some(true))
    }

    #[cold]
    fn write_root(&mut self, out: &mut Vec<u8>, message_id: u32) -> Result<(), WrongNumber> {
        if let Some(root) = &mut self.root {
            root.search.scratch.work = 0;
            root.search.write(Place::FIRST, out, message_id)?;
            let written = root.search.scratch.work;
            self.scratch.work += written;
            self.bounds.earn(written);
            self.entries += 1;
            self.last = Some(ROOT);
        }
        Ok(())
    }

    /// The cookie of a page that ends with an entry.
    fn cookie(&self, last: Place) -> Result<Vec<u8>, WrongNumber> {
        let (context, entry) = match &self.root {
            Some(root) if last == ROOT => root.entry(),
            _ => {
                let context = Context {
                    snapshot: &self.snapshot,
                    tree: &self.tree,
                    view: self.view,
                };
                (context, self.layout.entry(last)?)
            }
        };
        let sort_key = self.order.as_ref().map(|order| order.key_of(&context, entry));
        let key = EntryKey::of(&self.snapshot, self.layout, last)?;
        Ok(self.limits.cookie(key, sort_key.transpose()?, self.entries))
    }

    /// Ends the search; `last` is the last entry of a page that others follow.
    fn finish(&mut self, mut result: LdapResult, last: Option<Place>, vlv: Option<Vec<u8>>) {
        let cookie = self
            .limits
            .paged()
            .then(|| match last.map(|last| self.cookie(last)) {
                Some(Ok(cookie)) => cookie,
                Some(Err(wrong)) => {
                    result = damaged(wrong);
                    Vec::new()
                }
                // No page follows the last one.
                None => Vec::new(),
            });
        let sorted = self.sort_response.take();
        self.phase = Phase::Finished(outcome(result, sorted, vlv, cookie, self.entries));
    }
}

/// The work of making an entry's sort key, besides its octets.
const SORT_KEY: usize = 4 * STEP_WORK;

#[cfg(test)]
mod branch_tests;
#[cfg(test)]
mod large_tests;
#[cfg(test)]
mod paging_tests;
#[cfg(test)]
mod tests;
