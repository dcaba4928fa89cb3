//! Where configuration text comes from: the process environment, command line flags, or a map in a test. Knows names
//! and texts only; what they mean is decided elsewhere.

use std::collections::BTreeMap;

use super::file_position::FilePosition;

/// A value that exists but is not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotUnicode;

/// What kind of source a text has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextOrigin {
    /// A flag of the command line.
    Flag,
    /// A variable.
    Variable,
    /// A configuration file.
    File(FilePosition),
}

/// A source of named texts.
pub trait Strings {
    /// The text called `name`, or `None` when there is none.
    ///
    /// # Errors
    /// [`NotUnicode`] when it exists but is not UTF-8.
    fn get(&self, name: &str) -> Result<Option<String>, NotUnicode>;

    /// Every name this source has a text for.
    fn names(&self) -> Vec<String>;

    /// How an admin wrote `name`: the variable itself, or the flag that stands for it.
    fn spelling(&self, name: &str) -> String {
        name.to_owned()
    }

    /// Where the text called `name` comes from, if there is one.
    fn origin(&self, name: &str) -> Option<TextOrigin> {
        match self.get(name) {
            Ok(None) => None,
            Ok(Some(_)) | Err(NotUnicode) => Some(TextOrigin::Variable),
        }
    }
}

/// The environment of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Environment;

impl Strings for Environment {
    fn get(&self, name: &str) -> Result<Option<String>, NotUnicode> {
        match std::env::var(name) {
            Ok(text) => Ok(Some(text)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(NotUnicode),
        }
    }

    fn names(&self) -> Vec<String> {
        std::env::vars_os()
            .filter_map(|(name, _)| name.into_string().ok())
            .collect()
    }
}

/// A fixed set of texts, for tests and for commands that choose their own configuration.
#[derive(Clone, Default)]
pub struct StringMap(BTreeMap<String, String>);

impl StringMap {
    /// Adds or replaces the text called `name`.
    pub fn set(&mut self, name: impl Into<String>, text: impl Into<String>) {
        self.0.insert(name.into(), text.into());
    }
}

impl<N: Into<String>, T: Into<String>> FromIterator<(N, T)> for StringMap {
    fn from_iter<I: IntoIterator<Item = (N, T)>>(pairs: I) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(name, text)| (name.into(), text.into()))
                .collect(),
        )
    }
}

impl Strings for StringMap {
    fn get(&self, name: &str) -> Result<Option<String>, NotUnicode> {
        Ok(self.0.get(name).cloned())
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// Two sources, the upper one first. An empty text above hides nothing below.
#[derive(Clone, Copy)]
pub struct Layered<'a> {
    /// Asked first.
    pub upper: &'a dyn Strings,
    /// Asked when the upper source has nothing.
    pub lower: &'a dyn Strings,
}

impl Layered<'_> {
    fn upper_has(&self, name: &str) -> bool {
        match self.upper.get(name) {
            Ok(text) => text.is_some_and(|text| !text.is_empty()),
            Err(NotUnicode) => true,
        }
    }
}

impl Strings for Layered<'_> {
    fn get(&self, name: &str) -> Result<Option<String>, NotUnicode> {
        if self.upper_has(name) {
            self.upper.get(name)
        } else {
            self.lower.get(name)
        }
    }

    fn names(&self) -> Vec<String> {
        let mut names = self.upper.names();
        names.extend(self.lower.names());
        names.sort_unstable();
        names.dedup();
        names
    }

    fn spelling(&self, name: &str) -> String {
        if self.upper_has(name) {
            self.upper.spelling(name)
        } else {
            self.lower.spelling(name)
        }
    }

    fn origin(&self, name: &str) -> Option<TextOrigin> {
        if self.upper_has(name) {
            self.upper.origin(name)
        } else {
            self.lower.origin(name)
        }
    }
}
