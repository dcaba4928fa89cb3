//! Indexes of one attribute: equality by hash, and text or ordering keys for prefixes, ranges and substrings.
//!
//! Knows keys and record numbers; values stay where they are and are looked at through closures. Must not know what
//! an attribute means.

use std::cmp::Ordering;
use std::ops::Range;

use hashbrown::HashTable;

use crate::index::on_demand::{Index, built, get_or_build};
use crate::model::number::{Met, RecordIx, WrongNumber, count_of};

/// Which records have which value of one attribute.
///
/// A slot is the one record with a value, or the number of a list of them. The value itself is not kept: it is read
/// from the record, so an index costs about five octets per value.
#[derive(Debug, Default)]
pub(crate) struct EqualityIndex {
    slots: HashTable<Slot>,
    lists: Vec<Vec<RecordIx>>,
}

/// A record, or a list where the highest bit is set; there are never that many records.
#[derive(Clone, Copy, Debug)]
struct Slot(RecordIx);

const LIST: u32 = 1 << 31;

impl Slot {
    /// The list with this number, unless it is too high for a slot.
    fn of_list(number: usize) -> Result<Self, WrongNumber> {
        match u32::try_from(number) {
            Ok(number) if number & LIST == 0 => Ok(Self(RecordIx::new(LIST | number))),
            _ => Err(WrongNumber::Record),
        }
    }

    /// The number of a list, if it is one.
    #[inline]
    fn list(self) -> Option<usize> {
        let number = self.0.get();
        (number & LIST != 0).then_some((number & !LIST) as usize)
    }

    /// The records with the value, ascending.
    #[inline]
    fn records<'s>(&'s self, lists: &'s [Vec<RecordIx>]) -> Result<&'s [RecordIx], WrongNumber> {
        match self.list() {
            None => Ok(std::slice::from_ref(&self.0)),
            Some(number) => lists.get(number).map(Vec::as_slice).ok_or(WrongNumber::Record),
        }
    }

    /// A record that has the value.
    #[inline]
    fn representative(self, lists: &[Vec<RecordIx>]) -> Result<RecordIx, WrongNumber> {
        let first = match self.list() {
            None => Some(&self.0),
            Some(number) => lists.get(number).and_then(|list| list.first()),
        };
        first.copied().ok_or(WrongNumber::Record)
    }
}

impl EqualityIndex {
    /// Room for `values` values, so that no slot need be moved while building.
    pub(crate) fn with_capacity(values: usize) -> Self {
        Self {
            slots: HashTable::with_capacity(values),
            lists: Vec::new(),
        }
    }

    /// Adds a value of `record`; records must come in ascending order. `same` says whether an earlier record has the
    /// value too, `rehash` the hash of a record's value.
    pub(crate) fn insert(
        &mut self,
        hash: u64,
        record: RecordIx,
        same: impl Fn(RecordIx) -> Result<bool, WrongNumber>,
        rehash: impl Fn(RecordIx) -> Result<u64, WrongNumber>,
    ) -> Result<(), WrongNumber> {
        let Self { slots, lists } = self;
        let met = Met::default();
        let is_same = |slot: &Slot| met.or(slot.representative(lists).and_then(&same), false);
        match slots.find_mut(hash, is_same) {
            Some(slot) => match slot.list() {
                None if slot.0 == record => {}
                None => {
                    let list = Slot::of_list(lists.len())?;
                    lists.push(vec![slot.0, record]);
                    *slot = list;
                }
                Some(number) => {
                    let list = lists.get_mut(number).ok_or(WrongNumber::Record)?;
                    if list.last() != Some(&record) {
                        list.push(record);
                    }
                }
            },
            None => {
                slots.insert_unique(hash, Slot(record), |slot| {
                    met.or(slot.representative(lists).and_then(&rehash), 0)
                });
            }
        }
        met.answer(())
    }

    /// Frees what was reserved but not needed. `rehash` is `None` if a record can have several values: then a slot
    /// does not say which one it stands for.
    pub(crate) fn finish(
        &mut self,
        rehash: Option<impl Fn(RecordIx) -> Result<u64, WrongNumber>>,
    ) -> Result<(), WrongNumber> {
        let Self { slots, lists } = self;
        let met = Met::default();
        if let Some(rehash) = rehash {
            slots.shrink_to_fit(|slot| met.or(slot.representative(lists).and_then(&rehash), 0));
        }
        lists.iter_mut().for_each(Vec::shrink_to_fit);
        lists.shrink_to_fit();
        met.answer(())
    }

    /// The records with a value, ascending.
    #[inline]
    pub(crate) fn find(
        &self,
        hash: u64,
        same: impl Fn(RecordIx) -> Result<bool, WrongNumber>,
    ) -> Result<&[RecordIx], WrongNumber> {
        let met = Met::default();
        let found = self.slots.find(hash, |slot| {
            met.or(slot.representative(&self.lists).and_then(&same), false)
        });
        match found {
            None => met.answer(&[]),
            Some(slot) => met.answer(slot.records(&self.lists)?),
        }
    }

