//! How a provider spells the names of its entries, and which virtual groups it has.
//!
//! Data only; the default is authentik's own. Must not know who is asking.

use std::fmt;

use crate::model::place::Container;
use crate::model::record::UserRdn;
use akldap_ldap::text;

/// The names of the containers in authentik's spelling, in the order of answers.
pub(crate) const ORGANIZATIONAL_UNITS: [(Container, &str); 3] = [
    (Container::Users, "users"),
    (Container::Groups, "groups"),
    (Container::VirtualGroups, "virtual-groups"),
];

/// How names are spelled. Names in authentik's own spelling are understood, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnStyle {
    /// How the name of a user begins.
    pub user_rdn: UserRdn,
    /// Whether users are in organizational units below theirs, one for each level of their paths.
    pub by_path: bool,
    /// The name of the organizational unit that users are in.
    pub users: String,
    /// That of groups.
    pub groups: String,
    /// That of virtual groups.
    pub virtual_groups: String,
}

impl Default for DnStyle {
    fn default() -> Self {
        let [users, groups, virtual_groups] = ORGANIZATIONAL_UNITS.map(|(_, name)| name.to_owned());
        Self {
            user_rdn: UserRdn::default(),
            by_path: false,
            users,
            groups,
            virtual_groups,
        }
    }
}

/// Why names cannot be spelled like this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StyleError {
    /// An organizational unit has no name.
    Nameless,
    /// Two organizational units have this name; one of them perhaps in authentik's spelling, which is understood, too.
    Shared(String),
}

impl fmt::Display for StyleError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nameless => formatter.write_str("an organizational unit must have a name"),
            Self::Shared(name) => write!(
                formatter,
                "{name:?} would be the name of two organizational units; users, groups and virtual-groups \
                 stay reserved for the units that authentik calls by these names"
            ),
        }
    }
}

impl std::error::Error for StyleError {}

impl DnStyle {
    /// Whether each name can stand for one organizational unit.
    ///
    /// # Errors
    /// When one is empty or stands for two.
    pub fn check(&self) -> Result<(), StyleError> {
        let key = |name: &str| text::fold(name.as_bytes()).into_owned();
        let own = self.units();
        for (container, name) in own {
            if key(name).is_empty() {
                return Err(StyleError::Nameless);
            }
            let mut others = own.into_iter().chain(ORGANIZATIONAL_UNITS);
            if others.any(|(other, taken)| other != container && key(taken) == key(name)) {
                return Err(StyleError::Shared(name.to_owned()));
            }
        }
        Ok(())
    }

    /// The containers and their names.
    pub(crate) fn units(&self) -> [(Container, &str); 3] {
        [
            (Container::Users, &self.users),
            (Container::Groups, &self.groups),
            (Container::VirtualGroups, &self.virtual_groups),
        ]
    }
}

/// Which virtual groups there are, and which searches look at them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VirtualGroups {
    /// As authentik's outpost shows them in the search mode of the provider.
    #[default]
    AsRecorded,
    /// As it shows them in cached mode, whatever the mode of the provider.
    AsCached,
    /// Every search looks at them.
    On,
    /// There are none.
    Off,
    /// Only a search that begins at their organizational unit, or below it, looks at them.
    BelowOu,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_organizational_unit_has_a_name_of_its_own() {
        let style = |users: &str, groups: &str| DnStyle {
            users: users.to_owned(),
            groups: groups.to_owned(),
            ..DnStyle::default()
        };
        assert_eq!(DnStyle::default().check(), Ok(()));
        assert_eq!(style("People", "Groups").check(), Ok(()));
        assert_eq!(style("Users", "teams").check(), Ok(()));
        for (users, groups, shared) in [
            ("all", "All", "all"),
            ("Groups", "teams", "Groups"),
            ("people", "Users", "Users"),
            ("virtual-groups", "groups", "virtual-groups"),
        ] {
            assert_eq!(
                style(users, groups).check(),
                Err(StyleError::Shared(shared.to_owned()))
            );
        }
        assert_eq!(style(" ", "groups").check(), Err(StyleError::Nameless));
    }
}
