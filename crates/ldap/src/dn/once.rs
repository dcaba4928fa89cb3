//! A name as a request has it, parsed at most once however many callers ask what it means.
//!
//! Must not know what it means.

use std::cell::OnceCell;

use super::name::Dn;
use super::parser::DnError;

/// A name in its string form. Most names are understood without being parsed, so parsing is
/// deferred.
#[derive(Debug)]
pub struct Name<'n> {
    octets: &'n [u8],
    parsed: OnceCell<Result<Dn, DnError>>,
}

impl<'n> Name<'n> {
    /// Nothing is parsed yet.
    #[must_use]
    #[inline]
    pub fn new(octets: &'n [u8]) -> Self {
        Self {
            octets,
            parsed: OnceCell::new(),
        }
    }

    /// The string, as the request has it.
    #[must_use]
    #[inline]
    pub fn octets(&self) -> &'n [u8] {
        self.octets
    }

    /// What it is as a distinguished name.
    ///
    /// # Errors
    /// When it is not one.
    pub fn parsed(&self) -> Result<&Dn, DnError> {
        let parsed = self.parsed.get_or_init(|| Dn::parse(self.octets));
        parsed.as_ref().map_err(|error| *error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_parsed_once() {
        for octets in [&b"cn=a, dc=b"[..], b"a,dc=b"] {
            let name = Name::new(octets);
            assert_eq!(name.parsed().cloned(), Dn::parse(octets));
            assert_eq!(name.octets(), octets);
            if let (Ok(first), Ok(second)) = (name.parsed(), name.parsed()) {
                assert!(std::ptr::eq(first, second));
            }
        }
    }
}
