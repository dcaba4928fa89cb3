//! The whole server over real sockets, against the simulated authentik: what an LDAP client sees.

#![allow(unreachable_pub, reason = "the harness is written as a library")]
#![allow(dead_code, reason = "the harness serves other tests too")]

use akldap_testing::{captured_log, client, stage};

mod binds;
mod given_attributes;
mod identity;
mod lifecycle;
mod odd_rows;
mod pipelining;
mod records;
mod searches;
mod special_entries;
mod tls;
