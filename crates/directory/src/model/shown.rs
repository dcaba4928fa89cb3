//! Which attributes the default answer has differently from authentik's outpost, because a shape says
//! so.
//!
//! Must not know shapes or answers.

use crate::model::built_in::AttributeId;

/// The attributes that a default answer lacks or has in addition.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    /// Stored ones shown only to those who ask for them.
    pub(crate) operational: Vec<AttributeId>,
    /// Computed ones shown to all: of users and of groups.
    pub(crate) always: [Vec<AttributeId>; 2],
}
