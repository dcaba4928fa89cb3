use super::*;
use crate::ber::{BerError, Reader};

fn encode(filter: &Filter<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    filter.write(&mut out);
    out
}

fn equality<'a>(attribute: &'a str, value: &'a [u8]) -> Filter<'a> {
    Filter::Equality(AttributeValueAssertion {
        attribute: attribute.as_bytes(),
        value,
    })
}

#[test]
fn every_form_round_trips_and_prints_escaped() {
    let filter = Filter::And(vec![
        equality("cn", b"a*b(c)\\\xff"),
        Filter::Or(vec![]),
        Filter::Not(Box::new(Filter::Present(b"mail"))),
        Filter::Substrings(SubstringFilter {
            attribute: b"sn",
            initial: Some(b"a"),
            any: vec![b"b", b"*"],
            last: Some(b"d"),
        }),
        Filter::GreaterOrEqual(AttributeValueAssertion {
            attribute: b"uidNumber",
            value: b"5",
        }),
        Filter::LessOrEqual(AttributeValueAssertion {
            attribute: b"uidNumber",
            value: b"9",
        }),
        Filter::Approx(AttributeValueAssertion {
            attribute: b"cn",
            value: "zoë".as_bytes(),
        }),
        Filter::Extensible(MatchingRuleAssertion {
            matching_rule: Some(b"1.2.840.113556.1.4.1941"),
            attribute: Some(b"memberOf"),
            value: b"cn=x",
            dn_attributes: true,
        }),
    ]);
    let encoded = encode(&filter);
    assert_eq!(Filter::read(&mut Reader::new(&encoded)), Ok(filter.clone()));
    assert!(filter.size() <= encoded.len() && encoded.len() <= 2 * filter.size());
    assert_eq!(
        filter.to_string(),
        "(&(cn=a\\2ab\\28c\\29\\5c\\ff)(|)(!(mail=*))(sn=a*b*\\2a*d)(uidNumber>=5)(uidNumber<=9)(cn~=zoë)\
         (memberOf:dn:1.2.840.113556.1.4.1941:=cn=x))"
    );
}

#[test]
fn depth_and_size_have_limits() {
    let nested = |levels: usize| {
        let filter = (1..levels).fold(Filter::Present(b"cn"), |inner, _| Filter::Not(Box::new(inner)));
        encode(&filter)
    };
    assert!(Filter::read(&mut Reader::new(&nested(MAX_DEPTH))).is_ok());
    assert_eq!(
        Filter::read(&mut Reader::new(&nested(MAX_DEPTH + 1))),
        Err(FilterError::TooDeep)
    );
    let wide = |count: usize| encode(&Filter::Or(vec![Filter::Present(b"a"); count]));
    assert!(Filter::read(&mut Reader::new(&wide(MAX_COMPONENTS - 1))).is_ok());
    assert_eq!(
        Filter::read(&mut Reader::new(&wide(MAX_COMPONENTS))),
        Err(FilterError::TooLarge)
    );
}

#[test]
fn malformed_components_are_named() {
    let cases: [(&[u8], FilterError); 8] = [
        (&[0xaf, 0], FilterError::UnknownComponent(0xaf)),
        (&[0xa2, 0], FilterError::Ber(BerError::Truncated)),
        (
            &[0xa2, 4, 0x87, 0, 0x87, 0],
            FilterError::Ber(BerError::TrailingData),
        ),
        (
            &[0xa3, 9, 4, 1, b'a', 4, 1, b'b', 4, 1, b'c'],
            FilterError::Ber(BerError::TrailingData),
        ),
        (&[0xa4, 5, 4, 1, b'a', 0x30, 0], FilterError::BadSubstrings),
        (
            &[0xa4, 9, 4, 1, b'a', 0x30, 4, 0x82, 0, 0x80, 0],
            FilterError::BadSubstrings,
        ),
        (&[0xa9, 2, 0x83, 0], FilterError::BadExtensible),
        (&[0xa3, 3, 4, 1, b'a'], FilterError::Ber(BerError::Truncated)),
    ];
    for (octets, error) in cases {
        assert_eq!(
            Filter::read(&mut Reader::new(octets)),
            Err(error),
            "{octets:02x?}"
        );
    }
}

#[test]
fn values_that_are_not_to_be_shown_are_not_wherever_they_stand() {
    let text = "(&(userPassword=hunter2)(cn=b)(!(|(USERPASSWORD;x=hunter2)(userPassword=hun*r*2)(userPassword>=hunter2)\
                (userPassword:octetStringMatch:=hunter2))))";
    let octets = parser::octets(text).unwrap();
    let filter = Filter::read(&mut Reader::new(&octets)).unwrap();
    let is_secret = |name: &[u8]| name.to_ascii_lowercase().starts_with(b"userpassword");
    assert_eq!(
        filter.without_values_of(is_secret).to_string(),
        "(&(userPassword=…)(cn=b)(!(|(USERPASSWORD;x=…)(userPassword=…)(userPassword>=…)(userPassword:octetStringMatch:=…))))"
    );
    assert_eq!(filter.to_string(), text);
}
