//! What is seen: the entries of one provider's tree through the eyes of one viewer, and those that belong to no provider.
//!
//! Must not know filters, or what a search asks for.

mod beyond;
pub(crate) mod container;
pub(crate) mod context;
pub(crate) mod entry;
pub(crate) mod naming;
pub mod rootdse;
pub mod style;
pub mod subschema;
pub(crate) mod tree;
pub(crate) mod values;
