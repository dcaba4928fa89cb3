//! Organizational units below that of users, one for each level of the paths under which authentik files users.
//!
//! Knows how a path is read, and which unit each user is in. Must not know a base DN, or what the unit of users is called.

use std::borrow::Cow;

use crate::model::held::HeldAttributes;
use crate::model::number::{BranchIx, Column, Number as _, UserIx, WrongNumber};
use crate::model::relation::Relation;
use akldap_ldap::dn;
use akldap_ldap::text;

/// Most levels of a path that become organizational units: nobody files people that deeply, and each is compared for each name.
pub(crate) const MAX_LEVELS: usize = 32;
/// Most octets that the organizational units of a path take in a DN: they are kept with the name of each user.
pub(crate) const MAX_OCTETS: usize = 512;
/// Most organizational units of a directory: a search by an attribute that they have may look at each.
pub(crate) const MAX_BRANCHES: usize = 10_000;

/// The level above all others, which authentik files users under unless told otherwise: the organizational unit of users itself.
const TOP: &str = "users";

/// The organizational units that a path stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Levels<'p> {
    /// Their names, the uppermost first.
    pub(crate) names: Vec<&'p str>,
    /// Whether the path has no further levels, for which there is no room.
    pub(crate) are_all: bool,
}

impl<'p> Levels<'p> {
    pub(crate) fn of(path: &'p str) -> Self {
        let mut all = path
            .split('/')
            .filter(|level| !level.trim().is_empty())
            .peekable();
        all.next_if_eq(&TOP);
        let (mut names, mut room) = (Vec::new(), MAX_OCTETS);
        for name in all {
            // What is longer unescaped need not be escaped to see that.
            let left = room
                .checked_sub(name.len())
                .and_then(|_| room.checked_sub(rdn(name).len() + 1));
            match left {
                Some(left) if names.len() < MAX_LEVELS => {
                    room = left;
                    names.push(name);
                }
                _ => {
                    return Self {
                        names,
                        are_all: false,
                    };
                }
            }
        }
        Self { names, are_all: true }
    }

    /// The DN of the lowest unit up to, but without, the unit of users.
    pub(crate) fn local_name(&self) -> Vec<u8> {
        let rdns: Vec<Vec<u8>> = self.names.iter().rev().map(|name| rdn(name)).collect();
        rdns.join(&b',')
    }

    /// Whether these names lead there, the uppermost first, or to a unit above.
    pub(crate) fn begin_with<'k>(&self, keys: impl IntoIterator<Item = &'k [u8]>) -> bool {
        let mut names = self.names.iter();
        keys.into_iter().all(|key| {
            let name = names.next();
            name.is_some_and(|name| *level_key(name.as_bytes()) == *key)
        })
    }
}

/// The RDN of a unit of this name.
pub(crate) fn rdn(name: &str) -> Vec<u8> {
    let mut rdn = b"ou=".to_vec();
    dn::escape_into(&mut rdn, name.as_bytes());
    rdn
}

/// The form in which the names of units are compared.
pub(crate) fn level_key(name: &[u8]) -> Cow<'_, [u8]> {
    text::fold_case(name)
}

/// Appends a level to the key of the unit above it. In the order of keys each unit comes before those below it, and those before what is
/// beside it.
pub(crate) fn append_level(key: &mut Vec<u8>, level: &[u8]) {
    for &octet in level {
        key.push(octet);
        if octet == 0 {
            key.push(1);
        }
    }
    key.extend_from_slice(&[0, 0]);
}

/// An organizational unit.
#[derive(Debug)]
pub(crate) struct Branch {
    /// The one above it; the first one's is itself.
    pub(crate) parent: BranchIx,
    /// After the last one below it.
    pub(crate) end: BranchIx,
    /// As the path of the oldest account has it.
    pub(crate) name: Box<str>,
    /// Its DN up to, but without, the unit of users.
    pub(crate) local_name: Box<[u8]>,
    /// What it is ordered by among all; see [`append_level`].
    pub(crate) key: Box<[u8]>,
    pub(crate) held: HeldAttributes,
}

