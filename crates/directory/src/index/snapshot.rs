//! An immutable picture of all users and groups, shared by every provider and every search.
//!
//! Knows the records, their encoded attributes, their memberships, and the indexes over them. What depends on a
//! provider (DNs, numbers) is computed elsewhere from what is here. Must not know a base DN or a viewer.

use std::sync::OnceLock;

use uuid::Uuid;

use crate::custom::policy::CustomPolicy;
use crate::index::name_order::NameOrder;
use crate::index::order::{self, Orders};
use crate::index::table::{EqualityIndex, KeyTable};
use crate::model::attribute::{AttributeId, Attributes};
use crate::model::encoded::{self, Element, Elements};
use crate::model::row::{self, ByteTable, RDN_TYPE, Record, Relation, Row, Shapes, UnescapedNames};
use crate::plan::sorting::{OrderKey, SortOrder};
use crate::schema::{Syntax, Usage, object_class};
use crate::values::syntax;
use crate::view::entry::{Context, Layout, View};
use crate::view::subschema::{AddedClass, Beyond, is_declarable};
use crate::view::tree::Tree;

/// A user within one snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(pub(crate) u32);

/// A group within one snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub(crate) u32);

/// What the layers above need to know of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserSummary<'a> {
    /// The primary key.
    pub pk: i64,
    /// The UUID; nil if authentik's could not be read.
    pub uuid: Uuid,
    /// The hash authentik calls `uid`.
    pub uid: &'a str,
    /// The login name.
    pub username: &'a str,
    /// Whether the user may log in.
    pub is_active: bool,
    /// Whether any group makes the user a superuser.
    pub is_superuser: bool,
    /// When the password was last changed, in microseconds since 1970-01-01T00:00:00Z; `None` if unknown.
    pub password_change_date: Option<i64>,
}

/// The users' columns, in ascending order of pk.
#[derive(Debug, Default)]
pub(crate) struct Users {
    pub(crate) pks: Vec<i64>,
    pub(crate) uuids: Vec<[u8; 16]>,
    /// Where in the arena the uid hash is.
    pub(crate) uids: Vec<(u32, u32)>,
    /// Microseconds since 1970; `i64::MIN` if unknown.
    pub(crate) password_changes: Vec<i64>,
    /// By UUID.
    pub(crate) by_uuid: hashbrown::HashTable<u32>,
}

/// The groups' columns, in ascending order of UUID.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    pub(crate) uuids: Vec<[u8; 16]>,
    pub(crate) numbers: Vec<i64>,
    /// Group numbers ascending, with their groups.
    pub(crate) by_number: Vec<(i64, u32)>,
}

/// Who belongs to what; users and groups each counted from 0.
#[derive(Debug, Default)]
pub(crate) struct Memberships {
    pub(crate) user_groups: Relation,
    pub(crate) group_users: Relation,
    pub(crate) group_parents: Relation,
    pub(crate) group_children: Relation,
}

/// The indexes of one attribute, each built at its first use unless it was built with the snapshot.
#[derive(Debug, Default)]
pub(crate) struct AttributeIndex {
    /// What the builder counted.
    pub(crate) count: Count,
    /// The attribute that has the same values in the same records, and whose indexes serve for both.
    pub(crate) same_as: Option<AttributeId>,
    pub(crate) equality: OnceLock<EqualityIndex>,
    pub(crate) text: OnceLock<KeyTable>,
    pub(crate) ordering: OnceLock<KeyTable>,
}

impl AttributeIndex {
    /// How many records have stored values.
    pub(crate) fn records(&self) -> usize {
        self.count.records as usize
    }
}

/// How often an attribute is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) records: u32,
    pub(crate) values: u32,
    /// Whether a record has several values.
    pub(crate) several: bool,
}

/// An immutable picture of all users and groups.
#[derive(Debug)]
pub struct Snapshot {
    pub(crate) policy: CustomPolicy,
    pub(crate) arena: Vec<u8>,
    pub(crate) attributes: Attributes,
    pub(crate) shapes: Shapes,
    /// Users, then groups.
    pub(crate) rows: Vec<Row>,
    /// The RDNs of the records as they are sent: `cn=` and the escaped name.
    pub(crate) rdns: ByteTable,
    /// The names that need escaping, as they are, by record.
    pub(crate) unescaped_names: UnescapedNames,
    pub(crate) users: Users,
    pub(crate) groups: Groups,
    pub(crate) memberships: Memberships,
    pub(crate) indexes: Vec<AttributeIndex>,
    /// The override bits and flags that any record has.
    pub(crate) all_flags: u32,
    pub(crate) orders: Orders,
    pub(crate) name_order: OnceLock<NameOrder>,
    pub(crate) hasher: hashbrown::DefaultHashBuilder,
    pub(crate) fingerprint: OnceLock<[u8; 32]>,
}

