//! Users and groups as octets, for a file.
//!
//! Octets from a file are checked field by field: what decodes is a record the builder could have made itself. Must not
//! know files, or where records come from.

use std::borrow::Cow;
use std::collections::HashSet;

use uuid::{NonNilUuid, Uuid};

use crate::build::carried::{Carried, CarriedGroup, CarriedUser};
use crate::custom::policy::CustomPolicy;
use crate::model::account::Role;
use crate::model::attribute::MAX_NAME;
use crate::model::built_in::AttributeId;
use crate::model::encoded;
use crate::model::record;
use crate::values::timestamp::StoredTime;
use akldap_ldap::ber::{self, Reader};
use akldap_ldap::response::write_attribute;
use akldap_ldap::steps;

const ACTIVE: u8 = 1;
const SUPERUSER: u8 = 2;
const OWN_GID_NUMBER: u8 = 4;
const OWN_UID_NUMBER: u8 = 8;
/// Path and type follow.
const ACCOUNT: u8 = 16;
/// Roles follow.
const ROLES: u8 = 32;

impl<'a> CarriedUser<'a> {
    /// Appends the record as [`decode`](Self::decode) reads it. Numbers are little-endian; texts follow their length.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.pk.to_le_bytes());
        out.extend_from_slice(self.uuid.map_or(Uuid::nil(), NonNilUuid::get).as_bytes());
        out.extend_from_slice(&StoredTime::octets(self.password_change));
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        out.push(
            flag(self.active, ACTIVE)
                | flag(self.record.superuser, SUPERUSER)
                | flag(self.number_source & record::OWN_GID_NUMBER != 0, OWN_GID_NUMBER)
                | flag(self.number_source & record::OWN_UID_NUMBER != 0, OWN_UID_NUMBER)
                | flag(self.has_account(), ACCOUNT)
                | flag(!self.roles.is_empty(), ROLES),
        );
        write_octets(out, self.uid.as_bytes());
        if self.has_account() {
            write_octets(out, self.path.as_bytes());
            write_octets(out, self.kind.as_bytes());
        }
        write_roles(out, &self.roles);
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
        let (path, kind) = match flags & ACCOUNT {
            0 => ("", ""),
            _ => (fields.text()?, fields.text()?),
        };
        let roles = fields.roles(flags)?;
        let record = Carried::decode(&mut fields, flags & SUPERUSER != 0)?;
        let number_source = match flags & (OWN_GID_NUMBER | OWN_UID_NUMBER) {
            0 => 0,
            OWN_GID_NUMBER => record::OWN_GID_NUMBER,
            OWN_UID_NUMBER => record::OWN_UID_NUMBER,
            _ => return None,
        };
        let user = Self {
            pk,
            uuid: NonNilUuid::new(Uuid::from_bytes(uuid)),
            uid,
            active: flags & ACTIVE != 0,
            number_source,
            password_change: StoredTime::new(password_change),
            path,
            kind,
            roles: Cow::Owned(roles),
            record,
        };
        let known = flags & !(ACTIVE | SUPERUSER | OWN_GID_NUMBER | OWN_UID_NUMBER | ACCOUNT | ROLES) == 0;
        // There is one way to write a user.
        let known = known && user.has_account() == (flags & ACCOUNT != 0);
        (known && fields.0.is_empty() && user.is_sound()).then_some(user)
    }

    fn has_account(&self) -> bool {
        !self.path.is_empty() || !self.kind.is_empty()
    }
}

impl<'a> CarriedGroup<'a> {
    /// Appends the record as [`decode`](Self::decode) reads it. Numbers are little-endian, texts and lists follow
    /// their length.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.uuid);
        out.extend_from_slice(&self.number.to_le_bytes());
        let superuser = if self.record.superuser { SUPERUSER } else { 0 };
        out.push(superuser | if self.roles.is_empty() { 0 } else { ROLES });
        write_roles(out, &self.roles);
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
        let [flags] = fields.array()?;
        if flags & !(SUPERUSER | ROLES) != 0 {
            return None;
        }
        let roles = fields.roles(flags)?;
        let count = fields.count(size_of::<i64>())?;
        let members = (0..count).map(|_| fields.number()).collect::<Option<Vec<_>>>()?;
        let count = fields.count(size_of::<Uuid>())?;
        let parents = (0..count).map(|_| fields.array()).collect::<Option<Vec<_>>>()?;
        let group = Self {
            uuid,
            number,
            members,
            parents,
            roles: Cow::Owned(roles),
            record: Carried::decode(&mut fields, flags & SUPERUSER != 0)?,
        };
        (fields.0.is_empty() && group.is_sound()).then_some(group)
    }
}

impl<'a> Carried<'a> {
    /// Name, attributes, and for each attribute whether it replaces a built-in one: by position, since the numbers of
    /// attributes do not concern a file.
    fn encode(&self, out: &mut Vec<u8>) {
        write_octets(out, self.name.as_bytes());
        write_octets(out, &self.attributes);
        // Damaged ones are written as they are: whoever reads the file refuses it.
        for attribute in encoded::attributes(&self.attributes) {
            let replaces = attribute
                .ok()
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
        // Their lengths must also be what the lenient reader of snapshots takes them for.
        let same = canonical(attributes) == attributes;
        (same && !name.is_empty()).then_some(record)
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

/// The attributes encoded again, without what is damaged.
pub(super) fn canonical(attributes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(attributes.len());
    for (name, set) in encoded::attributes(attributes).filter_map(Result::ok) {
        write_attribute(&mut out, name, encoded::values(set).filter_map(Result::ok));
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

/// Appends roles, if there are any.
fn write_roles(out: &mut Vec<u8>, roles: &[Role]) {
    if roles.is_empty() {
        return;
    }
    write_length(out, roles.len());
    for role in roles {
        out.extend_from_slice(&role.uuid);
        write_octets(out, role.name.as_bytes());
    }
}

/// Takes fields from the front; `None` if there are too few octets.
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

    /// The roles, if the flags say that there are any: in order, each once, with a name.
    fn roles(&mut self, flags: u8) -> Option<Vec<Role>> {
        if flags & ROLES == 0 {
            return Some(Vec::new());
        }
        let count = self.count(size_of::<Uuid>() + size_of::<u64>())?;
        let mut roles: Vec<Role> = Vec::new();
        for _ in 0..count {
            let (uuid, name) = (self.array()?, self.text()?);
            let follows = roles.last().is_none_or(|last| last.uuid < uuid);
            if !follows || name.is_empty() {
                return None;
            }
            roles.push(Role {
                uuid,
                name: name.into(),
            });
        }
        (!roles.is_empty()).then_some(roles)
    }
}
