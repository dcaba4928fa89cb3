//! Who belongs to whom: for each user or group, the groups or users it is related to.
//!
//! Must not know which relation it is.

use std::marker::PhantomData;
use std::ops::Range;

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
    /// `lists` in order; each is sorted and its repetitions dropped. Fails if there are too many items.
    pub(crate) fn new(
        count: usize,
        items: usize,
        lists: impl Iterator<Item = Result<Vec<M>, WrongNumber>>,
    ) -> Result<Self, WrongNumber> {
        let mut relation = Self {
            starts: Vec::with_capacity(count + 1),
            items: Vec::with_capacity(items),
            from: PhantomData,
        };
        relation.starts.push(0);
        for list in lists {
            let mut list = list?;
            list.sort_unstable();
            list.dedup();
            relation.items.extend_from_slice(&list);
            relation.starts.push(count_of(&relation.items, N::WRONG)?);
        }
        relation.items.shrink_to_fit();
        Ok(relation)
    }

    /// The same relation seen from the other side, which has `count` members. Fails if an item is not one of them.
    pub(crate) fn inverse(&self, count: usize) -> Result<Relation<M, N>, WrongNumber> {
        let mut starts = vec![0u32; count + 1];
        for &item in &self.items {
            let start = starts.get_mut(item.index() + 1).ok_or(M::WRONG)?;
            *start += 1;
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut next = starts.clone();
        // Each is written below, or it fails: there are as many slots as items.
        let mut items = vec![N::at(0).ok_or(N::WRONG)?; sum as usize];
        for from in (0..self.starts.len().saturating_sub(1)).map_while(N::at) {
            for &to in self.of(from)? {
                let slot = next.get_mut(to.index()).ok_or(M::WRONG)?;
                *items.get_mut(*slot as usize).ok_or(N::WRONG)? = from;
                *slot += 1;
            }
        }
        Ok(Relation {
            starts,
            items,
            from: PhantomData,
        })
    }

    #[inline]
    pub(crate) fn of(&self, number: N) -> Result<&[M], WrongNumber> {
        part(&self.starts, number, &self.items)
    }

    /// Those of numbers one after the other.
    pub(crate) fn of_several(&self, numbers: Range<N>) -> Result<&[M], WrongNumber> {
        let (start, end) = (numbers.start.index(), numbers.end.index());
        let (Some(&start), Some(&end)) = (self.starts.get(start), self.starts.get(end)) else {
            return Err(N::WRONG);
        };
        self.items.get(start as usize..end as usize).ok_or(N::WRONG)
    }

    pub(crate) fn size(&self) -> usize {
        self.starts.capacity() * size_of::<u32>() + self.items.capacity() * size_of::<M>()
    }
}

impl Relation<GroupIx, GroupIx> {
    /// Everything that can be reached from `seeds` in any number of steps, the seeds included; ascending.
    pub(crate) fn closure(&self, seeds: &[GroupIx], count: usize) -> Result<Vec<GroupIx>, WrongNumber> {
        self.reach(seeds, count, |_| Ok(()))
    }

    /// The same, if these steps are enough. Takes from them what it costs.
    pub(crate) fn closure_within(
        &self,
        seeds: &[GroupIx],
        count: usize,
        steps: &mut usize,
    ) -> Result<Option<Vec<GroupIx>>, WrongNumber> {
        let spend = |cost| {
            let left = steps.checked_sub(cost);
            *steps = left.unwrap_or(0);
            left.map(drop).ok_or(Unreached::StepsSpent)
        };
        match self.reach(seeds, count, spend) {
            Ok(reached) => Ok(Some(reached)),
            Err(Unreached::StepsSpent) => Ok(None),
            Err(Unreached::WrongNumber(number)) => Err(number),
        }
    }

    /// What can be reached, as long as `spend` agrees to the cost of each step.
    fn reach<E: From<WrongNumber>>(
        &self,
        seeds: &[GroupIx],
        count: usize,
        mut spend: impl FnMut(usize) -> Result<(), E>,
    ) -> Result<Vec<GroupIx>, E> {
        spend(count / CLEARED_AT_ONCE + seeds.len())?;
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
            spend(REACHED + groups.len())?;
            groups.iter().try_for_each(|&to| visit(to, &mut reached))?;
            next += 1;
        }
        reached.sort_unstable();
        Ok(reached)
    }
}

/// Why a closure has no end.
enum Unreached {
    StepsSpent,
    WrongNumber(WrongNumber),
}

impl From<WrongNumber> for Unreached {
    fn from(number: WrongNumber) -> Self {
        Self::WrongNumber(number)
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
            .map(|list| Ok(list.iter().copied().map(GroupIx::new).collect()));
        Relation::new(3, 4, lists).unwrap()
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
        assert_eq!(relation.inverse(2).err(), Some(WrongNumber::Group));
        let inverse = relation.inverse(3).unwrap();
        let users = |numbers: &[u32]| numbers.iter().copied().map(UserIx::new).collect::<Vec<_>>();
        for (group, expected) in [(0, users(&[0])), (1, users(&[2])), (2, users(&[0, 2]))] {
            assert_eq!(inverse.of(GroupIx::new(group)), Ok(&*expected));
        }
    }

    #[test]
    fn a_closure_ends_in_cycles() {
        let relation: Relation<GroupIx, GroupIx> = relation(&[&[1], &[2], &[0], &[0]]);
        let groups = |numbers: &[u32]| numbers.iter().copied().map(GroupIx::new).collect::<Vec<_>>();
        let closure = |seeds: &[u32]| relation.closure_within(&groups(seeds), 4, &mut 1000);
        assert_eq!(closure(&[0]), Ok(Some(groups(&[0, 1, 2]))));
        assert_eq!(closure(&[3]), Ok(Some(groups(&[0, 1, 2, 3]))));
        assert_eq!(closure(&[]), Ok(Some(Vec::new())));
        assert_eq!(closure(&[4]), Err(WrongNumber::Group));
        assert_eq!(
            relation.closure_within(&groups(&[3]), 4, &mut 10),
            Ok(None),
            "it costs more than that"
        );
    }
}