/// The organizational units of a directory.
#[derive(Debug)]
pub(crate) struct Branches {
    /// The first is the unit of users itself; none if paths make no units.
    all: Column<BranchIx, Branch>,
    of_users: Column<UserIx, BranchIx>,
    users: Relation<BranchIx, UserIx>,
}

impl Branches {
    /// Where paths make no units.
    pub(crate) fn none() -> Result<Self, WrongNumber> {
        Ok(Self {
            all: Column::from(Vec::new()),
            of_users: Column::from(Vec::new()),
            users: Relation::new(0, 0, std::iter::empty())?,
        })
    }

    /// These, in the order of their keys, the unit of users first, and the one that each user is in.
    pub(crate) fn new(
        all: Column<BranchIx, Branch>,
        of_users: Column<UserIx, BranchIx>,
    ) -> Result<Self, WrongNumber> {
        let count = of_users.len();
        let each = of_users.as_slice().iter().map(|&branch| Ok(vec![branch]));
        let users = Relation::new(count, count, each)?.inverse(all.len())?;
        Ok(Self { all, of_users, users })
    }

    /// Whether paths make units, even if there are none.
    #[inline]
    pub(crate) fn are_made(&self) -> bool {
        self.all.len() > 0
    }

    /// How many there are, without the unit of users.
    pub(crate) fn count(&self) -> u32 {
        let count = self.all.len().saturating_sub(1);
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    pub(crate) fn get(&self, branch: BranchIx) -> Result<&Branch, WrongNumber> {
        self.all.get(branch)
    }

    /// All but the unit of users.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = BranchIx> + use<> {
        self.all.numbers().skip(1)
    }

    /// The one that a user is in; the unit of users if paths make none.
    pub(crate) fn of(&self, user: UserIx) -> Result<BranchIx, WrongNumber> {
        match self.are_made() {
            true => self.of_users.get(user).copied(),
            false => Ok(BranchIx::ROOT),
        }
    }

    /// The one and all above it, but for the unit of users.
    pub(crate) fn upwards(
        &self,
        from: BranchIx,
    ) -> impl Iterator<Item = Result<(BranchIx, &Branch), WrongNumber>> {
        let mut next = Some(from);
        std::iter::from_fn(move || {
            let branch = next.take().filter(|branch| *branch != BranchIx::ROOT)?;
            Some(self.all.get(branch).map(|found| {
                // One that were below itself would be a circle.
                next = Some(found.parent).filter(|parent| *parent < branch);
                (branch, found)
            }))
        })
    }

    /// The one of this name, in the form in which names are compared, directly below another.
    pub(crate) fn below(&self, above: BranchIx, name: &[u8]) -> Result<Option<BranchIx>, WrongNumber> {
        let mut key = self.get(above)?.key.to_vec();
        append_level(&mut key, name);
        Ok(self.with_key(&key).ok())
    }

    /// The one with a key, or the first behind where it would be.
    pub(crate) fn with_key(&self, key: &[u8]) -> Result<BranchIx, BranchIx> {
        let number = |index| BranchIx::at(index).unwrap_or(BranchIx::LAST);
        match self
            .all
            .as_slice()
            .binary_search_by(|known| (*known.key).cmp(key))
        {
            Ok(index) => Ok(number(index)),
            Err(index) => Err(number(index)),
        }
    }

    /// Whether one is another or below it.
    pub(crate) fn is_within(&self, branch: BranchIx, above: BranchIx) -> Result<bool, WrongNumber> {
        Ok(above <= branch && branch < self.get(above)?.end)
    }

    /// The users that are in one and not further below.
    pub(crate) fn users_in(&self, branch: BranchIx) -> Result<&[UserIx], WrongNumber> {
        self.users.of(branch)
    }

