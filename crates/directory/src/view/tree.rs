//! One provider's place in the world: its base DN, its number ranges, the entries that are neither user nor group, and
//! what names below the base mean.
//!
//! Knows the layout of authentik's outpost: `ou=users`, `ou=groups` and `ou=virtual-groups` below the base. Must not
//! know who is asking.

use uuid::Uuid;

use crate::index::snapshot::Snapshot;
use crate::model::attribute::AttributeRef;
use crate::model::built_in::AttributeId;
use crate::model::encoded;
use crate::model::place::{Container, Entry};
use crate::model::records::{Kind, UserId};
use crate::schema::{self, AttributeType};
use crate::view::subschema::Attributes;
use akldap_ldap::dn::{self, Dn, DnError, Name};
use akldap_ldap::response::write_attribute;
use akldap_ldap::steps;

/// The containers in the order of answers.
pub(crate) const ORGANIZATIONAL_UNITS: [(Container, &str); 3] = [
    (Container::Users, "users"),
    (Container::Groups, "groups"),
    (Container::VirtualGroups, "virtual-groups"),
];

/// One provider's place: base DN and number ranges.
#[derive(Clone, Debug)]
pub struct Tree {
    base: Dn,
    /// The normal forms of its levels.
    levels: Vec<Vec<u8>>,
    /// The base DN in lower case, otherwise as configured: the end of every other DN.
    suffix: Vec<u8>,
    /// `,ou=users,<suffix>` and so on: what follows the RDN of a leaf.
    leaf_suffixes: [Vec<u8>; 3],
    containers: [ContainerEntry; 4],
    /// The addresses of the attribute types that base and containers hold, ascending: to tell at once that they do not
    /// have what a filter asks for.
    held: Vec<usize>,
    /// Whether this is no provider's place but a single entry, which has no other attributes than its own.
    pub(crate) alone: bool,
    /// Whether virtual groups appear as in authentik's direct search mode.
    pub(crate) direct: bool,
    pub(crate) uid_start: i64,
    pub(crate) gid_start: i64,
}

/// An entry that is neither user nor group.
#[derive(Clone, Debug, Default)]
pub(crate) struct ContainerEntry {
    pub(crate) dn: Vec<u8>,
    pub(crate) uuid: [u8; 16],
    /// The attributes as they are sent.
    pub(crate) block: Vec<u8>,
    /// Where each attribute begins.
    places: Vec<Place>,
}

/// An attribute of such an entry.
#[derive(Clone, Debug)]
struct Place {
    /// What it is known by.
    key: String,
    known: Option<&'static AttributeType>,
    /// The further name of its type that it is served under: nothing else finds it, so that `cn` finds no `commonName`.
    alias: Option<u8>,
    start: usize,
}

impl ContainerEntry {
    fn new(dn: Vec<u8>, normal_dn: &[u8]) -> Self {
        Self {
            // The DN of an entry is what such entries are known by; a name space of our own keeps them apart from
            // the UUIDs others derive from DNs.
            uuid: Uuid::new_v5(&Uuid::new_v5(&Uuid::NAMESPACE_URL, b"urn:akldap:dn"), normal_dn).into_bytes(),
            dn,
            block: Vec::new(),
            places: Vec::new(),
        }
    }

    fn add<'a>(&mut self, name: &str, values: impl IntoIterator<Item = &'a [u8]>) {
        let start = self.block.len();
        write_attribute(&mut self.block, name.as_bytes(), values);
        let key = schema::canonical_name(name.as_bytes()).into_owned();
        let known = schema::attribute_type(name.as_bytes());
        let alias = known.and_then(|known| known.alias(name.as_bytes()));
        self.places.push(Place {
            key,
            known,
            alias,
            start,
        });
    }

    fn has(&self, key: &str) -> bool {
        self.places.iter().any(|place| place.key == key)
    }

    /// The attribute that a description means.
    #[inline]
    pub(crate) fn find(&self, attribute: &AttributeRef) -> Option<encoded::Element<'_>> {
        let wanted = attribute.known?;
        // The schema has each type once.
        let place = self.places.iter().find(|place| {
            place.known.is_some_and(|own| std::ptr::eq(own, wanted))
                && (place.alias.is_none() || place.alias == attribute.alias)
        })?;
        encoded::Elements(self.block.get(place.start..)?).next()
    }
}

