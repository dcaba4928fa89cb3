use proptest::prelude::*;

use super::*;
use akldap_ldap::steps;

fn same(syntax: Syntax, one: &str, other: &str) -> bool {
    equality_key(syntax, one.as_bytes()) == equality_key(syntax, other.as_bytes())
}

fn less(syntax: Syntax, one: &str, other: &str) -> bool {
    ordering_key(syntax, one.as_bytes()).unwrap() < ordering_key(syntax, other.as_bytes()).unwrap()
}

fn instant(text: &str) -> Option<(i64, u32)> {
    parse_generalized_time(text.as_bytes()).map(|instant| (instant.seconds, instant.nanoseconds))
}

#[test]
fn integers_of_any_size_compare_by_value() {
    assert!(same(Syntax::Integer, "0042", "42"));
    assert!(same(Syntax::Integer, "+42", " 42 "));
    assert!(same(Syntax::Integer, "-0", "000"));
    assert!(!same(Syntax::Integer, "-42", "42"));
    assert!(same(
        Syntax::Integer,
        "0123456789012345678901234567890",
        "123456789012345678901234567890"
    ));
    assert!(less(Syntax::Integer, "9", "10"));
    assert!(less(Syntax::Integer, "-10", "-9"));
    assert!(less(Syntax::Integer, "-1", "0"));
    assert!(less(
        Syntax::Integer,
        "99999999999999999999",
        "100000000000000000000"
    ));
    for bad in ["", "-", "+", "1.5", "0x1f", "1 2", "a", "--1"] {
        assert_eq!(normalize(Syntax::Integer, bad.as_bytes()), None, "{bad:?}");
    }
}

#[test]
fn booleans_compare_whatever_the_case() {
    assert!(same(Syntax::Boolean, "TRUE", "true"));
    assert!(!same(Syntax::Boolean, "TRUE", "FALSE"));
    assert_eq!(normalize(Syntax::Boolean, b"1"), None);
    assert_eq!(normalize(Syntax::Boolean, b"yes"), None);
}

#[test]
fn times_are_instants() {
    assert_eq!(instant("19700101000000Z"), Some((0, 0)));
    assert_eq!(instant("20240229120000Z"), Some((1_709_208_000, 0)));
    assert_eq!(instant("1969123123Z"), Some((-3600, 0)));
    assert_eq!(instant("202402291200Z"), Some((1_709_208_000, 0)));
    assert_eq!(instant("2024022912Z"), Some((1_709_208_000, 0)));
    assert_eq!(instant("2024022912.5Z"), Some((1_709_209_800, 0)));
    assert_eq!(instant("202402291200,25Z"), Some((1_709_208_015, 0)));
    assert_eq!(
        instant("20240229120000.1234567891Z"),
        Some((1_709_208_000, 123_456_789))
    );
    assert_eq!(instant("20240229130000+0100"), Some((1_709_208_000, 0)));
    assert_eq!(instant("20240229063000-0530"), Some((1_709_208_000, 0)));
    assert_eq!(instant("20240229130000+01"), Some((1_709_208_000, 0)));
    assert_eq!(instant("20240229120000"), Some((1_709_208_000, 0)));
    assert_eq!(instant("20161231235960Z"), instant("20170101000000Z"));
    for bad in [
        "",
        "2024",
        "20230229120000Z",
        "20241301000000Z",
        "20240100000000Z",
        "20240101240000Z",
        "20240101006000Z",
        "20240101000061Z",
        "2024010100000Z",
        "20240101000000.Z",
        "20240101000000ZZ",
        "20240101000000+2400",
        "20240101000000+0160",
        "20240101000000+1",
        "2024-01-01T00:00:00Z",
        "19000229000000Z",
    ] {
        assert_eq!(instant(bad), None, "{bad:?}");
    }
    assert!(less(
        Syntax::GeneralizedTime,
        "19691231235959Z",
        "19700101000000Z"
    ));
    assert!(less(
        Syntax::GeneralizedTime,
        "20240101000000.1Z",
        "20240101000000.11Z"
    ));
    assert!(same(
        Syntax::GeneralizedTime,
        "20240101000000.0Z",
        "202401010100+0100"
    ));
}

