//! Indexes of one attribute: equality by hash, and text or ordering keys for prefixes, ranges and substrings.
//!
//! Knows keys and record numbers; values stay where they are and are looked at through closures. Must not know what
//! an attribute means.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::OnceLock;

use hashbrown::HashTable;

use crate::model::row::RecordIx;

/// Marks a slot as the number of a list instead of a record.
const LIST: u32 = 1 << 31;

/// Which records have which value of one attribute.
///
/// A slot is the one record with a value, or the number of a list of them. The value itself is not kept: it is read
/// from the record, so an index costs about five octets a value.
#[derive(Debug, Default)]
pub(crate) struct EqualityIndex {
    slots: HashTable<u32>,
    lists: Vec<Vec<RecordIx>>,
}

impl EqualityIndex {
    /// Room for `values` values, so that no slot need be moved while building.
    pub(crate) fn with_capacity(values: usize) -> Self {
        Self {
            slots: HashTable::with_capacity(values),
            lists: Vec::new(),
        }
    }

    /// Adds a value of `record`; records must come in ascending order. `same` tells whether an earlier record has the
    /// value too, `rehash` the hash of a record's value.
    pub(crate) fn insert(
        &mut self,
        hash: u64,
        record: RecordIx,
        same: impl Fn(RecordIx) -> bool,
        rehash: impl Fn(RecordIx) -> u64,
    ) {
        let Self { slots, lists, .. } = self;
        match slots.find_mut(hash, |&slot| representative(lists, slot).is_some_and(&same)) {
            Some(slot) if *slot & LIST == 0 => {
                if *slot != record {
                    lists.push(vec![*slot, record]);
                    *slot = LIST | (lists.len() - 1) as u32;
                }
            }
            Some(slot) => {
                if let Some(list) = lists.get_mut((*slot & !LIST) as usize)
                    && list.last() != Some(&record)
                {
                    list.push(record);
                }
            }
            None => {
                slots.insert_unique(hash, record, |&slot| {
                    representative(lists, slot).map_or(0, &rehash)
                });
            }
        }
    }

    /// Gives back what was reserved in vain. `rehash` is `None` where a record can have several values: then a slot
    /// does not tell which one it stands for.
    pub(crate) fn finish(&mut self, rehash: Option<impl Fn(RecordIx) -> u64>) {
        let Self { slots, lists, .. } = self;
        if let Some(rehash) = rehash {
            slots.shrink_to_fit(|&slot| representative(lists, slot).map_or(0, &rehash));
        }
        lists.iter_mut().for_each(Vec::shrink_to_fit);
        lists.shrink_to_fit();
    }

    /// The records with a value, ascending.
    pub(crate) fn find(&self, hash: u64, same: impl Fn(RecordIx) -> bool) -> &[RecordIx] {
        match self
            .slots
            .find(hash, |&slot| representative(&self.lists, slot).is_some_and(&same))
        {
            None => &[],
            Some(&slot) if slot & LIST != 0 => self.list(slot),
            Some(slot) => std::slice::from_ref(slot),
        }
    }

    /// Every record that has the attribute, in no order, those with several values several times.
    pub(crate) fn all(&self) -> impl Iterator<Item = RecordIx> {
        self.slots.iter().flat_map(|slot| {
            if slot & LIST == 0 {
                std::slice::from_ref(slot)
            } else {
                self.list(*slot)
            }
            .iter()
            .copied()
        })
    }

    /// Of each value a record that has it, in no order.
    pub(crate) fn representatives(&self) -> impl Iterator<Item = RecordIx> {
        self.slots
            .iter()
            .filter_map(|&slot| representative(&self.lists, slot))
    }

