//! What holds, and where each value comes from, as a file that says the same. Knows which options there are; must not know
//! what their values are used for. Shows no secret.

use std::fmt::Write as _;

use super::error::ConfigError;
use super::file::ConfigFile;
use super::options::{OFFICIAL, OPTIONS};
use super::process::CONFIG_FILE;
use super::setting::{AnySetting, SettingScope};
use super::strings::{Layered, NotUnicode, Strings, TextOrigin};

/// Every option with its value: for all, and for each section of a provider what differs there.
///
/// # Errors
/// Everything that is wrong in the configuration file. Other values are shown as they are, sound or not.
pub fn effective(strings: &dyn Strings) -> Result<String, ConfigError> {
    let Some(file) = ConfigFile::named_by(strings)? else {
        return Ok(section_for_all(strings));
    };
    let for_all = Layered {
        upper: strings,
        lower: &file.common,
    };
    let mut text = section_for_all(&for_all);
    for (_, section) in &file.providers {
        let lower = Layered {
            upper: section,
            lower: &file.common,
        };
        let for_one = Layered {
            upper: strings,
            lower: &lower,
        };
        let (header, place) = section.header();
        let _ = writeln!(text, "\n{header} # {place}");
        for setting in settings().filter(|setting| setting.scope() == SettingScope::Provider) {
            if value(setting, &for_one) != value(setting, &for_all) {
                let _ = writeln!(text, "{}", line(setting, &for_one));
            }
        }
    }
    Ok(text)
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

/// The text of a setting, if it has one that counts.
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
        Some(TextOrigin::File(place)) => place.to_string(),
        Some(TextOrigin::Flag | TextOrigin::Variable) | None => strings.spelling(setting.variable()),
    };
    if setting.is_secret() {
        return format!("# {key} is set by {origin} and not shown{restart}");
    }
    // What stands behind the question mark counts if there is no such file; it may be the secret itself.
    let refers = text.starts_with("file://") || text.starts_with("env://");
    let shown = match text.split_once('?') {
        Some((target, _)) if refers => target,
        _ => &text,
    };
    format!("{key} = {} # {origin}{restart}", written(shown))
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
