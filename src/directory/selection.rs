//! Which attributes of an entry a search returns (RFC 4511 section 4.5.1.8, RFC 3673, RFC 4529), and writing them.
//!
//! Knows what authentik's outpost returns by default: everything it serves, timestamps and memberOf included, but none
//! of the attributes added here, which have to be asked for. Must not know filters.

use super::attribute::{AttributeId, AttributeRef, Attributes};
use super::encoded::Elements;
use super::entry::{Attribute, Context, Entry};
use super::row::Record;
use super::schema;
use crate::ldap::response::write_entry_header;

/// The attributes `+` asks for.
const OPERATIONAL: [AttributeId; 10] = [
    AttributeId::ENTRY_UUID,
    AttributeId::ENTRY_DN,
    AttributeId::STRUCTURAL_OBJECT_CLASS,
    AttributeId::HAS_SUBORDINATES,
    AttributeId::NUM_SUBORDINATES,
    AttributeId::SUBSCHEMA_SUBENTRY,
    AttributeId::CREATE_TIMESTAMP,
    AttributeId::MODIFY_TIMESTAMP,
    AttributeId::PWD_CHANGED_TIME,
    AttributeId::MEMBER_OF,
];

/// The computed attributes of a default answer, by kind of entry.
const OF_USERS: [AttributeId; 3] = [
    AttributeId::UID_NUMBER,
    AttributeId::GID_NUMBER,
    AttributeId::MEMBER_OF,
];
const OF_GROUPS: [AttributeId; 3] = [
    AttributeId::GID_NUMBER,
    AttributeId::MEMBER,
    AttributeId::MEMBER_OF,
];
const OF_VIRTUAL_GROUPS: [AttributeId; 7] = [
    AttributeId::CN,
    AttributeId::SAM_ACCOUNT_NAME,
    AttributeId::UID,
    AttributeId::GID_NUMBER,
    AttributeId::AK_SUPERUSER,
    AttributeId::MEMBER,
    AttributeId::MEMBER_OF,
];

/// Most attributes one search can name, after expansion of classes. The schema is smaller; custom names beyond it
/// would make an answer slow without meaning anything.
pub(super) const MAX_NAMES: usize = 1000;

/// The attributes a search asks for.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    /// The default answer.
    whole: bool,
    /// The operational attributes.
    operational: bool,
    /// These by name, each once.
    names: Vec<AttributeRef>,
    pub(super) types_only: bool,
}

