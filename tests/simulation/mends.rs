//! The patches in `mends/` bring mended faults back, and are useful only as long as they fit the sources. Whether the
//! simulation finds the faults is for `mends/run`, which builds the server once for each.

use std::fs;
use std::path::{Path, PathBuf};

/// A place that a patch changes: its file, and the lines that must be there.
struct Hunk {
    file: String,
    before: Vec<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/simulation/mends")
}

/// Names and texts of all patches.
fn patches() -> Vec<(String, String)> {
    let mut patches: Vec<(String, String)> = fs::read_dir(folder())
        .expect("the folder is there")
        .filter_map(|entry| {
            let path = entry.expect("a readable folder").path();
            let name = path.file_name()?.to_str()?.strip_suffix(".patch")?.to_owned();
            Some((name, fs::read_to_string(path).expect("a patch is text")))
        })
        .collect();
    patches.sort();
    patches
}

fn hunks(patch: &str) -> Vec<Hunk> {
    let mut hunks: Vec<Hunk> = Vec::new();
    let mut file = "";
    for line in patch.lines() {
        if let Some(path) = line.strip_prefix("--- a/") {
            file = path;
        } else if line.starts_with("@@ ") {
            hunks.push(Hunk {
                file: file.to_owned(),
                before: Vec::new(),
            });
        } else if let Some(hunk) = hunks.last_mut()
            && !line.starts_with("+")
            && !line.starts_with("--- ")
        {
            // Context, or what is taken out; an empty line of context may have lost its space.
            hunk.before.push(line.get(1..).unwrap_or_default().to_owned());
        }
    }
    hunks
}

#[test]
fn every_patch_fits_the_sources() {
    let patches = patches();
    assert!(patches.len() > 20, "{} patches were found", patches.len());
    for (name, patch) in patches {
        assert!(
            patch.starts_with("Takes back: "),
            "{name} says what it takes back"
        );
        let hunks = hunks(&patch);
        assert!(!hunks.is_empty(), "{name} changes nothing");
        for Hunk { file, before } in hunks {
            let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&file));
            let source = source.unwrap_or_else(|error| panic!("{name}: {file}: {error}"));
            let lines: Vec<&str> = source.lines().collect();
            let places = lines.windows(before.len()).filter(|lines| **lines == before[..]);
            assert_eq!(places.count(), 1, "{name}: {file} has changed: {before:#?}");
        }
    }
}

#[test]
fn every_patch_is_in_the_table_with_what_finds_it() {
    let table = fs::read_to_string(folder().join("README.md")).expect("there is a table");
    let rows: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name)
        .collect();
    let names: Vec<String> = patches().into_iter().map(|(name, _)| name).collect();
    let listed: Vec<&str> = rows
        .into_iter()
        .filter(|name| name.starts_with(|c: char| c.is_ascii_digit()))
        .collect();
    assert_eq!(listed, names);
}
