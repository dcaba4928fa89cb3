//! Controls (RFC 4511 section 4.1.11): the list of a message, and the values of those we implement.
//!
//! Knows the wire form of paged results (RFC 2696), server side sorting (RFC 2891), virtual list view
//! (draft-ietf-ldapext-ldapv3-vlv-09), dereference (draft-masarati-ldap-deref) and of the response that says what a password
//! policy has against somebody (draft-behera-ldap-password-policy). Must not know what they do to an operation.

use crate::ber::{self, BerError, Reader};

mod dereference;
mod paged_results;
mod password_policy;
mod sorting;
mod virtual_list_view;

pub use dereference::{DerefSpec, MAX_DEREF_ITEMS};
pub use paged_results::PagedResults;
pub use password_policy::{PasswordPolicyError, encode_password_policy_response};
pub use sorting::{MAX_SORT_KEYS, SortKey, encode_sort_response};
pub use virtual_list_view::{VlvRequest, VlvTarget, encode_vlv_response};

/// Simple paged results, RFC 2696.
pub const PAGED_RESULTS: &str = "1.2.840.113556.1.4.319";
/// Server side sorting request, RFC 2891.
pub const SORT_REQUEST: &str = "1.2.840.113556.1.4.473";
/// Server side sorting response, RFC 2891.
pub const SORT_RESPONSE: &str = "1.2.840.113556.1.4.474";
/// Virtual list view request.
pub const VLV_REQUEST: &str = "2.16.840.1.113730.3.4.9";
/// Virtual list view response.
pub const VLV_RESPONSE: &str = "2.16.840.1.113730.3.4.10";
/// ManageDsaIT, RFC 3296. There are no referrals here, so honouring it changes nothing.
pub const MANAGE_DSA_IT: &str = "2.16.840.1.113730.3.4.2";
/// Dereference, draft-masarati-ldap-deref.
pub const DEREF: &str = "1.3.6.1.4.1.4203.666.5.16";
/// Password policy request and response, draft-behera-ldap-password-policy. The request has no value.
pub const PASSWORD_POLICY: &str = "1.3.6.1.4.1.42.2.27.8.5.1";
/// Active Directory's domain scope: no referrals.
pub const DOMAIN_SCOPE: &str = "1.2.840.113556.1.4.1339";
/// Active Directory's search options: 1 for no referrals, 2 for everything below the base on this server.
pub const SEARCH_OPTIONS: &str = "1.2.840.113556.1.4.1340";
/// Active Directory's security descriptor flags: which parts of one to return.
pub const SD_FLAGS: &str = "1.2.840.113556.1.4.801";
/// Active Directory's show deleted objects.
pub const SHOW_DELETED: &str = "1.2.840.113556.1.4.417";
/// Active Directory's permissive modify: no error for values that are already there, or already gone.
pub const PERMISSIVE_MODIFY: &str = "1.2.840.113556.1.4.1413";
/// Subentries, RFC 3672 section 3: whether they, or other entries, are visible.
pub const SUBENTRIES: &str = "1.3.6.1.4.1.4203.1.10.1";

/// Tag of `controls [0]` of a message.
pub(crate) const CONTROLS: u8 = 0xa0;

/// One control of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control<'a> {
    /// The control's OID as sent.
    pub control_type: &'a [u8],
    /// Whether the operation must fail if the control is not understood.
    pub criticality: bool,
    /// The value, if there is one.
    pub value: Option<&'a [u8]>,
}

impl<'a> Control<'a> {
    /// Reads the contents of a `controls [0]` element.
    pub(crate) fn read_all(contents: &'a [u8]) -> Result<Vec<Self>, BerError> {
        let mut reader = Reader::new(contents);
        let mut controls = Vec::new();
        while !reader.is_empty() {
            let mut control = reader.constructed(ber::SEQUENCE)?;
            let control_type = control.octet_string()?;
            let criticality = match control.optional(ber::BOOLEAN)? {
                Some(contents) => ber::parse_boolean(contents)?,
                None => false,
            };
            let value = control.optional(ber::OCTET_STRING)?;
            control.end_of_sequence(&[ber::OCTET_STRING, ber::BOOLEAN])?;
            controls.push(Self {
                control_type,
                criticality,
                value,
            });
        }
        Ok(controls)
    }

    /// Appends the control as an element of a `controls [0]` list.
    pub fn write(&self, out: &mut Vec<u8>) {
        ber::write_constructed(out, ber::SEQUENCE, |out| {
            ber::write_element(out, ber::OCTET_STRING, self.control_type);
            if self.criticality {
                ber::write_boolean(out, true);
            }
            if let Some(value) = self.value {
                ber::write_element(out, ber::OCTET_STRING, value);
            }
        });
    }
}

/// The flags of a `SEQUENCE` with one integer, as Active Directory's search options and security descriptor flags have it.
///
/// # Errors
/// When the value is malformed.
pub fn read_flags(value: &[u8]) -> Result<u32, BerError> {
    let mut outer = Reader::new(value);
    let mut sequence = outer.constructed(ber::SEQUENCE)?;
    let flags = sequence.max_int()?;
    sequence.end_of_sequence(&[ber::INTEGER])?;
    outer.end()?;
    Ok(flags)
}

/// Whether a subentries control asks for subentries instead of other entries.
///
/// # Errors
/// When the value is not a BOOLEAN.
pub fn read_subentries(value: &[u8]) -> Result<bool, BerError> {
    let mut outer = Reader::new(value);
    let visible = outer.optional(ber::BOOLEAN)?.ok_or(BerError::Truncated)?;
    outer.end()?;
    ber::parse_boolean(visible)
}

#[cfg(test)]
mod tests;
