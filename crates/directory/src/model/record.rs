//! What is kept of each user and group besides its attributes.
//!
//! A record is a user or a group: users first, by pk, then groups, by UUID. Knows sizes and offsets. Must not know
//! what attributes mean.

use crate::model::built_in;
use crate::model::built_in::AttributeId;
use crate::model::number::{Number, RecordIx, WrongNumber, count_of, number};

/// The lowest bit of [`Record::flags`] that is a flag; those below are override bits.
pub(crate) const FIRST_FLAG: u32 = built_in::FIRST_FLAG;
/// The default answer is not exactly what is stored and what is usually computed. No replaced attribute needs this bit, and only
/// a shape sets it.
pub(crate) const IRREGULAR: u32 = 1 << 26;
/// The user may log in.
pub(crate) const ACTIVE: u32 = 1 << 27;
/// The user is a superuser, or the group makes its members superusers.
pub(crate) const SUPERUSER: u32 = 1 << 28;
/// The name is not what follows the type in the RDN as it is sent: it has to be escaped there, or the organizational units of a path follow.
pub(crate) const NAME_APART: u32 = 1 << 29;
/// The virtual group's gidNumber is the user's stored gidNumber.
pub(crate) const OWN_GID_NUMBER: u32 = 1 << 30;
/// Without that, it is the user's stored uidNumber.
pub(crate) const OWN_UID_NUMBER: u32 = 1 << 31;

/// The most users and groups together: their places, of which users have two, are counted in 32 bits, and so are index
/// slots, one bit of which says what they hold.
pub(crate) const MAX_RECORDS: usize = 1 << 30;

/// Where a record's encoded attributes are, and which.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) attributes: Span,
    pub(crate) attribute_list: AttributeListIx,
    /// Override bits (see [`AttributeId::override_bit`]) and flags.
    pub(crate) flags: u32,
}

impl Record {
    pub(crate) fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Whether stored values replace the built-in attribute `id`.
    pub(crate) fn overrides(&self, id: AttributeId) -> bool {
        self.flags & id.override_bit() != 0
    }
}

/// A part of a long run of octets, of up to 4 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    length: u32,
}

impl Span {
    /// `None` if it ends beyond 4 GiB.
    pub(crate) fn new(start: usize, length: usize) -> Option<Self> {
        u32::try_from(start.checked_add(length)?).ok()?;
        Some(Self {
            start: u32::try_from(start).ok()?,
            length: u32::try_from(length).ok()?,
        })
    }

    /// A part of this part.
    pub(crate) fn part(self, start: usize, length: usize) -> Option<Self> {
        Self::new((self.start as usize).checked_add(start)?, length)
    }

    pub(crate) fn len(self) -> usize {
        self.length as usize
    }

    /// Whether its first octet is within the other.
    pub(crate) fn begins_within(self, other: Self) -> bool {
        let offset = self.start.checked_sub(other.start);
        self.length > 0 && offset.is_some_and(|offset| offset < other.length)
    }

    #[inline]
    pub(crate) fn of(self, octets: &[u8]) -> Result<&[u8], WrongNumber> {
        let start = self.start as usize;
        let part = octets.get(start..start + self.length as usize);
        part.ok_or(WrongNumber::Octets)
    }
}

/// How an RDN of a record begins, that of a user by default.
pub(crate) const RDN_TYPE: &[u8] = b"cn=";

/// How the name of a user begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserRdn {
    /// `cn=`, as in authentik's outpost.
    #[default]
    Cn,
    /// `uid=`.
    Uid,
}

impl UserRdn {
    pub(crate) fn prefix(self) -> &'static [u8] {
        match self {
            Self::Cn => RDN_TYPE,
            Self::Uid => b"uid=",
        }
    }

    /// The attribute that names users.
    #[must_use]
    pub fn attribute(self) -> &'static str {
        match self {
            Self::Cn => "cn",
            Self::Uid => "uid",
        }
    }
}

/// Names that need escaping in a DN, as they are, by record.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnescapedNames(Vec<(RecordIx, Box<[u8]>)>);

impl UnescapedNames {
    /// Records must come in ascending order.
    pub(crate) fn push(&mut self, record: RecordIx, name: &[u8]) {
        self.0.push((record, name.into()));
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = RecordIx> {
        self.0.iter().map(|(record, _)| *record)
    }

    pub(crate) fn find(&self, record: RecordIx) -> Result<&[u8], WrongNumber> {
        let index = self.0.binary_search_by_key(&record, |(record, _)| *record);
        let found = index.ok().and_then(|index| self.0.get(index));
        found.map(|(_, name)| &**name).ok_or(WrongNumber::Record)
    }
}

/// The octets of the records' RDNs, one after the other; those of users with the organizational units that their paths make.
#[derive(Clone, Debug)]
pub(crate) struct Rdns {
    octets: Vec<u8>,
    /// Where each begins, and where the last one ends.
    starts: Vec<u32>,
    /// This many of the first records, all users or none, begin with `uid=`.
    named_by_uid: u32,
    /// Whether those of virtual groups are not those of their users. Then they follow the others.
    virtual_groups_apart: bool,
}

impl Default for Rdns {
    fn default() -> Self {
        Self::with_capacity(0, 0)
    }
}

impl Rdns {
    pub(crate) fn with_capacity(count: usize, octets: usize) -> Self {
        let mut starts = Vec::with_capacity(count + 1);
        starts.push(0);
        Self {
            octets: Vec::with_capacity(octets),
            starts,
            named_by_uid: 0,
            virtual_groups_apart: false,
        }
    }