    fn list(&self, slot: u32) -> &[RecordIx] {
        self.lists
            .get((slot & !LIST) as usize)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    pub(crate) fn size(&self) -> usize {
        let lists: usize = self.lists.iter().map(|list| list.capacity() * 4 + 24).sum();
        self.slots.allocation_size() + lists
    }
}

fn representative(lists: &[Vec<RecordIx>], slot: u32) -> Option<RecordIx> {
    if slot & LIST == 0 {
        Some(slot)
    } else {
        lists.get((slot & !LIST) as usize)?.first().copied()
    }
}

/// Keys of one attribute in the order of the records, and on demand their order by octets.
///
/// Text keys serve substrings (one scan of `bytes`) and prefixes; ordering keys serve ranges.
#[derive(Debug, Default)]
pub(crate) struct KeyTable {
    /// Each key is followed by a 0, so that a scan seldom finds what spans two of them.
    bytes: Vec<u8>,
    starts: Vec<u32>,
    records: Vec<RecordIx>,
    order: OnceLock<Vec<u32>>,
}

impl KeyTable {
    pub(crate) fn push(&mut self, record: RecordIx, key: &[u8]) {
        self.starts
            .push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
        self.bytes.extend_from_slice(key);
        self.bytes.push(0);
        self.records.push(record);
    }

    pub(crate) fn finish(&mut self) {
        self.bytes.shrink_to_fit();
        self.starts.shrink_to_fit();
        self.records.shrink_to_fit();
    }

    /// The key with an index.
    #[inline]
    pub(crate) fn key(&self, index: u32) -> &[u8] {
        let index = index as usize;
        let start = self.starts.get(index).map_or(0, |&start| start as usize);
        let end = self
            .starts
            .get(index + 1)
            .map_or(self.bytes.len(), |&next| next as usize);
        self.bytes.get(start..end.saturating_sub(1)).unwrap_or_default()
    }

    /// The keys in ascending order, by index; sorted at the first use.
    pub(crate) fn order(&self) -> &[u32] {
        self.order.get_or_init(|| {
            // The first octets decide nearly every comparison without a look at the keys.
            let mut order: Vec<(u64, u32)> = (0..self.records.len() as u32)
                .map(|index| (leading_octets(self.key(index)), index))
                .collect();
            order.sort_unstable_by(|a, b| {
                a.0.cmp(&b.0)
                    .then_with(|| self.key(a.1).cmp(self.key(b.1)))
                    .then(a.1.cmp(&b.1))
            });
            order.into_iter().map(|(_, index)| index).collect()
        })
    }

    /// Where in the order the keys that begin with `prefix` are.
    pub(crate) fn prefix(&self, prefix: &[u8]) -> Range<usize> {
        let order = self.order();
        let start = order.partition_point(|&index| self.key(index) < prefix);
        let length = order
            .get(start..)
            .unwrap_or_default()
            .partition_point(|&index| self.key(index).starts_with(prefix));
        start..start + length
    }

    /// Where in the order the keys are that compare to `key` as wanted.
    pub(crate) fn range(&self, key: &[u8], wanted: Ordering) -> Range<usize> {
        let order = self.order();
        match wanted {
            Ordering::Less => 0..order.partition_point(|&index| self.key(index) <= key),
            Ordering::Greater => order.partition_point(|&index| self.key(index) < key)..order.len(),
            Ordering::Equal => {
                order.partition_point(|&index| self.key(index) < key)
                    ..order.partition_point(|&index| self.key(index) <= key)
            }
        }
    }

    /// The records of a part of the order; not sorted.
    pub(crate) fn records(&self, range: Range<usize>) -> impl Iterator<Item = RecordIx> {
        self.order()
            .get(range)
            .unwrap_or_default()
            .iter()
            .filter_map(|&index| self.records.get(index as usize).copied())
    }

