//! What is kept: attributes by number, records and how they are encoded, memberships, and the places of entries.
//!
//! Only facts; what is derived from them is in `index`. Must not know trees, viewers or filters.

pub(crate) mod account;
pub(crate) mod attribute;
pub(crate) mod branch;
pub(crate) mod built_in;
pub(crate) mod encoded;
pub(crate) mod held;
pub(crate) mod number;
pub(crate) mod object_classes;
pub(crate) mod place;
pub(crate) mod record;
pub(crate) mod records;
pub(crate) mod relation;
pub(crate) mod shown;
