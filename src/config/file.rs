//! The configuration file: TOML with one section for all, `[common]`, and one for each provider that differs,
//! `[provider."BASE DN"]` or `[provider.SLUG]`. Turns it into texts under the names of variables, each with its position, and
//! finds everything that is wrong at once. Knows which options there are; must not know what their values are used for.

mod attributes;
mod section;
mod text;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use akldap_authentik::given_file;
use akldap_directory::shape::RecordKind;

use super::error::ConfigError;
use super::file_position::{FileLines, FilePosition};
use super::nearest::nearest;
use super::options::{OFFICIAL, OPTIONS};
use super::process::CONFIG_FILE;
use super::reader::SettingReader;
use super::setting::{AnySetting, SettingScope};
use super::strings::{Layered, Strings};
pub(super) use attributes::{AttributeRule, AttributeRules};
pub(super) use section::{ProviderName, Section};

/// The most octets of a file. A thousand providers with all their options take less; anything larger is some other file.
const MOST_OCTETS: usize = 1 << 20;

/// The most problems that are reported for one file. Whoever named the wrong file need not read everything that is strange
/// in it.
const MOST_PROBLEMS: usize = 50;

/// The section for all.
const COMMON: &str = "common";
/// The table of the sections of providers.
const PROVIDER: &str = "provider";

/// A configuration file without an error.
pub(super) struct ConfigFile {
    pub(super) common: Section,
    pub(super) providers: Vec<(ProviderName, Section)>,
}

impl ConfigFile {
    /// The file that the settings name, if they name one. Its values may refer to the other settings, `strings`.
    pub(super) fn named_by(strings: &dyn Strings) -> Result<Option<Self>, ConfigError> {
        match SettingReader::new(strings).value(&CONFIG_FILE)? {
            Some(path) => Self::open(&path, strings).map(Some),
            None => Ok(None),
        }
    }

    /// What the file says for one provider: its section, then what is said for all.
    pub(super) fn layers<'a>(&'a self, section: &'a Section) -> Layered<'a> {
        Layered {
            upper: section,
            lower: &self.common,
        }
    }

    fn open(path: &Path, strings: &dyn Strings) -> Result<Self, ConfigError> {
        let unreadable = |cause: String| ConfigError::UnreadableConfigFile {
            name: strings.spelling(CONFIG_FILE.variable),
            path: path.to_owned(),
            cause,
        };
        let octets = given_file::read(path, MOST_OCTETS, given_file::patience())
            .map_err(|error| unreadable(error.to_string()))?;
        Self::read(path.to_owned(), &octets, strings)
    }

    /// Reads the octets of a file.
    pub(super) fn read(path: PathBuf, octets: &[u8], strings: &dyn Strings) -> Result<Self, ConfigError> {
        let text = match std::str::from_utf8(octets) {
            Ok(text) => text,
            Err(error) => {
                let sound = octets.get(..error.valid_up_to()).unwrap_or_default();
                let sound = std::str::from_utf8(sound).unwrap_or_default();
                let position = FileLines::new(path, sound).at(sound.len());
                let problem = "an octet that is not UTF-8; expected a TOML file in UTF-8".to_owned();
                return Err(ConfigError::Malformed { position, problem });
            }
        };
        let mut reading = FileReading {
            positions: FileLines::new(path, text),
            problems: Vec::new(),
        };
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let start = error.span().map_or(0, |span| span.start);
            reading.problem(start, error.message().to_owned());
        }
        let malformed: Vec<usize> = reading
            .problems
            .iter()
            .map(|(position, _)| position.line)
            .collect();
        let file = reading.sections(table.get_ref());
        reading.check(&file, strings);
        // What was made of a line that is not TOML means nothing.
        let syntax_errors = malformed.len();
        let mut problems = reading.problems;
        let meaningless = problems
            .split_off(syntax_errors)
            .into_iter()
            .filter(|(position, _)| !malformed.contains(&position.line));
        problems.extend(meaningless.collect::<Vec<_>>());
        problems.sort_by_key(|(position, _)| (position.line, position.column));
        let more = problems.len().saturating_sub(MOST_PROBLEMS);
        problems.truncate(MOST_PROBLEMS);
        let mut problems: Vec<ConfigError> = problems.into_iter().map(|(_, problem)| problem).collect();
        match problems.pop() {
            None => Ok(file),
            Some(only) if problems.is_empty() => Err(only),
            Some(last) => {
                problems.push(last);
                Err(ConfigError::Several { problems, more })
            }
        }
    }
}

/// What is gathered from a file while it is read.
struct FileReading<'t> {
    positions: FileLines<'t>,
    problems: Vec<(FilePosition, ConfigError)>,
}

