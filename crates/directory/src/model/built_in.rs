//! The attributes that every snapshot has: one definition each.
//!
//! Names besides the one served, syntax, and whether an attribute is operational are in the schema, under the same name
//! (`schema/attributes.rs`). Must not know values.

pub(crate) mod questions;

use crate::model::number::{Number, WrongNumber};

/// The lowest bit of a record's flags that is no override bit.
pub(crate) const FIRST_FLAG: u32 = 27;

/// The number of an attribute within a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AttributeId(pub(crate) u16);

impl Number for AttributeId {
    const WRONG: WrongNumber = WrongNumber::Attribute;

    fn at(index: usize) -> Option<Self> {
        u16::try_from(index).ok().map(Self)
    }

    #[inline]
    fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What an attribute takes from a kind of entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shows {
    /// The login name, or the name of the group.
    Name,
    FullName,
    /// The hash that authentik calls `uid`.
    Uid,
    /// The primary key of a group.
    Uuid,
    Mail,
    Home,
    Active,
    Superuser,
    /// That a virtual group makes nobody a superuser.
    NoSuperuser,
    PasswordChange,
    Joined,
    Updated,
    /// What follows from place, number and memberships: never stored.
    Computed,
}

impl Shows {
    /// Whether each entry of the kind stores it, if it is stored.
    pub(crate) fn is_always_known(self) -> bool {
        !matches!(self, Self::PasswordChange | Self::Joined | Self::Updated)
    }
}

/// A built-in attribute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BuiltIn {
    /// The name as it is served.
    pub(crate) name: &'static str,
    pub(crate) users: Option<Shows>,
    pub(crate) groups: Option<Shows>,
    pub(crate) virtual_groups: Option<Shows>,
    /// Whether base and containers have it as well, and every other entry.
    of_every_entry: bool,
    /// Whether custom values may replace it.
    pub(crate) is_replaceable: bool,
    /// Whether it is seldom searched by value, or has few values: its equality index is built at the first use.
    pub(crate) is_seldom_sought: bool,
    /// Whether address books and user searches ask for the beginning of its values: that index is built before it is asked for.
    is_sought_by_beginning: bool,
    /// Whether its values follow from the kind of an entry, for some kinds at least: no index has them.
    pub(crate) follows_from_kind: bool,
    /// What of its values groups decide, for users and the entries above them.
    decided_by_groups: FromGroups,
    /// The attribute that has the same values if no custom ones replace either, and whose indexes serve both.
    pub(crate) same_as: Option<AttributeId>,
    /// Whether the default answer has it although it is not stored: for users and for groups.
    default_of: [bool; 2],
    /// Its position in the default answer of a virtual group, and in what `+` asks for, counted from 1; 0 if it is not
    /// there.
    default_of_virtual_group: u8,
    operational: u8,
}

/// An attribute that users store.
const fn stored(name: &'static str, shows: Shows) -> BuiltIn {
    BuiltIn {
        users: Some(shows),
        ..plain(name)
    }
}

/// An attribute that users have and none stores.
const fn of_users(name: &'static str) -> BuiltIn {
    stored(name, Shows::Computed)
}

/// An attribute that users, groups and virtual groups have and none stores.
const fn computed(name: &'static str) -> BuiltIn {
    BuiltIn {
        users: Some(Shows::Computed),
        ..of_groups(name)
    }
}

/// An attribute that groups and virtual groups have and none stores.
const fn of_groups(name: &'static str) -> BuiltIn {
    BuiltIn {
        groups: Some(Shows::Computed),
        virtual_groups: Some(Shows::Computed),
        ..plain(name)
    }
}

/// An attribute of every entry, computed from its place.
const fn of_every_entry(name: &'static str) -> BuiltIn {
    BuiltIn {
        of_every_entry: true,
        ..computed(name)
    }
}

const fn plain(name: &'static str) -> BuiltIn {
    BuiltIn {
        name,
        users: None,
        groups: None,
        virtual_groups: None,
        of_every_entry: false,
        is_replaceable: false,
        is_seldom_sought: false,
        is_sought_by_beginning: false,
        follows_from_kind: false,
        decided_by_groups: FromGroups::Nothing,
        same_as: None,
        default_of: [false; 2],
        default_of_virtual_group: 0,
        operational: 0,
    }
}

/// What of the values of an attribute groups decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FromGroups {
    Nothing,
    /// They are memberships and nothing else.
    Memberships,
    /// They follow from which groups there are, among other things.
    Partly,
}

impl BuiltIn {
    /// Whether a change of groups or memberships may change it, for users and the entries above them.
    pub(crate) fn depends_on_groups(&self) -> bool {
        self.decided_by_groups != FromGroups::Nothing
    }

    const fn groups(self, shows: Shows) -> Self {
        Self {
            groups: Some(shows),
            ..self
        }
    }

    const fn virtual_groups(self, shows: Shows, position: u8) -> Self {
        Self {
            virtual_groups: Some(shows),
            ..self.default_of_virtual_group(position)
        }
    }

    const fn default_of_virtual_group(self, position: u8) -> Self {
        Self {
            default_of_virtual_group: position,
            ..self
        }
    }

    const fn default_of(self, users: bool, groups: bool) -> Self {
        Self {
            default_of: [users, groups],
            ..self
        }
    }

    const fn replaceable(self) -> Self {
        Self {
            is_replaceable: true,
            ..self
        }
    }

    const fn seldom_sought(self) -> Self {
        Self {
            is_seldom_sought: true,
            ..self
        }
    }

