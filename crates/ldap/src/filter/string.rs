//! A filter as people write it (RFC 4515).
//!
//! Must not know how a filter is encoded. Reads nothing back; `parser` does.

use std::fmt;

use super::escape::escape;
use super::{AttributeValueAssertion, Filter};

impl fmt::Display for Filter<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(filters) => display_all(formatter, '&', filters),
            Self::Or(filters) => display_all(formatter, '|', filters),
            Self::Not(filter) => write!(formatter, "(!{filter})"),
            Self::Equality(assertion) => display_assertion(formatter, assertion, "="),
            Self::GreaterOrEqual(assertion) => display_assertion(formatter, assertion, ">="),
            Self::LessOrEqual(assertion) => display_assertion(formatter, assertion, "<="),
            Self::Approx(assertion) => display_assertion(formatter, assertion, "~="),
            Self::Present(attribute) => write!(formatter, "({}=*)", escape(attribute)),
            Self::Substrings(filter) => {
                write!(formatter, "({}=", escape(filter.attribute))?;
                write!(formatter, "{}*", escape(filter.initial.unwrap_or_default()))?;
                for any in &filter.any {
                    write!(formatter, "{}*", escape(any))?;
                }
                write!(formatter, "{})", escape(filter.last.unwrap_or_default()))
            }
            Self::Extensible(assertion) => {
                write!(formatter, "({}", escape(assertion.attribute.unwrap_or_default()))?;
                if assertion.dn_attributes {
                    formatter.write_str(":dn")?;
                }
                if let Some(rule) = assertion.matching_rule {
                    write!(formatter, ":{}", escape(rule))?;
                }
                write!(formatter, ":={})", escape(assertion.value))
            }
        }
    }
}

fn display_all(formatter: &mut fmt::Formatter<'_>, operator: char, filters: &[Filter<'_>]) -> fmt::Result {
    write!(formatter, "({operator}")?;
    filters
        .iter()
        .try_for_each(|filter| write!(formatter, "{filter}"))?;
    formatter.write_str(")")
}

fn display_assertion(
    formatter: &mut fmt::Formatter<'_>,
    assertion: &AttributeValueAssertion<'_>,
    operator: &str,
) -> fmt::Result {
    write!(
        formatter,
        "({}{operator}{})",
        escape(assertion.attribute),
        escape(assertion.value)
    )
}
