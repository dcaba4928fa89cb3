//! What we ignore in a message: trailing elements of a SEQUENCE with unknown tags (RFC 4511 section 4). Others refuse
//! messages that have such; without those they must read the same as we do.

use akldap::server::request;
use akldap_ldap::ber;

/// An element, parsed as far as its contents are elements.
#[derive(Clone, Debug)]
struct Node {
    /// The octets of the tag.
    tag: Vec<u8>,
    contents: Contents,
}

#[derive(Clone, Debug)]
enum Contents {
    Octets(Vec<u8>),
    Elements(Vec<Node>),
}

impl Node {
    fn read(octets: &[u8]) -> Option<(Self, &[u8])> {
        let (&first, mut rest) = octets.split_first()?;
        let mut tag = vec![first];
        while tag.len() == 1 && first & 0x1f == 0x1f || tag.len() > 1 && tag[tag.len() - 1] & 0x80 != 0 {
            let (&next, after) = rest.split_first()?;
            tag.push(next);
            rest = after;
        }
        let (&length, rest) = rest.split_first()?;
        let (length, rest) = match length {
            0..0x80 => (usize::from(length), rest),
            _ => {
                let (octets, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
                let length = octets
                    .iter()
                    .fold(0_u64, |length, octet| length << 8 | u64::from(*octet));
                (usize::try_from(length).ok()?, rest)
            }
        };
        let (octets, rest) = rest.split_at_checked(length)?;
        let elements = (first & 0x20 != 0).then(|| Self::read_all(octets)).flatten();
        let contents = elements.map_or_else(|| Contents::Octets(octets.to_vec()), Contents::Elements);
        Some((Self { tag, contents }, rest))
    }

    fn read_all(mut octets: &[u8]) -> Option<Vec<Self>> {
        let mut nodes = Vec::new();
        while !octets.is_empty() {
            let (node, rest) = Self::read(octets)?;
            nodes.push(node);
            octets = rest;
        }
        Some(nodes)
    }

    fn write(&self) -> Vec<u8> {
        let contents = match &self.contents {
            Contents::Octets(octets) => octets.clone(),
            Contents::Elements(nodes) => nodes.iter().flat_map(Self::write).collect(),
        };
        let mut out = Vec::new();
        ber::write_element(&mut out, 0, &contents);
        [self.tag.as_slice(), &out[1..]].concat()
    }

    /// The elements of the constructed element at a place in the tree.
    fn at(&mut self, path: &[usize]) -> Option<&mut Vec<Node>> {
        let Contents::Elements(nodes) = &mut self.contents else {
            return None;
        };
        match path.split_first() {
            None => Some(nodes),
            Some((&first, rest)) => nodes.get_mut(first)?.at(rest),
        }
    }

    fn paths(&self, here: &[usize], out: &mut Vec<Vec<usize>>) {
        if let Contents::Elements(nodes) = &self.contents {
            out.push(here.to_vec());
            for (index, node) in nodes.iter().enumerate() {
                node.paths(&[here, &[index]].concat(), out);
            }
        }
    }
}

/// The message without the last elements that make no difference to us.
pub(crate) fn without_ignored(octets: &[u8]) -> Vec<u8> {
    let (Ok(message), Some((mut root, _))) = (request::decode(octets), Node::read(octets)) else {
        return octets.to_vec();
    };
    let mut paths = Vec::new();
    root.paths(&[], &mut paths);
    for path in paths {
        loop {
            let mut shorter = root.clone();
            if shorter.at(&path).and_then(Vec::pop).is_none()
                || request::decode(&shorter.write()).as_ref() != Ok(&message)
            {
                break;
            }
            root = shorter;
        }
    }
    root.write()
}

#[test]
fn only_what_is_ignored_is_left_out() {
    let bind = [
        0x30, 17, 2, 1, 1, 0x60, 10, 2, 1, 3, 4, 0, 0x80, 0, 0x8f, 1, 7, 0xaf,
    ];
    let octets = [&bind[..], &[0]].concat();
    let left = [0x30, 12, 2, 1, 1, 0x60, 7, 2, 1, 3, 4, 0, 0x80, 0];
    assert_eq!(without_ignored(&octets), left);
    assert_eq!(without_ignored(&left), left);
    // Both others agree once it is left out; `rasn-ldap` refuses it.
    assert!(crate::ldap_oracle::against_rasn::decode(&octets).is_none());
    assert!(crate::ldap_oracle::against_rasn::decode(&left).is_some());
    assert!(crate::ldap_oracle::against_ldap3_proto::decode(&left).is_some());
}