#[test]
fn names_compare_in_normal_form_and_fall_back_to_text() {
    let dn = Syntax::DistinguishedName;
    assert!(same(
        dn,
        "CN=Sales\\, EMEA, ou=Groups,dc=x",
        "cn=sales\\2c emea,OU=groups,DC=X"
    ));
    assert!(same(dn, "2.5.4.3=a+uid=b,dc=x", "UID=B + commonName=A,dc=X"));
    assert!(same(dn, "No  Name", "no name"));
    assert!(!same(dn, "cn=a,dc=x", "cn=a,dc=y"));
    let unique = Syntax::NameAndOptionalUid;
    assert!(same(unique, "cn=A, dc=x#'0101'B", "cn=a,dc=x#'0101'B"));
    assert!(!same(unique, "cn=a,dc=x#'0101'B", "cn=a,dc=x#'01'B"));
    assert!(same(unique, "cn=a, dc=x", "cn=a,dc=x"));
    for odd in ["'B", "#'B", "1'B", "cn=a'B", "cn=a#'2'B"] {
        assert!(same(unique, odd, odd));
    }
}

#[test]
fn telephone_numbers_compare_without_spaces_and_hyphens() {
    let telephone = Syntax::TelephoneNumber;
    assert!(same(telephone, "+49 30-123 456", "+4930123456"));
    assert!(same(telephone, "+49\u{2010}30", "+49 30"));
    assert!(!same(telephone, "+4930", "4930"));
    let mut part = Vec::new();
    substring_part(telephone, b"0-12", Position::Any, &mut part);
    let value = substring_value(telephone, b"+49 30 123");
    assert_eq!((&*value, part.as_slice()), (&b"+4930123"[..], &b"012"[..]));
}

#[test]
fn uuids_compare_in_any_spelling() {
    let uuid = Syntax::Uuid;
    let plain = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
    assert!(same(uuid, plain, "F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6"));
    assert!(same(uuid, plain, "f81d4fae7dec11d0a76500a0c91e6bf6"));
    assert_eq!(normalize(uuid, b"f81d4fae"), None);
}

#[test]
fn object_identifiers_compare_by_what_they_name() {
    assert!(same(Syntax::Oid, "inetOrgPerson", "2.16.840.1.113730.3.2.2"));
    assert!(same(Syntax::Oid, "OID.2.5.6.6", "PERSON"));
    assert!(same(Syntax::Oid, "myClass", "MYCLASS"));
    assert!(!same(Syntax::Oid, "person", "user"));
    let description = Syntax::AttributeTypeDescription;
    assert!(same(
        description,
        "( 2.5.4.3 NAME ( 'cn' 'commonName' ) )",
        "commonname"
    ));
    assert!(same(description, "(2.5.4.3)", "2.5.4.3"));
}

#[test]
fn a_syntax_knows_its_values() {
    let text = [
        Syntax::DirectoryString,
        Syntax::Ia5String,
        Syntax::AccountName,
        Syntax::TelephoneNumber,
    ];
    for syntax in text {
        for value in ["", " ", "zoë", "+49 30-12", "cn=a,,b"] {
            assert!(is_value(syntax, value.as_bytes()), "{syntax:?} {value:?}");
        }
        for value in [&b"\xff"[..], b"zo\xeb", b"a\xc3"] {
            assert!(!is_value(syntax, value), "{syntax:?} {value:?}");
        }
    }
    assert!(is_value(Syntax::OctetString, b"\xff\0"));
    for (syntax, value, known) in [
        (Syntax::Oid, "computer", true),
        (Syntax::Oid, "goauthentik.io/ldap/user", true),
        (Syntax::Oid, " under_score ", true),
        (Syntax::Oid, "1.2.3", true),
        (Syntax::Oid, "", false),
        (Syntax::Oid, "two words", false),
        (Syntax::Oid, "tab\tbed", false),
        (Syntax::AttributeTypeDescription, "( 1.2.3 NAME 'x' )", true),
        (Syntax::AttributeTypeDescription, "nosuch", true),
        (Syntax::AttributeTypeDescription, "( )", false),
        (Syntax::AttributeTypeDescription, "two words", false),
        (Syntax::NameAndOptionalUid, "cn=a,dc=x#'01'B", true),
        (Syntax::NameAndOptionalUid, "a#'01'B", false),
        (Syntax::DistinguishedName, "", true),
        (Syntax::DistinguishedName, "cn=a,,b", false),
        (Syntax::Integer, "+7", true),
        (Syntax::Integer, "7.0", false),
    ] {
        assert_eq!(is_value(syntax, value.as_bytes()), known, "{syntax:?} {value:?}");
    }
    assert!(!is_value(Syntax::Oid, b"caf\xe9"));
}

