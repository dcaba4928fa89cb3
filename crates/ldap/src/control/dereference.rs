//! The value of a dereference request (draft-masarati-ldap-deref).
//!
//! Must not know which attributes name entries.

use crate::ber::{self, BerError, Reader};

/// One `derefAttr:attributes` of a dereference request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DerefSpec {
    /// The DN-valued attribute to follow.
    pub deref_attribute: Vec<u8>,
    /// The attributes wanted of the entries it names.
    pub attributes: Vec<Vec<u8>>,
}

/// The most specifications, and most attributes of one, in a dereference request.
pub const MAX_DEREF_ITEMS: usize = 64;

impl DerefSpec {
    /// Reads the value of a request.
    ///
    /// # Errors
    /// When the value is malformed or has more than [`MAX_DEREF_ITEMS`].
    pub fn read_all(value: &[u8]) -> Result<Vec<Self>, BerError> {
        let mut outer = Reader::new(value);
        let mut list = outer.constructed(ber::SEQUENCE)?;
        outer.end()?;
        let mut specs = Vec::new();
        while !list.is_empty() {
            let mut spec = list.constructed(ber::SEQUENCE)?;
            let deref_attribute = spec.octet_string()?.to_vec();
            let mut names = spec.constructed(ber::SEQUENCE)?;
            spec.end_of_sequence(&[ber::OCTET_STRING, ber::SEQUENCE])?;
            let mut attributes = Vec::new();
            while !names.is_empty() {
                attributes.push(names.octet_string()?.to_vec());
            }
            specs.push(Self {
                deref_attribute,
                attributes,
            });
            if specs.len() > MAX_DEREF_ITEMS
                || specs.iter().any(|spec| spec.attributes.len() > MAX_DEREF_ITEMS)
            {
                return Err(BerError::TrailingData);
            }
        }
        Ok(specs)
    }

    /// The value of a request with these specifications.
    #[must_use]
    pub fn encode_all(specs: &[Self]) -> Vec<u8> {
        let mut out = Vec::new();
        ber::write_constructed(&mut out, ber::SEQUENCE, |out| {
            for spec in specs {
                ber::write_constructed(out, ber::SEQUENCE, |out| {
                    ber::write_element(out, ber::OCTET_STRING, &spec.deref_attribute);
                    ber::write_constructed(out, ber::SEQUENCE, |out| {
                        for attribute in &spec.attributes {
                            ber::write_element(out, ber::OCTET_STRING, attribute);
                        }
                    });
                });
            }
        });
        out
    }
}
