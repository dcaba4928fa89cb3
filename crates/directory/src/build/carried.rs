//! Takes users and groups out of a snapshot as they are encoded, to put them into another or into a file.
//!
//! Knows which fields make up a record and how they are written as octets. Octets from a file are checked field by
//! field: what decodes is a record the builder could have made itself. Must not know files or where records come from.

use std::borrow::Cow;
use std::collections::HashSet;

use uuid::Uuid;

use crate::build::flags::{lower, upper};
use crate::build::superusers::with_superuser;
use crate::custom::policy::CustomPolicy;
use crate::index::snapshot::Snapshot;
use crate::model::attribute::MAX_NAME;
use crate::model::built_in::{AttributeId, BuiltIn, Shows};
use crate::model::encoded::{self, Elements};
use crate::model::object_classes::{GROUP_CLASSES, USER_CLASSES};
use crate::model::records::{GroupId, Kind, UserId};
use crate::model::row::{self, RecordIx};
use akldap_ldap::ber::{self, Reader};
use akldap_ldap::response::write_attribute;
use akldap_ldap::steps;

/// What users and groups have in common: a name, flags, and attributes as they are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Carried<'a> {
    pub(super) name: &'a str,
    pub(super) superuser: bool,
    /// Encoded PartialAttributes, one after the other.
    pub(super) attributes: Cow<'a, [u8]>,
    /// The override bits of the built-in attributes that custom values replace.
    pub(super) replaced: u32,
}

/// A user as a snapshot holds it, ready for a [`Builder`](crate::Builder).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarriedUser<'a> {
    pub(super) pk: i64,
    pub(super) uuid: [u8; 16],
    pub(super) uid: &'a str,
    pub(super) active: bool,
    /// Where the virtual group's gidNumber comes from: `row::OWN_GID_NUMBER`, `row::OWN_UID_NUMBER` or 0.
    pub(super) number_source: u32,
    /// Microseconds since 1970; `i64::MIN` if unknown.
    pub(super) password_change: i64,
    pub(super) record: Carried<'a>,
}

/// A group as a snapshot holds it, ready for a [`Builder`](crate::Builder).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarriedGroup<'a> {
    pub(super) uuid: [u8; 16],
    pub(super) number: i64,
    /// Primary keys of the direct members.
    pub(super) members: Vec<i64>,
    /// UUIDs of the groups directly above.
    pub(super) parents: Vec<[u8; 16]>,
    pub(super) record: Carried<'a>,
}

const ACTIVE: u8 = 1;
const SUPERUSER: u8 = 2;
const OWN_GID_NUMBER: u8 = 4;
const OWN_UID_NUMBER: u8 = 8;

impl Snapshot {
    /// A user as it is kept here.
    #[must_use]
    pub fn carried_user(&self, user: UserId) -> CarriedUser<'_> {
        let summary = self.user(user);
        let row = self.records.row(user.0);
        CarriedUser {
            pk: summary.pk,
            uuid: summary.uuid.into_bytes(),
            uid: summary.uid,
            active: summary.is_active,
            number_source: row.flags & (row::OWN_GID_NUMBER | row::OWN_UID_NUMBER),
            password_change: summary.password_change_date.unwrap_or(i64::MIN),
            record: self.carried(user.0),
        }
    }

    /// A group as it is kept here.
    #[must_use]
    pub fn carried_group(&self, group: GroupId) -> CarriedGroup<'_> {
        let index = group.0 as usize;
        let members = self.records.memberships.group_users.of(group.0).iter();
        let parents = self.records.memberships.group_parents.of(group.0).iter();
        CarriedGroup {
            uuid: self.records.groups.uuids.get(index).copied().unwrap_or_default(),
            number: self
                .records
                .groups
                .numbers
                .get(index)
                .copied()
                .unwrap_or_default(),
            members: members
                .filter_map(|&user| self.records.users.pks.get(user as usize).copied())
                .collect(),
            parents: parents
                .filter_map(|&parent| self.records.groups.uuids.get(parent as usize).copied())
                .collect(),
            record: self.carried(self.records.group_record(group.0)),
        }
    }

    /// Whether one of these attributes of a user, as the user's record has them, is `text`, case ignored.
    #[must_use]
    pub fn has_value(&self, user: UserId, attributes: &[&str], text: &str) -> bool {
        let wanted = text.to_lowercase();
        let named = |name: &[u8]| {
            let mut attributes = attributes.iter();
            attributes.any(|attribute| name.eq_ignore_ascii_case(attribute.as_bytes()))
        };
        Elements(self.records.block(user.0))
            .filter_map(|element| encoded::attribute(&element).filter(|(name, _)| named(name)))
            .flat_map(|(_, set)| encoded::values(set))
            .any(|value| String::from_utf8_lossy(value).to_lowercase() == wanted)
    }

    /// All groups in ascending order of UUID.
    pub fn groups(&self) -> impl Iterator<Item = GroupId> + use<> {
        (0..self.records.group_count_u32()).map(GroupId)
    }

    fn carried(&self, record: RecordIx) -> Carried<'_> {
        let row = self.records.row(record);
        Carried {
            name: std::str::from_utf8(self.records.name(record)).unwrap_or_default(),
            superuser: row.has(row::SUPERUSER),
            attributes: Cow::Borrowed(self.records.block(record)),
            replaced: row.flags & ((1 << row::FIRST_FLAG) - 1),
        }
    }
}

