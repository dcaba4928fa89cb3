//! Builds a snapshot from users and groups in any order.
//!
//! Knows which attributes authentik's outpost serves and how custom ones replace them where a policy allows it. Encodes each record as it
//! comes, so that nothing of the input is kept; sorting and indexing happen at the end. Must not know a provider.

use std::collections::{HashMap, HashSet};

use uuid::{NonNilUuid, Uuid};

use crate::build::flags::{flag, lower, upper};
use crate::build::record::{GroupRecord, MAX_NAMED_ATTRIBUTES, RecordName, UserRecord, Warning, Warnings};
use crate::custom::policy::CustomPolicy;
use crate::custom::{self, Custom, LeftOut};
use crate::index::attribute_index::StoredCount;
use crate::model::account::{Account, AccountIx};
use crate::model::attribute::AttributeTable;
use crate::model::built_in::{AttributeId, Shows, Those, count, ids};
use crate::model::number::count_of;
use crate::model::object_classes::{GROUP_CLASSES, USER_CLASSES};
use crate::model::record::{self, MAX_RECORDS, Record, ShapeIx, Shapes, Span, UserRdn};
use crate::schema::Syntax;
use crate::schema::password_attributes::PASSWORD_ATTRIBUTES;
use crate::values::syntax;
use crate::values::timestamp::{self, StoredTime};
use crate::view::subschema::declared_oid;
use akldap_ldap::response::{write_attribute, write_single_value};

const STORED_BY_USERS: [AttributeId; count(Those::StoredByUsers)] = ids(Those::StoredByUsers);
const STORED_BY_GROUPS: [AttributeId; count(Those::StoredByGroups)] = ids(Those::StoredByGroups);

/// What there is of encoded attributes is counted in 32 bits: ten million ordinary users fit.
pub(super) const FULL: &str = "the directory is full";

/// Builds a [`Snapshot`](crate::Snapshot).
#[derive(Debug)]
pub struct Builder {
    pub(super) policy: CustomPolicy,
    pub(super) arena: Vec<u8>,
    pub(super) attributes: AttributeTable,
    pub(super) shapes: Shapes,
    pub(super) shape_numbers: HashMap<Vec<AttributeId>, ShapeIx, hashbrown::DefaultHashBuilder>,
    /// By attribute.
    pub(super) counts: Vec<StoredCount>,
    pub(super) names: Vec<u8>,
    pub(super) users: Vec<PendingUser>,
    pub(super) groups: Vec<PendingGroup>,
    pub(super) members: Vec<i64>,
    pub(super) parents: Vec<[u8; 16]>,
    pub(super) accounts: Vec<Account>,
    pub(super) account_numbers: HashMap<Account, AccountIx, hashbrown::DefaultHashBuilder>,
    pub(super) warnings: Warnings,
    pub(super) withheld: [Withheld; PASSWORD_ATTRIBUTES.len()],
    /// Whether users are superusers by their groups and not by their rows.
    pub(super) superusers_by_groups: bool,
    pub(super) user_rdn: UserRdn,
    /// The record being encoded.
    pub(super) block: Vec<u8>,
    pub(super) shape: Vec<AttributeId>,
    pub(super) last_shape: Option<ShapeIx>,
    /// That of the user before.
    pub(super) last_account: AccountIx,
}

/// How many records have an attribute that is not served.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Withheld {
    pub(super) users: usize,
    pub(super) groups: usize,
}

/// A part of what the builder collects in one place, from where to where.
pub(super) type ArenaPart = std::ops::Range<usize>;

#[derive(Debug)]
pub(super) struct PendingUser {
    pub(super) pk: i64,
    pub(super) uuid: Option<NonNilUuid>,
    pub(super) record: Record,
    pub(super) uid: Span,
    pub(super) name: ArenaPart,
    pub(super) password_change: Option<StoredTime>,
    pub(super) account: AccountIx,
}

#[derive(Debug)]
pub(super) struct PendingGroup {
    pub(super) uuid: [u8; 16],
    pub(super) number: i64,
    pub(super) record: Record,
    pub(super) name: ArenaPart,
    pub(super) members: ArenaPart,
    pub(super) parents: ArenaPart,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// A builder without users or groups, which serves no passwords.
    #[must_use]
    pub fn new() -> Self {
        Self::with_policy(CustomPolicy::default())
    }