    /// Every record that has the attribute, in no order, those with several values several times.
    pub(crate) fn all(&self) -> Result<Vec<RecordIx>, WrongNumber> {
        let mut all = Vec::new();
        for slot in &self.slots {
            all.extend_from_slice(slot.records(&self.lists)?);
        }
        Ok(all)
    }

    /// For each value, a record that has it, in no order.
    pub(crate) fn representatives(&self) -> impl Iterator<Item = Result<RecordIx, WrongNumber>> {
        self.slots.iter().map(|slot| slot.representative(&self.lists))
    }

    pub(crate) fn size(&self) -> usize {
        let lists: usize = self.lists.iter().map(|list| list.capacity() * 4 + 24).sum();
        self.slots.allocation_size() + lists
    }
}

/// Keys of one attribute in the order of the records, and on demand their order by octets.
///
/// Text keys serve substrings (one scan of `bytes`) and prefixes; ordering keys serve ranges.
#[derive(Debug)]
pub(crate) struct KeyTable {
    /// Each key is followed by a 0, so that a scan seldom finds something that spans two of them.
    bytes: Vec<u8>,
    /// Where each begins, and where the last one ends.
    starts: Vec<u32>,
    records: Vec<RecordIx>,
    order: Index<Vec<u32>>,
}

impl Default for KeyTable {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            starts: vec![0],
            records: Vec::new(),
            order: Index::new(),
        }
    }
}

impl KeyTable {
    /// Appends a key. Fails for one that ends beyond 4 GiB.
    pub(crate) fn push(&mut self, record: RecordIx, key: &[u8]) -> Result<(), WrongNumber> {
        self.bytes.extend_from_slice(key);
        self.bytes.push(0);
        self.starts.push(count_of(&self.bytes, WrongNumber::Key)?);
        self.records.push(record);
        Ok(())
    }

    pub(crate) fn finish(&mut self) {
        self.bytes.shrink_to_fit();
        self.starts.shrink_to_fit();
        self.records.shrink_to_fit();
    }

    /// The key with an index.
    #[inline]
    pub(crate) fn key(&self, index: usize) -> Result<&[u8], WrongNumber> {
        let (Some(&start), Some(&end)) = (self.starts.get(index), self.starts.get(index + 1)) else {
            return Err(WrongNumber::Key);
        };
        match self.bytes.get(start as usize..end as usize) {
            Some([key @ .., _]) => Ok(key),
            _ => Err(WrongNumber::Key),
        }
    }

    /// The keys in ascending order, by index; sorted at the first use.
    pub(crate) fn order(&self) -> Result<&[u32], WrongNumber> {
        let order = get_or_build(&self.order, || {
            // The first octets decide nearly every comparison without looking at the keys.
            let mut keys = Vec::with_capacity(self.records.len());
            for index in 0..count_of(&self.records, WrongNumber::Key)? {
                let key = self.key(index as usize)?;
                keys.push((leading_octets(key), key, index));
            }
            keys.sort_unstable();
            Ok(keys.into_iter().map(|(.., index)| index).collect())
        })?;
        Ok(order)
    }

    /// Where in the order the keys for which `before` is true end.
    fn end_of(&self, order: &[u32], before: impl Fn(&[u8]) -> bool) -> Result<usize, WrongNumber> {
        let met = Met::default();
        let end = order.partition_point(|&index| met.or(self.key(index as usize).map(&before), false));
        met.answer(end)
    }

    /// Where in the order the keys that begin with `prefix` are.
    pub(crate) fn prefix(&self, prefix: &[u8]) -> Result<Range<usize>, WrongNumber> {
        let order = self.order()?;
        let start = self.end_of(order, |key| key < prefix)?;
        let rest = order.get(start..).ok_or(WrongNumber::Key)?;
        let length = self.end_of(rest, |key| key.starts_with(prefix))?;
        Ok(start..start + length)
    }

    /// Where in the order the keys are that compare to `key` as wanted.
    pub(crate) fn range(&self, key: &[u8], wanted: Ordering) -> Result<Range<usize>, WrongNumber> {
        let order = self.order()?;
        let (less, not_greater) = (|known: &[u8]| known < key, |known: &[u8]| known <= key);
        Ok(match wanted {
            Ordering::Less => 0..self.end_of(order, not_greater)?,
            Ordering::Greater => self.end_of(order, less)?..order.len(),
            Ordering::Equal => self.end_of(order, less)?..self.end_of(order, not_greater)?,
        })
    }

