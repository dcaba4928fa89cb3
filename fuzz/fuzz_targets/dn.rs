//! Names and values: normal forms are idempotent, written names are read back, every value equals itself.
#![no_main]

use akldap::directory::schema::Syntax;
use akldap::directory::syntax;
use akldap::ldap::dn::Dn;
use akldap::ldap::text::Position;
use libfuzzer_sys::fuzz_target;

const SYNTAXES: &[Syntax] = &[
    Syntax::DirectoryString,
    Syntax::CaseExactString,
    Syntax::DistinguishedName,
    Syntax::NameAndOptionalUid,
    Syntax::Integer,
    Syntax::Boolean,
    Syntax::GeneralizedTime,
    Syntax::OctetString,
    Syntax::TelephoneNumber,
    Syntax::Oid,
    Syntax::Uuid,
    Syntax::AttributeTypeDescription,
];

fuzz_target!(|octets: &[u8]| {
    if let Ok(name) = Dn::parse(octets) {
        let normal = name.normal_form();
        let again = Dn::parse(&normal).expect("a normal form is a name");
        assert_eq!(again.normal_form(), normal);
        let written = Dn::parse(name.to_string().as_bytes()).expect("a written name is a name");
        assert_eq!(written.normal_form(), normal);
    }
    for &syntax in SYNTAXES {
        assert_eq!(
            syntax::ordering_key(syntax, octets).is_some(),
            syntax::normalize(syntax, octets).is_some()
        );
        let _ = syntax::equality_key(syntax, octets);
        let mut part = Vec::new();
        syntax::substring_part(syntax, octets, Position::Whole, &mut part);
        assert_eq!(*syntax::substring_value(syntax, octets), *part);
    }
});
