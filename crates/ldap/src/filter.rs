//! Search filters (RFC 4511 section 4.5.1.7): decoded from BER, borrowing from the message, under limits.
//!
//! Values stay octets from the wire to the comparison; the text form (RFC 4515) is written for logs only and never
//! read back. Must not know attributes or how values match.

use std::fmt;

use thiserror::Error;

use super::ber::{self, BerError, Element, Reader};

/// How deep a filter may nest. Deeper ones come from nobody; the evaluation recurses.
pub const MAX_DEPTH: usize = 64;
/// How many components a filter may have in all. Sync jobs send one OR of some thousand names.
pub const MAX_COMPONENTS: usize = 50_000;

/// Filters that an And or Or has room for at first.
const USUAL: usize = 4;

/// Octets of a short header.
const HEADERS: usize = 2;

const AND: u8 = 0xa0;
const OR: u8 = 0xa1;
const NOT: u8 = 0xa2;
const EQUALITY: u8 = 0xa3;
const SUBSTRINGS: u8 = 0xa4;
const GREATER_OR_EQUAL: u8 = 0xa5;
const LESS_OR_EQUAL: u8 = 0xa6;
const PRESENT: u8 = 0x87;
const APPROX: u8 = 0xa8;
const EXTENSIBLE: u8 = 0xa9;

const SUBSTRING_INITIAL: u8 = 0x80;
const SUBSTRING_ANY: u8 = 0x81;
const SUBSTRING_FINAL: u8 = 0x82;

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
    /// Whether the attributes of the entry's name count too.
    pub dn_attributes: bool,
}

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

impl<'a> Filter<'a> {
    /// Reads the filter that is the next element of `reader`.
    ///
    /// # Errors
    /// When it is malformed or beyond the limits.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, FilterError> {
        let mut components = 0;
        read_filter(reader, 0, &mut components)
    }

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

    /// Appends the filter as BER.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::And(filters) => write_all(out, AND, filters),
            Self::Or(filters) => write_all(out, OR, filters),
            Self::Not(filter) => ber::write_constructed(out, NOT, |out| filter.write(out)),
            Self::Equality(assertion) => assertion.write(out, EQUALITY),
            Self::Substrings(substrings) => substrings.write(out),
            Self::GreaterOrEqual(assertion) => assertion.write(out, GREATER_OR_EQUAL),
            Self::LessOrEqual(assertion) => assertion.write(out, LESS_OR_EQUAL),
            Self::Present(attribute) => ber::write_element(out, PRESENT, attribute),
            Self::Approx(assertion) => assertion.write(out, APPROX),
            Self::Extensible(assertion) => assertion.write(out),
        }
    }
}

fn write_all(out: &mut Vec<u8>, tag: u8, filters: &[Filter<'_>]) {
    ber::write_constructed(out, tag, |out| {
        filters.iter().for_each(|filter| filter.write(out))
    });
}

fn read_filter<'a>(
    reader: &mut Reader<'a>,
    depth: usize,
    components: &mut usize,
) -> Result<Filter<'a>, FilterError> {
    if depth >= MAX_DEPTH {
        return Err(FilterError::TooDeep);
    }
    *components += 1;
    if *components > MAX_COMPONENTS {
        return Err(FilterError::TooLarge);
    }
    let Element { tag, contents } = reader.element()?;
    let mut inner = Reader::new(contents);
    // Each arm makes the whole result, which is else copied once more.
    match tag {
        AND => Ok(Filter::And(read_all(&mut inner, depth, components)?)),
        OR => Ok(Filter::Or(read_all(&mut inner, depth, components)?)),
        NOT => {
            let negated = read_filter(&mut inner, depth + 1, components)?;
            inner.end()?;
            Ok(Filter::Not(Box::new(negated)))
        }
        EQUALITY => Ok(Filter::Equality(AttributeValueAssertion::read(inner)?)),
        SUBSTRINGS => Ok(Filter::Substrings(SubstringFilter::read(inner)?)),
        GREATER_OR_EQUAL => Ok(Filter::GreaterOrEqual(AttributeValueAssertion::read(inner)?)),
        LESS_OR_EQUAL => Ok(Filter::LessOrEqual(AttributeValueAssertion::read(inner)?)),
        PRESENT => Ok(Filter::Present(contents)),
        APPROX => Ok(Filter::Approx(AttributeValueAssertion::read(inner)?)),
        EXTENSIBLE => Ok(Filter::Extensible(MatchingRuleAssertion::read(inner)?)),
        unknown => Err(FilterError::UnknownComponent(unknown)),
    }
}

