//! Fills the indexes of a new snapshot.
//!
//! Knows that every value is indexed under its equality key, which attributes are worth an index from the start, and
//! which share one. Must not know what an attribute means.

use hashbrown::HashTable;

use super::attribute::AttributeId;
use super::index::EqualityIndex;
use super::row::Record;
use super::schema::Syntax;
use super::snapshot::{AttributeIndex, Count, Snapshot, has_key};
use super::syntax;

/// Attributes that are seldom looked for by value, or have few values: their equality indexes are built at the first
/// use.
const SELDOM: [AttributeId; 6] = [
    AttributeId::AK_ACTIVE,
    AttributeId::AK_SUPERUSER,
    AttributeId::HOME_DIRECTORY,
    AttributeId::PWD_CHANGED_TIME,
    AttributeId::CREATE_TIMESTAMP,
    AttributeId::MODIFY_TIMESTAMP,
];

/// Prepares the indexes of all attributes and builds those that are used most. `counts` tells how often each is stored.
pub(super) fn build(snapshot: &mut Snapshot, counts: &[Count]) {
    let of_all = |records: u32| Count {
        records,
        values: records,
        several: false,
    };
    let (records, users) = (snapshot.record_count(), snapshot.user_count_u32());
    snapshot.all_flags = snapshot.rows.iter().fold(0, |flags, row| flags | row.flags);
    let indexes = (0..snapshot.attributes.len()).map(|index| {
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
    snapshot.users.by_uuid = uuid_index(snapshot);
    for id in (0..snapshot.attributes.len() as u16).map(AttributeId) {
        if !SELDOM.contains(&id) {
            snapshot.equality(id);
        }
    }
}

/// The attribute that has the same values where no custom ones replace either.
fn same_as(snapshot: &Snapshot, id: AttributeId) -> Option<AttributeId> {
    let original = match id {
        AttributeId::CN | AttributeId::SAM_ACCOUNT_NAME => AttributeId::RDN,
        AttributeId::USER_UID => AttributeId::UID,
        AttributeId::DISPLAY_NAME | AttributeId::SN => AttributeId::NAME,
        _ => return None,
    };
    (!snapshot.any_overrides(id) && !snapshot.any_overrides(original)).then_some(original)
}

/// Builds the equality index of an attribute that is stored as often as `count` says.
pub(super) fn equality(snapshot: &Snapshot, id: AttributeId, count: Count) -> EqualityIndex {
    let syntax = snapshot.attributes.syntax(id);
    let mut index = EqualityIndex::with_capacity(count.values as usize);
    for record in 0..snapshot.record_count() {
        snapshot.any_value(record, id, |value| {
            let key = syntax::equality_key(syntax, value);
            index.insert(
                snapshot.hash(&key),
                record,
                |other| snapshot.any_value(other, id, |value| has_key(syntax, value, &key)),
                |other| hash_of_first(snapshot, id, other),
            );
            false
        });
    }
    index.finish((!count.several).then_some(|record| hash_of_first(snapshot, id, record)));
    index
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