#[test]
fn only_explicit_rules_regard_case() {
    assert!(same(Syntax::DirectoryString, " Alice  B", "alice b"));
    assert!(!same(Syntax::CaseExactString, "Alice", "alice"));
    assert!(same(Syntax::CaseExactString, " Alice ", "Alice"));
    assert!(!same(Syntax::OctetString, "A", "a"));
}

#[test]
fn what_is_no_value_never_equals_one_that_is() {
    assert!(same(Syntax::Integer, "Not A Number", "not a number"));
    assert!(!same(Syntax::Integer, "none", "0"));
    for syntax in [
        Syntax::Integer,
        Syntax::Boolean,
        Syntax::GeneralizedTime,
        Syntax::Uuid,
        Syntax::DistinguishedName,
        Syntax::Oid,
    ] {
        assert_eq!(equality_key(syntax, b"= ?")[0], 0xff);
    }
}

proptest! {
    #[test]
    fn integers_order_as_numbers(one in any::<i128>(), other in any::<i128>()) {
        let key = |number: i128| ordering_key(Syntax::Integer, number.to_string().as_bytes()).unwrap().into_owned();
        prop_assert_eq!(key(one).cmp(&key(other)), one.cmp(&other));
    }

    #[test]
    fn small_integers_order_as_numbers(one in -300i16..300, other in -300i16..300) {
        let key = |number: i16| ordering_key(Syntax::Integer, number.to_string().as_bytes()).unwrap().into_owned();
        prop_assert_eq!(key(one).cmp(&key(other)), one.cmp(&other));
    }

    #[test]
    fn days_count_up_by_one(day in -100_000i64..100_000) {
        // Written by the civil-from-days algorithm's inverse: stepping one day steps 86 400 seconds.
        let (year, month, date) = civil(day);
        let text = format!("{year:04}{month:02}{date:02}000000Z");
        prop_assert_eq!(instant(&text), Some((day * 86_400, 0)));
    }

    #[test]
    fn any_octets_have_a_key_equal_to_their_own(octets in prop::collection::vec(any::<u8>(), 0..30)) {
        for syntax in [
            Syntax::DirectoryString, Syntax::CaseExactString, Syntax::Ia5String, Syntax::DistinguishedName,
            Syntax::NameAndOptionalUid, Syntax::Integer, Syntax::Boolean, Syntax::GeneralizedTime,
            Syntax::OctetString, Syntax::TelephoneNumber, Syntax::Oid, Syntax::Uuid, Syntax::AttributeTypeDescription,
        ] {
            prop_assert_eq!(equality_key(syntax, &octets), equality_key(syntax, &octets));
            let mut part = Vec::new();
            substring_part(syntax, &octets, Position::Whole, &mut part);
            prop_assert_eq!(&*substring_value(syntax, &octets), part.as_slice());
            prop_assert_eq!(ordering_key(syntax, &octets).is_some(), normalize(syntax, &octets).is_some());
            prop_assert!(!is_value(syntax, &octets) || normalize(syntax, &octets).is_some());
            prop_assert_eq!(assertion_key(syntax, &octets).0, equality_key(syntax, &octets));
        }
    }
}

/// The date of a day number, by walking whole years and months.
fn civil(day: i64) -> (i64, i64, i64) {
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let (mut year, mut rest) = (1970, day);
    while rest < 0 {
        year -= 1;
        rest += if leap(year) { 366 } else { 365 };
    }
    while rest >= if leap(year) { 366 } else { 365 } {
        rest -= if leap(year) { 366 } else { 365 };
        year += 1;
    }
    let mut month = 0;
    let lengths = [
        31,
        if leap(year) { 29 } else { 28 },
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    while rest >= lengths[month] {
        rest -= lengths[month];
        month += 1;
    }
    (year, month as i64 + 1, rest + 1)
}

/// Each character next to one that makes folding take another round, in a syntax that folds more than
/// once.
#[test]
fn no_character_takes_more_steps_than_an_octet_is_allowed() {
    let slow = "\u{fdfa}".repeat(8);
    for character in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
        // What normalisation and folding leave alone costs less than what they expand.
        let mut octets = [0; 4];
        let one = character.encode_utf8(&mut octets).as_bytes();
        if !one.is_ascii() && text::fold(one) == one {
            continue;
        }
        let value = format!("{slow}{character}");
        let (_, steps) = steps::count(|| equality_key(Syntax::AttributeTypeDescription, value.as_bytes()));
        let allowed = steps::PER_OCTET * value.len() as u64;
        assert!(
            steps <= allowed,
            "{character:?}: {steps} steps, {allowed} are allowed"
        );
    }
}
