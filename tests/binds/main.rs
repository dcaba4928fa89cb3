//! The bind core over real sockets, against a simulated authentik that is made to fail in every way it can: who gets
//! in, when that ends, and what it costs authentik.

#![allow(unreachable_pub, reason = "modules that share are written as libraries")]

mod authentik_secrets;
mod cost;
mod ends;
mod faults;
mod lanes;
mod limits;
mod load;
mod measured;
mod password_changes;
mod password_controls;
mod password_faults;
mod password_hostile;
mod password_replaced;
mod password_targets;
mod password_unknown;
mod passwords;
mod people;
mod recordings;
mod revocation;
mod secrets;