    /// Those that are in one or below it, in no order.
    pub(crate) fn users_within(&self, branch: BranchIx) -> Result<&[UserIx], WrongNumber> {
        self.users.of_several(branch..self.get(branch)?.end)
    }

    /// How many there are directly below one.
    pub(crate) fn count_below(&self, branch: BranchIx) -> Result<u32, WrongNumber> {
        let (mut count, end) = (0, self.get(branch)?.end);
        let mut next = branch.next();
        while next < end {
            count += 1;
            next = self.get(next)?.end.max(next.next());
        }
        Ok(count)
    }

    /// Octets on the heap.
    pub(crate) fn size(&self) -> usize {
        let each = self.all.as_slice().iter().map(|branch| {
            branch.name.len() + branch.local_name.len() + branch.key.len() + branch.held.size()
        });
        self.all.size() + self.of_users.size() + self.users.size() + each.sum::<usize>()
    }
}

impl BranchIx {
    /// The organizational unit of users.
    pub(crate) const ROOT: Self = Self::new(0);
    /// Behind all there can be.
    const LAST: Self = Self::new(u32::MAX);

    pub(crate) fn next(self) -> Self {
        Self::new(self.get().saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_level_by_level() {
        for (path, names) in [
            ("users", &[][..]),
            ("", &[]),
            ("users/staff/it", &["staff", "it"]),
            (
                "goauthentik.io/service-accounts",
                &["goauthentik.io", "service-accounts"],
            ),
            ("Users/x", &["Users", "x"]),
            ("users/users", &["users"]),
            ("/a//b/ /c/", &["a", "b", "c"]),
            ("users/ a", &[" a"]),
        ] {
            let levels = Levels::of(path);
            assert_eq!((&*levels.names, levels.are_all), (names, true), "{path:?}");
        }
        assert_eq!(
            Levels::of("users/R&D, all/#1").local_name(),
            b"ou=\\#1,ou=R&D\\, all"
        );
    }

    #[test]
    fn a_path_is_cut_where_its_names_grow_too_long() {
        let deep = "a/".repeat(MAX_LEVELS);
        assert!(Levels::of(&deep).are_all);
        let deeper = "a/".repeat(32_000);
        let deeper = Levels::of(&deeper);
        assert_eq!((deeper.names.len(), deeper.are_all), (MAX_LEVELS, false));
        // `ou=` and a comma go with each.
        let longest = "b".repeat(MAX_OCTETS - 4);
        assert!(Levels::of(&longest).are_all);
        for longer in ["b".repeat(MAX_OCTETS - 3), "b".repeat(64_000), ",".repeat(255)] {
            let path = format!("users/a/{longer}/c");
            let levels = Levels::of(&path);
            assert_eq!((&*levels.names, levels.are_all), (&["a"][..], false));
        }
    }

    #[test]
    fn keys_put_each_unit_before_those_below_it() {
        let key = |levels: &[&str]| {
            let mut key = Vec::new();
            for level in levels {
                append_level(&mut key, level.as_bytes());
            }
            key
        };
        let ascending = [
            key(&["a"]),
            key(&["a", "a"]),
            key(&["a", "a", "z"]),
            key(&["a", "b"]),
            key(&["a\0"]),
            key(&["a\0", "b"]),
            key(&["a\u{1}"]),
            key(&["ab"]),
            key(&["b"]),
        ];
        assert!(ascending.is_sorted_by(|one, other| one < other));
    }

    #[test]
    fn a_name_leads_to_a_path_or_above_it() {
        let levels = Levels::of("users/Staff/IT");
        for (keys, expected) in [
            (&[][..], true),
            (&["staff"], true),
            (&["staff", "it"], true),
            (&["staff", "it", "x"], false),
            (&["it"], false),
        ] {
            let keys = keys.iter().map(|key: &&str| key.as_bytes());
            assert_eq!(levels.begin_with(keys), expected);
        }
    }
}
