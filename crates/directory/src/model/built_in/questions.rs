//! The questions asked about the table of built-in attributes, most of them while compiling.
//!
//! Must not know an attribute by name: what sets one apart stands in its definition.

use super::{AttributeId, BuiltIn, DEFINITIONS, FIRST_FLAG, FromGroups, Shows};

/// What is asked about the whole table at compile time.
#[derive(Clone, Copy)]
pub(crate) enum Those {
    /// For the default answers: what is not stored.
    DefaultOfUsers,
    DefaultOfGroups,
    DefaultOfVirtualGroups,
    /// What `+` asks for (RFC 3673).
    Operational,
    /// What users store, and what groups store.
    StoredByUsers,
    StoredByGroups,
    /// What custom values never replace.
    Reserved,
}

/// How many attributes there are of these.
pub(crate) const fn count(those: Those) -> usize {
    let (mut number, mut found) = (0, 0);
    while number < DEFINITIONS.len() {
        if position(those, number) > 0 {
            found += 1;
        }
        number += 1;
    }
    found
}

/// These attributes in their order; `N` is their [`count`].
#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated while compiling"
)]
pub(crate) const fn ids<const N: usize>(those: Those) -> [AttributeId; N] {
    let mut ids = [AttributeId(0); N];
    let (mut next, mut found) = (1, 0);
    while found < N {
        let mut number = 0;
        while number < DEFINITIONS.len() {
            if position(those, number) == next {
                ids[found] = AttributeId(number as u16);
                found += 1;
            }
            number += 1;
        }
        next += 1;
    }
    ids
}

/// The position of an attribute among these, counted from 1; 0 if it is not one of them. Several may share one.
#[expect(clippy::indexing_slicing, reason = "evaluated while compiling")]
const fn position(those: Those, number: usize) -> u8 {
    let built_in = &DEFINITIONS[number];
    match those {
        Those::DefaultOfUsers => built_in.default_of[0] as u8,
        Those::DefaultOfGroups => built_in.default_of[1] as u8,
        Those::DefaultOfVirtualGroups => built_in.default_of_virtual_group,
        Those::Operational => built_in.operational,
        _ if number >= AttributeId::RDN.0 as usize => 0,
        Those::StoredByUsers => is_stored(built_in.users) as u8,
        Those::StoredByGroups => is_stored(built_in.groups) as u8,
        Those::Reserved => !built_in.is_replaceable as u8,
    }
}

const fn is_stored(shows: Option<Shows>) -> bool {
    !matches!(shows, None | Some(Shows::Computed))
}

/// By number, the bit by which an entry remembers that custom values replace an attribute: the number's own, or for what
/// has a number beyond those bits one that no other attribute uses.
#[expect(clippy::indexing_slicing, reason = "evaluated while compiling")]
const OVERRIDE_BITS: [u32; DEFINITIONS.len()] = {
    let mut bits = [0; DEFINITIONS.len()];
    let (mut number, mut free) = (0, 0);
    while number < DEFINITIONS.len() {
        if DEFINITIONS[number].is_replaceable {
            let mut bit = number;
            if number >= FIRST_FLAG as usize {
                while DEFINITIONS[free].is_replaceable {
                    free += 1;
                }
                bit = free;
                free += 1;
            }
            // The override bits and the flags of an entry share one u32.
            assert!(bit < FIRST_FLAG as usize);
            bits[number] = 1 << bit;
        }
        number += 1;
    }
    bits
};

/// A bit for each attribute that is never stored.
const COMPUTED: u64 = bits_of(true);
/// A bit for each attribute of every entry.
const OF_EVERY_ENTRY: u64 = bits_of(false);

#[expect(clippy::indexing_slicing, reason = "evaluated while compiling")]
const fn bits_of(computed: bool) -> u64 {
    let (mut bits, mut number) = (0, 0);
    while number < DEFINITIONS.len() {
        let built_in = &DEFINITIONS[number];
        let is_computed = matches!(built_in.users, Some(Shows::Computed))
            || matches!(built_in.groups, Some(Shows::Computed));
        if (computed && is_computed) || (!computed && built_in.of_every_entry) {
            bits |= 1 << number;
        }
        number += 1;
    }
    bits
}