impl Snapshot {
    /// How many users there are.
    #[must_use]
    pub fn user_count(&self) -> usize {
        self.users.pks.len()
    }

    /// How many groups there are.
    #[must_use]
    pub fn group_count(&self) -> usize {
        self.groups.uuids.len()
    }

    /// The user with a primary key.
    #[must_use]
    pub fn user_by_pk(&self, pk: i64) -> Option<UserId> {
        let index = self.users.pks.binary_search(&pk).ok()?;
        u32::try_from(index).ok().map(UserId)
    }

    /// The user with a uid hash.
    #[must_use]
    pub fn user_by_uid(&self, uid: &str) -> Option<UserId> {
        let key = syntax::equality_key(Syntax::AccountName, uid.as_bytes());
        // Groups have UIDs too, but come later.
        let first = self.lookup_key(AttributeId::USER_UID, &key).first().copied();
        first.filter(|&record| record < self.user_count_u32()).map(UserId)
    }

    /// The users with a login name: those called exactly so, else those whose names differ only in case. In ascending
    /// order of pk.
    #[must_use]
    pub fn users_by_name(&self, username: &[u8]) -> Vec<UserId> {
        self.named(username, Kind::User).map(UserId).collect()
    }

    /// What is known of a user.
    #[must_use]
    pub fn user(&self, user: UserId) -> UserSummary<'_> {
        let index = user.0 as usize;
        let row = self.row(user.0);
        let change = self
            .users
            .password_changes
            .get(index)
            .copied()
            .unwrap_or(i64::MIN);
        UserSummary {
            pk: self.users.pks.get(index).copied().unwrap_or_default(),
            uuid: Uuid::from_bytes(self.users.uuids.get(index).copied().unwrap_or_default()),
            uid: std::str::from_utf8(self.user_uid(user.0)).unwrap_or_default(),
            username: std::str::from_utf8(self.name(user.0)).unwrap_or_default(),
            is_active: row.has(row::ACTIVE),
            is_superuser: row.has(row::SUPERUSER),
            password_change_date: (change != i64::MIN).then_some(change),
        }
    }

    /// All users in ascending order of pk.
    pub fn users(&self) -> impl Iterator<Item = UserId> + use<> {
        (0..self.user_count_u32()).map(UserId)
    }

    /// The names of the groups a user is a direct member of, in ascending order of UUID.
    pub fn groups_of(&self, user: UserId) -> impl Iterator<Item = &str> {
        self.memberships
            .user_groups
            .of(user.0)
            .iter()
            .map(|&group| std::str::from_utf8(self.name(self.group_record(group))).unwrap_or_default())
    }

    /// What entries have beyond the schema. Names are sorted, in lower case, and in their legal spelling where the served
    /// one has other characters than ASCII letters, digits, `-` and `_`.
    #[must_use]
    pub fn beyond_schema(&self) -> Beyond {
        let mut custom: Vec<String> = self
            .attributes
            .unknown_to_schema()
            .chain(self.attributes.aliases())
            .filter_map(|name| std::str::from_utf8(name).ok())
            .filter(|name| is_declarable(name))
            .map(str::to_owned)
            .collect();
        custom.sort_unstable();
        custom.dedup();
        let mut several: Vec<&str> = self
            .attributes
            .known_to_schema()
            .filter(|(id, known)| known.single_value && self.has_several(*id))
            .map(|(_, known)| known.key)
            .collect();
        several.sort_unstable();
        several.dedup();
        let mut known: Vec<&str> = self
            .attributes
            .known_to_schema()
            .filter(|(id, known)| {
                known.usage == Usage::UserApplications
                    && self
                        .indexes
                        .get(id.index())
                        .is_some_and(|index| index.records() > 0)
            })
            .map(|(_, known)| known.name)
            .collect();
        known.sort_unstable();
        known.dedup();
        Beyond {
            custom,
            several,
            classes: self.added_classes(),
            known,
        }
    }

    /// The object classes that the schema does not know, sorted.
    fn added_classes(&self) -> Vec<AddedClass> {
        let id = AttributeId::OBJECT_CLASS;
        let mut classes: Vec<AddedClass> = self
            .equality(id)
            .representatives()
            .filter_map(|record| self.stored_set(record, id))
            .flat_map(encoded::values)
            .filter(|class| object_class(class).is_none())
            .filter_map(|class| std::str::from_utf8(class).ok())
            .map(AddedClass::new)
            .collect();
        AddedClass::sort(&mut classes);
        classes
    }

    /// Whether a record has several values of a stored attribute.
    fn has_several(&self, id: AttributeId) -> bool {
        self.indexes
            .get(id.index())
            .is_some_and(|index| index.count.several)
    }

    /// The same for two snapshots exactly if they answer every search alike. Computed at the first call: some 60 ms
    /// for 100,000 users.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        *self.fingerprint.get_or_init(|| self.compute_fingerprint())
    }

    fn compute_fingerprint(&self) -> [u8; 32] {
        let mut hash = blake3::Hasher::new();
        let mut part = |octets: &[u8]| {
            hash.update(&(octets.len() as u64).to_le_bytes());
            hash.update(octets);
        };
        part(&(self.users.pks.len() as u64).to_le_bytes());
        for record in 0..self.record_count() {
            part(&self.row(record).flags.to_le_bytes());
            part(self.block(record));
            part(self.name(record));
        }
        for user in 0..self.user_count_u32() {
            let summary = self.user(UserId(user));
            part(&summary.pk.to_le_bytes());
            part(summary.uuid.as_bytes());
            part(summary.uid.as_bytes());
            part(&summary.password_change_date.unwrap_or(i64::MIN).to_le_bytes());
        }
        for (group, uuid) in (0..).zip(&self.groups.uuids) {
            part(uuid);
            part(
                &self
                    .groups
                    .numbers
                    .get(group as usize)
                    .copied()
                    .unwrap_or_default()
                    .to_le_bytes(),
            );
            for related in [&self.memberships.group_users, &self.memberships.group_parents] {
                let items = related.of(group);
                part(
                    &items
                        .iter()
                        .flat_map(|item| item.to_le_bytes())
                        .collect::<Vec<_>>(),
                );
            }
        }
        *hash.finalize().as_bytes()
    }

    /// Builds now the indexes that a search for the beginning of somebody's name or e-mail address needs: no directory before
    /// tells what will be searched for, but address books and Nextcloud's user search ask for that.
    pub fn warm_usual(&self) {
        self.name_order();
        for id in [AttributeId::RDN, AttributeId::DISPLAY_NAME, AttributeId::MAIL] {
            self.text_keys(id).order();
        }
    }

    /// Builds now those indexes that are otherwise built at their first use and that `previous` was asked for, so that
    /// the first search after a refresh does not wait for them.
    pub fn warm_like(&self, previous: &Snapshot) {
        self.name_order();
        for (name, id) in previous.attributes.iter() {
            let (Some(old), Some(own)) = (previous.indexes.get(id.index()), self.attributes.find(name))
            else {
                continue;
            };
            if old.equality.get().is_some() {
                self.equality(own);
            }
            if old.text.get().is_some() {
                self.text_keys(own).order();
            }
            if old.ordering.get().is_some() {
                self.ordering_keys(own).order();
            }
        }
        let own = |id: Option<AttributeId>| {
            let mut names = previous.attributes.iter();
            id.and_then(|id| names.find(|(_, known)| *known == id))
                .and_then(|(name, _)| self.attributes.find(name))
        };
        for key in previous.orders.keys() {
            let key = OrderKey {
                first: own(key.first),
                second: own(key.second),
                ..key
            };
            // The order leaves out what depends on a tree.
            let context = Context {
                snapshot: self,
                tree: &Tree::of_one_entry("", &Vec::new()),
                view: View::Full,
            };
            let (layout, order) = (Layout::new(self), SortOrder::of_key(key));
            if key.first.is_some() {
                self.orders
                    .find_or_make(key, || order::all_but_specials(&context, layout, &order));
            }
        }
    }

    /// Octets on the heap, for metrics and tests; what allocators add is not counted.
    #[must_use]
    pub fn memory(&self) -> usize {
        let relations = &self.memberships;
        let relations = [
            &relations.user_groups,
            &relations.group_users,
            &relations.group_parents,
            &relations.group_children,
        ];
        let indexes: usize = self
            .indexes
            .iter()
            .map(|index| {
                index.equality.get().map_or(0, EqualityIndex::size)
                    + index.text.get().map_or(0, KeyTable::size)
                    + index.ordering.get().map_or(0, KeyTable::size)
            })
            .sum();
        self.arena.capacity()
            + self.rows.capacity() * size_of::<Row>()
            + self.rdns.size()
            + self.user_count() * (8 + 16 + 8 + 8 + 5)
            + self.group_count() * (16 + 8 + 16)
            + relations.iter().map(|relation| relation.size()).sum::<usize>()
            + indexes
            + self.orders.size()
            + self.name_order.get().map_or(0, NameOrder::size)
    }
}

