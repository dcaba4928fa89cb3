//! Controls and their values: what is read, written and read again is the same, and the work is bounded by the octets.
#![no_main]

use akldap_ldap::ber;
use akldap_ldap::control::{DerefSpec, MAX_DEREF_ITEMS, MAX_SORT_KEYS, PagedResults, SortKey, VlvRequest};
use akldap_ldap::message::Message;
use akldap_ldap::steps::within_budget;
use libfuzzer_sys::fuzz_target;

/// An unbind request with `list` as the contents of its `controls [0]`.
fn message(list: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    ber::write_constructed(&mut frame, ber::SEQUENCE, |out| {
        ber::write_integer(out, ber::INTEGER, 1);
        ber::write_element(out, 0x42, &[]);
        ber::write_element(out, 0xa0, list);
    });
    frame
}

fn check_value(value: &[u8]) {
    if let Ok(paged) = within_budget(value.len(), || PagedResults::read(value)) {
        assert!(paged.size <= ber::MAX_INT);
        assert_eq!(PagedResults::read(&paged.encode()), Ok(paged));
    }
    if let Ok(keys) = within_budget(value.len(), || SortKey::read_all(value)) {
        assert!((1..=MAX_SORT_KEYS).contains(&keys.len()));
        assert_eq!(SortKey::read_all(&SortKey::encode_all(&keys)), Ok(keys));
    }
    if let Ok(vlv) = within_budget(value.len(), || VlvRequest::read(value)) {
        assert_eq!(VlvRequest::read(&vlv.encode()), Ok(vlv));
    }
    if let Ok(specs) = within_budget(value.len(), || DerefSpec::read_all(value)) {
        assert!(specs.len() <= MAX_DEREF_ITEMS);
        assert_eq!(DerefSpec::read_all(&DerefSpec::encode_all(&specs)), Ok(specs));
    }
}

fuzz_target!(|octets: &[u8]| {
    check_value(octets);
    let framed = message(octets);
    let Ok(read) = within_budget(framed.len(), || Message::decode(&framed)) else {
        return;
    };
    let mut list = Vec::new();
    for control in &read.controls {
        control.write(&mut list);
        check_value(control.value.unwrap_or_default());
    }
    assert_eq!(Message::decode(&message(&list)), Ok(read));
});