impl<'a> CarriedUser<'a> {
    /// The primary key.
    #[must_use]
    pub fn pk(&self) -> i64 {
        self.pk
    }

    /// Whether any group makes the user a superuser.
    #[must_use]
    pub fn is_superuser(&self) -> bool {
        self.record.superuser
    }

    /// Makes the user a superuser or none, as memberships outside the user's own row decide.
    pub fn set_superuser(&mut self, superuser: bool) {
        if self.record.superuser == superuser {
            return;
        }
        self.record.superuser = superuser;
        self.record.attributes = Cow::Owned(with_superuser(&self.record.attributes, superuser));
    }

    /// Appends the record as [`decode`](Self::decode) reads it. Numbers are little-endian, texts follow their length.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.pk.to_le_bytes());
        out.extend_from_slice(&self.uuid);
        out.extend_from_slice(&self.password_change.to_le_bytes());
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        out.push(
            flag(self.active, ACTIVE)
                | flag(self.record.superuser, SUPERUSER)
                | flag(self.number_source & row::OWN_GID_NUMBER != 0, OWN_GID_NUMBER)
                | flag(self.number_source & row::OWN_UID_NUMBER != 0, OWN_UID_NUMBER),
        );
        write_octets(out, self.uid.as_bytes());
        self.record.encode(out);
    }

    /// Reads what [`encode`](Self::encode) wrote, nothing more and nothing less. `None` for anything that no builder
    /// would have made.
    #[must_use]
    pub fn decode(octets: &'a [u8]) -> Option<Self> {
        let mut fields = FieldReader(octets);
        let pk = fields.number()?;
        let uuid = fields.array()?;
        let password_change = fields.number()?;
        let [flags] = fields.array()?;
        let uid = fields.text()?;
        let record = Carried::decode(&mut fields, flags & SUPERUSER != 0)?;
        let number_source = match flags & (OWN_GID_NUMBER | OWN_UID_NUMBER) {
            0 => 0,
            OWN_GID_NUMBER => row::OWN_GID_NUMBER,
            OWN_UID_NUMBER => row::OWN_UID_NUMBER,
            _ => return None,
        };
        let user = Self {
            pk,
            uuid,
            uid,
            active: flags & ACTIVE != 0,
            number_source,
            password_change,
            record,
        };
        let known = flags & !(ACTIVE | SUPERUSER | OWN_GID_NUMBER | OWN_UID_NUMBER) == 0;
        (known && fields.0.is_empty() && user.is_sound()).then_some(user)
    }

    fn is_sound(&self) -> bool {
        let home = ["/home/", self.record.name].concat();
        let value = |shows| match shows {
            Shows::Name => Some(self.record.name),
            Shows::Uid => Some(self.uid),
            Shows::Home => Some(home.as_str()),
            Shows::Active => Some(upper(self.active)),
            Shows::Superuser => Some(upper(self.record.superuser)),
            _ => None,
        };
        let number = match self.number_source {
            row::OWN_GID_NUMBER => Some(AttributeId::GID_NUMBER),
            row::OWN_UID_NUMBER => Some(AttributeId::UID_NUMBER),
            _ => None,
        };
        number.is_none_or(|id| self.record.replaces(id))
            && self.record.agrees(Shows::FullName)
            && self.record.has_classes(&USER_CLASSES)
            && self.record.is_sound(|built_in| built_in.users, value)
    }
}

