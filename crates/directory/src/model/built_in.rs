//! The attributes that every snapshot has: one definition each, and the questions asked about them.
//!
//! Names besides the one served, syntax, and whether an attribute is operational are in the schema, under the same name
//! (`schema/attributes.rs`). Must not know values.

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
    DISPLAY_NAME = stored("displayName", Shows::FullName).replaceable().same_as(AttributeId::NAME),
    SN = stored("sn", Shows::FullName).replaceable().same_as(AttributeId::NAME),
    MAIL = stored("mail", Shows::Mail).replaceable(),
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
    RDN = stored(" rdn", Shows::Name).groups(Shows::Name),
    USER_UID = stored(" uid", Shows::Uid).same_as(AttributeId::UID),
}

/// What is asked about the whole table at compile time.
#[derive(Clone, Copy)]
pub(crate) enum Those {
    /// For the default answers: what is not stored.
    DefaultOfUsers,
    DefaultOfGroups,
    DefaultOfVirtualGroups,
    /// What `+` asks for (RFC 3673).
    Operational,
    /// What users store, and what groups store.
    StoredByUsers,
    StoredByGroups,
    /// What custom values never replace.
    Reserved,
}

/// How many attributes there are of these.
pub(crate) const fn count(those: Those) -> usize {
    let (mut number, mut found) = (0, 0);
    while number < DEFINITIONS.len() {
        if position(those, number) > 0 {
            found += 1;
        }
        number += 1;
    }
    found
}

/// These attributes in their order; `N` is their [`count`].
#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated while compiling"
)]
pub(crate) const fn ids<const N: usize>(those: Those) -> [AttributeId; N] {
    let mut ids = [AttributeId(0); N];
    let (mut next, mut found) = (1, 0);
    while found < N {
        let mut number = 0;
        while number < DEFINITIONS.len() {
            if position(those, number) == next {
                ids[found] = AttributeId(number as u16);
                found += 1;
            }
            number += 1;
        }
        next += 1;
    }
    ids
}

/// The position of an attribute among these, counted from 1; 0 if it is not one of them. Several may share one.
#[expect(clippy::indexing_slicing, reason = "evaluated while compiling")]
const fn position(those: Those, number: usize) -> u8 {
    let built_in = &DEFINITIONS[number];
    match those {
        Those::DefaultOfUsers => built_in.default_of[0] as u8,
        Those::DefaultOfGroups => built_in.default_of[1] as u8,
        Those::DefaultOfVirtualGroups => built_in.default_of_virtual_group,
        Those::Operational => built_in.operational,
        _ if number >= AttributeId::RDN.0 as usize => 0,
        Those::StoredByUsers => is_stored(built_in.users) as u8,
        Those::StoredByGroups => is_stored(built_in.groups) as u8,
        Those::Reserved => !built_in.is_replaceable as u8,
    }
}

const fn is_stored(shows: Option<Shows>) -> bool {
    !matches!(shows, None | Some(Shows::Computed))
}

/// By number, the bit by which an entry remembers that custom values replace an attribute: the number's own, or for what
/// has a number beyond those bits one that no other attribute uses.
#[expect(clippy::indexing_slicing, reason = "evaluated while compiling")]
const OVERRIDE_BITS: [u32; DEFINITIONS.len()] = {
    let mut bits = [0; DEFINITIONS.len()];
    let (mut number, mut free) = (0, 0);
    while number < DEFINITIONS.len() {
        if DEFINITIONS[number].is_replaceable {
            let mut bit = number;
            if number >= FIRST_FLAG as usize {
                while DEFINITIONS[free].is_replaceable {
                    free += 1;
                }
                bit = free;
                free += 1;
            }
            // The override bits and the flags of an entry share one u32.
            assert!(bit < FIRST_FLAG as usize);
            bits[number] = 1 << bit;
        }
        number += 1;
    }
    bits
};

/// A bit for each attribute that is never stored.
const COMPUTED: u64 = bits_of(true);
/// A bit for each attribute of every entry.
const OF_EVERY_ENTRY: u64 = bits_of(false);