    /// The octets in which substrings are looked for.
    pub(crate) fn octets(&self) -> &[u8] {
        &self.bytes
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// The record whose key has an index.
    pub(crate) fn record(&self, index: usize) -> Option<RecordIx> {
        self.records.get(index).copied()
    }

    /// Where the key with an index begins.
    pub(crate) fn start(&self, index: usize) -> usize {
        self.starts
            .get(index)
            .map_or(self.bytes.len(), |&start| start as usize)
    }

    /// The index of the key that covers the octet at `position`, which is not before the key at `from`. Quick if that
    /// is near.
    pub(crate) fn covering(&self, position: usize, from: usize) -> usize {
        let mut step = 1;
        let mut low = from;
        while self.start(low + step) <= position && low + step < self.len() {
            low += step;
            step *= 2;
        }
        let high = (low + step).min(self.len());
        let between = self.starts.get(low + 1..high).unwrap_or_default();
        low + between.partition_point(|&start| start as usize <= position)
    }

    /// The index of the first key of the records from `record` on.
    pub(crate) fn first_of(&self, record: RecordIx) -> usize {
        self.records.partition_point(|&known| known < record)
    }

    /// The index of the first key after `index` that is of another record.
    pub(crate) fn after_record(&self, index: usize) -> usize {
        let record = self.record(index);
        let rest = self.records.get(index..).unwrap_or_default();
        index + rest.iter().take_while(|&&known| Some(known) == record).count()
    }

    pub(crate) fn size(&self) -> usize {
        let order = self.order.get().map_or(0, Vec::capacity);
        self.bytes.capacity() + 4 * (self.starts.capacity() + self.records.capacity() + order)
    }
}

fn leading_octets(key: &[u8]) -> u64 {
    let mut octets = [0; 8];
    for (place, octet) in octets.iter_mut().zip(key) {
        *place = *octet;
    }
    u64::from_be_bytes(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Indexes numbers by their last digit, all with one hash so that slots collide.
    fn index(values: &[u32]) -> EqualityIndex {
        let mut index = EqualityIndex::with_capacity(values.len());
        for (record, value) in values.iter().enumerate() {
            index.insert(7, record as u32, |other| values[other as usize] == *value, |_| 7);
        }
        index.finish(Some(|_| 7));
        index
    }

    #[test]
    fn equal_values_share_a_list_and_the_rest_stays_apart() {
        let values = [1, 2, 1, 3, 1];
        let index = index(&values);
        let find = |value: u32| index.find(7, |record| values[record as usize] == value).to_vec();
        assert_eq!((find(1), find(2), find(4)), (vec![0, 2, 4], vec![1], vec![]));
        let mut all: Vec<_> = index.all().collect();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_value_that_a_record_has_twice_counts_once() {
        let mut index = EqualityIndex::with_capacity(2);
        index.insert(1, 0, |_| true, |_| 1);
        index.insert(1, 0, |_| true, |_| 1);
        assert_eq!(index.find(1, |_| true), [0]);
    }

    #[test]
    fn keys_are_found_by_prefix_range_and_octets() {
        let mut table = KeyTable::default();
        for (record, key) in [
            (0, "berta"),
            (1, "anna"),
            (1, "bert"),
            (3, ""),
            (4, "bertalicious"),
        ] {
            table.push(record, key.as_bytes());
        }
        table.finish();
        let records = |range| {
            let mut records: Vec<_> = table.records(range).collect();
            records.sort_unstable();
            records
        };
        assert_eq!(records(table.prefix(b"bert")), [0, 1, 4]);
        assert_eq!(records(table.prefix(b"berta")), [0, 4]);
        assert_eq!(records(table.prefix(b"")), [0, 1, 1, 3, 4]);
        assert_eq!(records(table.prefix(b"c")), [0; 0]);
        assert_eq!(records(table.range(b"bert", Ordering::Greater)), [0, 1, 4]);
        assert_eq!(records(table.range(b"bert", Ordering::Less)), [1, 1, 3]);
        assert_eq!(records(table.range(b"bert", Ordering::Equal)), [1]);
        let at = memchr::memmem::find(table.octets(), b"ann").unwrap();
        for from in 0..=1 {
            let index = table.covering(at, from);
            assert_eq!(
                (table.record(index), table.key(index as u32)),
                (Some(1), &b"anna"[..])
            );
            assert_eq!(table.after_record(index), 3);
        }
        for position in 0..table.octets().len() {
            let index = table.covering(position, 0);
            assert!(table.start(index) <= position && position < table.start(index + 1));
        }
        assert_eq!(
            (table.first_of(1), table.first_of(2), table.first_of(9)),
            (1, 3, 5)
        );
        assert_eq!(table.start(table.first_of(9)), table.octets().len());
    }
}
