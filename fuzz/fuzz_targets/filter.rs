//! Filters: what is read, written and read again is the same, and its text is one line of ASCII-escaped UTF-8.
#![no_main]

use akldap::ldap::ber::Reader;
use akldap::ldap::filter::Filter;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let filter = match Filter::read(&mut Reader::new(octets)) {
        Ok(filter) => filter,
        Err(error) => {
            let _ = error.to_string();
            return;
        }
    };
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
