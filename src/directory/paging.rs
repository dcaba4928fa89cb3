//! Cookies of paged results (RFC 2696): a position in the order of answers, signed.
//!
//! A cookie names the last entry given by what never changes about it, so that it stays good after a refresh, on
//! another connection, with another page size or filter; nothing is remembered for it. Of a sorted search it is the
//! number of entries given, or how far the walk through an order went. Must not know searches.

use super::entry::{Entry, Layout, Ordinal, Special};
use super::snapshot::Snapshot;

/// Where a paged search goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// Behind this entry.
    After(Key),
    /// Behind so many entries of a sorted answer.
    Rank(u64),
    /// At this place of the walk through a kept order.
    Place(u64),
}

/// What never changes about an entry: its kind, and pk or UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Special(Special),
    User(i64),
    Group([u8; 16]),
    VirtualGroup(i64),
}

const SPECIALS: [Special; 4] = [
    Special::Base,
    Special::Users,
    Special::Groups,
    Special::VirtualGroups,
];

/// Kind and key, then the signature.
const BODY: usize = 17;

impl Key {
    pub(super) fn of(snapshot: &Snapshot, entry: Entry) -> Self {
        let pk = |user: u32| snapshot.users.pks.get(user as usize).copied().unwrap_or_default();
        match entry {
            Entry::Special(special) => Self::Special(special),
            Entry::User(user) => Self::User(pk(user)),
            Entry::VirtualGroup(user) => Self::VirtualGroup(pk(user)),
            Entry::Group(group) => Self::Group(
                snapshot
                    .groups
                    .uuids
                    .get(group as usize)
                    .copied()
                    .unwrap_or_default(),
            ),
        }
    }

    /// The first place behind the entry, whether it still exists or not.
    pub(super) fn next(self, snapshot: &Snapshot, layout: Layout) -> Ordinal {
        let behind = |pk: i64| snapshot.users.pks.partition_point(|&known| known <= pk) as u32;
        match self {
            Self::Special(special) => layout.ordinal(Entry::Special(special)) + 1,
            Self::User(pk) => layout.ordinal(Entry::User(behind(pk))),
            Self::VirtualGroup(pk) => layout.ordinal(Entry::VirtualGroup(behind(pk))),
            Self::Group(uuid) => {
                let group = snapshot.groups.uuids.partition_point(|known| *known <= uuid);
                layout.ordinal(Entry::Group(group as u32))
            }
        }
    }
}

impl Position {
    fn body(self) -> [u8; BODY] {
        let (kind, key) = match self {
            Self::After(Key::Special(special)) => (special as u8, [0; 16]),
            Self::After(Key::User(pk)) => (4, number(pk as u64)),
            Self::After(Key::Group(uuid)) => (5, uuid),
            Self::After(Key::VirtualGroup(pk)) => (6, number(pk as u64)),
            Self::Rank(rank) => (7, number(rank)),
            Self::Place(place) => (8, number(place)),
        };
        let mut body = [0; BODY];
        body[0] = kind;
        body[1..].copy_from_slice(&key);
        body
    }

    /// The cookie for a position.
    pub(super) fn cookie(self, key: &[u8; 32]) -> Vec<u8> {
        let body = self.body();
        [&body[..], blake3::keyed_hash(key, &body).as_bytes()].concat()
    }

    /// The position of a cookie; `None` if it was not made with this key.
    pub(super) fn read(cookie: &[u8], key: &[u8; 32]) -> Option<Self> {
        let (body, signature) = cookie.split_first_chunk::<BODY>()?;
        let signature: [u8; 32] = signature.try_into().ok()?;
        // `Hash` compares in constant time.
        if blake3::keyed_hash(key, body) != blake3::Hash::from_bytes(signature) {
            return None;
        }
        let (kind, rest) = body.split_first()?;
        let uuid: [u8; 16] = rest.try_into().ok()?;
        let number = u64::from_be_bytes(*rest.first_chunk()?);
        Some(match kind {
            4 => Self::After(Key::User(number as i64)),
            5 => Self::After(Key::Group(uuid)),
            6 => Self::After(Key::VirtualGroup(number as i64)),
            7 => Self::Rank(number),
            8 => Self::Place(number),
            special => Self::After(Key::Special(*SPECIALS.get(usize::from(*special))?)),
        })
    }
}

fn number(number: u64) -> [u8; 16] {
    let mut octets = [0; 16];
    octets[..8].copy_from_slice(&number.to_be_bytes());
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    const POSITIONS: [Position; 7] = [
        Position::After(Key::Special(Special::Base)),
        Position::After(Key::Special(Special::VirtualGroups)),
        Position::After(Key::User(-1)),
        Position::After(Key::Group([7; 16])),
        Position::After(Key::VirtualGroup(i64::MAX)),
        Position::Rank(100_000),
        Position::Place(100_000),
    ];

    #[test]
    fn cookies_round_trip() {
        for position in POSITIONS {
            assert_eq!(
                Position::read(&position.cookie(&[1; 32]), &[1; 32]),
                Some(position)
            );
        }
    }

    #[test]
    fn foreign_and_damaged_cookies_are_refused() {
        for position in POSITIONS {
            let cookie = position.cookie(&[1; 32]);
            assert_eq!(Position::read(&cookie, &[2; 32]), None);
            for index in 0..cookie.len() {
                let mut damaged = cookie.clone();
                damaged[index] ^= 1;
                assert_eq!(Position::read(&damaged, &[1; 32]), None);
            }
            assert_eq!(Position::read(&cookie[1..], &[1; 32]), None);
        }
        assert_eq!(Position::read(b"0", &[1; 32]), None);
        assert_eq!(Position::read(b"", &[1; 32]), None);
    }
}
