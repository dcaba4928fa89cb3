//! What is kept of each user and group beside its attributes, in tables ordered by record number.
//!
//! A record is a user or a group: users first, by pk, then groups, by UUID. Knows sizes and offsets. Must not know
//! what attributes mean.

use crate::model::built_in;
use crate::model::built_in::AttributeId;

/// The number of a user or group within a snapshot.
pub(crate) type RecordIx = u32;

/// The lowest bit of [`Record::flags`] that is a flag; those below are override bits.
pub(crate) const FIRST_FLAG: u32 = built_in::FIRST_FLAG;
/// The user may log in.
pub(crate) const ACTIVE: u32 = 1 << 27;
/// The user is a superuser, or the group makes its members superusers.
pub(crate) const SUPERUSER: u32 = 1 << 28;
/// The name needs escaping in a DN.
pub(crate) const ESCAPED: u32 = 1 << 29;
/// The virtual group's gidNumber is the user's stored gidNumber.
pub(crate) const OWN_GID_NUMBER: u32 = 1 << 30;
/// Without that, it is the user's stored uidNumber.
pub(crate) const OWN_UID_NUMBER: u32 = 1 << 31;

/// Where a record's encoded attributes are, and which.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Record {
    pub(crate) start: u32,
    pub(crate) length: u32,
    pub(crate) shape: u32,
    /// Override bits (see [`AttributeId::override_bit`]) and flags.
    pub(crate) flags: u32,
}

impl Record {
    pub(crate) fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Whether stored values replace the built-in attribute `id`.
    pub(crate) fn overrides(&self, id: AttributeId) -> bool {
        self.flags & id.override_bit() != 0
    }
}

/// How every RDN of a record begins.
pub(crate) const RDN_TYPE: &[u8] = b"cn=";

/// Names that need escaping in a DN, as they are, by record.
pub(crate) type UnescapedNames = Vec<(RecordIx, Box<[u8]>)>;

/// Octet strings one after the other.
#[derive(Clone, Debug)]
pub(crate) struct ByteTable {
    bytes: Vec<u8>,
    starts: Vec<u32>,
}

impl Default for ByteTable {
    fn default() -> Self {
        Self::with_capacity(0, 0)
    }
}

impl ByteTable {
    pub(crate) fn with_capacity(count: usize, octets: usize) -> Self {
        let mut starts = Vec::with_capacity(count + 1);
        starts.push(0);
        Self {
            bytes: Vec::with_capacity(octets),
            starts,
        }
    }

    /// Appends a string. Beyond 4 GiB in all, which the builder prevents, it would be lost.
    pub(crate) fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.starts
            .push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
    }

    #[inline]
    pub(crate) fn get(&self, index: u32) -> &[u8] {
        let bounds = |index: usize| {
            Some((
                *self.starts.get(index)? as usize,
                *self.starts.get(index + 1)? as usize,
            ))
        };
        bounds(index as usize)
            .and_then(|(start, end)| self.bytes.get(start..end))
            .unwrap_or_default()
    }

    pub(crate) fn size(&self) -> usize {
        self.bytes.capacity() + self.starts.capacity() * size_of::<u32>()
    }
}

/// Which attributes a record stores, in order; records with the same ones share the list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shapes {
    ids: Vec<AttributeId>,
    bounds: Vec<(u32, u32)>,
}

impl Shapes {
    pub(crate) fn push(&mut self, ids: &[AttributeId]) -> u32 {
        let shape = u32::try_from(self.bounds.len()).unwrap_or(u32::MAX);
        let start = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
        self.ids.extend_from_slice(ids);
        self.bounds
            .push((start, u32::try_from(self.ids.len()).unwrap_or(u32::MAX)));
        shape
    }

    #[inline]
    pub(crate) fn get(&self, shape: u32) -> &[AttributeId] {
        self.bounds
            .get(shape as usize)
            .and_then(|&(start, end)| self.ids.get(start as usize..end as usize))
            .unwrap_or_default()
    }
}

/// Lists of numbers one after the other: for each record, the records it is related to, ascending.
#[derive(Clone, Debug, Default)]
pub(crate) struct Relation {
    starts: Vec<u32>,
    items: Vec<u32>,
}

impl Relation {
    /// `lists` in order; each is sorted and its repetitions dropped.
    pub(crate) fn new(count: usize, items: usize, lists: impl Iterator<Item = Vec<u32>>) -> Self {
        let mut relation = Self {
            starts: Vec::with_capacity(count + 1),
            items: Vec::with_capacity(items),
        };
        relation.starts.push(0);
        for mut list in lists {
            list.sort_unstable();
            list.dedup();
            relation.items.extend_from_slice(&list);
            relation.close();
        }
        relation.items.shrink_to_fit();
        relation
    }