fn read_all<'a>(
    reader: &mut Reader<'a>,
    depth: usize,
    components: &mut usize,
) -> Result<Vec<Filter<'a>>, FilterError> {
    if reader.is_empty() {
        return Ok(Vec::new());
    }
    let mut filters = Vec::with_capacity(USUAL);
    while !reader.is_empty() {
        filters.push(read_filter(reader, depth + 1, components)?);
    }
    Ok(filters)
}

impl<'a> AttributeValueAssertion<'a> {
    fn read(mut reader: Reader<'a>) -> Result<Self, BerError> {
        let attribute = reader.octet_string()?;
        let value = reader.octet_string()?;
        reader.end_of_sequence(&[ber::OCTET_STRING])?;
        Ok(Self { attribute, value })
    }

    fn write(&self, out: &mut Vec<u8>, tag: u8) {
        ber::write_constructed(out, tag, |out| {
            ber::write_element(out, ber::OCTET_STRING, self.attribute);
            ber::write_element(out, ber::OCTET_STRING, self.value);
        });
    }
}

impl<'a> SubstringFilter<'a> {
    fn read(mut reader: Reader<'a>) -> Result<Self, FilterError> {
        let attribute = reader.octet_string()?;
        let mut parts = reader.constructed(ber::SEQUENCE)?;
        reader.end_of_sequence(&[ber::OCTET_STRING, ber::SEQUENCE])?;
        let mut filter = Self {
            attribute,
            initial: None,
            any: Vec::new(),
            last: None,
        };
        if parts.is_empty() {
            return Err(FilterError::BadSubstrings);
        }
        while !parts.is_empty() {
            let Element { tag, contents } = parts.element()?;
            match tag {
                SUBSTRING_INITIAL
                    if filter.initial.is_none() && filter.any.is_empty() && filter.last.is_none() =>
                {
                    filter.initial = Some(contents);
                }
                SUBSTRING_ANY if filter.last.is_none() => filter.any.push(contents),
                SUBSTRING_FINAL if filter.last.is_none() => filter.last = Some(contents),
                _ => return Err(FilterError::BadSubstrings),
            }
        }
        Ok(filter)
    }

    fn write(&self, out: &mut Vec<u8>) {
        ber::write_constructed(out, SUBSTRINGS, |out| {
            ber::write_element(out, ber::OCTET_STRING, self.attribute);
            ber::write_constructed(out, ber::SEQUENCE, |out| {
                if let Some(initial) = self.initial {
                    ber::write_element(out, SUBSTRING_INITIAL, initial);
                }
                self.any
                    .iter()
                    .for_each(|any| ber::write_element(out, SUBSTRING_ANY, any));
                if let Some(last) = self.last {
                    ber::write_element(out, SUBSTRING_FINAL, last);
                }
            });
        });
    }
}

impl<'a> MatchingRuleAssertion<'a> {
    fn read(mut reader: Reader<'a>) -> Result<Self, FilterError> {
        let matching_rule = reader.optional(0x81)?;
        let attribute = reader.optional(0x82)?;
        let value = reader.expect(0x83)?;
        let dn_attributes = match reader.optional(0x84)? {
            Some(contents) => ber::parse_boolean(contents)?,
            None => false,
        };
        reader.end_of_sequence(&[0x81, 0x82, 0x83, 0x84])?;
        if matching_rule.is_none() && attribute.is_none() {
            return Err(FilterError::BadExtensible);
        }
        Ok(Self {
            matching_rule,
            attribute,
            value,
            dn_attributes,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        ber::write_constructed(out, EXTENSIBLE, |out| {
            if let Some(rule) = self.matching_rule {
                ber::write_element(out, 0x81, rule);
            }
            if let Some(attribute) = self.attribute {
                ber::write_element(out, 0x82, attribute);
            }
            ber::write_element(out, 0x83, self.value);
            if self.dn_attributes {
                ber::write_element(out, 0x84, &[0xff]);
            }
        });
    }
}

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

/// Writes octets as RFC 4515 section 3 escapes them; also what would disturb a log line.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(filter: &Filter<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        filter.write(&mut out);
        out
    }

