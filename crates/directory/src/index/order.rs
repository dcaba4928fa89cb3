//! The order of all entries by one attribute, kept with the snapshot: pages of sorted answers are parts of it.
//!
//! Only for attributes whose values are stored, so that the order is the same for every provider; base and containers
//! are put in their places by each search. Must not know trees, or which entries match.

use std::sync::OnceLock;

use crate::model::built_in::AttributeId;
use crate::model::encoded;
use crate::model::place::{Entry, Place};
use crate::model::records::Records;
use crate::model::row::RecordIx;
use crate::schema::Syntax;
use crate::values::syntax;

/// Orders kept with a snapshot. Clients sort by one or two attributes; what is sorted by further ones is sorted anew for
/// every page.
const MAX_ORDERS: usize = 4;

/// The orders that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Orders([OnceLock<(OrderKey, Vec<Place>)>; MAX_ORDERS]);

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

    /// The keys of the orders there are.
    pub(crate) fn keys(&self) -> impl Iterator<Item = OrderKey> {
        self.0.iter().filter_map(|slot| slot.get().map(|(key, _)| *key))
    }

    pub(crate) fn size(&self) -> usize {
        let orders = self.0.iter().filter_map(OnceLock::get);
        orders
            .map(|(_, places)| places.capacity() * size_of::<Place>())
            .sum()
    }

    pub(crate) fn get(&self, number: usize) -> &[Place] {
        let order = self.0.get(number).and_then(OnceLock::get);
        order.map(|(_, places)| places.as_slice()).unwrap_or_default()
    }
}

/// What tells one order by stored values from another, within a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OrderKey {
    pub(crate) first: Option<AttributeId>,
    pub(crate) second: Option<AttributeId>,
    pub(crate) syntax: Syntax,
    pub(crate) reverse: bool,
}

/// Octets of the normal form of a value by which entries are sorted; what differs only behind them is told apart by what
/// never changes about entries. A cookie of paged results carries the whole sort key of an entry, which clients must send
/// back: with 16 keys (`MAX_SORT_KEYS`) it has less than 9 KiB.
const MAX_VALUE: usize = 256;

/// What a value is sorted by.
pub(crate) fn ordering_key(syntax: Syntax, value: &[u8]) -> Vec<u8> {
    syntax::ordering_key(syntax, value)
        .unwrap_or_else(|| syntax::equality_key(syntax, value))
        .into_owned()
}

impl OrderKey {
    /// Appends the key of an entry of a record: of its attribute the least value.
    fn write(self, records: &Records, entry: Entry, out: &mut Vec<u8>) {
        let least = |values: &mut dyn Iterator<Item = &[u8]>| {
            values.map(|value| ordering_key(self.syntax, value)).min()
        };
        let stored = |record: RecordIx, id| {
            let set = records.stored_set(record, id)?;
            Some(least(&mut encoded::values(set)))
        };
        let found = |id| match entry {
            Entry::Container(_) => None,
            Entry::User(user) => stored(user, id),
            Entry::Group(group) => stored(records.group_record(group), id),
            Entry::VirtualGroup(user) => {
                let value = records.of_virtual_group(user, id)?;
                Some(least(&mut std::iter::once(value)))
            }
        };
        let ids = self.first.into_iter().chain(self.second);
        let key = ids.into_iter().find_map(found).flatten();
        write_key(key.as_deref(), self.reverse, out);
    }
}

/// A missing value comes last (RFC 2891 section 2.2). A key ends with two zeros, and a zero within is followed by a
/// one, so that no key is the beginning of another.
pub(crate) fn write_key(key: Option<&[u8]>, reverse: bool, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(u8::from(key.is_none()));
    for &octet in key.unwrap_or_default().iter().take(MAX_VALUE) {
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
fn all_but_containers(records: &Records, key: OrderKey) -> Vec<Place> {
    let layout = records.layout();
    let mut keys = Vec::new();
    let mut items: Vec<(u64, usize, usize, Place)> = Vec::with_capacity(layout.end() as usize);
    let containers = layout.containers();
    for place in (0..layout.end()).filter(|place| !containers.contains(place)) {
        let start = keys.len();
        key.write(records, layout.entry(place), &mut keys);
        // The first octets decide nearly every comparison without a look at the keys.
        let mut first = [0; 8];
        for (place, octet) in first.iter_mut().zip(keys.get(start..).unwrap_or_default()) {
            *place = *octet;
        }
        items.push((u64::from_be_bytes(first), start, keys.len(), place));
    }
    let of = |start: usize, end: usize| keys.get(start..end).unwrap_or_default();
    items.sort_unstable_by(|a, b| {
        a.0.cmp(&b.0)
            .then_with(|| of(a.1, a.2).cmp(of(b.1, b.2)))
            .then(a.3.cmp(&b.3))
    });
    items.into_iter().map(|(.., place)| place).collect()
}
