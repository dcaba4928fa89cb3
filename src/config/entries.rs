//! Which entries a provider shows, how they are named, and which memberships they have. Knows these settings and what they are
//! read into; must not know how a directory is given that shape.

use akldap_directory::shape::numbers::{NumberRange, NumberRanges, Numbers};
use akldap_directory::shape::visibility::{About, Condition, ConditionError, Visibility, conditions};
use akldap_directory::shape::{Membership, UserRdn};
use akldap_directory::style::{DnStyle, VirtualGroups};

use super::error::ConfigError;
use super::kind::{Optional, Switch, Text, Unset};
use super::reader::SettingReader;
use super::setting::{AnySetting as _, Setting, ValueKind, own};
use super::value::Unreadable;

pub(super) static SHOWN_USERS: Setting<Optional<Conditions>> = own(
    "AUTHENTIK_LDAP__SHOWN_USERS",
    "shown-users",
    Optional(Conditions(About::Users)),
    Unset,
    "Which users this provider shows: those that satisfy one of the conditions. Unset: all. Nobody can find, count or compare the others, not even in groups. Who may bind is still authentik's decision, and users who are not shown see their own entry if they may not search everything.",
)
.of_provider();

pub(super) static HIDDEN_USERS: Setting<Optional<Conditions>> = own(
    "AUTHENTIK_LDAP__HIDDEN_USERS",
    "hidden-users",
    Optional(Conditions(About::Users)),
    Unset,
    "Which of those users it leaves out, such as type:service_account.",
)
.of_provider();

pub(super) static SHOWN_GROUPS: Setting<Optional<Conditions>> = own(
    "AUTHENTIK_LDAP__SHOWN_GROUPS",
    "shown-groups",
    Optional(Conditions(About::Groups)),
    Unset,
    "Which groups this provider shows: those that satisfy one of the conditions. group:NAME is that group and all below it. Unset: all.",
)
.of_provider();

pub(super) static HIDDEN_GROUPS: Setting<Optional<Conditions>> = own(
    "AUTHENTIK_LDAP__HIDDEN_GROUPS",
    "hidden-groups",
    Optional(Conditions(About::Groups)),
    Unset,
    "Which of those groups it leaves out.",
)
.of_provider();

pub(super) static HIDDEN_USERS_BIND: Setting<Switch> = own(
    "AUTHENTIK_LDAP__HIDDEN_USERS_BIND",
    "hidden-users-bind",
    Switch,
    true,
    "Users that this provider does not show may bind if authentik lets them in, as does a service account that searches for an application. Off: their binds end with invalidCredentials (49) even if authentik lets them in, from the next bind on.",
)
.of_provider();

pub(super) static MEMBERSHIP: Setting<OneWord<Membership>> = own(
    "AUTHENTIK_LDAP__MEMBERSHIP",
    "membership",
    OneWord(&[("direct", Membership::Direct), ("inherited", Membership::Inherited)]),
    Membership::Direct,
    "Which memberships member, memberOf and memberUid show: those that authentik lists, as its own outpost does, or also those inherited through groups within groups.",
)
.of_provider();

pub(super) static ROLES_AS_GROUPS: Setting<Switch> = own(
    "AUTHENTIK_LDAP__ROLES_AS_GROUPS",
    "roles-as-groups",
    Switch,
    false,
    "Show each of authentik's roles that a user or a group has as a group of that name, with those users and groups as its members. While it is on a directory takes more time to build.",
)
.of_provider();

pub(super) static VIRTUAL_GROUPS: Setting<OneWord<VirtualGroups>> = own(
    "AUTHENTIK_LDAP__VIRTUAL_GROUPS",
    "virtual-groups",
    OneWord(&[
        ("as-recorded", VirtualGroups::AsRecorded),
        ("as-cached", VirtualGroups::AsCached),
        ("on", VirtualGroups::On),
        ("off", VirtualGroups::Off),
        ("below-ou", VirtualGroups::BelowOu),
    ]),
    VirtualGroups::AsRecorded,
    "Which searches find each user's own group: as authentik's outpost decides it in the provider's search mode, as it does in cached mode, every search, none, or only those that begin at their organizational unit.",
)
.of_provider();

pub(super) static USER_RDN: Setting<OneWord<UserRdn>> = own(
    "AUTHENTIK_LDAP__USER_RDN",
    "user-rdn",
    OneWord(&[("cn", UserRdn::Cn), ("uid", UserRdn::Uid)]),
    UserRdn::Cn,
    "How the DNs of users begin: with cn=, as in authentik's outpost, or with uid=. Either way the user name follows, and DNs with cn= are understood.",
)
.of_provider();

