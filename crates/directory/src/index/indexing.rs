//! The indexes of a snapshot: which there are from the start, building the others at their first use, and asking them.
//!
//! Knows that every value is indexed under its equality key, and which attributes share an index. Must not know filters
//! beyond the values they assert.

use std::hash::BuildHasher;
use std::sync::{LazyLock, OnceLock};

use hashbrown::HashTable;

use crate::index::attribute_index::{AttributeIndex, Count};
use crate::index::snapshot::Snapshot;
use crate::index::table::{EqualityIndex, KeyTable};
use crate::model::built_in::AttributeId;
use crate::model::records::Kind;
use crate::model::row::RecordIx;
use crate::schema::Syntax;
use crate::values::syntax;

/// Prepares the indexes of all attributes and builds those that are used most. `counts` tells how often each is stored.
pub(crate) fn build(snapshot: &mut Snapshot, counts: &[Count]) {
    let of_all = |records: u32| Count {
        records,
        values: records,
        several: false,
    };
    let (records, users) = (snapshot.records.record_count(), snapshot.records.user_count_u32());
    snapshot.all_flags = snapshot
        .records
        .rows
        .iter()
        .fold(0, |flags, row| flags | row.flags);
    let indexes = (0..snapshot.records.attributes.len()).map(|index| {
        let count = match AttributeId(index as u16) {
            AttributeId::RDN => of_all(records),
            AttributeId::USER_UID => of_all(users),
            _ => counts.get(index).copied().unwrap_or_default(),
        };
        AttributeIndex {
            count,
            same_as: same_as(snapshot, AttributeId(index as u16)),
            ..AttributeIndex::default()
        }
    });
    snapshot.indexes = indexes.collect();
    snapshot.users_by_uuid = uuid_index(snapshot);
    snapshot.groups_by_number = group_numbers(snapshot);
    for id in (0..snapshot.records.attributes.len() as u16).map(AttributeId) {
        if id.definition().is_none_or(|built_in| !built_in.is_seldom_sought) {
            snapshot.equality(id);
        }
    }
}

impl Snapshot {
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    /// Whether custom values replace a built-in attribute of any record, or change what follows from it.
    #[inline]
    pub(crate) fn any_overrides(&self, id: AttributeId) -> bool {
        let bits = match id {
            // Virtual groups have their users' numbers.
            AttributeId::GID_NUMBER => id.override_bit() | AttributeId::UID_NUMBER.override_bit(),
            _ => id.override_bit(),
        };
        self.all_flags & bits != 0
    }

    /// The attribute whose indexes serve for one.
    fn indexed_as(&self, id: AttributeId) -> AttributeId {
        let index = self.indexes.get(id.index());
        index.and_then(|index| index.same_as).unwrap_or(id)
    }

    /// The equality index of an attribute.
    pub(crate) fn equality(&self, id: AttributeId) -> &EqualityIndex {
        static EMPTY: LazyLock<EqualityIndex> = LazyLock::new(EqualityIndex::default);
        let id = self.indexed_as(id);
        match self.indexes.get(id.index()) {
            Some(index) if index.count.records > 0 => {
                index.equality.get_or_init(|| equality(self, id, index.count))
            }
            _ => &EMPTY,
        }
    }

