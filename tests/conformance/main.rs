//! What LDAP clients need of the server, over sockets: the conformance table, hostile and unusual input, and the
//! controls in every combination that clients send.

#![allow(unreachable_pub, reason = "the harness is written as a library")]
#![allow(dead_code, reason = "the harness is shared with the other tests over sockets")]

use akldap_testing::{client, stage};

mod controls;
mod input;
mod limits;
mod paging;
mod rows;
mod sorting;
mod table;
