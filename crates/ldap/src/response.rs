//! Responses (RFC 4511 section 4.1.9 and the response of each operation), written straight into a buffer.
//!
//! Knows result codes and the wire form of every response we send, a search entry's header included: the entry's
//! attributes come pre-encoded from the directory. Must not decide which response is right.

use crate::ber;
use crate::control::{CONTROLS, Control};

/// Tag of a SearchResultEntry.
pub const SEARCH_RESULT_ENTRY: u8 = 0x64;
/// Tag of an ExtendedResponse.
pub const EXTENDED_RESPONSE: u8 = 0x78;
/// The name of the Notice of Disconnection (RFC 4511 section 4.4.1).
pub const NOTICE_OF_DISCONNECTION: &str = "1.3.6.1.4.1.1466.20036";

/// An answer repeats at most this many octets of what a client sent.
pub const MAX_EXCERPT: usize = 64;

/// What a client sent, for a diagnostic message: printable, and cut short when it is long.
#[must_use]
pub fn excerpt(octets: &[u8]) -> String {
    let shown = octets.get(..MAX_EXCERPT).unwrap_or(octets);
    let text = String::from_utf8_lossy(shown);
    let text = text.escape_debug();
    if shown.len() < octets.len() {
        format!("{text}… ({} octets)", octets.len())
    } else {
        text.to_string()
    }
}

/// Result codes (RFC 4511 section 4.1.9 and appendix A; RFC 3909 for the cancel ones).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are those of the RFC")]
pub enum ResultCode {
    Success = 0,
    OperationsError = 1,
    ProtocolError = 2,
    TimeLimitExceeded = 3,
    SizeLimitExceeded = 4,
    CompareFalse = 5,
    CompareTrue = 6,
    AuthMethodNotSupported = 7,
    StrongerAuthRequired = 8,
    AdminLimitExceeded = 11,
    UnavailableCriticalExtension = 12,
    ConfidentialityRequired = 13,
    NoSuchAttribute = 16,
    UndefinedAttributeType = 17,
    InappropriateMatching = 18,
    ConstraintViolation = 19,
    InvalidAttributeSyntax = 21,
    NoSuchObject = 32,
    InvalidDnSyntax = 34,
    InappropriateAuthentication = 48,
    InvalidCredentials = 49,
    InsufficientAccessRights = 50,
    Busy = 51,
    Unavailable = 52,
    UnwillingToPerform = 53,
    SortControlMissing = 60,
    OffsetRangeError = 61,
    Other = 80,
    Canceled = 118,
    NoSuchOperation = 119,
    TooLate = 120,
    CannotCancel = 121,
}

impl ResultCode {
    /// The number, as it is sent.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// The LDAPResult every final response carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LdapResult {
    /// How it ended.
    pub code: ResultCode,
    /// The closest entry that exists, for noSuchObject.
    pub matched_dn: Vec<u8>,
    /// What an admin should know; UTF-8.
    pub diagnostic_message: String,
}

impl LdapResult {
    /// A result with a message for the admin.
    #[must_use]
    pub fn new(code: ResultCode, diagnostic_message: impl Into<String>) -> Self {
        Self {
            code,
            matched_dn: Vec::new(),
            diagnostic_message: diagnostic_message.into(),
        }
    }

    /// Plain success.
    #[must_use]
    pub fn success() -> Self {
        Self::new(ResultCode::Success, "")
    }

    fn write(&self, out: &mut Vec<u8>) {
        ber::write_integer(out, ber::ENUMERATED, i64::from(self.code.number()));
        ber::write_element(out, ber::OCTET_STRING, &self.matched_dn);
        ber::write_element(out, ber::OCTET_STRING, self.diagnostic_message.as_bytes());
    }
}