    fn close(&mut self) {
        self.starts
            .push(u32::try_from(self.items.len()).unwrap_or(u32::MAX));
    }

    /// The same relation seen from the other side, which has `count` members.
    pub(crate) fn inverse(&self, count: usize) -> Self {
        let mut starts = vec![0u32; count + 1];
        for &item in &self.items {
            if let Some(start) = starts.get_mut(item as usize + 1) {
                *start += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut next = starts.clone();
        let mut items = vec![0; self.items.len()];
        for from in 0..self.starts.len().saturating_sub(1) {
            for &to in self.of(from as u32) {
                if let Some(place) = next.get_mut(to as usize) {
                    if let Some(item) = items.get_mut(*place as usize) {
                        *item = from as u32;
                    }
                    *place += 1;
                }
            }
        }
        Self { starts, items }
    }

    #[inline]
    pub(crate) fn of(&self, index: u32) -> &[u32] {
        let bounds = |index: usize| {
            Some((
                *self.starts.get(index)? as usize,
                *self.starts.get(index + 1)? as usize,
            ))
        };
        bounds(index as usize)
            .and_then(|(start, end)| self.items.get(start..end))
            .unwrap_or_default()
    }

    pub(crate) fn size(&self) -> usize {
        (self.starts.capacity() + self.items.capacity()) * size_of::<u32>()
    }

    /// Everything that can be reached from `seeds` in any number of steps, the seeds included; ascending.
    ///
    /// Takes what it costs from `steps`; `None` if that is not enough.
    pub(crate) fn closure(&self, seeds: &[u32], count: usize, steps: &mut usize) -> Option<Vec<u32>> {
        let mut spend = |cost: usize| {
            let left = steps.checked_sub(cost);
            *steps = left.unwrap_or_default();
            left
        };
        spend(count / CLEARED_AT_ONCE + seeds.len())?;
        let mut seen = vec![false; count];
        let mut reached = Vec::new();
        let mut visit = |item: u32, reached: &mut Vec<u32>| {
            if let Some(seen) = seen.get_mut(item as usize)
                && !std::mem::replace(seen, true)
            {
                reached.push(item);
            }
        };
        seeds.iter().for_each(|&seed| visit(seed, &mut reached));
        let mut next = 0;
        while let Some(&item) = reached.get(next) {
            let items = self.of(item);
            spend(REACHED + items.len())?;
            items.iter().for_each(|&to| visit(to, &mut reached));
            next += 1;
        }
        reached.sort_unstable();
        Some(reached)
    }
}

/// Items that a closure clears in the time of one step, and the steps it takes to note one and to sort it in.
const CLEARED_AT_ONCE: usize = 32;
const REACHED: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relation_and_its_inverse_agree() {
        let relation = Relation::new(3, 4, [vec![2, 0, 2], vec![], vec![1, 2]].into_iter());
        assert_eq!(
            [relation.of(0), relation.of(1), relation.of(2), relation.of(9)],
            [&[0, 2][..], &[], &[1, 2], &[]]
        );
        let inverse = relation.inverse(3);
        assert_eq!(
            [inverse.of(0), inverse.of(1), inverse.of(2)],
            [&[0][..], &[2], &[0, 2]]
        );
    }

    #[test]
    fn a_closure_ends_in_cycles() {
        let relation = Relation::new(4, 4, [vec![1], vec![2], vec![0], vec![0]].into_iter());
        let closure = |seeds: &[u32]| relation.closure(seeds, 4, &mut 1000).unwrap();
        assert_eq!(closure(&[0]), [0, 1, 2]);
        assert_eq!(closure(&[3]), [0, 1, 2, 3]);
        assert_eq!(closure(&[]), [0; 0]);
        assert_eq!(
            relation.closure(&[3], 4, &mut 10),
            None,
            "it costs more than that"
        );
    }

    #[test]
    fn tables_answer_nothing_beyond_their_end() {
        let mut table = ByteTable::default();
        table.push(b"a");
        table.push(b"");
        assert_eq!([table.get(0), table.get(1), table.get(2)], [&b"a"[..], b"", b""]);
        let mut shapes = Shapes::default();
        let shape = shapes.push(&[AttributeId::CN, AttributeId::UID]);
        assert_eq!(shapes.get(shape), [AttributeId::CN, AttributeId::UID]);
        assert!(shapes.get(shape + 1).is_empty());
    }
}