impl AttributeId {
    /// What is known about a built-in attribute.
    #[inline]
    pub(crate) fn definition(self) -> Option<&'static BuiltIn> {
        const TABLE: &[BuiltIn] = &DEFINITIONS;
        TABLE.get(self.index())
    }

    /// The built-in attributes with their definitions, in the order of their numbers.
    pub(crate) fn built_in() -> impl Iterator<Item = (Self, &'static BuiltIn)> + Clone {
        (0..Self::RDN.0).filter_map(|number| Some((Self(number), Self(number).definition()?)))
    }

    /// The names by number, including those that cannot be asked for.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        DEFINITIONS.iter().map(|built_in| built_in.name)
    }

    /// The name of a built-in attribute as it is served.
    pub(crate) fn name(self) -> &'static str {
        self.definition().map_or("", |built_in| built_in.name)
    }

    /// The same as octets, whose number is known at compile time.
    #[expect(clippy::indexing_slicing, reason = "evaluated while compiling")]
    pub(crate) const fn name_octets<const N: usize>(self) -> [u8; N] {
        let name = DEFINITIONS[self.0 as usize].name.as_bytes();
        assert!(name.len() == N);
        let (mut octets, mut at) = ([0; N], 0);
        while at < N {
            octets[at] = name[at];
            at += 1;
        }
        octets
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The built-in attribute with exactly this name, whatever its case.
    pub(crate) fn of_built_in(name: &[u8]) -> Option<Self> {
        Self::built_in()
            .find(|(_, built_in)| built_in.name.as_bytes().eq_ignore_ascii_case(name))
            .map(|(id, _)| id)
    }

    /// The bit by which an entry remembers that custom values replace a built-in attribute; 0 for custom ones, and for
    /// those that are never replaced.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "the length was compared")]
    pub(crate) const fn override_bit(self) -> u32 {
        if (self.0 as usize) < OVERRIDE_BITS.len() {
            OVERRIDE_BITS[self.0 as usize]
        } else {
            0
        }
    }

    /// True for attributes every snapshot has.
    pub(crate) fn is_built_in(self) -> bool {
        self.0 < Self::RDN.0
    }

    /// True for attributes that base and containers have as well, computed from their places.
    pub(crate) fn is_of_every_entry(self) -> bool {
        self.0 < 64 && OF_EVERY_ENTRY >> self.0 & 1 != 0
    }

    /// The built-in attributes that show this of users.
    pub(crate) fn showing(shows: Shows) -> impl Iterator<Item = Self> {
        let shown = Self::built_in().filter(move |(_, built_in)| built_in.users == Some(shows));
        shown.map(|(id, _)| id)
    }

    /// Those by whose beginning users are sought.
    pub(crate) fn whose_beginning_is_sought() -> impl Iterator<Item = Self> {
        let all = (0..).map(Self).zip(&DEFINITIONS);
        all.filter_map(|(id, built_in)| built_in.is_sought_by_beginning.then_some(id))
    }

    /// Whether users without one show an empty value, which counts as none.
    pub(crate) fn may_be_unset(self) -> bool {
        self.definition()
            .is_some_and(|built_in| built_in.users == Some(Shows::Mail))
    }

    /// Whether it follows from memberships alone.
    pub(crate) fn is_membership(self) -> bool {
        self.definition()
            .is_some_and(|built_in| built_in.decided_by_groups == FromGroups::Memberships)
    }

    /// True for attributes that are never stored: computed from the entry's place, number and memberships.
    #[inline]
    pub(crate) fn is_computed(self) -> bool {
        self.0 < 64 && COMPUTED >> self.0 & 1 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::attribute_type;

    #[test]
    fn the_schema_knows_each_and_calls_the_same_operational() {
        for (_, built_in) in AttributeId::built_in() {
            let known = attribute_type(built_in.name.as_bytes()).expect(built_in.name);
            assert_eq!(known.name, built_in.name);
            assert_eq!(known.operational, built_in.operational > 0, "{}", built_in.name);
            assert!(
                !(known.operational && built_in.is_replaceable),
                "{}",
                built_in.name
            );
        }
    }

    #[test]
    fn what_may_be_replaced_has_a_bit_of_its_own() {
        let mut all = 0;
        for (id, built_in) in AttributeId::built_in() {
            let bit = id.override_bit();
            assert_eq!(
                bit.count_ones(),
                u32::from(built_in.is_replaceable),
                "{}",
                built_in.name
            );
            assert_eq!(all & bit, 0, "{}", built_in.name);
            all |= bit;
        }
        // Files hold them.
        let bit = |id: AttributeId| id.override_bit().trailing_zeros();
        let known = [
            AttributeId::OBJECT_CLASS,
            AttributeId::MAIL,
            AttributeId::GID_NUMBER,
        ]
        .map(bit);
        assert_eq!(known, [0, 7, 15]);
    }
}
