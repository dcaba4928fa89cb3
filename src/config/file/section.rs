//! One section of a configuration file: the texts of the options in it, under the names of their variables, and
//! where. Also how a provider is named there.

use std::collections::BTreeMap;

use akldap_ldap::dn::Dn;

use super::attributes::AttributeRules;
use crate::config::file_position::FilePosition;
use crate::config::setting::AnySetting;
use crate::config::strings::{NotUnicode, Strings, TextOrigin};

/// The options of one section.
#[derive(Default)]
pub(in crate::config) struct Section {
    /// The name and position of the section, if it is a provider's.
    header: (String, String),
    entries: BTreeMap<&'static str, SectionText>,
    attributes: AttributeRules,
}

struct SectionText {
    key: String,
    text: String,
    position: FilePosition,
}

impl Section {
    /// The section of a provider.
    pub(super) fn of_provider(mut self, name: &str, position: &FilePosition) -> Self {
        self.header = (format!("[provider.{name:?}]"), position.to_string());
        self
    }

    /// The name and position of a provider's section.
    pub(in crate::config) fn header(&self) -> (&str, &str) {
        (&self.header.0, &self.header.1)
    }

    /// An empty text counts as unset, as it does in a variable.
    pub(super) fn set(&mut self, setting: &dyn AnySetting, text: String, position: FilePosition) {
        if !text.trim().is_empty() {
            let key = setting.key();
            self.entries
                .insert(setting.variable(), SectionText { key, text, position });
        }
    }

    /// What it says about attributes.
    pub(in crate::config) fn attributes(&self) -> &AttributeRules {
        &self.attributes
    }

    pub(super) fn attributes_mut(&mut self) -> &mut AttributeRules {
        &mut self.attributes
    }

    /// Where an option is.
    pub(super) fn position_of(&self, variable: &str) -> Option<&FilePosition> {
        Some(&self.entries.get(variable)?.position)
    }
}

impl Strings for Section {
    fn get(&self, name: &str) -> Result<Option<String>, NotUnicode> {
        Ok(self.entries.get(name).map(|entry| entry.text.clone()))
    }

    fn names(&self) -> Vec<String> {
        self.entries.keys().map(|name| (*name).to_owned()).collect()
    }

    fn spelling(&self, name: &str) -> String {
        match self.entries.get(name) {
            Some(entry) => format!("{}: {}", entry.position, entry.key),
            None => name.to_owned(),
        }
    }

    fn origin(&self, name: &str) -> Option<TextOrigin> {
        Some(TextOrigin::File(self.position_of(name)?.clone()))
    }
}

/// How a section names its provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) enum ProviderName {
    /// By its base DN, in the form in which names are compared.
    BaseDn(Vec<u8>),
    /// By the slug of its application.
    Slug(String),
}

impl ProviderName {
    /// A slug has no `=`, and every base DN has one.
    pub(super) fn read(text: &str) -> Option<Self> {
        if text.contains('=') {
            let dn = Dn::parse(text.as_bytes()).ok()?;
            return Some(Self::BaseDn(dn.normal_form()));
        }
        let is_slug = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
        (!text.is_empty() && text.bytes().all(is_slug)).then(|| Self::Slug(text.to_owned()))
    }
}
