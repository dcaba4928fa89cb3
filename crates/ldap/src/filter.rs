//! Search filters (RFC 4511 section 4.5.1.7): decoded from BER, borrowing from the message, under limits.
//!
//! Values stay octets from the wire to the comparison; the server writes the text form (RFC 4515) to logs and never
//! reads it; `diff` and tests do (`parser`). Must not know attributes or how values match.

use thiserror::Error;

use crate::ber::BerError;

mod encoding;
mod escape;
pub mod parser;
mod string;

pub use escape::escape;

/// How deep a filter may nest. No client sends deeper ones, and evaluation recurses.
pub const MAX_DEPTH: usize = 64;
/// How many components a filter may have in total. Sync jobs send one OR of several thousand names.
pub const MAX_COMPONENTS: usize = 50_000;

/// Octets of a short header: tag and length.
const HEADERS: usize = 2;

/// A search filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter<'a> {
    /// All of them; the empty one is true (RFC 4526).
    And(Vec<Filter<'a>>),
    /// Any of them; the empty one is false (RFC 4526).
    Or(Vec<Filter<'a>>),
    /// The negation.
    Not(Box<Filter<'a>>),
    /// `(attribute=value)`
    Equality(AttributeValueAssertion<'a>),
    /// `(attribute=a*b*c)`
    Substrings(SubstringFilter<'a>),
    /// `(attribute>=value)`
    GreaterOrEqual(AttributeValueAssertion<'a>),
    /// `(attribute<=value)`
    LessOrEqual(AttributeValueAssertion<'a>),
    /// `(attribute=*)`
    Present(&'a [u8]),
    /// `(attribute~=value)`
    Approx(AttributeValueAssertion<'a>),
    /// `(attribute:rule:=value)`
    Extensible(MatchingRuleAssertion<'a>),
}

/// An attribute and the value asserted of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttributeValueAssertion<'a> {
    /// The attribute description as sent.
    pub attribute: &'a [u8],
    /// The assertion value.
    pub value: &'a [u8],
}

/// `(attribute=initial*any*final)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubstringFilter<'a> {
    /// The attribute description as sent.
    pub attribute: &'a [u8],
    /// What the value begins with.
    pub initial: Option<&'a [u8]>,
    /// What follows, in this order.
    pub any: Vec<&'a [u8]>,
    /// What the value ends with.
    pub last: Option<&'a [u8]>,
}

/// `(attribute:dn:rule:=value)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatchingRuleAssertion<'a> {
    /// The matching rule, by name or OID.
    pub matching_rule: Option<&'a [u8]>,
    /// The attribute description; without one, every attribute the rule applies to.
    pub attribute: Option<&'a [u8]>,
    /// The assertion value.
    pub value: &'a [u8],
    /// Whether the attributes of the entry's name are included.
    pub dn_attributes: bool,
}

impl Filter<'_> {
    /// About the octets that the filter took on the wire: its attribute descriptions and values, and two for the header
    /// of each.
    #[must_use]
    pub fn size(&self) -> usize {
        let assertion = |assertion: &AttributeValueAssertion<'_>| {
            HEADERS + assertion.attribute.len() + assertion.value.len()
        };
        let part = |octets: Option<&[u8]>| octets.map_or(0, |octets| HEADERS + octets.len());
        match self {
            Self::And(filters) | Self::Or(filters) => HEADERS + filters.iter().map(Self::size).sum::<usize>(),
            Self::Not(filter) => HEADERS + filter.size(),
            Self::Equality(of) | Self::GreaterOrEqual(of) | Self::LessOrEqual(of) | Self::Approx(of) => {
                assertion(of)
            }
            Self::Substrings(filter) => {
                let any: usize = filter.any.iter().map(|octets| HEADERS + octets.len()).sum();
                HEADERS + filter.attribute.len() + part(filter.initial) + any + part(filter.last)
            }
            Self::Present(attribute) => HEADERS + attribute.len(),
            Self::Extensible(of) => HEADERS + part(of.matching_rule) + part(of.attribute) + of.value.len(),
        }
    }
}

/// Why a filter cannot be used.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum FilterError {
    /// The BER is malformed.
    #[error("malformed filter: {0}")]
    Ber(#[from] BerError),
    /// A component that RFC 4511 does not have.
    #[error("unknown filter component 0x{0:02x}")]
    UnknownComponent(u8),
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("the filter is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// More than [`MAX_COMPONENTS`].
    #[error("the filter has more than {MAX_COMPONENTS} components")]
    TooLarge,
    /// A substring filter without parts, or with them out of order.
    #[error("a substring filter has no parts or has them out of order")]
    BadSubstrings,
    /// An extensible match that names neither a rule nor an attribute.
    #[error("an extensible match names neither a matching rule nor an attribute")]
    BadExtensible,
}

#[cfg(test)]
mod tests;
