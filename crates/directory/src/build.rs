//! Builds snapshots from users and groups, and takes them out again.
//!
//! Must not know providers, viewers or filters.

pub(crate) mod builder;
pub(crate) mod carried;
mod carry;
mod finish;
mod flags;
mod inherited;
mod octets;
pub(crate) mod record;
mod shaped;
mod soundness;
mod superusers;
mod visible;
