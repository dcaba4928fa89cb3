//! Where to look for the entries that satisfy a filter.
//!
//! Takes the cheapest conjunct, or all disjuncts together: always a superset of what matches, in the order of answers,
//! and what it proves need not be looked at again. Must not decide what else matches.

use crate::filter::node::{Matcher, Node};
use crate::filter::within::Within;
use crate::model::built_in::AttributeId;
use crate::model::number::{UserIx, WrongNumber};
use crate::model::place::{Container, Layout, Place, PlaceRange};
use crate::plan::entry_kinds::EntryKinds;
use crate::plan::in_scope::InScope;
use crate::plan::lookup::{Exactness, Found, Lookup};
use crate::plan::outline::{CandidateSource, Plan, Proved};
use crate::view::context::{Context, View};

/// Candidates up to this many are evaluated rather than reduced further: building an ordered index for the rest of the
/// filter would cost more.
const FEW: usize = 256;

/// Lists an assertion is usually found in.
const USUAL_LISTS: usize = 8;

/// An organizational unit with less than one in this many users is worth being looked through user by user.
const MOST_WITHIN: usize = 4;

/// Candidates from indexes.
struct Gathered<'s> {
    found: Vec<Found<'s>>,
    /// How many, counting those found twice.
    count: usize,
    proved: Proved,
}

/// Plans one search.
pub(crate) struct Planner<'a> {
    pub(crate) context: Context<'a>,
    pub(crate) layout: Layout,
}

impl<'a> Planner<'a> {
    /// The plan for a filter within base and scope.
    pub(crate) fn plan(&self, filter: &'a Node, in_scope: &InScope) -> Result<Plan, WrongNumber> {
        let size = in_scope.size();
        if size <= 1 {
            return Ok(Plan {
                source: CandidateSource::Places(in_scope.places().collect()),
                proved: Proved::Nothing,
                candidates: size,
            });
        }
        if let View::Own(own) = self.context.view {
            return self.plan_own(filter, own, in_scope);
        }
        let indexed = self.gather(filter, false)?;
        if let Some(gathered) = indexed.as_ref().filter(|gathered| gathered.count <= FEW) {
            return self.indexed(gathered, in_scope);
        }
        let kinds = EntryKinds::of_filter(self.context, filter)?;
        let ranges = self.ranges(kinds, in_scope);
        let in_ranges = ranges.iter().map(|range| range.len()).sum();
        if in_ranges > FEW {
            let ordered = self.gather(filter, true)?;
            if let Some(gathered) = ordered.filter(|gathered| gathered.count < in_ranges) {
                return self.indexed(&gathered, in_scope);
            }
            if let Some((source, proved)) = self.scan(filter)? {
                return Ok(Plan {
                    source,
                    proved,
                    candidates: in_ranges,
                });
            }
        }
        Ok(Plan {
            source: CandidateSource::Ranges(ranges),
            proved: if self.is_decided_by_kind(filter) {
                Proved::Everything
            } else {
                Proved::Nothing
            },
            candidates: in_ranges,
        })
    }

    /// The plan for a viewer who sees little.
    fn plan_own(
        &self,
        filter: &'a Node,
        own: Option<UserIx>,
        in_scope: &InScope,
    ) -> Result<Plan, WrongNumber> {
        let own = self.own_entries(own, in_scope)?;
        if let Some(gathered) = self.gather(filter, false)?
            && gathered.count < own.len()
        {
            return Ok(Plan {
                proved: Proved::Nothing,
                ..self.indexed(&gathered, in_scope)?
            });
        }
        Ok(Plan {
            candidates: own.len(),
            proved: Proved::Nothing,
            source: CandidateSource::Places(own),
        })
    }