    const fn sought_by_beginning(self) -> Self {
        Self {
            is_sought_by_beginning: true,
            ..self
        }
    }

    const fn follows_from_kind(self) -> Self {
        Self {
            follows_from_kind: true,
            ..self
        }
    }

    const fn decided_by_groups(self, decided_by_groups: FromGroups) -> Self {
        Self {
            decided_by_groups,
            ..self
        }
    }

    const fn same_as(self, id: AttributeId) -> Self {
        Self {
            same_as: Some(id),
            ..self
        }
    }

    const fn operational(self, position: u8) -> Self {
        Self {
            operational: position,
            ..self
        }
    }
}

/// Declares the built-in attributes in the order of their numbers, in which records store them.
macro_rules! built_in {
    ($($(#[$attribute:meta])* $constant:ident = $definition:expr,)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "numbers for the constants below")]
        enum BuiltInNumber { $($constant,)* COUNT }
        impl AttributeId {
            $($(#[$attribute])* pub(crate) const $constant: AttributeId = AttributeId(BuiltInNumber::$constant as u16);)*
        }
        /// By number.
        const DEFINITIONS: [BuiltIn; BuiltInNumber::COUNT as usize] = [$($definition,)*];
    };
}

// New ones come before RDN: files have fingerprints of override bits, which are counted from the first one.
built_in! {
    OBJECT_CLASS = computed("objectClass").replaceable(),
    CN = stored("cn", Shows::Name)
        .groups(Shows::Name)
        .virtual_groups(Shows::Name, 1)
        .replaceable()
        .same_as(AttributeId::RDN),
    #[expect(dead_code, reason = "only this table speaks of it")]
    SAM_ACCOUNT_NAME = stored("sAMAccountName", Shows::Name)
        .groups(Shows::Name)
        .virtual_groups(Shows::Name, 2)
        .replaceable()
        .same_as(AttributeId::RDN),
    UID = stored("uid", Shows::Uid)
        .groups(Shows::Uuid)
        .virtual_groups(Shows::Uid, 3)
        .replaceable(),
    NAME = stored("name", Shows::FullName).replaceable(),
    #[expect(dead_code, reason = "only this table speaks of it")]
    DISPLAY_NAME = stored("displayName", Shows::FullName)
        .replaceable()
        .same_as(AttributeId::NAME)
        .sought_by_beginning(),
    #[cfg_attr(not(test), expect(dead_code, reason = "only this table and tests speak of it"))]
    SN = stored("sn", Shows::FullName).replaceable().same_as(AttributeId::NAME),
    MAIL = stored("mail", Shows::Mail).replaceable().sought_by_beginning(),
    #[expect(dead_code, reason = "only this table speaks of it")]
    HOME_DIRECTORY = stored("homeDirectory", Shows::Home).replaceable().seldom_sought(),
    #[expect(dead_code, reason = "only this table speaks of it")]
    AK_ACTIVE = stored("ak-active", Shows::Active).seldom_sought(),
    AK_SUPERUSER = stored("ak-superuser", Shows::Superuser)
        .groups(Shows::Superuser)
        .virtual_groups(Shows::NoSuperuser, 5)
        .decided_by_groups(FromGroups::Partly)
        .seldom_sought()
        .follows_from_kind(),
    PWD_CHANGED_TIME = stored("pwdChangedTime", Shows::PasswordChange).seldom_sought().operational(9),
    CREATE_TIMESTAMP = stored("createTimestamp", Shows::Joined).seldom_sought().operational(7),
    MODIFY_TIMESTAMP = stored("modifyTimestamp", Shows::Updated).seldom_sought().operational(8),
    UID_NUMBER = of_users("uidNumber").default_of(true, false).replaceable(),
    GID_NUMBER = computed("gidNumber").default_of(true, true).default_of_virtual_group(4).replaceable(),
    MEMBER = of_groups("member")
        .default_of(false, true)
        .default_of_virtual_group(6)
        .decided_by_groups(FromGroups::Memberships),
    MEMBER_OF = computed("memberOf")
        .default_of(true, true)
        .default_of_virtual_group(7)
        .operational(10)
        .decided_by_groups(FromGroups::Memberships),
    UNIQUE_MEMBER = of_groups("uniqueMember").decided_by_groups(FromGroups::Memberships),
    MEMBER_UID = of_groups("memberUid").decided_by_groups(FromGroups::Memberships),
    ENTRY_UUID = of_every_entry("entryUUID").operational(1),
    ENTRY_DN = of_every_entry("entryDN").operational(2),
    DISTINGUISHED_NAME = of_every_entry("distinguishedName"),
    STRUCTURAL_OBJECT_CLASS = of_every_entry("structuralObjectClass").follows_from_kind().operational(3),
    HAS_SUBORDINATES = of_every_entry("hasSubordinates").follows_from_kind().operational(4).decided_by_groups(FromGroups::Partly),
    NUM_SUBORDINATES = of_every_entry("numSubordinates").follows_from_kind().operational(5).decided_by_groups(FromGroups::Partly),
    SUBSCHEMA_SUBENTRY = of_every_entry("subschemaSubentry").follows_from_kind().operational(6),
    // Not attributes: the name in the DN and the user's hash whatever the attributes say, indexed like attributes.
    // Their names cannot be asked for.
    RDN = stored(" rdn", Shows::Name).groups(Shows::Name).sought_by_beginning(),
    USER_UID = stored(" uid", Shows::Uid).same_as(AttributeId::UID),
}
