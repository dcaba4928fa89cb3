//! AttributeTable by number: those every snapshot has, and the custom ones met while building.
//!
//! Knows names and syntaxes. Must not know values.

use std::collections::HashMap;

use crate::model::built_in::AttributeId;
use crate::model::number::{Column, WrongNumber};
use crate::schema::{self, Syntax};
use akldap_ldap::steps;

/// The most attributes that a snapshot can distinguish; more could not be numbered.
pub(crate) const MAX_ATTRIBUTES: usize = 60_000;

/// Longest custom attribute name served. Nobody asks for longer ones, and clients have limits too.
pub(crate) const MAX_NAME: usize = 255;

/// Names of attributes in lower case, sorted.
type SortedNames = Vec<Box<[u8]>>;

/// The most names kept for a spelling that several share.
const MAX_SHARED: usize = 16;

/// What is known about each attribute.
#[derive(Clone, Debug)]
pub(crate) struct AttributeTable {
    /// By name in lower case, with what the schema knows about the name.
    numbers: HashMap<Box<[u8]>, Named, hashbrown::DefaultHashBuilder>,
    syntaxes: Column<AttributeId, Syntax>,
    /// Other spellings of custom names, in lower case, with the names they stand for, sorted.
    aliases: HashMap<Box<[u8]>, SortedNames, hashbrown::DefaultHashBuilder>,
    /// Those that nobody is shown, whatever their names.
    hidden: Vec<AttributeId>,
}

