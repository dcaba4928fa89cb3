//! Searches and compares: what a request asks for, where it stands, what is written.
//!
//! Must not know connections or time.

pub(crate) mod answer;
mod base;
pub(crate) mod bounds;
pub(crate) mod compare;
pub(crate) mod dereference;
mod limits;
pub(crate) mod paging;
mod root;
pub(crate) mod run;
pub(crate) mod selection;
