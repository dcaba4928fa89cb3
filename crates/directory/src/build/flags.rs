//! How true and false are written: as a bit of a record, and in values.

/// A bit that is set or not.
pub(super) fn flag(set: bool, bit: u32) -> u32 {
    if set { bit } else { 0 }
}

pub(super) fn upper(truth: bool) -> &'static str {
    if truth { "TRUE" } else { "FALSE" }
}

pub(super) fn lower(truth: bool) -> &'static str {
    if truth { "true" } else { "false" }
}
