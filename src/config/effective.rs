//! The settings in effect, and where each value comes from, as a file that says the same. Knows which options there are;
//! must not know what their values are used for. Shows no secret.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use akldap_directory::shape::{SYNTAXES, Show};

use super::error::ConfigError;
use super::file::{AttributeRule, AttributeRules, ConfigFile};
use super::options::{OFFICIAL, OPTIONS};
use super::process::CONFIG_FILE;
use super::profile_name::PROFILE;
use super::profiles;
use super::reader::SettingReader;
use super::setting::{AnySetting, SettingScope};
use super::strings::{Layered, NotUnicode, Strings, TextOrigin};
use super::value::without_credentials;

/// Every option with its value: for all, and for each section of a provider what differs there.
///
/// # Errors
/// Everything that is wrong in the configuration file. Other values are shown as they are, sound or not.
pub fn effective(strings: &dyn Strings) -> Result<String, ConfigError> {
    let Some(file) = ConfigFile::named_by(strings)? else {
        return Ok(section_for_all(strings) + &attributes_for_all(strings, &AttributeRules::default())?);
    };
    let for_all = Layered {
        upper: strings,
        lower: &file.common,
    };
    let mut text = section_for_all(&for_all);
    text += &attributes_for_all(&for_all, file.common.attributes())?;
    for (_, section) in &file.providers {
        let lower = file.layers(section);
        let for_one = Layered {
            upper: strings,
            lower: &lower,
        };
        let (header, position) = section.header();
        let _ = writeln!(text, "\n{header} # {position}");
        for setting in settings().filter(|setting| setting.scope() == SettingScope::Provider) {
            if value(setting, &for_one) != value(setting, &for_all) {
                let _ = writeln!(text, "{}", line(setting, &for_one));
            }
        }
        let title = header.trim_matches(['[', ']']);
        text += &attributes(title, &[section.attributes()]);
    }
    Ok(text)
}

/// What is said about attributes for all: by the profile, and by the section for all.
fn attributes_for_all(strings: &dyn Strings, common: &AttributeRules) -> Result<String, ConfigError> {
    let profile = profiles::section(SettingReader::new(strings).value(&PROFILE)?)?;
    Ok(attributes("common", &[profile.attributes(), common]))
}

/// What these say about attributes, a later one replacing an earlier one, as the tables of a section.
fn attributes(title: &str, rules: &[&AttributeRules]) -> String {
    let mut text = String::new();
    for (kind, of_users) in [("user", true), ("group", false)] {
        let all = rules.iter().flat_map(|rules| match of_users {
            true => &rules.users,
            false => &rules.groups,
        });
        let last: BTreeMap<String, &AttributeRule> =
            all.map(|rule| (rule.name.to_ascii_lowercase(), rule)).collect();
        if !last.is_empty() {
            let _ = writeln!(text, "\n[{title}.{kind}.attributes]");
        }
        for rule in last.values() {
            let _ = writeln!(text, "{} = {} # {}", rule.name, shown(&rule.show), rule.position);
        }
    }
    text
}

/// What is shown for an attribute, as a TOML value.
fn shown(show: &Show) -> String {
    let made = match show {
        Show::Nothing => return "false".to_owned(),
        Show::Always => return "true".to_owned(),
        Show::Made(made) => made,
    };
    let templates: Vec<String> = made
        .templates
        .iter()
        .map(|template| serde_json::Value::from(template.source()).to_string())
        .collect();
    let value = match templates.as_slice() {
        [only] => only.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    let mut syntaxes = SYNTAXES.iter();
    let syntax = made
        .syntax
        .and_then(|syntax| syntaxes.find(|(_, known)| *known == syntax))
        .map_or_else(String::new, |(name, _)| format!(", syntax = \"{name}\""));
    match (syntax.as_str(), made.operational) {
        ("", false) => value,
        (syntax, false) => format!("{{ value = {value}{syntax} }}"),
        (syntax, true) => format!("{{ value = {value}{syntax}, operational = true }}"),
    }
}

fn settings() -> impl Iterator<Item = &'static dyn AnySetting> {
    let all = OFFICIAL.iter().chain(OPTIONS).copied();
    all.filter(|setting| setting.variable() != CONFIG_FILE.variable)
}

fn section_for_all(strings: &dyn Strings) -> String {
    let mut text = match strings.get(CONFIG_FILE.variable) {
        Ok(Some(path)) => {
            let name = strings.spelling(CONFIG_FILE.variable);
            format!("# With the file {path:?}, named by {name}.\n")
        }
        _ => String::from("# Without a configuration file.\n"),
    };
    text.push_str("[common]\n");
    for setting in settings() {
        let _ = writeln!(text, "{}", line(setting, strings));
    }
    text
}

/// The text of a setting, if it has one in effect.
fn value(setting: &dyn AnySetting, strings: &dyn Strings) -> Option<String> {
    match strings.get(setting.variable()) {
        Ok(text) => text.filter(|text| !text.trim().is_empty()),
        Err(NotUnicode) => None,
    }
}

/// One setting: its value, where that comes from, and whether another one needs a restart.
fn line(setting: &dyn AnySetting, strings: &dyn Strings) -> String {
    let key = setting.key();
    let restart = match setting.scope() {
        SettingScope::Process => "; needs a restart",
        SettingScope::Provider => "",
    };
    let Some(text) = value(setting, strings) else {
        let default = setting.default();
        return match default.is_empty() {
            true => format!("# {key} is not set{restart}"),
            false => format!("{key} = {} # default{restart}", written(&default)),
        };
    };
    let origin = match strings.origin(setting.variable()) {
        Some(TextOrigin::File(position)) => position.to_string(),
        Some(TextOrigin::Flag | TextOrigin::Variable) | None => strings.spelling(setting.variable()),
    };
    if setting.is_secret() {
        return format!("# {key} is set by {origin} and not shown{restart}");
    }
    // What follows the question mark applies if there is no such file; it may be the secret itself.
    let refers = text.starts_with("file://") || text.starts_with("env://");
    let shown = match text.split_once('?') {
        Some((target, _)) if refers => target,
        _ => &text,
    };
    format!(
        "{key} = {} # {origin}{restart}",
        written(&without_credentials(shown))
    )
}

/// A value of TOML.
fn written(text: &str) -> String {
    let bare = matches!(text, "true" | "false")
        || (text.parse::<u64>().is_ok_and(|number| number.to_string() == text));
    match bare {
        true => text.to_owned(),
        // A string of JSON is one of TOML.
        false => serde_json::Value::from(text).to_string(),
    }
}
