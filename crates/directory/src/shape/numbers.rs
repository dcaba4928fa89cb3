//! Which numbers users and groups are to have, and where those get another one whose own somebody else already has.
//!
//! Data only; must not know who has which number.

use std::fmt;
use std::ops::RangeInclusive;

/// The largest number that clients accept: `uid_t` has 32 bits, and some programs read them with a sign.
const MAX_NUMBER: i64 = 0x7fff_ffff;

/// What is said of numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// uidNumber.
    pub uids: NumberRanges,
    /// gidNumber of groups.
    pub gids: NumberRanges,
}

/// The ranges of one kind of number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberRanges {
    /// Where all are expected; a number elsewhere is reported, and kept.
    pub expected: Option<NumberRange>,
    /// Where those are moved to whose number somebody else has. Without it nobody is moved.
    pub shared: Option<NumberRange>,
}

impl Numbers {
    /// Whether nothing is said of them.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Whether all keep the numbers that they have.
    #[must_use]
    pub fn moves_nobody(&self) -> bool {
        self.uids.shared.is_none() && self.gids.shared.is_none()
    }
}

impl NumberRanges {
    /// The range that a number should be in and is not in. Whoever was moved is where they should be.
    #[must_use]
    pub fn missed_by(&self, number: i64) -> Option<&NumberRange> {
        let is_moved = self.shared.as_ref().is_some_and(|range| range.contains(number));
        self.expected
            .as_ref()
            .filter(|range| !is_moved && !range.contains(number))
    }
}

/// A range of numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberRange(RangeInclusive<i64>);

impl NumberRange {
    /// Reads `first-last`. `None` if it is not a range, begins below 1 or ends above what clients accept.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-')?;
        let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (1 <= first && first <= last && last <= MAX_NUMBER).then_some(Self(first..=last))
    }

    /// Whether a number is one of it.
    #[must_use]
    pub fn contains(&self, number: i64) -> bool {
        self.0.contains(&number)
    }

    /// The free number that somebody of this identity gets: always the same one, unless somebody else got it before.
    pub(crate) fn number_for(&self, identity: &[u8], is_free: impl Fn(i64) -> bool) -> Option<i64> {
        let (first, last) = (*self.0.start(), *self.0.end());
        let size = u64::try_from(last - first).ok()?.checked_add(1)?;
        let from = i64::try_from(hash(identity) % size).ok()?;
        let mut numbers = (first + from..=last).chain(first..first + from);
        numbers.find(|number| is_free(*number))
    }
}

impl fmt::Display for NumberRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.0.start(), self.0.end())
    }
}

/// Spreads identities over a range, in every process the same way (FNV-1a).
fn hash(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_and_what_clients_cannot_take_is_none() {
        assert_eq!(NumberRange::read(" 300 - 399 "), Some(NumberRange(300..=399)));
        for text in ["", "300", "399-300", "0-5", "-5-5", "1-2147483648", "a-b", "1-"] {
            assert_eq!(NumberRange::read(text), None, "{text}");
        }
    }

    #[test]
    fn everybody_has_a_number_of_their_own_until_there_is_none() {
        let range = NumberRange(10..=13);
        let mut taken = Vec::new();
        for identity in [b"a", b"b", b"c", b"d"] {
            let number = range
                .number_for(identity, |number| !taken.contains(&number))
                .unwrap();
            assert!((10..=13).contains(&number) && !taken.contains(&number));
            taken.push(number);
        }
        assert_eq!(range.number_for(b"e", |number| !taken.contains(&number)), None);
        let wide = NumberRange(1..=MAX_NUMBER);
        assert_eq!(wide.number_for(b"a", |_| true), wide.number_for(b"a", |_| true));
        assert_ne!(wide.number_for(b"a", |_| true), wide.number_for(b"b", |_| true));
    }
}
