//! Asserted values: their keys, and the entries and kinds of entries they stand for.
//!
//! Must not know which rule or attribute they are asserted for, nor how candidates are found.

use std::hash::BuildHasher;
use std::sync::{LazyLock, OnceLock};

use hashbrown::HashTable;

use crate::model::number::{UserIx, WrongNumber};
use crate::model::object_classes::{GROUP_CLASSES, USER_CLASSES, VIRTUAL_GROUP_CLASS};
use crate::model::place::Entry;
use crate::schema::Syntax;
use crate::values::syntax;
use crate::view::context::Context;
use crate::view::naming::{DnNameError, Resolved};
use akldap_ldap::dn::Name;

/// An asserted value.
#[derive(Clone, Debug)]
pub(crate) struct Equal {
    pub(crate) syntax: Syntax,
    /// Whether the value is one of the syntax. If not, it equals stored text that is not one either.
    pub(crate) is_value: bool,
    /// The value itself if its key is made when it is needed: names are found without it, unless values are stored.
    value: Vec<u8>,
    key: OnceLock<Vec<u8>>,
    /// For names of entries: the entries with that name.
    pub(crate) entries: Vec<Entry>,
    /// For `memberUid`: the users with that name, ascending; otherwise values are compared as text.
    pub(crate) users: Option<Vec<UserIx>>,
}

/// Asserted values, found by their keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct OneOf {
    values: HashTable<Equal>,
    hasher: hashbrown::DefaultHashBuilder,
}

/// Kinds of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Classes {
    pub(crate) users: bool,
    pub(crate) groups: bool,
    pub(crate) virtual_groups: bool,
}

/// Whether values of a syntax name entries.
pub(crate) fn is_name(syntax: Syntax) -> bool {
    matches!(syntax, Syntax::DistinguishedName | Syntax::NameAndOptionalUid)
}

impl Equal {
    pub(crate) fn new(context: &Context<'_>, syntax: Syntax, value: &[u8]) -> Result<Self, WrongNumber> {
        match is_name(syntax) {
            true => Self::of_name(context, syntax, value),
            false => Ok(Self::of_value(syntax, value)),
        }
    }

    /// A value of a syntax whose values name no entries.
    #[inline]
    pub(super) fn of_value(syntax: Syntax, value: &[u8]) -> Self {
        let (key, is_value) = syntax::assertion_key(syntax, value);
        Self {
            syntax,
            is_value,
            value: Vec::new(),
            key: OnceLock::from(key.into_owned()),
            entries: Vec::new(),
            users: None,
        }
    }

    /// A value of a syntax whose values name entries.
    pub(super) fn of_name(context: &Context<'_>, syntax: Syntax, value: &[u8]) -> Result<Self, WrongNumber> {
        let (entries, is_value) = match context.tree.resolve(context.snapshot, &Name::new(value)) {
            Ok(Resolved::Entries(entries)) => (entries, true),
            Ok(_) => (Vec::new(), syntax::can_hold(syntax, value)),
            // A bit string may follow a name. Whether an unescaped name is a name must not depend on who has it.
            Err(DnNameError::Wrong(wrong)) => return Err(wrong),
            Err(DnNameError::Malformed(_)) => {
                let is_value = syntax::is_value(syntax, value) || context.tree.is_unescaped_name(value);
                (Vec::new(), is_value)
            }
        };
        Ok(Self {
            syntax,
            is_value,
            value: value.to_vec(),
            key: OnceLock::new(),
            entries,
            users: None,
        })
    }

    /// The equality key.
    #[inline]
    pub(crate) fn key(&self) -> &[u8] {
        self.key
            .get_or_init(|| syntax::equality_key(self.syntax, &self.value).into_owned())
    }

    /// Octets on the heap.
    pub(crate) fn memory(&self) -> usize {
        self.value.capacity()
            + self.key.get().map_or(0, Vec::capacity)
            + self.entries.capacity() * size_of::<Entry>()
            + self.users.as_ref().map_or(0, Vec::capacity) * size_of::<UserIx>()
    }
}

impl OneOf {
    /// Octets on the heap, itself included.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>()
            + self.values.capacity() * (size_of::<Equal>() + 1)
            + self.iter().map(Equal::memory).sum::<usize>()
    }

    pub(crate) fn insert(&mut self, equal: Equal) {
        let Self { values, hasher } = self;
        let hash = hasher.hash_one(equal.key());
        if values.find(hash, |known| known.key() == equal.key()).is_none() {
            values.insert_unique(hash, equal, |known| hasher.hash_one(known.key()));
        }
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        let hash = self.hasher.hash_one(key);
        self.values.find(hash, |known| known.key() == key).is_some()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Equal> {
        self.values.iter()
    }
}

impl Classes {
    /// The kinds that have a class, given by its key.
    pub(crate) fn with(key: &[u8]) -> Self {
        static KEYS: LazyLock<[Vec<Vec<u8>>; 3]> = LazyLock::new(|| {
            let keys = |classes: &[&str]| {
                let key = |class: &&str| syntax::equality_key(Syntax::Oid, class.as_bytes()).into_owned();
                classes.iter().map(key).collect()
            };
            [
                keys(&USER_CLASSES),
                keys(&GROUP_CLASSES),
                keys(&[VIRTUAL_GROUP_CLASS]),
            ]
        });
        let [users, groups, virtual_groups] = &*KEYS;
        let has = |classes: &[Vec<u8>]| classes.iter().any(|class| class == key);
        Self {
            users: has(users),
            groups: has(groups),
            virtual_groups: has(groups) || has(virtual_groups),
        }
    }
}
