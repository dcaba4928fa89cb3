//! The indexes of a snapshot: which exist from the start, building the others at their first use, and querying them.
//!
//! Knows that every value is indexed under its equality key, and which attributes share an index. Must not know filters
//! beyond the values they assert.

use hashbrown::HashTable;

use crate::index::attribute_index::{AttributeIndex, StoredCount};
use crate::index::on_demand::{Index, get_or_build};
use crate::index::snapshot::Snapshot;
use crate::index::table::{EqualityIndex, KeyTable};
use crate::model::built_in::AttributeId;
use crate::model::number::{GroupIx, RecordIx, UserIx, WrongNumber, count_of};
use crate::schema::Syntax;
use crate::values::syntax;

/// Prepares the indexes of all attributes and builds those that are used most. `counts` says how often each is stored.
pub(crate) fn build(snapshot: &mut Snapshot, counts: &[StoredCount]) -> Result<(), WrongNumber> {
    let records = &snapshot.records;
    let all = records.all.as_slice();
    snapshot.all_flags = all.iter().fold(0, |flags, record| flags | record.flags);
    let users = records.layout.user_count();
    let each = count_of(all, WrongNumber::Record)?;
    let indexes = records.attributes.ids().map(|id| {
        let count = match id {
            AttributeId::RDN => StoredCount::one_each(each),
            AttributeId::USER_UID => StoredCount::one_each(users),
            // What is not counted is not stored.
            _ => counts.get(id.index()).copied().unwrap_or_default(),
        };
        AttributeIndex {
            count,
            same_as: same_as(snapshot, id),
            ..AttributeIndex::default()
        }
    });
    snapshot.indexes = indexes.collect();
    snapshot.users_by_uuid = uuid_index(snapshot);
    snapshot.groups_by_number = group_numbers(snapshot);
    for id in snapshot.records.attributes.ids() {
        if id.definition().is_none_or(|built_in| !built_in.is_seldom_sought) {
            // One that cannot be built says so when it is queried.
            let _ = snapshot.equality(id);
        }
    }
    Ok(())
}

impl Snapshot {
    /// The attribute whose indexes serve a given one, and these indexes.
    #[inline]
    fn index_for(&self, id: AttributeId) -> Result<(AttributeId, &AttributeIndex), WrongNumber> {
        let index = self.indexes.get(id)?;
        match index.same_as {
            None => Ok((id, index)),
            Some(same) => Ok((same, self.indexes.get(same)?)),
        }
    }

    /// The equality index of an attribute; `None` if nobody has the attribute.
    pub(crate) fn equality(&self, id: AttributeId) -> Result<Option<&EqualityIndex>, WrongNumber> {
        let (id, index) = self.index_for(id)?;
        if index.count.records == 0 {
            return Ok(None);
        }
        get_or_build(&index.equality, || equality(self, id, index.count)).map(Some)
    }

    /// The records with a stored value that is equal, ascending.
    #[inline]
    pub(crate) fn lookup<'k>(
        &self,
        id: AttributeId,
        key: impl FnOnce() -> &'k [u8],
    ) -> Result<&[RecordIx], WrongNumber> {
        match self.indexes.get(id)?.count.records {
            0 => Ok(&[]),
            _ => self.lookup_key(id, key()),
        }
    }

    /// The records with a stored value that has this equality key, ascending.
    pub(crate) fn lookup_key(&self, id: AttributeId, key: &[u8]) -> Result<&[RecordIx], WrongNumber> {
        let (id, index) = self.index_for(id)?;
        if index.count.records == 0 {
            return Ok(&[]);
        }
        let syntax = self.records.attributes.syntax(id)?;
        let equality = get_or_build(&index.equality, || equality(self, id, index.count))?;
        equality.find(self.hash(key), |record| {
            self.records
                .any_value(record, id, |value| has_key(syntax, value, key))
        })
    }

    /// The text keys of a stored attribute, built at the first use.
    pub(crate) fn text_keys(&self, id: AttributeId) -> Result<&KeyTable, WrongNumber> {
        let syntax = self.records.attributes.syntax(id)?;
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
    pub(crate) fn ordering_keys(&self, id: AttributeId) -> Result<&KeyTable, WrongNumber> {
        let syntax = self.records.attributes.syntax(id)?;
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
        which: impl Fn(&AttributeIndex) -> &Index<KeyTable>,
        mut key: impl FnMut(&[u8], &mut Vec<u8>) -> bool,
    ) -> Result<&KeyTable, WrongNumber> {
        let (id, index) = self.index_for(id)?;
        get_or_build(which(index), || {
            let mut table = KeyTable::default();
            let mut buffer = Vec::new();
            for record in self.records.all.numbers() {
                let mut pushed = Ok(());
                self.records.any_value(record, id, |value| {
                    if key(value, &mut buffer) {
                        pushed = table.push(record, &buffer);
                    }
                    pushed.is_err()
                })?;
                pushed?;
            }
            table.finish();
            Ok(table)
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

/// The attribute that has the same values if no custom ones replace either.
fn same_as(snapshot: &Snapshot, id: AttributeId) -> Option<AttributeId> {
    let original = id.definition()?.same_as?;
    (!snapshot.any_overrides(id) && !snapshot.any_overrides(original)).then_some(original)
}

/// Builds the equality index of an attribute that is stored as often as `count` says.
pub(crate) fn equality(
    snapshot: &Snapshot,
    id: AttributeId,
    count: StoredCount,
) -> Result<EqualityIndex, WrongNumber> {
    let records = &snapshot.records;
    let syntax = records.attributes.syntax(id)?;
    let mut index = EqualityIndex::with_capacity(count.values as usize);
    let hash_of_first = |record| {
        let mut hash = 0;
        records.any_value(record, id, |value| {
            hash = snapshot.hash(&syntax::equality_key(syntax, value));
            true
        })?;
        Ok(hash)
    };
    for record in records.all.numbers() {
        let mut inserted = Ok(());
        records.any_value(record, id, |value| {
            let key = syntax::equality_key(syntax, value);
            inserted = index.insert(
                snapshot.hash(&key),
                record,
                |other| records.any_value(other, id, |value| has_key(syntax, value, &key)),
                hash_of_first,
            );
            inserted.is_err()
        })?;
        inserted?;
    }
    index.finish((!count.several).then_some(hash_of_first))?;
    Ok(index)
}

/// Users by UUID; those without one are left out.
fn uuid_index(snapshot: &Snapshot) -> HashTable<UserIx> {
    let uuids = &snapshot.records.users.uuids;
    let mut index = HashTable::with_capacity(uuids.len());
    for (user, uuid) in uuids.numbered() {
        if let Some(uuid) = uuid {
            let hash = snapshot.hash(uuid.get().as_bytes());
            // There is room for all of them.
            index.insert_unique(hash, user, |_| hash);
        }
    }
    index
}

/// Group numbers ascending, with their groups.
fn group_numbers(snapshot: &Snapshot) -> Vec<(i64, GroupIx)> {
    let numbers = snapshot.records.groups.numbers.numbered();
    let mut numbers: Vec<(i64, GroupIx)> = numbers.map(|(group, &number)| (number, group)).collect();
    numbers.sort_unstable();
    numbers
}
