//! Reads requests: as `ldap` decodes them, and those to add, delete and rename entries as `ldap3_proto` does.
//!
//! Knows which library knows their grammar; that library brings a runtime along, so `ldap` must not use it. Must not know
//! what is answered.

use bytes::BytesMut;
use ldap3_proto::LdapCodec;
use ldap3_proto::proto::LdapOp;
use tokio_util::codec::Decoder;

use akldap_ldap::message::{
    MAX_DEPTH, Message, MessageError, ModifyRequest, Operation, OperationError, OperationKind, Update,
};

/// Decodes a frame, as [`Message::decode`] does, and checks the form of a request to change entries.
///
/// # Errors
/// When the message is malformed; the error tells whether it can be answered.
pub fn decode(frame: &[u8]) -> Result<Message<'_>, MessageError> {
    let message = Message::decode(frame)?;
    match &message.operation {
        Operation::Update(update) if !follows_grammar(update) => Err(MessageError::Operation {
            message_id: message.message_id,
            kind: update.kind(),
            reason: OperationError::Grammar,
        }),
        _ => Ok(message),
    }
}

/// A modify may hold a password, which `ldap3_proto` would copy.
fn follows_grammar(update: &Update) -> bool {
    match update.kind() {
        OperationKind::Modify => ModifyRequest::of(update).is_some(),
        _ => read(update).is_some(),
    }
}

fn read(update: &Update) -> Option<LdapOp> {
    let octets = update.message();
    let mut codec = LdapCodec::new(Some(octets.len()), Some(MAX_DEPTH));
    let message = codec.decode(&mut BytesMut::from(octets)).ok().flatten()?;
    match message.op {
        LdapOp::AddRequest(_) | LdapOp::DelRequest(_) | LdapOp::ModifyDNRequest(_) => Some(message.op),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use akldap_ldap::ber;
    use akldap_ldap::message::Modification;

    fn frame(operation: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        ber::write_constructed(&mut out, ber::SEQUENCE, |out| {
            ber::write_integer(out, ber::INTEGER, 7);
            out.extend_from_slice(operation);
        });
        out
    }

    #[test]
    fn requests_that_change_entries_follow_the_grammar() {
        for (sound, broken) in [
            // An operation that does not exist.
            (
                &[
                    0x66, 19, 4, 1, b'a', 0x30, 14, 0x30, 12, 10, 1, 2, 0x30, 7, 4, 1, b'b', 0x31, 2, 4, 0,
                ][..],
                &[
                    0x66, 19, 4, 1, b'a', 0x30, 14, 0x30, 12, 10, 1, 9, 0x30, 7, 4, 1, b'b', 0x31, 2, 4, 0,
                ][..],
            ),
            // No list.
            (&[0x68, 5, 4, 1, b'a', 0x30, 0], &[0x68, 3, 4, 1, b'a']),
            // A name that is not text.
            (&[0x4a, 1, b'x'], &[0x4a, 1, 0xff]),
            // Does not say whether the old name is removed.
            (
                &[0x6c, 9, 4, 1, b'a', 4, 1, b'b', 1, 1, 0],
                &[0x6c, 6, 4, 1, b'a', 4, 1, b'b'],
            ),
        ] {
            let octets = frame(sound);
            let message = Message::decode(&octets).unwrap();
            assert_eq!(decode(&octets).as_ref(), Ok(&message));
            let kind = message.operation.kind();
            let octets = frame(broken);
            assert!(Message::decode(&octets).is_ok());
            let reason = OperationError::Grammar;
            assert_eq!(
                decode(&octets),
                Err(MessageError::Operation {
                    message_id: 7,
                    kind,
                    reason
                })
            );
        }
    }

    #[test]
    fn a_password_is_told_from_other_attributes() {
        for (name, is) in [
            ("userPassword", true),
            ("USERPASSWORD;lang-en", true),
            ("2.5.4.35", true),
            ("userPasswords", false),
            ("mail", false),
        ] {
            let mut modify = Vec::new();
            ber::write_constructed(&mut modify, 0x66, |out| {
                ber::write_element(out, ber::OCTET_STRING, b"cn=a");
                ber::write_constructed(out, ber::SEQUENCE, |out| {
                    for name in ["sn", name] {
                        ber::write_constructed(out, ber::SEQUENCE, |out| {
                            ber::write_integer(out, ber::ENUMERATED, 2);
                            ber::write_constructed(out, ber::SEQUENCE, |out| {
                                ber::write_element(out, ber::OCTET_STRING, name.as_bytes());
                                ber::write_element(out, ber::SET, &[]);
                            });
                        });
                    }
                });
            });
            let octets = frame(&modify);
            let Operation::Update(update) = decode(&octets).unwrap().operation else {
                panic!("no update");
            };
            let modify = ModifyRequest::of(&update).unwrap();
            let found = modify.changes.iter().any(Modification::is_of_password);
            assert_eq!(found, is, "{name}");
        }
    }
}
