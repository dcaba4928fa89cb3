//! Octets as the text form of filters spells them (RFC 4515 section 3). Must not know filters.

use std::fmt;

/// A value as filters spell it: escaped as in RFC 4515 section 3, and with anything that would disturb a
/// log line escaped.
pub fn escape(value: &[u8]) -> impl fmt::Display {
    Escaped(value)
}

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
