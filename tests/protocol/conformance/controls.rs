//! Control values as clients encode them, and searches that keep every control.

use akldap_ldap::ber::{self, Reader};
use akldap_ldap::frame::{self, Frame};
use ldap3_proto::control::LdapControl;
use ldap3_proto::proto::{LdapOp, LdapSearchRequest};

use tokio::io::AsyncReadExt;

use akldap_testing::client::{Client, Entry, Outcome};

pub const PAGED: &str = "1.2.840.113556.1.4.319";
pub const SORT: &str = "1.2.840.113556.1.4.473";
pub const VLV: &str = "2.16.840.1.113730.3.4.9";
pub const VLV_RESPONSE: &str = "2.16.840.1.113730.3.4.10";
pub const MANAGE_DSA_IT: &str = "2.16.840.1.113730.3.4.2";
pub const DEREF: &str = "1.3.6.1.4.1.4203.666.5.16";

/// An element of BER; contents shorter than 64 KiB.
pub fn element(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let contents = contents.concat();
    let length = u16::try_from(contents.len()).unwrap().to_be_bytes();
    [&[tag, 0x82], &length[..], &contents].concat()
}

pub fn integer(number: i32) -> Vec<u8> {
    [&[2, 4][..], &number.to_be_bytes()].concat()
}

pub fn control(oid: &str, criticality: bool, value: Option<Vec<u8>>) -> LdapControl {
    LdapControl::Unknown {
        oid: oid.to_owned(),
        criticality,
        value,
    }
}

pub fn paged(size: i32, cookie: &[u8], criticality: bool) -> LdapControl {
    let value = element(0x30, &[&integer(size), &element(4, &[cookie])]);
    control(PAGED, criticality, Some(value))
}

/// Sorts by attributes; a leading `-` reverses the order.
pub fn sorted(keys: &[&str], criticality: bool) -> LdapControl {
    let keys: Vec<Vec<u8>> = keys
        .iter()
        .map(|key| match key.strip_prefix('-') {
            Some(key) => element(0x30, &[&element(4, &[key.as_bytes()]), &[0x81, 1, 0xff]]),
            None => element(0x30, &[&element(4, &[key.as_bytes()])]),
        })
        .collect();
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    control(SORT, criticality, Some(element(0x30, &keys)))
}

/// A virtual list view around the entry at `offset` of `count`.
pub fn view(before: i32, after: i32, offset: i32, count: i32) -> LdapControl {
    let by_offset = element(0xa0, &[&integer(offset), &integer(count)]);
    control(
        VLV,
        true,
        Some(element(0x30, &[&integer(before), &integer(after), &by_offset])),
    )
}

/// A virtual list view from the first entry not less than `value`.
pub fn view_from(before: i32, after: i32, value: &str) -> LdapControl {
    let target = element(0x81, &[value.as_bytes()]);
    control(
        VLV,
        true,
        Some(element(0x30, &[&integer(before), &integer(after), &target])),
    )
}

pub fn dereference(attribute: &str, wanted: &[&str], criticality: bool) -> LdapControl {
    let wanted: Vec<Vec<u8>> = wanted.iter().map(|name| element(4, &[name.as_bytes()])).collect();
    let wanted: Vec<&[u8]> = wanted.iter().map(Vec::as_slice).collect();
    let spec = element(
        0x30,
        &[&element(4, &[attribute.as_bytes()]), &element(0x30, &wanted)],
    );
    control(DEREF, criticality, Some(element(0x30, &[&spec])))
}

/// Size and cookie of the paged results control of an answer.
pub fn page_of(outcome: &Outcome) -> Option<(i64, Vec<u8>)> {
    outcome.controls.iter().find_map(|control| match control {
        LdapControl::SimplePagedResults { size, cookie } => Some((*size, cookie.clone())),
        _ => None,
    })
}

/// The value of a response control that `ldap3_proto` does not know.
pub fn value_of(controls: &[LdapControl], wanted: &str) -> Option<Vec<u8>> {
    controls.iter().find_map(|control| match control {
        LdapControl::Unknown { oid, value, .. } if oid == wanted => value.clone(),
        _ => None,
    })
}

/// Position, count and code of a virtual list view's response.
pub fn view_of(outcome: &Outcome) -> Option<(i64, i64, i64)> {
    let value = value_of(&outcome.controls, VLV_RESPONSE)?;
    let mut numbers = value.get(2..)?;
    let mut next = || {
        let (header, rest) = numbers.split_at_checked(2)?;
        let (octets, rest) = rest.split_at_checked(usize::from(header[1]))?;
        numbers = rest;
        Some(
            octets
                .iter()
                .fold(0i64, |number, octet| number << 8 | i64::from(*octet)),
        )
    };
    Some((next()?, next()?, next()?))
}

/// Searches and keeps the controls of every entry.
pub async fn entries_with_controls(
    client: &mut Client,
    request: LdapSearchRequest,
    controls: Vec<LdapControl>,
) -> (Vec<(Entry, Vec<LdapControl>)>, i32) {
    client.send(LdapOp::SearchRequest(request), controls).await;
    let mut entries = Vec::new();
    loop {
        let message = client.receive().await.expect("an answer");
        match message.op {
            LdapOp::SearchResultEntry(entry) => {
                let attributes = entry
                    .attributes
                    .into_iter()
                    .map(|attribute| (attribute.atype, attribute.vals));
                entries.push((
                    Entry {
                        dn: entry.dn,
                        attributes: attributes.collect(),
                    },
                    message.ctrl,
                ));
            }
            LdapOp::SearchResultDone(done) => return (entries, done.code as i32),
            other => panic!("{other:?}"),
        }
    }
}

/// How a search ended, in octets.
#[derive(Debug)]
pub struct RawAnswer {
    pub entries: usize,
    pub code: i64,
    /// OID and value of each response control.
    pub controls: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A search that uses up its connection. `ldap3_proto` refuses a sort response that names an attribute, and
/// knows the result codes of virtual list views no more than `rasn-ldap` does.
pub async fn raw_answer(
    mut client: Client,
    request: LdapSearchRequest,
    controls: Vec<LdapControl>,
) -> RawAnswer {
    client.send(LdapOp::SearchRequest(request), controls).await;
    let mut stream = client.into_stream();
    let (mut buffer, mut entries) = (Vec::new(), 0);
    loop {
        while let Ok(Frame::Complete { length }) = frame::split(&buffer, 1 << 20) {
            let message: Vec<u8> = buffer.drain(..length).collect();
            let mut envelope = Reader::new(&message).constructed(ber::SEQUENCE).unwrap();
            envelope.integer().unwrap();
            let operation = envelope.element().unwrap();
            if operation.tag != 0x65 {
                entries += 1;
                continue;
            }
            let code = Reader::new(operation.contents).enumerated().unwrap();
            let mut controls = Vec::new();
            let mut list = Reader::new(envelope.optional(0xa0).unwrap().unwrap_or_default());
            while !list.is_empty() {
                let mut control = list.constructed(ber::SEQUENCE).unwrap();
                let oid = control.octet_string().unwrap().to_vec();
                controls.push((oid, control.octet_string().unwrap().to_vec()));
            }
            return RawAnswer {
                entries,
                code,
                controls,
            };
        }
        assert_ne!(
            stream.read_buf(&mut buffer).await.unwrap(),
            0,
            "the connection ended"
        );
    }
}
