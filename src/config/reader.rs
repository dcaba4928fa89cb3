//! Reads settings from a source of texts: follows references, applies defaults and ranges, words the errors. Knows no
//! setting by name.

use std::path::{Path, PathBuf};

use akldap_authentik::given_file;
use ipnet::IpNet;
use url::Url;

use super::error::{ConfigError, ConfigWarning};
use super::kind::{Networks, Optional, Proxy};
use super::setting::{AnySetting, Setting, ValueKind};
use super::strings::{Layered, NotUnicode, Strings, TextOrigin};
use super::value::{self, Unreadable, without_credentials};

/// Octets read of a file with a value at most. The longest values, lists of networks, take a tenth of it.
const MOST_OCTETS: usize = 64 << 10;
/// How much of a bad value an error shows.
const SHOWN_VALUE_LIMIT: usize = 80;

/// A text with what an error may say about it.
pub(super) struct GivenText {
    /// The variable or flag it came from.
    name: String,
    /// The text, references followed.
    pub(super) text: String,
    /// The text in quotes, or where it came from. A reference is not quoted: it may name the wrong secret.
    shown: String,
}

/// Reads settings one after the other and collects oddities.
pub(super) struct SettingReader<'a> {
    pub(super) strings: &'a dyn Strings,
    pub(super) warnings: Vec<ConfigWarning>,
    /// The variables asked for, so that a test can prove that the table holds no other.
    #[cfg(test)]
    pub(super) visited: Vec<&'static str>,
}

impl<'a> SettingReader<'a> {
    pub(super) fn new(strings: &'a dyn Strings) -> Self {
        Self {
            strings,
            warnings: Vec::new(),
            #[cfg(test)]
            visited: Vec::new(),
        }
    }

