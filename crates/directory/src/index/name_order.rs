//! Users and groups in the order of their names: the order of answers that are neither sorted nor paged, as authentik's
//! outpost has it. Names compare by code points.
//!
//! Kept with the snapshot: 8 octets a record, and a sort of the names once. Pages go by primary key instead, which never
//! changes under a reader. Must not know which entries match.

use crate::model::place::{Container, Layout, Place, ROOT};
use crate::model::records::Records;

/// So many places are sorted; more are marked in a set of all places, which costs the same for any number.
const SORTED: usize = 64;

/// Users and groups by name.
#[derive(Debug, Default)]
pub(crate) struct NameOrder {
    users: Ranking,
    groups: Ranking,
}

/// Numbers in the order of their names, and the place of each in it.
#[derive(Debug, Default)]
struct Ranking {
    items: Vec<u32>,
    ranks: Vec<u32>,
}

impl Ranking {
    fn new<'n>(count: u32, name: impl Fn(u32) -> &'n [u8]) -> Self {
        let mut items: Vec<(u64, u32)> = (0..count)
            .map(|item| {
                // The first octets decide most comparisons without a look at the names.
                let mut first = [0; 8];
                for (place, octet) in first.iter_mut().zip(name(item)) {
                    *place = *octet;
                }
                (u64::from_be_bytes(first), item)
            })
            .collect();
        items.sort_unstable_by(|a, b| {
            a.0.cmp(&b.0)
                .then_with(|| name(a.1).cmp(name(b.1)))
                .then(a.1.cmp(&b.1))
        });
        let mut ranks = vec![0; items.len()];
        for (rank, &(_, item)) in (0..).zip(&items) {
            if let Some(place) = ranks.get_mut(item as usize) {
                *place = rank;
            }
        }
        Self {
            items: items.into_iter().map(|(_, item)| item).collect(),
            ranks,
        }
    }
}

impl NameOrder {
    pub(crate) fn new(records: &Records) -> Self {
        Self {
            users: Ranking::new(records.user_count_u32(), |user| records.name(user)),
            groups: Ranking::new(records.group_count_u32(), |group| {
                records.name(records.group_record(group))
            }),
        }
    }

    pub(crate) fn size(&self) -> usize {
        let capacity = |ranking: &Ranking| ranking.items.capacity() + ranking.ranks.capacity();
        (capacity(&self.users) + capacity(&self.groups)) * size_of::<u32>()
    }

    /// The entry whose turn it is at a position of the whole list.
    #[inline]
    pub(crate) fn at(&self, layout: Layout, position: Place) -> Place {
        self.map(layout, position, |ranking| &ranking.items)
    }

    /// The position of an entry in the whole list.
    #[inline]
    pub(crate) fn position(&self, layout: Layout, place: Place) -> Place {
        self.map(layout, place, |ranking| &ranking.ranks)
    }

    /// Sorts positions and puts the entries there in their stead.
    fn sort_positions(&self, layout: Layout, positions: &mut [Place]) {
        positions.sort_unstable();
        positions
            .iter_mut()
            .for_each(|position| *position = self.at(layout, *position));
    }

    #[inline]
    fn map(&self, layout: Layout, place: Place, of: impl Fn(&Ranking) -> &Vec<u32>) -> Place {
        let Some((container, first)) = layout.container_of(place) else {
            return place;
        };
        let ranking = match container {
            Container::Groups => &self.groups,
            _ => &self.users,
        };
        let mapped = of(ranking).get((place - first) as usize);
        mapped.map_or(place, |mapped| first + mapped)
    }
}

/// Puts several places that ascend into the order of names, which is made if it is needed.
pub(crate) fn order_several<'o>(
    order: impl FnOnce() -> &'o NameOrder,
    layout: Layout,
    places: &mut Vec<Place>,
) {
    let container = |place: Place| layout.container_of(place).map(|(container, _)| container);
    let few = places.len() <= SORTED;
    let one_of_each = few
        && places
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if container(*a).is_none() || container(*a) != container(*b)));
    if one_of_each {
        return;
    }
    let order = order();
    if !few {
        let mut set = PlaceSet::new(layout);
        places
            .iter()
            .for_each(|&place| set.insert(order.position(layout, place)));
        places.clear();
        places.extend(set.iter().map(|position| order.at(layout, position)));
    } else if !places.is_sorted_by_key(|&place| order.position(layout, place)) {
        // To sort by positions looks each of them up at every comparison.
        places
            .iter_mut()
            .for_each(|place| *place = order.position(layout, *place));
        order.sort_positions(layout, places);
    }
}

