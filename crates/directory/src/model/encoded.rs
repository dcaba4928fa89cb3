//! Reads back what the builder encoded: runs of PartialAttributes (RFC 4511 section 4.1.7) and of their values.
//!
//! Knows BER headers only. Input is the snapshot's own octets, so damage ends a run instead of being reported. Must
//! not know what an attribute means.

/// The first element of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EncodedElement<'a> {
    /// With its tag and length.
    pub(crate) whole: &'a [u8],
    pub(crate) contents: &'a [u8],
}

/// The elements of a run, in order.
#[derive(Clone, Debug)]
pub(crate) struct Elements<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = EncodedElement<'a>;

    #[inline]
    fn next(&mut self) -> Option<EncodedElement<'a>> {
        let (header, length) = header(self.0)?;
        let end = header.checked_add(length)?;
        let (whole, rest) = self.0.split_at_checked(end)?;
        self.0 = rest;
        Some(EncodedElement {
            whole,
            contents: whole.get(header..)?,
        })
    }
}

/// The size of the header and of the contents of the first element.
#[inline]
fn header(octets: &[u8]) -> Option<(usize, usize)> {
    let first = *octets.get(1)?;
    if first < 0x80 {
        return Some((2, usize::from(first)));
    }
    let count = usize::from(first & 0x7f);
    let length = octets
        .get(2..2 + count)?
        .iter()
        .fold(0usize, |length, &octet| length << 8 | usize::from(octet));
    Some((2 + count, length))
}

/// An encoded PartialAttribute: its description and the contents of its set of values.
#[inline]
pub(crate) fn attribute<'a>(element: &EncodedElement<'a>) -> Option<(&'a [u8], &'a [u8])> {
    let mut parts = Elements(element.contents);
    let description = parts.next()?.contents;
    let values = parts.next()?.contents;
    Some((description, values))
}

/// The values of an encoded set of values.
#[inline]
pub(crate) fn values(set: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    Elements(set).map(|element| element.contents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use akldap_ldap::response::write_attribute;

    #[test]
    fn reads_attributes_of_any_size_and_stops_at_damage() {
        let long = vec![b'x'; 70_000];
        let mut run = Vec::new();
        write_attribute(&mut run, b"cn", [b"a".as_slice(), b""]);
        write_attribute(&mut run, b"description", [long.as_slice()]);
        write_attribute(&mut run, b"memberOf", []);
        let read: Vec<_> = Elements(&run)
            .map(|element| {
                let (name, set) = attribute(&element).unwrap();
                (name, values(set).collect::<Vec<_>>())
            })
            .collect();
        assert_eq!(
            read,
            [
                (b"cn".as_slice(), vec![b"a".as_slice(), b""]),
                (b"description", vec![long.as_slice()]),
                (b"memberOf", vec![]),
            ]
        );
        assert_eq!(Elements(&run[..run.len() - 1]).count(), 2);
        assert_eq!(
            Elements(&[0x30, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).count(),
            0
        );
    }
}
