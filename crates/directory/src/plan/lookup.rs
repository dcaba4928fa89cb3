//! What the indexes and memberships know about an assertion: the entries that can satisfy it, without looking at any.
//!
//! Gives lists as they are in the snapshot. Must not know which assertion of a filter is looked up, nor decide what
//! matches.

use std::cmp::Ordering;
use std::ops::Range;

use uuid::Uuid;

use crate::filter::chain::Chain;
use crate::filter::equal::Equal;
use crate::filter::node::{Matcher, Test};
use crate::index::table::KeyTable;
use crate::model::built_in::{AttributeId, Shows};
use crate::model::number::{BranchIx, GroupIx, RecordIx, UserIx, WrongNumber};
use crate::model::place::{Container, Entry, Layout, Place, virtual_group_uuid};
use crate::view::context::Context;

/// Candidates from one index entry.
#[derive(Debug)]
pub(crate) enum Found<'s> {
    Records(&'s [RecordIx]),
    /// The virtual groups of those records that are users.
    VirtualGroupsOf(&'s [RecordIx]),
    Users(&'s [UserIx]),
    Groups(&'s [GroupIx]),
    /// Records put together for this purpose.
    Collected(Vec<RecordIx>),
    /// A part of a table in its own order.
    Keys(&'s KeyTable, Range<usize>),
    /// The virtual groups of the users among them.
    VirtualGroupsOfKeys(&'s KeyTable, Range<usize>),
    /// Organizational units that paths make, one after the other.
    Branches(Range<u32>),
    One(Entry),
}

impl Found<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Records(list) | Self::VirtualGroupsOf(list) => list.len(),
            Self::Users(list) => list.len(),
            Self::Groups(list) => list.len(),
            Self::Collected(list) => list.len(),
            Self::Keys(_, range) | Self::VirtualGroupsOfKeys(_, range) => range.len(),
            Self::Branches(range) => range.len(),
            Self::One(_) => 1,
        }
    }

    /// Appends the places, in no order.
    pub(crate) fn places(&self, layout: Layout, out: &mut Vec<Place>) -> Result<(), WrongNumber> {
        let own = |record: RecordIx, out: &mut Vec<Place>| {
            out.push(layout.of_record(record)?);
            Ok(())
        };
        let virtual_group = |record: RecordIx, out: &mut Vec<Place>| {
            if let Some(user) = layout.user_of(record) {
                out.push(layout.virtual_group(user)?);
            }
            Ok(())
        };
        match self {
            Self::Records(list) => list.iter().try_for_each(|&record| own(record, out)),
            Self::Collected(list) => list.iter().try_for_each(|&record| own(record, out)),
            Self::VirtualGroupsOf(list) => list.iter().try_for_each(|&record| virtual_group(record, out)),
            Self::Users(list) => {
                for &user in *list {
                    out.push(layout.user(user)?);
                }
                Ok(())
            }
            Self::Groups(list) => {
                for &group in *list {
                    out.push(layout.group(group)?);
                }
                Ok(())
            }
            Self::Keys(keys, range) => keys.for_each_record(range.clone(), |record| own(record, out)),
            Self::VirtualGroupsOfKeys(keys, range) => {
                keys.for_each_record(range.clone(), |record| virtual_group(record, out))
            }
            Self::Branches(range) => {
                for branch in range.clone() {
                    out.push(layout.branch(BranchIx::new(branch))?);
                }
                Ok(())
            }
            Self::One(entry) => {
                out.push(layout.place(*entry)?);
                Ok(())
            }
        }
    }
}

/// A table of text keys, and which entries its records stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) attribute: AttributeId,
    /// The virtual groups of its users, instead of the records themselves.
    pub(crate) virtual_groups: bool,
}

/// How exactly lists answer an assertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exactness {
    /// Every entry that satisfies it is in the lists.
    Superset,
    /// The same, and all users, groups and virtual groups in the lists satisfy it for a viewer who sees everything.
    Exact,
}

impl Exactness {
    fn exact(holds: bool) -> Self {
        if holds { Self::Exact } else { Self::Superset }
    }
}

/// Looks assertions up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lookup<'s>(pub(crate) Context<'s>);

