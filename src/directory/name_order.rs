//! Users and groups in the order of their names: the order of answers that are neither sorted nor paged, as authentik's
//! outpost has it. Names compare by code points.
//!
//! Kept with the snapshot: 8 octets a record, and a sort of the names once. Pages go by primary key instead, which never
//! changes under a reader. Must not know which entries match.

use super::entry::{Layout, Ordinal, Special};
use super::snapshot::Snapshot;

/// So many places are sorted; more are marked in a set of all places, which costs the same for any number.
const SORTED: usize = 64;

/// Users and groups by name.
#[derive(Debug, Default)]
pub(super) struct NameOrder {
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
    pub(super) fn new(snapshot: &Snapshot) -> Self {
        Self {
            users: Ranking::new(snapshot.user_count_u32(), |user| snapshot.name(user)),
            groups: Ranking::new(snapshot.group_count_u32(), |group| {
                snapshot.name(snapshot.group_record(group))
            }),
        }
    }

    pub(super) fn size(&self) -> usize {
        let capacity = |ranking: &Ranking| ranking.items.capacity() + ranking.ranks.capacity();
        (capacity(&self.users) + capacity(&self.groups)) * size_of::<u32>()
    }

    /// The entry whose turn it is at a position of the whole list.
    #[inline]
    pub(super) fn at(&self, layout: Layout, position: Ordinal) -> Ordinal {
        self.map(layout, position, |ranking| &ranking.items)
    }

    /// The position of an entry in the whole list.
    #[inline]
    pub(super) fn position(&self, layout: Layout, ordinal: Ordinal) -> Ordinal {
        self.map(layout, ordinal, |ranking| &ranking.ranks)
    }

    #[inline]
    fn map(&self, layout: Layout, place: Ordinal, of: impl Fn(&Ranking) -> &Vec<u32>) -> Ordinal {
        let Some((container, first)) = layout.container(place) else {
            return place;
        };
        let ranking = match container {
            Special::Groups => &self.groups,
            _ => &self.users,
        };
        let mapped = of(ranking).get((place - first) as usize);
        mapped.map_or(place, |mapped| first + mapped)
    }
}

impl Snapshot {
    /// The order of names, made at its first use.
    #[inline]
    pub(super) fn name_order(&self) -> &NameOrder {
        self.name_order.get_or_init(|| NameOrder::new(self))
    }

    /// Puts places that ascend into the order of names.
    pub(super) fn order_by_name(&self, layout: Layout, places: &mut Vec<Ordinal>) {
        let container = |place: Ordinal| layout.container(place).map(|(container, _)| container);
        let neighbours = places.windows(2);
        let one_of_each = neighbours
            .clone()
            .take(SORTED)
            .all(|pair| matches!(pair, [a, b] if container(*a).is_none() || container(*a) != container(*b)));
        if one_of_each && places.len() <= SORTED {
            return;
        }
        let order = self.name_order();
        if places.len() <= SORTED {
            return places.sort_unstable_by_key(|&place| order.position(layout, place));
        }
        let mut set = PlaceSet::new(layout);
        places
            .iter()
            .for_each(|&place| set.insert(order.position(layout, place)));
        places.clear();
        places.extend(set.iter().map(|position| order.at(layout, position)));
    }
}

/// A set of places of one snapshot, read in ascending order: a bit for each there is.
#[derive(Debug)]
pub(super) struct PlaceSet(Vec<u64>);

impl PlaceSet {
    pub(super) fn new(layout: Layout) -> Self {
        Self(vec![0; layout.end() as usize / 64 + 1])
    }

    /// Octets on the heap.
    pub(super) fn memory(&self) -> usize {
        self.0.capacity() * size_of::<u64>()
    }

    pub(super) fn insert(&mut self, place: Ordinal) {
        if let Some(word) = self.0.get_mut(place as usize / 64) {
            *word |= 1 << (place % 64);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Ordinal> {
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