pub(super) static USERS_OU: Setting<Optional<Text>> = own(
    "AUTHENTIK_LDAP__USERS_OU",
    "users-ou",
    Optional(Text),
    Unset,
    "The name of the organizational unit that users are in, such as People. Unset: users, which is understood in any case.",
)
.of_provider();

pub(super) static USERS_BY_PATH: Setting<Switch> = own(
    "AUTHENTIK_LDAP__USERS_BY_PATH",
    "users-by-path",
    Switch,
    false,
    "Put users into organizational units below that of users, one for each level of the path that authentik files them under: users/staff/it is ou=it,ou=staff,ou=users. DNs without them are understood, too.",
)
.of_provider();

pub(super) static GROUPS_OU: Setting<Optional<Text>> = own(
    "AUTHENTIK_LDAP__GROUPS_OU",
    "groups-ou",
    Optional(Text),
    Unset,
    "The name of the organizational unit that groups are in. Unset: groups.",
)
.of_provider();

pub(super) static VIRTUAL_GROUPS_OU: Setting<Optional<Text>> = own(
    "AUTHENTIK_LDAP__VIRTUAL_GROUPS_OU",
    "virtual-groups-ou",
    Optional(Text),
    Unset,
    "The name of the organizational unit that virtual groups are in. Unset: virtual-groups.",
)
.of_provider();

pub(super) static UID_NUMBER_RANGE: Setting<Optional<Range>> = own(
    "AUTHENTIK_LDAP__UID_NUMBER_RANGE",
    "uid-number-range",
    Optional(Range),
    Unset,
    "Where the uidNumber of every user of this provider is expected. Users whose number is elsewhere are named in the log and keep it, since files belong to numbers.",
)
.of_provider();

pub(super) static GID_NUMBER_RANGE: Setting<Optional<Range>> = own(
    "AUTHENTIK_LDAP__GID_NUMBER_RANGE",
    "gid-number-range",
    Optional(Range),
    Unset,
    "Where the gidNumber of every group of this provider is expected. Groups whose number is elsewhere are named in the log and keep it.",
)
.of_provider();

pub(super) static SHARED_UID_NUMBERS: Setting<Optional<Range>> = own(
    "AUTHENTIK_LDAP__SHARED_UID_NUMBERS",
    "shared-uid-numbers",
    Optional(Range),
    Unset,
    "Where users are moved when another user has their uidNumber: a range of numbers that nobody else has. Those who have the number in their own attributes keep it, then the older account. Unset: nobody is moved, since files belong to numbers.",
)
.of_provider();

pub(super) static SHARED_GID_NUMBERS: Setting<Optional<Range>> = own(
    "AUTHENTIK_LDAP__SHARED_GID_NUMBERS",
    "shared-gid-numbers",
    Optional(Range),
    Unset,
    "Where groups are moved when another group or a user has their gidNumber: a range of numbers that nobody else has. Of two groups without the attribute gidNumber, the one with the lower UUID keeps its number.",
)
.of_provider();

/// Which entries a provider shows and how they are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntriesConfig {
    /// Which users are shown.
    pub visible_users: Visibility,
    /// Which groups are shown.
    pub visible_groups: Visibility,
    /// Which memberships are shown.
    pub membership: Membership,
    /// Whether roles are shown as groups.
    pub roles_as_groups: bool,
    /// Which virtual groups there are.
    pub virtual_groups: VirtualGroups,
    /// How names are spelled.
    pub style: DnStyle,
    /// Whether users who are not shown may bind.
    pub hidden_users_bind: bool,
    /// Which numbers are expected, and where those that somebody else has are moved to.
    pub numbers: Numbers,
}

