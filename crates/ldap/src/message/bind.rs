//! The BindRequest (RFC 4511 section 4.2), borrowed: a password is not copied.
//!
//! Must not show its password when it is printed.

use std::fmt;

use crate::ber::{self, BerError, Reader};

/// The tags of an AuthenticationChoice.
const SIMPLE: u8 = 0x80;
const SASL: u8 = 0xa3;

/// A BindRequest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BindRequest<'a> {
    /// Protocol version; only 3 can be served.
    pub version: i64,
    /// The bind DN, as sent.
    pub name: &'a [u8],
    /// How the client proves itself.
    pub authentication: Authentication<'a>,
}

/// The authentication choice of a BindRequest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Authentication<'a> {
    /// The password, any octets.
    Simple(&'a [u8]),
    /// A SASL mechanism by its name.
    Sasl(&'a [u8]),
    /// A choice RFC 4511 does not have.
    Unknown(u8),
}

impl<'a> BindRequest<'a> {
    pub(super) fn read(contents: &'a [u8]) -> Result<Self, BerError> {
        let mut reader = Reader::new(contents);
        let version = reader.integer()?;
        let name = reader.octet_string()?;
        let choice = reader.element()?;
        let authentication = match choice.tag {
            SIMPLE => Authentication::Simple(choice.contents),
            SASL => {
                let mut sasl = Reader::new(choice.contents);
                let mechanism = sasl.octet_string()?;
                sasl.optional(ber::OCTET_STRING)?;
                sasl.end_of_sequence(&[ber::OCTET_STRING])?;
                Authentication::Sasl(mechanism)
            }
            unknown => Authentication::Unknown(unknown),
        };
        reader.end_of_sequence(&[ber::INTEGER, ber::OCTET_STRING, SIMPLE, SASL])?;
        Ok(Self {
            version,
            name,
            authentication,
        })
    }
}

impl fmt::Debug for BindRequest<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = match self.authentication {
            Authentication::Simple(_) => "simple",
            Authentication::Sasl(_) => "sasl",
            Authentication::Unknown(_) => "unknown",
        };
        let name = String::from_utf8_lossy(self.name);
        write!(
            formatter,
            "BindRequest {{ version: {}, name: {name:?}, {method} }}",
            self.version
        )
    }
}

impl fmt::Debug for Authentication<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Authentication")
    }
}
