//! One provider's tree: its base DN, its number ranges, and its containers.
//!
//! Knows the layout of authentik's outpost: `ou=users`, `ou=groups` and `ou=virtual-groups` below the base, under whatever names
//! the style of the provider has for them. Must not know who is asking, or users and groups.

use crate::model::attribute::AttributeRef;
use crate::model::branch::Branch;
use crate::model::built_in::AttributeId;
use crate::model::number::WrongNumber;
use crate::model::place::Container;
use crate::schema::{self, AttributeTypeId};
use crate::view::container::{ContainerEntry, uuid_of};
use crate::view::style::{DnStyle, ORGANIZATIONAL_UNITS, VirtualGroups};
use crate::view::subschema::EntryAttributes;
use akldap_ldap::dn::{self, Dn, DnError};
use akldap_ldap::text;

/// The name of a container as it may be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) container: Container,
    /// The name in the form in which names are compared.
    pub(super) key: Vec<u8>,
    /// Whether it is written in a name as it is.
    pub(super) is_plain: bool,
}

/// One provider's tree: base DN and number ranges.
#[derive(Clone, Debug)]
pub struct Tree {
    pub(super) base: Dn,
    /// The normal forms of its levels.
    levels: Vec<Vec<u8>>,
    /// The base DN as configured.
    base_spelling: String,
    /// The base DN in lower case, otherwise as configured: the end of every other DN.
    pub(super) suffix: Vec<u8>,
    /// `,ou=users,<suffix>` and so on: what follows the RDN of a leaf.
    leaf_suffixes: [Vec<u8>; 3],
    containers: [ContainerEntry; 4],
    /// The attribute types that containers have, ascending, with the further name of a type under which alone it is found:
    /// to know at once that they do not have what a filter asks for.
    held: Vec<(AttributeTypeId, Option<u8>)>,
    style: DnStyle,
    virtual_groups: VirtualGroups,
    /// The names of each container as they may be written.
    pub(super) units: Vec<Unit>,
    /// Whether this is not a provider's tree but a single entry, which has no attributes but its own.
    pub(crate) alone: bool,
    /// Whether virtual groups appear as in authentik's direct search mode.
    pub(crate) direct: bool,
    pub(crate) uid_start: i64,
    pub(crate) gid_start: i64,
}

impl Tree {
    /// The uidNumber that follows from a user's pk.
    #[inline]
    pub(crate) fn user_number(&self, pk: i64) -> Result<i64, WrongNumber> {
        self.uid_start.checked_add(pk).ok_or(WrongNumber::Derived)
    }

    /// The gidNumber that follows from a group's number.
    #[inline]
    pub(crate) fn group_number(&self, number: i64) -> Result<i64, WrongNumber> {
        self.gid_start.checked_add(number).ok_or(WrongNumber::Derived)
    }

    /// The tree of a provider with this base DN and these start numbers.
    ///
    /// # Errors
    /// When the base DN is malformed or empty.
    pub fn new(base_dn: &str, uid_start: i64, gid_start: i64) -> Result<Self, DnError> {
        let base = Dn::parse(base_dn.as_bytes())?;
        if base.is_empty() {
            return Err(DnError::MissingEquals);
        }
        let configured = base_dn.trim();
        let suffix = configured.to_lowercase().into_bytes();
        let normal = base.normal_form();
        let mut tree = Self {
            containers: [
                ContainerEntry::new(configured.as_bytes().to_vec(), &normal),
                ContainerEntry::default(),
                ContainerEntry::default(),
                ContainerEntry::default(),
            ],
            levels: base.normal_rdns(usize::MAX),
            base_spelling: configured.to_owned(),
            base,
            suffix,
            leaf_suffixes: Default::default(),
            held: Vec::new(),
            style: DnStyle::default(),
            virtual_groups: VirtualGroups::default(),
            units: Vec::new(),
            alone: false,
            direct: false,
            uid_start,
            gid_start,
        };
        tree.set_base_attributes(&Vec::new());
        tree.set_units();
        Ok(tree)
    }

    /// The same tree, its entries named in this style, with these virtual groups.
    #[must_use]
    pub fn in_style(mut self, style: DnStyle, virtual_groups: VirtualGroups) -> Self {
        (self.style, self.virtual_groups) = (style, virtual_groups);
        self.set_units();
        self
    }

