//! Numbers of users, groups, records and places, each kind a type of its own, and the columns they count.
//!
//! A number belongs to one snapshot. One that points nowhere is a fault of ours or comes of damaged data: it is told as a
//! [`WrongNumber`], and nothing is made up in its stead. Must not know what columns hold.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

/// Why there is no answer: a number points nowhere. Named by what the number is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongNumber {
    /// A user.
    User,
    /// A group.
    Group,
    /// A user or a group.
    Record,
    /// The path and type of an account.
    Account,
    /// The place of an entry in the order of answers.
    Place,
    /// The list of attributes that a record stores.
    Shape,
    /// The octets of a value, an attribute or a name.
    Octets,
    /// An attribute.
    Attribute,
    /// A key of an index.
    Key,
}

impl fmt::Display for WrongNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::User => "a user",
            Self::Group => "a group",
            Self::Record => "a user or group",
            Self::Account => "the path and type of an account",
            Self::Place => "an entry",
            Self::Shape => "a list of attributes",
            Self::Octets => "octets",
            Self::Attribute => "an attribute",
            Self::Key => "a key of an index",
        };
        write!(formatter, "the number of {what} points nowhere in the directory")
    }
}

impl std::error::Error for WrongNumber {}

/// What counts the items of a column.
pub(crate) trait Number: Copy {
    /// What is told of one that points nowhere.
    const WRONG: WrongNumber;

    fn new(number: u32) -> Self;

    fn index(self) -> usize;
}

/// Declares a kind of number.
macro_rules! number {
    ($(#[$about:meta])* $visibility:vis $name:ident, $wrong:ident) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $visibility struct $name(u32);

        #[allow(dead_code, reason = "not all are asked everything")]
        impl $name {
            #[inline]
            pub(crate) const fn new(number: u32) -> Self {
                Self(number)
            }

            #[inline]
            pub(crate) const fn get(self) -> u32 {
                self.0
            }

            #[inline]
            pub(crate) const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl crate::model::number::Number for $name {
            const WRONG: crate::model::number::WrongNumber = crate::model::number::WrongNumber::$wrong;

            #[inline]
            fn new(number: u32) -> Self {
                Self(number)
            }

            #[inline]
            fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}
pub(crate) use number;

number! {
    /// A user within one snapshot; users come in ascending order of pk.
    pub UserIx, User
}

number! {
    /// A group within one snapshot; groups come in ascending order of UUID.
    pub GroupIx, Group
}

number! {
    /// A user or group within one snapshot: users first, then groups.
    pub(crate) RecordIx, Record
}

impl From<UserIx> for RecordIx {
    #[inline]
    fn from(user: UserIx) -> Self {
        Self(user.0)
    }
}

/// How many there are. The builder stops long before there are more than can be counted.
pub(crate) fn count_of<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}

/// One item for each number of a kind.
#[derive(Clone, Debug)]
pub(crate) struct Column<N, T> {
    items: Vec<T>,
    number: PhantomData<fn(N)>,
}

impl<N: Number, T> Column<N, T> {
    #[inline]
    pub(crate) fn get(&self, number: N) -> Result<&T, WrongNumber> {
        self.items.get(number.index()).ok_or(N::WRONG)
    }

    /// The items, by number.
    #[inline]
    pub(crate) fn as_slice(&self) -> &[T] {
        &self.items
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn count(&self) -> u32 {
        count_of(&self.items)
    }

    /// All numbers, ascending.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = N> + use<N, T> {
        (0..self.count()).map(N::new)
    }

    /// The items with their numbers.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (N, &T)> {
        self.numbers().zip(&self.items)
    }

    pub(crate) fn push(&mut self, item: T) {
        self.items.push(item);
    }

    /// Octets on the heap.
    pub(crate) fn size(&self) -> usize {
        self.items.capacity() * size_of::<T>()
    }
}

impl<N, T> From<Vec<T>> for Column<N, T> {
    fn from(items: Vec<T>) -> Self {
        Self {
            items,
            number: PhantomData,
        }
    }
}

impl<N, T> FromIterator<T> for Column<N, T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::from(Vec::from_iter(items))
    }
}

/// Keeps the first wrong number that is met where a closure cannot tell of it.
#[derive(Debug, Default)]
pub(crate) struct Met(Cell<Option<WrongNumber>>);

impl Met {
    /// What was found, or else `instead`, to which no meaning may be given.
    #[inline]
    pub(crate) fn or<T>(&self, found: Result<T, WrongNumber>, instead: T) -> T {
        match found {
            Ok(found) => found,
            Err(wrong) => {
                self.0.set(self.0.get().or(Some(wrong)));
                instead
            }
        }
    }

    /// The answer, unless a wrong number was met on the way.
    #[inline]
    pub(crate) fn answer<T>(self, answer: T) -> Result<T, WrongNumber> {
        match self.0.get() {
            None => Ok(answer),
            Some(wrong) => Err(wrong),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_beyond_the_end_points_nowhere() {
        let column: Column<GroupIx, char> = "ab".chars().collect();
        assert_eq!(column.get(GroupIx::new(1)), Ok(&'b'));
        assert_eq!(column.get(GroupIx::new(2)), Err(WrongNumber::Group));
        let numbered: Vec<_> = column
            .numbered()
            .map(|(group, &item)| (group.get(), item))
            .collect();
        assert_eq!(numbered, [(0, 'a'), (1, 'b')]);
    }

    #[test]
    fn what_closures_meet_is_told_afterwards() {
        let met = Met::default();
        assert_eq!(met.or(Ok(1), 0), 1);
        assert_eq!(met.or(Err(WrongNumber::Place), 0), 0);
        assert_eq!(met.or(Err(WrongNumber::User), 0), 0);
        assert_eq!(met.answer(()), Err(WrongNumber::Place));
        assert_eq!(Met::default().answer(7), Ok(7));
    }
}