    /// A builder without users or groups, which makes of custom attributes what the policy says, of those that are
    /// carried over too.
    #[must_use]
    pub fn with_policy(policy: CustomPolicy) -> Self {
        Self {
            policy,
            arena: Vec::new(),
            attributes: AttributeTable::new(),
            shapes: Shapes::default(),
            shape_numbers: HashMap::default(),
            counts: Vec::new(),
            names: Vec::new(),
            users: Vec::new(),
            groups: Vec::new(),
            members: Vec::new(),
            parents: Vec::new(),
            accounts: Vec::new(),
            account_numbers: HashMap::default(),
            warnings: Warnings::default(),
            withheld: Default::default(),
            superusers_by_groups: false,
            user_rdn: UserRdn::default(),
            block: Vec::new(),
            shape: Vec::new(),
            last_shape: None,
            last_account: AccountIx::new(0),
        }
    }

    /// Adds a user. What cannot be served of it becomes a warning.
    pub fn add_user(&mut self, user: &UserRecord<'_>) {
        let whose = || RecordName::User(user.username.to_owned());
        if user.username.is_empty() {
            return self.skip(RecordName::User(format!("pk {}", user.pk)), "it has no name");
        }
        let mut custom = self.custom(user.attributes, Some(user.username), whose);
        add_classes(&mut custom, &USER_CLASSES);
        let mut flags = flag(user.is_active, record::ACTIVE) | flag(user.is_superuser, record::SUPERUSER);
        self.begin();
        let home = ["/home/", user.username].concat();
        let mut uid_offset = None;
        for id in STORED_BY_USERS {
            let value = match id.definition().and_then(|built_in| built_in.users) {
                Some(Shows::Name) => user.username,
                Some(Shows::FullName) => user.name,
                Some(Shows::Uid) => user.uid,
                Some(Shows::Mail) => user.email,
                Some(Shows::Home) => home.as_str(),
                Some(Shows::Active) => upper(user.is_active),
                Some(Shows::Superuser) => upper(user.is_superuser),
                Some(time @ (Shows::PasswordChange | Shows::Joined | Shows::Updated)) => {
                    let micros = match time {
                        Shows::PasswordChange => user.password_change_date,
                        Shows::Joined => user.date_joined,
                        _ => user.last_updated,
                    };
                    if let Some(micros) = micros {
                        self.built_in(id, &timestamp::generalized_time(micros), &custom);
                    }
                    continue;
                }
                Some(Shows::Uuid | Shows::NoSuperuser | Shows::Computed) | None => continue,
            };
            if self.built_in(id, value.as_bytes(), &custom) && id == AttributeId::UID {
                uid_offset = Some(self.block.len() - value.len());
            }
        }
        flags |= self.numbers(&custom, user.attributes, user.username);
        flags |= self.custom_attributes(&custom, whose);
        let Some((record, uid)) = self.end(flags, user.uid, uid_offset) else {
            return self.skip(whose(), FULL);
        };
        let uuid = self.uuid(user.uuid, whose);
        let name = self.name(user.username);
        let account = self.account(user.path, user.kind);
        self.users.push(PendingUser {
            pk: user.pk,
            uuid,
            record,
            uid,
            name,
            password_change: user.password_change_date.and_then(StoredTime::new),
            account,
        });
    }

    /// Adds a group. What cannot be served of it becomes a warning.
    pub fn add_group(&mut self, group: &GroupRecord<'_>) {
        let whose = || RecordName::Group(group.name.to_owned());
        if group.name.is_empty() {
            return self.skip(RecordName::Group(group.uuid.to_owned()), "it has no name");
        }
        let Ok(uuid) = Uuid::try_parse(group.uuid) else {
            return self.skip(whose(), "its primary key is not a UUID");
        };
        let mut custom = self.custom(group.attributes, None, whose);
        add_classes(&mut custom, &GROUP_CLASSES);
        self.begin();
        let text = uuid.as_hyphenated().to_string();
        for id in STORED_BY_GROUPS {
            let value = match id.definition().and_then(|built_in| built_in.groups) {
                Some(Shows::Name) => group.name,
                Some(Shows::Uuid) => text.as_str(),
                Some(Shows::Superuser) => lower(group.is_superuser),
                _ => continue,
            };
            self.built_in(id, value.as_bytes(), &custom);
        }
        let flags = flag(group.is_superuser, record::SUPERUSER) | self.custom_attributes(&custom, whose);
        let Some((record, _)) = self.end(flags, "", None) else {
            return self.skip(whose(), FULL);
        };
        let members = self.members.len();
        self.members.extend_from_slice(group.users);
        let parents = self.parents.len();
        self.parents.extend(
            group
                .parents
                .iter()
                .filter_map(|parent| Uuid::try_parse(parent).ok())
                .map(Uuid::into_bytes),
        );
        let name = self.name(group.name);
        self.groups.push(PendingGroup {
            uuid: uuid.into_bytes(),
            number: group.num_pk,
            record,
            name,
            members: members..self.members.len(),
            parents: parents..self.parents.len(),
        });
    }

