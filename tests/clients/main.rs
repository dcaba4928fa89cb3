//! LDAP clients written by others against the whole server: ldap-utils, Python's ldap3 and python-ldap, curl, and PHP doing what
//! Nextcloud does.
//!
//! Where a client is not installed its tests say so and pass, unless `AKLDAP_REQUIRE_CLIENTS` is set. The commands of the
//! README are run as they stand there.
//!
//! What clients send can be stored as fixtures, which are replayed without them: see `recorder`.

#![allow(unreachable_pub, reason = "the harness is written as a library")]

#[path = "../ldap/client.rs"]
#[allow(dead_code, reason = "shared with the tests over sockets")]
mod client;
#[path = "../ldap/filter.rs"]
#[allow(dead_code, reason = "shared with the tests over sockets")]
mod filter;
#[path = "../ldap/stage.rs"]
#[allow(dead_code, reason = "shared with the tests over sockets")]
mod stage;

mod program;
mod recorder;
mod setting;

mod binds;
mod controls;
mod curl;
mod nextcloud;
mod operations;
mod python;
mod readme;
mod searches;
