//! What we write, as the two others read it.

use akldap_ldap::control::{self, Control, PagedResults};
use akldap_ldap::message::OperationKind;
use akldap_ldap::response::{self, LdapResult, ResultCode};
use ldap3_proto::control::LdapControl;
use ldap3_proto::proto::{LdapMsg, LdapOp};
use proptest::prelude::*;
use rasn_ldap::{LdapMessage, ProtocolOp};

use crate::ldap_oracle::requests::text;
use crate::ldap_oracle::{against_ldap3_proto, against_rasn};

/// Every result code we have, and whether `ldap3_proto` and `rasn-ldap` know it.
const CODES: &[(ResultCode, bool, bool)] = &[
    (ResultCode::Success, true, true),
    (ResultCode::OperationsError, true, true),
    (ResultCode::ProtocolError, true, true),
    (ResultCode::TimeLimitExceeded, true, true),
    (ResultCode::SizeLimitExceeded, true, true),
    (ResultCode::CompareFalse, true, true),
    (ResultCode::CompareTrue, true, true),
    (ResultCode::AuthMethodNotSupported, true, true),
    (ResultCode::StrongerAuthRequired, true, true),
    (ResultCode::AdminLimitExceeded, true, true),
    (ResultCode::UnavailableCriticalExtension, true, true),
    (ResultCode::ConfidentialityRequired, true, true),
    (ResultCode::NoSuchAttribute, true, true),
    (ResultCode::UndefinedAttributeType, true, true),
    (ResultCode::InappropriateMatching, true, true),
    (ResultCode::InvalidAttributeSyntax, true, true),
    (ResultCode::NoSuchObject, true, true),
    (ResultCode::InvalidDnSyntax, true, true),
    (ResultCode::InappropriateAuthentication, true, true),
    (ResultCode::InvalidCredentials, true, true),
    (ResultCode::InsufficientAccessRights, true, true),
    (ResultCode::Busy, true, true),
    (ResultCode::Unavailable, true, true),
    (ResultCode::UnwillingToPerform, true, true),
    // draft-ietf-ldapext-ldapv3-vlv-09 section 3 and RFC 2891.
    (ResultCode::SortControlMissing, false, false),
    (ResultCode::OffsetRangeError, false, false),
    (ResultCode::Other, true, true),
    // RFC 3909.
    (ResultCode::Canceled, true, false),
    (ResultCode::NoSuchOperation, true, false),
    (ResultCode::TooLate, true, false),
    (ResultCode::CannotCancel, true, false),
];

const KINDS: &[OperationKind] = &[
    OperationKind::Bind,
    OperationKind::Search,
    OperationKind::Modify,
    OperationKind::Add,
    OperationKind::Delete,
    OperationKind::ModifyDn,
    OperationKind::Compare,
    OperationKind::Extended,
];

/// Code, matchedDN and diagnosticMessage.
type Read = (i64, String, String);

/// Which operation a response of `ldap3_proto` answers and what it says.
fn of_ldap3_proto(message: &LdapMsg) -> Option<(OperationKind, Read)> {
    let (kind, result) = match &message.op {
        LdapOp::BindResponse(response) => (OperationKind::Bind, &response.res),
        LdapOp::SearchResultDone(result) => (OperationKind::Search, result),
        LdapOp::ModifyResponse(result) => (OperationKind::Modify, result),
        LdapOp::AddResponse(result) => (OperationKind::Add, result),
        LdapOp::DelResponse(result) => (OperationKind::Delete, result),
        LdapOp::ModifyDNResponse(result) => (OperationKind::ModifyDn, result),
        LdapOp::CompareResult(result) => (OperationKind::Compare, result),
        LdapOp::ExtendedResponse(response) => (OperationKind::Extended, &response.res),
        _ => return None,
    };
    Some((
        kind,
        (
            result.code.clone() as i64,
            result.matcheddn.clone(),
            result.message.clone(),
        ),
    ))
}

