//! `akldap_ldap` against two other implementations, `ldap3_proto` and `rasn-ldap`: what they write we read as it was
//! meant, what we accept they accept and read the same, and what we write they read as we meant it, except for the
//! differences listed in `differences.rs` and what is ignored as RFC 4511 requires (`ignored.rs`).

mod against_ldap3_proto;
mod against_rasn;
mod differences;
mod filter_text;
mod ignored;
mod mutation;
mod requests;
mod responses;
