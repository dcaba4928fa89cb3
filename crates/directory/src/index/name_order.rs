//! Users and groups in the order of their names: the order of answers that are neither sorted nor paged, as authentik's
//! outpost has it. Names compare by code points.
//!
//! Kept with the snapshot: 8 octets per record, and one sort of the names. Pages go by primary key instead, which never
//! changes under a reader. Must not know which entries match.

use crate::model::number::{Met, WrongNumber};
use crate::model::place::{Container, Layout, Place, ROOT};
use crate::model::records::Records;

/// Up to this many places are sorted; more are marked in a set of all places, which costs the same for any number.
const SORTED: usize = 64;

/// Users and groups by name.
#[derive(Debug)]
pub(crate) struct NameOrder {
    users: Ranking,
    groups: Ranking,
}

/// Users or groups, counted from the first, in the order of their names, and the rank of each in it.
#[derive(Debug)]
struct Ranking {
    items: Vec<u32>,
    ranks: Vec<u32>,
}

impl Ranking {
    fn new<'n>(names: impl Iterator<Item = Result<&'n [u8], WrongNumber>>) -> Result<Self, WrongNumber> {
        let mut items = Vec::with_capacity(names.size_hint().0);
        for (item, name) in (0_u32..).zip(names) {
            let name = name?;
            // The first octets decide most comparisons without looking at the names.
            let mut first = [0; 8];
            for (place, octet) in first.iter_mut().zip(name) {
                *place = *octet;
            }
            items.push((u64::from_be_bytes(first), name, item));
        }
        items.sort_unstable();
        let mut ranks = vec![0; items.len()];
        for (rank, &(.., item)) in (0..).zip(&items) {
            if let Some(place) = ranks.get_mut(item as usize) {
                *place = rank;
            }
        }
        Ok(Self {
            items: items.into_iter().map(|(.., item)| item).collect(),
            ranks,
        })
    }
}

impl NameOrder {
    pub(crate) fn new(records: &Records) -> Result<Self, WrongNumber> {
        let users = records.users.pks.numbers();
        let groups = records.groups.uuids.numbers();
        Ok(Self {
            users: Ranking::new(users.map(|user| records.name(records.user_record(user)?)))?,
            groups: Ranking::new(groups.map(|group| records.name(records.layout.group_record(group))))?,
        })
    }

    pub(crate) fn size(&self) -> usize {
        let capacity = |ranking: &Ranking| ranking.items.capacity() + ranking.ranks.capacity();
        (capacity(&self.users) + capacity(&self.groups)) * size_of::<u32>()
    }

    /// The entry at a position of the whole list.
    #[inline]
    pub(crate) fn at(&self, layout: Layout, position: Place) -> Result<Place, WrongNumber> {
        self.map(layout, position, |ranking| &ranking.items)
    }

    /// The position of an entry in the whole list.
    #[inline]
    pub(crate) fn position(&self, layout: Layout, place: Place) -> Result<Place, WrongNumber> {
        self.map(layout, place, |ranking| &ranking.ranks)
    }

    /// Sorts positions and replaces them with the entries there.
    fn sort_positions(&self, layout: Layout, positions: &mut [Place]) -> Result<(), WrongNumber> {
        positions.sort_unstable();
        positions.iter_mut().try_for_each(|position| {
            *position = self.at(layout, *position)?;
            Ok(())
        })
    }

    #[inline]
    fn map(
        &self,
        layout: Layout,
        place: Place,
        of: impl Fn(&Ranking) -> &Vec<u32>,
    ) -> Result<Place, WrongNumber> {
        let Some((container, first)) = layout.container_of(place) else {
            return Ok(place);
        };
        let ranking = match container {
            Container::Groups => &self.groups,
            _ => &self.users,
        };
        let item = place.get().checked_sub(first.get());
        let mapped = item.and_then(|item| of(ranking).get(item as usize));
        mapped
            .map(|mapped| Place::new(first.get() + mapped))
            .ok_or(WrongNumber::Place)
    }
}

/// Puts several ascending places into the order of names, which is made if needed.
pub(crate) fn order_several<'o>(
    order: impl FnOnce() -> Result<&'o NameOrder, WrongNumber>,
    layout: Layout,
    places: &mut Vec<Place>,
) -> Result<(), WrongNumber> {
    let container = |place: Place| layout.container_of(place).map(|(container, _)| container);
    let few = places.len() <= SORTED;
    let one_of_each = few
        && places
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if container(*a).is_none() || container(*a) != container(*b)));
    if one_of_each {
        return Ok(());
    }
    let order = order()?;
    if !few {
        let mut set = PlaceSet::new(layout);
        for &place in places.iter() {
            set.insert(order.position(layout, place)?)?;
        }
        places.clear();
        for position in set.iter() {
            places.push(order.at(layout, position)?);
        }
        return Ok(());
    }
    let met = Met::default();
    let sorted = places.is_sorted_by_key(|&place| met.or(order.position(layout, place), place));
    if !met.answer(sorted)? {
        // Sorting by position looks each of them up at every comparison.
        for place in places.iter_mut() {
            *place = order.position(layout, *place)?;
        }
        order.sort_positions(layout, places)?;
    }
    Ok(())
}

