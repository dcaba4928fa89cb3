//! Damages messages in ways that leave many of them nearly sound.

use akldap_ldap::ber;
use proptest::prelude::*;
use proptest::sample::Index;

/// One damage to the contents of a message.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// Another octet.
    Replace(Index, u8),
    /// One octet more or less than it was; hits lengths and tags.
    Shift(Index, bool),
    Insert(Index, u8),
    Remove(Index),
    /// A piece of the message once more.
    Repeat(Index, Index),
    Truncate(Index),
    /// An element at the end with an unknown tag.
    Extend(u8),
}

/// None to three damages; none at all lets sound messages through.
pub(crate) fn changes() -> impl Strategy<Value = Vec<Change>> {
    let place = any::<Index>;
    let change = prop_oneof![
        4 => (place(), any::<u8>()).prop_map(|(at, octet)| Change::Replace(at, octet)),
        4 => (place(), any::<bool>()).prop_map(|(at, up)| Change::Shift(at, up)),
        1 => (place(), any::<u8>()).prop_map(|(at, octet)| Change::Insert(at, octet)),
        1 => place().prop_map(Change::Remove),
        1 => (place(), place()).prop_map(|(from, to)| Change::Repeat(from, to)),
        1 => place().prop_map(Change::Truncate),
        1 => any::<u8>().prop_map(Change::Extend),
    ];
    prop::collection::vec(change, 0..4)
}

/// The message with its contents damaged and its outer length right again, so that it is one frame.
pub(crate) fn apply(message: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    let mut contents = ber::Reader::new(&message).constructed(ber::SEQUENCE).unwrap();
    let mut octets = Vec::new();
    while let Ok(element) = contents.element() {
        ber::write_element(&mut octets, element.tag, element.contents);
    }
    for change in changes {
        if octets.is_empty() {
            break;
        }
        let size = octets.len();
        match change {
            Change::Replace(at, octet) => octets[at.index(size)] = *octet,
            Change::Shift(at, true) => octets[at.index(size)] = octets[at.index(size)].wrapping_add(1),
            Change::Shift(at, false) => octets[at.index(size)] = octets[at.index(size)].wrapping_sub(1),
            Change::Insert(at, octet) => octets.insert(at.index(size), *octet),
            Change::Remove(at) => {
                octets.remove(at.index(size));
            }
            Change::Repeat(from, to) => {
                let (from, to) = (from.index(size), to.index(size));
                let piece = octets[from.min(to)..from.max(to)].to_vec();
                octets.splice(from..from, piece);
            }
            Change::Truncate(at) => octets.truncate(at.index(size)),
            Change::Extend(octet) => octets.extend_from_slice(&[0x8f, 1, *octet]),
        }
    }
    let mut frame = Vec::new();
    ber::write_element(&mut frame, ber::SEQUENCE, &octets);
    frame
}
