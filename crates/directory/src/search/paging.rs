//! Cookies of paged results (RFC 2696): a position in the order of answers, signed.
//!
//! A cookie names the last entry returned by what never changes about it, and in a sorted answer also by the key it was
//! sorted by. So it stays valid after a refresh, on another connection, with another page size or filter, whatever
//! happened to that entry; nothing is remembered for it. Must not know searches.

use crate::index::snapshot::Snapshot;
use crate::model::number::{BranchIx, WrongNumber};
use crate::model::place::{Container, Entry, Layout, Place, ROOT};
use crate::schema;
use akldap_ldap::control::SortKey;

/// Where a paged search continues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PagePosition {
    /// After this entry.
    pub(crate) after: EntryKey,
    /// What it was sorted by; `None` in an answer that is not sorted.
    pub(crate) sort_key: Option<Vec<u8>>,
    /// The order that was asked for.
    pub(crate) asked: OrderDigest,
    /// How many entries all pages so far had.
    pub(crate) given: u64,
}

/// What never changes about an entry: its kind, and pk or UUID, or its name in the form in which names are ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EntryKey {
    RootDse,
    Container(Container),
    Branch(Vec<u8>),
    User(i64),
    Group([u8; 16]),
    VirtualGroup(i64),
}

/// What distinguishes the requested order from others: attributes, rules, directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OrderDigest([u8; DIGEST]);

const DIGEST: usize = 16;

impl OrderDigest {
    /// The digest of sort keys; zeros without a sort control. Other names of the same attribute mean the same order.
    pub(crate) fn new(keys: Option<&[SortKey]>) -> Self {
        let Some(keys) = keys else {
            return Self::default();
        };
        let mut hasher = blake3::Hasher::new();
        let mut add = |octets: &[u8]| {
            hasher.update(&(octets.len() as u64).to_be_bytes());
            hasher.update(octets);
        };
        for key in keys {
            add(schema::canonical_name(&key.attribute).as_bytes());
            match &key.ordering_rule {
                Some(rule) => {
                    add(schema::matching_rule(rule).map_or(rule.as_slice(), |rule| rule.oid.as_bytes()))
                }
                None => add(&[]),
            }
            add(&[u8::from(key.reverse_order)]);
        }
        let mut digest = [0; DIGEST];
        hasher.finalize_xof().fill(&mut digest);
        Self(digest)
    }
}

/// Octets of a signature.
const SIGNATURE: usize = blake3::OUT_LEN;

impl EntryKey {
    pub(crate) fn of(snapshot: &Snapshot, layout: Layout, place: Place) -> Result<Self, WrongNumber> {
        if place == ROOT {
            return Ok(Self::RootDse);
        }
        let records = &snapshot.records;
        Ok(match layout.entry(place)? {
            Entry::Container(container) => Self::Container(container),
            Entry::Branch(branch) => Self::Branch(records.branches.get(branch)?.key.to_vec()),
            Entry::User(user) => Self::User(*records.users.pks.get(user)?),
            Entry::VirtualGroup(user) => Self::VirtualGroup(*records.users.pks.get(user)?),
            Entry::Group(group) => Self::Group(*records.groups.uuids.get(group)?),
        })
    }

    /// The first place after the entry, whether it still exists or not. The root DSE comes before all places if nothing
    /// is sorted, and after them among entries with the same sort key.
    pub(crate) fn next(self, snapshot: &Snapshot, layout: Layout) -> Place {
        let pks = snapshot.records.users.pks.as_slice();
        let users = |pk: i64| pks.partition_point(|&known| known <= pk);
        match self {
            Self::RootDse => ROOT.next(),
            Self::Container(container) => layout.container(container).next(),
            Self::Branch(key) => {
                let branches = layout.branches();
                let (Ok(next) | Err(next)) = snapshot.records.branches.with_key(&key).map(BranchIx::next);
                layout.branch(next).unwrap_or(branches.end).max(branches.start)
            }
            Self::User(pk) => layout.behind(Container::Users, users(pk)),
            Self::VirtualGroup(pk) => layout.behind(Container::VirtualGroups, users(pk)),
            Self::Group(uuid) => {
                let uuids = snapshot.records.groups.uuids.as_slice();
                let groups = uuids.partition_point(|known| *known <= uuid);
                layout.behind(Container::Groups, groups)
            }
        }
    }
}

impl PagePosition {
    fn body(&self) -> Vec<u8> {
        let (kind, key, name) = match &self.after {
            EntryKey::Container(container) => (*container as u8, [0; 16], &[][..]),
            EntryKey::User(pk) => (4, number(*pk), &[][..]),
            EntryKey::Group(uuid) => (5, *uuid, &[][..]),
            EntryKey::VirtualGroup(pk) => (6, number(*pk), &[][..]),
            EntryKey::RootDse => (7, [0; 16], &[][..]),
            // Its name comes before the sort key.
            EntryKey::Branch(name) => (
                8,
                number(i64::try_from(name.len()).unwrap_or(i64::MAX)),
                &name[..],
            ),
        };
        let form = u8::from(self.sort_key.is_some());
        [
            &[kind][..],
            &key,
            &self.given.to_be_bytes(),
            &self.asked.0,
            &[form],
            name,
            self.sort_key.as_deref().unwrap_or(&[]),
        ]
        .concat()
    }

