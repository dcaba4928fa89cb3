//! Filters: prepared for a tree and a viewer, and evaluated on an entry.
//!
//! Must not know how candidates are found.

pub(crate) mod chain;
pub(crate) mod equal;
pub(crate) mod evaluation;
pub(crate) mod node;
pub(crate) mod substrings;
pub(crate) mod virtual_groups;
pub(crate) mod within;
