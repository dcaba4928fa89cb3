//! The edge: TLS as OpenSSL sees it, limits and time-outs, hostile clients beside honest ones, HAProxy in front.
//!
//! Where a program is not installed its tests say so and pass, unless `AKLDAP_REQUIRE_CLIENTS` is set.

#![allow(unreachable_pub, reason = "the harness is written as a library")]

#[path = "../captured_log/mod.rs"]
mod captured_log;
#[path = "../ldap/client.rs"]
#[allow(dead_code, reason = "shared with the tests over sockets")]
mod client;
#[path = "../clients/exercise.rs"]
#[allow(dead_code, reason = "shared with the tests with clients")]
mod exercise;
#[path = "../ldap/filter.rs"]
#[allow(dead_code, reason = "shared with the tests over sockets")]
mod filter;
#[path = "../clients/program.rs"]
#[allow(dead_code, reason = "shared with the tests with clients")]
mod program;
#[path = "../ldap/stage.rs"]
#[allow(dead_code, reason = "shared with the tests over sockets")]
mod stage;

mod certificates;
mod haproxy;
mod hostile;
mod limits;
mod nginx;
mod openssl;
mod protocols;
mod proxy;
mod sockets;
