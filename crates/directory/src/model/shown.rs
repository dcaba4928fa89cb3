//! Which attributes the default answer has otherwise than authentik's outpost, where a shape says so.
//!
//! Must not know shapes or answers.

use crate::model::built_in::AttributeId;

/// The attributes that an unasked answer lacks or has on top.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    /// Stored ones that only those are shown who ask for them.
    pub(crate) operational: Vec<AttributeId>,
    /// Computed ones that all are shown: of users and of groups.
    pub(crate) always: [Vec<AttributeId>; 2],
}
