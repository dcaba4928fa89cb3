//! Which attributes of an entry a search returns (RFC 4511 section 4.5.1.8, RFC 3673, RFC 4529), and writing them.
//!
//! Knows what authentik's outpost returns by default: everything it serves, timestamps and memberOf included, but none of
//! the attributes added here, which have to be requested. Must not know filters.

use crate::filter::evaluation::STEP_WORK;
use crate::model::attribute::{AttributeRef, AttributeTable};
use crate::model::built_in::AttributeId;
use crate::model::built_in::questions::{Those, count, ids};
use crate::model::number::WrongNumber;
use crate::model::place::Entry;
use crate::schema;
use crate::search::answer::{self, Piece, is_in_default_answer};
use crate::view::context::Context;
use crate::view::values::{Attribute, expected_members};
use akldap_ldap::response::write_entry;
use akldap_ldap::steps;

/// The attributes `+` asks for.
const OPERATIONAL: [AttributeId; count(Those::Operational)] = ids(Those::Operational);

/// The most attributes one search can name, after expansion of classes. The schema is smaller; custom names beyond that would
/// make an answer slow to no purpose.
pub(crate) const MAX_NAMES: usize = 1000;

/// Octets of a usual entry with all attributes, and of one attribute with one value.
const TYPICAL_ENTRY: usize = 1000;
const TYPICAL_ATTRIBUTE: usize = 32;

/// The attributes a search asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    /// The default answer.
    whole: bool,
    /// The operational attributes.
    operational: bool,
    /// These by name, each once.
    names: Vec<AttributeRef>,
    pub(crate) types_only: bool,
    /// The default answer and nothing else.
    is_plain: bool,
}

