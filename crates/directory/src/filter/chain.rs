//! In-chain assertions (LDAP_MATCHING_RULE_IN_CHAIN): which groups are reached through nested memberships.
//!
//! Each assertion may stand for all groups, so a filter with a hundred octets per assertion could ask for any multiple
//! of the directory: what all of them may cost together is limited. Must not know how candidates are found.

use crate::filter::equal::Equal;
use crate::model::number::{GroupIx, WrongNumber};
use crate::model::place::Entry;
use crate::view::context::{Context, View};

/// Steps that following nested groups may take for one filter, besides those that a single assertion needs: a few
/// milliseconds, which nothing interrupts. A step is one membership looked at.
const MAX_STEPS: usize = 2_000_000;
/// Steps that a single assertion may need for each group of the directory.
const STEPS_PER_GROUP: usize = 64;
/// What it costs later to look the members of a group up and to test for it, in steps.
const LATER: usize = 16;

/// What the in-chain assertions of one filter may still cost together.
#[derive(Debug)]
pub(crate) struct Nesting {
    steps: usize,
    exceeded: bool,
}

impl Nesting {
    pub(crate) fn new(groups: usize) -> Self {
        Self {
            steps: MAX_STEPS + STEPS_PER_GROUP * groups,
            exceeded: false,
        }
    }

    pub(crate) fn is_within_limit(&self) -> bool {
        !self.exceeded
    }

    /// What `follow` reaches with the remaining steps.
    fn reach(
        &mut self,
        follow: impl FnOnce(&mut usize) -> Result<Option<Vec<GroupIx>>, WrongNumber>,
    ) -> Result<Vec<GroupIx>, WrongNumber> {
        // Once it is too much, the rest of the filter need not be followed.
        if self.exceeded {
            return Ok(Vec::new());
        }
        let reached = follow(&mut self.steps)?;
        let left = reached
            .as_ref()
            .and_then(|reached| self.steps.checked_sub(reached.len() * LATER));
        self.exceeded = left.is_none();
        self.steps = left.unwrap_or(0);
        Ok(reached.unwrap_or_default())
    }
}

/// What an in-chain assertion comes down to.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    /// For `memberOf`: groups whose membership satisfies it. For `member`: the groups that satisfy it. Ascending.
    pub(crate) groups: Vec<GroupIx>,
    pub(crate) upwards: bool,
    pub(crate) equal: Equal,
}

impl Chain {
    /// `(memberOf:inChain:=group)`: the members of the group and of all groups below it.
    pub(crate) fn member_of(
        context: &Context<'_>,
        equal: Equal,
        nesting: &mut Nesting,
    ) -> Result<Self, WrongNumber> {
        let mut groups: Vec<GroupIx> = equal
            .entries
            .iter()
            .filter_map(|entry| match entry {
                Entry::Group(group) => Some(*group),
                _ => None,
            })
            .collect();
        match context.view {
            View::Full => {
                let below = &context.snapshot.records.memberships.group_children;
                let count = context.snapshot.group_count();
                groups = nesting.reach(|steps| below.closure_within(&groups, count, steps))?;
            }
            // Nesting would reveal groups that this viewer does not see.
            View::Own(_) => groups.sort_unstable(),
        }
        Ok(Self {
            groups,
            upwards: false,
            equal,
        })
    }

    /// `(member:inChain:=entry)`: the groups of the user or group, and all groups above them.
    pub(crate) fn member(
        context: &Context<'_>,
        equal: Equal,
        nesting: &mut Nesting,
    ) -> Result<Self, WrongNumber> {
        let memberships = &context.snapshot.records.memberships;
        let mut seeds = Vec::new();
        for entry in &equal.entries {
            seeds.extend_from_slice(match (*entry, context.view) {
                (Entry::User(user), View::Own(own)) if own != Some(user) => &[],
                (Entry::User(user), _) => memberships.user_groups.of(user)?,
                (Entry::Group(group), View::Full) => memberships.group_parents.of(group)?,
                _ => &[],
            });
        }
        let groups = match context.view {
            View::Full => {
                let (above, count) = (&memberships.group_parents, context.snapshot.group_count());
                nesting.reach(|steps| above.closure_within(&seeds, count, steps))?
            }
            View::Own(_) => nesting.reach(|_| Ok(Some(seeds)))?,
        };
        Ok(Self {
            groups,
            upwards: true,
            equal,
        })
    }
}