/// Which kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    User,
    Group,
}

impl Snapshot {
    pub(crate) fn user_count_u32(&self) -> u32 {
        self.users.pks.len() as u32
    }

    pub(crate) fn group_count_u32(&self) -> u32 {
        self.groups.uuids.len() as u32
    }

    pub(crate) fn record_count(&self) -> u32 {
        self.rows.len() as u32
    }

    pub(crate) fn group_record(&self, group: u32) -> Record {
        self.user_count_u32() + group
    }

    /// The kind of a record, and its number among its kind.
    pub(crate) fn kind(&self, record: Record) -> (Kind, u32) {
        match record.checked_sub(self.user_count_u32()) {
            None => (Kind::User, record),
            Some(group) => (Kind::Group, group),
        }
    }

    #[inline]
    pub(crate) fn row(&self, record: Record) -> Row {
        self.rows.get(record as usize).copied().unwrap_or_default()
    }

    /// All encoded attributes of a record.
    #[inline]
    pub(crate) fn block(&self, record: Record) -> &[u8] {
        self.block_of(self.row(record))
    }

    /// All encoded attributes of the record of a row.
    #[inline]
    pub(crate) fn block_of(&self, row: Row) -> &[u8] {
        self.arena
            .get(row.start as usize..row.start as usize + row.length as usize)
            .unwrap_or_default()
    }