type Named = (AttributeId, Option<&'static schema::AttributeType>);

impl AttributeTable {
    pub(crate) fn new() -> Self {
        let mut attributes = Self {
            numbers: HashMap::default(),
            syntaxes: Column::from(Vec::new()),
            aliases: HashMap::default(),
            hidden: Vec::new(),
        };
        for name in AttributeId::names() {
            attributes.intern(name.as_bytes());
        }
        attributes
    }

    /// The number of the attribute with exactly this name, whatever its case; a new one if it is new. `None` when
    /// there are too many.
    pub(crate) fn intern(&mut self, name: &[u8]) -> Option<AttributeId> {
        self.intern_as(name, schema::syntax_of(name))
    }

    /// The same; one that is new has this syntax.
    pub(crate) fn intern_as(&mut self, name: &[u8], syntax: Syntax) -> Option<AttributeId> {
        let lower = name.to_ascii_lowercase();
        if let Some(&(id, _)) = self.numbers.get(lower.as_slice()) {
            return Some(id);
        }
        if self.syntaxes.len() >= MAX_ATTRIBUTES {
            return None;
        }
        let id = AttributeId(u16::try_from(self.syntaxes.len()).ok()?);
        let known = schema::attribute_type(&lower);
        self.syntaxes.push(match id {
            // Not an attribute, so the schema does not know it; the other one has the name `uid`.
            AttributeId::RDN => Syntax::AccountName,
            _ => syntax,
        });
        self.numbers.insert(lower.into_boxed_slice(), (id, known));
        Some(id)
    }

    /// Gives a custom attribute another spelling too, if no attribute has that name. If several share a spelling, the first names
    /// win: see [`Self::called`].
    pub(crate) fn add_alias(&mut self, alias: &str, name: &str) {
        let lower = |text: &str| text.to_ascii_lowercase().into_bytes().into_boxed_slice();
        let (alias, name) = (lower(alias), lower(name));
        if self.aliases.len() >= MAX_ATTRIBUTES && !self.aliases.contains_key(&alias) {
            return;
        }
        let names = self.aliases.entry(alias).or_default();
        if let Err(position) = names.binary_search(&name) {
            names.insert(position, name);
            names.truncate(MAX_SHARED);
        }
    }

    /// Adopts the other spellings that another snapshot knows for the attributes here.
    pub(crate) fn take_aliases(&mut self, other: &Self) {
        self.aliases.clone_from(&other.aliases);
        self.aliases.retain(|_, names| {
            names.retain(|name| other.find(name).is_some());
            !names.is_empty()
        });
    }

    /// The other spellings, in lower case, of the existing custom attributes.
    pub(crate) fn aliases(&self) -> impl Iterator<Item = &[u8]> {
        self.aliases
            .iter()
            .filter(|(_, names)| names.iter().any(|name| self.find(name).is_some()))
            .map(|(alias, _)| &**alias)
    }

    /// The attributes that have this other spelling, in lower case: two at most, the first by code points. Which they are does not
    /// depend on the order in which they were met.
    fn called(&self, lower: &[u8]) -> (Option<AttributeId>, Option<AttributeId>) {
        let names = self.aliases.get(lower).map_or(&[][..], Vec::as_slice);
        let mut there = names.iter().filter_map(|name| self.find(name));
        (there.next(), there.next())
    }

    /// The attribute with exactly this name, or otherwise with this other spelling, whatever the case.
    fn find_spelling(&self, name: &[u8]) -> Option<AttributeId> {
        self.find_any_case(name)
            .or_else(|| self.called(name.to_ascii_lowercase().as_slice()).0)
    }

    /// The attribute with exactly this name, whatever its case, without allocating.
    pub(crate) fn find_any_case(&self, name: &[u8]) -> Option<AttributeId> {
        let mut buffer = [0; MAX_NAME];
        let lower = buffer.get_mut(..name.len())?;
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        self.find(lower)
    }

    /// The attribute with exactly this name in lower case.
    pub(crate) fn find(&self, lower: &[u8]) -> Option<AttributeId> {
        self.numbers.get(lower).map(|&(id, _)| id)
    }

    /// All attributes with their names in lower case.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], AttributeId)> {
        self.numbers.iter().map(|(name, &(id, _))| (&**name, id))
    }

    /// The names, in lower case, that the schema does not know.
    pub(crate) fn unknown_to_schema(&self) -> impl Iterator<Item = &[u8]> {
        self.numbers
            .iter()
            .filter(|(_, (_, known))| known.is_none())
            .map(|(name, _)| &**name)
    }

    /// The attributes that the schema knows.
    pub(crate) fn known_to_schema(
        &self,
    ) -> impl Iterator<Item = (AttributeId, &'static schema::AttributeType)> {
        self.numbers
            .values()
            .filter_map(|&(id, known)| Some((id, known?)))
    }

    #[inline]
    pub(crate) fn syntax(&self, id: AttributeId) -> Result<Syntax, WrongNumber> {
        self.syntaxes.get(id).copied()
    }

    /// All attributes by number.
    pub(crate) fn ids(&self) -> impl Iterator<Item = AttributeId> + use<> {
        self.syntaxes.numbers()
    }

    pub(crate) fn len(&self) -> usize {
        self.syntaxes.len()
    }

    /// From now on no description means this attribute.
    pub(crate) fn hide(&mut self, id: AttributeId) {
        self.hidden.push(id);
    }

    pub(crate) fn is_hidden(&self, id: AttributeId) -> bool {
        self.hidden.contains(&id)
    }

    /// What a description means here: see [`AttributeRef`].
    pub(crate) fn resolve(&self, description: &[u8]) -> AttributeRef {
        let meant = self.resolve_any(description);
        let is_hidden = !self.hidden.is_empty() && meant.ids().any(|id| self.is_hidden(id));
        if is_hidden { AttributeRef::UNKNOWN } else { meant }
    }

    fn resolve_any(&self, description: &[u8]) -> AttributeRef {
        steps::add(1 + description.len());
        let plain = schema::without_binary(description);
        // An admin may have put options into a name: they are part of it.
        if plain.is_none_or(|plain| plain.len() < description.len())
            && let Some(id) = self.find_spelling(description.trim_ascii())
        {
            // Whoever lacks the attribute with the option `;binary` has what it means for everybody.
            let plain = plain.map(|plain| self.resolve_any(plain));
            return AttributeRef {
                first: Some(id),
                second: plain.and_then(|plain| plain.first).filter(|&plain| plain != id),
                known: schema::attribute_type(description),
                alias: None,
            };
        }
        let Some(plain) = plain.map(<[u8]>::trim_ascii) else {
            return AttributeRef::UNKNOWN;
        };
        let mut buffer = [0; MAX_NAME];
        let lower = buffer.get_mut(..plain.len()).map(|lower| {
            lower.copy_from_slice(plain);
            lower.make_ascii_lowercase();
            &*lower
        });
        let literal = match lower.and_then(|lower| Some((lower, *self.numbers.get(lower)?))) {
            // Nearly every description: a name that is not another name of something else.
            Some((lower, (id, known))) if known.is_none_or(|known| known.key.as_bytes() == lower) => {
                return AttributeRef {
                    first: Some(id),
                    second: None,
                    known,
                    alias: None,
                };
            }
            literal => literal.map(|(_, (id, _))| id),
        };
        let known = schema::attribute_type(plain);
        let canonical = known.and_then(|known| self.find(known.key.as_bytes()));
        let (first, second) = match (literal, canonical) {
            (Some(literal), Some(canonical)) if literal != canonical => (Some(literal), Some(canonical)),
            (None, None) if known.is_none() => lower.map_or((None, None), |lower| self.called(lower)),
            (literal, canonical) => (literal.or(canonical), None),
        };
        let alias = known.and_then(|known| known.alias(plain));
        AttributeRef {
            first,
            second,
            known,
            alias,
        }
    }
}

/// What an attribute description means in a snapshot. An admin may give users an attribute whose name is another name of a
/// built-in one (`surname`): it is a separate attribute, as in authentik's outpost. Entries without it have the built-in attribute
/// with that other name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttributeRef {
    /// The attribute to look for first.
    pub(crate) first: Option<AttributeId>,
    /// The attribute to look for in entries without the first.
    pub(crate) second: Option<AttributeId>,
    /// What the schema knows about it.
    pub(crate) known: Option<&'static schema::AttributeType>,
    /// Which of the schema's other names was used for it.
    pub(crate) alias: Option<u8>,
}

