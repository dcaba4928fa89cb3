//! What can be set for each provider: in its own section of the configuration file, in the section for all, as a variable or
//! as a flag. Knows these settings and what they are read into; must not know which providers there are.
//!
//! How to add an option of this kind:
//! 1. A `Setting` that ends in `.of_provider()`, here or in its own module next to this one, listed in
//!    `src/config/options.rs` like every other. Its key in the file is made from its variable, and `akldap config show`,
//!    `--help` and `docs/options.md` need nothing more.
//! 2. A field of [`ProviderConfig`], read with `reader.value` in [`ProviderConfig::read_options`]. That is called once for the section
//!    for all and once for each provider's; the reader knows the order of the sources. A provider's own value is
//!    `provider.config()` of `src/outpost/provider.rs`.
//! 3. If a snapshot is built from the value, nothing more is needed either: SIGHUP installs the providers again, those whose settings
//!    differ as new ones, and makes the whole directory be read again.

use super::bind::{ACCEPT_BARE_NAMES, STRICT_BIND_DN};
use super::direct_search::DirectSearchConfig;
use super::entries::EntriesConfig;
use super::error::ConfigError;
use super::file::AttributeRules;
use super::password_change::PasswordChangeConfig;
use super::profile_name::PROFILE;
use super::profiles;
use super::reader::SettingReader;
use akldap_directory::shape::EntryShape;

/// What is set for one provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderConfig {
    /// Accept only `cn=name,ou=users,<base>` as bind DN.
    pub strict_bind_dn: bool,
    /// Accept names that are not DNs: `name`, `name@domain`, `DOMAIN\name`. Never with `strict_bind_dn`.
    pub accept_bare_names: bool,
    /// How passwords are changed.
    pub password_change: PasswordChangeConfig,
    /// How searches are answered in direct search mode.
    pub direct_search: DirectSearchConfig,
    /// Which entries it shows, and how they are named.
    pub entries: EntriesConfig,
    /// What is shown of users and of groups, attribute by attribute.
    pub users: EntryShape,
    /// The same of groups.
    pub groups: EntryShape,
}

impl ProviderConfig {
    /// What the reader's texts set, with the profile that they name below all of them, and what sections say about attributes: a later
    /// one wins.
    pub(super) fn read(
        reader: &mut SettingReader<'_>,
        sections: &[&AttributeRules],
    ) -> Result<Self, ConfigError> {
        let profile = profiles::section(reader.value(&PROFILE)?)?;
        let mut all = vec![profile.attributes()];
        all.extend_from_slice(sections);
        reader
            .with_lower(&profile, Self::read_options)?
            .with_attributes(&all)
    }

    fn read_options(reader: &mut SettingReader<'_>) -> Result<Self, ConfigError> {
        let strict_bind_dn = reader.value(&STRICT_BIND_DN)?;
        Ok(Self {
            strict_bind_dn,
            accept_bare_names: reader.value(&ACCEPT_BARE_NAMES)? && !strict_bind_dn,
            password_change: PasswordChangeConfig::read(reader)?,
            direct_search: DirectSearchConfig::read(reader)?,
            entries: EntriesConfig::read(reader)?,
            users: EntryShape::default(),
            groups: EntryShape::default(),
        })
    }

    /// The same with what sections say about attributes: a later one wins.
    fn with_attributes(mut self, sections: &[&AttributeRules]) -> Result<Self, ConfigError> {
        for rules in sections {
            for (shape, rules) in [(&mut self.users, &rules.users), (&mut self.groups, &rules.groups)] {
                for rule in rules {
                    shape
                        .set(&rule.name, rule.show.clone())
                        .map_err(|error| ConfigError::Malformed {
                            position: rule.position.clone(),
                            problem: format!("{}: {error}", rule.name),
                        })?;
                }
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
impl Default for ProviderConfig {
    fn default() -> Self {
        Self::of_settings(&[])
    }
}

#[cfg(test)]
impl ProviderConfig {
    /// What these variables say, in a server without a file.
    pub(crate) fn of_settings(pairs: &[(&str, &str)]) -> Self {
        let strings: super::strings::StringMap = pairs.iter().copied().collect();
        Self::read(&mut SettingReader::new(&strings), &[]).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, StringMap};
    use akldap_directory::shape::{Made, RecordKind, Show, Template};

    fn made(template: &str) -> Show {
        Show::Made(Made {
            templates: vec![Template::new(template, RecordKind::User).unwrap()],
            syntax: None,
            operational: false,
        })
    }

    #[test]
    fn the_provider_wins_over_the_common_section_and_that_over_the_profile() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("akldap.toml");
        let text = r#"
[common]
profile = "nas"
[common.user.attributes]
gecos = "common"
[provider."dc=own".user.attributes]
gecos = "own"
[provider.other]
profile = "authentik"
"#;
        std::fs::write(&path, text).unwrap();
        let mut strings = StringMap::default();
        strings.set("AUTHENTIK_HOST", "http://127.0.0.1:9");
        strings.set("AUTHENTIK_TOKEN", "token");
        strings.set("AUTHENTIK_LDAP__CONFIG_FILE", path.to_str().unwrap());
        let config = Config::read(&strings).unwrap();
        let nas = |gecos: &str| {
            let mut users = EntryShape::default();
            let shell = "{{ attributes.loginShell | default('/bin/sh') }}";
            users.set("loginShell", made(shell)).unwrap();
            users.set("uid", made("{{ username }}")).unwrap();
            users.set("gecos", made(gecos)).unwrap();
            users
        };
        assert_eq!(config.providers.of("dc=any", "any").users, nas("common"));
        assert_eq!(config.providers.of("dc=own", "any").users, nas("own"));
        let mut users = EntryShape::default();
        users.set("gecos", made("common")).unwrap();
        assert_eq!(config.providers.of("dc=any", "other").users, users);
        // A variable wins over all sections.
        strings.set("AUTHENTIK_LDAP__PROFILE", "authentik");
        let config = Config::read(&strings).unwrap();
        assert_eq!(config.providers.of("dc=any", "any").users, users);
        assert_eq!(config.providers.of("dc=any", "any").groups, EntryShape::default());
    }
}