    /// The encoded attribute of a record.
    #[inline]
    pub(crate) fn stored(&self, record: Record, id: AttributeId) -> Option<Element<'_>> {
        let shape = self.shapes.get(self.row(record).shape);
        let place = shape.iter().position(|&known| known == id)?;
        Elements(self.block(record)).nth(place)
    }

    /// The values of a stored attribute, encoded.
    #[inline]
    pub(crate) fn stored_set(&self, record: Record, id: AttributeId) -> Option<&[u8]> {
        self.stored(record, id)
            .and_then(|element| encoded::attribute(&element))
            .map(|(_, set)| set)
    }

    /// A record's name, unescaped.
    #[inline]
    pub(crate) fn name(&self, record: Record) -> &[u8] {
        if self.row(record).has(row::ESCAPED)
            && let Ok(index) = self
                .unescaped_names
                .binary_search_by_key(&record, |(record, _)| *record)
            && let Some((_, name)) = self.unescaped_names.get(index)
        {
            return name;
        }
        self.rdn(record).get(RDN_TYPE.len()..).unwrap_or_default()
    }

    /// A record's RDN as it is sent.
    #[inline]
    pub(crate) fn rdn(&self, record: Record) -> &[u8] {
        self.rdns.get(record)
    }

    pub(crate) fn user_uid(&self, user: u32) -> &[u8] {
        self.users
            .uids
            .get(user as usize)
            .and_then(|&(start, length)| self.arena.get(start as usize..start as usize + length as usize))
            .unwrap_or_default()
    }

    /// Calls `each` with every value of an indexed attribute of a record until it says stop; tells whether it did.
    pub(crate) fn any_value(
        &self,
        record: Record,
        id: AttributeId,
        mut each: impl FnMut(&[u8]) -> bool,
    ) -> bool {
        match id {
            AttributeId::RDN => each(self.name(record)),
            AttributeId::USER_UID => record < self.user_count_u32() && each(self.user_uid(record)),
            _ => self
                .stored_set(record, id)
                .is_some_and(|set| encoded::values(set).any(each)),
        }
    }
}