impl Selection {
    /// What a list of attribute descriptions asks for. Names may be several in one, separated by commas.
    pub(crate) fn new(attributes: &AttributeTable, requested: &[&[u8]], types_only: bool) -> Self {
        let mut selection = Self {
            types_only,
            ..Self::default()
        };
        let mut named = false;
        let mut classes = Vec::new();
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
                // RFC 4511: it asks for nothing, and means nothing next to others.
                b"1.1" => {}
                [b'@', class @ ..] => selection.add_class(attributes, class, &mut classes),
                _ => selection.add(attributes.resolve(name)),
            }
        }
        selection.whole |= !named;
        selection.drop_covered();
        selection.decide();
        selection
    }

    /// For an entry whose attributes are all operational (RFC 4512 sections 4.4 and 5.1): `+` asks for all of it, and
    /// for nothing that an entry of a tree would have besides.
    pub(crate) fn all_is_operational(&mut self) {
        self.whole |= self.operational;
        self.operational = false;
        self.decide();
    }

    fn decide(&mut self) {
        self.is_plain = self.whole && !self.operational && self.names.is_empty() && !self.types_only;
    }

    fn add(&mut self, attribute: AttributeRef) {
        steps::add(1);
        let same = |known: &AttributeRef| match (known.first, attribute.first) {
            (Some(known), Some(new)) => known == new,
            (None, None) => known.known.map(|known| known.key) == attribute.known.map(|new| new.key),
            _ => false,
        };
        let exists = attribute.first.is_some() || attribute.known.is_some();
        // What only another name finds is found, too, if that is among those asked for.
        if let Some(known) = self.names.iter_mut().find(|known| same(known)) {
            known.alias = known.alias.or(attribute.alias);
        } else if exists && self.names.len() < MAX_NAMES {
            self.names.push(attribute);
        }
    }

    /// RFC 4529: the attributes that entries of a class must or may have, those of its superiors included. Each class
    /// is looked at once, however often it is named.
    fn add_class(
        &mut self,
        attributes: &AttributeTable,
        class: &[u8],
        known: &mut Vec<&'static schema::ObjectClass>,
    ) {
        let mut next = schema::object_class(class);
        while let Some(class) = next
            && !known.iter().any(|known| known.oid == class.oid)
        {
            known.push(class);
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
        if self.names.iter().all(|name| name.second.is_none()) {
            return;
        }
        let firsts: Vec<_> = self.names.iter().filter_map(|name| name.first).collect();
        for name in &mut self.names {
            if name.second.is_some_and(|second| firsts.contains(&second)) {
                name.second = None;
            }
        }
    }

    /// Calls `each` with every selected attribute of an entry, in a fixed order.
    #[inline]
    fn for_each<'a>(
        &self,
        context: &Context<'a>,
        entry: Entry,
        mut each: impl FnMut(Piece<'a>) -> Result<(), WrongNumber>,
    ) -> Result<(), WrongNumber> {
        if self.whole {
            answer::pieces(context, entry, &mut each)?;
        }
        // Clients compare users with an exact set of attributes when they ask for `*` and `+`.
        let operational = self.operational && !(self.whole && matches!(entry, Entry::User(_)));
        if operational {
            let hidden = |id: &AttributeId| context.snapshot.records.attributes.is_hidden(*id);
            for id in OPERATIONAL.into_iter().filter(|id| !hidden(id)) {
                let attribute = context.find(entry, &AttributeRef::built_in(id))?;
                if let Some(attribute) = attribute
                    && !(self.whole && is_in_default_answer(context, entry, id, &attribute))
                {
                    each(Piece::Attribute(attribute))?;
                }
            }
        }
        let made = context.snapshot.shown.operational(entry);
        if self.operational {
            for &id in made {
                if let Some(attribute) = context.attribute(entry, id)? {
                    each(Piece::Attribute(attribute))?;
                }
            }
        }
        for name in &self.names {
            if (operational && name.ids().any(|id| OPERATIONAL.contains(&id)))
                || (self.operational && name.ids().any(|id| made.contains(&id)))
            {
                continue;
            }
            if let Some(attribute) = context.find(entry, name)? {
                let id = match attribute {
                    Attribute::Computed(id, _) => id,
                    Attribute::Stored(_) => name.first.unwrap_or(AttributeId::CN),
                };
                if !(self.whole && is_in_default_answer(context, entry, id, &attribute)) {
                    each(Piece::Attribute(attribute))?;
                }
            }
        }
        Ok(())
    }

    /// Octets on the heap.
    pub(crate) fn memory(&self) -> usize {
        self.names.capacity() * size_of::<AttributeRef>()
    }

    /// Octets of the attributes of the first entry: a guess, by which the space for a length is chosen.
    pub(crate) fn expected_size(&self) -> usize {
        match self.whole || self.operational {
            true => TYPICAL_ENTRY,
            false => self.names.len() * TYPICAL_ATTRIBUTE,
        }
    }

    /// What it costs to put an entry together, besides the octets written.
    pub(crate) fn work(&self) -> usize {
        (1 + self.names.len() + if self.operational { OPERATIONAL.len() } else { 0 }) * STEP_WORK
    }

    /// Appends the selected attributes of an entry as PartialAttributes.
    pub(crate) fn write_attributes(
        &self,
        context: &Context<'_>,
        entry: Entry,
        out: &mut Vec<u8>,
    ) -> Result<(), WrongNumber> {
        if self.is_plain {
            return answer::write(context, entry, out);
        }
        self.for_each(context, entry, |piece| piece.write(context, self.types_only, out))
    }

    /// Appends a SearchResultEntry; `controls` is an encoded `controls [0]` element, or nothing. `typical` is the size of
    /// an entry's attributes, kept from one entry to the next. After an error what was appended is not a whole entry.
    #[inline]
    pub(crate) fn write_entry(
        &self,
        context: &Context<'_>,
        entry: Entry,
        message_id: u32,
        controls: &[u8],
        typical: &mut usize,
        out: &mut Vec<u8>,
    ) -> Result<(), WrongNumber> {
        // How many members a group has does not follow from the entry before it.
        let expected = match entry {
            Entry::Group(group) => expected_members(context, group)?.max(*typical),
            _ => *typical,
        };
        let dn = context.dn(entry)?;
        let mut written = Ok(());
        write_entry(out, message_id, &dn, expected, controls, |out| {
            let start = out.len();
            written = self.write_attributes(context, entry, out);
            *typical = out.len() - start;
        });
        written
    }
}

#[cfg(test)]
mod tests;