impl<'a> CarriedGroup<'a> {
    /// The primary key.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        Uuid::from_bytes(self.uuid)
    }

    /// The groups directly above.
    pub fn parents(&self) -> impl Iterator<Item = Uuid> {
        self.parents.iter().copied().map(Uuid::from_bytes)
    }

    /// Adds a direct member.
    pub fn add_member(&mut self, pk: i64) {
        if !self.members.contains(&pk) {
            self.members.push(pk);
        }
    }

    /// Appends the record as [`decode`](Self::decode) reads it. Numbers are little-endian, texts and lists follow
    /// their length.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.uuid);
        out.extend_from_slice(&self.number.to_le_bytes());
        out.push(if self.record.superuser { SUPERUSER } else { 0 });
        write_length(out, self.members.len());
        for member in &self.members {
            out.extend_from_slice(&member.to_le_bytes());
        }
        write_length(out, self.parents.len());
        for parent in &self.parents {
            out.extend_from_slice(parent);
        }
        self.record.encode(out);
    }

    /// Reads what [`encode`](Self::encode) wrote, nothing more and nothing less. `None` for anything that no builder
    /// would have made.
    #[must_use]
    pub fn decode(octets: &'a [u8]) -> Option<Self> {
        let mut fields = FieldReader(octets);
        let uuid = fields.array()?;
        let number = fields.number()?;
        let superuser = match fields.array()? {
            [0] => false,
            [SUPERUSER] => true,
            _ => return None,
        };
        let count = fields.count(size_of::<i64>())?;
        let members = (0..count).map(|_| fields.number()).collect::<Option<Vec<_>>>()?;
        let count = fields.count(size_of::<Uuid>())?;
        let parents = (0..count).map(|_| fields.array()).collect::<Option<Vec<_>>>()?;
        let group = Self {
            uuid,
            number,
            members,
            parents,
            record: Carried::decode(&mut fields, superuser)?,
        };
        let text = group.uuid().as_hyphenated().to_string();
        let value = |shows| match shows {
            Shows::Name => Some(group.record.name),
            Shows::Uuid => Some(text.as_str()),
            Shows::Superuser => Some(lower(superuser)),
            _ => None,
        };
        let sound = fields.0.is_empty() && group.record.has_classes(&GROUP_CLASSES);
        (sound && group.record.is_sound(|built_in| built_in.groups, value)).then_some(group)
    }
}

impl<'a> Carried<'a> {
    pub(super) fn replaces(&self, id: AttributeId) -> bool {
        self.replaced & id.override_bit() != 0
    }

    /// Name, attributes, and for each attribute whether it replaces a built-in one: by place, since the numbers of
    /// attributes are no business of a file.
    fn encode(&self, out: &mut Vec<u8>) {
        write_octets(out, self.name.as_bytes());
        write_octets(out, &self.attributes);
        for element in Elements(&self.attributes) {
            let replaces = encoded::attribute(&element)
                .and_then(|(name, _)| AttributeId::of_built_in(name))
                .is_some_and(|id| self.replaces(id));
            out.push(replaces.into());
        }
    }

    fn decode(fields: &mut FieldReader<'a>, superuser: bool) -> Option<Self> {
        let name = fields.text()?;
        let attributes = fields.octets()?;
        let mut replaced = 0;
        let mut names = HashSet::new();
        let mut reader = Reader::new(attributes);
        while !reader.is_empty() {
            let name = read_attribute(&mut reader)?;
            let id = AttributeId::of_built_in(name);
            let bit = id.map_or(0, AttributeId::override_bit);
            match fields.array()? {
                [0] if id.is_none() && CustomPolicy::serving_all().admits(name) => {}
                [0] if id.is_some_and(|id| !id.is_computed() && name == id.name().as_bytes()) => {}
                [1] if bit != 0 && CustomPolicy::serving_all().admits(name) => replaced |= bit,
                _ => return None,
            }
            if !names.insert(name.to_ascii_lowercase()) {
                return None;
            }
        }
        let record = Self {
            name,
            superuser,
            attributes: Cow::Borrowed(attributes),
            replaced,
        };
        // Their lengths must be what the lenient reader of snapshots takes them for, too.
        let same = canonical(attributes) == attributes;
        (same && !name.is_empty()).then_some(record)
    }

