//! What templates can mention: the variables of users and of groups, and an entry as a template sees it.
//!
//! Must not know snapshots.

use std::collections::BTreeSet;
use std::sync::Arc;

use minijinja::value::{Object, Value};

/// Which entries a template is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// A user.
    User,
    /// A group.
    Group,
}

impl RecordKind {
    /// The variables of its entries.
    #[must_use]
    pub fn variables(self) -> &'static [&'static str] {
        match self {
            Self::User => &USER_VARIABLES,
            Self::Group => &GROUP_VARIABLES,
        }
    }
}

/// The variables of users.
const USER_VARIABLES: [&str; 16] = [
    "username",
    "name",
    "email",
    "uid",
    "uuid",
    "pk",
    "is_active",
    "is_superuser",
    "path",
    "type",
    "attributes",
    "groups",
    "all_groups",
    "date_joined",
    "last_updated",
    "password_change_date",
];

/// The variables of groups.
const GROUP_VARIABLES: [&str; 8] = [
    "name",
    "uuid",
    "num_pk",
    "is_superuser",
    "attributes",
    "parents",
    "all_parents",
    "members",
];

/// The variables that some template of a kind of entry names: no others need be looked up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted(BTreeSet<String>);

impl Wanted {
    pub(crate) fn add(&mut self, names: &BTreeSet<String>) {
        self.0.extend(names.iter().cloned());
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

/// An entry as a template sees it: values by name.
#[derive(Debug, Default)]
pub(crate) struct Source(Vec<(Arc<str>, Value)>);

impl Source {
    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.push((name.into(), value.into()));
    }

    /// As templates take it.
    pub(crate) fn into_value(self) -> Value {
        Value::from_object(self)
    }
}

impl Object for Source {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        let exact = self.0.iter().find(|(known, _)| **known == *name);
        // Attributes, whose names are the only ones with capitals, may be written in any case.
        let found = exact.or_else(|| self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)));
        found.map(|(_, value)| value.clone())
    }
}
