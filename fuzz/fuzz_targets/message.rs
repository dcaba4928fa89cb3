//! Frames and messages: any octets are refused or understood; what is understood does not depend on what follows, and
//! reads the same when it is written again; and the work is bounded by the octets.
#![no_main]

use akldap_ldap::ber;
use akldap_ldap::frame::{self, Frame};
use akldap_ldap::message::{Authentication, MAX_DEPTH, Message, Operation};
use akldap_ldap::steps::within_budget;
use bytes::BytesMut;
use ldap3_proto::LdapCodec;
use libfuzzer_sys::fuzz_target;
use tokio_util::codec::Decoder;

const LIMIT: usize = 64 * 1024;

/// The message as BER; `None` for the operations whose contents are checked and not kept.
fn write(message: &Message<'_>) -> Option<Vec<u8>> {
    let mut operation = Vec::new();
    match &message.operation {
        Operation::Bind(bind) => ber::write_constructed(&mut operation, 0x60, |out| {
            ber::write_integer(out, ber::INTEGER, bind.version);
            ber::write_element(out, ber::OCTET_STRING, bind.name);
            match bind.authentication {
                Authentication::Simple(password) => ber::write_element(out, 0x80, password),
                Authentication::Sasl(mechanism) => ber::write_constructed(out, 0xa3, |out| {
                    ber::write_element(out, ber::OCTET_STRING, mechanism);
                }),
                Authentication::Unknown(tag) => ber::write_element(out, tag, &[]),
            }
        }),
        Operation::Unbind => ber::write_element(&mut operation, 0x42, &[]),
        Operation::Search(search) => search.write(&mut operation),
        Operation::Compare(compare) => ber::write_constructed(&mut operation, 0x6e, |out| {
            ber::write_element(out, ber::OCTET_STRING, compare.entry.as_bytes());
            ber::write_constructed(out, ber::SEQUENCE, |out| {
                ber::write_element(out, ber::OCTET_STRING, compare.attribute.as_bytes());
                ber::write_element(out, ber::OCTET_STRING, &compare.value);
            });
        }),
        Operation::Abandon(target) => ber::write_integer(&mut operation, 0x50, i64::from(*target)),
        Operation::Extended(extended) => ber::write_constructed(&mut operation, 0x77, |out| {
            ber::write_element(out, 0x80, extended.name.as_bytes());
            if let Some(value) = &extended.value {
                ber::write_element(out, 0x81, value);
            }
        }),
        Operation::Update(_) => return None,
    }
    let mut frame = Vec::new();
    ber::write_constructed(&mut frame, ber::SEQUENCE, |out| {
        ber::write_integer(out, ber::INTEGER, i64::from(message.message_id));
        out.extend_from_slice(&operation);
        ber::write_constructed(out, 0xa0, |out| {
            message.controls.iter().for_each(|control| control.write(out));
        });
    });
    Some(frame)
}

fuzz_target!(|octets: &[u8]| {
    if let Err(error) = within_budget(octets.len(), || Message::decode(octets)) {
        let _ = error.to_string();
    }
    let Ok(Frame::Complete { length }) = frame::split(octets, LIMIT) else {
        return;
    };
    assert!(length <= LIMIT && length <= octets.len());
    let longer = [octets, &[0x30, 0x05]].concat();
    assert_eq!(frame::split(&longer, LIMIT), Ok(Frame::Complete { length }));
    let Ok(message) = Message::decode(&octets[..length]) else {
        return;
    };
    assert!(message.message_id <= ber::MAX_INT);
    if let Operation::Search(search) = &message.operation {
        let _ = search.filter.to_string();
    }
    if let Operation::Update(update) = &message.operation {
        // As the server goes on with it.
        let mut codec = LdapCodec::new(Some(update.message().len()), Some(MAX_DEPTH));
        let _ = codec.decode(&mut BytesMut::from(update.message()));
    }
    let _ = format!("{message:?}");
    if let Some(written) = write(&message) {
        assert_eq!(
            frame::split(&written, 2 * LIMIT),
            Ok(Frame::Complete {
                length: written.len()
            })
        );
        assert_eq!(Message::decode(&written), Ok(message));
    }
});
