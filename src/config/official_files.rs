//! The configuration files of the official outpost, which are not read here. Whoever has one is told so: otherwise what it
//! says would silently have no effect.
//!
//! Knows their places (in the official order of reading); must not know their contents.

use std::path::{Path, PathBuf};

use super::error::ConfigWarning;
use super::strings::Strings;

/// The most files a warning names.
const MOST_NAMED: usize = 8;

/// The warning about the files there are, below `root` and in the directory the official outpost would read from: that in
/// WORKSPACE_DIR, or the current one. `None`: there is none.
#[must_use]
pub fn unread_files(strings: &dyn Strings, root: &Path) -> Option<ConfigWarning> {
    let text = |name: &str| strings.get(name).ok().flatten().filter(|text| !text.is_empty());
    let directory = text("WORKSPACE_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from);
    let environment = text("AUTHENTIK_ENV").unwrap_or_else(|| "local".to_owned());
    let mut files = vec![
        root.join("etc/authentik/config.yml"),
        directory.join(format!("{environment}.yml")),
        directory.join(format!("{environment}.env.yml")),
    ];
    let mut further: Vec<PathBuf> = std::fs::read_dir(root.join("etc/authentik/config.d"))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
        .collect();
    further.sort();
    files.extend(further);
    files.retain(|file| file.is_file());
    let more = files.len().saturating_sub(MOST_NAMED);
    files.truncate(MOST_NAMED);
    (!files.is_empty()).then_some(ConfigWarning::UnreadFiles { files, more })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::StringMap;

    #[test]
    fn every_usual_place_is_looked_at_and_one_warning_names_all() {
        let (root, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut strings = StringMap::default();
        strings.set("WORKSPACE_DIR", work.path().to_str().unwrap());
        assert_eq!(unread_files(&strings, root.path()), None);
        let etc = root.path().join("etc/authentik");
        fs::create_dir_all(etc.join("config.d")).unwrap();
        let expected = [
            etc.join("config.yml"),
            work.path().join("local.yml"),
            work.path().join("local.env.yml"),
            etc.join("config.d/10-first.yml"),
            etc.join("config.d/20-second.yml"),
        ];
        for file in expected
            .iter()
            .chain([&etc.join("config.d/notes.txt"), &work.path().join("test.yml")])
        {
            fs::write(file, "").unwrap();
        }
        let warning = unread_files(&strings, root.path()).unwrap();
        let found = |files: &[PathBuf]| ConfigWarning::UnreadFiles {
            files: files.to_vec(),
            more: 0,
        };
        assert_eq!(warning, found(&expected));
        let text = warning.to_string();
        assert!(
            text.contains("config.yml") && text.contains("20-second.yml") && !text.contains("notes"),
            "{text}"
        );
        strings.set("AUTHENTIK_ENV", "test");
        let [etc, _, _, first, second] = expected;
        let expected = [etc, work.path().join("test.yml"), first, second];
        assert_eq!(unread_files(&strings, root.path()), Some(found(&expected)));
    }
}
