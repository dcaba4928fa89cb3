//! LDAP messages as BER elements, whole and unchanged. Knows where an element begins and ends and the few fields that
//! every message has; shares no code with the server, and accepts whatever a client may send, even malformed
//! operations.

pub const SEQUENCE: u8 = 0x30;
pub const BOOLEAN: u8 = 0x01;
pub const INTEGER: u8 = 0x02;
pub const OCTETS: u8 = 0x04;
pub const CONTROLS: u8 = 0xa0;

pub const BIND: u8 = 0x60;
pub const BIND_RESPONSE: u8 = 0x61;
pub const UNBIND: u8 = 0x42;
pub const SEARCH: u8 = 0x63;
pub const ENTRY: u8 = 0x64;
pub const DONE: u8 = 0x65;
pub const REFERENCE: u8 = 0x73;
pub const ABANDON: u8 = 0x50;
pub const EXTENDED: u8 = 0x77;
pub const INTERMEDIATE: u8 = 0x79;

/// Paged results, RFC 2696.
pub const PAGED: &str = "1.2.840.113556.1.4.319";
/// StartTLS, RFC 4511 section 4.14.
pub const START_TLS: &str = "1.3.6.1.4.1.1466.20037";

/// A tag and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    pub tag: u8,
    pub contents: &'a [u8],
}

impl<'a> Element<'a> {
    /// The elements inside, as far as they can be read.
    pub fn parts(self) -> Vec<Element<'a>> {
        let mut parts = Vec::new();
        let mut rest = self.contents;
        while let Some((part, after)) = read(rest) {
            parts.push(part);
            rest = after;
        }
        parts
    }

    pub fn integer(self) -> i64 {
        let sign = self
            .contents
            .first()
            .map_or(0, |first| i64::from(*first as i8) >> 7);
        self.contents
            .iter()
            .fold(sign, |value, octet| (value << 8) | i64::from(*octet))
    }

    pub fn text(self) -> String {
        String::from_utf8_lossy(self.contents).into_owned()
    }

    pub fn write(self) -> Vec<u8> {
        write(self.tag, self.contents)
    }
}

/// The first element and what follows it; `None` when it is not whole.
pub fn read(octets: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (header, length) = header(octets)?;
    let contents = octets.get(header..header.checked_add(length)?)?;
    Some((
        Element {
            tag: octets[0],
            contents,
        },
        &octets[header + length..],
    ))
}

fn header(octets: &[u8]) -> Option<(usize, usize)> {
    let first = usize::from(*octets.get(1)?);
    if first < 0x80 {
        return Some((2, first));
    }
    let more = first & 0x7f;
    let length = octets
        .get(2..2 + more)?
        .iter()
        .try_fold(0_usize, |length, octet| {
            Some(length.checked_mul(256)? + usize::from(*octet))
        })?;
    Some((2 + more, length))
}

/// How many octets the first message takes; `None` when it is not whole yet.
pub fn length(octets: &[u8]) -> Option<usize> {
    let (header, length) = header(octets)?;
    (octets.len() >= header + length).then_some(header + length)
}

pub fn write(tag: u8, contents: &[u8]) -> Vec<u8> {
    let mut octets = vec![tag];
    match contents.len() {
        short @ 0..0x80 => octets.push(short as u8),
        long => {
            octets.push(0x84);
            octets.extend_from_slice(&(long as u32).to_be_bytes());
        }
    }
    octets.extend_from_slice(contents);
    octets
}

/// A non-negative INTEGER.
pub fn write_integer(value: i64) -> Vec<u8> {
    let octets = value.to_be_bytes();
    let skip = (0..7)
        .take_while(|at| octets[*at] == 0 && octets[at + 1] < 0x80)
        .count();
    write(INTEGER, &octets[skip..])
}

/// An LDAPMessage (RFC 4511 section 4.1.1).
#[derive(Clone, Debug)]
pub struct Message<'a> {
    pub id: i64,
    pub operation: Element<'a>,
    pub controls: Vec<Control<'a>>,
}

#[derive(Clone, Copy, Debug)]
pub struct Control<'a> {
    pub oid: &'a [u8],
    pub critical: bool,
    pub value: Option<&'a [u8]>,
}

impl<'a> Message<'a> {
    pub fn read(octets: &'a [u8]) -> Option<Self> {
        let parts = read(octets)?.0.parts();
        let [id, operation, rest @ ..] = parts.as_slice() else {
            return None;
        };
        let controls = rest
            .iter()
            .filter(|part| part.tag == CONTROLS)
            .flat_map(|part| part.parts())
            .filter_map(Control::read)
            .collect();
        Some(Self {
            id: id.integer(),
            operation: *operation,
            controls,
        })
    }

    pub fn write(&self) -> Vec<u8> {
        let mut contents = write_integer(self.id);
        contents.extend(self.operation.write());
        if !self.controls.is_empty() {
            let controls: Vec<u8> = self.controls.iter().flat_map(Control::write).collect();
            contents.extend(write(CONTROLS, &controls));
        }
        write(SEQUENCE, &contents)
    }

    /// Size and cookie of the paged results control; in a response the size is an estimate.
    pub fn page(&self) -> Option<(i64, &'a [u8])> {
        let control = self
            .controls
            .iter()
            .find(|control| control.oid == PAGED.as_bytes())?;
        let parts = read(control.value?)?.0.parts();
        Some((parts.first()?.integer(), parts.get(1)?.contents))
    }

    /// The result code of a response that ends an operation.
    pub fn code(&self) -> i64 {
        self.operation.parts().first().map_or(-1, |code| code.integer())
    }

    /// Whether a response is the last one to its request.
    pub fn is_final(&self) -> bool {
        !matches!(self.operation.tag, ENTRY | REFERENCE | INTERMEDIATE)
    }
}

impl<'a> Control<'a> {
    fn read(element: Element<'a>) -> Option<Self> {
        let parts = element.parts();
        let (oid, rest) = parts.split_first()?;
        Some(Self {
            oid: oid.contents,
            critical: rest
                .iter()
                .any(|part| part.tag == BOOLEAN && part.contents != [0]),
            value: rest
                .iter()
                .find(|part| part.tag == OCTETS)
                .map(|part| part.contents),
        })
    }

    fn write(&self) -> Vec<u8> {
        let mut contents = write(OCTETS, self.oid);
        if self.critical {
            contents.extend(write(BOOLEAN, &[0xff]));
        }
        if let Some(value) = self.value {
            contents.extend(write(OCTETS, value));
        }
        write(SEQUENCE, &contents)
    }
}

/// The value of the paged results control.
pub fn page_value(size: i64, cookie: &[u8]) -> Vec<u8> {
    let mut contents = write_integer(size);
    contents.extend(write(OCTETS, cookie));
    write(SEQUENCE, &contents)
}

/// The same request with another paging cookie.
pub fn with_cookie(octets: &[u8], cookie: &[u8]) -> Option<Vec<u8>> {
    let mut message = Message::read(octets)?;
    let (size, _) = message.page()?;
    let value = page_value(size, cookie);
    for control in &mut message.controls {
        if control.oid == PAGED.as_bytes() {
            control.value = Some(&value);
        }
    }
    Some(message.write())
}