    /// Whether object classes, if they are kept, are those of its kind and more.
    fn has_classes(&self, own: &[&str]) -> bool {
        if !self.replaces(AttributeId::OBJECT_CLASS) {
            return true;
        }
        Elements(&self.attributes).any(|element| {
            encoded::attribute(&element).is_some_and(|(name, set)| {
                let mut values = encoded::values(set);
                name == AttributeId::OBJECT_CLASS.name().as_bytes()
                    && own.iter().all(|class| values.next() == Some(class.as_bytes()))
                    && values.next().is_some()
            })
        })
    }

    /// Whether the built-in attributes that show the same of users have the same value, those aside that custom values
    /// replace.
    fn agrees(&self, shows: Shows) -> bool {
        let mut values = Elements(&self.attributes).filter_map(|element| {
            let (name, set) = encoded::attribute(&element)?;
            let id = AttributeId::of_built_in(name)?;
            (id.definition()?.users == Some(shows) && !self.replaces(id)).then_some(set)
        });
        let first = values.next();
        values.all(|value| Some(value) == first)
    }

    /// Whether the built-in attributes are those of its kind and say what the fields say.
    fn is_sound<'v>(
        &self,
        shown: impl Fn(&BuiltIn) -> Option<Shows>,
        value: impl Fn(Shows) -> Option<&'v str>,
    ) -> bool {
        let stored_of = |id: AttributeId| shown(id.definition()?).filter(|shows| *shows != Shows::Computed);
        let mut found = Vec::new();
        let sound = Elements(&self.attributes).all(|element| {
            let Some((name, set)) = encoded::attribute(&element) else {
                return false;
            };
            let Some(id) = AttributeId::of_built_in(name) else {
                return true;
            };
            found.push(id);
            if self.replaces(id) {
                return true;
            }
            let mut stored = encoded::values(set);
            let Some(shows) = stored_of(id) else {
                return false;
            };
            let expected = value(shows);
            let fits = stored
                .next()
                .is_some_and(|value| expected.is_none_or(|text| value == text.as_bytes()));
            fits && stored.next().is_none()
        });
        let mut required = AttributeId::built_in()
            .map(|(id, _)| id)
            .filter(|id| stored_of(*id).is_some_and(Shows::is_always_known));
        sound && required.all(|id| found.contains(&id))
    }
}

/// Reads one PartialAttribute with at least one value and returns its name.
fn read_attribute<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let mut parts = reader.constructed(ber::SEQUENCE).ok()?;
    let name = parts.octet_string().ok()?;
    let mut values = parts.constructed(ber::SET).ok()?;
    parts.end().ok()?;
    if values.is_empty() {
        return None;
    }
    while !values.is_empty() {
        values.octet_string().ok()?;
    }
    let text = std::str::from_utf8(name).ok()?;
    let fits = name.len() <= MAX_NAME
        && text.contains(char::is_alphanumeric)
        && !text.contains(char::is_control)
        && text.trim_ascii() == text;
    fits.then_some(name)
}

/// The attributes encoded anew.
fn canonical(attributes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(attributes.len());
    for element in Elements(attributes) {
        if let Some((name, set)) = encoded::attribute(&element) {
            write_attribute(&mut out, name, encoded::values(set));
        }
    }
    out
}

fn write_length(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(&(length as u64).to_le_bytes());
}

fn write_octets(out: &mut Vec<u8>, octets: &[u8]) {
    write_length(out, octets.len());
    out.extend_from_slice(octets);
}

/// Takes fields from the front; `None` where there are too few octets.
struct FieldReader<'a>(&'a [u8]);

impl<'a> FieldReader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        steps::add(1 + length);
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn number(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    /// The length of a list whose items have `size` octets: never more than are left.
    fn count(&mut self, size: usize) -> Option<usize> {
        let count = usize::try_from(u64::from_le_bytes(self.array()?)).ok()?;
        (count.checked_mul(size)? <= self.0.len()).then_some(count)
    }

    fn octets(&mut self) -> Option<&'a [u8]> {
        let length = self.count(1)?;
        self.take(length)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.octets()?).ok()
    }
}

impl Snapshot {
    /// The group with a primary key.
    #[must_use]
    pub fn group_by_uuid(&self, uuid: Uuid) -> Option<GroupId> {
        let index = self.records.groups.uuids.binary_search(uuid.as_bytes()).ok()?;
        u32::try_from(index).ok().map(GroupId)
    }

    /// The name of a group.
    #[must_use]
    pub fn group_name(&self, group: GroupId) -> &str {
        let record = self.records.group_record(group.0);
        debug_assert_eq!(self.records.kind(record).0, Kind::Group);
        std::str::from_utf8(self.records.name(record)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
