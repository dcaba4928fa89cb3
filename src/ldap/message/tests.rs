use super::*;

fn frame(message_id: i64, operation: &[u8], controls: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    ber::write_constructed(&mut out, ber::SEQUENCE, |out| {
        ber::write_integer(out, ber::INTEGER, message_id);
        out.extend_from_slice(operation);
        out.extend_from_slice(controls);
    });
    out
}

fn bind(version: i64, name: &[u8], tag: u8, credentials: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    ber::write_constructed(&mut out, 0x60, |out| {
        ber::write_integer(out, ber::INTEGER, version);
        ber::write_element(out, ber::OCTET_STRING, name);
        ber::write_element(out, tag, credentials);
    });
    out
}

#[test]
fn a_password_may_be_any_octets() {
    let frame = frame(7, &bind(3, b"cn=a", 0x80, b"\xe9\x00\xff"), &[]);
    let message = Message::decode(&frame).unwrap();
    assert_eq!(message.message_id, 7);
    let Operation::Bind(bind) = message.operation else {
        panic!("{message:?}")
    };
    assert!(bind.authentication == Authentication::Simple(b"\xe9\x00\xff"));
    assert!(!format!("{bind:?}").contains("233"), "no secret in Debug");
}

#[test]
fn other_authentication_choices_are_told_apart() {
    let sasl = frame(1, &bind(3, b"", 0xa3, b"\x04\x05PLAIN\x04\x01x"), &[]);
    let Operation::Bind(request) = Message::decode(&sasl).unwrap().operation else {
        panic!()
    };
    assert!(request.authentication == Authentication::Sasl(b"PLAIN"));
    let unknown = frame(1, &bind(3, b"", 0x85, b""), &[]);
    let Operation::Bind(request) = Message::decode(&unknown).unwrap().operation else {
        panic!()
    };
    assert!(request.authentication == Authentication::Unknown(0x85));
}

#[test]
fn a_broken_operation_keeps_its_message_id() {
    let truncated = frame(5, &[0x63, 0x03, 0x04, 0x05, b'a'], &[]);
    assert_eq!(
        Message::decode(&truncated),
        Err(MessageError::Operation {
            message_id: 5,
            kind: OperationKind::Search,
            reason: OperationError::Ber(BerError::Truncated)
        })
    );
    let longer_than_its_envelope = [0x30, 0x05, 0x02, 0x01, 0x09, 0x63, 0x7f];
    assert!(matches!(
        Message::decode(&longer_than_its_envelope),
        Err(MessageError::Operation {
            message_id: 9,
            kind: OperationKind::Search,
            ..
        })
    ));
}

#[test]
fn an_unreadable_envelope_and_an_unknown_operation_cannot_be_answered() {
    assert_eq!(
        Message::decode(&[0x30, 0x03, 0x02, 0x05, 0x01]),
        Err(MessageError::Envelope(BerError::Truncated))
    );
    assert!(matches!(
        Message::decode(&frame(-1, &[0x42, 0], &[])),
        Err(MessageError::Envelope(_))
    ));
    assert!(matches!(
        Message::decode(&frame(1 << 31, &[0x42, 0], &[])),
        Err(MessageError::Envelope(_))
    ));
    assert_eq!(
        Message::decode(&frame(1, &[0x7e, 0], &[])),
        Err(MessageError::UnknownOperation { tag: 0x7e })
    );
    assert_eq!(
        Message::decode(&frame(1, &[], &[])),
        Err(MessageError::Envelope(BerError::Truncated))
    );
}

#[test]
fn message_ids_reach_from_zero_to_max_int() {
    for message_id in [0, 1, 0x7fff_ffff] {
        assert_eq!(
            i64::from(
                Message::decode(&frame(message_id, &[0x42, 0], &[]))
                    .unwrap()
                    .message_id
            ),
            message_id
        );
    }
}

#[test]
fn searches_are_decoded_in_full() {
    let request = SearchRequest {
        base_object: b"dc=x",
        scope: Scope::WholeSubtree,
        deref_aliases: 3,
        size_limit: 10,
        time_limit: 0x7fff_ffff,
        types_only: true,
        filter: Filter::Present(b"objectClass"),
        attributes: vec![b"cn", b"", b"*"],
    };
    let mut operation = Vec::new();
    request.write(&mut operation);
    let frame = frame(2, &operation, &[]);
    assert_eq!(
        Message::decode(&frame).unwrap().operation,
        Operation::Search(request)
    );
}

#[test]
fn values_outside_an_enumeration_are_refused() {
    let search = |scope: u8, deref: u8| {
        let operation = [
            0x63, 0x16, 4, 0, 10, 1, scope, 10, 1, deref, 2, 1, 0, 2, 1, 0, 1, 1, 0, 0x87, 1, b'a', 0x30, 0,
        ];
        Message::decode(&frame(1, &operation, &[])).map(drop)
    };
    assert_eq!(search(3, 3), Ok(()));
    assert!(matches!(
        search(4, 0),
        Err(MessageError::Operation {
            reason: OperationError::Scope(4),
            ..
        })
    ));
    assert!(matches!(
        search(0, 4),
        Err(MessageError::Operation {
            reason: OperationError::DerefAliases(4),
            ..
        })
    ));
}