/// Matches as they are found, to be given out in the order of names.
#[derive(Debug, Default)]
pub(crate) struct Matches {
    /// The positions of the first ones, and those of all others.
    first: Vec<Place>,
    others: PlaceSet,
    /// Whether the rootDSE is one, which comes before all others.
    root: bool,
}

impl Matches {
    #[inline]
    pub(crate) fn insert(&mut self, order: &NameOrder, layout: Layout, place: Place) {
        if place == ROOT {
            self.root = true;
            return;
        }
        let position = order.position(layout, place);
        match self.first.len() {
            0 => self.first.reserve_exact(SORTED),
            SORTED.. => return self.insert_other(layout, position),
            _ => {}
        }
        self.first.push(position);
    }

    fn insert_other(&mut self, layout: Layout, position: Place) {
        if self.others.0.is_empty() {
            self.others = PlaceSet::new(layout);
        }
        self.others.insert(position);
    }

    /// Octets on the heap.
    pub(crate) fn memory(&self) -> usize {
        self.first.capacity() * size_of::<Place>() + self.others.memory()
    }

    /// The places of the matches.
    pub(crate) fn into_places(self, order: &NameOrder, layout: Layout) -> Vec<Place> {
        let Self {
            mut first,
            mut others,
            root,
        } = self;
        if others.0.is_empty() {
            order.sort_positions(layout, &mut first);
            if root {
                first.insert(0, ROOT);
            }
            return first;
        }
        first.iter().for_each(|&position| others.insert(position));
        let others = others.iter().map(|position| order.at(layout, position));
        root.then_some(ROOT).into_iter().chain(others).collect()
    }
}

/// A set of places of one snapshot, read in ascending order: a bit for each there is.
#[derive(Debug, Default)]
struct PlaceSet(Vec<u64>);

impl PlaceSet {
    fn new(layout: Layout) -> Self {
        Self(vec![0; layout.end() as usize / 64 + 1])
    }

    /// Octets on the heap.
    fn memory(&self) -> usize {
        self.0.capacity() * size_of::<u64>()
    }

    fn insert(&mut self, place: Place) {
        if let Some(word) = self.0.get_mut(place as usize / 64) {
            *word |= 1 << (place % 64);
        }
    }

    fn iter(&self) -> impl Iterator<Item = Place> {
        (0..).zip(&self.0).flat_map(|(index, &word): (u32, &u64)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros();
                (bit < 64).then(|| {
                    rest &= rest - 1;
                    index * 64 + bit
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::build::builder::Builder;
    use crate::fixture::add_user;
    use crate::index::snapshot::Snapshot;
    use crate::model::place::Entry;

    /// Users whose names come in the opposite order of their keys.
    fn backwards(users: u32) -> Snapshot {
        let mut builder = Builder::new();
        for number in 0..users {
            let name = format!("user{:04}", users - number);
            add_user(&mut builder, i64::from(number) + 1, &name, "{}");
        }
        builder.finish().0
    }

    proptest! {
        /// However many there are: sorted, marked, or some of each.
        #[test]
        fn matches_are_given_out_by_name(
            users in proptest::collection::btree_set(0_u32..300, 0..3 * SORTED),
        ) {
            let snapshot = backwards(300);
            let layout = snapshot.records.layout();
            let places = |users: &mut dyn Iterator<Item = &u32>| -> Vec<Place> {
                let users = users.map(|&user| layout.place(Entry::User(user)));
                [0, 1].into_iter().chain(users).collect()
            };
            let mut found = places(&mut users.iter());
            let by_name = places(&mut users.iter().rev());
            let mut matches = Matches::default();
            [ROOT].iter().chain(&found).for_each(|&place| matches.insert(snapshot.name_order(), layout, place));
            let places = matches.into_places(snapshot.name_order(), layout);
            prop_assert_eq!(places.first(), Some(&ROOT));
            prop_assert_eq!(places.get(1..), Some(by_name.as_slice()));
            snapshot.order_by_name(layout, &mut found);
            prop_assert_eq!(&found, &by_name);
        }
    }
}