    /// Says how the RDNs of this many users begin, and that those of virtual groups follow.
    pub(crate) fn name_apart(&mut self, named: UserRdn, users: u32) {
        self.virtual_groups_apart = true;
        self.named_by_uid = match named {
            UserRdn::Cn => 0,
            UserRdn::Uid => users,
        };
    }

    pub(crate) fn are_named_by_uid(&self) -> bool {
        self.named_by_uid > 0
    }

    /// Octets of a record's RDN before the name.
    #[inline]
    pub(crate) fn type_length(&self, record: RecordIx) -> usize {
        RDN_TYPE.len() + usize::from(record.get() < self.named_by_uid)
    }

    /// That of the virtual group of a user; there are this many `records`.
    #[inline]
    pub(crate) fn of_virtual_group(&self, user: RecordIx, records: u32) -> Result<&[u8], WrongNumber> {
        let rdn = match self.virtual_groups_apart {
            false => user,
            true => RecordIx::new(records.checked_add(user.get()).ok_or(WrongNumber::User)?),
        };
        self.get(rdn)
    }

    /// Appends that of the next record. Fails for one that ends beyond 4 GiB, which the builder prevents.
    pub(crate) fn push(&mut self, rdn: &[u8]) -> Result<(), WrongNumber> {
        self.octets.extend_from_slice(rdn);
        self.starts.push(count_of(&self.octets, WrongNumber::Octets)?);
        Ok(())
    }

    #[inline]
    pub(crate) fn get(&self, record: RecordIx) -> Result<&[u8], WrongNumber> {
        part(&self.starts, record, &self.octets)
    }

    pub(crate) fn size(&self) -> usize {
        self.octets.capacity() + self.starts.capacity() * size_of::<u32>()
    }
}

/// The items from where a number's begin to where the next one's do.
#[inline]
pub(super) fn part<'i, N: Number, T>(
    starts: &[u32],
    number: N,
    items: &'i [T],
) -> Result<&'i [T], WrongNumber> {
    let index = number.index();
    let (Some(&start), Some(&end)) = (starts.get(index), starts.get(index + 1)) else {
        return Err(N::WRONG);
    };
    items.get(start as usize..end as usize).ok_or(N::WRONG)
}

number! {
    /// A list of attributes that records store.
    pub(crate) AttributeListIx, AttributeList
}

/// Which attributes a record stores, in order; records with the same ones share the list.
#[derive(Clone, Debug, Default)]
pub(crate) struct AttributeLists {
    ids: Vec<AttributeId>,
    bounds: Vec<(u32, u32)>,
}

impl AttributeLists {
    /// Adds a list; `None` where there is no room for it.
    pub(crate) fn push(&mut self, ids: &[AttributeId]) -> Option<AttributeListIx> {
        let list = AttributeListIx::at(self.bounds.len())?;
        let start = u32::try_from(self.ids.len()).ok()?;
        let end = u32::try_from(self.ids.len().checked_add(ids.len())?).ok()?;
        self.ids.extend_from_slice(ids);
        self.bounds.push((start, end));
        Some(list)
    }

    #[inline]
    pub(crate) fn get(&self, list: AttributeListIx) -> Result<&[AttributeId], WrongNumber> {
        let bounds = self.bounds.get(list.index());
        bounds
            .and_then(|&(start, end)| self.ids.get(start as usize..end as usize))
            .ok_or(WrongNumber::AttributeList)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_answered_beyond_the_end_of_a_table() {
        let mut rdns = Rdns::default();
        rdns.push(b"a").unwrap();
        rdns.push(b"").unwrap();
        assert_eq!(
            [0, 1, 2].map(|record| rdns.get(RecordIx::new(record))),
            [Ok(&b"a"[..]), Ok(b""), Err(WrongNumber::Record)]
        );
        let mut lists = AttributeLists::default();
        let list = lists.push(&[AttributeId::CN, AttributeId::UID]).unwrap();
        assert_eq!(lists.get(list), Ok(&[AttributeId::CN, AttributeId::UID][..]));
        assert_eq!(
            lists.get(AttributeListIx(list.0 + 1)),
            Err(WrongNumber::AttributeList)
        );
        let span = Span::new(1, 2).unwrap();
        assert_eq!(span.of(b"abc"), Ok(&b"bc"[..]));
        assert_eq!(span.of(b"ab"), Err(WrongNumber::Octets));
        assert_eq!(Span::new(usize::MAX, 1), None);
        assert_eq!(Span::new(u32::MAX as usize, 1), None);
    }
    #[test]
    fn no_replaced_attribute_takes_the_bit_of_an_irregular_entry() {
        let taken = AttributeId::built_in().fold(0, |bits, (id, _)| bits | id.override_bit());
        assert_eq!(taken & IRREGULAR, 0);
    }
}