    pub(super) fn skip(&mut self, whose: RecordName, reason: &'static str) {
        self.warnings.push(|| Warning::RecordSkipped { whose, reason });
    }

    fn custom(
        &mut self,
        json: Option<&str>,
        username: Option<&str>,
        whose: impl Fn() -> RecordName,
    ) -> Vec<Custom> {
        let Some(json) = json
            .map(str::trim)
            .filter(|json| !matches!(*json, "" | "null" | "{}"))
        else {
            return Vec::new();
        };
        let (warnings, withheld) = (&mut self.warnings, &mut self.withheld);
        let (mut named, mut passwords) = (0, 0u16);
        let read = custom::read(json, username, self.policy, |key, problem| match problem {
            LeftOut::Withheld(place) => passwords |= 1 << place,
            _ if named < MAX_NAMED_ATTRIBUTES => {
                named += 1;
                warnings.push(|| Warning::AttributeSkipped {
                    whose: whose(),
                    attribute: key.to_owned(),
                    reason: problem.reason(),
                });
            }
            _ => warnings.hide(),
        });
        for (place, withheld) in withheld.iter_mut().enumerate() {
            let count = usize::from(passwords >> place & 1);
            match username {
                Some(_) => withheld.users += count,
                None => withheld.groups += count,
            }
        }
        read.unwrap_or_else(|| {
            warnings.push(|| Warning::AttributesUnreadable { whose: whose() });
            Vec::new()
        })
    }

    pub(super) fn begin(&mut self) {
        self.block.clear();
        self.shape.clear();
    }

    pub(super) fn store(&mut self, id: AttributeId, name: &str, values: &[Vec<u8>]) {
        write_attribute(&mut self.block, name.as_bytes(), values.iter().map(Vec::as_slice));
        self.stored(id, values.len());
    }

    pub(super) fn stored(&mut self, id: AttributeId, values: usize) {
        self.shape.push(id);
        if self.counts.len() <= id.index() {
            self.counts.resize(id.index() + 1, StoredCount::default());
        }
        if let Some(count) = self.counts.get_mut(id.index()) {
            count.records = count.records.saturating_add(1);
            let values = u32::try_from(values).unwrap_or(u32::MAX);
            count.values = count.values.saturating_add(values);
            count.several |= values > 1;
        }
    }

    /// Stores a built-in attribute unless a custom one replaces it; tells whether it did.
    fn built_in(&mut self, id: AttributeId, value: &[u8], custom: &[Custom]) -> bool {
        if is_replaced(id, custom) {
            return false;
        }
        write_single_value(&mut self.block, id.name().as_bytes(), value);
        self.stored(id, 1);
        true
    }

    /// Decides where a user's gidNumber and that of the virtual group come from: the custom gidNumber, else the custom
    /// uidNumber, else the user's number. Lists never count, as in authentik's outpost.
    fn numbers(&mut self, custom: &[Custom], json: Option<&str>, username: &str) -> u32 {
        let scalar = |id: AttributeId| {
            json.filter(|_| is_replaced(id, custom))
                .and_then(|json| custom::scalar(json, id.name(), Some(username)))
        };
        if scalar(AttributeId::GID_NUMBER).is_some() {
            return record::OWN_GID_NUMBER;
        }
        let Some(uid_number) = scalar(AttributeId::UID_NUMBER) else {
            return 0;
        };
        if is_replaced(AttributeId::GID_NUMBER, custom) {
            return record::OWN_UID_NUMBER;
        }
        self.store(
            AttributeId::GID_NUMBER,
            AttributeId::GID_NUMBER.name(),
            &[uid_number],
        );
        record::OWN_UID_NUMBER | AttributeId::GID_NUMBER.override_bit()
    }

    fn custom_attributes(&mut self, custom: &[Custom], whose: impl Fn() -> RecordName) -> u32 {
        let mut flags = 0;
        for custom in custom {
            let before = self.attributes.len();
            match self.attributes.intern(custom.name.as_bytes()) {
                Some(id) => {
                    for alias in &custom.aliases {
                        self.attributes.add_alias(alias, &custom.name);
                    }
                    if self.attributes.len() > before {
                        self.attributes
                            .add_alias(&declared_oid(&custom.name), &custom.name);
                    }
                    flags |= id.override_bit();
                    self.store(id, &custom.name, &custom.values);
                }
                None => self.warnings.push(|| Warning::AttributeSkipped {
                    whose: whose(),
                    attribute: custom.name.clone(),
                    reason: "there are too many different attributes",
                }),
            }
        }
        flags
    }

