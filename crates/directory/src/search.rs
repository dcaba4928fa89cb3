//! Searches and compares: what a request asks for, how far it has got, what is written.
//!
//! Must not know connections or time.

pub(crate) mod answer;
mod base;
pub(crate) mod bounds;
pub(crate) mod compare;
#[cfg(test)]
mod damage_tests;
pub(crate) mod dereference;
pub(crate) mod found;
mod limits;
pub(crate) mod paging;
pub(crate) mod request;
mod run;
pub(crate) mod selection;
mod start;
pub(crate) mod state;