/// Appends the final response with the tag `response_tag` (see
/// [`OperationKind::response_tag`](super::message::OperationKind::response_tag)).
pub fn write_result(
    out: &mut Vec<u8>,
    message_id: u32,
    response_tag: u8,
    result: &LdapResult,
    controls: &[Control<'_>],
) {
    write_message(out, message_id, controls, |out| {
        ber::write_constructed(out, response_tag, |out| result.write(out));
    });
}

/// Appends an ExtendedResponse with its optional name and value.
pub fn write_extended(
    out: &mut Vec<u8>,
    message_id: u32,
    result: &LdapResult,
    name: Option<&str>,
    value: Option<&[u8]>,
    controls: &[Control<'_>],
) {
    write_message(out, message_id, controls, |out| {
        ber::write_constructed(out, EXTENDED_RESPONSE, |out| {
            result.write(out);
            if let Some(name) = name {
                ber::write_element(out, 0x8a, name.as_bytes());
            }
            if let Some(value) = value {
                ber::write_element(out, 0x8b, value);
            }
        });
    });
}

/// Appends a Notice of Disconnection; the connection must be closed after it.
pub fn write_notice_of_disconnection(out: &mut Vec<u8>, result: &LdapResult) {
    write_extended(out, 0, result, Some(NOTICE_OF_DISCONNECTION), None, &[]);
}

fn write_message(
    out: &mut Vec<u8>,
    message_id: u32,
    controls: &[Control<'_>],
    write: impl FnOnce(&mut Vec<u8>),
) {
    ber::write_constructed(out, ber::SEQUENCE, |out| {
        ber::write_integer(out, ber::INTEGER, i64::from(message_id));
        write(out);
        if !controls.is_empty() {
            ber::write_constructed(out, CONTROLS, |out| {
                controls.iter().for_each(|control| control.write(out))
            });
        }
    });
}

/// Appends a SearchResultEntry. The DN is `dn_parts` joined; `attributes` appends the PartialAttributes, about `expected`
/// octets (a good guess saves moving them); `controls` is an encoded `controls [0]` element, or nothing.
#[inline]
pub fn write_entry(
    out: &mut Vec<u8>,
    message_id: u32,
    dn_parts: &[&[u8]],
    expected: usize,
    controls: &[u8],
    attributes: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    let dn_size = dn_parts.iter().map(|part| part.len()).sum();
    let expected_size = ber::element_size(dn_size) + ber::element_size(expected);
    let reserved = EntryFront::size(message_id, expected_size, controls.len());
    out.extend_from_slice(&[0; MAX_ENTRY_FRONT]);
    out.truncate(start + reserved);
    ber::write_header(out, ber::OCTET_STRING, dn_size);
    dn_parts.iter().for_each(|part| out.extend_from_slice(part));
    ber::write_constructed_about(out, ber::SEQUENCE, expected, attributes);
    let operation_size = out.len() - start - reserved;
    let front = EntryFront::new(message_id, operation_size, controls.len());
    ber::replace(out, start, reserved, front.as_bytes());
    out.extend_from_slice(controls);
}

/// Two headers of at most ten octets, and an integer of at most seven for which eight are copied.
const MAX_ENTRY_FRONT: usize = 30;

/// What precedes the DN of a SearchResultEntry: the header of the message, its id, the header of the operation.
struct EntryFront {
    octets: [u8; MAX_ENTRY_FRONT],
    size: usize,
}

impl EntryFront {
    #[inline]
    fn new(message_id: u32, operation_size: usize, controls_size: usize) -> Self {
        let id_size = ber::integer_size(message_id);
        let message_size = id_size + ber::element_size(operation_size) + controls_size;
        let mut octets = [0; MAX_ENTRY_FRONT];
        let id = ber::Header::new(ber::SEQUENCE, message_size).put(&mut octets, 0);
        // Two octets of header, then the last octets of the number.
        let number = u64::from(message_id) << (80 - 8 * id_size);
        let room = octets.get_mut(id..).and_then(<[u8]>::first_chunk_mut::<10>);
        if let Some(room) = room {
            room[0] = ber::INTEGER;
            room[1] = ber::low_octet(id_size - 2);
            room[2..].copy_from_slice(&number.to_be_bytes());
        }
        let size = ber::Header::new(SEARCH_RESULT_ENTRY, operation_size).put(&mut octets, id + id_size);
        Self { octets, size }
    }

    /// How many octets it takes.
    #[inline]
    fn size(message_id: u32, operation_size: usize, controls_size: usize) -> usize {
        let id_size = ber::integer_size(message_id);
        let message_size = id_size + ber::element_size(operation_size) + controls_size;
        ber::Header::size(message_size) + id_size + ber::Header::size(operation_size)
    }

    #[inline]
    fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.size).unwrap_or(&self.octets)
    }
}

/// Appends a PartialAttribute whose values are what `values` appends, about `expected` octets.
#[inline]
pub fn write_attribute_about(
    out: &mut Vec<u8>,
    description: &[u8],
    expected: usize,
    values: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    let name_size = ber::element_size(description.len());
    let reserved = ber::Header::size(name_size + ber::element_size(expected));
    ber::reserve_header(out, reserved);
    ber::write_element(out, ber::OCTET_STRING, description);
    ber::write_constructed_about(out, ber::SET, expected, values);
    let header = ber::Header::new(ber::SEQUENCE, out.len() - start - reserved);
    ber::replace(out, start, reserved, header.as_bytes());
}

/// Appends a PartialAttribute with one value.
#[inline]
pub fn write_single_value(out: &mut Vec<u8>, description: &[u8], value: &[u8]) {
    let values = ber::element_size(value.len());
    let size = ber::element_size(description.len()) + ber::element_size(values);
    if size < 0x80 {
        // Then each length takes one octet.
        let [size, name_size, values, value_size] =
            [size, description.len(), values, value.len()].map(ber::low_octet);
        out.extend_from_slice(&[ber::SEQUENCE, size, ber::OCTET_STRING, name_size]);
        out.extend_from_slice(description);
        out.extend_from_slice(&[ber::SET, values, ber::OCTET_STRING, value_size]);
        out.extend_from_slice(value);
        return;
    }
    ber::write_header(out, ber::SEQUENCE, size);
    ber::write_header(out, ber::OCTET_STRING, description.len());
    out.extend_from_slice(description);
    ber::write_header(out, ber::SET, values);
    ber::write_header(out, ber::OCTET_STRING, value.len());
    out.extend_from_slice(value);
}

/// Appends one PartialAttribute (RFC 4511 section 4.1.7).
pub fn write_attribute<'a>(
    out: &mut Vec<u8>,
    description: &[u8],
    values: impl IntoIterator<Item = &'a [u8]>,
) {
    ber::write_constructed(out, ber::SEQUENCE, |out| {
        ber::write_element(out, ber::OCTET_STRING, description);
        ber::write_constructed(out, ber::SET, |out| {
            values
                .into_iter()
                .for_each(|value| ber::write_element(out, ber::OCTET_STRING, value));
        });
    });
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use ldap3_proto::LdapCodec;
    use ldap3_proto::proto::LdapOp;
    use tokio_util::codec::Decoder;

    use super::*;

    #[test]
    fn what_clients_sent_is_repeated_in_part_and_printable() {
        assert_eq!(excerpt(b"EXTERNAL"), "EXTERNAL");
        assert_eq!(excerpt(b"a\"\n\xff"), "a\\\"\\n\u{fffd}");
        let long = excerpt(&[1; 65_000]);
        assert!(
            long.ends_with("… (65000 octets)") && long.len() <= 6 * MAX_EXCERPT + 20,
            "{long}"
        );
    }
    use crate::message::OperationKind;

    fn parse(octets: &[u8]) -> ldap3_proto::LdapMsg {
        let mut buffer = BytesMut::from(octets);
        let message = LdapCodec::default().decode(&mut buffer).unwrap().unwrap();
        assert!(buffer.is_empty());
        message
    }

    #[test]
    fn results_are_read_back_by_ldap3_proto() {
        let mut out = Vec::new();
        let result = LdapResult {
            code: ResultCode::NoSuchObject,
            matched_dn: b"dc=x".to_vec(),
            diagnostic_message: "no such entry".into(),
        };
        write_result(
            &mut out,
            300,
            OperationKind::Search.response_tag().unwrap(),
            &result,
            &[],
        );
        let message = parse(&out);
        assert_eq!(message.msgid, 300);
        let LdapOp::SearchResultDone(done) = message.op else {
            panic!()
        };
        assert_eq!(
            (done.code as i32, done.matcheddn.as_str(), done.message.as_str()),
            (32, "dc=x", "no such entry")
        );
    }

    #[test]
    fn a_notice_of_disconnection_has_message_id_zero_and_its_name() {
        let mut out = Vec::new();
        write_notice_of_disconnection(&mut out, &LdapResult::new(ResultCode::ProtocolError, "bad"));
        let message = parse(&out);
        assert_eq!(message.msgid, 0);
        let LdapOp::ExtendedResponse(response) = message.op else {
            panic!()
        };
        assert_eq!(response.name.as_deref(), Some(NOTICE_OF_DISCONNECTION));
    }

    #[test]
    fn an_entry_of_any_size_is_framed_right() {
        let sizes = [0usize, 1, 100, 200, 70_000];
        for (size, expected) in sizes
            .into_iter()
            .flat_map(|size| sizes.map(|expected| (size, expected)))
        {
            let value = vec![b'v'; size];
            let mut attributes = Vec::new();
            write_attribute(&mut attributes, b"cn", [&value[..], b"second"]);
            let mut out = Vec::new();
            write_entry(&mut out, 77_777, &[b"cn=a", b",dc=x"], expected, &[], |out| {
                out.extend_from_slice(&attributes)
            });
            let mut buffer = BytesMut::from(out.as_slice());
            let message = LdapCodec::new(Some(1 << 20), Some(16))
                .decode(&mut buffer)
                .unwrap()
                .unwrap();
            let LdapOp::SearchResultEntry(entry) = message.op else {
                panic!()
            };
            assert_eq!((message.msgid, entry.dn.as_str()), (77_777, "cn=a,dc=x"));
            assert_eq!(entry.attributes[0].vals, vec![value, b"second".to_vec()]);
        }
    }
}
