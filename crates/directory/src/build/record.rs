//! What a snapshot is built from: users and groups as authentik describes them, and what was wrong with them.
//!
//! Knows the fields that matter to a directory. Must not know where they come from.

use std::fmt;

use crate::model::branch::{MAX_BRANCHES, MAX_LEVELS, MAX_OCTETS};
use crate::shape::numbers::NumberRange;

/// A user, as `GET /core/users/` describes it.
#[derive(Clone, Copy, Debug, Default)]
pub struct UserRecord<'a> {
    /// The primary key; decides uidNumber and the order of answers.
    pub pk: i64,
    /// The UUID in its usual text form.
    pub uuid: &'a str,
    /// The hash authentik calls `uid`.
    pub uid: &'a str,
    /// The login name.
    pub username: &'a str,
    /// The full name; may be empty.
    pub name: &'a str,
    /// The e-mail address; may be empty.
    pub email: &'a str,
    /// Whether the user may log in.
    pub is_active: bool,
    /// Whether any group makes the user a superuser.
    pub is_superuser: bool,
    /// The path it is filed under: levels separated by slashes.
    pub path: &'a str,
    /// The type, as authentik spells it.
    pub kind: &'a str,
    /// UUIDs, in their usual text form, and names of the roles that it has itself, and not by a group.
    pub roles: &'a [(String, String)],
    /// The custom attributes: the text of a JSON object, as received.
    pub attributes: Option<&'a str>,
    /// When the password was last set, in microseconds since 1970; `None` if that is not known.
    pub password_change_date: Option<i64>,
    /// The same for the account's creation.
    pub date_joined: Option<i64>,
    /// The same for the row's last change.
    pub last_updated: Option<i64>,
}

/// A group, as `GET /core/groups/` describes it.
#[derive(Clone, Copy, Debug, Default)]
pub struct GroupRecord<'a> {
    /// The primary key, a UUID in its usual text form.
    pub uuid: &'a str,
    /// The number authentik derives from the UUID; decides gidNumber. Without one there is no such group.
    pub num_pk: Option<i64>,
    /// The name.
    pub name: &'a str,
    /// Whether members become superusers.
    pub is_superuser: bool,
    /// UUIDs of the groups of which this one is a direct member.
    pub parents: &'a [String],
    /// Primary keys of the direct members.
    pub users: &'a [i64],
    /// UUIDs, in their usual text form, and names of the roles that it has itself, and not by a group above.
    pub roles: &'a [(String, String)],
    /// The custom attributes: the text of a JSON object, as received.
    pub attributes: Option<&'a str>,
}

/// Why somebody is left out for lack of room: the contents of a snapshot are counted in 32 bits. Ten million ordinary users fit.
pub(super) const FULL: &str = "the directory is full";

/// The most warnings that one build reports; the rest are counted. A bad naming scheme would otherwise fill the log at every
/// refresh.
pub const MAX_WARNINGS: usize = 100;

/// The most custom attributes of one record that warnings name: a record full of bad ones would hide the others.
pub(crate) const MAX_NAMED_ATTRIBUTES: usize = 8;

/// Whom a warning is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordName {
    /// A user, by name.
    User(String),
    /// A group, by name.
    Group(String),
}

impl fmt::Display for RecordName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(formatter, "user {name:?}"),
            Self::Group(name) => write!(formatter, "group {name:?}"),
        }
    }
}

/// Something in the data that could not be served as it is. Never a reason not to serve the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The record was left out.
    RecordSkipped {
        /// Which one.
        whose: RecordName,
        /// Why.
        reason: &'static str,
    },
    /// A custom attribute was left out.
    AttributeSkipped {
        /// Whose.
        whose: RecordName,
        /// The key in authentik.
        attribute: String,
        /// Why.
        reason: &'static str,
    },
    /// All custom attributes were left out: they are not a JSON object.
    AttributesUnreadable {
        /// Whose.
        whose: RecordName,
    },
    /// A built-in value could not be read and was left out.
    ValueSkipped {
        /// Whose.
        whose: RecordName,
        /// The attribute.
        attribute: &'static str,
        /// The value.
        value: String,
    },
    /// A group names members or parents that do not exist.
    UnknownMembers {
        /// The group's name.
        group: String,
        /// How many.
        count: usize,
    },
    /// Groups share a gidNumber; files of one belong to the others too.
    GidNumberCollision {
        /// One of them.
        first: String,
        /// Another.
        second: String,
        /// authentik's number, before the provider's start number is added.
        number: i64,
    },
    /// Two users, two groups, or a user and a group share a number.
    NumberShared {
        /// Which attribute.
        attribute: &'static str,
        /// Who keeps it.
        first: RecordName,
        /// The other one.
        second: RecordName,
        /// The number.
        number: i64,
        /// What the other one has now, if it was moved.
        moved_to: Option<i64>,
    },
    /// A number is outside the range where an admin expects it.
    NumberOutside {
        /// Which attribute.
        attribute: &'static str,
        /// Whose.
        whose: RecordName,
        /// The number.
        number: i64,
        /// The range.
        range: NumberRange,
    },
    /// A choice of who is shown names a group that does not exist.
    UnknownGroup {
        /// Its name.
        group: String,
    },
    /// A filter that says who is shown follows more nested groups than a filter may.
    FilterTooCostly {
        /// Its text.
        filter: String,
    },
    /// Users are filed under paths that have too many levels, or too long ones, or too many others are: they are in the lowest organizational
    /// unit for which there is room.
    PathCut {
        /// One of them.
        whose: RecordName,
        /// How many there are.
        count: usize,
    },
    /// Custom attributes that hold passwords were left out.
    PasswordsWithheld {
        /// Which one of [`PASSWORD_ATTRIBUTES`](crate::schema::password_attributes::PASSWORD_ATTRIBUTES).
        attribute: &'static str,
        /// How many users have it.
        users: usize,
        /// How many groups have it.
        groups: usize,
    },
    /// The template of an attribute failed for entries, which therefore lack the attribute.
    TemplateFailed {
        /// The attribute.
        attribute: String,
        /// One of the entries.
        whose: RecordName,
        /// How many there are.
        count: usize,
        /// Why it failed for that one.
        problem: String,
    },
    /// More was wrong than is reported.
    More(usize),
}