/// The same for `rasn-ldap`.
fn of_rasn(message: &LdapMessage) -> Option<(OperationKind, Read)> {
    let plain = |result: &rasn_ldap::LdapResult| {
        (
            result.result_code as i64,
            result.matched_dn.0.clone(),
            result.diagnostic_message.0.clone(),
        )
    };
    Some(match &message.protocol_op {
        ProtocolOp::BindResponse(response) => (
            OperationKind::Bind,
            (
                response.result_code as i64,
                response.matched_dn.0.clone(),
                response.diagnostic_message.0.clone(),
            ),
        ),
        ProtocolOp::SearchResDone(result) => (OperationKind::Search, plain(&result.0)),
        ProtocolOp::ModifyResponse(result) => (OperationKind::Modify, plain(&result.0)),
        ProtocolOp::AddResponse(result) => (OperationKind::Add, plain(&result.0)),
        ProtocolOp::DelResponse(result) => (OperationKind::Delete, plain(&result.0)),
        ProtocolOp::ModDnResponse(result) => (OperationKind::ModifyDn, plain(&result.0)),
        ProtocolOp::CompareResponse(result) => (OperationKind::Compare, plain(&result.0)),
        ProtocolOp::ExtendedResp(response) => (
            OperationKind::Extended,
            (
                response.result_code as i64,
                response.matched_dn.0.clone(),
                response.diagnostic_message.0.clone(),
            ),
        ),
        _ => return None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn results_say_what_we_mean(
        message_id in 0..=0x7fff_ffffu32,
        code in prop::sample::select(CODES),
        kind in prop::sample::select(KINDS),
        matched in text(),
        diagnostic_message in "\\PC{0,200}",
        paged in prop::option::of((0..=0x7fff_ffffu32, prop::collection::vec(any::<u8>(), 0..200))),
        other in prop::option::of(prop::collection::vec(any::<u8>(), 0..200)),
    ) {
        let (code, known_to_ldap3_proto, known_to_rasn) = code;
        let result = LdapResult { code, matched_dn: matched.clone().into_bytes(), diagnostic_message: diagnostic_message.clone() };
        let paged_value = paged.clone().map(|(size, cookie)| PagedResults { size, cookie }.encode());
        let control = |control_type: &'static str, value| Control { control_type: control_type.as_bytes(), criticality: false, value };
        let mut controls = Vec::new();
        controls.extend(paged_value.as_deref().map(|value| control(control::PAGED_RESULTS, Some(value))));
        controls.extend(other.as_deref().map(|value| control(control::VLV_RESPONSE, Some(value))));
        let mut out = Vec::new();
        response::write_result(&mut out, message_id, kind.response_tag().unwrap(), &result, &controls);
        let meant = (kind, (i64::from(code as u8), matched, diagnostic_message));

        match against_ldap3_proto::decode(&out) {
            Some(message) => {
                prop_assert!(known_to_ldap3_proto, "{:?}: the list is out of date", code);
                prop_assert_eq!(u32::try_from(message.msgid).unwrap(), message_id);
                prop_assert_eq!(of_ldap3_proto(&message), Some(meant.clone()));
                let mut expected = Vec::new();
                expected.extend(paged.map(|(size, cookie)| LdapControl::SimplePagedResults { size: i64::from(size), cookie }));
                expected.extend(other.clone().map(|value| LdapControl::Unknown {
                    oid: control::VLV_RESPONSE.into(),
                    criticality: false,
                    value: Some(value),
                }));
                prop_assert_eq!(message.ctrl, expected);
            }
            None => prop_assert!(!known_to_ldap3_proto, "{:?} is not read by ldap3_proto", code),
        }
        match against_rasn::decode(&out) {
            Some(message) => {
                prop_assert!(known_to_rasn, "{:?}: the list is out of date", code);
                prop_assert_eq!(message.message_id, message_id);
                prop_assert_eq!(of_rasn(&message), Some(meant));
                let read = message.controls.unwrap_or_default();
                prop_assert_eq!(read.len(), controls.len());
                for (theirs, ours) in read.iter().zip(&controls) {
                    prop_assert_eq!(&theirs.control_type[..], ours.control_type);
                    prop_assert_eq!(theirs.criticality, ours.criticality);
                    prop_assert_eq!(theirs.control_value.as_deref(), ours.value);
                }
            }
            None => prop_assert!(!known_to_rasn, "{:?} is not read by rasn-ldap", code),
        }
    }

    #[test]
    fn extended_responses_say_what_we_mean(
        message_id in 0..=0x7fff_ffffu32,
        name in prop::option::of("[0-9.]{1,20}"),
        value in prop::option::of(prop::collection::vec(any::<u8>(), 0..300)),
        diagnostic_message in text(),
    ) {
        let mut out = Vec::new();
        let result = LdapResult::new(ResultCode::UnwillingToPerform, diagnostic_message.clone());
        response::write_extended(&mut out, message_id, &result, name.as_deref(), value.as_deref(), &[]);
        let Some(LdapMsg { op: LdapOp::ExtendedResponse(theirs), .. }) = against_ldap3_proto::decode(&out) else { panic!("{out:02x?}") };
        prop_assert_eq!((&theirs.name, &theirs.value, &theirs.res.message), (&name, &value, &diagnostic_message));
        let Some(LdapMessage { protocol_op: ProtocolOp::ExtendedResp(theirs), .. }) = against_rasn::decode(&out) else { panic!("{out:02x?}") };
        prop_assert_eq!(theirs.response_name.as_deref(), name.as_deref().map(str::as_bytes));
        prop_assert_eq!(theirs.response_value.as_deref(), value.as_deref());
        prop_assert_eq!(theirs.diagnostic_message.0, diagnostic_message);
    }

    #[test]
    fn entries_say_what_we_mean(
        message_id in 0..=0x7fff_ffffu32,
        dn in (text(), text()),
        attributes in prop::collection::btree_map("[a-z]{1,9}", prop::collection::btree_set(prop::collection::vec(any::<u8>(), 0..200), 0..4), 0..5),
        long_value in 0..3000usize,
        with_control in any::<bool>(),
        guess in prop::option::of(prop_oneof![0..200_usize, 0..100_000_usize]),
    ) {
        let mut attributes = attributes;
        attributes.entry("long".into()).or_default().insert(vec![b'l'; long_value]);
        let mut list = Vec::new();
        for (name, values) in &attributes {
            response::write_attribute(&mut list, name.as_bytes(), values.iter().map(Vec::as_slice));
        }
        let mut controls = Vec::new();
        if with_control {
            let control = Control { control_type: control::DEREF.as_bytes(), criticality: false, value: Some(b"\x30\x00") };
            akldap_ldap::ber::write_constructed(&mut controls, 0xa0, |out| control.write(out));
        }
        let mut out = Vec::new();
        // A wrong expectation costs time, never correctness.
        let expected = guess.unwrap_or(list.len());
        response::write_entry(&mut out, message_id, &[dn.0.as_bytes(), dn.1.as_bytes()], expected, &controls, |out| out.extend_from_slice(&list));

        let Some(LdapMsg { msgid, op: LdapOp::SearchResultEntry(entry), ctrl }) = against_ldap3_proto::decode(&out) else { panic!("{out:02x?}") };
        prop_assert_eq!(u32::try_from(msgid).unwrap(), message_id);
        prop_assert_eq!(&entry.dn, &format!("{}{}", dn.0, dn.1));
        prop_assert_eq!(ctrl.len(), usize::from(with_control));
        let theirs: Vec<_> = entry.attributes.into_iter().map(|attribute| (attribute.atype, attribute.vals)).collect();
        let meant: Vec<_> = attributes.iter().map(|(name, values)| (name.clone(), values.iter().cloned().collect::<Vec<_>>())).collect();
        prop_assert_eq!(&theirs, &meant);

        let Some(LdapMessage { message_id: theirs, protocol_op: ProtocolOp::SearchResEntry(entry), controls, .. }) = against_rasn::decode(&out) else { panic!("{out:02x?}") };
        prop_assert_eq!(theirs, message_id);
        prop_assert_eq!(entry.object_name.0, format!("{}{}", dn.0, dn.1));
        prop_assert_eq!(controls.unwrap_or_default().len(), usize::from(with_control));
        let theirs: Vec<_> = entry.attributes.iter().map(|attribute| {
            let mut values: Vec<Vec<u8>> = attribute.vals.to_vec().into_iter().map(|value| value.to_vec()).collect();
            values.sort();
            (attribute.r#type.0.clone(), values)
        }).collect();
        prop_assert_eq!(theirs, meant);
    }
}

#[test]
fn the_notice_of_disconnection_says_what_we_mean() {
    let mut out = Vec::new();
    response::write_notice_of_disconnection(
        &mut out,
        &LdapResult::new(ResultCode::Unavailable, "going down"),
    );
    let Some(LdapMsg {
        msgid: 0,
        op: LdapOp::ExtendedResponse(theirs),
        ..
    }) = against_ldap3_proto::decode(&out)
    else {
        panic!("{out:02x?}")
    };
    assert_eq!(theirs.name.as_deref(), Some(response::NOTICE_OF_DISCONNECTION));
    assert_eq!(
        (theirs.res.code as i64, theirs.res.message.as_str()),
        (52, "going down")
    );
    let Some(LdapMessage {
        message_id: 0,
        protocol_op: ProtocolOp::ExtendedResp(theirs),
        ..
    }) = against_rasn::decode(&out)
    else {
        panic!("{out:02x?}")
    };
    assert_eq!(
        theirs.response_name.as_deref(),
        Some(response::NOTICE_OF_DISCONNECTION.as_bytes())
    );
}
