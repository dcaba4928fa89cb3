//! Numbers of users, groups, records and places, each kind with its own type, and the columns they count.
//!
//! A number belongs to one snapshot. One that points to nothing is a bug or comes from damaged data: it is
//! reported as a [`WrongNumber`], and nothing is made up to replace it. Must not know what columns hold.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

/// Why there is no answer: a number points to nothing. Named after what the number counts.
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
    /// An organizational unit made from paths.
    Branch,
    /// The place of an entry in the order of answers.
    Place,
    /// The list of attributes that a record stores.
    AttributeList,
    /// The octets of a value, an attribute or a name.
    Octets,
    /// An attribute.
    Attribute,
    /// A key of an index.
    Key,
    /// What follows from the number of a user or group: a uidNumber or gidNumber that is too large.
    Derived,
}

impl fmt::Display for WrongNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::Derived => {
                return formatter
                    .write_str("the uidNumber or gidNumber of a user or group would be too large");
            }
            Self::User => "a user",
            Self::Group => "a group",
            Self::Record => "a user or group",
            Self::Account => "the path, type and roles of an account",
            Self::Branch => "an organizational unit",
            Self::Place => "an entry",
            Self::AttributeList => "a list of attributes",
            Self::Octets => "octets",
            Self::Attribute => "an attribute",
            Self::Key => "a key of an index",
        };
        write!(
            formatter,
            "the number of {what} points to nothing in the directory"
        )
    }
}

impl std::error::Error for WrongNumber {}

/// What counts the items of a column.
pub(crate) trait Number: Copy {
    /// What is reported for one that points to nothing.
    const WRONG: WrongNumber;

    /// `None` for one that is too large to be kept.
    fn at(index: usize) -> Option<Self>;

    fn index(self) -> usize;
}

/// Declares a kind of number, and with `u32` at the end one that others make and read.
macro_rules! number {
    ($(#[$about:meta])* $visibility:vis $name:ident, $wrong:ident, u32) => {
        crate::model::number::number! { $(#[$about])* $visibility $name, $wrong }

        impl $name {
            #[inline]
            pub(crate) const fn new(number: u32) -> Self {
                Self(number)
            }

            #[inline]
            pub(crate) const fn get(self) -> u32 {
                self.0
            }
        }
    };
    ($(#[$about:meta])* $visibility:vis $name:ident, $wrong:ident) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $visibility struct $name(u32);

        impl $name {
            #[inline]
            pub(crate) const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl crate::model::number::Number for $name {
            const WRONG: crate::model::number::WrongNumber = crate::model::number::WrongNumber::$wrong;

            #[inline]
            fn at(index: usize) -> Option<Self> {
                u32::try_from(index).ok().map(Self)
            }

            #[inline]
            fn index(self) -> usize {
                // The method of its own, not this one.
                Self::index(self)
            }
        }
    };
}
pub(crate) use number;

number! {
    /// A user within one snapshot; users come in ascending order of pk.
    pub UserIx, User, u32
}

number! {
    /// A group within one snapshot; groups come in ascending order of UUID.
    pub GroupIx, Group, u32
}

number! {
    /// A user or group within one snapshot: users first, then groups.
    pub(crate) RecordIx, Record, u32
}

number! {
    /// An organizational unit within one snapshot that paths of users make: each comes before those below it. The first is that of users
    /// itself, which no path makes.
    pub(crate) BranchIx, Branch, u32
}

/// How many there are, if that many can be counted: a number that was cut off would be that of something else.
pub(crate) fn count_of<T>(items: &[T], what: WrongNumber) -> Result<u32, WrongNumber> {
    u32::try_from(items.len()).map_err(|_| what)
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

    /// All numbers, ascending.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = N> + use<N, T> {
        (0..self.items.len()).map_while(N::at)
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

/// Keeps the first wrong number that is met where a closure cannot report it.
#[derive(Debug, Default)]
pub(crate) struct Met(Cell<Option<WrongNumber>>);

impl Met {
    /// What was found, or `instead`, which must not be given any meaning.
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
    use crate::model::built_in::AttributeId;

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
    fn what_cannot_be_counted_has_no_number() {
        let many = &[(); 1 << 32];
        assert_eq!(count_of(many, WrongNumber::Key), Err(WrongNumber::Key));
        let most = many.get(1..).unwrap();
        assert_eq!(count_of(most, WrongNumber::Key), Ok(u32::MAX));
        assert_eq!(UserIx::at(1 << 32), None);
        let attributes: Column<AttributeId, ()> = vec![(); (1 << 16) + 2].into();
        assert_eq!(attributes.numbers().count(), 1 << 16);
        assert_eq!(attributes.numbers().last().map(Number::index), Some(65_535));
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