    /// The places of what was gathered.
    fn indexed(&self, gathered: &Gathered<'_>, in_scope: &InScope) -> Result<Plan, WrongNumber> {
        let mut places = Vec::with_capacity(gathered.count);
        for found in &gathered.found {
            found.places(self.layout, &mut places)?;
        }
        places.retain(|&place| in_scope.contains(place));
        // Most lists come in order.
        if !places.is_sorted_by(|a, b| a < b) {
            places.sort_unstable();
            places.dedup();
        }
        Ok(Plan {
            candidates: places.len(),
            source: CandidateSource::Places(places),
            proved: gathered.proved,
        })
    }

    /// The candidates indexes give for a node; `None` if they cannot tell. `ordered` allows the indexes that may have to
    /// be built first.
    fn gather(&self, node: &'a Node, ordered: bool) -> Result<Option<Gathered<'a>>, WrongNumber> {
        Ok(match node {
            Node::Constant(Some(true)) | Node::Not(_) => None,
            Node::Within(within) => self.gather_within(*within)?,
            Node::Constant(_) => Some(Gathered {
                found: Vec::new(),
                count: 0,
                proved: Proved::Nothing,
            }),
            Node::And(nodes) => {
                let mut best: Option<(usize, Gathered<'a>)> = None;
                for (index, node) in nodes.iter().enumerate() {
                    if let Some(gathered) = self.gather(node, ordered)?
                        && best.as_ref().is_none_or(|(_, best)| gathered.count < best.count)
                    {
                        let enough = gathered.count <= 1;
                        best = Some((index, gathered));
                        if enough {
                            break;
                        }
                    }
                }
                let Some((index, gathered)) = best else {
                    return Ok(None);
                };
                let proved = match gathered.proved {
                    Proved::Everything if nodes.len() == 1 => Proved::Everything,
                    Proved::Everything => Proved::Conjunct(index),
                    _ => Proved::Nothing,
                };
                Some(Gathered { proved, ..gathered })
            }
            Node::Or(nodes) => {
                let mut all = Gathered {
                    found: Vec::new(),
                    count: 0,
                    proved: Proved::Everything,
                };
                for node in nodes {
                    let Some(gathered) = self.gather(node, ordered)? else {
                        return Ok(None);
                    };
                    all.count += gathered.count;
                    // More candidates than entries is not a plan, and must not be recorded either.
                    if all.count > FEW.max(self.layout.all().len()) {
                        return Ok(None);
                    }
                    let found = gathered.found.into_iter();
                    all.found.extend(found.filter(|found| found.len() > 0));
                    if gathered.proved != Proved::Everything {
                        all.proved = Proved::Nothing;
                    }
                }
                Some(all)
            }
            Node::Test(test) => {
                let lookup = Lookup(self.context);
                let mut found = Vec::with_capacity(USUAL_LISTS);
                let mut answer = lookup.find(test, &mut found)?;
                if answer.is_none() && ordered {
                    found.clear();
                    answer = lookup.find_ordered(test, &mut found)?;
                }
                answer.map(|answer| Gathered {
                    proved: match answer {
                        Exactness::Exact => Proved::Everything,
                        Exactness::Superset => Proved::Nothing,
                    },
                    count: found.iter().map(Found::len).sum(),
                    found,
                })
            }
        })
    }

    /// What is in a part of the tree, unless much is.
    fn gather_within(&self, within: Within) -> Result<Option<Gathered<'a>>, WrongNumber> {
        let users = within.users(&self.context)?;
        if users.len() >= self.context.snapshot.user_count() / MOST_WITHIN {
            return Ok(None);
        }
        let branches = &self.context.snapshot.records.branches;
        let unit = within.unit();
        let found = vec![
            Found::Users(users),
            Found::Branches(unit.get()..branches.get(unit)?.end.get()),
        ];
        Ok(Some(Gathered {
            count: found.iter().map(Found::len).sum(),
            found,
            proved: Proved::Everything,
        }))
    }

    /// Whether all entries of the kinds a filter allows, containers aside, satisfy it.
    fn is_decided_by_kind(&self, node: &Node) -> bool {
        match node {
            Node::Constant(Some(true)) => true,
            Node::Constant(_) | Node::Not(_) | Node::Within(_) => false,
            Node::And(nodes) | Node::Or(nodes) => nodes.iter().all(|node| self.is_decided_by_kind(node)),
            Node::Test(test) => match &test.matcher {
                Matcher::Class(..) => !self.context.snapshot.any_overrides(AttributeId::OBJECT_CLASS),
                Matcher::Present => {
                    test.attribute.first == Some(AttributeId::OBJECT_CLASS) && test.attribute.second.is_none()
                }
                _ => false,
            },
        }
    }

    /// A scan for a substring that every match must have.
    fn scan(&self, node: &Node) -> Result<Option<(CandidateSource, Proved)>, WrongNumber> {
        match node {
            Node::And(nodes) => {
                for (index, node) in nodes.iter().enumerate() {
                    if let Some((source, proved)) = self.scan(node)? {
                        let proved = match proved {
                            Proved::Everything => Proved::Conjunct(index),
                            _ => Proved::Nothing,
                        };
                        return Ok(Some((source, proved)));
                    }
                }
                Ok(None)
            }
            Node::Test(test) => match &test.matcher {
                Matcher::Substrings(syntax, parts)
                    if test.attribute.second.is_none()
                        && !parts.longest().is_empty()
                        && *syntax == self.context.syntax(&test.attribute)? =>
                {
                    let lookup = Lookup(self.context);
                    let Some(tables) = lookup.tables(test) else {
                        return Ok(None);
                    };
                    let mut containers = Vec::new();
                    lookup.for_each_container(test, |container| {
                        containers.push(self.layout.container(container));
                    })?;
                    if lookup.may_be_branches(test) {
                        containers.extend(self.layout.branches().iter());
                        containers.sort_unstable();
                    }
                    let source = CandidateSource::Scan {
                        tables,
                        parts: parts.clone(),
                        containers,
                    };
                    Ok(Some((source, Proved::Everything)))
                }
                _ => Ok(None),
            },
            _ => Ok(None),
        }
    }

    /// What a viewer sees who does not see everything.
    fn own_entries(&self, own: Option<UserIx>, in_scope: &InScope) -> Result<Vec<Place>, WrongNumber> {
        let mut places: Vec<Place> = Container::ALL
            .map(|container| self.layout.container(container))
            .to_vec();
        if let Some(own) = own {
            places.extend([self.layout.user(own)?, self.layout.virtual_group(own)?]);
            let branches = &self.context.snapshot.records.branches;
            for unit in branches.upwards(branches.of(own)?) {
                places.push(self.layout.branch(unit?.0)?);
            }
            for &group in self.context.snapshot.records.memberships.user_groups.of(own)? {
                places.push(self.layout.group(group)?);
            }
        }
        places.retain(|&place| in_scope.contains(place));
        places.sort_unstable();
        Ok(places)
    }

    fn ranges(&self, kinds: EntryKinds, in_scope: &InScope) -> Vec<PlaceRange> {
        let containers = [
            (Container::Base, EntryKinds::NONE),
            (Container::Users, EntryKinds::USERS),
            (Container::Groups, EntryKinds::GROUPS),
            (Container::VirtualGroups, EntryKinds::VIRTUAL_GROUPS),
        ];
        let mut ranges = Vec::new();
        for (container, kind) in containers {
            if kinds.has(EntryKinds::CONTAINERS) {
                let place = self.layout.container(container);
                in_scope.intersect(PlaceRange::one(place), &mut ranges);
                if container == Container::Users {
                    in_scope.intersect(self.layout.branches(), &mut ranges);
                }
            }
            if kinds.has(kind) {
                in_scope.intersect(self.layout.children(container), &mut ranges);
            }
        }
        ranges
    }
}