impl<'s> Lookup<'s> {
    /// Calls `each` with the containers that have the attribute of an assertion.
    #[inline]
    pub(crate) fn for_each_container(
        self,
        test: &Test,
        mut each: impl FnMut(Container),
    ) -> Result<(), WrongNumber> {
        if !self.0.tree.may_hold(&test.attribute) {
            return Ok(());
        }
        for container in Container::ALL {
            let found = self.0.find(Entry::Container(container), &test.attribute)?;
            if found.is_some() {
                each(container);
            }
        }
        Ok(())
    }

    #[inline]
    fn add_containers(self, test: &Test, out: &mut Vec<Found<'s>>) -> Result<(), WrongNumber> {
        self.for_each_container(test, |container| {
            out.push(Found::One(Entry::Container(container)));
        })?;
        if self.may_be_branches(test) {
            let branches = self.0.snapshot.records.branches.count();
            out.push(Found::Branches(1..branches.saturating_add(1)));
        }
        Ok(())
    }

    /// Whether organizational units that paths make may satisfy an assertion, besides those that it names.
    pub(crate) fn may_be_branches(self, test: &Test) -> bool {
        if self.0.snapshot.records.branches.count() == 0 || !self.0.tree.may_hold(&test.attribute) {
            return false;
        }
        match (&test.matcher, test.attribute.first) {
            (Matcher::Equal(_), Some(AttributeId::ENTRY_DN | AttributeId::DISTINGUISHED_NAME)) => false,
            // Theirs are made from their names.
            (Matcher::Equal(equal), Some(AttributeId::ENTRY_UUID)) => {
                uuid_of(equal).is_none_or(|uuid| uuid.get_version_num() == NAME_BASED)
            }
            _ => true,
        }
    }

