//! The entries that contain others, and those that belong to no provider: name, UUID and attributes.
//!
//! Must not know where they are in a tree.

use uuid::Uuid;

use crate::model::held::HeldAttributes;

/// A container of one provider, or an entry that belongs to no provider.
#[derive(Clone, Debug, Default)]
pub(crate) struct ContainerEntry {
    pub(crate) dn: Vec<u8>,
    pub(crate) uuid: [u8; 16],
    pub(crate) held: HeldAttributes,
}

impl ContainerEntry {
    pub(super) fn new(dn: Vec<u8>, normal_dn: &[u8]) -> Self {
        Self {
            uuid: uuid_of(normal_dn),
            dn,
            held: HeldAttributes::default(),
        }
    }

    pub(super) fn add<'a>(&mut self, name: &str, values: impl IntoIterator<Item = &'a [u8]>) {
        self.held.add(name, values);
    }

    /// The same entry without attributes.
    pub(super) fn without_attributes(&self) -> Self {
        Self {
            dn: self.dn.clone(),
            uuid: self.uuid,
            ..Self::default()
        }
    }
}

/// The UUID of an entry with a name in its normal form. Such entries are identified by their DN; our own name space keeps them separate from
/// the UUIDs that others derive from DNs.
pub(super) fn uuid_of(normal_dn: &[u8]) -> [u8; 16] {
    Uuid::new_v5(&Uuid::new_v5(&Uuid::NAMESPACE_URL, b"urn:akldap:dn"), normal_dn).into_bytes()
}
