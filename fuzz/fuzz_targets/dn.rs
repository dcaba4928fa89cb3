//! Names and values: normal forms are idempotent, written names are read back, two names match exactly if their normal
//! forms are the same octets, every value equals itself, and the work is bounded by the octets.
#![no_main]

use akldap_directory::schema::Syntax;
use akldap_directory::syntax;
use akldap_ldap::dn::{self, Dn, Unescaped};
use akldap_ldap::steps::within_budget;
use akldap_ldap::text::Position;
use libfuzzer_sys::fuzz_target;

const SYNTAXES: &[Syntax] = &[
    Syntax::DirectoryString,
    Syntax::CaseExactString,
    Syntax::AccountName,
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

fn check_name(octets: &[u8]) {
    let name = match within_budget(octets.len(), || Dn::parse(octets)) {
        Ok(name) => name,
        Err(error) => {
            let _ = error.to_string();
            return;
        }
    };
    let normal = within_budget(octets.len(), || name.normal_form());
    let again = Dn::parse(&normal).expect("a normal form is a name");
    assert_eq!(again.normal_form(), normal);
    let written = Dn::parse(name.to_string().as_bytes()).expect("a written name is a name");
    assert_eq!(written, name);
    assert_eq!(
        name.below(&again).map(<[_]>::len),
        Some(0),
        "a name matches its normal form"
    );
    if let Some(parent) = name.parent() {
        assert_eq!(name.below(&parent).map(<[_]>::len), Some(1));
        assert!(parent.below(&name).is_none());
    }
}

/// Whether a name ends with another is found from its end, whether or not it is a name as a whole.
fn check_end(octets: &[u8], base: &Dn) {
    let levels = base.normal_rdns(usize::MAX);
    let found = within_budget(octets.len(), || Unescaped::new(octets).before(&levels));
    let Some(front) = found.filter(|_| !base.is_empty()) else {
        return;
    };
    let tail = Dn::parse(&octets[front.len() + 1..]).expect("what it ends with is a name");
    assert_eq!(tail.normal_rdns(usize::MAX), levels);
}

fn check_pair(first: &Dn, second: &Dn) {
    let matches = first.rdns.len() == second.rdns.len() && first.below(second).is_some();
    assert_eq!(matches, first.normal_form() == second.normal_form());
    assert_eq!(first.below(second).is_some(), {
        let (mut own, base) = (first.clone(), second.normal_form());
        while own.rdns.len() > second.rdns.len() {
            own.rdns.remove(0);
        }
        own.normal_form() == base
    });
}

fn check_value(octets: &[u8]) {
    let escaped = within_budget(octets.len(), || dn::escape(octets));
    assert!(std::str::from_utf8(&escaped).is_ok(), "escaped values are text");
    let named = Dn::parse(&[b"cn=", escaped.as_slice()].concat()).expect("an escaped value is a value");
    assert_eq!(named.rdns.len(), 1);
    assert_eq!(named.rdns[0].value_of("cn"), Some(octets));
    for &syntax in SYNTAXES {
        within_budget(octets.len(), || syntax::equality_key(syntax, octets));
        within_budget(octets.len(), || syntax::ordering_key(syntax, octets));
        within_budget(octets.len(), || syntax::substring_value(syntax, octets));
        assert_eq!(
            syntax::ordering_key(syntax, octets).is_some(),
            syntax::normalize(syntax, octets).is_some()
        );
        assert_eq!(
            syntax::equality_key(syntax, octets),
            syntax::equality_key(syntax, octets)
        );
        let mut part = Vec::new();
        syntax::substring_part(syntax, octets, Position::Whole, &mut part);
        assert_eq!(*syntax::substring_value(syntax, octets), *part);
    }
}

fuzz_target!(|octets: &[u8]| {
    check_name(octets);
    check_value(octets);
    if let Some(end) = octets.iter().position(|octet| *octet == 0)
        && let Ok(base) = Dn::parse(&octets[end + 1..])
    {
        check_end(&octets[..end], &base);
    }
    // A zero octet separates two names.
    let mut parts = octets.splitn(2, |octet| *octet == 0).map(Dn::parse);
    if let (Some(Ok(first)), Some(Ok(second))) = (parts.next(), parts.next()) {
        check_pair(&first, &second);
        check_pair(&second, &first);
    }
});