impl Selection {
    /// What a list of attribute descriptions asks for. Names may be several in one, separated by commas.
    pub(super) fn new(attributes: &Attributes, requested: &[&[u8]], types_only: bool) -> Self {
        let mut selection = Self {
            types_only,
            ..Self::default()
        };
        let mut named = false;
        let names = requested
            .iter()
            .flat_map(|names| names.split(|&octet| octet == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|name| !name.is_empty());
        for name in names {
            named = true;
            match name {
                b"*" => selection.whole = true,
                b"+" => selection.operational = true,
                // RFC 4511: it asks for nothing, and means nothing beside others.
                b"1.1" => {}
                [b'@', class @ ..] => selection.add_class(attributes, class),
                _ => selection.add(attributes.resolve(name)),
            }
        }
        selection.whole |= !named;
        selection.drop_covered();
        selection
    }

    /// For an entry whose attributes are all operational (RFC 4512 sections 4.4 and 5.1): `+` asks for all of it, and
    /// for nothing that an entry of a tree would have besides.
    pub(super) fn all_is_operational(&mut self) {
        self.whole |= self.operational;
        self.operational = false;
    }

    fn add(&mut self, attribute: AttributeRef) {
        let same = |known: &AttributeRef| match (known.first, attribute.first) {
            (Some(known), Some(new)) => known == new,
            (None, None) => known.known.map(|known| known.key) == attribute.known.map(|new| new.key),
            _ => false,
        };
        let exists = attribute.first.is_some() || attribute.known.is_some();
        if exists && self.names.len() < MAX_NAMES && !self.names.iter().any(same) {
            self.names.push(attribute);
        }
    }

    /// RFC 4529: the attributes that entries of a class must or may have, those of its superiors included.
    fn add_class(&mut self, attributes: &Attributes, class: &[u8]) {
        let mut next = schema::object_class(class);
        while let Some(class) = next {
            for name in class.must.iter().chain(class.may) {
                self.add(attributes.resolve(name.as_bytes()));
            }
            next = class
                .superior
                .and_then(|superior| schema::object_class(superior.as_bytes()));
        }
    }

    /// An attribute asked for by two of its names is returned once.
    fn drop_covered(&mut self) {
        let firsts: Vec<_> = self.names.iter().filter_map(|name| name.first).collect();
        for name in &mut self.names {
            if name.second.is_some_and(|second| firsts.contains(&second)) {
                name.second = None;
            }
        }
    }

    /// Calls `each` with every selected attribute of an entry, in a fixed order.
    #[inline]
    fn for_each<'a>(&self, context: &Context<'a>, entry: Entry, mut each: impl FnMut(Piece<'a>)) {
        if self.whole {
            default_answer(context, entry, &mut each);
        }
        // Clients compare users with an exact set of attributes when they ask for `*` and `+`.
        let operational = self.operational && !(self.whole && matches!(entry, Entry::User(_)));
        if operational {
            for id in OPERATIONAL {
                let attribute = context.find(entry, &AttributeRef::built_in(id));
                if let Some(attribute) = attribute
                    && !(self.whole && is_in_default_answer(entry, id, &attribute))
                {
                    each(Piece::Attribute(attribute));
                }
            }
        }
        for name in &self.names {
            if operational && name.ids().any(|id| OPERATIONAL.contains(&id)) {
                continue;
            }
            if let Some(attribute) = context.find(entry, name) {
                let id = match attribute {
                    Attribute::Computed(id, _) => id,
                    Attribute::Stored(_) => AttributeId::CN,
                };
                if !(self.whole && is_in_default_answer(entry, id, &attribute)) {
                    each(Piece::Attribute(attribute));
                }
            }
        }
    }

    /// Appends the selected attributes of an entry as PartialAttributes.
    pub(super) fn write_attributes(&self, context: &Context<'_>, entry: Entry, out: &mut Vec<u8>) {
        self.for_each(context, entry, |piece| piece.write(context, self.types_only, out));
    }

    /// The size of what [`write_attributes`](Self::write_attributes) appends.
    pub(super) fn size(&self, context: &Context<'_>, entry: Entry) -> usize {
        let mut size = 0;
        self.for_each(context, entry, |piece| {
            size += piece.size(context, self.types_only)
        });
        size
    }

    /// Appends a SearchResultEntry; `controls` is an encoded `controls [0]` element, or nothing.
    pub(super) fn write_entry(
        &self,
        context: &Context<'_>,
        entry: Entry,
        message_id: u32,
        controls: &[u8],
        out: &mut Vec<u8>,
    ) {
        let size = self.size(context, entry);
        write_entry_header(out, message_id, &context.dn(entry), size, controls.len());
        self.write_attributes(context, entry, out);
        out.extend_from_slice(controls);
    }
}

/// Something to copy into an answer.
enum Piece<'a> {
    Attribute(Attribute<'a>),
    /// A run of encoded attributes.
    Run(&'a [u8]),
}

impl<'a> Piece<'a> {
    fn size(&self, context: &Context<'a>, types_only: bool) -> usize {
        match self {
            Self::Attribute(attribute) => attribute.size(context, types_only),
            Self::Run(run) if !types_only => run.len(),
            Self::Run(run) => Elements(run)
                .map(|element| Attribute::Stored(element).size(context, true))
                .sum(),
        }
    }

    fn write(&self, context: &Context<'a>, types_only: bool, out: &mut Vec<u8>) {
        match self {
            Self::Attribute(attribute) => attribute.write(context, types_only, out),
            Self::Run(run) if !types_only => out.extend_from_slice(run),
            Self::Run(run) => {
                Elements(run).for_each(|element| Attribute::Stored(element).write(context, true, out));
            }
        }
    }
}

fn default_answer<'a>(context: &Context<'a>, entry: Entry, each: &mut impl FnMut(Piece<'a>)) {
    let mut record_answer = |record: Record, computed: &[AttributeId]| {
        let row = context.snapshot.row(record);
        let ids = std::iter::once(AttributeId::OBJECT_CLASS).chain(computed.iter().copied());
        let mut run = Some(context.snapshot.block(record));
        for id in ids {
            if !row.overrides(id)
                && let Some(attribute) = context.attribute(entry, id)
            {
                each(Piece::Attribute(attribute));
            }
            if let Some(run) = run.take() {
                each(Piece::Run(run));
            }
        }
    };
    match entry {
        Entry::Special(special) => each(Piece::Run(&context.tree.special(special).block)),
        Entry::User(user) => record_answer(user, &OF_USERS),
        Entry::Group(group) => record_answer(context.snapshot.group_record(group), &OF_GROUPS),
        Entry::VirtualGroup(_) => std::iter::once(AttributeId::OBJECT_CLASS)
            .chain(OF_VIRTUAL_GROUPS)
            .filter_map(|id| context.attribute(entry, id))
            .for_each(|attribute| each(Piece::Attribute(attribute))),
    }
}

fn is_in_default_answer(entry: Entry, id: AttributeId, attribute: &Attribute<'_>) -> bool {
    if matches!(attribute, Attribute::Stored(_)) || id == AttributeId::OBJECT_CLASS {
        return true;
    }
    match entry {
        Entry::Special(_) => false,
        Entry::User(_) => OF_USERS.contains(&id),
        Entry::Group(_) => OF_GROUPS.contains(&id),
        Entry::VirtualGroup(_) => OF_VIRTUAL_GROUPS.contains(&id),
    }
}

#[cfg(test)]
mod tests;
