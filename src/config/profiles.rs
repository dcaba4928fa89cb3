//! The profiles: what each sets, as sections of a configuration file that come after all others. Must not know what the
//! settings mean.

use std::path::PathBuf;

use super::error::ConfigError;
use super::file::{ConfigFile, Section};
use super::strings::StringMap;

/// The texts of the profiles by name.
const TEXTS: [(&str, &str); 7] = [
    ("authentik", include_str!("profiles/authentik.toml")),
    ("nextcloud", include_str!("profiles/nextcloud.toml")),
    ("rfc2307bis", include_str!("profiles/rfc2307bis.toml")),
    ("openldap", include_str!("profiles/openldap.toml")),
    ("vsphere", include_str!("profiles/vsphere.toml")),
    ("nas", include_str!("profiles/nas.toml")),
    ("phonebook", include_str!("profiles/phonebook.toml")),
];

/// What a profile sets.
pub(super) fn section(name: &str) -> Result<Section, ConfigError> {
    let mut texts = TEXTS.iter();
    let text = texts
        .find(|(known, _)| *known == name)
        .map_or("", |(_, text)| text);
    let path = PathBuf::from(format!("profile {name}"));
    Ok(ConfigFile::read(path, text.as_bytes(), &StringMap::default())?.common)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::profile_name::PROFILE_NAMES;

    #[test]
    fn every_profile_has_a_sound_text() {
        assert_eq!(TEXTS.map(|(name, _)| name), PROFILE_NAMES);
        for name in PROFILE_NAMES {
            let section = section(name).unwrap();
            let says_something = !section.attributes().users.is_empty();
            assert_eq!(says_something, name != "authentik", "{name}");
        }
    }

    #[test]
    fn the_page_shows_sound_files_and_names_every_profile_variable_and_syntax() {
        use akldap_directory::shape::{RecordKind, SYNTAXES};
        let page = include_str!("../../docs/shape.md");
        let examples = page
            .split("```toml\n")
            .skip(1)
            .filter_map(|rest| rest.split("```").next());
        let mut count = 0;
        for example in examples {
            let file = ConfigFile::read(PathBuf::from("page"), example.as_bytes(), &StringMap::default());
            assert!(
                file.is_ok(),
                "{example}: {}",
                file.err().map_or(String::new(), |error| error.to_string())
            );
            count += 1;
        }
        assert_eq!(count, 4);
        let names = PROFILE_NAMES
            .into_iter()
            .chain(RecordKind::User.variables().iter().copied())
            .chain(RecordKind::Group.variables().iter().copied())
            .chain(SYNTAXES.iter().map(|(name, _)| *name));
        for name in names {
            assert!(page.contains(&format!("`{name}`")), "{name}");
        }
    }
}