    /// The records with a stored value that is equal, ascending.
    #[inline]
    pub(crate) fn lookup<'k>(&self, id: AttributeId, key: impl FnOnce() -> &'k [u8]) -> &[RecordIx] {
        match self.indexes.get(id.index()) {
            Some(index) if index.count.records > 0 => self.lookup_key(id, key()),
            _ => &[],
        }
    }

    /// The records with a stored value that has this equality key, ascending.
    pub(crate) fn lookup_key(&self, id: AttributeId, key: &[u8]) -> &[RecordIx] {
        let id = self.indexed_as(id);
        let syntax = self.records.attributes.syntax(id);
        self.equality(id).find(self.hash(key), |record| {
            self.records
                .any_value(record, id, |value| has_key(syntax, value, key))
        })
    }

    /// The users or groups called `name`, counted from 0: exactly so, else whatever the case.
    pub(crate) fn named<'s>(&'s self, name: &'s [u8], kind: Kind) -> impl Iterator<Item = u32> + use<'s> {
        let key = syntax::equality_key(Syntax::AccountName, name);
        let of_kind = self
            .lookup_key(AttributeId::RDN, &key)
            .iter()
            .filter_map(move |&record| {
                let (found, index) = self.records.kind(record);
                (found == kind).then_some((record, index))
            });
        let is_exact = move |&(record, _): &(RecordIx, u32)| self.records.name(record) == name;
        let any = of_kind.clone().any(|item| is_exact(&item));
        of_kind
            .filter(move |item| !any || is_exact(item))
            .map(|(_, index)| index)
    }

    /// The records of its kind whose names differ from a record's in spelling at most.
    pub(crate) fn twins(&self, record: RecordIx) -> impl Iterator<Item = u32> {
        let (kind, _) = self.records.kind(record);
        let key = syntax::equality_key(Syntax::AccountName, self.records.name(record));
        self.lookup_key(AttributeId::RDN, &key)
            .iter()
            .filter_map(move |&record| {
                let (found, index) = self.records.kind(record);
                (found == kind).then_some(index)
            })
    }

    pub(crate) fn user_by_uuid(&self, uuid: &[u8; 16]) -> Option<u32> {
        self.users_by_uuid
            .find(self.hash(uuid), |&user| {
                self.records.users.uuids.get(user as usize) == Some(uuid)
            })
            .copied()
    }

    /// The text keys of a stored attribute, built at the first use.
    pub(crate) fn text_keys(&self, id: AttributeId) -> &KeyTable {
        let syntax = self.records.attributes.syntax(id);
        self.keys(
            id,
            |index| &index.text,
            move |value, out| {
                out.clear();
                out.extend_from_slice(&syntax::substring_value(syntax, value));
                true
            },
        )
    }

    /// The ordering keys of a stored attribute, built at the first use. Values that are not of the syntax have none.
    pub(crate) fn ordering_keys(&self, id: AttributeId) -> &KeyTable {
        let syntax = self.records.attributes.syntax(id);
        self.keys(
            id,
            |index| &index.ordering,
            move |value, out| {
                out.clear();
                match syntax::ordering_key(syntax, value) {
                    Some(key) => {
                        out.extend_from_slice(&key);
                        true
                    }
                    None => false,
                }
            },
        )
    }

    fn keys(
        &self,
        id: AttributeId,
        place: impl Fn(&AttributeIndex) -> &OnceLock<KeyTable>,
        mut key: impl FnMut(&[u8], &mut Vec<u8>) -> bool,
    ) -> &KeyTable {
        static EMPTY: OnceLock<KeyTable> = OnceLock::new();
        let id = self.indexed_as(id);
        let Some(index) = self.indexes.get(id.index()) else {
            return EMPTY.get_or_init(KeyTable::default);
        };
        place(index).get_or_init(|| {
            let mut table = KeyTable::default();
            let mut buffer = Vec::new();
            for record in 0..self.records.record_count() {
                self.records.any_value(record, id, |value| {
                    if key(value, &mut buffer) {
                        table.push(record, &buffer);
                    }
                    false
                });
            }
            table.finish();
            table
        })
    }
}

/// Whether a value has this equality key.
#[inline]
pub(crate) fn has_key(syntax: Syntax, value: &[u8], key: &[u8]) -> bool {
    // Folding is idempotent: a value that is its own key has it.
    (matches!(syntax, Syntax::DirectoryString | Syntax::AccountName) && value == key)
        || *syntax::equality_key(syntax, value) == *key
}

/// The attribute that has the same values where no custom ones replace either.
fn same_as(snapshot: &Snapshot, id: AttributeId) -> Option<AttributeId> {
    let original = id.definition()?.same_as?;
    (!snapshot.any_overrides(id) && !snapshot.any_overrides(original)).then_some(original)
}

/// Builds the equality index of an attribute that is stored as often as `count` says.
pub(crate) fn equality(snapshot: &Snapshot, id: AttributeId, count: Count) -> EqualityIndex {
    let syntax = snapshot.records.attributes.syntax(id);
    let mut index = EqualityIndex::with_capacity(count.values as usize);
    for record in 0..snapshot.records.record_count() {
        snapshot.records.any_value(record, id, |value| {
            let key = syntax::equality_key(syntax, value);
            index.insert(
                snapshot.hash(&key),
                record,
                |other| {
                    snapshot
                        .records
                        .any_value(other, id, |value| has_key(syntax, value, &key))
                },
                |other| hash_of_first(snapshot, id, other),
            );
            false
        });
    }
    index.finish((!count.several).then_some(|record| hash_of_first(snapshot, id, record)));
    index
}

fn hash_of_first(snapshot: &Snapshot, id: AttributeId, record: RecordIx) -> u64 {
    let syntax: Syntax = snapshot.records.attributes.syntax(id);
    let mut hash = 0;
    snapshot.records.any_value(record, id, |value| {
        hash = snapshot.hash(&syntax::equality_key(syntax, value));
        true
    });
    hash
}

/// Users by UUID; those without one are left out.
fn uuid_index(snapshot: &Snapshot) -> HashTable<u32> {
    let uuids = &snapshot.records.users.uuids;
    let hash = |user: &u32| uuids.get(*user as usize).map_or(0, |uuid| snapshot.hash(uuid));
    let mut index = HashTable::with_capacity(uuids.len());
    for (user, uuid) in (0..).zip(uuids) {
        if *uuid != [0; 16] {
            index.insert_unique(hash(&user), user, hash);
        }
    }
    index
}

/// Group numbers ascending, with their groups.
fn group_numbers(snapshot: &Snapshot) -> Vec<(i64, u32)> {
    let numbers = snapshot.records.groups.numbers.iter().copied();
    let mut numbers: Vec<(i64, u32)> = numbers.zip(0..).collect();
    numbers.sort_unstable();
    numbers
}
