//! The SearchRequest (RFC 4511 section 4.5), borrowed: it is the hot path, and its values may be any octets.
//!
//! Must not know which entries there are.

use super::error::OperationError;
use crate::ber::{self, Reader};
use crate::filter::Filter;

/// Attribute descriptions that a search initially has room for.
const USUAL_ATTRIBUTES: usize = 4;
/// The tags of the elements of a SearchRequest, those of filters among them.
const SEARCH: &[u8] = &[
    ber::OCTET_STRING,
    ber::ENUMERATED,
    ber::INTEGER,
    ber::BOOLEAN,
    ber::SEQUENCE,
    0xa0,
    0xa1,
    0xa2,
    0xa3,
    0xa4,
    0xa5,
    0xa6,
    0x87,
    0xa8,
    0xa9,
];

/// A SearchRequest.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchRequest<'a> {
    /// The base DN, as sent.
    pub base_object: &'a [u8],
    /// How far to look.
    pub scope: Scope,
    /// `0..=3`; there are no aliases, so it changes nothing.
    pub deref_aliases: u8,
    /// The most entries wanted; 0 for no limit.
    pub size_limit: u32,
    /// The most seconds wanted; 0 for no limit.
    pub time_limit: u32,
    /// Attribute names without values.
    pub types_only: bool,
    /// Which entries.
    pub filter: Filter<'a>,
    /// Which attributes, as sent.
    pub attributes: Vec<&'a [u8]>,
}

/// The scope of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The base entry alone.
    BaseObject,
    /// The entries one level below the base.
    SingleLevel,
    /// The base and everything below it.
    WholeSubtree,
    /// Everything below the base but not itself (draft-sermersheim-ldap-subordinate-scope).
    SubordinateSubtree,
}

impl<'a> SearchRequest<'a> {
    pub(super) fn read(contents: &'a [u8]) -> Result<Self, OperationError> {
        let mut reader = Reader::new(contents);
        let base_object = reader.octet_string()?;
        let scope = match reader.enumerated()? {
            0 => Scope::BaseObject,
            1 => Scope::SingleLevel,
            2 => Scope::WholeSubtree,
            3 => Scope::SubordinateSubtree,
            other => return Err(OperationError::Scope(other)),
        };
        let deref_aliases = match reader.enumerated()? {
            0 => 0,
            1 => 1,
            2 => 2,
            3 => 3,
            other => return Err(OperationError::DerefAliases(other)),
        };
        let size_limit = reader.max_int()?;
        let time_limit = reader.max_int()?;
        let types_only = reader.boolean()?;
        let filter = Filter::read(&mut reader)?;
        let mut names = reader.constructed(ber::SEQUENCE)?;
        reader.end_of_sequence(SEARCH)?;
        let mut attributes = Vec::with_capacity(if names.is_empty() { 0 } else { USUAL_ATTRIBUTES });
        while !names.is_empty() {
            attributes.push(names.octet_string()?);
        }
        Ok(Self {
            base_object,
            scope,
            deref_aliases,
            size_limit,
            time_limit,
            types_only,
            filter,
            attributes,
        })
    }

    /// Appends the request as BER, protocolOp tag included.
    pub fn write(&self, out: &mut Vec<u8>) {
        ber::write_constructed(out, 0x63, |out| {
            ber::write_element(out, ber::OCTET_STRING, self.base_object);
            let scope = match self.scope {
                Scope::BaseObject => 0,
                Scope::SingleLevel => 1,
                Scope::WholeSubtree => 2,
                Scope::SubordinateSubtree => 3,
            };
            ber::write_integer(out, ber::ENUMERATED, scope);
            ber::write_integer(out, ber::ENUMERATED, i64::from(self.deref_aliases));
            ber::write_integer(out, ber::INTEGER, i64::from(self.size_limit));
            ber::write_integer(out, ber::INTEGER, i64::from(self.time_limit));
            ber::write_boolean(out, self.types_only);
            self.filter.write(out);
            ber::write_constructed(out, ber::SEQUENCE, |out| {
                for attribute in &self.attributes {
                    ber::write_element(out, ber::OCTET_STRING, attribute);
                }
            });
        });
    }
}
