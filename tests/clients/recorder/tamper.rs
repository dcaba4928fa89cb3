//! Worse servers, made from this one: each lacks one thing that a client relies on, so that a test shows it would
//! notice.

use super::message::{BIND_RESPONSE, DONE, ENTRY, Message, PAGED, SEQUENCE, read, write, write_integer};
use akldap_testing::client_test::client_test;

/// The in-chain matching rule.
const IN_CHAIN: &[u8] = b"1.2.840.113556.1.4.1941";
const UNAVAILABLE: i64 = 52;
const INSUFFICIENT_ACCESS: i64 = 50;
const ENUMERATED: u8 = 0x0a;

/// What is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tamper {
    Nothing,
    /// The paged results control is ignored: all entries at once and no cookie.
    NoPaging,
    /// Only the first page is available: no answer has a cookie.
    NoCookie,
    /// Entries have no entryUUID, and none can be found by it.
    NoEntryUuid,
    /// The in-chain rule matches nothing.
    NoInChain,
    /// An outage looks like success with nothing found.
    OutageAsSuccess,
}

impl Tamper {
    /// How the answers to this request are changed.
    pub fn passing(self, request: &Message<'_>) -> Passing {
        let asks_for = |words: &[u8]| contains(request.operation.contents, words);
        match self {
            Self::NoEntryUuid if asks_for(b"(entryuuid=") => Passing::NoEntries,
            Self::NoEntryUuid if filter_has(request, b"entryuuid") => Passing::NoEntries,
            Self::NoInChain if asks_for(IN_CHAIN) => Passing::NoEntries,
            Self::NoEntryUuid => Passing::WithoutEntryUuid,
            Self::NoCookie => Passing::WithoutCookie,
            Self::OutageAsSuccess => Passing::OutageAsSuccess,
            _ => Passing::Unchanged,
        }
    }

    /// The request as it is passed on.
    pub fn request(self, mut message: Message<'_>, octets: &[u8]) -> Vec<u8> {
        if self != Self::NoPaging {
            return octets.to_vec();
        }
        message.controls.retain(|control| control.oid != PAGED.as_bytes());
        message.write()
    }
}

/// Whether a search's filter names an attribute, beyond presence.
fn filter_has(request: &Message<'_>, name: &[u8]) -> bool {
    let parts = request.operation.parts();
    parts
        .get(6)
        .is_some_and(|filter| filter.tag != 0x87 && contains(&filter.contents.to_ascii_lowercase(), name))
}

fn contains(octets: &[u8], words: &[u8]) -> bool {
    octets.windows(words.len()).any(|window| window == words)
}

/// How the answers to one request are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passing {
    Unchanged,
    NoEntries,
    WithoutEntryUuid,
    WithoutCookie,
    OutageAsSuccess,
}

impl Passing {
    /// Appends the answer as the client gets it.
    pub fn answer(self, message: &Message<'_>, octets: &[u8], out: &mut Vec<u8>) {
        let tag = message.operation.tag;
        match self {
            Self::NoEntries if tag == ENTRY => {}
            Self::WithoutEntryUuid if tag == ENTRY => out.extend(without_entry_uuid(message)),
            Self::WithoutCookie if tag == DONE => {
                let mut message = message.clone();
                message.controls.clear();
                out.extend(message.write());
            }
            Self::OutageAsSuccess
                if matches!(tag, BIND_RESPONSE | DONE)
                    && matches!(message.code(), UNAVAILABLE | INSUFFICIENT_ACCESS) =>
            {
                out.extend(success(message.id, tag));
            }
            _ => out.extend_from_slice(octets),
        }
    }
}

fn without_entry_uuid(message: &Message<'_>) -> Vec<u8> {
    let parts = message.operation.parts();
    let [dn, attributes, ..] = parts.as_slice() else {
        return Vec::new();
    };
    let kept: Vec<u8> = attributes
        .parts()
        .into_iter()
        .filter(|attribute| !super::text_of(attribute.parts().first()).eq_ignore_ascii_case("entryuuid"))
        .flat_map(|attribute| attribute.write())
        .collect();
    let mut contents = dn.write();
    contents.extend(write(SEQUENCE, &kept));
    envelope(message.id, &write(ENTRY, &contents))
}

fn success(id: i64, tag: u8) -> Vec<u8> {
    let mut contents = write(ENUMERATED, &[0]);
    contents.extend(write(0x04, &[]));
    contents.extend(write(0x04, &[]));
    envelope(id, &write(tag, &contents))
}

fn envelope(id: i64, operation: &[u8]) -> Vec<u8> {
    let mut contents = write_integer(id);
    contents.extend_from_slice(operation);
    write(SEQUENCE, &contents)
}

#[client_test]
fn each_takes_away_what_it_says() {
    let mut contents = write(0x04, b"cn=a");
    let attribute = |name: &[u8]| {
        let mut parts = write(0x04, name);
        parts.extend(write(0x31, &write(0x04, b"value")));
        write(SEQUENCE, &parts)
    };
    let list = [attribute(b"cn"), attribute(b"entryUUID")].concat();
    contents.extend(write(SEQUENCE, &list));
    let entry = envelope(7, &write(ENTRY, &contents));
    let message = Message::read(&entry).expect("a message");
    let mut out = Vec::new();
    Passing::WithoutEntryUuid.answer(&message, &entry, &mut out);
    let left = Message::read(&out).expect("a message");
    assert_eq!(left.id, 7);
    assert!(contains(&out, b"cn=a") && !contains(&out, b"entryUUID"));
    out.clear();
    Passing::NoEntries.answer(&message, &entry, &mut out);
    assert!(out.is_empty());
    let mut contents = write(ENUMERATED, &[52]);
    contents.extend([write(0x04, b""), write(0x04, b"away")].concat());
    let done = envelope(8, &write(DONE, &contents));
    let message = Message::read(&done).expect("a message");
    Passing::OutageAsSuccess.answer(&message, &done, &mut out);
    assert_eq!(Message::read(&out).expect("a message").code(), 0);
    assert_eq!(read(&done).expect("whole").1, b"");
}