    /// Adds the lists that equality indexes and memberships have for an assertion; `None` if they know nothing about
    /// it.
    pub(crate) fn find(
        self,
        test: &'s Test,
        out: &mut Vec<Found<'s>>,
    ) -> Result<Option<Exactness>, WrongNumber> {
        let snapshot = self.0.snapshot;
        let plain = test.attribute.second.is_none()
            && test
                .attribute
                .ids()
                .all(|id| !id.is_computed() || !snapshot.any_overrides(id));
        let answer = match &test.matcher {
            // The indexes hold keys of the attributes' own syntaxes.
            Matcher::Equal(Equal { syntax, .. }) | Matcher::OneOf(syntax, _)
                if *syntax != self.0.syntax(&test.attribute)? =>
            {
                return Ok(None);
            }
            Matcher::Equal(equal) => {
                for id in test.attribute.ids() {
                    if !self.find_equal(id, equal, out)? {
                        return Ok(None);
                    }
                }
                Exactness::exact(plain)
            }
            Matcher::OneOf(_, equals) => {
                for id in test.attribute.ids() {
                    for equal in equals.iter() {
                        if !self.find_equal(id, equal, out)? {
                            return Ok(None);
                        }
                    }
                }
                Exactness::exact(plain)
            }
            Matcher::Class(classes, equal) => {
                if classes.users || classes.groups || classes.virtual_groups {
                    return Ok(None);
                }
                let records = snapshot.lookup(AttributeId::OBJECT_CLASS, || equal.key())?;
                out.push(Found::Records(records));
                Exactness::Exact
            }
            Matcher::InChain(chain) => {
                for id in test.attribute.ids() {
                    out.push(Found::Records(snapshot.lookup(id, || chain.equal.key())?));
                }
                self.find_in_chain(chain, out)?;
                Exactness::Superset
            }
            Matcher::Present if test.attribute.second.is_none() => match self.find_present(test, out)? {
                Some(answer) => answer,
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        self.add_containers(test, out)?;
        Ok(Some(answer))
    }

    fn find_in_chain(self, chain: &'s Chain, out: &mut Vec<Found<'s>>) -> Result<(), WrongNumber> {
        let memberships = &self.0.snapshot.records.memberships;
        if chain.upwards {
            out.push(Found::Groups(&chain.groups));
            out.extend(chain.equal.entries.iter().filter_map(|entry| match entry {
                Entry::User(user) => Some(Found::One(Entry::VirtualGroup(*user))),
                _ => None,
            }));
            return Ok(());
        }
        for &group in &chain.groups {
            out.push(Found::Users(memberships.group_users.of(group)?));
            out.push(Found::Groups(memberships.group_children.of(group)?));
        }
        Ok(())
    }

    /// A custom attribute that few have.
    fn find_present(self, test: &Test, out: &mut Vec<Found<'s>>) -> Result<Option<Exactness>, WrongNumber> {
        let snapshot = self.0.snapshot;
        let Some(id) = test.attribute.first else {
            return Ok(Some(Exactness::Exact));
        };
        let few = snapshot.indexes.get(id)?.records() < snapshot.records.all.len() / 4;
        if id.is_built_in() || !few {
            return Ok(None);
        }
        if let Some(index) = snapshot.equality(id)? {
            out.push(Found::Collected(index.all()?));
        }
        Ok(Some(Exactness::Exact))
    }

    /// Adds what is known about entries with a value; false if nothing is.
    fn find_equal(
        self,
        id: AttributeId,
        equal: &'s Equal,
        out: &mut Vec<Found<'s>>,
    ) -> Result<bool, WrongNumber> {
        let definition = id.definition();
        if definition.is_some_and(|built_in| built_in.follows_from_kind) {
            return Ok(false);
        }
        let snapshot = self.0.snapshot;
        let memberships = &snapshot.records.memberships;
        let stored = snapshot.lookup(id, || equal.key())?;
        if !stored.is_empty() {
            out.push(Found::Records(stored));
        }
        if let Some(stored) = definition.and_then(|built_in| as_of_users(built_in.virtual_groups?)) {
            out.push(Found::VirtualGroupsOf(snapshot.lookup(stored, || equal.key())?));
        }
        match id {
            AttributeId::UID_NUMBER | AttributeId::GID_NUMBER => self.find_number(id, equal, out)?,
            AttributeId::ENTRY_UUID => self.find_uuid(equal, out)?,
            AttributeId::MEMBER_UID => {
                for &user in equal.users.iter().flatten() {
                    out.push(Found::Groups(memberships.user_groups.of(user)?));
                    out.push(Found::One(Entry::VirtualGroup(user)));
                }
            }
            AttributeId::ENTRY_DN | AttributeId::DISTINGUISHED_NAME => {
                out.extend(equal.entries.iter().map(|entry| Found::One(*entry)));
            }
            AttributeId::MEMBER | AttributeId::UNIQUE_MEMBER => {
                for entry in &equal.entries {
                    match *entry {
                        Entry::User(user) => {
                            out.push(Found::Groups(memberships.user_groups.of(user)?));
                            out.push(Found::One(Entry::VirtualGroup(user)));
                        }
                        Entry::Group(group) => {
                            out.push(Found::Groups(memberships.group_parents.of(group)?));
                        }
                        _ => {}
                    }
                }
            }
            AttributeId::MEMBER_OF => {
                for entry in &equal.entries {
                    if let Entry::Group(group) = *entry {
                        out.push(Found::Users(memberships.group_users.of(group)?));
                        out.push(Found::Groups(memberships.group_children.of(group)?));
                    }
                }
            }
            _ => {}
        }
        Ok(true)
    }

    fn find_number(
        self,
        id: AttributeId,
        equal: &'s Equal,
        out: &mut Vec<Found<'s>>,
    ) -> Result<(), WrongNumber> {
        let snapshot = self.0.snapshot;
        let group_numbers = id == AttributeId::GID_NUMBER;
        if group_numbers {
            // Virtual groups show the stored numbers of their users.
            for stored in [AttributeId::GID_NUMBER, AttributeId::UID_NUMBER] {
                out.push(Found::VirtualGroupsOf(snapshot.lookup(stored, || equal.key())?));
            }
        }
        let number = std::str::from_utf8(equal.key())
            .ok()
            .and_then(|text| text.parse::<i64>().ok());
        let Some(number) = number else { return Ok(()) };
        let user = number
            .checked_sub(self.0.tree.uid_start)
            .and_then(|pk| snapshot.user_by_pk(pk));
        if let Some(user) = user {
            out.push(Found::One(Entry::User(user)));
            if group_numbers {
                out.push(Found::One(Entry::VirtualGroup(user)));
            }
        }
        if let Some(number) = number.checked_sub(self.0.tree.gid_start)
            && group_numbers
        {
            let numbers = &snapshot.groups_by_number;
            let first = numbers.partition_point(|(known, _)| *known < number);
            let same = numbers.iter().skip(first);
            for (_, group) in same.take_while(|(known, _)| *known == number) {
                out.push(Found::One(Entry::Group(*group)));
            }
        }
        Ok(())
    }

    fn find_uuid(self, equal: &Equal, out: &mut Vec<Found<'s>>) -> Result<(), WrongNumber> {
        let Some(uuid) = uuid_of(equal) else {
            return Ok(());
        };
        let snapshot = self.0.snapshot;
        let uuid = uuid.into_bytes();
        if let Some(user) = snapshot.user_by_uuid(&uuid)? {
            out.push(Found::One(Entry::User(user)));
        }
        if let Some(user) = snapshot.user_by_uuid(&virtual_group_uuid(uuid))? {
            out.push(Found::One(Entry::VirtualGroup(user)));
        }
        if let Some(group) = snapshot.records.group_by_uuid(&uuid) {
            out.push(Found::One(Entry::Group(group)));
        }
        Ok(())
    }

    /// The tables of keys in which the entries with an attribute are found; `None` if some are in none of them.
    pub(crate) fn tables(self, test: &Test) -> Option<Vec<Table>> {
        let own = |attribute| Table {
            attribute,
            virtual_groups: false,
        };
        let mut tables = Vec::new();
        for id in test.attribute.ids() {
            tables.push(own(id));
            let Some(shows) = id.definition().and_then(|built_in| built_in.virtual_groups) else {
                match id.is_computed() {
                    true => return None,
                    false => continue,
                }
            };
            let of_virtual_groups = as_of_users(shows)?;
            tables.push(Table {
                attribute: of_virtual_groups,
                virtual_groups: true,
            });
        }
        Some(tables)
    }

    /// Adds the parts of ordered tables that can satisfy an assertion; `None` if they cannot tell.
    pub(crate) fn find_ordered(
        self,
        test: &'s Test,
        out: &mut Vec<Found<'s>>,
    ) -> Result<Option<Exactness>, WrongNumber> {
        let snapshot = self.0.snapshot;
        let found = |table: Table, keys: &'s KeyTable, range| match table.virtual_groups {
            true => Found::VirtualGroupsOfKeys(keys, range),
            false => Found::Keys(keys, range),
        };
        let syntax = self.0.syntax(&test.attribute)?;
        let whole = match &test.matcher {
            Matcher::Substrings(own, parts) if !parts.initial.is_empty() && *own == syntax => {
                let Some(tables) = self.tables(test) else {
                    return Ok(None);
                };
                for table in tables {
                    let keys = snapshot.text_keys(table.attribute)?;
                    out.push(found(table, keys, keys.prefix(&parts.initial)?));
                }
                parts.any.is_empty() && parts.last.is_empty()
            }
            Matcher::Order {
                syntax: own,
                key,
                wanted,
                strict,
            } if *own == syntax => {
                let Some(tables) = self.tables(test) else {
                    return Ok(None);
                };
                let wanted: Ordering = *wanted;
                for table in tables {
                    let keys = snapshot.ordering_keys(table.attribute)?;
                    out.push(found(table, keys, keys.range(key, wanted)?));
                }
                !strict
            }
            _ => return Ok(None),
        };
        self.add_containers(test, out)?;
        Ok(Some(Exactness::exact(whole && test.attribute.second.is_none())))
    }
}

/// The version of UUIDs that are made from names (RFC 9562 section 5.5).
const NAME_BASED: usize = 5;

fn uuid_of(equal: &Equal) -> Option<Uuid> {
    let text = std::str::from_utf8(equal.key()).ok()?;
    Uuid::try_parse(text).ok()
}

/// The table in which the values are that virtual groups have of their users.
fn as_of_users(shows: Shows) -> Option<AttributeId> {
    match shows {
        Shows::Name => Some(AttributeId::RDN),
        Shows::Uid => Some(AttributeId::USER_UID),
        _ => None,
    }
}
