//! The order of all entries by one attribute, kept with the snapshot: pages of sorted answers are parts of it.
//!
//! Only for attributes whose values are stored, so that the order is the same for every provider; containers
//! are put in their places by each search. Must not know trees, or which entries match.

use std::sync::OnceLock;

use crate::model::built_in::AttributeId;
use crate::model::encoded;
use crate::model::number::WrongNumber;
use crate::model::place::{Entry, Place};
use crate::model::records::Records;
use crate::schema::Syntax;
use crate::values::syntax;

/// Orders kept with a snapshot. Clients sort by one or two attributes; anything sorted by more is sorted again for every
/// page.
const MAX_ORDERS: usize = 4;

/// The orders that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Orders([OnceLock<Order>; MAX_ORDERS]);

/// An order and what it orders. There are no places if a number in what it is made from points to nothing.
type Order = (OrderKey, Result<Vec<Place>, WrongNumber>);

impl Orders {
    /// The number of the order with a key, made if it is not there; `None` if there are too many.
    pub(crate) fn find_or_make(&self, key: OrderKey, records: &Records) -> Option<usize> {
        let mut make = Some(|| all_but_containers(records, key));
        self.0.iter().position(|slot| {
            let (known, _) = match (slot.get(), make.take()) {
                (Some(found), unused) => {
                    make = unused;
                    found
                }
                // Another search may be quicker: then its order is here.
                (None, Some(make)) => slot.get_or_init(|| (key, make())),
                (None, None) => return false,
            };
            *known == key
        })
    }

    /// The keys of the existing orders.
    pub(crate) fn keys(&self) -> impl Iterator<Item = OrderKey> {
        self.0.iter().filter_map(|slot| slot.get().map(|(key, _)| *key))
    }

    pub(crate) fn size(&self) -> usize {
        let orders = self.0.iter().filter_map(|slot| slot.get()?.1.as_ref().ok());
        orders.map(|places| places.capacity() * size_of::<Place>()).sum()
    }

    #[inline]
    pub(crate) fn get(&self, number: usize) -> Result<&[Place], WrongNumber> {
        match self.0.get(number).and_then(OnceLock::get) {
            Some((_, Ok(places))) => Ok(places),
            Some((_, Err(wrong))) => Err(*wrong),
            None => Err(WrongNumber::Place),
        }
    }
}

/// What distinguishes one order by stored values from another, within a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OrderKey {
    pub(crate) first: Option<AttributeId>,
    pub(crate) second: Option<AttributeId>,
    pub(crate) syntax: Syntax,
    pub(crate) reverse: bool,
}

/// Octets of the normal form of a value by which entries are sorted; values that differ only after them are ordered by
/// what never changes about entries. A cookie of paged results carries the whole sort key of an entry, which clients must
/// send back: with 16 keys (`MAX_SORT_KEYS`) it has less than 9 KiB.
const MAX_VALUE: usize = 256;

/// What a value is sorted by.
pub(crate) fn ordering_key(syntax: Syntax, value: &[u8]) -> Vec<u8> {
    syntax::ordering_key(syntax, value)
        .unwrap_or_else(|| syntax::equality_key(syntax, value))
        .into_owned()
}

impl OrderKey {
    /// Appends the key of an entry of a record: the least value of its attribute.
    fn write(self, records: &Records, entry: Entry, out: &mut Vec<u8>) -> Result<(), WrongNumber> {
        let mut key = None;
        for id in self.first.into_iter().chain(self.second) {
            if let Some(least) = self.least(records, entry, id)? {
                key = least;
                break;
            }
        }
        write_key(key.as_deref(), self.reverse, out);
        Ok(())
    }

    /// The least of the values that an entry has of an attribute; `None` if it lacks the attribute.
    fn least(
        self,
        records: &Records,
        entry: Entry,
        id: AttributeId,
    ) -> Result<Option<Option<Vec<u8>>>, WrongNumber> {
        let key = |value: &[u8]| ordering_key(self.syntax, value);
        if let Entry::VirtualGroup(user) = entry {
            let value = records.of_virtual_group(user, id)?;
            return Ok(value.map(|value| Some(key(value))));
        }
        let Some(record) = records.layout.record_of(entry)? else {
            return Ok(None);
        };
        let Some(set) = records.stored_set(record, id)? else {
            return Ok(None);
        };
        let mut least: Option<Vec<u8>> = None;
        for value in encoded::values(set) {
            let key = key(value?);
            if least.as_ref().is_none_or(|least| key < *least) {
                least = Some(key);
            }
        }
        Ok(Some(least))
    }
}

/// A missing value comes last (RFC 2891 section 2.2). A key ends with two zeros, and a zero within is followed by a
/// one, so that no key is the beginning of another.
pub(crate) fn write_key(key: Option<&[u8]>, reverse: bool, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(u8::from(key.is_none()));
    for &octet in key.into_iter().flatten().take(MAX_VALUE) {
        out.push(octet);
        if octet == 0 {
            out.push(1);
        }
    }
    out.extend_from_slice(&[0, 0]);
    if reverse {
        out.iter_mut().skip(start).for_each(|octet| *octet = !*octet);
    }
}

/// Users, groups and virtual groups in their order.
fn all_but_containers(records: &Records, key: OrderKey) -> Result<Vec<Place>, WrongNumber> {
    let layout = records.layout;
    let mut keys = Vec::new();
    let mut bounds = Vec::with_capacity(layout.all().len());
    for place in layout.all().iter() {
        let entry = layout.entry(place)?;
        if !matches!(entry, Entry::Container(_) | Entry::Branch(_)) {
            let start = keys.len();
            key.write(records, entry, &mut keys)?;
            bounds.push((start, keys.len(), place));
        }
    }
    let mut items = Vec::with_capacity(bounds.len());
    for (start, end, place) in bounds {
        let key = keys.get(start..end).ok_or(WrongNumber::Key)?;
        // The first octets decide nearly every comparison without looking at the keys.
        let mut first = [0; 8];
        for (place, octet) in first.iter_mut().zip(key) {
            *place = *octet;
        }
        items.push((u64::from_be_bytes(first), key, place));
    }
    items.sort_unstable();
    Ok(items.into_iter().map(|(.., place)| place).collect())
}
