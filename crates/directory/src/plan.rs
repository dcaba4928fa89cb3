//! How a search finds its entries: what the indexes know, which entries are looked at, and in which order.
//!
//! Must not know controls, limits or what is written.

pub(crate) mod candidates;
mod entry_kinds;
pub(crate) mod in_scope;
pub(crate) mod lookup;
pub(crate) mod outline;
pub(crate) mod planner;
pub(crate) mod sorting;
pub(crate) mod walk;
