//! The value of a paged results control (RFC 2696).
//!
//! Must not know what a cookie says.

use crate::ber::{self, BerError, Reader};

/// The value of a paged results control, request and response alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PagedResults {
    /// Request: entries per page, 0 ends the sequence. Response: an estimate of the total, 0 if unknown.
    pub size: u32,
    /// Where to continue; empty at the start and after the last page.
    pub cookie: Vec<u8>,
}

impl PagedResults {
    /// Reads the value of a request.
    ///
    /// # Errors
    /// When the value is malformed.
    pub fn read(value: &[u8]) -> Result<Self, BerError> {
        let mut outer = Reader::new(value);
        let mut sequence = outer.constructed(ber::SEQUENCE)?;
        let size = sequence.max_int()?;
        let cookie = sequence.octet_string()?.to_vec();
        sequence.end_of_sequence(&[ber::INTEGER, ber::OCTET_STRING])?;
        outer.end()?;
        Ok(Self { size, cookie })
    }

    /// The value as octets.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        ber::write_constructed(&mut out, ber::SEQUENCE, |out| {
            ber::write_integer(out, ber::INTEGER, i64::from(self.size));
            ber::write_element(out, ber::OCTET_STRING, &self.cookie);
        });
        out
    }
}
