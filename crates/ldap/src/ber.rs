//! The subset of BER that LDAP uses (RFC 4511 section 5.1): definite lengths, single-octet tags.
//!
//! Knows tags, lengths and the primitive types. Must not know what any message means.

mod reader;
mod tag;
mod writer;

pub(crate) use reader::read_length;
pub use reader::{BerError, Element, MAX_INT, Reader, parse_boolean, parse_integer, parse_max_int};
pub(crate) use tag::CONSTRUCTED;
pub use tag::{BOOLEAN, ENUMERATED, INTEGER, OCTET_STRING, SEQUENCE, SET};
pub use writer::{
    Header, element_size, integer_size, length_size, replace, write_boolean, write_constructed,
    write_constructed_about, write_element, write_header, write_integer,
};
pub(crate) use writer::{low_octet, reserve_header};

#[cfg(test)]
mod tests;
