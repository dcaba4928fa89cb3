//! Reads settings out of a source of texts: follows references, applies defaults and ranges, words the errors. Knows the
//! table's kinds; must not know what any setting is for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use super::nearest;
use super::options::{self, Kind, Setting};
use super::value::{self, Unreadable};
use super::{ConfigError, ConfigWarning, NotUnicode, Strings};

/// How much of a bad value an error shows.
const SHOWN_VALUE_LIMIT: usize = 80;

/// A text with what an error may say about it.
pub(super) struct Found {
    /// The variable or flag it came from.
    name: String,
    /// The text, references followed.
    pub(super) text: String,
    /// The text in quotes, or where it came from. A reference is not quoted: it may name the wrong secret.
    shown: String,
}

/// Reads settings one after the other and collects what is odd.
pub(super) struct Reader<'a> {
    pub(super) strings: &'a dyn Strings,
    pub(super) warnings: Vec<ConfigWarning>,
    /// The variables asked for, so that a test can prove that the table holds no other.
    #[cfg(test)]
    pub(super) visited: Vec<&'static str>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(strings: &'a dyn Strings) -> Self {
        Self {
            strings,
            warnings: Vec::new(),
            #[cfg(test)]
            visited: Vec::new(),
        }
    }

    /// The text of a setting with `file://` and `env://` followed; `None` when unset or empty.
    pub(super) fn text(&mut self, setting: &'static Setting) -> Result<Option<Found>, ConfigError> {
        #[cfg(test)]
        self.visited.push(setting.variable);
        let name = self.strings.spelling(setting.variable);
        let not_unicode = |name: &str| ConfigError::NotUnicode {
            name: name.to_owned(),
            expected: setting.kind.expected(),
        };
        let Some(raw) = self
            .strings
            .get(setting.variable)
            .map_err(|NotUnicode| not_unicode(&name))?
        else {
            return Ok(None);
        };
        let found = if let Some(reference) = raw.strip_prefix("file://") {
            let (path, fallback) = split_fallback(reference);
            let text = match (std::fs::read_to_string(path), fallback) {
                (Ok(content), _) => content.trim().to_owned(),
                (Err(_), Some(fallback)) => fallback.to_owned(),
                (Err(cause), None) => {
                    return Err(ConfigError::UnreadableFile {
                        name,
                        path: path.to_owned(),
                        cause: cause.to_string(),
                    });
                }
            };
            Found {
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
            Found {
                name,
                text,
                shown: format!("what the variable {variable:?} contains"),
            }
        } else {
            let shown = if setting.kind == Kind::Secret {
                "unusable".to_owned()
            } else {
                quote(&raw)
            };
            Found {
                name,
                text: raw,
                shown,
            }
        };
        Ok(Some(found).filter(|found| !found.text.trim().is_empty()))
    }

    /// The file a setting refers to, whether or not it is there.
    pub(super) fn referenced_file(&self, setting: &'static Setting) -> Option<PathBuf> {
        let raw = self.strings.get(setting.variable).ok()??;
        let (path, _) = split_fallback(raw.strip_prefix("file://")?);
        Some(PathBuf::from(path))
    }

    /// A setting that is known by its name in lower case, too, which counts when the other is unset.
    pub(super) fn in_either_case(&mut self, setting: &'static Setting) -> Result<Option<Found>, ConfigError> {
        if let Some(found) = self.text(setting)? {
            return Ok(Some(found));
        }
        let name = setting.variable.to_ascii_lowercase();
        let text = self
            .strings
            .get(&name)
            .map_err(|NotUnicode| ConfigError::NotUnicode {
                name: name.clone(),
                expected: setting.kind.expected(),
            })?;
        Ok(text.filter(|text| !text.trim().is_empty()).map(|text| Found {
            shown: quote(&text),
            name,
            text,
        }))
    }

    /// A proxy. One that cannot be used is passed over with a warning: the variable is not ours alone, and who takes
    /// authentik's outpost for ours must not be stopped by it.
    pub(super) fn proxy(&mut self, setting: &'static Setting) -> Result<Option<Url>, ConfigError> {
        let Some(found) = self.in_either_case(setting)? else {
            return Ok(None);
        };
        match value::proxy(found.text.trim()) {
            Ok(url) => Ok(Some(url)),
            Err(problem) => {
                self.warnings.push(ConfigWarning::UnusableProxy {
                    name: found.name,
                    expected: problem
                        .hint
                        .map_or_else(|| setting.kind.expected(), str::to_owned),
                });
                Ok(None)
            }
        }
    }

    pub(super) fn optional<T>(
        &mut self,
        setting: &'static Setting,
        parse: impl FnOnce(&str) -> Result<T, Unreadable>,
    ) -> Result<Option<T>, ConfigError> {
        let found = self.text(setting)?;
        found
            .map(|found| parse(found.text.trim()).map_err(|problem| found.invalid(setting, problem)))
            .transpose()
    }

    pub(super) fn required<T>(
        &mut self,
        setting: &'static Setting,
        parse: impl FnOnce(&str) -> Result<T, Unreadable>,
    ) -> Result<T, ConfigError> {
        self.optional(setting, parse)?
            .ok_or_else(|| ConfigError::Missing {
                name: setting.variable.to_owned(),
                expected: setting.kind.expected(),
            })
    }

    /// The value of a setting, or its default. Defaults go through the same parser; a test reads them all.
    pub(super) fn value<T>(
        &mut self,
        setting: &'static Setting,
        parse: impl Fn(&str) -> Result<T, Unreadable>,
    ) -> Result<T, ConfigError> {
        match self.optional(setting, &parse)? {
            Some(value) => Ok(value),
            None => parse(setting.default).map_err(|problem| {
                let found = Found {
                    name: setting.variable.to_owned(),
                    text: setting.default.to_owned(),
                    shown: quote(setting.default),
                };
                found.invalid(setting, problem)
            }),
        }
    }

    pub(super) fn switch(&mut self, setting: &'static Setting) -> Result<bool, ConfigError> {
        self.value(setting, value::switch)
    }

    pub(super) fn count(&mut self, setting: &'static Setting) -> Result<usize, ConfigError> {
        self.value(setting, |text| within(setting, value::count(text)?))
    }

    pub(super) fn size(&mut self, setting: &'static Setting) -> Result<usize, ConfigError> {
        self.value(setting, |text| within(setting, value::size(text)?))
    }

    pub(super) fn duration(&mut self, setting: &'static Setting) -> Result<Duration, ConfigError> {
        self.value(setting, |text| duration_within(setting, text))
    }

    /// A duration that has no default of its own.
    pub(super) fn duration_if_set(
        &mut self,
        setting: &'static Setting,
    ) -> Result<Option<Duration>, ConfigError> {
        self.optional(setting, |text| duration_within(setting, text))
    }

    /// A duration for which zero means never.
    pub(super) fn interval(&mut self, setting: &'static Setting) -> Result<Option<Duration>, ConfigError> {
        Ok(Some(self.duration(setting)?).filter(|duration| !duration.is_zero()))
    }

    pub(super) fn path(&mut self, setting: &'static Setting) -> Result<Option<PathBuf>, ConfigError> {
        Ok(self.text(setting)?.map(|found| PathBuf::from(found.text)))
    }

    pub(super) fn path_or_default(&mut self, setting: &'static Setting) -> Result<PathBuf, ConfigError> {
        Ok(self
            .path(setting)?
            .unwrap_or_else(|| Path::new(setting.default).to_owned()))
    }

    /// The networks of a list, or its default with the warning that belongs to it; and whether it was set.
    pub(super) fn networks(
        &mut self,
        setting: &'static Setting,
        unset: impl FnOnce(String) -> ConfigWarning,
    ) -> Result<(Vec<IpNet>, bool), ConfigError> {
        let name = self.strings.spelling(setting.variable);
        let Some((networks, skipped)) = self.optional(setting, |text| Ok(value::networks(text)))? else {
            self.warnings.push(unset(name));
            return Ok((value::networks(setting.default).0, false));
        };
        self.warnings
            .extend(skipped.into_iter().map(|entry| ConfigWarning::SkippedNetwork {
                name: name.clone(),
                entry: shorten(&entry),
            }));
        Ok((networks, true))
    }

    /// The error for one of a pair of settings without the other.
    pub(super) fn lonely(&self, missing: &'static Setting, present: &'static Setting) -> ConfigError {
        ConfigError::Conflict {
            name: self.strings.spelling(missing.variable),
            other: self.strings.spelling(present.variable),
            problem: "both must be set, or neither",
        }
    }

    pub(super) fn warn_of_unknown_options(&mut self) {
        for name in self.strings.names() {
            let known = options::OPTIONS.iter().any(|setting| setting.variable == name);
            if known || !name.starts_with(options::OPTION_PREFIX) {
                continue;
            }
            self.warnings.push(match nearest::nearest_option(&name) {
                Some(nearest) => ConfigWarning::UnknownOption { name, nearest },
                None => ConfigWarning::UnlikeAnyOption { name },
            });
        }
    }
}

