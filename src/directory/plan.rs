//! Where to look for the entries that satisfy a filter.
//!
//! Knows the indexes and what each can tell about an assertion: always a superset of what matches, in the order of
//! answers. Takes the cheapest conjunct, or all disjuncts together. Must not decide what matches.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;

use super::attribute::AttributeId;
use super::entry::{Context, Entry, Layout, Ordinal, Special, View, virtual_group_uuid};
use super::filter::{Equal, Matcher, Node, Test};
use super::row::Record;

/// Candidates up to this many are evaluated rather than reduced further: building an ordered index for the rest of the
/// filter would cost more.
const FEW: usize = 256;

/// Where the candidates come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// These, ascending.
    Ordinals(Vec<Ordinal>),
    /// All in these ranges, ascending.
    Ranges(Vec<Range<Ordinal>>),
    /// Those with a value that contains these octets; `specials` are candidates beside them, ascending.
    Scan {
        tables: Vec<Table>,
        needle: Vec<u8>,
        specials: Vec<Ordinal>,
    },
}

/// A table of text keys, and which entries its records stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) attribute: AttributeId,
    /// The virtual groups of its users, instead of the records themselves.
    pub(super) virtual_groups: bool,
}

/// How a search is going to find its entries.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) source: Source,
    /// Upper bound of the candidates; for a scan the number of keys.
    candidates: usize,
}

/// What a plan comes down to, for a trace.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outline {
    Index { candidates: usize },
    Ranges { ranges: usize, candidates: usize },
    Scan { octets: usize },
}

impl Plan {
    pub(super) fn outline(&self) -> Outline {
        let candidates = self.candidates;
        match &self.source {
            Source::Ordinals(_) => Outline::Index { candidates },
            Source::Ranges(ranges) => Outline::Ranges {
                ranges: ranges.len(),
                candidates,
            },
            Source::Scan { needle, .. } => Outline::Scan { octets: needle.len() },
        }
    }
}

impl fmt::Display for Outline {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index { candidates } => write!(formatter, "index, {candidates} candidates"),
            Self::Ranges { ranges, candidates } => {
                write!(
                    formatter,
                    "everything in {ranges} ranges, {candidates} candidates"
                )
            }
            Self::Scan { octets } => write!(formatter, "scan for {octets} octets"),
        }
    }
}

/// Which places a search looks at: base and scope, as places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Extent(pub(super) Vec<Range<Ordinal>>);

impl Extent {
    pub(super) fn contains(&self, ordinal: Ordinal) -> bool {
        self.0.iter().any(|range| range.contains(&ordinal))
    }

    fn size(&self) -> usize {
        self.0.iter().map(ExactSizeIterator::len).sum()
    }

    /// The part of it in `range`.
    fn intersect(&self, range: &Range<Ordinal>, out: &mut Vec<Range<Ordinal>>) {
        for own in &self.0 {
            let common = own.start.max(range.start)..own.end.min(range.end);
            if !common.is_empty() {
                out.push(common);
            }
        }
    }
}

/// Candidates from one index entry.
enum Found<'s> {
    Records(&'s [Record]),
    /// The virtual groups of those records that are users.
    VirtualGroupsOf(&'s [Record]),
    Users(&'s [u32]),
    Groups(&'s [u32]),
    One(Entry),
}

impl Found<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Records(list) | Self::VirtualGroupsOf(list) | Self::Users(list) | Self::Groups(list) => {
                list.len()
            }
            Self::One(_) => 1,
        }
    }

    fn collect(&self, planner: &Planner<'_>, out: &mut Vec<Ordinal>) {
        let layout = planner.layout;
        match self {
            Self::Records(list) => out.extend(list.iter().map(|&record| layout.of_record(record))),
            Self::VirtualGroupsOf(list) => {
                let users = planner.context.snapshot.user_count_u32();
                let of_users = list.iter().filter(|&&record| record < users);
                out.extend(of_users.map(|&user| layout.ordinal(Entry::VirtualGroup(user))));
            }
            Self::Users(list) => out.extend(list.iter().map(|&user| layout.ordinal(Entry::User(user)))),
            Self::Groups(list) => out.extend(list.iter().map(|&group| layout.ordinal(Entry::Group(group)))),
            Self::One(entry) => out.push(layout.ordinal(*entry)),
        }
    }
}

