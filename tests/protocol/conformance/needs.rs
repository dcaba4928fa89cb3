//! The needs of the conformance table, in four parts.

mod attributes;
mod filters;
mod operations;
mod protocol;

use crate::conformance::table::Need;

pub fn all() -> Vec<Need> {
    let mut needs = protocol::needs();
    needs.extend(attributes::needs());
    needs.extend(filters::needs());
    needs.extend(operations::needs());
    needs
}
