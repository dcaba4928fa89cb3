//! A filter as people write it (RFC 4515).
//!
//! Must not know how a filter is encoded. Reads nothing back; `parser` does.

use std::fmt;

use super::escape::escape;
use super::{AttributeValueAssertion, Filter};

/// Stands for a value that is not to be shown.
const HIDDEN: &str = "…";

impl fmt::Display for Filter<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.without_values_of(|_| false).fmt(formatter)
    }
}

impl<'a> Filter<'a> {
    /// The filter as people write it, with `…` for each value that is asserted of an attribute that `is_secret`. What that is asked of is the
    /// attribute description as sent, options included.
    pub fn without_values_of<'f>(&'f self, is_secret: fn(&[u8]) -> bool) -> impl fmt::Display + use<'f, 'a> {
        ShownFilter {
            filter: self,
            is_secret,
        }
    }
}

struct ShownFilter<'f, 'a> {
    filter: &'f Filter<'a>,
    is_secret: fn(&[u8]) -> bool,
}

impl fmt::Display for ShownFilter<'_, '_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.filter {
            Filter::And(filters) => self.all(formatter, '&', filters),
            Filter::Or(filters) => self.all(formatter, '|', filters),
            Filter::Not(filter) => write!(formatter, "(!{})", self.of(filter)),
            Filter::Equality(assertion) => self.assertion(formatter, assertion, "="),
            Filter::GreaterOrEqual(assertion) => self.assertion(formatter, assertion, ">="),
            Filter::LessOrEqual(assertion) => self.assertion(formatter, assertion, "<="),
            Filter::Approx(assertion) => self.assertion(formatter, assertion, "~="),
            Filter::Present(attribute) => write!(formatter, "({}=*)", escape(attribute)),
            Filter::Substrings(filter) if (self.is_secret)(filter.attribute) => {
                write!(formatter, "({}={HIDDEN})", escape(filter.attribute))
            }
            Filter::Substrings(filter) => {
                write!(formatter, "({}=", escape(filter.attribute))?;
                write!(formatter, "{}*", escape(filter.initial.unwrap_or_default()))?;
                for any in &filter.any {
                    write!(formatter, "{}*", escape(any))?;
                }
                write!(formatter, "{})", escape(filter.last.unwrap_or_default()))
            }
            Filter::Extensible(assertion) => {
                write!(formatter, "({}", escape(assertion.attribute.unwrap_or_default()))?;
                if assertion.dn_attributes {
                    formatter.write_str(":dn")?;
                }
                if let Some(rule) = assertion.matching_rule {
                    write!(formatter, ":{}", escape(rule))?;
                }
                match assertion.attribute.is_some_and(self.is_secret) {
                    true => write!(formatter, ":={HIDDEN})"),
                    false => write!(formatter, ":={})", escape(assertion.value)),
                }
            }
        }
    }
}

impl<'f, 'a> ShownFilter<'f, 'a> {
    fn of(&self, filter: &'f Filter<'a>) -> Self {
        let is_secret = self.is_secret;
        Self { filter, is_secret }
    }

    fn all(
        &self,
        formatter: &mut fmt::Formatter<'_>,
        operator: char,
        filters: &'f [Filter<'a>],
    ) -> fmt::Result {
        write!(formatter, "({operator}")?;
        filters
            .iter()
            .try_for_each(|filter| write!(formatter, "{}", self.of(filter)))?;
        formatter.write_str(")")
    }

    fn assertion(
        &self,
        formatter: &mut fmt::Formatter<'_>,
        assertion: &AttributeValueAssertion<'_>,
        operator: &str,
    ) -> fmt::Result {
        write!(formatter, "({}{operator}", escape(assertion.attribute))?;
        match (self.is_secret)(assertion.attribute) {
            true => write!(formatter, "{HIDDEN})"),
            false => write!(formatter, "{})", escape(assertion.value)),
        }
    }
}
