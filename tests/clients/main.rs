//! LDAP clients written by others against the whole server: `docs/compatibility.md` lists them. First of them Nextcloud's
//! user_ldap, replayed.
//!
//! Where a client is not installed its tests are shown as ignored, unless `AKLDAP_REQUIRE_CLIENTS` is set. A test here is a
//! `#[client_test]`, never a `#[test]`, which this program's harness would not see.
//!
//! The commands of the README are run exactly as they are there.
//!
//! What clients send can be stored as fixtures, which are replayed without them: see `recorder`.

#![allow(unreachable_pub, reason = "modules that share are written as libraries")]

mod conversation;
mod machine;
mod recorder;
mod setting;
mod transport;
mod version;

mod apache;
mod binds;
mod compatibility;
mod controls;
mod curl;
mod dovecot;
mod freeradius;
mod golang;
mod haproxy;
mod java;
mod nextcloud;
mod nginx;
mod node;
mod nslcd;
mod openssl;
mod operations;
mod passwords;
mod perl;
mod phpldapadmin;
mod postfix;
mod prometheus;
mod python;
mod readme;
mod ruby;
mod searches;
mod slapd;
mod sssd;
mod telegraf;
mod tls;

fn main() -> std::process::ExitCode {
    akldap_testing::client_test::main()
}
