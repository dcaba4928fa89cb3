use super::*;

#[test]
fn a_length_that_exceeds_its_container_is_truncated() {
    assert_eq!(
        Reader::new(&[0x04, 0x05, b'a']).octet_string(),
        Err(BerError::Truncated)
    );
    assert_eq!(Reader::new(&[0x04]).element(), Err(BerError::Truncated));
    let claims = [0x04, 0x88, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(Reader::new(&claims).element(), Err(BerError::Truncated));
}

#[test]
fn forms_that_ldap_forbids_are_refused() {
    assert_eq!(
        Reader::new(&[0x30, 0x80, 0, 0]).element(),
        Err(BerError::IndefiniteLength)
    );
    assert_eq!(
        Reader::new(&[0x1f, 0x81, 0x01, 0x00]).element(),
        Err(BerError::MultiOctetTag)
    );
    let nine = [0x30, 0x89, 1, 0, 0, 0, 0, 0, 0, 0, 5, 1, 2, 3, 4, 5];
    assert_eq!(Reader::new(&nine).element(), Err(BerError::LengthTooLong));
}

#[test]
fn integers_round_trip_in_their_shortest_form() {
    for number in [
        0,
        1,
        127,
        128,
        255,
        256,
        32767,
        32768,
        -1,
        -128,
        -129,
        i64::MAX,
        i64::MIN,
    ] {
        let mut out = Vec::new();
        write_integer(&mut out, INTEGER, number);
        assert_eq!(Reader::new(&out).integer(), Ok(number));
        if let Ok(small) = u32::try_from(number) {
            assert_eq!(integer_size(small), out.len());
        }
    }
    assert_eq!(parse_integer(&[]), Err(BerError::BadNumber));
    assert_eq!(parse_integer(&[0; 9]), Err(BerError::BadNumber));
    assert_eq!(
        Reader::new(&[2, 5, 0, 0x80, 0, 0, 0]).max_int(),
        Err(BerError::BadNumber)
    );
    assert_eq!(Reader::new(&[2, 1, 0xff]).max_int(), Err(BerError::BadNumber));
}

#[test]
fn headers_take_the_shortest_length_and_wrap_what_was_written() {
    for length in [0usize, 1, 127, 128, 255, 256, 65_535, 65_536, 20_000_000] {
        let contents = vec![7; length];
        let mut direct = vec![9];
        write_element(&mut direct, OCTET_STRING, &contents);
        assert_eq!(direct.len(), 1 + element_size(length));
        let mut wrapped = vec![9];
        write_constructed(&mut wrapped, OCTET_STRING, |out| out.extend_from_slice(&contents));
        assert_eq!(direct, wrapped);
        assert_eq!(Reader::new(&direct[1..]).octet_string(), Ok(&contents[..]));
    }
}
