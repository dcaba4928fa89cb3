use super::*;
use crate::filter::Filter;

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
    broken[tail - 1] = 2;
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
            .operation
            .kind(),
        OperationKind::Delete
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
    // A compare whose assertion ends in an octet that is not an element; ldap3_proto would drop it.
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
        refused(&[0x77, 7, 0x80, 1, b'1', 0x81, 0, 0x80, 0]),
        "the name again, after the value"
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
    // An add whose list ends in half an element, found before ldap3_proto sees it.
    assert!(refused(&[0x68, 6, 4, 1, b'a', 0x30, 1, 4]));
}

/// Requests whose every SEQUENCE ends in `tail`, by what they are.
fn with_tails(tail: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let sequence = |tag: u8, parts: &[&[u8]]| {
        let mut out = Vec::new();
        ber::write_element(&mut out, tag, &[&parts.concat(), tail].concat());
        out
    };
    let list = |tag: u8, parts: &[&[u8]]| {
        let mut out = Vec::new();
        ber::write_element(&mut out, tag, &parts.concat());
        out
    };
    let text = |text: &str| list(ber::OCTET_STRING, &[text.as_bytes()]);
    let version = [2, 1, 3];
    let assertion = |tag: u8| sequence(tag, &[&text("cn"), &text("alice")]);
    let substrings = sequence(0xa4, &[&text("cn"), &list(0x30, &[&list(0x80, &[b"al"])])]);
    let extensible = sequence(0xa9, &[&list(0x82, &[b"cn"]), &list(0x83, &[b"alice"])]);
    let search = |filter: &[u8]| {
        let fixed = [10, 1, 2, 10, 1, 0, 2, 1, 0, 2, 1, 0, 1, 1, 0];
        sequence(
            0x63,
            &[&text("dc=x"), &fixed, filter, &list(0x30, &[&text("cn")])],
        )
    };
    let control = list(0xa0, &[&sequence(0x30, &[&text("1.2.3"), &[1, 1, 0xff]])]);
    let change = sequence(
        0x30,
        &[
            &[10, 1, 2],
            &sequence(0x30, &[&text("sn"), &list(0x31, &[&text("x")])]),
        ],
    );
    let attribute = sequence(0x30, &[&text("sn"), &list(0x31, &[&text("x")])]);
    let requests = [
        (
            "bind",
            sequence(0x60, &[&version, &text("cn=a"), &list(0x80, &[b"secret"])]),
        ),
        (
            "sasl",
            sequence(
                0x60,
                &[
                    &version,
                    &text(""),
                    &sequence(0xa3, &[&text("PLAIN"), &text("x")]),
                ],
            ),
        ),
        ("equality", search(&assertion(0xa3))),
        ("greater", search(&assertion(0xa5))),
        ("less", search(&assertion(0xa6))),
        ("approx", search(&assertion(0xa8))),
        ("nested", search(&list(0xa0, &[&list(0xa2, &[&assertion(0xa3)])]))),
        ("substrings", search(&substrings)),
        ("extensible", search(&extensible)),
        ("compare", sequence(0x6e, &[&text("cn=a"), &assertion(0x30)])),
        ("extended", sequence(0x77, &[&list(0x80, &[b"1.2.3"])])),
        (
            "extended with a value",
            sequence(0x77, &[&list(0x80, &[b"1.2.3"]), &list(0x81, &[b"v"])]),
        ),
        (
            "modify",
            sequence(0x66, &[&text("cn=a"), &list(0x30, &[&change])]),
        ),
        (
            "add",
            sequence(0x68, &[&text("cn=a"), &list(0x30, &[&attribute])]),
        ),
        (
            "rename",
            sequence(
                0x6c,
                &[&text("cn=a"), &text("cn=b"), &[1, 1, 0], &list(0x80, &[b"dc=x"])],
            ),
        ),
    ];
    let enveloped = |operation: &[u8]| sequence(ber::SEQUENCE, &[&[2, 1, 1], operation, &control]);
    requests
        .into_iter()
        .map(|(what, operation)| (what, enveloped(&operation)))
        .chain([
            ("delete", enveloped(&list(0x4a, &[b"cn=a"]))),
            (
                "without controls",
                sequence(ber::SEQUENCE, &[&[2, 1, 1], &[0x50, 1, 9]]),
            ),
        ])
        .collect()
}