    fn equality<'a>(attribute: &'a str, value: &'a [u8]) -> Filter<'a> {
        Filter::Equality(AttributeValueAssertion {
            attribute: attribute.as_bytes(),
            value,
        })
    }

    #[test]
    fn every_form_round_trips_and_prints_escaped() {
        let filter = Filter::And(vec![
            equality("cn", b"a*b(c)\\\xff"),
            Filter::Or(vec![]),
            Filter::Not(Box::new(Filter::Present(b"mail"))),
            Filter::Substrings(SubstringFilter {
                attribute: b"sn",
                initial: Some(b"a"),
                any: vec![b"b", b"*"],
                last: Some(b"d"),
            }),
            Filter::GreaterOrEqual(AttributeValueAssertion {
                attribute: b"uidNumber",
                value: b"5",
            }),
            Filter::LessOrEqual(AttributeValueAssertion {
                attribute: b"uidNumber",
                value: b"9",
            }),
            Filter::Approx(AttributeValueAssertion {
                attribute: b"cn",
                value: "zoë".as_bytes(),
            }),
            Filter::Extensible(MatchingRuleAssertion {
                matching_rule: Some(b"1.2.840.113556.1.4.1941"),
                attribute: Some(b"memberOf"),
                value: b"cn=x",
                dn_attributes: true,
            }),
        ]);
        let encoded = encode(&filter);
        assert_eq!(Filter::read(&mut Reader::new(&encoded)), Ok(filter.clone()));
        assert!(filter.size() <= encoded.len() && encoded.len() <= 2 * filter.size());
        assert_eq!(
            filter.to_string(),
            "(&(cn=a\\2ab\\28c\\29\\5c\\ff)(|)(!(mail=*))(sn=a*b*\\2a*d)(uidNumber>=5)(uidNumber<=9)(cn~=zoë)\
             (memberOf:dn:1.2.840.113556.1.4.1941:=cn=x))"
        );
    }

    #[test]
    fn depth_and_size_have_limits() {
        let nested = |levels: usize| {
            let filter = (1..levels).fold(Filter::Present(b"cn"), |inner, _| Filter::Not(Box::new(inner)));
            encode(&filter)
        };
        assert!(Filter::read(&mut Reader::new(&nested(MAX_DEPTH))).is_ok());
        assert_eq!(
            Filter::read(&mut Reader::new(&nested(MAX_DEPTH + 1))),
            Err(FilterError::TooDeep)
        );
        let wide = |count: usize| encode(&Filter::Or(vec![Filter::Present(b"a"); count]));
        assert!(Filter::read(&mut Reader::new(&wide(MAX_COMPONENTS - 1))).is_ok());
        assert_eq!(
            Filter::read(&mut Reader::new(&wide(MAX_COMPONENTS))),
            Err(FilterError::TooLarge)
        );
    }

    #[test]
    fn malformed_components_are_named() {
        let cases: [(&[u8], FilterError); 8] = [
            (&[0xaf, 0], FilterError::UnknownComponent(0xaf)),
            (&[0xa2, 0], FilterError::Ber(BerError::Truncated)),
            (
                &[0xa2, 4, 0x87, 0, 0x87, 0],
                FilterError::Ber(BerError::TrailingData),
            ),
            (
                &[0xa3, 9, 4, 1, b'a', 4, 1, b'b', 4, 1, b'c'],
                FilterError::Ber(BerError::TrailingData),
            ),
            (&[0xa4, 5, 4, 1, b'a', 0x30, 0], FilterError::BadSubstrings),
            (
                &[0xa4, 9, 4, 1, b'a', 0x30, 4, 0x82, 0, 0x80, 0],
                FilterError::BadSubstrings,
            ),
            (&[0xa9, 2, 0x83, 0], FilterError::BadExtensible),
            (&[0xa3, 3, 4, 1, b'a'], FilterError::Ber(BerError::Truncated)),
        ];
        for (octets, error) in cases {
            assert_eq!(
                Filter::read(&mut Reader::new(octets)),
                Err(error),
                "{octets:02x?}"
            );
        }
    }
}