impl Warning {
    /// For how many entries a template failed.
    #[must_use]
    pub fn failures(&self) -> usize {
        match self {
            Self::TemplateFailed { count, .. } => *count,
            _ => 0,
        }
    }
}

impl Warning {
    /// Writes one that is about numbers.
    fn write_number(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GidNumberCollision {
                first,
                second,
                number,
            } => write!(
                formatter,
                "groups {first:?} and {second:?} share the group number {number}; set the attribute gidNumber on one of \
                 them"
            ),
            Self::NumberShared {
                attribute,
                first,
                second,
                number,
                moved_to: Some(moved_to),
            } => write!(
                formatter,
                "{first} and {second} share the {attribute} {number}: {second} is shown with {moved_to}; to \
                 make that permanent, set the attribute {attribute} of {second} to {moved_to} in authentik"
            ),
            Self::NumberShared {
                attribute,
                first,
                second,
                number,
                moved_to: None,
            } => write!(
                formatter,
                "{first} and {second} share the {attribute} {number}, so files of one belong to the other, too: set the \
                 attribute {attribute} on one of them, or move shared numbers (AUTHENTIK_LDAP__SHARED_UID_NUMBERS, \
                 AUTHENTIK_LDAP__SHARED_GID_NUMBERS)"
            ),
            Self::NumberOutside {
                attribute,
                whose,
                number,
                range,
            } => write!(
                formatter,
                "the {attribute} {number} of {whose} is outside {range} and is kept, because files may \
                 belong to it: set the attribute {attribute} in authentik to a number in the range, or \
                 correct the range \
                 (AUTHENTIK_LDAP__UID_NUMBER_RANGE, AUTHENTIK_LDAP__GID_NUMBER_RANGE)"
            ),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RecordSkipped { whose, reason } => {
                write!(formatter, "{whose} is not served: {reason}")
            }
            Self::AttributeSkipped {
                whose,
                attribute,
                reason,
            } => write!(
                formatter,
                "attribute {attribute:?} of {whose} is not served: {reason}"
            ),
            Self::AttributesUnreadable { whose } => write!(
                formatter,
                "the custom attributes of {whose} are not served: they are not a JSON object"
            ),
            Self::ValueSkipped {
                whose,
                attribute,
                value,
            } => write!(
                formatter,
                "{attribute} of {whose} is not served: {value:?} cannot be read"
            ),
            Self::UnknownMembers { group, count } => write!(
                formatter,
                "group {group:?} names {count} members or parents that were not received; they are left out"
            ),
            Self::GidNumberCollision { .. } | Self::NumberShared { .. } | Self::NumberOutside { .. } => {
                self.write_number(formatter)
            }
            Self::UnknownGroup { group } => write!(
                formatter,
                "who is shown depends on group {group:?}, which does not exist: correct its name in the settings"
            ),
            Self::FilterTooCostly { filter } => write!(
                formatter,
                "who is shown depends on the filter {filter}, which follows too many nested groups: it shows \
                 nobody"
            ),
            Self::PathCut { whose, count } => write!(
                formatter,
                "{count} users, such as {whose}, have paths that do not become organizational units as a whole: more than {MAX_LEVELS} \
                 levels, names of more than {MAX_OCTETS} octets together, or more than {MAX_BRANCHES} units in all"
            ),
            Self::PasswordsWithheld {
                attribute,
                users,
                groups: 0,
            } => write!(formatter, "{attribute} of {users} users is not served"),
            Self::PasswordsWithheld {
                attribute,
                users,
                groups,
            } => write!(
                formatter,
                "{attribute} of {users} users and {groups} groups is not served"
            ),
            Self::TemplateFailed {
                attribute,
                whose,
                count,
                problem,
            } => {
                write!(formatter, "the template of {attribute} failed for {whose}")?;
                match count {
                    1 => write!(formatter, ", who has no {attribute}: {problem}"),
                    _ => write!(
                        formatter,
                        " and {} more, who have no {attribute}: {problem}",
                        count - 1
                    ),
                }
            }
            Self::More(count) => write!(formatter, "{count} more warnings are not shown"),
        }
    }
}

/// Collects warnings up to [`MAX_WARNINGS`].
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    shown: Vec<Warning>,
    hidden: usize,
}

impl Warnings {
    /// Counts a warning that should not be shown.
    pub(crate) fn hide(&mut self) {
        self.hidden += 1;
    }

    pub(crate) fn push(&mut self, warning: impl FnOnce() -> Warning) {
        if self.shown.len() < MAX_WARNINGS {
            self.shown.push(warning());
        } else {
            self.hidden += 1;
        }
    }

    pub(crate) fn finish(mut self) -> Vec<Warning> {
        if self.hidden > 0 {
            self.shown.push(Warning::More(self.hidden));
        }
        self.shown
    }
}
