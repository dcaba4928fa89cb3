//! The indexes of one attribute side by side, and what the builder counted about it.
//!
//! Must not know how they are built.

use crate::index::on_demand::{Index, built};
use crate::index::table::{EqualityIndex, KeyTable};
use crate::model::built_in::AttributeId;

/// The indexes of one attribute, each built at its first use unless it was built with the snapshot.
#[derive(Debug, Default)]
pub(crate) struct AttributeIndex {
    /// What the builder counted.
    pub(crate) count: StoredCount,
    /// The attribute that has the same values in the same records, and whose indexes serve both.
    pub(crate) same_as: Option<AttributeId>,
    pub(crate) equality: Index<EqualityIndex>,
    pub(crate) text: Index<KeyTable>,
    pub(crate) ordering: Index<KeyTable>,
}

impl AttributeIndex {
    /// How many records have stored values.
    pub(crate) fn records(&self) -> usize {
        self.count.records as usize
    }

    /// Octets on the heap.
    pub(crate) fn size(&self) -> usize {
        built(&self.equality).map_or(0, EqualityIndex::size)
            + built(&self.text).map_or(0, KeyTable::size)
            + built(&self.ordering).map_or(0, KeyTable::size)
    }
}

/// How often an attribute is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StoredCount {
    pub(crate) records: u32,
    pub(crate) values: u32,
    /// Whether a record has several values.
    pub(crate) several: bool,
}

impl StoredCount {
    /// Each of this many records has one value.
    pub(crate) fn one_each(records: u32) -> Self {
        Self {
            records,
            values: records,
            several: false,
        }
    }
}