    /// Calls `each` with the records of a part of the order, which are not sorted.
    #[inline]
    pub(crate) fn for_each_record(
        &self,
        range: Range<usize>,
        mut each: impl FnMut(RecordIx) -> Result<(), WrongNumber>,
    ) -> Result<(), WrongNumber> {
        let part = self.order()?.get(range).ok_or(WrongNumber::Key)?;
        part.iter()
            .try_for_each(|&index| each(self.record(index as usize)?))
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
    #[inline]
    pub(crate) fn record(&self, index: usize) -> Result<RecordIx, WrongNumber> {
        self.records.get(index).copied().ok_or(WrongNumber::Key)
    }

    /// Where the key with an index begins; after the last one, where that ends.
    #[inline]
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
        let between = self.starts.get(low + 1..high).unwrap_or(&[]);
        low + between.partition_point(|&start| start as usize <= position)
    }

    /// The index of the first key of the records from `record` on.
    pub(crate) fn first_of(&self, record: RecordIx) -> usize {
        self.records.partition_point(|&known| known < record)
    }

    /// The index of the first key after `index` that is of another record.
    pub(crate) fn after_record(&self, index: usize) -> usize {
        let record = self.records.get(index);
        let rest = self.records.get(index..).unwrap_or(&[]);
        index + rest.iter().take_while(|known| Some(*known) == record).count()
    }

    pub(crate) fn size(&self) -> usize {
        let order = built(&self.order).map_or(0, Vec::capacity);
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

    fn numbers(records: &[RecordIx]) -> Vec<u32> {
        records.iter().map(|record| record.get()).collect()
    }

    /// Indexes numbers by their last digit, all with one hash so that slots collide.
    fn index(values: &[u32]) -> EqualityIndex {
        let mut index = EqualityIndex::with_capacity(values.len());
        for (record, value) in (0..).map(RecordIx::new).zip(values) {
            let same = |other: RecordIx| Ok(values[other.index()] == *value);
            index.insert(7, record, same, |_| Ok(7)).unwrap();
        }
        index.finish(Some(|_| Ok(7))).unwrap();
        index
    }

    #[test]
    fn a_list_beyond_what_a_slot_can_say_is_told() {
        let last = Slot::of_list((LIST - 1) as usize).unwrap();
        assert_eq!(last.list(), Some((LIST - 1) as usize));
        for number in [LIST as usize, u32::MAX as usize, usize::MAX] {
            assert_eq!(Slot::of_list(number).err(), Some(WrongNumber::Record));
        }
    }

    #[test]
    fn equal_values_share_a_list_and_the_rest_stays_apart() {
        let values = [1, 2, 1, 3, 1];
        let index = index(&values);
        let find = |value: u32| {
            let found = index.find(7, |record| Ok(values[record.index()] == value));
            numbers(found.unwrap())
        };
        assert_eq!((find(1), find(2), find(4)), (vec![0, 2, 4], vec![1], vec![]));
        let mut all = index.all().unwrap();
        all.sort_unstable();
        assert_eq!(numbers(&all), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_value_that_a_record_has_twice_counts_once() {
        let mut index = EqualityIndex::with_capacity(2);
        for _ in 0..2 {
            let record = RecordIx::new(0);
            index.insert(1, record, |_| Ok(true), |_| Ok(1)).unwrap();
        }
        assert_eq!(numbers(index.find(1, |_| Ok(true)).unwrap()), [0]);
    }

    #[test]
    fn what_cannot_be_compared_is_neither_found_nor_missing() {
        let index = index(&[1, 2]);
        let wrong = Err(WrongNumber::Octets);
        assert_eq!(index.find(7, |_| wrong), Err(WrongNumber::Octets));
        let found = index.find(7, |record| if record.get() == 0 { wrong } else { Ok(true) });
        assert_eq!(found, Err(WrongNumber::Octets));
        let damaged = EqualityIndex {
            slots: index.slots,
            lists: Vec::new(),
        };
        assert_eq!(damaged.find(7, |_| Ok(true)).map(<[_]>::len), Ok(1));
        assert_eq!(
            Slot::of_list(3).unwrap().records(&damaged.lists),
            Err(WrongNumber::Record)
        );
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
            table.push(RecordIx::new(record), key.as_bytes()).unwrap();
        }
        table.finish();
        let records = |range: Result<Range<usize>, WrongNumber>| {
            let mut records = Vec::new();
            let each = |record| {
                records.push(record);
                Ok(())
            };
            table.for_each_record(range.unwrap(), each).unwrap();
            records.sort_unstable();
            numbers(&records)
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
                (table.record(index), table.key(index)),
                (Ok(RecordIx::new(1)), Ok(&b"anna"[..]))
            );
            assert_eq!(table.after_record(index), 3);
        }
        for position in 0..table.octets().len() {
            let index = table.covering(position, 0);
            assert!(table.start(index) <= position && position < table.start(index + 1));
        }
        assert_eq!(
            [1, 2, 9].map(|record| table.first_of(RecordIx::new(record))),
            [1, 3, 5]
        );
        assert_eq!(table.start(5), table.octets().len());
        assert_eq!(table.key(5), Err(WrongNumber::Key));
        assert_eq!(table.record(5), Err(WrongNumber::Key));
    }
}
