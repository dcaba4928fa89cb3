//! Which places a search looks at: what its base and scope cover.
//!
//! Must not know filters.

use crate::model::place::{Place, PlaceRange};

/// Base and scope of a search as places in up to three ranges, ascending; the rest is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct InScope([PlaceRange; 3]);

impl InScope {
    pub(crate) fn of(ranges: [PlaceRange; 3]) -> Self {
        Self(ranges)
    }

    pub(crate) fn one(range: PlaceRange) -> Self {
        Self([range, PlaceRange::default(), PlaceRange::default()])
    }

    #[inline]
    pub(crate) fn contains(&self, place: Place) -> bool {
        self.0.iter().any(|range| range.contains(place))
    }

    /// Whether it has this place or a later one.
    pub(crate) fn reaches(&self, place: Place) -> bool {
        self.0.iter().any(|range| range.end > place)
    }

    /// Whether it has a place before this one.
    pub(crate) fn begins_before(&self, place: Place) -> bool {
        self.0
            .iter()
            .any(|range| !range.is_empty() && range.start < place)
    }

    /// The part of it before a place.
    pub(crate) fn before(self, end: Place) -> Self {
        Self(self.0.map(|range| range.before(end)))
    }

    /// How many places it has.
    pub(super) fn size(&self) -> usize {
        self.0.iter().map(|range| range.len()).sum()
    }

    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        self.0.iter().flat_map(|range| range.iter())
    }

    /// Appends the parts of it in `range`.
    pub(super) fn intersect(&self, range: PlaceRange, out: &mut Vec<PlaceRange>) {
        let common = self.0.iter().map(|own| own.intersection(range));
        out.extend(common.filter(|common| !common.is_empty()));
    }
}
