//! What can be set for each provider: in its own section of the configuration file, in the section for all, as a variable or
//! as a flag. Knows these settings and what they are read into; must not know which providers there are.
//!
//! How to add an option of this kind:
//! 1. A `Setting` that ends in `.of_provider()`, here or in a module of its own beside this one, listed in
//!    `src/config/options.rs` like every other. Its key in the file is made from its variable, and `akldap config show`,
//!    `--help` and `docs/options.md` need nothing more.
//! 2. A field of [`ProviderConfig`], read with `reader.value` in [`ProviderConfig::read`]. That is called once for the section
//!    for all and once for each provider's; the reader knows the order of the sources. A provider's own value is
//!    `provider.config()` of `src/outpost/provider.rs`.
//! 3. Where a snapshot is built from the value, nothing more either: SIGHUP installs the providers anew, those whose settings
//!    differ as new ones, and has the whole directory read again.

use super::bind::{ACCEPT_BARE_NAMES, STRICT_BIND_DN};
use super::direct_search::DirectSearchConfig;
use super::entries::EntriesConfig;
use super::error::ConfigError;
use super::password_change::PasswordChangeConfig;
use super::reader::SettingReader;

/// What is set for one provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderConfig {
    /// Accept only `cn=name,ou=users,<base>` as bind DN.
    pub strict_bind_dn: bool,
    /// Accept names that are no DNs: `name`, `name@domain`, `DOMAIN\name`. Never with `strict_bind_dn`.
    pub accept_bare_names: bool,
    /// How passwords are changed.
    pub password_change: PasswordChangeConfig,
    /// How searches are answered in direct search mode.
    pub direct_search: DirectSearchConfig,
    /// Which entries it shows, and how they are named.
    pub entries: EntriesConfig,
}

impl ProviderConfig {
    pub(super) fn read(reader: &mut SettingReader<'_>) -> Result<Self, ConfigError> {
        let strict_bind_dn = reader.value(&STRICT_BIND_DN)?;
        Ok(Self {
            strict_bind_dn,
            accept_bare_names: reader.value(&ACCEPT_BARE_NAMES)? && !strict_bind_dn,
            password_change: PasswordChangeConfig::read(reader)?,
            direct_search: DirectSearchConfig::read(reader)?,
            entries: EntriesConfig::read(reader)?,
        })
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
        Self::read(&mut SettingReader::new(&strings)).unwrap()
    }
}
