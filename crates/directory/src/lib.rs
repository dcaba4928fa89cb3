//! The `directory` layer: which entries exist, what they contain, and which of them a search finds.
//!
//! Knows the schema, the tree authentik's outpost serves, and matching. Knows no runtime, clock, environment or
//! network.
//!
//! Within it, too, the arrows point one way, from the facts to the answer:
//! `schema` → `values` → `model` → `custom` → `index` → `view` → `filter` → `plan` → `search`; `build` makes what is in
//! `index`, as a `shape` wants it.
//!
//! A directory of two users, searched by name; the answer is BER, ready to be sent:
//!
//! ```
//! use std::sync::Arc;
//!
//! use akldap_directory::{Builder, Progress, Search, SearchControls, Tree, UserRecord, Viewer};
//! use akldap_ldap::filter::{AttributeValueAssertion, Filter};
//! use akldap_ldap::message::{Scope, SearchRequest};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut builder = Builder::new();
//! for (pk, username) in [(1, "alice"), (2, "bob")] {
//!     builder.add_user(&UserRecord {
//!         pk,
//!         uuid: &format!("00000000-0000-4000-8000-{pk:012}"),
//!         uid: &format!("{pk:064}"),
//!         username,
//!         is_active: true,
//!         ..UserRecord::default()
//!     });
//! }
//! let (snapshot, warnings) = builder.finish().unwrap();
//! assert!(warnings.is_empty());
//!
//! // (&(objectClass=user)(cn=ALICE))
//! let is = |attribute, value| Filter::Equality(AttributeValueAssertion { attribute, value });
//! let filter = Filter::And(vec![is(b"objectClass", b"user"), is(b"cn", b"ALICE")]);
//! // uidNumber and gidNumber begin at 2000 and 4000.
//! let tree = Tree::new("dc=example", 2000, 4000)?;
//! let request = SearchRequest {
//!     base_object: b"dc=example",
//!     scope: Scope::WholeSubtree,
//!     deref_aliases: 0,
//!     size_limit: 0,
//!     time_limit: 0,
//!     types_only: false,
//!     filter,
//!     attributes: vec![b"uidNumber"],
//! };
//! let controls = SearchControls::default();
//! let mut search = Search::new(Arc::new(snapshot), Arc::new(tree), Viewer::Full, &request, &controls)
//!     .expect("the base object is there");
//! let (mut answer, message_id) = (Vec::new(), 1);
//! let outcome = loop {
//!     // Some octets and some work at a time, so that others get their turn.
//!     if let Progress::Done(outcome) = search.advance(&mut answer, message_id, 4096, 1000) {
//!         break outcome;
//!     }
//! };
//! assert_eq!(outcome.entries, 1);
//! let text = String::from_utf8_lossy(&answer);
//! assert!(text.contains("cn=alice,ou=users,dc=example") && text.contains("2001"));
//! # Ok(())
//! # }
//! ```

// Lints that tests need not follow; `Cargo.toml` at the top says which.
#![cfg_attr(
    not(test),
    deny(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::too_many_lines,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]
#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        reason = "tests may read clocks and files"
    )
)]

mod build;
mod custom;
mod filter;
#[cfg(test)]
mod fixture;
mod index;
mod model;
#[cfg(test)]
mod names;
mod plan;
pub mod schema;
mod search;
pub mod shape;
mod values;
mod view;
#[cfg(all(test, debug_assertions))]
mod work;

pub use build::builder::Builder;
pub use build::carried::{CarriedGroup, CarriedUser};
pub use build::record::{GroupRecord, MAX_WARNINGS, RecordName, UserRecord, Warning};
pub use build::roles::group_number;
pub use custom::policy::CustomPolicy;
pub use index::people::{NameField, login_key, without_white_space_around};
pub use index::snapshot::{Snapshot, UserSummary};
pub use model::number::{GroupIx, UserIx, WrongNumber};
pub use model::record::UserRdn;
pub use plan::outline::PlanKind;
pub use schema::password_attributes;
pub use search::bounds::SearchLimits;
pub use search::compare::{compare, compare_entry};
pub use search::found::depends_on_groups;
pub use search::request::{Progress, SearchControls, SearchOutcome, Viewer};
pub use search::state::Search;
pub use shape::{EntryShape, Shape};
pub use values::syntax;
pub use view::style::{self, DnStyle, VirtualGroups};
pub use view::tree::Tree;
pub use view::{rootdse, subschema};
