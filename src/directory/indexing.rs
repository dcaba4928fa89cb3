//! Fills the equality indexes of a new snapshot.
//!
//! Knows that every value is indexed under its equality key. Must not know what an attribute means.

use hashbrown::HashTable;

use super::attribute::AttributeId;
use super::encoded::{self, Elements};
use super::index::EqualityIndex;
use super::row::Record;
use super::schema::Syntax;
use super::snapshot::{AttributeIndex, Snapshot, has_key};
use super::syntax;

/// Indexes all records. `counts` tells for each attribute how many values there are, and whether a record has several.
pub(super) fn build(snapshot: &mut Snapshot, counts: &[(u32, bool)]) {
    let count = |id: usize| counts.get(id).copied().unwrap_or_default();
    let mut indexes: Vec<EqualityIndex> = (0..snapshot.attributes.len())
        .map(|id| EqualityIndex::with_capacity(count(id).0 as usize))
        .collect();
    let users = snapshot.user_count();
    for (id, values) in [
        (AttributeId::RDN, snapshot.rows.len()),
        (AttributeId::USER_UID, users),
    ] {
        if let Some(index) = indexes.get_mut(id.index()) {
            *index = EqualityIndex::with_capacity(values);
        }
    }
    for record in 0..snapshot.record_count() {
        index_record(snapshot, &mut indexes, record);
    }
    for (id, index) in (0..).map(AttributeId).zip(&mut indexes) {
        let single = !count(id.index()).1;
        index.finish(single.then_some(|record| hash_of_first(snapshot, id, record)));
    }
    let uuids = uuid_index(snapshot);
    snapshot.users.by_uuid = uuids;
    snapshot.indexes = indexes
        .into_iter()
        .map(|equality| AttributeIndex {
            equality,
            ..AttributeIndex::default()
        })
        .collect();
}

fn index_record(snapshot: &Snapshot, indexes: &mut [EqualityIndex], record: Record) {
    let mut add = |id: AttributeId, value: &[u8]| {
        if let Some(index) = indexes.get_mut(id.index()) {
            insert(snapshot, index, id, record, value);
        }
    };
    add(AttributeId::RDN, snapshot.name(record));
    if record < snapshot.user_count_u32() {
        add(AttributeId::USER_UID, snapshot.user_uid(record));
    }
    let shape = snapshot.shapes.get(snapshot.row(record).shape);
    for (&id, element) in shape.iter().zip(Elements(snapshot.block(record))) {
        if let Some(index) = indexes.get_mut(id.index())
            && let Some((_, set)) = encoded::attribute(&element)
        {
            encoded::values(set).for_each(|value| insert(snapshot, index, id, record, value));
            index.count();
        }
    }
}

fn insert(snapshot: &Snapshot, index: &mut EqualityIndex, id: AttributeId, record: Record, value: &[u8]) {
    let syntax = snapshot.attributes.syntax(id);
    let key = syntax::equality_key(syntax, value);
    index.insert(
        snapshot.hash(&key),
        record,
        |other| snapshot.any_value(other, id, |value| has_key(syntax, value, &key)),
        |other| hash_of_first(snapshot, id, other),
    );
}

fn hash_of_first(snapshot: &Snapshot, id: AttributeId, record: Record) -> u64 {
    let syntax: Syntax = snapshot.attributes.syntax(id);
    let mut hash = 0;
    snapshot.any_value(record, id, |value| {
        hash = snapshot.hash(&syntax::equality_key(syntax, value));
        true
    });
    hash
}

/// Users by UUID; those without one are left out.
fn uuid_index(snapshot: &Snapshot) -> HashTable<u32> {
    let uuids = &snapshot.users.uuids;
    let hash = |user: &u32| uuids.get(*user as usize).map_or(0, |uuid| snapshot.hash(uuid));
    let mut index = HashTable::with_capacity(uuids.len());
    for (user, uuid) in (0..).zip(uuids) {
        if *uuid != [0; 16] {
            index.insert_unique(hash(&user), user, hash);
        }
    }
    index
}
