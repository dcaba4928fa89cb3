//! What the benchmarks and the instruction counts share: a directory of any size, requests on the wire, and processes with what they
//! used. For benchmarks only.
//!
//! Must not know the server, or the counts would take minutes to build.
//!
//! ```
//! use akldap_workload::{sample, wire};
//! use ldap3_proto::proto::{LdapFilter, LdapSearchScope};
//!
//! let filter = LdapFilter::Equality("cn".to_owned(), "user000007".to_owned());
//! let request = wire::search(sample::BASE, LdapSearchScope::Subtree, filter, &["mail"]);
//! let (message_id, mut octets) = (1, Vec::new());
//! wire::Encoded::new(request, Vec::new()).unwrap().write(message_id, &mut octets);
//! let (snapshot, tree) = (sample::snapshot(100), sample::tree());
//! let entries = sample::answer(&snapshot, &tree, &octets, &mut Vec::new());
//! // The user and the virtual group of the same name.
//! assert_eq!(entries, 2);
//! ```

#![allow(missing_docs, reason = "read by whoever reads the benchmarks")]

pub mod process;
pub mod sample;
pub mod wire;
