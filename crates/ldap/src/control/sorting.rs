//! The values of server side sorting (RFC 2891).
//!
//! Must not know which attributes can be sorted by.

use crate::ber::{self, BerError, Reader};

/// One key of a sort request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// The attribute to sort by, as sent.
    pub attribute: Vec<u8>,
    /// The ordering rule, by name or OID.
    pub ordering_rule: Option<Vec<u8>>,
    /// Descending instead of ascending.
    pub reverse_order: bool,
}

/// The most keys a sort request may have; more than a few never mean anything.
pub const MAX_SORT_KEYS: usize = 16;

impl SortKey {
    /// Reads the value of a sort request.
    ///
    /// # Errors
    /// When it is malformed, has no key or more than [`MAX_SORT_KEYS`].
    pub fn read_all(value: &[u8]) -> Result<Vec<Self>, BerError> {
        let mut outer = Reader::new(value);
        let mut list = outer.constructed(ber::SEQUENCE)?;
        outer.end()?;
        let mut keys = Vec::new();
        while !list.is_empty() {
            let mut key = list.constructed(ber::SEQUENCE)?;
            let attribute = key.octet_string()?.to_vec();
            let ordering_rule = key.optional(0x80)?.map(<[u8]>::to_vec);
            let reverse_order = key
                .optional(0x81)?
                .map(ber::parse_boolean)
                .transpose()?
                .unwrap_or(false);
            key.end_of_sequence(&[ber::OCTET_STRING, 0x80, 0x81])?;
            keys.push(Self {
                attribute,
                ordering_rule,
                reverse_order,
            });
            if keys.len() > MAX_SORT_KEYS {
                return Err(BerError::TrailingData);
            }
        }
        if keys.is_empty() {
            Err(BerError::Truncated)
        } else {
            Ok(keys)
        }
    }

    /// The value of a sort request with these keys.
    #[must_use]
    pub fn encode_all(keys: &[Self]) -> Vec<u8> {
        let mut out = Vec::new();
        ber::write_constructed(&mut out, ber::SEQUENCE, |out| {
            for key in keys {
                ber::write_constructed(out, ber::SEQUENCE, |out| {
                    ber::write_element(out, ber::OCTET_STRING, &key.attribute);
                    if let Some(rule) = &key.ordering_rule {
                        ber::write_element(out, 0x80, rule);
                    }
                    if key.reverse_order {
                        ber::write_element(out, 0x81, &[0xff]);
                    }
                });
            }
        });
        out
    }
}

/// The value of a sort response: the result code of RFC 2891 section 1.2 and the attribute at fault.
#[must_use]
pub fn encode_sort_response(code: u8, attribute: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    ber::write_constructed(&mut out, ber::SEQUENCE, |out| {
        ber::write_integer(out, ber::ENUMERATED, i64::from(code));
        if let Some(attribute) = attribute {
            ber::write_element(out, 0x80, attribute);
        }
    });
    out
}
