//! The deliberate differences between our decoder and the two others, each with a message that shows it.

use akldap::server::request;
use akldap_ldap::ber;
use akldap_ldap::message::{Authentication, Message, Operation, Scope};
use akldap_testing::filter;

use crate::ldap_oracle::{against_ldap3_proto, against_rasn};

/// Why we may accept what another does not, or read it differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// Names and values are octets to us and text to them: a password in latin-1, a filter with a binary value.
    NotText,
    /// We answer any authentication choice that RFC 4511 does not have (with authMethodNotSupported); they refuse it.
    AuthenticationChoice,
    /// We keep any version, to answer with protocolError; `ldap3_proto` reads a negative one as a large one and
    /// `rasn-ldap` wants an octet.
    Version,
    /// We leave control values to whoever understands them; `ldap3_proto` refuses a message over the value of one it
    /// knows and reads a control that is not text as no control.
    Controls,
    /// The subordinate subtree scope is not part of RFC 4511; `rasn-ldap` does not know it.
    SubordinateScope,
    /// The operations that are refused anyway are decoded by `ldap3_proto`, whose liberties are therefore ours: it drops a
    /// new superior that is not text, and knows modify-increment (RFC 4525).
    Refused,
    /// An unbind ends the connection, whatever is in it: there is no answer that could complain. `rasn-ldap` wants it empty.
    UnbindContents,
}

fn is_text(octets: &[u8]) -> bool {
    std::str::from_utf8(octets).is_ok()
}

fn holds_other_than_text(operation: &Operation<'_>) -> bool {
    match operation {
        Operation::Bind(bind) => {
            let secret = match bind.authentication {
                Authentication::Simple(octets) | Authentication::Sasl(octets) => is_text(octets),
                Authentication::Unknown(_) => true,
            };
            !is_text(bind.name) || !secret
        }
        Operation::Search(search) => {
            !is_text(search.base_object)
                || !search.attributes.iter().all(|name| is_text(name))
                || filter::translate(&search.filter).is_none()
        }
        _ => false,
    }
}

/// Why `ldap3_proto` may differ about this message.
pub(crate) fn with_ldap3_proto(message: &Message<'_>) -> Option<Difference> {
    if holds_other_than_text(&message.operation) {
        return Some(Difference::NotText);
    }
    match &message.operation {
        Operation::Bind(bind) if bind.version < 0 => Some(Difference::Version),
        Operation::Bind(bind) if matches!(bind.authentication, Authentication::Unknown(_)) => {
            Some(Difference::AuthenticationChoice)
        }
        _ if !message.controls.is_empty() => Some(Difference::Controls),
        _ => None,
    }
}

/// Why `rasn-ldap` may differ about this message.
pub(crate) fn with_rasn(message: &Message<'_>) -> Option<Difference> {
    if holds_other_than_text(&message.operation) {
        return Some(Difference::NotText);
    }
    match &message.operation {
        Operation::Bind(bind) if !(0..=127).contains(&bind.version) => Some(Difference::Version),
        Operation::Bind(bind) => match bind.authentication {
            Authentication::Unknown(_) => Some(Difference::AuthenticationChoice),
            Authentication::Sasl(_) | Authentication::Simple(_) => None,
        },
        Operation::Search(search) if search.scope == Scope::SubordinateSubtree => {
            Some(Difference::SubordinateScope)
        }
        Operation::Update(_) => Some(Difference::Refused),
        Operation::Unbind => Some(Difference::UnbindContents),
        _ => None,
    }
}

fn frame(operation: &[u8], controls: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    ber::write_constructed(&mut out, ber::SEQUENCE, |out| {
        ber::write_integer(out, ber::INTEGER, 1);
        out.extend_from_slice(operation);
        out.extend_from_slice(controls);
    });
    out
}

#[test]
fn a_password_may_be_other_than_text() {
    let octets = frame(&[0x60, 8, 2, 1, 3, 4, 0, 0x80, 1, 0xe9], &[]);
    let message = request::decode(&octets).unwrap();
    assert_eq!(with_ldap3_proto(&message), Some(Difference::NotText));
    assert!(against_ldap3_proto::decode(&octets).is_none());
}

#[test]
fn any_authentication_choice_is_answered() {
    let octets = frame(&[0x60, 7, 2, 1, 3, 4, 0, 0x05, 0], &[]);
    let message = request::decode(&octets).unwrap();
    assert_eq!(with_ldap3_proto(&message), Some(Difference::AuthenticationChoice));
    assert!(against_ldap3_proto::decode(&octets).is_none());
    assert_eq!(with_rasn(&message), Some(Difference::AuthenticationChoice));
    assert!(against_rasn::decode(&octets).is_none());
}

