//! Filters: what is read, written and read again is the same, its text is one line of ASCII-escaped UTF-8, and the work
//! is bounded by the octets.
#![no_main]

use akldap_ldap::ber::Reader;
use akldap_ldap::filter::Filter;
use akldap_ldap::steps::within_budget;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let filter = match within_budget(octets.len(), || Filter::read(&mut Reader::new(octets))) {
        Ok(filter) => filter,
        Err(error) => {
            let _ = error.to_string();
            return;
        }
    };
    assert!(filter.size() <= 2 * octets.len());
    let mut written = Vec::new();
    filter.write(&mut written);
    let mut again = Reader::new(&written);
    assert_eq!(Filter::read(&mut again), Ok(filter.clone()));
    assert!(again.is_empty());
    let text = filter.to_string();
    assert!(text.starts_with('(') && text.ends_with(')'));
    assert!(!text.chars().any(|character| character.is_ascii_control()));
    let open = text.bytes().filter(|octet| *octet == b'(').count();
    let close = text.bytes().filter(|octet| *octet == b')').count();
    assert_eq!(open, close, "parentheses of values are escaped");
});