    /// Moves the encoded record into the arena, and the uid behind it unless the record has it at `uid_offset`; tells
    /// where both are. `None` if they do not fit.
    pub(super) fn end(&mut self, flags: u32, uid: &str, uid_offset: Option<usize>) -> Option<(Record, Span)> {
        if self.users.len() + self.groups.len() >= MAX_RECORDS {
            return None;
        }
        let attributes = Span::new(self.arena.len(), self.block.len())?;
        let uid_offset = uid_offset.unwrap_or(self.block.len());
        let uid_span = attributes.part(uid_offset, uid.len())?;
        self.arena.extend_from_slice(&self.block);
        if uid_offset == self.block.len() {
            self.arena.extend_from_slice(uid.as_bytes());
        }
        let shape = self.shape();
        let record = Record {
            attributes,
            shape,
            flags,
        };
        Some((record, uid_span))
    }

    /// The shape of the record being encoded: nearly always that of the one before.
    fn shape(&mut self) -> ShapeIx {
        if let Some(last) = self.last_shape
            && self.shapes.get(last).is_ok_and(|ids| *ids == *self.shape)
        {
            return last;
        }
        let shape = match self.shape_numbers.get(&self.shape) {
            Some(&shape) => shape,
            None => {
                let shape = self.shapes.push(&self.shape);
                self.shape_numbers.insert(self.shape.clone(), shape);
                shape
            }
        };
        self.last_shape = Some(shape);
        shape
    }

    fn uuid(&mut self, text: &str, whose: impl Fn() -> RecordName) -> Option<NonNilUuid> {
        let uuid = Uuid::try_parse(text).ok();
        if uuid.is_none() {
            self.warnings.push(|| Warning::ValueSkipped {
                whose: whose(),
                attribute: AttributeId::ENTRY_UUID.name(),
                value: text.to_owned(),
            });
        }
        uuid.and_then(NonNilUuid::new)
    }

    /// The number of a path and type: nearly always those of the user before.
    pub(super) fn account(&mut self, path: &str, kind: &str) -> AccountIx {
        let last = self.accounts.get(self.last_account.index());
        if last.is_none_or(|last| *last.path != *path || *last.kind != *kind) {
            let account = Account {
                path: path.into(),
                kind: kind.into(),
            };
            self.last_account = match self.account_numbers.get(&account) {
                Some(&known) => known,
                None => {
                    let number = AccountIx::new(count_of(&self.accounts));
                    self.accounts.push(account.clone());
                    self.account_numbers.insert(account, number);
                    number
                }
            };
        }
        self.last_account
    }

    pub(super) fn name(&mut self, name: &str) -> ArenaPart {
        let start = self.names.len();
        self.names.extend_from_slice(name.as_bytes());
        start..self.names.len()
    }

    /// The users added so far who have a name that others, given by name and pk, have too.
    #[must_use]
    pub fn namesakes(&self, others: &HashMap<&str, i64>) -> Vec<i64> {
        let has_name = |user: &&PendingUser| {
            let name = self.names.get(user.name.clone());
            let other = name.and_then(|name| others.get(std::str::from_utf8(name).ok()?));
            other.is_some_and(|pk| *pk != user.pk)
        };
        self.users.iter().filter(has_name).map(|user| user.pk).collect()
    }
}

/// Puts an entry's own classes before those given, which replace no others. Nothing is left of a list that adds none.
fn add_classes(custom: &mut Vec<Custom>, own: &[&str]) {
    let name = AttributeId::OBJECT_CLASS.name();
    let Some(place) = custom
        .iter()
        .position(|custom| custom.name.eq_ignore_ascii_case(name))
    else {
        return;
    };
    let key = |class: &[u8]| syntax::equality_key(Syntax::Oid, class).into_owned();
    let mut classes: Vec<Vec<u8>> = own.iter().map(|class| class.as_bytes().to_vec()).collect();
    let mut known: HashSet<Vec<u8>> = classes.iter().map(|class| key(class)).collect();
    let Custom { values, .. } = custom.swap_remove(place);
    classes.extend(
        values
            .into_iter()
            .filter(|class| !class.is_empty() && known.insert(key(class))),
    );
    if classes.len() > own.len() {
        custom.push(Custom {
            name: name.to_owned(),
            aliases: Vec::new(),
            values: classes,
        });
    }
}

fn is_replaced(id: AttributeId, custom: &[Custom]) -> bool {
    custom
        .iter()
        .any(|custom| custom.name.eq_ignore_ascii_case(id.name()))
}

#[cfg(test)]
mod tests;
