use super::*;

#[test]
fn a_critical_control_without_a_value_is_legal() {
    let mut octets = Vec::new();
    let control = Control {
        control_type: MANAGE_DSA_IT.as_bytes(),
        criticality: true,
        value: None,
    };
    control.write(&mut octets);
    assert_eq!(Control::read_all(&octets), Ok(vec![control]));
    assert_eq!(Control::read_all(&[0x30, 0]), Err(BerError::Truncated));
}

#[test]
fn values_round_trip() {
    let paged = PagedResults {
        size: 500,
        cookie: vec![1, 2, 3],
    };
    assert_eq!(PagedResults::read(&paged.encode()), Ok(paged));
    let keys = vec![
        SortKey {
            attribute: b"sn".to_vec(),
            ordering_rule: None,
            reverse_order: true,
        },
        SortKey {
            attribute: b"cn".to_vec(),
            ordering_rule: Some(b"2.5.13.3".to_vec()),
            reverse_order: false,
        },
    ];
    assert_eq!(SortKey::read_all(&SortKey::encode_all(&keys)), Ok(keys));
    for target in [
        VlvTarget::ByOffset {
            offset: 3,
            content_count: 70_000,
        },
        VlvTarget::GreaterOrEqual(b"m".to_vec()),
    ] {
        let vlv = VlvRequest {
            before_count: 0,
            after_count: 19,
            target,
            context_id: Some(vec![9]),
        };
        assert_eq!(VlvRequest::read(&vlv.encode()), Ok(vlv));
    }
    let specs = vec![DerefSpec {
        deref_attribute: b"member".to_vec(),
        attributes: vec![b"cn".to_vec()],
    }];
    assert_eq!(DerefSpec::read_all(&DerefSpec::encode_all(&specs)), Ok(specs));
}

#[test]
fn no_value_ends_in_what_it_has_or_in_half_an_element() {
    fn sequence(parts: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        ber::write_element(&mut out, ber::SEQUENCE, &parts.concat());
        out
    }
    fn by_offset(tail: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        ber::write_element(&mut out, 0xa0, &[&[2, 1, 3, 2, 1, 7], tail].concat());
        out
    }
    /// A value that ends like this, and whether it is read.
    type Reads = fn(&[u8]) -> bool;
    let values: [(&str, Reads, &[&[u8]]); 6] = [
        (
            "paged results",
            |tail| PagedResults::read(&sequence(&[&[2, 1, 5, 4, 1, 9], tail])).is_ok(),
            &[&[4, 0], &[2, 1, 5]],
        ),
        (
            "a sort key",
            |tail| {
                let key = sequence(&[&[4, 1, b'c', 0x81, 1, 0xff], tail]);
                SortKey::read_all(&sequence(&[&key])).is_ok()
            },
            &[&[4, 1, b'c'], &[0x80, 1, b'x'], &[0x81, 1, 0]],
        ),
        (
            "a virtual list view",
            |tail| VlvRequest::read(&sequence(&[&[2, 1, 0, 2, 1, 19], &by_offset(&[]), tail])).is_ok(),
            &[
                &[2, 1, 0],
                &[0x81, 0],
                &[0xa0, 6, 2, 1, 3, 2, 1, 7],
                &[4, 0, 4, 0],
            ],
        ),
        (
            "an offset of a virtual list view",
            |tail| VlvRequest::read(&sequence(&[&[2, 1, 0, 2, 1, 19], &by_offset(tail)])).is_ok(),
            &[&[2, 1, 7]],
        ),
        (
            "a dereference",
            |tail| {
                let spec = sequence(&[&[4, 1, b'm', 0x30, 3, 4, 1, b'c'], tail]);
                DerefSpec::read_all(&sequence(&[&spec])).is_ok()
            },
            &[&[4, 1, b'm'], &[0x30, 0]],
        ),
        (
            "flags",
            |tail| read_flags(&sequence(&[&[2, 1, 3], tail])).is_ok(),
            &[&[2, 1, 3]],
        ),
    ];
    for (what, reads, known) in values {
        assert!(reads(&[]) && reads(&[0x8f, 0]), "{what}");
        for tail in known {
            assert!(!reads(tail), "{what} {tail:02x?}");
            let late = [&[0x8f, 0], *tail].concat();
            assert!(!reads(&late), "{what} {late:02x?}");
        }
        assert!(!reads(&[0x8f, 2, 0]), "{what}");
    }
}

#[test]
fn values_may_end_in_elements_that_nobody_knows() {
    let tail: &[u8] = &[0xaf, 1, 0xff];
    let by_offset: &[u8] = &[0xa0, 9, 2, 1, 3, 2, 1, 7, 0xaf, 1, 0xff];
    let sequence = |parts: &[&[u8]]| {
        let mut out = Vec::new();
        ber::write_element(&mut out, ber::SEQUENCE, &[&parts.concat(), tail].concat());
        out
    };
    let list = |parts: &[u8]| {
        let mut out = Vec::new();
        ber::write_element(&mut out, ber::SEQUENCE, parts);
        out
    };
    let paged = PagedResults::read(&sequence(&[&[2, 1, 5, 4, 1, 9]]));
    assert_eq!(paged.map(|paged| (paged.size, paged.cookie)), Ok((5, vec![9])));
    let keys = SortKey::read_all(&list(&sequence(&[&[4, 2, b'c', b'n', 0x81, 1, 0xff]])));
    assert!(keys.is_ok_and(|keys| keys.len() == 1 && keys[0].reverse_order));
    let vlv = VlvRequest::read(&sequence(&[&[2, 1, 0, 2, 1, 19], by_offset]));
    let target = VlvTarget::ByOffset {
        offset: 3,
        content_count: 7,
    };
    assert_eq!(vlv.map(|vlv| vlv.target), Ok(target));
    let specs = DerefSpec::read_all(&list(&sequence(&[&[4, 1, b'm', 0x30, 4, 4, 2, b'c', b'n']])));
    assert!(specs.is_ok_and(|specs| specs.len() == 1));
    assert_eq!(read_flags(&sequence(&[&[2, 1, 3]])), Ok(3));
    // Nothing follows a value as a whole.
    let two = [sequence(&[&[2, 1, 5, 4, 1, 9]]).as_slice(), tail].concat();
    assert!(PagedResults::read(&two).is_err());
}

#[test]
fn numbers_outside_their_range_are_refused() {
    assert!(PagedResults::read(&[0x30, 5, 2, 1, 0xff, 4, 0]).is_err());
    assert!(PagedResults::read(&[0x30, 9, 2, 5, 0, 0x80, 0, 0, 0, 4, 0]).is_err());
    let many = vec![
        SortKey {
            attribute: b"a".to_vec(),
            ordering_rule: None,
            reverse_order: false
        };
        17
    ];
    assert!(SortKey::read_all(&SortKey::encode_all(&many)).is_err());
    assert!(SortKey::read_all(&[0x30, 0]).is_err());
}
