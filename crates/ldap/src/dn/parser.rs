//! From a string to a name: the grammar of RFC 4514 section 3, with the liberties that clients take.
//!
//! Must not know how names are compared.

use thiserror::Error;

use super::name::{AttributeTypeAndValue, Dn, Rdn};
use crate::{ber, steps};

/// The most assertions of one RDN. More than two or three never mean anything, and comparing them sorts them.
pub const MAX_ASSERTIONS: usize = 64;

/// Why a string is not a distinguished name.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DnError {
    /// An RDN has no `=`.
    #[error("'=' is missing after an attribute type")]
    MissingEquals,
    /// The attribute type is empty or has characters that no attribute type has (RFC 4512 section 1.4).
    #[error("an attribute type is malformed")]
    BadAttribute,
    /// A backslash that escapes nothing.
    #[error("a backslash escapes nothing")]
    BadEscape,
    /// A `#` value that is not hexadecimal BER.
    #[error("a '#' value is not hexadecimal BER")]
    BadHex,
    /// A quoted value without its closing quote.
    #[error("a quoted value does not end")]
    UnclosedQuote,
    /// More than [`MAX_ASSERTIONS`].
    #[error("an RDN has more than {MAX_ASSERTIONS} assertions")]
    TooManyAssertions,
}

impl Dn {
    /// Reads a name from its string form.
    ///
    /// # Errors
    /// When the string is not a distinguished name.
    pub fn parse(string: &[u8]) -> Result<Self, DnError> {
        let mut parser = Parser { rest: string };
        let mut rdns = Vec::new();
        parser.skip_spaces();
        if parser.rest.is_empty() {
            return Ok(Self { rdns });
        }
        loop {
            rdns.push(parser.rdn()?);
            match parser.next() {
                None => return Ok(Self { rdns }),
                Some(_separator) => parser.skip_spaces(),
            }
        }
    }
}

impl Rdn {
    /// Reads a string that is one RDN, apart from spaces around it.
    ///
    /// # Errors
    /// When the string is not an RDN.
    pub(crate) fn parse(string: &[u8]) -> Result<Self, DnError> {
        let mut parser = Parser { rest: string };
        parser.skip_spaces();
        let rdn = parser.rdn()?;
        match parser.next() {
            None => Ok(rdn),
            Some(_separator) => Err(DnError::BadAttribute),
        }
    }
}

struct Parser<'a> {
    rest: &'a [u8],
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn next(&mut self) -> Option<u8> {
        steps::add(1);
        let (&octet, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(octet)
    }

    fn skip_spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.next();
        }
    }

    /// Reads up to the separator after the RDN, which stays unread.
    fn rdn(&mut self) -> Result<Rdn, DnError> {
        let mut assertions = vec![self.assertion()?];
        while self.peek() == Some(b'+') {
            self.next();
            self.skip_spaces();
            if assertions.len() >= MAX_ASSERTIONS {
                return Err(DnError::TooManyAssertions);
            }
            assertions.push(self.assertion()?);
        }
        Ok(Rdn { assertions })
    }

    fn assertion(&mut self) -> Result<AttributeTypeAndValue, DnError> {
        let attribute = self.attribute()?;
        self.skip_spaces();
        let value = match self.peek() {
            Some(b'#') => self.hex_value()?,
            Some(b'"') => self.quoted_value()?,
            _ => self.plain_value()?,
        };
        Ok(AttributeTypeAndValue { attribute, value })
    }

    fn attribute(&mut self) -> Result<String, DnError> {
        let mut attribute = String::new();
        loop {
            match self.next() {
                None | Some(b',' | b'+') => return Err(DnError::MissingEquals),
                Some(b'=') => break,
                Some(octet)
                    if octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b';') =>
                {
                    attribute.push(char::from(octet));
                }
                Some(b' ') => {
                    self.skip_spaces();
                    if self.peek() != Some(b'=') {
                        steps::add(self.rest.len());
                        return Err(if self.rest.contains(&b'=') {
                            DnError::BadAttribute
                        } else {
                            DnError::MissingEquals
                        });
                    }
                }
                Some(_) => return Err(DnError::BadAttribute),
            }
        }
        if attribute.is_empty() {
            Err(DnError::BadAttribute)
        } else {
            Ok(attribute)
        }
    }

    fn plain_value(&mut self) -> Result<Vec<u8>, DnError> {
        let mut value = Vec::new();
        // Unescaped spaces at the end do not belong to the value; escaped ones do.
        let mut keep = 0;
        while let Some(octet) = self.peek() {
            match octet {
                b',' | b';' | b'+' => break,
                b'\\' => {
                    self.next();
                    value.push(self.escaped()?);
                    keep = value.len();
                }
                _ => {
                    self.next();
                    value.push(octet);
                    if octet != b' ' {
                        keep = value.len();
                    }
                }
            }
        }
        value.truncate(keep);
        Ok(value)
    }

    fn quoted_value(&mut self) -> Result<Vec<u8>, DnError> {
        self.next();
        let mut value = Vec::new();
        loop {
            match self.next() {
                None => return Err(DnError::UnclosedQuote),
                Some(b'"') => break,
                Some(b'\\') => value.push(self.escaped()?),
                Some(octet) => value.push(octet),
            }
        }
        self.skip_spaces();
        match self.peek() {
            None | Some(b',' | b';' | b'+') => Ok(value),
            Some(_) => Err(DnError::UnclosedQuote),
        }
    }

    /// The octet after a backslash: a hexadecimal pair, or any other character for itself.
    fn escaped(&mut self) -> Result<u8, DnError> {
        let first = self.next().ok_or(DnError::BadEscape)?;
        let digits = hex_digit(first).zip(self.peek().and_then(hex_digit));
        match digits {
            Some((high, low)) => {
                self.next();
                Ok(high << 4 | low)
            }
            None if first.is_ascii_alphanumeric() => Err(DnError::BadEscape),
            None => Ok(first),
        }
    }

    fn hex_value(&mut self) -> Result<Vec<u8>, DnError> {
        self.next();
        let mut octets = Vec::new();
        while let Some(high) = self.peek().and_then(hex_digit) {
            self.next();
            let low = self.next().and_then(hex_digit).ok_or(DnError::BadHex)?;
            octets.push(high << 4 | low);
        }
        self.skip_spaces();
        if !matches!(self.peek(), None | Some(b',' | b';' | b'+')) {
            return Err(DnError::BadHex);
        }
        let mut reader = ber::Reader::new(&octets);
        let element = reader.element().map_err(|_| DnError::BadHex)?;
        reader.end().map_err(|_| DnError::BadHex)?;
        Ok(element.contents.to_vec())
    }
}

fn hex_digit(octet: u8) -> Option<u8> {
    char::from(octet)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}