    /// Makes the containers again.
    fn set_units(&mut self) {
        let normal = self.base.normal_form();
        let container = |name: &str| {
            let rdn = [b"ou=", dn::escape(name.as_bytes()).as_slice(), b","].concat();
            let key = text::fold_case(name.as_bytes());
            let normal = [b"ou=", &*key, b",", normal.as_slice()].concat();
            let mut entry = ContainerEntry::new([rdn.as_slice(), &self.suffix].concat(), &normal);
            entry.held.add_unit(name);
            let dn = entry.dn.clone();
            entry.add("distinguishedName", [dn.as_slice()]);
            entry
        };
        let units = self.style.units();
        let [users, groups, virtual_groups] = units.map(|(_, name)| container(name));
        self.leaf_suffixes =
            [&users, &groups, &virtual_groups].map(|entry| [b",", entry.dn.as_slice()].concat());
        let there = |(container, _): &(Container, &str)| {
            self.virtual_groups != VirtualGroups::Off || *container != Container::VirtualGroups
        };
        let mut known: Vec<Unit> = Vec::new();
        for (container, name) in units.into_iter().chain(ORGANIZATIONAL_UNITS).filter(there) {
            let unit = Unit {
                container,
                key: text::fold_case(name.as_bytes()).into_owned(),
                is_plain: dn::escape(name.as_bytes()) == name.as_bytes(),
            };
            if !known.contains(&unit) {
                known.push(unit);
            }
        }
        self.units = known;
        let [base, ..] = &self.containers;
        self.containers = [base.clone(), users, groups, virtual_groups];
        self.note_held();
    }

    /// How names are spelled.
    pub(crate) fn style(&self) -> &DnStyle {
        &self.style
    }

    /// Which virtual groups there are.
    pub(crate) fn virtual_groups(&self) -> VirtualGroups {
        self.virtual_groups
    }

    /// The name of a container below the base.
    pub(crate) fn unit_name(&self, container: Container) -> Option<&str> {
        let units = self.style.units();
        let unit = units.into_iter().find(|(known, _)| *known == container);
        unit.map(|(_, name)| name)
    }

    /// How many containers there are directly below the base.
    pub(crate) fn unit_count(&self) -> i64 {
        match self.virtual_groups {
            VirtualGroups::Off => 2,
            _ => 3,
        }
    }

    /// The same tree, with virtual groups appearing as in authentik's direct search mode, or otherwise as in the cached one: in
    /// direct mode none has the member that a filter asks for.
    #[must_use]
    pub fn in_direct_mode(mut self, direct: bool) -> Self {
        self.direct = direct;
        self
    }

    /// The same tree, whose base entry also shows the attributes of the rootDSE (`objectClass` and `entryDN` are its
    /// own).
    #[must_use]
    pub fn with_base_attributes(mut self, attributes: &EntryAttributes) -> Self {
        self.set_base_attributes(attributes);
        self
    }

    fn set_base_attributes(&mut self, attributes: &EntryAttributes) {
        let first = self.base.rdns.first();
        let named = |attribute: &str| {
            first.is_some_and(|rdn| {
                rdn.assertions
                    .iter()
                    .any(|assertion| schema::canonical_name(assertion.attribute.as_bytes()) == attribute)
            })
        };
        let mut classes: Vec<&[u8]> = vec![b"top", b"domain"];
        if named("o") {
            classes.push(b"organization");
        }
        if named("ou") {
            classes.push(b"organizationalUnit");
        }
        let [base, ..] = &self.containers;
        let mut entry = base.without_attributes();
        entry.add("objectClass", classes);
        // A domain must have a dc; a base that is not named by one has the first one further up, if any.
        let all = self.base.rdns.iter().flat_map(|rdn| &rdn.assertions);
        let dc = all
            .clone()
            .find(|assertion| schema::canonical_name(assertion.attribute.as_bytes()) == "dc");
        if let Some(dc) = dc {
            entry.add("dc", [dc.value.as_slice()]);
        }
        for assertion in first.iter().flat_map(|rdn| &rdn.assertions) {
            let name = schema::attribute_type(assertion.attribute.as_bytes())
                .map_or(assertion.attribute.as_str(), |known| known.name);
            if name != "dc" {
                entry.add(name, [assertion.value.as_slice()]);
            }
        }
        let dn = entry.dn.clone();
        entry.add("entryDN", [dn.as_slice()]);
        for (name, values) in attributes {
            if !entry.held.has(&schema::canonical_name(name.as_bytes())) {
                entry.add(name, values.iter().map(String::as_bytes));
            }
        }
        let [base, ..] = &mut self.containers;
        *base = entry;
        self.note_held();
    }