impl Tree {
    /// The place of a provider with this base DN and these start numbers.
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
        let container = |name: &str| {
            let dn = [b"ou=", name.as_bytes(), b",", &suffix].concat();
            let normal = [b"ou=", name.as_bytes(), b",", normal.as_slice()].concat();
            let mut entry = ContainerEntry::new(dn, &normal);
            entry.add(
                "objectClass",
                [&b"top"[..], b"nsContainer", b"organizationalUnit"],
            );
            entry.add("ou", [name.as_bytes()]);
            entry.add("commonName", [name.as_bytes()]);
            let dn = entry.dn.clone();
            entry.add("distinguishedName", [dn.as_slice()]);
            entry
        };
        let [users, groups, virtual_groups] = ORGANIZATIONAL_UNITS.map(|(_, name)| container(name));
        let leaf_suffixes =
            [&users, &groups, &virtual_groups].map(|entry| [b",", entry.dn.as_slice()].concat());
        let mut tree = Self {
            containers: [
                ContainerEntry::new(configured.as_bytes().to_vec(), &normal),
                users,
                groups,
                virtual_groups,
            ],
            levels: base.normal_rdns(usize::MAX),
            base,
            suffix,
            leaf_suffixes,
            held: Vec::new(),
            alone: false,
            direct: false,
            uid_start,
            gid_start,
        };
        tree.set_base_attributes(&Vec::new());
        Ok(tree)
    }

    /// The same place, virtual groups appearing as in authentik's direct search mode or else as in the cached one: in
    /// direct mode none has the member that a filter asks for.
    #[must_use]
    pub fn in_direct_mode(mut self, direct: bool) -> Self {
        self.direct = direct;
        self
    }

    /// The same place, its base entry showing also the attributes of the rootDSE (`objectClass` and `entryDN` are its
    /// own).
    #[must_use]
    pub fn with_base_attributes(mut self, attributes: &Attributes) -> Self {
        self.set_base_attributes(attributes);
        self
    }

    fn set_base_attributes(&mut self, attributes: &Attributes) {
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
        let mut entry = ContainerEntry {
            block: Vec::new(),
            places: Vec::new(),
            ..self.containers[0].clone()
        };
        entry.add("objectClass", classes);
        // A domain must have a dc; a base that is not named by one has the first further up, if any.
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
            if !entry.has(&schema::canonical_name(name.as_bytes())) {
                entry.add(name, values.iter().map(String::as_bytes));
            }
        }
        self.containers[0] = entry;
        self.note_held();
    }

    /// A place that consists of one entry that belongs to no provider, such as the rootDSE.
    pub(crate) fn of_one_entry(dn: &str, attributes: &Attributes) -> Self {
        let mut entry = ContainerEntry::new(dn.as_bytes().to_vec(), dn.as_bytes());
        for (name, values) in attributes {
            entry.add(name, values.iter().map(String::as_bytes));
        }
        let mut tree = Self {
            base: Dn::parse(dn.as_bytes()).unwrap_or_default(),
            levels: Vec::new(),
            suffix: dn.to_lowercase().into_bytes(),
            leaf_suffixes: Default::default(),
            containers: [
                entry,
                ContainerEntry::default(),
                ContainerEntry::default(),
                ContainerEntry::default(),
            ],
            held: Vec::new(),
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
        std::str::from_utf8(&self.containers[0].dn).unwrap_or_default()
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

    /// How many levels the base DN has: of several places that contain a name the deepest is meant.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.base.rdns.len()
    }

    /// The DN of a user in this place.
    #[must_use]
    pub fn user_dn(&self, username: &str) -> String {
        let name = dn::escape(username.as_bytes());
        let [suffix, ..] = &self.leaf_suffixes;
        String::from_utf8_lossy(&[b"cn=", name.as_slice(), suffix].concat()).into_owned()
    }

    pub(crate) fn container(&self, container: Container) -> &ContainerEntry {
        &self.containers[container as usize]
    }

    /// Whether base or a container could have an attribute.
    #[inline]
    pub(crate) fn may_hold(&self, attribute: &AttributeRef) -> bool {
        attribute.first.is_some_and(AttributeId::is_of_every_entry)
            || attribute.known.is_some_and(|known| {
                let address = std::ptr::from_ref(known).addr();
                self.held.binary_search(&address).is_ok()
            })
    }

    fn note_held(&mut self) {
        let known = self
            .containers
            .iter()
            .flat_map(|container| &container.places)
            .filter_map(|place| place.known);
        self.held = known.map(|known| std::ptr::from_ref(known).addr()).collect();
        self.held.sort_unstable();
        self.held.dedup();
    }

    /// What follows the name in the DN of a leaf.
    pub(crate) fn leaf_suffix(&self, container: Container) -> &[u8] {
        let [users, groups, virtual_groups] = &self.leaf_suffixes;
        match container {
            Container::Base | Container::Users => users,
            Container::Groups => groups,
            Container::VirtualGroups => virtual_groups,
        }
    }

    /// What a name means. Names that RFC 4514 cannot make sense of, or that name nothing, are also tried as the
    /// unescaped names that authentik's own outpost gives out (`cn=Sales, EMEA,ou=groups,…`).
    ///
    /// # Errors
    /// When the name is malformed and no such name either.
    pub(crate) fn resolve(&self, snapshot: &Snapshot, name: &Name<'_>) -> Result<Resolved, DnError> {
        if let Some(entries) = self.resolve_plain(snapshot, name.octets()) {
            return Ok(Resolved::Entries(entries));
        }
        let parsed = name.parsed().map(|dn| self.resolve_parsed(snapshot, dn));
        match parsed {
            Ok(Resolved::Entries(entries)) => Ok(Resolved::Entries(entries)),
            missing => match self.resolve_unescaped(snapshot, name.octets()) {
                Some(entry) => Ok(Resolved::Entries(vec![entry])),
                None => missing,
            },
        }
    }

    /// The user whose entry a search with this name as its base finds; of several that differ in case only, and none of
    /// which is spelled so, the one with the lowest pk.
    #[must_use]
    pub fn user_named(&self, snapshot: &Snapshot, name: &Name<'_>) -> Option<UserId> {
        let Ok(Resolved::Entries(entries)) = self.resolve(snapshot, name) else {
            return None;
        };
        match entries.first() {
            Some(Entry::User(user)) => Some(UserId(*user)),
            _ => None,
        }
    }

    /// Whether a name is in this place, told without parsing it. False also for names whose spelling is unusual.
    #[must_use]
    pub fn contains_plainly(&self, name: &[u8]) -> bool {
        self.split_plainly(name).is_some()
    }

    /// The user name in `cn=<user name>,ou=users,<base DN>`, if its spelling is the usual one: then parsing would tell the
    /// same.
    #[must_use]
    pub fn plain_username<'n>(&self, name: &'n [u8]) -> Option<&'n [u8]> {
        match self.split_plainly(name)? {
            (Some(Container::Users), username) => username,
            _ => None,
        }
    }

    fn resolve_plain(&self, snapshot: &Snapshot, name: &[u8]) -> Option<Vec<Entry>> {
        let (container, value) = self.split_plainly(name)?;
        let Some(container) = container else {
            return Some(vec![Entry::Container(Container::Base)]);
        };
        let Some(value) = value else {
            return Some(vec![Entry::Container(container)]);
        };
        let entries = self.leaves(snapshot, container, value);
        (!entries.is_empty()).then_some(entries)
    }

    /// The spellings that nearly all names come in, without parsing: those we give out ourselves, whatever their case, as
    /// long as they are RFC 4514 names without escapes.
    fn split_plainly<'n>(&self, name: &'n [u8]) -> Option<(Option<Container>, Option<&'n [u8]>)> {
        let (container, value) = self.split_textually(name)?;
        value.is_none_or(is_plain).then_some((container, value))
    }

    /// Takes a name apart as text: the container, if it is not the base, and the unescaped name of a leaf.
    fn split_textually<'n>(&self, name: &'n [u8]) -> Option<(Option<Container>, Option<&'n [u8]>)> {
        let rest = strip_suffix(name, &self.suffix)?;
        if rest.is_empty() {
            return Some((None, None));
        }
        for (container, ou) in ORGANIZATIONAL_UNITS {
            let leaf = strip_suffix(rest, b",").and_then(|rest| strip_suffix(rest, ou.as_bytes()));
            let Some(leaf) = leaf.and_then(|rest| strip_suffix(rest, b"ou=")) else {
                continue;
            };
            if leaf.is_empty() {
                return Some((Some(container), None));
            }
            if let Some(leaf) = strip_suffix(leaf, b",")
                && let Some((attribute, value)) = leaf.split_at_checked(3)
                && attribute.eq_ignore_ascii_case(b"cn=")
            {
                return Some((Some(container), Some(value)));
            }
        }
        None
    }

    /// Whether this is a name of the tree in the spelling of authentik's own outpost, whoever is called so.
    pub(crate) fn is_unescaped_name(&self, name: &[u8]) -> bool {
        matches!(self.split_textually(name), Some((Some(_), Some(_))))
    }

    /// The one entry whose name in the spelling of authentik's own outpost this is.
    fn resolve_unescaped(&self, snapshot: &Snapshot, name: &[u8]) -> Option<Entry> {
        let (Some(container), Some(value)) = self.split_textually(name)? else {
            return None;
        };
        match self.leaves(snapshot, container, value).as_slice() {
            [entry] => Some(*entry),
            _ => None,
        }
    }

    fn resolve_parsed(&self, snapshot: &Snapshot, name: &Dn) -> Resolved {
        let Some(levels) = name.below(&self.base) else {
            return Resolved::Outside;
        };
        let Some((top, lower)) = levels.split_last() else {
            return Resolved::Entries(vec![Entry::Container(Container::Base)]);
        };
        let container = ORGANIZATIONAL_UNITS.into_iter().find(|(_, ou)| {
            top.value_of("ou")
                .is_some_and(|value| *akldap_ldap::text::fold_case(value) == *ou.as_bytes())
        });
        let Some((container, _)) = container else {
            return Resolved::Missing(vec![Entry::Container(Container::Base)]);
        };
        let mut path = vec![Entry::Container(Container::Base), Entry::Container(container)];
        let Some((leaf, below)) = lower.split_last() else {
            return Resolved::Entries(vec![Entry::Container(container)]);
        };
        let leaves = leaf
            .value_of("cn")
            .map(|value| self.leaves(snapshot, container, value))
            .unwrap_or_default();
        if below.is_empty() && !leaves.is_empty() {
            return Resolved::Entries(leaves);
        }
        path.extend(leaves.first());
        Resolved::Missing(path)
    }

    fn leaves(&self, snapshot: &Snapshot, container: Container, name: &[u8]) -> Vec<Entry> {
        let (kind, entry): (Kind, fn(u32) -> Entry) = match container {
            Container::Base => return Vec::new(),
            Container::Users => (Kind::User, Entry::User),
            Container::Groups => (Kind::Group, Entry::Group),
            Container::VirtualGroups => (Kind::User, Entry::VirtualGroup),
        };
        snapshot.named(name, kind).map(entry).collect()
    }
}

/// What a name means in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// Entries of this name, usually one: several users or groups may be called the same.
    Entries(Vec<Entry>),
    /// Nothing; these are the entries above it that exist, the base first.
    Missing(Vec<Entry>),
    /// It is not below the base.
    Outside,
}

/// Whether a value is written in a name as it is.
fn is_plain(value: &[u8]) -> bool {
    steps::add(value.len());
    value.iter().all(|&octet| {
        octet >= b' '
            && !matches!(
                octet,
                b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' | b'=' | b'#'
            )
    }) && value.first().is_some_and(|&octet| octet != b' ')
        && value.last() != Some(&b' ')
}

fn strip_suffix<'a>(text: &'a [u8], suffix: &[u8]) -> Option<&'a [u8]> {
    steps::add(suffix.len());
    let (rest, end) = text.split_at_checked(text.len().checked_sub(suffix.len())?)?;
    end.eq_ignore_ascii_case(suffix).then_some(rest)
}

#[cfg(test)]
mod tests;
