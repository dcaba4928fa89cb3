//! How the directory keeps up with authentik: whole, soon, cheaply, and whatever fails.

#![allow(unreachable_pub, reason = "the harness is written as a library")]
#![allow(dead_code, reason = "the harness serves other tests too")]

#[path = "../captured_log/mod.rs"]
mod captured_log;
#[path = "../edge/certificates.rs"]
mod certificates;
#[path = "../ldap/client.rs"]
mod client;
#[path = "../ldap/filter.rs"]
mod filter;
#[path = "../ldap/stage.rs"]
mod stage;

mod changes;
mod continuous;
mod faults;
mod load;
mod miss;
mod names;
mod poison;
mod releases;
mod scenery;
mod stream;