#[test]
fn trailing_elements_that_nobody_knows_are_ignored() {
    // A primitive one, a constructed one with anything in it, two of them, and one whose tag takes several octets.
    let tails: [&[u8]; 5] = [
        &[0x8f, 1, 7],
        &[0xaf, 3, 0xff, 0xff, 0xff],
        &[0xaf, 0, 0x0c, 1, b'x'],
        &[0xbf, 0x81, 0x23, 2, 0, 0],
        &[0x9f, 0x1f, 0x81, 1, 0],
    ];
    let plain = with_tails(&[]);
    for tail in tails {
        for ((what, plain), (_, longer)) in plain.iter().zip(with_tails(tail)) {
            let expected = Message::decode(plain).unwrap();
            assert_eq!(
                Message::decode(&longer).as_ref(),
                Ok(&expected),
                "{what} {tail:02x?}"
            );
        }
    }
}

#[test]
fn trailing_elements_that_are_broken_are_errors() {
    let broken: [&[u8]; 7] = [
        &[0x8f],
        &[0x8f, 2, 0],
        &[0x8f, 0x80, 0, 0],
        &[0xbf, 0x81],
        &[0xbf, 0x80, 0x23, 0],
        &[0x9f, 0x23, 2, 0],
        &[0x9f, 0x8f, 0xff, 0xff, 0xff, 0x7f, 0],
    ];
    for tail in broken {
        for (what, octets) in with_tails(tail) {
            assert!(Message::decode(&octets).is_err(), "{what} {tail:02x?}");
        }
    }
}

