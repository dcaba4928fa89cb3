//! The values of a virtual list view (draft-ietf-ldapext-ldapv3-vlv-09).
//!
//! Must not know how a list is sorted or how long it is.

use crate::ber::{self, BerError, Reader};

/// The value of a virtual list view request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VlvRequest {
    /// Entries wanted before the target.
    pub before_count: u32,
    /// Entries wanted after the target.
    pub after_count: u32,
    /// The target.
    pub target: VlvTarget,
    /// The context the server gave with an earlier answer.
    pub context_id: Option<Vec<u8>>,
}

/// Where a virtual list view request points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VlvTarget {
    /// By position in a list the client believes to have `content_count` entries.
    ByOffset {
        /// 1-based position.
        offset: u32,
        /// Size of the list as the client knows it, 0 if it does not.
        content_count: u32,
    },
    /// The first entry whose primary sort key is not less than this value.
    GreaterOrEqual(Vec<u8>),
}

impl VlvRequest {
    /// Reads the value of a request.
    ///
    /// # Errors
    /// When the value is malformed.
    pub fn read(value: &[u8]) -> Result<Self, BerError> {
        let mut outer = Reader::new(value);
        let mut sequence = outer.constructed(ber::SEQUENCE)?;
        outer.end()?;
        let before_count = sequence.max_int()?;
        let after_count = sequence.max_int()?;
        let element = sequence.element()?;
        let target = match element.tag {
            0xa0 => {
                let mut by_offset = Reader::new(element.contents);
                let target = VlvTarget::ByOffset {
                    offset: by_offset.max_int()?,
                    content_count: by_offset.max_int()?,
                };
                by_offset.end_of_sequence(&[ber::INTEGER])?;
                target
            }
            0x81 => VlvTarget::GreaterOrEqual(element.contents.to_vec()),
            found => {
                return Err(BerError::UnexpectedTag {
                    expected: 0xa0,
                    found,
                });
            }
        };
        let context_id = sequence.optional(ber::OCTET_STRING)?.map(<[u8]>::to_vec);
        sequence.end_of_sequence(&[ber::INTEGER, ber::OCTET_STRING, 0xa0, 0x81])?;
        Ok(Self {
            before_count,
            after_count,
            target,
            context_id,
        })
    }

    /// The value as octets.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        ber::write_constructed(&mut out, ber::SEQUENCE, |out| {
            ber::write_integer(out, ber::INTEGER, i64::from(self.before_count));
            ber::write_integer(out, ber::INTEGER, i64::from(self.after_count));
            match &self.target {
                VlvTarget::ByOffset {
                    offset,
                    content_count,
                } => ber::write_constructed(out, 0xa0, |out| {
                    ber::write_integer(out, ber::INTEGER, i64::from(*offset));
                    ber::write_integer(out, ber::INTEGER, i64::from(*content_count));
                }),
                VlvTarget::GreaterOrEqual(value) => ber::write_element(out, 0x81, value),
            }
            if let Some(context_id) = &self.context_id {
                ber::write_element(out, ber::OCTET_STRING, context_id);
            }
        });
        out
    }
}

/// The value of a virtual list view response.
#[must_use]
pub fn encode_vlv_response(target_position: u32, content_count: u32, code: u8) -> Vec<u8> {
    let mut out = Vec::new();
    ber::write_constructed(&mut out, ber::SEQUENCE, |out| {
        ber::write_integer(out, ber::INTEGER, i64::from(target_position));
        ber::write_integer(out, ber::INTEGER, i64::from(content_count));
        ber::write_integer(out, ber::ENUMERATED, i64::from(code));
    });
    out
}