    /// What is read with more texts below all others.
    pub(super) fn with_lower<T>(
        &mut self,
        lower: &dyn Strings,
        read: impl FnOnce(&mut SettingReader<'_>) -> Result<T, ConfigError>,
    ) -> Result<T, ConfigError> {
        let upper = self.strings;
        let layered = Layered { upper, lower };
        let mut reader = SettingReader::new(&layered);
        let value = read(&mut reader);
        #[cfg(test)]
        self.visited.append(&mut reader.visited);
        self.warnings.append(&mut reader.warnings);
        value
    }

    /// The text of a setting with `file://` and `env://` followed; `None` when unset or empty.
    fn text(&mut self, setting: &dyn AnySetting) -> Result<Option<GivenText>, ConfigError> {
        #[cfg(test)]
        self.visited.push(setting.variable());
        let name = self.strings.spelling(setting.variable());
        let not_unicode = |name: &str| ConfigError::NotUnicode {
            name: name.to_owned(),
            expected: setting.expected(),
        };
        let Some(raw) = self
            .strings
            .get(setting.variable())
            .map_err(|NotUnicode| not_unicode(&name))?
        else {
            return Ok(None);
        };
        let found = if let Some(reference) = raw.strip_prefix("file://") {
            let (path, fallback) = split_fallback(reference);
            let text = match (read_value(Path::new(path)), fallback) {
                (Ok(content), _) => content,
                (Err(_), Some(fallback)) => fallback.to_owned(),
                (Err(cause), None) => {
                    return Err(ConfigError::UnreadableFile {
                        name,
                        path: path.to_owned(),
                        cause: cause.to_string(),
                    });
                }
            };
            GivenText {
                name,
                text,
                shown: format!("what the file {path:?} contains"),
            }
        } else if let Some(reference) = raw.strip_prefix("env://") {
            let (variable, fallback) = split_fallback(reference);
            let text = match (
                self.strings
                    .get(variable)
                    .map_err(|NotUnicode| not_unicode(variable))?,
                fallback,
            ) {
                (Some(text), _) => text,
                (None, Some(fallback)) => fallback.to_owned(),
                (None, None) => {
                    return Err(ConfigError::UnsetVariable {
                        name,
                        variable: variable.to_owned(),
                    });
                }
            };
            GivenText {
                name,
                text,
                shown: format!("what the variable {variable:?} contains"),
            }
        } else {
            let shown = if setting.is_secret() {
                "unusable".to_owned()
            } else {
                quote(&raw)
            };
            GivenText {
                name,
                text: raw,
                shown,
            }
        };
        Ok(Some(found).filter(|found| !found.text.trim().is_empty()))
    }

    /// The file a setting refers to, whether or not it is there.
    pub(super) fn referenced_file(&self, setting: &dyn AnySetting) -> Option<PathBuf> {
        let raw = self.strings.get(setting.variable()).ok()??;
        let (path, _) = split_fallback(raw.strip_prefix("file://")?);
        Some(PathBuf::from(path))
    }

    /// A setting that is also known by its name in lower case, which applies when the other is unset.
    pub(super) fn in_either_case(
        &mut self,
        setting: &dyn AnySetting,
    ) -> Result<Option<GivenText>, ConfigError> {
        let found = self.text(setting)?;
        let from_file = matches!(self.strings.origin(setting.variable()), Some(TextOrigin::File(_)));
        if found.is_some() && !from_file {
            return Ok(found);
        }
        let name = setting.variable().to_ascii_lowercase();
        let text = self
            .strings
            .get(&name)
            .map_err(|NotUnicode| ConfigError::NotUnicode {
                name: name.clone(),
                expected: setting.expected(),
            })?;
        let text = text.filter(|text| !text.trim().is_empty()).map(|text| GivenText {
            shown: quote(&text),
            name,
            text,
        });
        Ok(text.or(found))
    }

    /// A proxy. One that cannot be used is ignored with a warning: the variable is not only ours, and whoever replaces authentik's
    /// outpost by ours must not be stopped by it.
    pub(super) fn proxy(
        &mut self,
        setting: &'static Setting<Optional<Proxy>>,
    ) -> Result<Option<Url>, ConfigError> {
        let Some(found) = self.in_either_case(setting)? else {
            return Ok(None);
        };
        match setting.kind.read(found.text.trim()) {
            Ok(url) => Ok(url),
            Err(problem) => {
                self.warnings.push(ConfigWarning::UnusableProxy {
                    name: found.name,
                    expected: problem.hint.map_or_else(|| setting.expected(), str::to_owned),
                });
                Ok(None)
            }
        }
    }

    /// The value of a setting, or what applies when it is unset.
    pub(super) fn value<K: ValueKind>(
        &mut self,
        setting: &'static Setting<K>,
    ) -> Result<K::Value, ConfigError> {
        match self.if_set(setting)? {
            Some(value) => Ok(value),
            None => setting
                .kind
                .unset(&setting.default)
                .ok_or_else(|| self.missing(setting)),
        }
    }

    /// The error for a setting that must be set and is not, or that refers to an empty file.
    fn missing(&self, setting: &dyn AnySetting) -> ConfigError {
        let (name, expected) = (setting.variable(), setting.expected());
        match self.referenced_file(setting) {
            Some(path) if path.is_file() => ConfigError::EmptyFile {
                name: self.strings.spelling(name),
                path,
                expected,
            },
            _ => ConfigError::Missing {
                name: name.to_owned(),
                expected,
            },
        }
    }

    /// Whether the value of a setting can be read, if it is set.
    pub(super) fn check(&mut self, setting: &dyn AnySetting) -> Result<(), ConfigError> {
        match self.text(setting)? {
            Some(found) => setting
                .check(&found.text)
                .map_err(|problem| found.invalid(setting, problem)),
            None => Ok(()),
        }
    }

    /// What is wrong with the value of a setting, if anything is: that it must be set and is not, or that it cannot be read.
    pub(super) fn problem(&mut self, setting: &dyn AnySetting) -> Option<ConfigError> {
        match self.text(setting) {
            Ok(None) => setting.is_required().then(|| self.missing(setting)),
            Ok(Some(found)) => setting
                .check(&found.text)
                .err()
                .map(|problem| found.invalid(setting, problem)),
            Err(error) => Some(error),
        }
    }

    fn if_set<K: ValueKind>(
        &mut self,
        setting: &'static Setting<K>,
    ) -> Result<Option<K::Value>, ConfigError> {
        self.text(setting)?
            .map(|found| {
                let text = if K::BLANKS { &found.text } else { found.text.trim() };
                setting
                    .kind
                    .read(text)
                    .map_err(|problem| found.invalid(setting, problem))
            })
            .transpose()
    }

    /// The networks of a list, or its default with the warning that belongs to it; and whether it was set.
    pub(super) fn networks(
        &mut self,
        setting: &'static Setting<Networks>,
        unset: impl FnOnce(String) -> Option<ConfigWarning>,
    ) -> Result<(Vec<IpNet>, bool), ConfigError> {
        let name = self.strings.spelling(setting.variable);
        let Some(value::NetworkList { networks, skipped }) = self.if_set(setting)? else {
            self.warnings.extend(unset(name));
            return Ok((setting.default.to_vec(), false));
        };
        // One wrong entry may be ignored, as in the official outpost. If nothing is left, nobody would be trusted, although somebody was
        // meant to be.
        if networks.is_empty() && !skipped.is_empty() {
            return Err(ConfigError::Invalid {
                name,
                found: quote(&skipped.join(",")),
                expected: setting.kind.expected(),
            });
        }
        self.warnings
            .extend(skipped.into_iter().map(|entry| ConfigWarning::SkippedNetwork {
                name: name.clone(),
                entry: shorten(&without_credentials(&entry)),
            }));
        Ok((networks, true))
    }

    /// The error for one of a pair of settings without the other.
    pub(super) fn lonely(&self, missing: &dyn AnySetting, present: &dyn AnySetting) -> ConfigError {
        ConfigError::Conflict {
            name: self.strings.spelling(missing.variable()),
            other: self.strings.spelling(present.variable()),
            problem: "both must be set, or neither",
        }
    }
}

impl GivenText {
    fn invalid(self, setting: &dyn AnySetting, problem: Unreadable) -> ConfigError {
        ConfigError::Invalid {
            name: self.name,
            found: if problem.hide {
                "unusable".to_owned()
            } else {
                self.shown
            },
            expected: problem.hint.map_or_else(|| setting.expected(), str::to_owned),
        }
    }
}

/// What a file says, without what editors put around it.
fn read_value(path: &Path) -> std::io::Result<String> {
    let octets = given_file::read(path, MOST_OCTETS, given_file::patience())?;
    let text = std::str::from_utf8(given_file::without_mark(&octets)).map_err(|_| {
        std::io::Error::new(
            std::io::ErrorKind::InvalidData,
            "it contains an octet that is not UTF-8",
        )
    })?;
    Ok(text.trim().to_owned())
}

fn split_fallback(reference: &str) -> (&str, Option<&str>) {
    match reference.split_once('?') {
        Some((target, fallback)) => (target, Some(fallback)),
        None => (reference, None),
    }
}

fn quote(text: &str) -> String {
    format!("{:?}", shorten(&without_credentials(text)))
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= SHOWN_VALUE_LIMIT {
        text.to_owned()
    } else {
        text.chars().take(SHOWN_VALUE_LIMIT).chain(['…']).collect()
    }
}