#[test]
fn trailing_elements_that_are_known_are_errors() {
    let critical = [0xa0, 12, 0x30, 10, 4, 5, b'1', b'.', b'2', b'.', b'3', 1, 1, 0xff];
    let abandon: &[u8] = &[0x50, 1, 9];
    let unknown: &[u8] = &[0x8f, 0];
    let search = |filter: &[u8]| {
        let fixed = [4, 0, 10, 1, 2, 10, 1, 0, 2, 1, 0, 2, 1, 0, 1, 1, 0];
        let mut out = Vec::new();
        ber::write_element(&mut out, 0x63, &[&fixed, filter, &[0x30, 0]].concat());
        out
    };
    let search_and = |tail: &[u8]| {
        let fixed: &[u8] = &[4, 0, 10, 1, 2, 10, 1, 0, 2, 1, 0, 2, 1, 0, 1, 1, 0];
        let mut out = Vec::new();
        ber::write_element(&mut out, 0x63, &[fixed, &[0x87, 0, 0x30, 0], tail].concat());
        out
    };
    let sasl = |credentials: &[u8]| {
        let mut choice = Vec::new();
        ber::write_element(&mut choice, 0xa3, &[&[4, 1, b'P'], credentials].concat());
        let mut out = Vec::new();
        ber::write_element(&mut out, 0x60, &[&[2, 1, 3, 4, 0], choice.as_slice()].concat());
        out
    };
    let extensible: &[u8] = &[0xa9, 11, 0x82, 2, b'c', b'n', 0x83, 0, 0x8f, 0, 0x84, 1, 0xff];
    let late_value: &[u8] = &[0xa0, 10, 0x30, 8, 4, 1, b'1', 0x8f, 0, 4, 1, b'v'];
    for (what, parts) in [
        (
            "controls after what nobody knows",
            &[abandon, unknown, &critical][..],
        ),
        ("controls twice", &[abandon, &critical, &critical]),
        ("a second request", &[abandon, abandon]),
        ("a response", &[abandon, &[0x61, 0]]),
        ("a second message id", &[abandon, &[2, 1, 1]]),
        ("the end of an indefinite length", &[abandon, &[0, 0]]),
        (
            "a criticality after the value",
            &[abandon, &[0xa0, 10, 0x30, 8, 4, 1, b'1', 4, 0, 1, 1, 0xff]],
        ),
        ("a value after what nobody knows", &[abandon, late_value]),
        (
            "two passwords",
            &[&[0x60, 10, 2, 1, 3, 4, 0, 0x80, 0, 0x80, 1, b'x']],
        ),
        (
            "a SASL choice after the password",
            &[&[0x60, 9, 2, 1, 3, 4, 0, 0x80, 0, 0xa3, 0]],
        ),
        ("two SASL credentials", &[&sasl(&[4, 0, 4, 0])]),
        (
            "SASL credentials after what nobody knows",
            &[&sasl(&[0x8f, 0, 4, 0])],
        ),
        ("two lists of attributes", &[&search_and(&[0x30, 0])]),
        (
            "a filter after what nobody knows",
            &[&search_and(&[0x8f, 0, 0x87, 0])],
        ),
        ("half a SASL element", &[&sasl(&[4, 0, 0x8f, 2, 0])]),
        ("dnAttributes after what nobody knows", &[&search(extensible)]),
        ("two values", &[&search(&[0xa3, 6, 4, 0, 4, 0, 4, 0])]),
        (
            "parts of a substring twice",
            &[&search(&[
                0xa4, 12, 4, 0, 0x30, 3, 0x80, 1, b'x', 0x30, 3, 0x80, 1, b'x',
            ])],
        ),
        (
            "half an element after the parts of a substring",
            &[&search(&[0xa4, 10, 4, 0, 0x30, 3, 0x80, 1, b'x', 0x8f, 2, 0])],
        ),
        (
            "a new superior after what nobody knows",
            &[&[
                0x6c, 15, 4, 4, b'c', b'n', b'=', b'x', 4, 0, 1, 1, 0xff, 0x8f, 0, 0x80, 0,
            ]],
        ),
    ] {
        let octets = frame(1, &parts.concat(), &[]);
        let decoded = Message::decode(&octets);
        assert!(
            matches!(decoded, Err(MessageError::Operation { .. })),
            "{what} {decoded:?}"
        );
    }
}

#[test]
fn lists_and_choices_take_nothing_unknown() {
    let search = |filter: &[u8], attributes: &[u8]| {
        let fixed = [4, 0, 10, 1, 2, 10, 1, 0, 2, 1, 0, 2, 1, 0, 1, 1, 0];
        let mut out = Vec::new();
        ber::write_element(&mut out, 0x63, &[&fixed, filter, attributes].concat());
        Message::decode(&frame(1, &out, &[])).map(drop)
    };
    let sound: &[u8] = &[0x87, 0];
    assert!(search(sound, &[0x30, 2, 4, 0]).is_ok());
    assert!(search(sound, &[0x30, 4, 4, 0, 0x8f, 0]).is_err(), "an attribute");
    assert!(search(&[0xaf, 0], &[0x30, 0]).is_err(), "a filter");
    assert!(
        search(&[0xa0, 4, 0x87, 0, 0x8f, 0], &[0x30, 0]).is_err(),
        "one of several"
    );
    assert!(
        search(&[0xa2, 4, 0x87, 0, 0x8f, 0], &[0x30, 0]).is_err(),
        "after a negated one"
    );
    let parts = [0xa4, 8, 4, 0, 0x30, 4, 0x80, 0, 0x8f, 0];
    assert!(search(&parts, &[0x30, 0]).is_err(), "a part of a value");
    assert!(
        Message::decode(&frame(1, &[0x42, 0], &[0xa0, 2, 0x8f, 0])).is_err(),
        "a control"
    );
}
