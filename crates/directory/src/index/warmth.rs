//! Builds indexes and orders before they are asked for, so that the first search after a refresh does not wait for them.
//!
//! What cannot be built says so when it is asked. Must not know what is searched for now.

use crate::index::order::OrderKey;
use crate::index::snapshot::Snapshot;
use crate::index::table::KeyTable;
use crate::model::built_in::AttributeId;

impl Snapshot {
    /// Builds now the indexes that a search for the beginning of somebody's name or e-mail address needs: no earlier
    /// directory shows what will be searched for, but address books and Nextcloud's user search ask for that.
    pub fn warm_usual(&self) {
        let _ = self.name_order();
        for id in AttributeId::whose_beginning_is_sought() {
            let _ = self.text_keys(id).and_then(KeyTable::order);
        }
    }

    /// Builds now those indexes that are otherwise built at their first use and that `previous` was queried for, so that
    /// the first search after a refresh does not wait for them.
    pub fn warm_like(&self, previous: &Snapshot) {
        let _ = self.name_order();
        for (name, id) in previous.records.attributes.iter() {
            let (Ok(old), Some(own)) = (previous.indexes.get(id), self.records.attributes.find(name)) else {
                continue;
            };
            if old.equality.get().is_some() {
                let _ = self.equality(own);
            }
            if old.text.get().is_some() {
                let _ = self.text_keys(own).and_then(KeyTable::order);
            }
            if old.ordering.get().is_some() {
                let _ = self.ordering_keys(own).and_then(KeyTable::order);
            }
        }
        let own = |id: Option<AttributeId>| {
            let mut names = previous.records.attributes.iter();
            id.and_then(|id| names.find(|(_, known)| *known == id))
                .and_then(|(name, _)| self.records.attributes.find(name))
        };
        for key in previous.orders.keys() {
            let key = OrderKey {
                first: own(key.first),
                second: own(key.second),
                ..key
            };
            if key.first.is_some() {
                self.orders.find_or_make(key, &self.records);
            }
        }
    }
}
