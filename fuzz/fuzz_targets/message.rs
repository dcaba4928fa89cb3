//! Frames and messages: any octets are refused or understood, and what is understood does not depend on what follows.
#![no_main]

use akldap::ldap::frame::{self, Frame};
use akldap::ldap::message::{Message, Operation};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 64 * 1024;

fuzz_target!(|octets: &[u8]| {
    let _ = Message::decode(octets);
    let Ok(split) = frame::split(octets, LIMIT) else {
        return;
    };
    let longer = [octets, &[0x30, 0x05]].concat();
    if let Frame::Complete { .. } = split {
        assert_eq!(frame::split(&longer, LIMIT), Ok(split));
    }
    if let Frame::Complete { length } = split {
        assert!(length <= LIMIT && length <= octets.len());
        if let Ok(message) = Message::decode(&octets[..length]) {
            assert!(message.message_id <= i32::MAX as u32);
            if let Operation::Search(search) = &message.operation {
                let _ = format!("{}", search.filter);
            }
            let _ = format!("{message:?}");
        }
    }
});
