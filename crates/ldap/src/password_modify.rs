//! The Password Modify extended operation (RFC 3062) as bytes: the value of its request and that of its response.
//!
//! Must not know whose password it is about or what follows. What it reads is borrowed and what it writes is wiped, because both
//! are passwords.

use zeroize::Zeroizing;

use crate::ber::{self, BerError, Reader};

/// The name of the operation.
pub const PASSWORD_MODIFY: &str = "1.3.6.1.4.1.4203.1.11.1";

const USER_IDENTITY: u8 = 0x80;
const OLD_PASSWORD: u8 = 0x81;
const NEW_PASSWORD: u8 = 0x82;
const GENERATED_PASSWORD: u8 = 0x80;

/// A PasswdModifyRequestValue.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct PasswordModify<'a> {
    /// Whose password; that of whoever is bound, if absent.
    pub user_identity: Option<&'a [u8]>,
    /// The old password.
    pub old_password: Option<&'a [u8]>,
    /// The new password; the server generates one if it is absent.
    pub new_password: Option<&'a [u8]>,
}

impl<'a> PasswordModify<'a> {
    /// Reads the value of a request. A request need not have one: then all parts are absent.
    ///
    /// # Errors
    /// When the value is malformed.
    pub fn read(value: Option<&'a [u8]>) -> Result<Self, BerError> {
        let Some(value) = value else {
            return Ok(Self::default());
        };
        let mut outer = Reader::new(value);
        let mut sequence = outer.constructed(ber::SEQUENCE)?;
        let read = Self {
            user_identity: sequence.optional(USER_IDENTITY)?,
            old_password: sequence.optional(OLD_PASSWORD)?,
            new_password: sequence.optional(NEW_PASSWORD)?,
        };
        // An OCTET STRING that does not say which part it is comes from a client that means one of them.
        sequence.end_of_sequence(&[USER_IDENTITY, OLD_PASSWORD, NEW_PASSWORD, ber::OCTET_STRING])?;
        outer.end()?;
        Ok(read)
    }

    /// The value as octets.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let parts = [
            (USER_IDENTITY, self.user_identity),
            (OLD_PASSWORD, self.old_password),
            (NEW_PASSWORD, self.new_password),
        ];
        encode(&parts)
    }
}

impl std::fmt::Debug for PasswordModify<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("PasswordModify")
            .field("user_identity", &self.user_identity.map(String::from_utf8_lossy))
            .field("old_password", &self.old_password.is_some())
            .field("new_password", &self.new_password.is_some())
            .finish()
    }
}

/// The PasswdModifyResponseValue with a password that the server generated.
#[must_use]
pub fn encode_generated(password: &[u8]) -> Zeroizing<Vec<u8>> {
    encode(&[(GENERATED_PASSWORD, Some(password))])
}

/// A SEQUENCE of the parts that are present.
fn encode(parts: &[(u8, Option<&[u8]>)]) -> Zeroizing<Vec<u8>> {
    let there = || parts.iter().filter_map(|(tag, part)| Some((*tag, (*part)?)));
    let size = there().map(|(_, part)| ber::element_size(part.len())).sum();
    // Room for everything at once, because a growing buffer leaves copies behind.
    let mut out = Zeroizing::new(Vec::with_capacity(ber::element_size(size)));
    ber::write_header(&mut out, ber::SEQUENCE, size);
    there().for_each(|(tag, part)| ber::write_element(&mut out, tag, part));
    out
}

#[cfg(test)]
mod tests {
    use ldap3_proto::proto::{
        LdapExtendedRequest, LdapExtendedResponse, LdapPasswordModifyRequest, LdapPasswordModifyResponse,
        LdapResult, LdapResultCode,
    };
    use proptest::prelude::*;

    use super::*;