impl FileReading<'_> {
    fn problem(&mut self, start: usize, problem: String) {
        let position = self.positions.at(start);
        let error = ConfigError::Malformed {
            position: position.clone(),
            problem,
        };
        self.problems.push((position, error));
    }

    fn sections(&mut self, root: &DeTable<'_>) -> ConfigFile {
        let mut file = ConfigFile {
            common: Section::default(),
            providers: Vec::new(),
        };
        for (name, value) in root {
            let start = name.span().start;
            match (name.get_ref().as_ref(), value.get_ref()) {
                (COMMON, DeValue::Table(table)) => file.common = self.section(table, false),
                (PROVIDER, DeValue::Table(table)) => {
                    // As they are in the file; the table does not keep that.
                    let mut sections: Vec<_> = table.iter().collect();
                    sections.sort_by_key(|(name, _)| name.span().start);
                    for (name, value) in sections {
                        self.provider(&mut file.providers, name, value);
                    }
                }
                (COMMON | PROVIDER, _) => self.problem(
                    start,
                    "expected a section: [common], [provider.\"BASE DN\"] or [provider.SLUG]".to_owned(),
                ),
                (other, _) => {
                    let problem = if setting_called(other).is_some() {
                        format!(
                            "{other} is in no section; expected it below [common] or a provider's section"
                        )
                    } else {
                        let meant = nearest(other, [COMMON, PROVIDER].into_iter());
                        let hint = meant.map_or_else(String::new, |meant| format!("; did you mean {meant}?"));
                        format!(
                            "{other:?} is not a section; expected [common], [provider.\"BASE DN\"] or [provider.SLUG]{hint}"
                        )
                    };
                    self.problem(start, problem);
                }
            }
        }
        file
    }

    fn provider(
        &mut self,
        providers: &mut Vec<(ProviderName, Section)>,
        name: &Spanned<impl AsRef<str>>,
        value: &Spanned<DeValue<'_>>,
    ) {
        let (text, start) = (name.get_ref().as_ref(), name.span().start);
        let DeValue::Table(table) = value.get_ref() else {
            let problem = format!(
                "provider.{text} is not a section; expected the options of one provider below [provider.\"BASE DN\"] or \
                 [provider.SLUG]"
            );
            return self.problem(start, problem);
        };
        let section = self
            .section(table, true)
            .of_provider(text, &self.positions.at(start));
        let Some(name) = ProviderName::read(text) else {
            let problem = format!(
                "{text:?} names no provider; expected its base DN in quotes, such as \
                 [provider.\"dc=ldap,dc=goauthentik,dc=io\"], or the slug of its application"
            );
            return self.problem(start, problem);
        };
        if providers.iter().any(|(other, _)| *other == name) {
            return self.problem(start, format!("a second section of the provider {text:?}"));
        }
        providers.push((name, section));
    }

    fn section(&mut self, table: &DeTable<'_>, of_provider: bool) -> Section {
        let mut section = Section::default();
        for (name, value) in table {
            let (key, start) = (name.get_ref().as_ref(), name.span().start);
            if let Some((_, kind)) = attributes::KINDS.iter().find(|(word, _)| *word == key) {
                self.attributes(*kind, value, &mut section);
                continue;
            }
            let Some(setting) = setting_called(key) else {
                self.problem(start, unknown(key));
                continue;
            };
            if setting.variable() == CONFIG_FILE.variable {
                self.problem(start, format!("{key} names this file, and cannot be in it"));
                continue;
            }
            if of_provider && setting.scope() == SettingScope::Process {
                let problem = format!(
                    "{key} applies to the whole process, not to one provider; expected it below [common]"
                );
                self.problem(start, problem);
                continue;
            }
            match text::of(value.get_ref(), setting) {
                Ok(text) => section.set(setting, text, self.positions.at(value.span().start)),
                Err(found) => {
                    let problem = format!("{key} is {found}; expected {}", setting.expected());
                    self.problem(value.span().start, problem);
                }
            }
        }
        section
    }

    /// The table of a section for one kind of entry.
    fn attributes(&mut self, kind: RecordKind, value: &Spanned<DeValue<'_>>, section: &mut Section) {
        let DeValue::Table(table) = value.get_ref() else {
            let problem = "expected a table with attributes = { … }".to_owned();
            return self.problem(value.span().start, problem);
        };
        let mut problems = Vec::new();
        let rules = attributes::read(
            kind,
            table,
            self.positions.text(),
            &|octets| self.positions.at(octets),
            &mut problems,
        );
        let all = section.attributes_mut();
        match kind {
            RecordKind::User => all.users = rules,
            RecordKind::Group => all.groups = rules,
        }
        for (at, problem) in problems {
            self.problem(at, problem);
        }
    }

    /// Reads every value as the server would.
    fn check(&mut self, file: &ConfigFile, strings: &dyn Strings) {
        let sections = std::iter::once(&file.common).chain(file.providers.iter().map(|(_, section)| section));
        for section in sections {
            let layered = Layered {
                upper: section,
                lower: strings,
            };
            for setting in settings() {
                let Some(position) = section.position_of(setting.variable()) else {
                    continue;
                };
                if let Err(error) = SettingReader::new(&layered).check(setting) {
                    self.problems.push((position.clone(), error));
                }
            }
        }
    }
}

fn settings() -> impl Iterator<Item = &'static dyn AnySetting> {
    OFFICIAL.iter().chain(OPTIONS).copied()
}

fn setting_called(key: &str) -> Option<&'static dyn AnySetting> {
    settings().find(|setting| setting.key() == key)
}

fn unknown(key: &str) -> String {
    let variable = settings().find(|setting| setting.variable() == key);
    let keys: Vec<String> = settings().map(AnySetting::key).collect();
    let flags = || settings().filter_map(|setting| Some((setting.flag()?.replace('-', "_"), setting.key())));
    let flag = flags().find(|(flag, _)| *flag == key.replace('-', "_"));
    let meant = match (&variable, flag) {
        (Some(setting), _) => Some(setting.key()),
        (None, Some((_, key))) => Some(key),
        (None, None) => nearest(key, keys.iter().map(String::as_str)).map(str::to_owned),
    };
    match meant {
        Some(meant) => format!("{key:?} is not an option; did you mean {meant}?"),
        None => format!("{key:?} is not an option; docs/options.md and `akldap config show` list them"),
    }
}
