//! The indexes of one attribute side by side, and what the builder counted of it.
//!
//! Must not know how they are built.

use std::sync::OnceLock;

use crate::index::table::{EqualityIndex, KeyTable};
use crate::model::built_in::AttributeId;

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