fn duration_within(setting: &Setting, text: &str) -> Result<Duration, Unreadable> {
    let duration = value::duration(text)?;
    let Kind::Duration { min, max, off } = setting.kind else {
        return Ok(duration);
    };
    let in_range = (Duration::from_secs(min)..=Duration::from_secs(max)).contains(&duration);
    if in_range || (off && duration.is_zero()) {
        Ok(duration)
    } else {
        Err(Unreadable {
            hint: None,
            hide: false,
        })
    }
}

impl Found {
    fn invalid(self, setting: &Setting, problem: Unreadable) -> ConfigError {
        ConfigError::Invalid {
            name: self.name,
            found: if problem.hide {
                "unusable".to_owned()
            } else {
                self.shown
            },
            expected: problem
                .hint
                .map_or_else(|| setting.kind.expected(), str::to_owned),
        }
    }
}

/// Checks a number against the range of its setting.
pub(super) fn within(setting: &Setting, number: u64) -> Result<usize, Unreadable> {
    let in_range = match setting.kind {
        Kind::Count { min, max } | Kind::Size { min, max } => (min..=max).contains(&number),
        _ => true,
    };
    usize::try_from(number)
        .ok()
        .filter(|_| in_range)
        .ok_or(Unreadable {
            hint: None,
            hide: false,
        })
}

fn split_fallback(reference: &str) -> (&str, Option<&str>) {
    match reference.split_once('?') {
        Some((target, fallback)) => (target, Some(fallback)),
        None => (reference, None),
    }
}

fn quote(text: &str) -> String {
    format!("{:?}", shorten(text))
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= SHOWN_VALUE_LIMIT {
        text.to_owned()
    } else {
        text.chars().take(SHOWN_VALUE_LIMIT).chain(['…']).collect()
    }
}
