//! The ModifyRequest (RFC 4511 section 4.6), borrowed from an [`Update`]: its values are not copied, because they may be
//! passwords.
//!
//! Must not know which changes are carried out.

use super::kind::OperationKind;
use super::update::Update;
use crate::ber::{self, Reader};
use crate::steps;

/// The names of `userPassword` (RFC 4519 section 2.41), the descriptor and the number.
pub const PASSWORD_ATTRIBUTE: [&str; 2] = ["userPassword", "2.5.4.35"];

/// A ModifyRequest.
#[derive(Clone, PartialEq, Eq)]
pub struct ModifyRequest<'a> {
    /// The entry's DN.
    pub entry: &'a str,
    /// The changes in the order sent.
    pub changes: Vec<Modification<'a>>,
}

/// One change of a ModifyRequest.
#[derive(Clone, PartialEq, Eq)]
pub struct Modification<'a> {
    /// What happens to the values.
    pub kind: ModifyKind,
    /// The attribute description.
    pub attribute: &'a str,
    /// The values, any octets.
    pub values: Vec<&'a [u8]>,
}

/// What a change does with its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModifyKind {
    /// They are added to the existing ones.
    Add,
    /// They are removed; all of them if none is named.
    Delete,
    /// They replace all existing ones.
    Replace,
    /// RFC 4525; the values are added up.
    Increment,
}

impl<'a> ModifyRequest<'a> {
    /// The modify that an update is; `None` if it is another request, or does not follow the grammar.
    #[must_use]
    pub fn of(update: &'a Update) -> Option<Self> {
        if update.kind() != OperationKind::Modify {
            return None;
        }
        let mut message = Reader::new(update.message()).constructed(ber::SEQUENCE).ok()?;
        message.integer().ok()?;
        let mut request = Reader::new(message.element().ok()?.contents);
        let entry = text(request.octet_string().ok()?)?;
        let mut list = request.constructed(ber::SEQUENCE).ok()?;
        let mut changes = Vec::new();
        while !list.is_empty() {
            changes.push(Modification::read(list.constructed(ber::SEQUENCE).ok()?)?);
        }
        Some(Self { entry, changes })
    }
}

impl<'a> Modification<'a> {
    fn read(mut change: Reader<'a>) -> Option<Self> {
        let kind = match change.enumerated().ok()? {
            0 => ModifyKind::Add,
            1 => ModifyKind::Delete,
            2 => ModifyKind::Replace,
            3 => ModifyKind::Increment,
            _ => return None,
        };
        let mut modification = change.constructed(ber::SEQUENCE).ok()?;
        let attribute = text(modification.octet_string().ok()?)?;
        let mut set = modification.constructed(ber::SET).ok()?;
        let mut values = Vec::new();
        while !set.is_empty() {
            values.push(set.octet_string().ok()?);
        }
        Some(Self {
            kind,
            attribute,
            values,
        })
    }

    /// Whether it changes `userPassword`, by one of its names, options aside.
    #[must_use]
    pub fn is_of_password(&self) -> bool {
        let attribute = self.attribute.split(';').next().unwrap_or_default();
        PASSWORD_ATTRIBUTE
            .iter()
            .any(|name| attribute.eq_ignore_ascii_case(name))
    }
}

fn text(octets: &[u8]) -> Option<&str> {
    steps::add(octets.len());
    std::str::from_utf8(octets).ok()
}

impl std::fmt::Debug for ModifyRequest<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "ModifyRequest {{ entry: {:?}, changes: {:?} }}",
            self.entry, self.changes
        )
    }
}

impl std::fmt::Debug for Modification<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "Modification {{ {:?} {:?}, {} values }}",
            self.kind,
            self.attribute,
            self.values.len()
        )
    }
}
