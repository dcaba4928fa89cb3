//! The entries that contain others, and those that belong to no provider: their attributes, as they are sent.
//!
//! Must not know where they are in a tree.

use uuid::Uuid;

use crate::model::attribute::AttributeRef;
use crate::model::encoded::{Elements, EncodedElement};
use crate::model::number::WrongNumber;
use crate::schema::{self, AttributeType, AttributeTypeId};
use akldap_ldap::response::write_attribute;

/// A container of one provider, or an entry that belongs to no provider.
#[derive(Clone, Debug, Default)]
pub(crate) struct ContainerEntry {
    pub(crate) dn: Vec<u8>,
    pub(crate) uuid: [u8; 16],
    /// The attributes as they are sent.
    pub(crate) block: Vec<u8>,
    /// Where each attribute begins.
    attributes: Vec<HeldAttribute>,
}

/// An attribute of such an entry.
#[derive(Clone, Debug)]
struct HeldAttribute {
    /// Its identity.
    key: String,
    known: Option<&'static AttributeType>,
    /// The other name of its type under which it is served: nothing else finds it, so that `cn` finds no `commonName`.
    alias: Option<u8>,
    start: usize,
}

impl ContainerEntry {
    pub(super) fn new(dn: Vec<u8>, normal_dn: &[u8]) -> Self {
        Self {
            // Such entries are identified by their DN; our own name space keeps them separate from the UUIDs that
            // others derive from DNs.
            uuid: Uuid::new_v5(&Uuid::new_v5(&Uuid::NAMESPACE_URL, b"urn:akldap:dn"), normal_dn).into_bytes(),
            dn,
            block: Vec::new(),
            attributes: Vec::new(),
        }
    }

    pub(super) fn add<'a>(&mut self, name: &str, values: impl IntoIterator<Item = &'a [u8]>) {
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

    pub(super) fn has(&self, key: &str) -> bool {
        self.attributes.iter().any(|held| held.key == key)
    }

    /// The same entry without attributes.
    pub(super) fn without_attributes(&self) -> Self {
        Self {
            dn: self.dn.clone(),
            uuid: self.uuid,
            ..Self::default()
        }
    }

    /// The types of the attributes, each with the other name that alone finds it.
    pub(super) fn types(&self) -> impl Iterator<Item = (AttributeTypeId, Option<u8>)> {
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
}