#[test]
fn controls_are_read_with_their_criticality() {
    let mut controls = Vec::new();
    ber::write_constructed(&mut controls, CONTROLS, |out| {
        Control {
            control_type: b"1.2.3",
            criticality: true,
            value: None,
        }
        .write(out);
        Control {
            control_type: b"1.2.4",
            criticality: false,
            value: Some(b"v"),
        }
        .write(out);
    });
    let frame = frame(3, &[0x42, 0], &controls);
    let message = Message::decode(&frame).unwrap();
    assert_eq!(message.controls.len(), 2);
    assert!(message.controls[0].criticality && message.controls[0].value.is_none());
    assert_eq!(message.controls[1].value, Some(&b"v"[..]));
    let mut broken = frame.clone();
    let tail = broken.len() - 1;
    broken[tail - 2] = 0x40;
    assert!(matches!(
        Message::decode(&broken),
        Err(MessageError::Operation {
            message_id: 3,
            reason: OperationError::Controls(_),
            ..
        })
    ));
}

#[test]
fn the_other_requests_are_recognised() {
    let mut compare = Vec::new();
    ber::write_constructed(&mut compare, 0x6e, |out| {
        ber::write_element(out, ber::OCTET_STRING, b"cn=a");
        ber::write_constructed(out, ber::SEQUENCE, |out| {
            ber::write_element(out, ber::OCTET_STRING, b"member");
            ber::write_element(out, ber::OCTET_STRING, b"\xff");
        });
    });
    assert_eq!(
        Message::decode(&frame(1, &compare, &[])).unwrap().operation,
        Operation::Compare(CompareRequest {
            entry: "cn=a".into(),
            attribute: "member".into(),
            value: vec![0xff]
        })
    );
    let extended = [0x77, 7, 0x80, 5, b'1', b'.', b'2', b'.', b'3'];
    assert_eq!(
        Message::decode(&frame(1, &extended, &[])).unwrap().operation,
        Operation::Extended(ExtendedRequest {
            name: "1.2.3".into(),
            value: None
        })
    );
    assert_eq!(
        Message::decode(&frame(1, &[0x50, 1, 9], &[])).unwrap().operation,
        Operation::Abandon(9)
    );
    assert_eq!(
        Message::decode(&frame(1, &[0x4a, 1, b'x'], &[]))
            .unwrap()
            .operation,
        Operation::Delete
    );
    assert!(matches!(
        Message::decode(&frame(1, &[0x6e, 2, 4, 0], &[])),
        Err(MessageError::Operation {
            kind: OperationKind::Compare,
            reason: OperationError::Ber(BerError::Truncated),
            ..
        })
    ));
    assert!(matches!(
        Message::decode(&frame(1, &[0x50, 0], &[])),
        Err(MessageError::Operation {
            kind: OperationKind::Abandon,
            ..
        })
    ));
}

#[test]
fn a_broken_tail_inside_any_request_is_refused() {
    // A compare whose assertion ends in an octet that is no element; ldap3_proto would drop it.
    let sound = [0x6e, 10, 4, 1, b'a', 0x30, 5, 4, 1, b'c', 4, 0];
    assert!(Message::decode(&frame(1, &sound, &[])).is_ok());
    let broken = [0x6e, 11, 4, 1, b'a', 0x30, 6, 4, 1, b'c', 4, 0, 0];
    assert!(matches!(
        Message::decode(&frame(1, &broken, &[])),
        Err(MessageError::Operation {
            message_id: 1,
            kind: OperationKind::Compare,
            reason: OperationError::Ber(BerError::TrailingData)
        })
    ));
}

#[test]
fn only_message_ids_can_be_abandoned() {
    for (octets, sound) in [
        (&[0x50, 4, 0x7f, 0xff, 0xff, 0xff][..], true),
        (&[0x50, 5, 0, 0x80, 0, 0, 0], false),
        (&[0x50, 1, 0xff], false),
        (&[0x50, 0], false),
    ] {
        let abandon = frame(1, octets, &[]);
        let message = Message::decode(&abandon);
        assert_eq!(
            message.is_ok_and(|message| message.operation == Operation::Abandon(0x7fff_ffff)),
            sound
        );
    }
}

#[test]
fn nothing_may_follow_what_an_operation_has() {
    let refused = |operation: &[u8]| Message::decode(&frame(1, operation, &[])).is_err();
    assert!(!refused(&[0x77, 7, 0x80, 1, b'1', 0x81, 2, 7, 7]));
    assert!(refused(&[0x77, 6, 0x80, 1, b'1', 0x80, 1, b'2']), "two names");
    assert!(
        refused(&[0x77, 8, 0x80, 1, b'1', 0x81, 0, 0x82, 1, 0]),
        "a third element"
    );
    assert!(refused(&[0x77, 3, 0x80, 1, 0xff]), "a name that is not text");
    assert!(
        refused(&[0x6e, 12, 4, 1, b'a', 0x30, 7, 4, 1, b'c', 4, 0, 4, 0]),
        "a third part"
    );
    assert!(
        refused(&[0x6e, 12, 4, 1, b'a', 0x30, 5, 4, 1, b'c', 4, 0, 4, 0]),
        "after the assertion"
    );
    // An add whose list ends in half an element, checked before ldap3_proto sees it.
    assert!(refused(&[0x68, 6, 4, 1, b'a', 0x30, 1, 4]));
}
