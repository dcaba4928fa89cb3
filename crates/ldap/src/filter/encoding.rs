//! A filter as BER (RFC 4511 section 4.5.1.7), read under limits and written.
//!
//! Must not know how a filter is written for people.

use super::{
    AttributeValueAssertion, Filter, FilterError, MAX_COMPONENTS, MAX_DEPTH, MatchingRuleAssertion,
    SubstringFilter,
};
use crate::ber::{self, BerError, Element, Reader};

/// Filters that an And or Or has room for at first.
const USUAL: usize = 4;

pub(super) const AND: u8 = 0xa0;
pub(super) const OR: u8 = 0xa1;
pub(super) const NOT: u8 = 0xa2;
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

impl<'a> Filter<'a> {
    /// Reads the filter that is the next element of `reader`.
    ///
    /// # Errors
    /// When it is malformed or beyond the limits.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, FilterError> {
        let mut components = 0;
        read_filter(reader, 0, &mut components)
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
    // Each arm makes the whole result, which would otherwise be copied once more.
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

fn write_all(out: &mut Vec<u8>, tag: u8, filters: &[Filter<'_>]) {
    ber::write_constructed(out, tag, |out| {
        filters.iter().for_each(|filter| filter.write(out))
    });
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
