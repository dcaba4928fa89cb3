//! Filters: what is read, written and read again is the same.
#![no_main]

use akldap::ldap::ber::Reader;
use akldap::ldap::filter::Filter;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let Ok(filter) = Filter::read(&mut Reader::new(octets)) else {
        return;
    };
    let mut written = Vec::new();
    filter.write(&mut written);
    assert_eq!(Filter::read(&mut Reader::new(&written)), Ok(filter.clone()));
    let _ = format!("{filter}");
});