#[expect(clippy::indexing_slicing, reason = "evaluated while compiling")]
const fn bits_of(computed: bool) -> u64 {
    let (mut bits, mut number) = (0, 0);
    while number < DEFINITIONS.len() {
        let built_in = &DEFINITIONS[number];
        let is_computed = matches!(built_in.users, Some(Shows::Computed))
            || matches!(built_in.groups, Some(Shows::Computed));
        if (computed && is_computed) || (!computed && built_in.of_every_entry) {
            bits |= 1 << number;
        }
        number += 1;
    }
    bits
}

impl AttributeId {
    /// What is known about a built-in attribute.
    #[inline]
    pub(crate) fn definition(self) -> Option<&'static BuiltIn> {
        const TABLE: &[BuiltIn] = &DEFINITIONS;
        TABLE.get(self.index())
    }

    /// The built-in attributes with their definitions, in the order of their numbers.
    pub(crate) fn built_in() -> impl Iterator<Item = (Self, &'static BuiltIn)> + Clone {
        (0..Self::RDN.0).filter_map(|number| Some((Self(number), Self(number).definition()?)))
    }

    /// The names by number, including those that cannot be asked for.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        DEFINITIONS.iter().map(|built_in| built_in.name)
    }

    /// The name of a built-in attribute as it is served.
    pub(crate) fn name(self) -> &'static str {
        self.definition().map_or("", |built_in| built_in.name)
    }

    /// The same as octets, whose number is known at compile time.
    #[expect(clippy::indexing_slicing, reason = "evaluated while compiling")]
    pub(crate) const fn name_octets<const N: usize>(self) -> [u8; N] {
        let name = DEFINITIONS[self.0 as usize].name.as_bytes();
        assert!(name.len() == N);
        let (mut octets, mut at) = ([0; N], 0);
        while at < N {
            octets[at] = name[at];
            at += 1;
        }
        octets
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The built-in attribute with exactly this name, whatever its case.
    pub(crate) fn of_built_in(name: &[u8]) -> Option<Self> {
        Self::built_in()
            .find(|(_, built_in)| built_in.name.as_bytes().eq_ignore_ascii_case(name))
            .map(|(id, _)| id)
    }

    /// The bit by which an entry remembers that custom values replace a built-in attribute; 0 for custom ones, and for
    /// those that are never replaced.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "the length was compared")]
    pub(crate) const fn override_bit(self) -> u32 {
        if (self.0 as usize) < OVERRIDE_BITS.len() {
            OVERRIDE_BITS[self.0 as usize]
        } else {
            0
        }
    }

    /// True for attributes every snapshot has.
    pub(crate) fn is_built_in(self) -> bool {
        self.0 < Self::RDN.0
    }

    /// True for attributes that base and containers have as well, computed from their places.
    pub(crate) fn is_of_every_entry(self) -> bool {
        self.0 < 64 && OF_EVERY_ENTRY >> self.0 & 1 != 0
    }

    /// Whether it follows from memberships alone.
    pub(crate) fn is_membership(self) -> bool {
        self.definition()
            .is_some_and(|built_in| built_in.decided_by_groups == FromGroups::Memberships)
    }

    /// True for attributes that are never stored: computed from the entry's place, number and memberships.
    #[inline]
    pub(crate) fn is_computed(self) -> bool {
        self.0 < 64 && COMPUTED >> self.0 & 1 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::attribute_type;

    #[test]
    fn the_schema_knows_each_and_calls_the_same_operational() {
        for (_, built_in) in AttributeId::built_in() {
            let known = attribute_type(built_in.name.as_bytes()).expect(built_in.name);
            assert_eq!(known.name, built_in.name);
            assert_eq!(known.operational, built_in.operational > 0, "{}", built_in.name);
            assert!(
                !(known.operational && built_in.is_replaceable),
                "{}",
                built_in.name
            );
        }
    }

    #[test]
    fn what_may_be_replaced_has_a_bit_of_its_own() {
        let mut all = 0;
        for (id, built_in) in AttributeId::built_in() {
            let bit = id.override_bit();
            assert_eq!(
                bit.count_ones(),
                u32::from(built_in.is_replaceable),
                "{}",
                built_in.name
            );
            assert_eq!(all & bit, 0, "{}", built_in.name);
            all |= bit;
        }
        // Files hold them.
        let bit = |id: AttributeId| id.override_bit().trailing_zeros();
        let known = [
            AttributeId::OBJECT_CLASS,
            AttributeId::MAIL,
            AttributeId::GID_NUMBER,
        ]
        .map(bit);
        assert_eq!(known, [0, 7, 15]);
    }
}
