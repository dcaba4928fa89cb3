//! The rows of the conformance table, in four parts.

mod attributes;
mod filters;
mod operations;
mod protocol;

use crate::conformance::table::Row;

pub fn all() -> Vec<Row> {
    let mut rows = protocol::rows();
    rows.extend(attributes::rows());
    rows.extend(filters::rows());
    rows.extend(operations::rows());
    rows
}
