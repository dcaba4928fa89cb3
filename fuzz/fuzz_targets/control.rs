//! Control values: what is read, written and read again is the same.
#![no_main]

use akldap::ldap::control::{DerefSpec, PagedResults, SortKey, VlvRequest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    if let Ok(paged) = PagedResults::read(octets) {
        assert_eq!(PagedResults::read(&paged.encode()), Ok(paged));
    }
    if let Ok(keys) = SortKey::read_all(octets) {
        assert_eq!(SortKey::read_all(&SortKey::encode_all(&keys)), Ok(keys));
    }
    if let Ok(vlv) = VlvRequest::read(octets) {
        assert_eq!(VlvRequest::read(&vlv.encode()), Ok(vlv));
    }
    if let Ok(specs) = DerefSpec::read_all(octets) {
        assert_eq!(DerefSpec::read_all(&DerefSpec::encode_all(&specs)), Ok(specs));
    }
});
