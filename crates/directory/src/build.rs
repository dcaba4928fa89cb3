//! Builds snapshots from users and groups, and takes them out again.
//!
//! Must not know providers, viewers or filters.

mod add;
pub(crate) mod builder;
pub(crate) mod carried;
mod carry;
mod filed;
mod finish;
mod flags;
mod group_value;
mod inherited;
mod moved;
mod octets;
mod outside;
mod pk_table;
pub(crate) mod record;
pub(crate) mod roles;
mod shaped;
mod soundness;
mod superusers;
mod visible;
