//! Values, each by itself: their syntaxes and normal forms, times, base64, photos.
//!
//! Knows RFC 4517 and what authentik writes. Must not know attributes or entries.

pub(crate) mod base64;
pub(crate) mod calendar;
pub(crate) mod digits;
pub(crate) mod photo;
pub mod syntax;
pub(crate) mod timestamp;
