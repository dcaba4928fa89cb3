//! Reads back what the builder encoded: runs of PartialAttributes (RFC 4511 section 4.1.7) and of their values.
//!
//! Knows BER headers only. Input is the snapshot's own octets. Where they are damaged, what is read there is an error, so that
//! nobody takes what came before for all there is. Two things are copied into an answer unread, because reading them would cost
//! more than the copy: the whole run of an entry, which is most of its default answer, and the values of an attribute that is
//! asked for by name and sent as it is stored. Damage in them is found when the next snapshot is built, for which every run and
//! every value that is carried over is read; until then such an entry is sent as BER that no client can read. Must not know
//! what an attribute means.

use crate::model::number::WrongNumber;

/// The first element of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EncodedElement<'a> {
    /// With its tag and length.
    pub(crate) whole: &'a [u8],
    pub(crate) contents: &'a [u8],
}

/// The elements of a run, in order. Damage is one error, and the end.
#[derive(Clone, Debug)]
pub(crate) struct Elements<'a>(pub(crate) &'a [u8]);

impl<'a> Elements<'a> {
    /// The next element, which must be there.
    #[inline]
    pub(crate) fn read(&mut self) -> Result<EncodedElement<'a>, WrongNumber> {
        match split(self.0) {
            Some((element, rest)) => {
                self.0 = rest;
                Ok(element)
            }
            None => Err(WrongNumber::Octets),
        }
    }

    /// The element at this index, which must be there.
    #[inline]
    pub(crate) fn at(mut self, index: usize) -> Result<EncodedElement<'a>, WrongNumber> {
        for _ in 0..index {
            self.read()?;
        }
        self.read()
    }

    /// That nothing is left which was not read.
    #[inline]
    pub(crate) fn end(&self) -> Result<(), WrongNumber> {
        match self.0 {
            [] => Ok(()),
            _ => Err(WrongNumber::Octets),
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<EncodedElement<'a>, WrongNumber>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let element = self.read();
        if element.is_err() {
            self.0 = &[];
        }
        Some(element)
    }
}

/// The first element, and what follows it.
#[inline]
fn split(octets: &[u8]) -> Option<(EncodedElement<'_>, &[u8])> {
    let (header, length) = header(octets)?;
    let end = header.checked_add(length)?;
    let (whole, rest) = octets.split_at_checked(end)?;
    let contents = whole.get(header..)?;
    Some((EncodedElement { whole, contents }, rest))
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
pub(crate) fn attribute<'a>(element: &EncodedElement<'a>) -> Result<(&'a [u8], &'a [u8]), WrongNumber> {
    let mut parts = Elements(element.contents);
    let description = parts.read()?.contents;
    let values = parts.read()?.contents;
    parts.end()?;
    Ok((description, values))
}

/// The attributes of a run: for each its description and the contents of its set of values.
pub(crate) fn attributes(run: &[u8]) -> impl Iterator<Item = Result<(&[u8], &[u8]), WrongNumber>> {
    Elements(run).map(|element| attribute(&element?))
}

/// Appends the attributes of a run except those that are dropped by their names.
pub(crate) fn copy_without(
    run: &[u8],
    is_dropped: impl Fn(&[u8]) -> bool,
    out: &mut Vec<u8>,
) -> Result<(), WrongNumber> {
    for element in Elements(run) {
        let element = element?;
        if !is_dropped(attribute(&element)?.0) {
            out.extend_from_slice(element.whole);
        }
    }
    Ok(())
}

/// The first value of the attribute of this name, in any case, in a run; `None` if the run has none.
pub(crate) fn first_value<'a>(run: &'a [u8], name: &str) -> Result<Option<&'a [u8]>, WrongNumber> {
    for attribute in attributes(run) {
        let (found, set) = attribute?;
        if found.eq_ignore_ascii_case(name.as_bytes()) {
            return values(set).next().transpose();
        }
    }
    Ok(None)
}

/// The values of an encoded set of values.
#[inline]
pub(crate) fn values(set: &[u8]) -> impl Iterator<Item = Result<&[u8], WrongNumber>> {
    Elements(set).map(|element| Ok(element?.contents))
}

/// Whether `test` says yes to a value of a set.
#[inline]
pub(crate) fn any_value(set: &[u8], mut test: impl FnMut(&[u8]) -> bool) -> Result<bool, WrongNumber> {
    for value in values(set) {
        if test(value?) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use akldap_ldap::response::write_attribute;

    #[test]
    fn attributes_of_any_size_are_read_up_to_damage() {
        let long = vec![b'x'; 70_000];
        let mut run = Vec::new();
        write_attribute(&mut run, b"cn", [b"a".as_slice(), b""]);
        write_attribute(&mut run, b"description", [long.as_slice()]);
        write_attribute(&mut run, b"memberOf", []);
        let read: Vec<_> = attributes(&run)
            .map(|attribute| {
                let (name, set) = attribute.unwrap();
                (name, values(set).collect::<Result<Vec<_>, _>>().unwrap())
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
        let cut: Vec<_> = Elements(&run[..run.len() - 1]).collect();
        assert_eq!(cut.len(), 3);
        assert_eq!(cut[2], Err(WrongNumber::Octets));
        assert_eq!(Elements(&run).at(2), Elements(&run).last().unwrap());
        assert_eq!(Elements(&run).at(3), Err(WrongNumber::Octets));
        let endless = [0x30, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        let read: Vec<_> = Elements(&endless).collect();
        assert_eq!(read, [Err(WrongNumber::Octets)]);
    }

    #[test]
    fn a_damaged_set_is_no_shorter_one() {
        let mut run = Vec::new();
        write_attribute(&mut run, b"cn", [b"a".as_slice(), b"bc"]);
        let (_, set) = attribute(&Elements(&run).read().unwrap()).unwrap();
        let mut damaged = set.to_vec();
        // The second value is longer than it can be, or shorter than it is.
        for length in [3, 1] {
            damaged[4] = length;
            let read: Vec<_> = values(&damaged).collect();
            assert_eq!(read.first(), Some(&Ok(&b"a"[..])));
            assert_eq!(read.last(), Some(&Err(WrongNumber::Octets)));
            assert_eq!(any_value(&damaged, |value| value == b"a"), Ok(true));
            assert_eq!(
                any_value(&damaged, |value| value == b"x"),
                Err(WrongNumber::Octets)
            );
        }
        assert_eq!(any_value(set, |value| value == b"x"), Ok(false));
        // Something follows the set.
        let mut more = run.clone();
        more.extend([0x04, 0x00]);
        more[1] += 2;
        assert_eq!(
            attribute(&Elements(&more).read().unwrap()),
            Err(WrongNumber::Octets)
        );
    }
}