impl AttributeRef {
    /// What neither the schema nor any entry knows.
    const UNKNOWN: Self = Self {
        first: None,
        second: None,
        known: None,
        alias: None,
    };

    pub(crate) fn built_in(id: AttributeId) -> Self {
        Self {
            first: Some(id),
            second: None,
            known: schema::attribute_type(id.name().as_bytes()),
            alias: None,
        }
    }

    /// The attributes to look for, in order.
    pub(crate) fn ids(&self) -> impl Iterator<Item = AttributeId> + use<> {
        self.first.into_iter().chain(self.second)
    }

    /// Whether it means the built-in attribute `id` in entries that have no attribute of its literal name.
    pub(crate) fn is(&self, id: AttributeId) -> bool {
        self.any(|meant| meant == id)
    }

    /// The same for those of which this holds.
    pub(crate) fn any(&self, holds: impl FnMut(AttributeId) -> bool) -> bool {
        [self.first, self.second].into_iter().flatten().any(holds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_resolve_by_case_alias_oid_and_options() {
        let mut attributes = AttributeTable::new();
        for description in [
            "cn",
            "CN",
            "commonName",
            "2.5.4.3",
            "OID.2.5.4.3",
            "cn;binary",
            "cn;BINARY",
            " cn ",
        ] {
            let meant = attributes.resolve(description.as_bytes());
            assert_eq!(meant.first, Some(AttributeId::CN), "{description}");
            assert_eq!(meant.second, None, "{description}");
        }
        assert_eq!(attributes.resolve(b"surname").first, Some(AttributeId::SN));
        let own = attributes.intern(b"Surname").unwrap();
        let meant = attributes.resolve(b"SURNAME");
        assert_eq!((meant.first, meant.second), (Some(own), Some(AttributeId::SN)));
        assert_eq!(attributes.resolve(b"sn").first, Some(AttributeId::SN));
        assert_eq!(attributes.resolve(b"nosuch").first, None);
        assert_eq!(attributes.resolve(&[b'x'; 1000]).first, None);
        for description in [
            "cn;lang-de",
            "cn;binary;lang-de",
            "cn;",
            "2.5.4.3;x-y",
            "sn;lang-en",
        ] {
            let meant = attributes.resolve(description.as_bytes());
            assert!(meant.first.is_none() && meant.known.is_none(), "{description}");
        }
        let own = attributes.intern(b"cn;lang-de").unwrap();
        let meant = attributes.resolve(b"CN;Lang-DE");
        assert_eq!((meant.first, meant.second), (Some(own), None));
        assert!(meant.known.is_none());
        assert_eq!(attributes.syntax(own), Ok(Syntax::AccountName));
        assert_eq!(attributes.resolve(b"cn;lang-en").first, None);
        assert_eq!(attributes.resolve(b"cn").first, Some(AttributeId::CN));
    }

    #[test]
    fn binary_in_a_name_takes_nothing_from_those_without_it() {
        let mut attributes = AttributeTable::new();
        let own = attributes.intern(b"cn;binary").unwrap();
        let meant = attributes.resolve(b"CN;Binary");
        assert_eq!((meant.first, meant.second), (Some(own), Some(AttributeId::CN)));
        let plain = attributes.intern(b"userCertificate").unwrap();
        let own = attributes.intern(b"userCertificate;binary").unwrap();
        let meant = attributes.resolve(b"userCertificate;binary");
        assert_eq!((meant.first, meant.second), (Some(own), Some(plain)));
        assert_eq!(attributes.resolve(b"userCertificate").first, Some(plain));
    }

    #[test]
    fn a_spelling_that_two_names_share_means_both_whoever_came_first() {
        for names in [["with space", "with;space"], ["with;space", "with space"]] {
            let mut attributes = AttributeTable::new();
            for name in names {
                attributes.intern(name.as_bytes());
                attributes.add_alias("with-space", name);
            }
            let meant = attributes.resolve(b"With-Space");
            let expected = (attributes.find(b"with space"), attributes.find(b"with;space"));
            assert_eq!((meant.first, meant.second), expected);
            let own = attributes.intern(b"with-space");
            let meant = attributes.resolve(b"with-space");
            assert_eq!((meant.first, meant.second), (own, None));
        }
    }

    #[test]
    fn there_is_a_limit_to_attributes() {
        let mut attributes = AttributeTable::new();
        let room = MAX_ATTRIBUTES - attributes.len();
        for number in 0..room {
            assert!(attributes.intern(format!("a{number}").as_bytes()).is_some());
        }
        assert!(attributes.intern(b"one-more").is_none());
        assert!(attributes.intern(b"CN").is_some());
    }
}
