//! What is derived of the facts, so that answers come without looking at every record: indexes, orders, and the snapshot
//! that holds them beside the facts.
//!
//! Must not know trees, viewers or filters.

pub(crate) mod attribute_index;
mod fingerprint;
pub(crate) mod indexing;
pub(crate) mod name_order;
mod on_demand;
pub(crate) mod order;
pub(crate) mod people;
pub(crate) mod snapshot;
pub(crate) mod table;
mod warmth;
