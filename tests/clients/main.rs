//! LDAP clients written by others against the whole server: `docs/compatibility.md` lists them. First of them Nextcloud's
//! user_ldap, replayed.
//!
//! Where a client is not installed its tests say so and pass, unless `AKLDAP_REQUIRE_CLIENTS` is set. The commands of the
//! README are run as they stand there.
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
mod java;
mod nextcloud;
mod node;
mod nslcd;
mod openssl;
mod operations;
mod perl;
mod phpldapadmin;
mod postfix;
mod python;
mod readme;
mod ruby;
mod searches;
mod sssd;