#[test]
fn a_negative_version_is_a_negative_version() {
    let octets = frame(&[0x60, 7, 2, 1, 0x80, 4, 0, 0x80, 0], &[]);
    let message = request::decode(&octets).unwrap();
    assert_eq!(with_ldap3_proto(&message), Some(Difference::Version));
    let theirs = against_ldap3_proto::decode(&octets).unwrap();
    assert_eq!(
        against_ldap3_proto::agrees(&message.operation, &theirs.op),
        Some(false)
    );
    assert_eq!(with_rasn(&message), Some(Difference::Version));
    assert!(against_rasn::decode(&octets).is_none());
}

#[test]
fn a_malformed_control_value_leaves_the_message_sound() {
    let mut controls = vec![0xa0, 0x1f, 0x30, 0x1d, 4, 22];
    controls.extend_from_slice(b"1.2.840.113556.1.4.319");
    controls.extend_from_slice(&[4, 3, 1, 2, 3]);
    let octets = frame(&[0x42, 0], &controls);
    let message = request::decode(&octets).unwrap();
    assert_eq!(with_ldap3_proto(&message), Some(Difference::Controls));
    assert!(against_ldap3_proto::decode(&octets).is_none());
    assert_eq!(message.controls[0].value, Some(&[1, 2, 3][..]));
}

#[test]
fn the_subordinate_scope_is_known() {
    let octets = frame(
        &[
            0x63, 21, 4, 0, 10, 1, 3, 10, 1, 0, 2, 1, 0, 2, 1, 0, 1, 1, 0, 0x87, 0, 0x30, 0,
        ],
        &[],
    );
    let message = request::decode(&octets).unwrap();
    assert_eq!(with_rasn(&message), Some(Difference::SubordinateScope));
    assert!(against_rasn::decode(&octets).is_none());
    assert_eq!(with_ldap3_proto(&message), None);
    assert!(against_ldap3_proto::decode(&octets).is_some());
}

#[test]
fn a_rename_is_refused_whatever_its_new_superior_is() {
    let octets = frame(&[0x6c, 10, 4, 0, 4, 0, 1, 1, 0, 0x80, 1, 0x80], &[]);
    let message = request::decode(&octets).unwrap();
    assert_eq!(with_rasn(&message), Some(Difference::Refused));
    assert!(against_rasn::decode(&octets).is_none());
}

#[test]
fn an_unbind_is_one_whatever_is_in_it() {
    let octets = frame(&[0x42, 1, 0], &[]);
    let message = request::decode(&octets).unwrap();
    assert!(matches!(message.operation, Operation::Unbind));
    assert_eq!(with_rasn(&message), Some(Difference::UnbindContents));
    assert!(against_rasn::decode(&octets).is_none());
}

/// The ways in which we are stricter than `ldap3_proto`: it accepts each of these, we do not.
#[test]
fn what_ldap3_proto_reads_too_widely_is_refused() {
    let search = |filter: &[u8]| {
        let mut operation = Vec::new();
        ber::write_constructed(&mut operation, 0x63, |out| {
            out.extend_from_slice(&[4, 0, 10, 1, 2, 10, 1, 0, 2, 1, 0, 2, 1, 0, 1, 1, 0]);
            out.extend_from_slice(filter);
            out.extend_from_slice(&[0x30, 0]);
        });
        frame(&operation, &[])
    };
    for (what, octets) in [
        // `(&(a=1)(b=…` with a broken tail would become `(&(a=1))`: a wider filter.
        (
            "an element longer than what holds it",
            search(&[0xa0, 13, 0xa3, 6, 4, 1, b'a', 4, 1, b'1', 0xa3, 0x09, 4, 1, b'b']),
        ),
        (
            "substrings without a part",
            search(&[0xa4, 5, 4, 1, b'a', 0x30, 0]),
        ),
        ("a negative message id", vec![0x30, 5, 2, 1, 0xff, 0x42, 0]),
        (
            "a message id beyond maxInt",
            vec![0x30, 9, 2, 5, 0, 0x80, 0, 0, 0, 0x42, 0],
        ),
    ] {
        assert!(request::decode(&octets).is_err(), "{what}");
        assert!(
            against_ldap3_proto::decode(&octets).is_some(),
            "{what}: the list is out of date"
        );
    }
    // Nine length octets: the high ones fall off there.
    let nine = [0x30, 0x89, 1, 0, 0, 0, 0, 0, 0, 0, 5, 2, 1, 1, 0x42, 0];
    assert!(akldap_ldap::frame::split(&nine, 1 << 20).is_err());
    assert!(
        against_ldap3_proto::decode(&nine).is_some(),
        "the list is out of date"
    );
}