impl EntriesConfig {
    pub(super) fn read(reader: &mut SettingReader<'_>) -> Result<Self, ConfigError> {
        let mut visibility = |shown: &'static Setting<_>, hidden: &'static Setting<_>| {
            Ok(Visibility {
                shown: reader.value::<Optional<Conditions>>(shown)?.unwrap_or_default(),
                hidden: reader.value::<Optional<Conditions>>(hidden)?.unwrap_or_default(),
            })
        };
        let visible_users = visibility(&SHOWN_USERS, &HIDDEN_USERS)?;
        let visible_groups = visibility(&SHOWN_GROUPS, &HIDDEN_GROUPS)?;
        let usual = DnStyle::default();
        let style = DnStyle {
            user_rdn: reader.value(&USER_RDN)?,
            by_path: reader.value(&USERS_BY_PATH)?,
            users: reader.value(&USERS_OU)?.unwrap_or(usual.users),
            groups: reader.value(&GROUPS_OU)?.unwrap_or(usual.groups),
            virtual_groups: reader.value(&VIRTUAL_GROUPS_OU)?.unwrap_or(usual.virtual_groups),
        };
        if style.check().is_err() {
            return Err(ConfigError::Conflict {
                name: USERS_OU.variable().to_owned(),
                other: format!("{}, {}", GROUPS_OU.variable(), VIRTUAL_GROUPS_OU.variable()),
                problem: "each organizational unit must have a name of its own, and users, groups and \
                     virtual-groups stay reserved for the units that authentik calls by these names",
            });
        }
        Ok(Self {
            visible_users,
            visible_groups,
            membership: reader.value(&MEMBERSHIP)?,
            roles_as_groups: reader.value(&ROLES_AS_GROUPS)?,
            virtual_groups: reader.value(&VIRTUAL_GROUPS)?,
            style,
            hidden_users_bind: reader.value(&HIDDEN_USERS_BIND)?,
            numbers: Numbers {
                uids: NumberRanges {
                    expected: reader.value(&UID_NUMBER_RANGE)?,
                    shared: reader.value(&SHARED_UID_NUMBERS)?,
                },
                gids: NumberRanges {
                    expected: reader.value(&GID_NUMBER_RANGE)?,
                    shared: reader.value(&SHARED_GID_NUMBERS)?,
                },
            },
        })
    }
}

/// Conditions for which users or groups are shown.
#[derive(Debug)]
pub(super) struct Conditions(About);

impl ValueKind for Conditions {
    type Value = Vec<Condition>;
    type Default = Unset;
    const PLACEHOLDER: &'static str = "CONDITIONS";
    const LIST: bool = true;

    fn expected(&self) -> String {
        match self.0 {
            About::Users => {
                "a comma-separated list of group:NAME, path:PATH, type:TYPE, active, inactive, attribute:NAME, \
                 attribute:NAME=VALUE and filters in parentheses"
            }
            About::Groups => {
                "a comma-separated list of group:NAME, attribute:NAME, attribute:NAME=VALUE and filters in parentheses"
            }
        }
        .to_owned()
    }

    fn read(&self, text: &str) -> Result<Vec<Condition>, Unreadable> {
        conditions(text, self.0).map_err(|error| match error {
            ConditionError::Filter(_) => {
                Unreadable::hint("a filter as RFC 4515 writes it, such as (&(mail=*)(!(title=bot)))")
            }
            ConditionError::Type(_) => Unreadable::hint(
                "type: with internal, external, service_account or internal_service_account behind it",
            ),
            ConditionError::Empty(_) | ConditionError::NotOfGroups(_) | ConditionError::Unknown(_) => {
                Unreadable::PLAIN
            }
        })
    }
}

/// A range of numbers.
#[derive(Debug)]
pub(super) struct Range;

impl ValueKind for Range {
    type Value = NumberRange;
    type Default = Unset;
    const PLACEHOLDER: &'static str = "FIRST-LAST";

    fn expected(&self) -> String {
        "a range of numbers from 1 to 2147483647, such as 300000-399999".to_owned()
    }

    fn read(&self, text: &str) -> Result<NumberRange, Unreadable> {
        NumberRange::read(text).ok_or(Unreadable::PLAIN)
    }
}

/// One of several words.
#[derive(Debug)]
pub(super) struct OneWord<T: 'static>(pub(super) &'static [(&'static str, T)]);

impl<T: Copy + PartialEq + Sync + std::fmt::Debug + 'static> ValueKind for OneWord<T> {
    type Value = T;
    type Default = T;
    const PLACEHOLDER: &'static str = "WORD";

    fn expected(&self) -> String {
        let words: Vec<&str> = self.0.iter().map(|(word, _)| *word).collect();
        match words.as_slice() {
            [others @ .., last] if !others.is_empty() => format!("{} or {last}", others.join(", ")),
            words => words.concat(),
        }
    }

    fn read(&self, text: &str) -> Result<T, Unreadable> {
        let found = self.0.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or(Unreadable::PLAIN)
    }

    fn unset(&self, default: &T) -> Option<T> {
        Some(*default)
    }

    fn shown(&self, default: &T) -> String {
        let found = self.0.iter().find(|(_, value)| value == default);
        found.map_or(String::new(), |(word, _)| (*word).to_owned())
    }
}
