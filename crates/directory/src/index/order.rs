//! The order of all entries by one attribute, kept with the snapshot: pages of sorted answers are parts of it.
//!
//! Only for attributes whose values are stored, so that the order is the same for every provider; base and containers
//! are put in their places by each search. Must not know which entries match.

use std::sync::OnceLock;

use crate::plan::sorting::{OrderKey, SortOrder};
use crate::view::entry::{Context, Layout, Ordinal, ROOT};

/// Orders kept with a snapshot. Clients sort by one or two attributes; what is sorted by further ones is sorted anew for
/// every page.
const MAX_ORDERS: usize = 4;

/// The orders that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Orders([OnceLock<(OrderKey, Vec<Ordinal>)>; MAX_ORDERS]);

impl Orders {
    /// The number of the order with a key, made if it is not there; `None` if there are too many.
    pub(crate) fn find_or_make(&self, key: OrderKey, make: impl FnOnce() -> Vec<Ordinal>) -> Option<usize> {
        let mut make = Some(make);
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
            .map(|(_, places)| places.capacity() * size_of::<Ordinal>())
            .sum()
    }

    fn get(&self, number: usize) -> &[Ordinal] {
        let order = self.0.get(number).and_then(OnceLock::get);
        order.map(|(_, places)| places.as_slice()).unwrap_or_default()
    }
}

/// A walk through an order, base and containers in their places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Walk {
    order: usize,
    /// Before which place of the order each stands, ascending.
    specials: Vec<(usize, Ordinal)>,
    /// The place to start from.
    pub(crate) start: usize,
}

impl Walk {
    /// The walk for a sort order from a key and place on, the root DSE among the others if it has a key; `None` if the
    /// order has several keys, or one that is not the same for every provider.
    pub(crate) fn new(
        context: &Context<'_>,
        layout: Layout,
        order: &SortOrder,
        root: Option<Vec<u8>>,
        from: Option<&(Vec<u8>, Ordinal)>,
    ) -> Option<Self> {
        let key = order.key()?;
        let orders = &context.snapshot.orders;
        let number = orders.find_or_make(key, || all_but_specials(context, layout, order))?;
        let places = orders.get(number);
        let key_of = |ordinal: Ordinal| (order.key_of(context, layout.entry(ordinal)), ordinal);
        let before = |own: &(Vec<u8>, Ordinal)| places.partition_point(|&other| key_of(other) < *own);
        let specials = layout.specials().into_iter().map(key_of);
        let mut specials: Vec<(Vec<u8>, Ordinal)> = specials.chain(root.map(|key| (key, ROOT))).collect();
        specials.sort_unstable();
        let start = from.map_or(0, |from| {
            before(from) + specials.partition_point(|own| own < from)
        });
        Some(Self {
            order: number,
            specials: specials.iter().map(|own| (before(own), own.1)).collect(),
            start,
        })
    }

    /// The entry at a place of the walk.
    #[inline]
    pub(crate) fn get(&self, context: &Context<'_>, place: usize) -> Option<Ordinal> {
        let mut before = 0;
        for (index, (follows, special)) in self.specials.iter().enumerate() {
            match (follows + index).cmp(&place) {
                std::cmp::Ordering::Equal => return Some(*special),
                std::cmp::Ordering::Less => before += 1,
                std::cmp::Ordering::Greater => break,
            }
        }
        context
            .snapshot
            .orders
            .get(self.order)
            .get(place - before)
            .copied()
    }
}

/// Users, groups and virtual groups in their order.
pub(crate) fn all_but_specials(context: &Context<'_>, layout: Layout, order: &SortOrder) -> Vec<Ordinal> {
    let (mut keys, mut scratch) = (Vec::new(), Vec::new());
    let mut items: Vec<(u64, usize, usize, Ordinal)> = Vec::with_capacity(layout.end() as usize);
    let specials = layout.specials();
    for ordinal in (0..layout.end()).filter(|ordinal| !specials.contains(ordinal)) {
        let start = keys.len();
        order.write_key(context, layout.entry(ordinal), &mut scratch, &mut keys);
        // The first octets decide nearly every comparison without a look at the keys.
        let mut first = [0; 8];
        for (place, octet) in first.iter_mut().zip(keys.get(start..).unwrap_or_default()) {
            *place = *octet;
        }
        items.push((u64::from_be_bytes(first), start, keys.len(), ordinal));
    }
    let key = |start: usize, end: usize| keys.get(start..end).unwrap_or_default();
    items.sort_unstable_by(|a, b| {
        a.0.cmp(&b.0)
            .then_with(|| key(a.1, a.2).cmp(key(b.1, b.2)))
            .then(a.3.cmp(&b.3))
    });
    items.into_iter().map(|(.., ordinal)| ordinal).collect()
}
