//! Distinguished names: parsing, writing and comparing (RFC 4514; values are the same if they differ only in case).
//!
//! Reads the RFC 4514 form with the liberties that clients take (spaces around separators, quoted values, `OID.`
//! prefixes, unescaped special characters that are unambiguous). Must not know which names exist.

mod escape;
mod name;
mod once;
mod parser;
mod unescaped;

pub use escape::{escape, escape_into};
pub use name::{AttributeTypeAndValue, Dn, Rdn};
pub use once::Name;
pub use parser::{DnError, MAX_ASSERTIONS};
pub use unescaped::Unescaped;

#[cfg(test)]
mod tests;
