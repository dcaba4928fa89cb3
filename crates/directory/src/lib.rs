//! The `directory` layer: what entries exist, what they hold, and which of them a search finds.
//!
//! Knows the schema, the tree authentik's outpost serves, and matching. Knows no runtime, clock, environment or
//! network.

mod answer;
mod attribute;
mod builder;
mod calendar;
mod candidates;
mod chain;
mod compare;
mod custom;
mod dereference;
mod encoded;
mod entry;
mod evaluation;
mod filter;
#[cfg(test)]
mod fixture;
mod index;
mod indexing;
mod lookup;
mod name_order;
#[cfg(test)]
mod names;
mod order;
mod paging;
mod people;
mod photo;
mod plan;
mod record;
pub mod rootdse;
mod row;
pub mod schema;
mod search;
mod selection;
mod snapshot;
mod sorting;
pub mod subschema;
pub mod syntax;
mod timestamp;
mod tree;
mod values;
mod virtual_groups;
#[cfg(all(test, debug_assertions))]
mod work;

pub use builder::{Builder, CarriedGroup, CarriedUser};
pub use compare::{compare, compare_entry};
pub use custom::policy::CustomPolicy;
pub use people::{NameField, login_key, without_white_space_around};
pub use record::{GroupRecord, MAX_WARNINGS, Subject, UserRecord, Warning};
pub use search::{Progress, Search, SearchControls, SearchLimits, SearchOutcome, Viewer};
pub use snapshot::{GroupId, Snapshot, UserId, UserSummary};
pub use timestamp::{iso_8601, parse_iso_8601};
pub use tree::Tree;
