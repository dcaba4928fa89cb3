//! Users and groups as a snapshot file has them: any octets are refused, or are a record that is written as it was
//! read and that a directory takes in and gives out unchanged. Reading costs what its octets cost.
#![no_main]

use akldap_directory::{Builder, CarriedGroup, CarriedUser};
use akldap_ldap::steps::within_budget;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let Some((kind, octets)) = octets.split_first() else {
        return;
    };
    let mut written = Vec::new();
    let mut builder = Builder::new();
    if kind % 2 == 0 {
        let Some(user) = within_budget(octets.len(), || CarriedUser::decode(octets)) else {
            return;
        };
        user.encode(&mut written);
        assert_eq!(written, octets);
        builder.carry_user(&user);
        let (snapshot, _) = builder.finish().unwrap();
        assert_eq!(snapshot.user_count(), 1);
        let id = snapshot.user_by_pk(user.pk()).expect("it was taken in");
        assert_eq!(snapshot.carried_user(id), Ok(user));
    } else {
        let Some(group) = within_budget(octets.len(), || CarriedGroup::decode(octets)) else {
            return;
        };
        group.encode(&mut written);
        assert_eq!(written, octets);
        builder.carry_group(&group);
        let (snapshot, _) = builder.finish().unwrap();
        assert_eq!(snapshot.group_count(), 1);
        let id = snapshot.groups().next().expect("it was taken in");
        // Members and parents that are not there are left out.
        assert_eq!(snapshot.carried_group(id).unwrap().uuid(), group.uuid());
    }
});
