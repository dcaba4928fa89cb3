//! The tags of the types that LDAP uses (X.690 section 8.1.2).
//!
//! Must not know what a message calls its parts: those tags are where they are read and written.

/// Universal tag of BOOLEAN.
pub const BOOLEAN: u8 = 0x01;
/// Universal tag of INTEGER.
pub const INTEGER: u8 = 0x02;
/// Universal tag of OCTET STRING.
pub const OCTET_STRING: u8 = 0x04;
/// Universal tag of ENUMERATED.
pub const ENUMERATED: u8 = 0x0a;
/// Universal tag of a constructed SEQUENCE.
pub const SEQUENCE: u8 = 0x30;
/// Universal tag of a constructed SET.
pub const SET: u8 = 0x31;
/// The bit of a tag that says that the contents are elements.
pub(crate) const CONSTRUCTED: u8 = 0x20;