/// Kinds of entries that may satisfy something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kinds(u8);

impl Kinds {
    const NONE: Self = Self(0);
    const SPECIALS: Self = Self(1);
    const USERS: Self = Self(2);
    const GROUPS: Self = Self(4);
    const VIRTUAL_GROUPS: Self = Self(8);
    const ALL: Self = Self(15);

    fn of(kind: Self, holds: bool) -> Self {
        if holds { kind } else { Self::NONE }
    }

    fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    fn has(self, kind: Self) -> bool {
        self.0 & kind.0 != 0
    }
}

/// Plans one search.
pub(super) struct Planner<'a> {
    pub(super) context: Context<'a>,
    pub(super) layout: Layout,
}

impl Planner<'_> {
    /// The plan for a filter within an extent.
    pub(super) fn plan(&self, filter: &Node, extent: &Extent) -> Plan {
        let ranges = self.ranges(self.kinds(filter), extent);
        let in_ranges = Extent(ranges).size();
        let mut best = in_ranges;
        if let View::Own(own) = self.context.view {
            let own = self.own_entries(own, extent);
            if own.len() <= in_ranges
                && self
                    .estimate(filter, false)
                    .is_none_or(|found| found >= own.len())
            {
                return Plan {
                    candidates: own.len(),
                    source: Source::Ordinals(own),
                };
            }
            best = best.min(own.len());
        }
        for ordered in [false, true] {
            if best <= FEW && ordered {
                break;
            }
            if let Some(found) = self.estimate(filter, ordered)
                && found < best
            {
                let mut ordinals = Vec::with_capacity(found);
                self.collect(filter, ordered, &mut ordinals);
                ordinals.retain(|&ordinal| extent.contains(ordinal));
                ordinals.sort_unstable();
                ordinals.dedup();
                return Plan {
                    candidates: ordinals.len(),
                    source: Source::Ordinals(ordinals),
                };
            }
        }
        if best > FEW
            && self.context.view == View::Full
            && let Some(source) = self.scan(filter)
        {
            return Plan {
                source,
                candidates: in_ranges,
            };
        }
        Plan {
            source: Source::Ranges(self.ranges(self.kinds(filter), extent)),
            candidates: in_ranges,
        }
    }

    /// What a viewer sees that does not see everything.
    fn own_entries(&self, own: Option<u32>, extent: &Extent) -> Vec<Ordinal> {
        let specials = [
            Special::Base,
            Special::Users,
            Special::Groups,
            Special::VirtualGroups,
        ];
        let mut entries: Vec<Entry> = specials.into_iter().map(Entry::Special).collect();
        if let Some(own) = own {
            entries.extend([Entry::User(own), Entry::VirtualGroup(own)]);
            let groups = self.context.snapshot.memberships.user_groups.of(own);
            entries.extend(groups.iter().copied().map(Entry::Group));
        }
        let mut ordinals: Vec<Ordinal> = entries
            .into_iter()
            .map(|entry| self.layout.ordinal(entry))
            .collect();
        ordinals.retain(|&ordinal| extent.contains(ordinal));
        ordinals.sort_unstable();
        ordinals
    }

    fn ranges(&self, kinds: Kinds, extent: &Extent) -> Vec<Range<Ordinal>> {
        let containers = [
            (Special::Base, Kinds::NONE),
            (Special::Users, Kinds::USERS),
            (Special::Groups, Kinds::GROUPS),
            (Special::VirtualGroups, Kinds::VIRTUAL_GROUPS),
        ];
        let mut ranges = Vec::new();
        for (container, kind) in containers {
            let place = self.layout.ordinal(Entry::Special(container));
            if kinds.has(Kinds::SPECIALS) {
                extent.intersect(&(place..place + 1), &mut ranges);
            }
            if kinds.has(kind) {
                extent.intersect(&self.layout.children(container), &mut ranges);
            }
        }
        ranges
    }

    fn kinds(&self, node: &Node) -> Kinds {
        match node {
            Node::Constant(Some(true)) | Node::Not(_) => Kinds::ALL,
            Node::Constant(_) => Kinds::NONE,
            Node::And(nodes) => nodes
                .iter()
                .fold(Kinds::ALL, |kinds, node| kinds.and(self.kinds(node))),
            Node::Or(nodes) => nodes
                .iter()
                .fold(Kinds::NONE, |kinds, node| kinds.or(self.kinds(node))),
            Node::Test(test) => self.kinds_of_test(test),
        }
    }

    fn kinds_of_test(&self, test: &Test) -> Kinds {
        match &test.matcher {
            Matcher::Extended { .. } => return Kinds::ALL,
            Matcher::Class(classes, _) => {
                let replaced = self
                    .context
                    .snapshot
                    .indexes
                    .get(AttributeId::OBJECT_CLASS.index())
                    .is_some_and(|index| index.equality.records() > 0);
                return Kinds::SPECIALS
                    .or(Kinds::of(Kinds::USERS, classes.users || replaced))
                    .or(Kinds::of(Kinds::GROUPS, classes.groups || replaced))
                    .or(Kinds::of(Kinds::VIRTUAL_GROUPS, classes.virtual_groups));
            }
            _ => {}
        }
        let special = self.specials_with(test).next().is_some();
        let records = test.attribute.ids().fold(Kinds::NONE, |kinds, id| {
            let stored = self
                .context
                .snapshot
                .indexes
                .get(id.index())
                .is_some_and(|index| index.equality.records() > 0);
            kinds
                .or(Kinds::of(Kinds::USERS.or(Kinds::GROUPS), stored))
                .or(built_in_kinds(id))
        });
        records.or(Kinds::of(Kinds::SPECIALS, special))
    }

    /// Base and containers that have the attribute of an assertion.
    fn specials_with(&self, test: &Test) -> impl Iterator<Item = Special> {
        [
            Special::Base,
            Special::Users,
            Special::Groups,
            Special::VirtualGroups,
        ]
        .into_iter()
        .filter(|&special| {
            self.context
                .find(Entry::Special(special), &test.attribute)
                .is_some()
        })
    }

    /// At most how many candidates indexes give; `None` if they cannot tell. `ordered` allows the indexes that may
    /// have to be built first.
    fn estimate(&self, node: &Node, ordered: bool) -> Option<usize> {
        match node {
            Node::Constant(Some(true)) | Node::Not(_) => None,
            Node::Constant(_) => Some(0),
            Node::And(nodes) => nodes.iter().filter_map(|node| self.estimate(node, ordered)).min(),
            Node::Or(nodes) => nodes.iter().map(|node| self.estimate(node, ordered)).sum(),
            Node::Test(test) => {
                let mut sum = 0;
                if self.find(test, &mut |found| sum += found.len()) {
                    return Some(sum);
                }
                let ranges = ordered.then(|| self.ordered(test)).flatten()?;
                let specials = self.specials_with(test).count();
                Some(ranges.iter().map(|(_, range)| range.len()).sum::<usize>() + specials)
            }
        }
    }

    /// The candidates [`estimate`](Self::estimate) counted, in no order.
    fn collect(&self, node: &Node, ordered: bool, out: &mut Vec<Ordinal>) {
        match node {
            Node::Constant(_) | Node::Not(_) => {}
            Node::And(nodes) => {
                let cheapest = nodes
                    .iter()
                    .filter_map(|node| self.estimate(node, ordered).map(|count| (count, node)))
                    .min_by_key(|(count, _)| *count);
                if let Some((_, node)) = cheapest {
                    self.collect(node, ordered, out);
                }
            }
            Node::Or(nodes) => nodes.iter().for_each(|node| self.collect(node, ordered, out)),
            Node::Test(test) => {
                if self.find(test, &mut |found| found.collect(self, out)) {
                    return;
                }
                for (table, range) in self.ordered(test).unwrap_or_default() {
                    let keys = match test.matcher {
                        Matcher::Substrings(..) => self.context.snapshot.text_keys(table.attribute),
                        _ => self.context.snapshot.ordering_keys(table.attribute),
                    };
                    let records: Vec<Record> = keys.records(range).collect();
                    match table.virtual_groups {
                        true => Found::VirtualGroupsOf(&records).collect(self, out),
                        false => Found::Records(&records).collect(self, out),
                    }
                }
                for special in self.specials_with(test) {
                    out.push(self.layout.ordinal(Entry::Special(special)));
                }
            }
        }
    }

    /// Gives `each` what the equality indexes and memberships know; false if they know nothing.
    fn find(&self, test: &Test, each: &mut dyn FnMut(Found<'_>)) -> bool {
        let snapshot = self.context.snapshot;
        let indexable = match &test.matcher {
            // The indexes hold keys of the attributes' own syntaxes.
            Matcher::Equal(Equal { syntax, .. }) | Matcher::OneOf(syntax, _)
                if *syntax != self.context.syntax(&test.attribute) =>
            {
                return false;
            }
            Matcher::Equal(equal) => test.attribute.ids().all(|id| self.find_equal(id, equal, each)),
            Matcher::OneOf(syntax, keys) => test.attribute.ids().all(|id| {
                keys.iter().all(|key| {
                    let equal = Equal {
                        syntax: *syntax,
                        key: key.clone(),
                        entries: Vec::new(),
                        users: None,
                    };
                    self.find_equal(id, &equal, each)
                })
            }),
            Matcher::Class(classes, equal) => {
                if classes.users || classes.groups || classes.virtual_groups {
                    return false;
                }
                each(Found::Records(
                    snapshot.lookup(AttributeId::OBJECT_CLASS, &equal.key),
                ));
                true
            }
            Matcher::InChain(chain) => {
                let memberships = &snapshot.memberships;
                for id in test.attribute.ids() {
                    each(Found::Records(snapshot.lookup(id, &chain.equal.key)));
                }
                if chain.upwards {
                    each(Found::Groups(&chain.groups));
                    for entry in &chain.equal.entries {
                        if let Entry::User(user) = entry {
                            each(Found::One(Entry::VirtualGroup(*user)));
                        }
                    }
                } else {
                    for &group in &chain.groups {
                        each(Found::Users(memberships.group_users.of(group)));
                        each(Found::Groups(memberships.group_children.of(group)));
                    }
                }
                true
            }
            Matcher::Present => test.attribute.second.is_none() && self.find_present(test, each),
            _ => false,
        };
        if indexable {
            for special in self.specials_with(test) {
                each(Found::One(Entry::Special(special)));
            }
        }
        indexable
    }

    /// A custom attribute that few have.
    fn find_present(&self, test: &Test, each: &mut dyn FnMut(Found<'_>)) -> bool {
        let Some(id) = test.attribute.first else {
            return true;
        };
        let custom = built_in_kinds(id) == Kinds::NONE;
        let index = self.context.snapshot.indexes.get(id.index());
        match index {
            Some(index) if custom && index.equality.records() < self.context.snapshot.rows.len() / 4 => {
                let records: Vec<Record> = index.equality.all().collect();
                each(Found::Records(&records));
                true
            }
            _ => false,
        }
    }

    fn find_equal(&self, id: AttributeId, equal: &Equal, each: &mut dyn FnMut(Found<'_>)) -> bool {
        let snapshot = self.context.snapshot;
        let memberships = &snapshot.memberships;
        each(Found::Records(snapshot.lookup(id, &equal.key)));
        match id {
            AttributeId::CN | AttributeId::SAM_ACCOUNT_NAME => {
                each(Found::VirtualGroupsOf(
                    snapshot.lookup(AttributeId::RDN, &equal.key),
                ));
            }
            AttributeId::UID => {
                each(Found::VirtualGroupsOf(
                    snapshot.lookup(AttributeId::USER_UID, &equal.key),
                ));
            }
            AttributeId::UID_NUMBER | AttributeId::GID_NUMBER => self.find_number(id, equal, each),
            AttributeId::ENTRY_UUID => self.find_uuid(equal, each),
            AttributeId::MEMBER_UID => {
                for &user in equal.users.iter().flatten() {
                    each(Found::Groups(memberships.user_groups.of(user)));
                    each(Found::One(Entry::VirtualGroup(user)));
                }
            }
            AttributeId::ENTRY_DN | AttributeId::DISTINGUISHED_NAME => {
                equal.entries.iter().for_each(|entry| each(Found::One(*entry)));
            }
            AttributeId::MEMBER | AttributeId::UNIQUE_MEMBER => {
                for entry in &equal.entries {
                    match *entry {
                        Entry::User(user) => {
                            each(Found::Groups(memberships.user_groups.of(user)));
                            each(Found::One(Entry::VirtualGroup(user)));
                        }
                        Entry::Group(group) => each(Found::Groups(memberships.group_parents.of(group))),
                        _ => {}
                    }
                }
            }
            AttributeId::MEMBER_OF => {
                for entry in &equal.entries {
                    if let Entry::Group(group) = *entry {
                        each(Found::Users(memberships.group_users.of(group)));
                        each(Found::Groups(memberships.group_children.of(group)));
                    }
                }
            }
            AttributeId::AK_SUPERUSER
            | AttributeId::STRUCTURAL_OBJECT_CLASS
            | AttributeId::HAS_SUBORDINATES
            | AttributeId::NUM_SUBORDINATES
            | AttributeId::SUBSCHEMA_SUBENTRY => return false,
            _ => {}
        }
        true
    }

    fn find_number(&self, id: AttributeId, equal: &Equal, each: &mut dyn FnMut(Found<'_>)) {
        let snapshot = self.context.snapshot;
        let group_numbers = id == AttributeId::GID_NUMBER;
        if group_numbers {
            // Virtual groups show the stored numbers of their users.
            for stored in [AttributeId::GID_NUMBER, AttributeId::UID_NUMBER] {
                each(Found::VirtualGroupsOf(snapshot.lookup(stored, &equal.key)));
            }
        }
        let number = std::str::from_utf8(&equal.key)
            .ok()
            .and_then(|text| text.parse::<i64>().ok());
        let Some(number) = number else { return };
        let user = number
            .checked_sub(self.context.tree.uid_start)
            .and_then(|pk| snapshot.user_by_pk(pk));
        if let Some(user) = user {
            each(Found::One(Entry::User(user.0)));
            if group_numbers {
                each(Found::One(Entry::VirtualGroup(user.0)));
            }
        }
        if let Some(number) = number.checked_sub(self.context.tree.gid_start)
            && group_numbers
        {
            let numbers = &snapshot.groups.by_number;
            let first = numbers.partition_point(|(known, _)| *known < number);
            let same = numbers.get(first..).unwrap_or_default().iter();
            for (_, group) in same.take_while(|(known, _)| *known == number) {
                each(Found::One(Entry::Group(*group)));
            }
        }
    }

    fn find_uuid(&self, equal: &Equal, each: &mut dyn FnMut(Found<'_>)) {
        let text = std::str::from_utf8(&equal.key).ok();
        let Some(uuid) = text.and_then(|text| uuid::Uuid::try_parse(text).ok()) else {
            return;
        };
        let snapshot = self.context.snapshot;
        let uuid = uuid.into_bytes();
        if let Some(user) = snapshot.user_by_uuid(&uuid) {
            each(Found::One(Entry::User(user)));
        }
        if let Some(user) = snapshot.user_by_uuid(&virtual_group_uuid(uuid)) {
            each(Found::One(Entry::VirtualGroup(user)));
        }
        if let Ok(group) = snapshot.groups.uuids.binary_search(&uuid) {
            each(Found::One(Entry::Group(group as u32)));
        }
    }

    /// The tables of keys in which the entries with an attribute are found; `None` if some of them are in none.
    fn tables(&self, test: &Test) -> Option<Vec<Table>> {
        let own = |attribute| Table {
            attribute,
            virtual_groups: false,
        };
        let mut tables = Vec::new();
        for id in test.attribute.ids() {
            tables.push(own(id));
            let of_virtual_groups = match id {
                AttributeId::CN | AttributeId::SAM_ACCOUNT_NAME => AttributeId::RDN,
                AttributeId::UID => AttributeId::USER_UID,
                AttributeId::AK_SUPERUSER => return None,
                _ if id.is_computed() => return None,
                _ => continue,
            };
            tables.push(Table {
                attribute: of_virtual_groups,
                virtual_groups: true,
            });
        }
        Some(tables)
    }

    /// The parts of ordered tables that can satisfy an assertion.
    fn ordered(&self, test: &Test) -> Option<Vec<(Table, Range<usize>)>> {
        let snapshot = self.context.snapshot;
        match &test.matcher {
            Matcher::Substrings(syntax, parts) if !parts.initial.is_empty() => {
                let tables = self
                    .tables(test)
                    .filter(|_| *syntax == self.context.syntax(&test.attribute))?;
                let find = |table: Table| (table, snapshot.text_keys(table.attribute).prefix(&parts.initial));
                Some(tables.into_iter().map(find).collect())
            }
            Matcher::Order {
                syntax, key, wanted, ..
            } => {
                let tables = self
                    .tables(test)
                    .filter(|_| *syntax == self.context.syntax(&test.attribute))?;
                let wanted: Ordering = *wanted;
                let find = |table: Table| (table, snapshot.ordering_keys(table.attribute).range(key, wanted));
                Some(tables.into_iter().map(find).collect())
            }
            _ => None,
        }
    }

    /// A scan for a substring that every match must have.
    fn scan(&self, node: &Node) -> Option<Source> {
        match node {
            Node::And(nodes) => nodes.iter().find_map(|node| self.scan(node)),
            Node::Test(test) => match &test.matcher {
                Matcher::Substrings(syntax, parts)
                    if test.attribute.second.is_none()
                        && !parts.longest().is_empty()
                        && *syntax == self.context.syntax(&test.attribute) =>
                {
                    Some(Source::Scan {
                        tables: self.tables(test)?,
                        needle: parts.longest().to_vec(),
                        specials: self
                            .specials_with(test)
                            .map(|special| self.layout.ordinal(Entry::Special(special)))
                            .collect(),
                    })
                }
                _ => None,
            },
            _ => None,
        }
    }
}

/// The kinds of records that have a built-in attribute without any being stored as custom.
fn built_in_kinds(id: AttributeId) -> Kinds {
    let all_records = Kinds::USERS.or(Kinds::GROUPS).or(Kinds::VIRTUAL_GROUPS);
    let groups = Kinds::GROUPS.or(Kinds::VIRTUAL_GROUPS);
    match id {
        AttributeId::OBJECT_CLASS
        | AttributeId::CN
        | AttributeId::SAM_ACCOUNT_NAME
        | AttributeId::UID
        | AttributeId::AK_SUPERUSER
        | AttributeId::GID_NUMBER
        | AttributeId::MEMBER_OF
        | AttributeId::ENTRY_UUID
        | AttributeId::ENTRY_DN
        | AttributeId::DISTINGUISHED_NAME
        | AttributeId::STRUCTURAL_OBJECT_CLASS
        | AttributeId::HAS_SUBORDINATES
        | AttributeId::NUM_SUBORDINATES
        | AttributeId::SUBSCHEMA_SUBENTRY => all_records,
        AttributeId::MEMBER | AttributeId::UNIQUE_MEMBER | AttributeId::MEMBER_UID => groups,
        _ if id.0 <= AttributeId::SUBSCHEMA_SUBENTRY.0 => Kinds::USERS,
        _ => Kinds::NONE,
    }
}
