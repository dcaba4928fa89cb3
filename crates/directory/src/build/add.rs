//! Adds users and groups as authentik describes them to a builder.
//!
//! Knows which attributes authentik's outpost serves and how custom ones replace them where a policy allows it. Must not know a
//! provider.

use std::collections::HashSet;

use uuid::{NonNilUuid, Uuid};

use crate::build::builder::{Builder, PendingGroup, PendingUser};
use crate::build::flags::{flag, upper};
use crate::build::group_value::of_group;
use crate::build::record::{FULL, GroupRecord, MAX_NAMED_ATTRIBUTES, RecordName, UserRecord, Warning};
use crate::custom::{self, Custom, LeftOut};
use crate::model::account::Role;
use crate::model::built_in::questions::{Those, count, ids};
use crate::model::built_in::{AttributeId, Shows};
use crate::model::object_classes::{GROUP_CLASSES, USER_CLASSES};
use crate::model::record;
use crate::schema::Syntax;
use crate::values::syntax;
use crate::values::timestamp::{self, StoredTime};
use crate::view::subschema::declared_oid;
use akldap_ldap::response::write_single_value;

const STORED_BY_USERS: [AttributeId; count(Those::StoredByUsers)] = ids(Those::StoredByUsers);
const STORED_BY_GROUPS: [AttributeId; count(Those::StoredByGroups)] = ids(Those::StoredByGroups);

impl Builder {
    /// Adds a user. Whatever cannot be served becomes a warning.
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
                    match micros.map(|micros| (micros, timestamp::generalized_time(micros))) {
                        Some((_, Some(time))) => {
                            self.built_in(id, &time, &custom);
                        }
                        Some((micros, None)) => self.warnings.push(|| Warning::ValueSkipped {
                            whose: whose(),
                            attribute: id.name(),
                            value: format!("{micros} microseconds since 1970"),
                        }),
                        None => {}
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
        let account = self.account(user.path, user.kind, &Role::read(user.roles));
        let ended = match self.has_room_for_path(user.path) {
            true => self.end(user.username, flags, user.uid, uid_offset),
            false => None,
        };
        let (Some((record, name, uid)), Some(account)) = (ended, account) else {
            return self.skip(whose(), FULL);
        };
        let uuid = self.uuid(user.uuid, whose);
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

    /// Adds a group. Whatever cannot be served becomes a warning.
    pub fn add_group(&mut self, group: &GroupRecord<'_>) {
        let whose = || RecordName::Group(group.name.to_owned());
        if group.name.is_empty() {
            return self.skip(RecordName::Group(group.uuid.to_owned()), "it has no name");
        }
        let Ok(uuid) = Uuid::try_parse(group.uuid) else {
            return self.skip(whose(), "its primary key is not a UUID");
        };
        let Some(number) = group.num_pk else {
            return self.skip(whose(), "it has no number");
        };
        let mut custom = self.custom(group.attributes, None, whose);
        add_classes(&mut custom, &GROUP_CLASSES);
        self.begin();
        let text = uuid.as_hyphenated().to_string();
        for id in STORED_BY_GROUPS {
            let shows = id.definition().and_then(|built_in| built_in.groups);
            let value = shows.and_then(|shows| of_group(shows, group.name, &text, group.is_superuser));
            if let Some(value) = value {
                self.built_in(id, value.as_bytes(), &custom);
            }
        }
        let flags = flag(group.is_superuser, record::SUPERUSER) | self.custom_attributes(&custom, whose);
        let ended = match self.has_room_for(group.users.len(), group.parents.len()) {
            true => self.end(group.name, flags, "", None),
            false => None,
        };
        let Some((record, name, _)) = ended else {
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
        self.groups.push(PendingGroup {
            uuid: uuid.into_bytes(),
            number,
            record,
            name,
            members: members..self.members.len(),
            parents: parents..self.parents.len(),
            roles: Role::read(group.roles).into(),
        });
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

    /// Stores a built-in attribute unless a custom one replaces it; returns whether it did.
    fn built_in(&mut self, id: AttributeId, value: &[u8], custom: &[Custom]) -> bool {
        if is_replaced(id, custom) {
            return false;
        }
        write_single_value(&mut self.block, id.name().as_bytes(), value);
        self.stored(id, 1);
        true
    }

    /// Decides where a user's gidNumber and that of the virtual group come from: the custom gidNumber, otherwise the custom
    /// uidNumber, otherwise the user's number. Lists never count, as in authentik's outpost.
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
}

/// Puts an entry's own classes before the given ones, which replace no others. A list that adds none is dropped.
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
