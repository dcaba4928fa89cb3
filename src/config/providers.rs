//! Which settings apply to which provider. Knows how a section names its provider; must not know what is set.

use std::sync::Arc;

use akldap_ldap::dn::Dn;

use super::error::ConfigError;
use super::file::{ConfigFile, ProviderName};
use super::provider::ProviderConfig;
use super::reader::SettingReader;
use super::strings::{Layered, Strings};

/// The settings of all providers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderConfigs {
    common: Arc<ProviderConfig>,
    sections: Vec<ProviderSection>,
}

/// A section of one provider.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ProviderSection {
    name: ProviderName,
    /// The section as it is in the file, for the log.
    title: String,
    config: Arc<ProviderConfig>,
}

impl ProviderConfigs {
    /// Every provider has these.
    pub(super) fn common(config: ProviderConfig) -> Self {
        Self {
            common: Arc::new(config),
            sections: Vec::new(),
        }
    }

    /// Those with their own section in a file have what it says. The flags and variables, `strings`, win over it.
    pub(super) fn with_sections(
        mut self,
        file: &ConfigFile,
        strings: &dyn Strings,
    ) -> Result<Self, ConfigError> {
        for (name, section) in &file.providers {
            let lower = file.layers(section);
            let layered = Layered {
                upper: strings,
                lower: &lower,
            };
            self.sections.push(ProviderSection {
                name: name.clone(),
                title: format!("{} ({})", section.header().0, section.header().1),
                config: Arc::new(ProviderConfig::read(
                    &mut SettingReader::new(&layered),
                    &[file.common.attributes(), section.attributes()],
                )?),
            });
        }
        Ok(self)
    }

    /// What is set for a provider: by the section with its base DN, otherwise by that with the slug of its application,
    /// otherwise by the common one.
    #[must_use]
    pub fn of(&self, base_dn: &str, slug: &str) -> Arc<ProviderConfig> {
        let config = self
            .section(base_dn, slug)
            .map_or(&self.common, |section| &section.config);
        Arc::clone(config)
    }

    /// Each that there is, whether or not a provider has it.
    pub fn all(&self) -> impl Iterator<Item = &ProviderConfig> {
        let sections = self.sections.iter().map(|section| &*section.config);
        std::iter::once(&*self.common).chain(sections)
    }

    /// The sections that apply to none of these providers, each with its position in the file.
    pub fn idle<'a>(&self, providers: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
        let used: Vec<_> = providers
            .filter_map(|(base_dn, slug)| self.section(base_dn, slug))
            .collect();
        let idle = self
            .sections
            .iter()
            .filter(|section| !used.iter().any(|used| used.name == section.name));
        idle.map(|section| section.title.clone()).collect()
    }

    fn section(&self, base_dn: &str, slug: &str) -> Option<&ProviderSection> {
        let named = |name: &ProviderName| self.sections.iter().find(|section| section.name == *name);
        let by_dn = Dn::parse(base_dn.as_bytes())
            .ok()
            .and_then(|dn| named(&ProviderName::BaseDn(dn.normal_form())));
        by_dn.or_else(|| named(&ProviderName::Slug(slug.to_owned())))
    }
}
