//! A walk through an order that is kept with the snapshot: pages of sorted answers are parts of it.
//!
//! Base and containers are put in their places, and the root DSE where a search has it. Must not know which entries match.

use crate::model::place::{Layout, Place, ROOT};
use crate::plan::sorting::SortOrder;
use crate::view::context::Context;

/// A walk through an order, base and containers in their places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Walk {
    order: usize,
    /// Before which place of the order each stands, ascending.
    containers: Vec<(usize, Place)>,
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
        from: Option<&(Vec<u8>, Place)>,
    ) -> Option<Self> {
        let key = order.key()?;
        let orders = &context.snapshot.orders;
        let number = orders.find_or_make(key, &context.snapshot.records)?;
        let places = orders.get(number);
        let key_of = |place: Place| (order.key_of(context, layout.entry(place)), place);
        let before = |own: &(Vec<u8>, Place)| places.partition_point(|&other| key_of(other) < *own);
        let containers = layout.containers().into_iter().map(key_of);
        let mut containers: Vec<(Vec<u8>, Place)> = containers.chain(root.map(|key| (key, ROOT))).collect();
        containers.sort_unstable();
        let start = from.map_or(0, |from| {
            before(from) + containers.partition_point(|own| own < from)
        });
        Some(Self {
            order: number,
            containers: containers.iter().map(|own| (before(own), own.1)).collect(),
            start,
        })
    }

    /// The entry at a place of the walk.
    #[inline]
    pub(crate) fn get(&self, context: &Context<'_>, place: usize) -> Option<Place> {
        let mut before = 0;
        for (index, (follows, container)) in self.containers.iter().enumerate() {
            match (follows + index).cmp(&place) {
                std::cmp::Ordering::Equal => return Some(*container),
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
