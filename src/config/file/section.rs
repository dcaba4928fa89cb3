//! One section of a configuration file: the texts of the options that stand in it, under the names of their variables, and
//! where. And how a provider is named there.

use std::collections::BTreeMap;

use akldap_ldap::dn::Dn;

use super::attributes::AttributeRules;
use crate::config::place::Place;
use crate::config::setting::AnySetting;
use crate::config::strings::{NotUnicode, Strings, TextOrigin};

/// The options of one section.
#[derive(Default)]
pub(in crate::config) struct Section {
    /// How the section is called, and its place; of a provider.
    header: (String, String),
    entries: BTreeMap<&'static str, SectionText>,
    attributes: AttributeRules,
}

struct SectionText {
    key: String,
    text: String,
    place: Place,
}

impl Section {
    /// The section of a provider.
    pub(super) fn of_provider(mut self, name: &str, place: &Place) -> Self {
        self.header = (format!("[provider.{name:?}]"), place.to_string());
        self
    }

    /// How the section of a provider is called, and its place.
    pub(in crate::config) fn header(&self) -> (&str, &str) {
        (&self.header.0, &self.header.1)
    }

    /// An empty text counts as unset, as it does in a variable.
    pub(super) fn set(&mut self, setting: &dyn AnySetting, text: String, place: Place) {
        if !text.trim().is_empty() {
            let key = setting.key();
            self.entries
                .insert(setting.variable(), SectionText { key, text, place });
        }
    }

    /// What it says of attributes.
    pub(in crate::config) fn attributes(&self) -> &AttributeRules {
        &self.attributes
    }

    pub(super) fn attributes_mut(&mut self) -> &mut AttributeRules {
        &mut self.attributes
    }

    /// Where an option stands.
    pub(super) fn place_of(&self, variable: &str) -> Option<&Place> {
        Some(&self.entries.get(variable)?.place)
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
            Some(entry) => format!("{}: {}", entry.place, entry.key),
            None => name.to_owned(),
        }
    }

    fn origin(&self, name: &str) -> Option<TextOrigin> {
        Some(TextOrigin::File(self.place_of(name)?.clone()))
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
    /// A slug has no `=`, which no base DN lacks.
    pub(super) fn read(text: &str) -> Option<Self> {
        if text.contains('=') {
            let dn = Dn::parse(text.as_bytes()).ok()?;
            return Some(Self::BaseDn(dn.normal_form()));
        }
        let is_slug = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
        (!text.is_empty() && text.bytes().all(is_slug)).then(|| Self::Slug(text.to_owned()))
    }
}
