//! What the tests share: a server in front of a simulated authentik, LDAP clients, TLS certificates, scripted servers, programs of
//! the machine, recorded answers, the contract with authentik, and logs that are kept in memory. For tests and benchmarks only.
//!
//! Knows how the server is started and how it is spoken to, with codecs that are not ours. Must not know what any particular test is
//! about.
//!
//! ```
//! use akldap_testing::stage::{SUFFIX, Stage};
//! use ldap3_proto::proto::LdapSearchScope;
//!
//! # #[tokio::main]
//! # async fn main() {
//! let stage = Stage::sample().await;
//! let mut client = stage.bound("ldapservice").await;
//! let found = client.search(SUFFIX, LdapSearchScope::Subtree, "(mail=alice@*)", &["mail"]).await;
//! assert_eq!(found.entries[0].one("mail"), "alice@example.com");
//! # }
//! ```

#![allow(missing_docs, reason = "read by whoever reads the tests")]

pub mod authentik_server;
pub mod captured_log;
pub mod certificates;
pub mod child;
pub mod client;
pub mod client_test;
pub mod contract;
pub mod exercise;
pub mod faults;
pub mod filter;
pub mod http;
mod ldap_utils;
pub mod lifetime;
pub mod passwords;
pub mod program;
pub mod recordings;
pub mod released;
pub mod scenery;
pub mod stage;
pub mod used;

use std::path::{Path, PathBuf};

/// The folder of the project.
pub fn project() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The folder of what is built, in which a test runs.
pub fn target() -> PathBuf {
    let program = std::env::current_exe().expect("the path of this program");
    // Below it a folder of the profile, and in that one `deps`.
    let target = program.ancestors().nth(3);
    target.expect("a test runs where it was built").to_owned()
}
