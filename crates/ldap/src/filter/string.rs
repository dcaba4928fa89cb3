//! A filter as people write it (RFC 4515).
//!
//! Must not know how a filter is encoded. Reads nothing back; `parser` does.

use std::fmt;

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
            Self::Present(attribute) => write!(formatter, "({}=*)", Escaped(attribute)),
            Self::Substrings(filter) => {
                write!(formatter, "({}=", Escaped(filter.attribute))?;
                write!(formatter, "{}*", Escaped(filter.initial.unwrap_or_default()))?;
                for any in &filter.any {
                    write!(formatter, "{}*", Escaped(any))?;
                }
                write!(formatter, "{})", Escaped(filter.last.unwrap_or_default()))
            }
            Self::Extensible(assertion) => {
                write!(formatter, "({}", Escaped(assertion.attribute.unwrap_or_default()))?;
                if assertion.dn_attributes {
                    formatter.write_str(":dn")?;
                }
                if let Some(rule) = assertion.matching_rule {
                    write!(formatter, ":{}", Escaped(rule))?;
                }
                write!(formatter, ":={})", Escaped(assertion.value))
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
        Escaped(assertion.attribute),
        Escaped(assertion.value)
    )
}

/// A value as filters spell it: escaped as in RFC 4515 section 3, and also what would disturb a log line.
pub fn escape(value: &[u8]) -> impl fmt::Display {
    Escaped(value)
}

struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                match character {
                    '*' | '(' | ')' | '\\' => write!(formatter, "\\{:02x}", u32::from(character))?,
                    control if control.is_ascii_control() => {
                        write!(formatter, "\\{:02x}", u32::from(control))?
                    }
                    other => write!(formatter, "{other}")?,
                }
            }
            chunk
                .invalid()
                .iter()
                .try_for_each(|octet| write!(formatter, "\\{octet:02x}"))?;
        }
        Ok(())
    }
}