/// Matches as they are found, to be returned in the order of names.
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
    pub(crate) fn insert(
        &mut self,
        order: &NameOrder,
        layout: Layout,
        place: Place,
    ) -> Result<(), WrongNumber> {
        if place == ROOT {
            self.root = true;
            return Ok(());
        }
        let position = order.position(layout, place)?;
        match self.first.len() {
            0 => self.first.reserve_exact(SORTED),
            SORTED.. => return self.insert_other(layout, position),
            _ => {}
        }
        self.first.push(position);
        Ok(())
    }

    fn insert_other(&mut self, layout: Layout, position: Place) -> Result<(), WrongNumber> {
        if self.others.0.is_empty() {
            self.others = PlaceSet::new(layout);
        }
        self.others.insert(position)
    }

    /// Octets on the heap.
    pub(crate) fn memory(&self) -> usize {
        self.first.capacity() * size_of::<Place>() + self.others.memory()
    }

    /// The places of the matches.
    pub(crate) fn into_places(self, order: &NameOrder, layout: Layout) -> Result<Vec<Place>, WrongNumber> {
        let Self {
            mut first,
            mut others,
            root,
        } = self;
        if others.0.is_empty() {
            order.sort_positions(layout, &mut first)?;
            if root {
                first.insert(0, ROOT);
            }
            return Ok(first);
        }
        first.iter().try_for_each(|&position| others.insert(position))?;
        let others = others.iter().map(|position| order.at(layout, position));
        root.then_some(Ok(ROOT)).into_iter().chain(others).collect()
    }
}

/// A set of places in one snapshot, read in ascending order: one bit for each place.
#[derive(Debug, Default)]
struct PlaceSet(Vec<u64>);

impl PlaceSet {
    fn new(layout: Layout) -> Self {
        Self(vec![0; layout.end().index() / 64 + 1])
    }

    /// Octets on the heap.
    fn memory(&self) -> usize {
        self.0.capacity() * size_of::<u64>()
    }

    #[inline]
    fn insert(&mut self, place: Place) -> Result<(), WrongNumber> {
        let word = self.0.get_mut(place.index() / 64).ok_or(WrongNumber::Place)?;
        *word |= 1 << (place.get() % 64);
        Ok(())
    }

    fn iter(&self) -> impl Iterator<Item = Place> {
        (0..).zip(&self.0).flat_map(|(index, &word): (u32, &u64)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros();
                (bit < 64).then(|| {
                    rest &= rest - 1;
                    Place::new(index * 64 + bit)
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
    use crate::model::number::UserIx;

    /// Users whose names come in the opposite order of their keys.
    fn backwards(users: u32) -> Snapshot {
        let mut builder = Builder::new();
        for number in 0..users {
            let name = format!("user{:04}", users - number);
            add_user(&mut builder, i64::from(number) + 1, &name, "{}");
        }
        builder.finish().unwrap().0
    }

    proptest! {
        /// However many there are: sorted, marked, or some of each.
        #[test]
        fn matches_are_given_out_by_name(
            users in proptest::collection::btree_set(0_u32..300, 0..3 * SORTED),
        ) {
            let snapshot = backwards(300);
            let layout = snapshot.records.layout;
            let order = snapshot.name_order().unwrap();
            let places = |users: &mut dyn Iterator<Item = &u32>| -> Vec<Place> {
                let users = users.map(|&user| layout.user(UserIx::new(user)).unwrap());
                let containers = [Container::Base, Container::Users].map(|container| layout.container(container));
                containers.into_iter().chain(users).collect()
            };
            let mut found = places(&mut users.iter());
            let by_name = places(&mut users.iter().rev());
            let mut matches = Matches::default();
            for &place in [ROOT].iter().chain(&found) {
                matches.insert(order, layout, place).unwrap();
            }
            let places = matches.into_places(order, layout).unwrap();
            prop_assert_eq!(places.first(), Some(&ROOT));
            prop_assert_eq!(places.get(1..), Some(by_name.as_slice()));
            snapshot.order_by_name(layout, &mut found).unwrap();
            prop_assert_eq!(&found, &by_name);
        }
    }
}
