//! The attributes of an entry that is neither a user nor a group nor a virtual group, as they are sent.
//!
//! Must not know whose they are.

use crate::model::attribute::AttributeRef;
use crate::model::encoded::{Elements, EncodedElement};
use crate::model::number::WrongNumber;
use crate::schema::{self, AttributeType, AttributeTypeId};
use akldap_ldap::response::write_attribute;

/// The attributes of a container, or of an entry that belongs to no provider.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeldAttributes {
    /// As they are sent.
    pub(crate) block: Vec<u8>,
    /// Where each begins.
    attributes: Vec<HeldAttribute>,
}

/// One of them.
#[derive(Clone, Debug)]
struct HeldAttribute {
    /// Its identity.
    key: String,
    known: Option<&'static AttributeType>,
    /// The other name of its type under which it is served: nothing else finds it, so that `cn` finds no `commonName`.
    alias: Option<u8>,
    start: usize,
}

impl HeldAttributes {
    pub(crate) fn add<'a>(&mut self, name: &str, values: impl IntoIterator<Item = &'a [u8]>) {
        let start = self.block.len();
        write_attribute(&mut self.block, name.as_bytes(), values);
        let key = schema::canonical_name(name.as_bytes()).into_owned();
        let known = schema::attribute_type(name.as_bytes());
        let alias = known.and_then(|known| known.alias(name.as_bytes()));
        self.attributes.push(HeldAttribute {
            key,
            known,
            alias,
            start,
        });
    }

    /// Adds what an organizational unit of this name has, but for its `distinguishedName`.
    pub(crate) fn add_unit(&mut self, name: &str) {
        self.add(
            "objectClass",
            [&b"top"[..], b"nsContainer", b"organizationalUnit"],
        );
        self.add("ou", [name.as_bytes()]);
        self.add("commonName", [name.as_bytes()]);
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.attributes.iter().any(|held| held.key == key)
    }

    /// The types of the attributes, each with the other name that alone finds it.
    pub(crate) fn types(&self) -> impl Iterator<Item = (AttributeTypeId, Option<u8>)> {
        let held = self.attributes.iter();
        held.filter_map(|held| Some((held.known?.id, held.alias)))
    }

    /// The attribute that a description means.
    #[inline]
    pub(crate) fn find(&self, attribute: &AttributeRef) -> Result<Option<EncodedElement<'_>>, WrongNumber> {
        let Some(wanted) = attribute.known else {
            return Ok(None);
        };
        let held = self.attributes.iter().find(|held| {
            held.known.is_some_and(|own| own.id == wanted.id)
                && (held.alias.is_none() || held.alias == attribute.alias)
        });
        let Some(held) = held else {
            return Ok(None);
        };
        let rest = self.block.get(held.start..).ok_or(WrongNumber::Octets)?;
        Elements(rest).read().map(Some)
    }

    /// Octets on the heap.
    pub(crate) fn size(&self) -> usize {
        let keys = self.attributes.iter().map(|held| held.key.len());
        self.block.capacity() + self.attributes.capacity() * size_of::<HeldAttribute>() + keys.sum::<usize>()
    }
}