    /// A tree that consists of one entry that belongs to no provider, such as the rootDSE.
    pub(crate) fn of_one_entry(dn: &str, attributes: &EntryAttributes) -> Self {
        let mut entry = ContainerEntry::new(dn.as_bytes().to_vec(), dn.as_bytes());
        for (name, values) in attributes {
            entry.add(name, values.iter().map(String::as_bytes));
        }
        let mut tree = Self {
            // A name that cannot be parsed is above no other.
            base: Dn::parse(dn.as_bytes()).unwrap_or_default(),
            levels: Vec::new(),
            base_spelling: dn.to_owned(),
            suffix: dn.to_lowercase().into_bytes(),
            leaf_suffixes: Default::default(),
            containers: [
                entry,
                ContainerEntry::default(),
                ContainerEntry::default(),
                ContainerEntry::default(),
            ],
            held: Vec::new(),
            style: DnStyle::default(),
            virtual_groups: VirtualGroups::default(),
            units: Vec::new(),
            alone: true,
            direct: false,
            uid_start: 0,
            gid_start: 0,
        };
        tree.note_held();
        tree
    }

    /// The base DN.
    #[must_use]
    pub fn base(&self) -> &Dn {
        &self.base
    }

    /// The base DN as configured.
    #[must_use]
    pub fn base_spelling(&self) -> &str {
        &self.base_spelling
    }

    /// The levels of the base DN in their normal forms, in the order of the name.
    #[must_use]
    pub fn levels(&self) -> &[Vec<u8>] {
        &self.levels
    }

    /// Whether a name is the base or below it.
    #[must_use]
    pub fn contains(&self, name: &Dn) -> bool {
        name.below(&self.base).is_some()
    }

    /// How many levels the base DN has: if several trees contain a name, the deepest is meant.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.base.rdns.len()
    }

    /// The UUID of an organizational unit that paths make.
    pub(crate) fn branch_uuid(&self, branch: &Branch) -> [u8; 16] {
        let unit = self.unit_name(Container::Users).unwrap_or_default();
        let levels = [
            &*text::fold_case(&branch.local_name),
            &[b"ou=", &*text::fold_case(unit.as_bytes())].concat(),
            &self.base.normal_form(),
        ];
        uuid_of(&levels.join(&b','))
    }

    #[inline]
    pub(crate) fn container(&self, container: Container) -> &ContainerEntry {
        let [base, users, groups, virtual_groups] = &self.containers;
        match container {
            Container::Base => base,
            Container::Users => users,
            Container::Groups => groups,
            Container::VirtualGroups => virtual_groups,
        }
    }

    /// Whether a container could have an attribute.
    #[inline]
    pub(crate) fn may_hold(&self, attribute: &AttributeRef) -> bool {
        attribute.first.is_some_and(AttributeId::is_of_every_entry)
            || attribute.known.is_some_and(|known| {
                let first = self.held.partition_point(|(id, _)| *id < known.id);
                let mut same = self.held.iter().skip(first).take_while(|(id, _)| *id == known.id);
                same.any(|(_, alias)| alias.is_none() || *alias == attribute.alias)
            })
    }

    fn note_held(&mut self) {
        let containers = self.containers.iter();
        self.held = containers.flat_map(|container| container.held.types()).collect();
        self.held.sort_unstable();
        self.held.dedup();
    }

    /// What follows the name in the DN of a leaf.
    #[inline]
    pub(crate) fn leaf_suffix(&self, container: Container) -> &[u8] {
        let [users, groups, virtual_groups] = &self.leaf_suffixes;
        match container {
            Container::Base | Container::Users => users,
            Container::Groups => groups,
            Container::VirtualGroups => virtual_groups,
        }
    }
}

#[cfg(test)]
mod tests;