    /// The cookie for a position.
    pub(crate) fn cookie(&self, key: &[u8; 32]) -> Vec<u8> {
        let mut cookie = self.body();
        let signature = blake3::keyed_hash(key, &cookie);
        cookie.extend_from_slice(signature.as_bytes());
        cookie
    }

    /// The position of a cookie; `None` if it was not made with this key.
    pub(crate) fn read(cookie: &[u8], key: &[u8; 32]) -> Option<Self> {
        let (body, signature) = cookie.split_last_chunk::<SIGNATURE>()?;
        // `Hash` compares in constant time.
        if blake3::keyed_hash(key, body) != blake3::Hash::from_bytes(*signature) {
            return None;
        }
        let (kind, rest) = body.split_first()?;
        let (uuid, rest) = rest.split_first_chunk::<16>()?;
        let (given, rest) = rest.split_first_chunk()?;
        let (asked, rest) = rest.split_first_chunk()?;
        let (form, rest) = rest.split_first()?;
        let pk = i64::from_be_bytes(*uuid.first_chunk()?);
        let (name, sort_key) = match kind {
            8 => rest.split_at_checked(usize::try_from(pk).ok()?)?,
            _ => (&[][..], rest),
        };
        Some(Self {
            after: match kind {
                4 => EntryKey::User(pk),
                5 => EntryKey::Group(*uuid),
                6 => EntryKey::VirtualGroup(pk),
                7 => EntryKey::RootDse,
                8 => EntryKey::Branch(name.to_vec()),
                container => EntryKey::Container(*Container::ALL.get(usize::from(*container))?),
            },
            sort_key: (*form != 0).then(|| sort_key.to_vec()),
            asked: OrderDigest(*asked),
            given: u64::from_be_bytes(*given),
        })
    }
}

fn number(number: i64) -> [u8; 16] {
    let mut octets = [0; 16];
    octets[..8].copy_from_slice(&number.to_be_bytes());
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions() -> Vec<PagePosition> {
        let keys = [
            EntryKey::RootDse,
            EntryKey::Container(Container::Base),
            EntryKey::Container(Container::VirtualGroups),
            EntryKey::Branch(Vec::new()),
            EntryKey::Branch(b"staff\0\0it\0\0".to_vec()),
            EntryKey::User(-1),
            EntryKey::Group([7; 16]),
            EntryKey::VirtualGroup(i64::MAX),
        ];
        let sort_keys = [None, Some(Vec::new()), Some(vec![0; 3]), Some(vec![0xff; 9000])];
        let all = keys.into_iter().flat_map(|after| {
            sort_keys.iter().map(move |sort_key| PagePosition {
                after: after.clone(),
                sort_key: sort_key.clone(),
                asked: OrderDigest([3; DIGEST]),
                given: u64::MAX - 1,
            })
        });
        all.collect()
    }

    #[test]
    fn cookies_round_trip() {
        for position in positions() {
            assert_eq!(
                PagePosition::read(&position.cookie(&[1; 32]), &[1; 32]),
                Some(position)
            );
        }
    }

    #[test]
    fn foreign_and_damaged_cookies_are_refused() {
        for position in positions() {
            let cookie = position.cookie(&[1; 32]);
            assert_eq!(PagePosition::read(&cookie, &[2; 32]), None);
            for index in (0..cookie.len()).step_by(1 + cookie.len() / 200) {
                let mut damaged = cookie.clone();
                damaged[index] ^= 1;
                assert_eq!(PagePosition::read(&damaged, &[1; 32]), None);
            }
            assert_eq!(PagePosition::read(&cookie[1..], &[1; 32]), None);
            assert_eq!(PagePosition::read(&cookie[..cookie.len() - 1], &[1; 32]), None);
        }
        assert_eq!(PagePosition::read(b"0", &[1; 32]), None);
        assert_eq!(PagePosition::read(b"", &[1; 32]), None);
    }

    #[test]
    fn an_order_is_known_by_attributes_rules_and_directions() {
        let key = |attribute: &str, rule: Option<&str>, reverse_order| SortKey {
            attribute: attribute.into(),
            ordering_rule: rule.map(Into::into),
            reverse_order,
        };
        let digest = |keys: &[SortKey]| OrderDigest::new(Some(keys));
        let cn = digest(&[key("cn", None, false)]);
        assert_eq!(cn, digest(&[key("2.5.4.3", None, false)]));
        for other in [
            &[key("cn", None, true)][..],
            &[key("sn", None, false)],
            &[key("cn", Some("caseExactOrderingMatch"), false)],
            &[key("cn", None, false), key("sn", None, false)],
            &[],
        ] {
            assert_ne!(cn, digest(other));
        }
        assert_eq!(
            digest(&[key("cn", Some("caseIgnoreOrderingMatch"), false)]),
            digest(&[key("CN", Some("2.5.13.3"), false)])
        );
        assert_ne!(cn, OrderDigest::new(None));
    }
}
