//! Who belongs to whom: for each user or group the groups or users it is related to.
//!
//! Must not know which relation it is.

use std::marker::PhantomData;

use crate::model::number::{GroupIx, Number, WrongNumber, count_of};
use crate::model::record::part;

/// Lists of numbers one after the other: for each number of one kind those of another, ascending.
#[derive(Clone, Debug)]
pub(crate) struct Relation<N, M> {
    starts: Vec<u32>,
    items: Vec<M>,
    from: PhantomData<fn(N)>,
}

impl<N: Number, M: Number + Ord> Relation<N, M> {
    /// `lists` in order; each is sorted and its repetitions dropped.
    pub(crate) fn new(count: usize, items: usize, lists: impl Iterator<Item = Vec<M>>) -> Self {
        let mut relation = Self {
            starts: Vec::with_capacity(count + 1),
            items: Vec::with_capacity(items),
            from: PhantomData,
        };
        relation.starts.push(0);
        for mut list in lists {
            list.sort_unstable();
            list.dedup();
            relation.items.extend_from_slice(&list);
            relation.starts.push(count_of(&relation.items));
        }
        relation.items.shrink_to_fit();
        relation
    }

    /// The same relation seen from the other side, which has `count` members. What is related to none of them is left
    /// out.
    pub(crate) fn inverse(&self, count: usize) -> Relation<M, N> {
        let mut starts = vec![0u32; count + 1];
        for &item in &self.items {
            if let Some(start) = starts.get_mut(item.index() + 1) {
                *start += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut next = starts.clone();
        let mut items = vec![N::new(0); sum as usize];
        let ends = self.starts.iter().skip(1);
        for ((from, &start), &end) in (0..).map(N::new).zip(&self.starts).zip(ends) {
            for &to in self.items.get(start as usize..end as usize).into_iter().flatten() {
                if let Some(place) = next.get_mut(to.index()) {
                    if let Some(item) = items.get_mut(*place as usize) {
                        *item = from;
                    }
                    *place += 1;
                }
            }
        }
        Relation {
            starts,
            items,
            from: PhantomData,
        }
    }

    #[inline]
    pub(crate) fn of(&self, number: N) -> Result<&[M], WrongNumber> {
        part(&self.starts, number, &self.items)
    }

    pub(crate) fn size(&self) -> usize {
        self.starts.capacity() * size_of::<u32>() + self.items.capacity() * size_of::<M>()
    }
}

impl Relation<GroupIx, GroupIx> {
    /// Everything that can be reached from `seeds` in any number of steps, the seeds included; ascending.
    ///
    /// Takes what it costs from `steps`; `None` if that is not enough.
    pub(crate) fn closure(
        &self,
        seeds: &[GroupIx],
        count: usize,
        steps: &mut usize,
    ) -> Result<Option<Vec<GroupIx>>, WrongNumber> {
        let mut spend = |cost: usize| {
            let left = steps.checked_sub(cost);
            *steps = left.unwrap_or(0);
            left
        };
        if spend(count / CLEARED_AT_ONCE + seeds.len()).is_none() {
            return Ok(None);
        }
        let mut seen = vec![false; count];
        let mut reached = Vec::new();
        let mut visit = |group: GroupIx, reached: &mut Vec<GroupIx>| {
            let seen = seen.get_mut(group.index()).ok_or(WrongNumber::Group)?;
            if !std::mem::replace(seen, true) {
                reached.push(group);
            }
            Ok(())
        };
        seeds.iter().try_for_each(|&seed| visit(seed, &mut reached))?;
        let mut next = 0;
        while let Some(&group) = reached.get(next) {
            let groups = self.of(group)?;
            if spend(REACHED + groups.len()).is_none() {
                return Ok(None);
            }
            groups.iter().try_for_each(|&to| visit(to, &mut reached))?;
            next += 1;
        }
        reached.sort_unstable();
        Ok(Some(reached))
    }
}

/// Items that a closure clears in the time of one step, and the steps it takes to note one and to sort it in.
const CLEARED_AT_ONCE: usize = 32;
const REACHED: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::number::UserIx;

    fn relation<N: Number>(lists: &[&[u32]]) -> Relation<N, GroupIx> {
        let lists = lists
            .iter()
            .map(|list| list.iter().copied().map(GroupIx::new).collect());
        Relation::new(3, 4, lists)
    }

    #[test]
    fn a_relation_and_its_inverse_agree() {
        let relation: Relation<UserIx, GroupIx> = relation(&[&[2, 0, 2], &[], &[1, 2]]);
        let of = |user| {
            let groups = relation.of(UserIx::new(user)).map(<[GroupIx]>::to_vec);
            groups.map(|groups| groups.into_iter().map(GroupIx::get).collect::<Vec<_>>())
        };
        assert_eq!(
            [of(0), of(1), of(2), of(3), of(9)],
            [
                Ok(vec![0, 2]),
                Ok(vec![]),
                Ok(vec![1, 2]),
                Err(WrongNumber::User),
                Err(WrongNumber::User)
            ]
        );
        let inverse = relation.inverse(3);
        let users = |numbers: &[u32]| numbers.iter().copied().map(UserIx::new).collect::<Vec<_>>();
        for (group, expected) in [(0, users(&[0])), (1, users(&[2])), (2, users(&[0, 2]))] {
            assert_eq!(inverse.of(GroupIx::new(group)), Ok(&*expected));
        }
    }

    #[test]
    fn a_closure_ends_in_cycles() {
        let relation: Relation<GroupIx, GroupIx> = relation(&[&[1], &[2], &[0], &[0]]);
        let groups = |numbers: &[u32]| numbers.iter().copied().map(GroupIx::new).collect::<Vec<_>>();
        let closure = |seeds: &[u32]| relation.closure(&groups(seeds), 4, &mut 1000);
        assert_eq!(closure(&[0]), Ok(Some(groups(&[0, 1, 2]))));
        assert_eq!(closure(&[3]), Ok(Some(groups(&[0, 1, 2, 3]))));
        assert_eq!(closure(&[]), Ok(Some(Vec::new())));
        assert_eq!(closure(&[4]), Err(WrongNumber::Group));
        assert_eq!(
            relation.closure(&groups(&[3]), 4, &mut 10),
            Ok(None),
            "it costs more than that"
        );
    }
}
