//! What is derived from the facts, so that answers come without looking at every record: indexes, orders, and the
//! snapshot that keeps them next to the facts.
//!
//! Must not know trees, viewers or filters.

pub(crate) mod attribute_index;
mod fingerprint;
pub(crate) mod indexing;
pub(crate) mod name_order;
mod named;
mod on_demand;
pub(crate) mod order;
pub(crate) mod people;
pub(crate) mod snapshot;
pub(crate) mod table;
mod warmth;