    fn read(value: &[u8]) -> Result<PasswordModify<'_>, BerError> {
        PasswordModify::read(Some(value))
    }

    #[test]
    fn every_part_may_be_missing_and_none_may_be_out_of_place() {
        assert_eq!(PasswordModify::read(None), Ok(PasswordModify::default()));
        assert_eq!(read(&[0x30, 0]), Ok(PasswordModify::default()));
        let whole = [0x30, 9, 0x80, 1, b'u', 0x81, 1, b'o', 0x82, 1, b'n'];
        let wanted = PasswordModify {
            user_identity: Some(b"u"),
            old_password: Some(b"o"),
            new_password: Some(b"n"),
        };
        assert_eq!(read(&whole), Ok(wanted));
        assert_eq!(wanted.encode().as_slice(), whole);
        // What a later version may add is ignored; what is known has its place.
        assert!(read(&[0x30, 5, 0x82, 1, b'n', 0x83, 0]).is_ok());
        for bad in [
            &[][..],
            &[0x30, 6, 0x82, 1, b'n', 0x81, 1, b'o'],
            &[0x30, 6, 0x82, 1, b'n', 0x82, 1, b'o'],
            &[0x30, 3, 0x82, 2, b'n'],
            &[0x30, 0, 0],
            &[0x31, 0],
        ] {
            assert!(read(bad).is_err(), "{bad:02x?}");
        }
        // Nor are they extensions in another form, wherever they are.
        for tag in 0..=u8::MAX {
            for known in [&[][..], &[0x80, 1, b'u'], &[0x82, 1, b'n']] {
                let mut value = vec![0x30, 3 + u8::try_from(known.len()).unwrap()];
                value.extend_from_slice(known);
                value.extend_from_slice(&[tag, 1, 0]);
                let form = tag & !0x20;
                let in_place = (known.is_empty() && (0x80..=0x82).contains(&tag))
                    || (known.first() == Some(&0x80) && (0x81..=0x82).contains(&tag));
                // Octets of a longer tag number: the 1 is the number, and the 0 its length.
                let is_extension = tag != 0 && ![0x80, 0x81, 0x82, 0x04].contains(&form);
                assert_eq!(read(&value).is_ok(), in_place || is_extension, "{value:02x?}");
            }
        }
        let shown = format!("{wanted:?}");
        assert!(
            shown.contains("\"u\"") && !shown.contains("\"o\"") && !shown.contains("\"n\""),
            "{shown}"
        );
    }

    #[test]
    fn no_buffer_grows() {
        for size in [0, 100, 120, 127, 128, 250, 256, 65_536] {
            let password = vec![b'x'; size];
            let out = encode_generated(&password);
            assert_eq!(out.capacity(), out.len(), "{size}");
            let request = PasswordModify {
                new_password: Some(&password),
                ..PasswordModify::default()
            };
            let out = request.encode();
            assert_eq!(out.capacity(), out.len(), "{size}");
            assert_eq!(read(&out), Ok(request));
        }
    }

    fn text() -> impl Strategy<Value = Option<String>> {
        prop::option::of("\\PC{0,200}")
    }

    proptest! {
        #[test]
        fn what_ldap3_proto_asks_is_read_as_meant(user in text(), old in text(), new in text()) {
            let theirs = LdapPasswordModifyRequest {
                user_identity: user.clone(),
                old_password: old.clone(),
                new_password: new.clone(),
            };
            let request = LdapExtendedRequest::from(theirs);
            prop_assert_eq!(request.name.as_str(), PASSWORD_MODIFY);
            let ours = PasswordModify::read(request.value.as_deref()).unwrap();
            let wanted = PasswordModify {
                user_identity: user.as_deref().map(str::as_bytes),
                old_password: old.as_deref().map(str::as_bytes),
                new_password: new.as_deref().map(str::as_bytes),
            };
            prop_assert_eq!(ours, wanted);
            let encoded = ours.encode().to_vec();
            prop_assert_eq!(Some(encoded), request.value.clone());
        }

        #[test]
        fn what_is_made_up_ldap3_proto_reads(password in "\\PC{0,200}") {
            let response = LdapExtendedResponse {
                res: LdapResult {
                    code: LdapResultCode::Success,
                    matcheddn: String::new(),
                    message: String::new(),
                    referral: Vec::new(),
                },
                // RFC 3062 section 2: the responseName is absent.
                name: None,
                value: Some(encode_generated(password.as_bytes()).to_vec()),
            };
            let theirs = LdapPasswordModifyResponse::try_from(&response).unwrap();
            prop_assert_eq!(theirs.gen_password, Some(password));
        }

        #[test]
        fn whatever_comes_is_read_or_refused(octets in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = read(&octets);
        }
    }
}
