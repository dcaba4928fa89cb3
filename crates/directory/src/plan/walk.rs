//! A walk through an order that is kept with the snapshot: pages of sorted answers are parts of it.
//!
//! Containers are put in their places, and so is the root DSE if a search has it. Must not know which entries match.

use crate::model::number::{Met, WrongNumber};
use crate::model::place::{Container, Layout, Place, ROOT};
use crate::plan::sorting::SortOrder;
use crate::view::context::Context;

/// A walk through an order, containers in their places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Walk {
    order: usize,
    /// At which place of the walk each comes, ascending; organizational units that paths make are among them.
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
    ) -> Result<Option<Self>, WrongNumber> {
        let orders = &context.snapshot.orders;
        let number = order
            .key()
            .and_then(|key| orders.find_or_make(key, &context.snapshot.records));
        let Some(number) = number else {
            return Ok(None);
        };
        let places = orders.get(number)?;
        let key_of = |place: Place| Ok((order.key_of(context, layout.entry(place)?)?, place));
        let before = |own: &(Vec<u8>, Place)| {
            let met = Met::default();
            let before = places.partition_point(|&other| {
                let earlier = key_of(other).map(|other| other < *own);
                met.or(earlier, false)
            });
            met.answer(before)
        };
        let mut keys = Vec::with_capacity(Container::ALL.len() + 1 + layout.branches().len());
        let containers = Container::ALL.map(|container| layout.container(container));
        for place in containers.into_iter().chain(layout.branches().iter()) {
            keys.push(key_of(place)?);
        }
        keys.extend(root.map(|key| (key, ROOT)));
        keys.sort_unstable();
        let start = match from {
            Some(from) => before(from)? + keys.partition_point(|own| own < from),
            None => 0,
        };
        let mut containers: Vec<(usize, Place)> = Vec::with_capacity(keys.len());
        let mut follows = 0;
        for (index, own) in keys.iter().enumerate() {
            // Of one key, nothing in the order comes between organizational units: they are before all users.
            let last = index.checked_sub(1).and_then(|last| keys.get(last));
            let joins = |last: &(Vec<u8>, Place)| last.0 == own.0 && layout.branches().contains(own.1);
            if !last.is_some_and(joins) {
                follows = before(own)?;
            }
            containers.push((follows + index, own.1));
        }
        Ok(Some(Self {
            order: number,
            containers,
            start,
        }))
    }

    /// The entry at a place of the walk.
    #[inline]
    pub(crate) fn get(&self, context: &Context<'_>, place: usize) -> Result<Option<Place>, WrongNumber> {
        let before = self.containers.partition_point(|(at, _)| *at < place);
        if let Some((at, container)) = self.containers.get(before)
            && *at == place
        {
            return Ok(Some(*container));
        }
        let order = context.snapshot.orders.get(self.order)?;
        Ok(order.get(place - before).copied())
    }
}
