//! SECURITY.md names what proves each promise: the files and the tests it names exist.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    fs::read_to_string(root().join("SECURITY.md")).expect("the page")
}

/// What is between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_place_it_names_is_there() {
    let page = page();
    let places: Vec<&str> = quoted(&page)
        .filter(|text| text.ends_with(".rs") || text.ends_with('/'))
        .collect();
    assert!(places.len() > 40, "{places:?}");
    for place in places {
        let there = [root().join(place), root().join("tests").join(place)];
        assert!(
            there.iter().any(|path| path.exists()),
            "SECURITY.md names {place}"
        );
    }
}

#[test]
fn every_test_it_names_is_there() {
    let page = page();
    let (_, list) = page
        .split_once("\nThe tests, in `tests/binds/ends.rs`")
        .expect("the list");
    let list: String = list
        .lines()
        .filter(|line| line.starts_with(char::is_numeric))
        .collect();
    let names: Vec<&str> = quoted(&list).filter(|text| !text.contains('/')).collect();
    assert!(names.len() >= 28, "{names:?}");
    let mut files = Vec::new();
    for folder in ["src", "tests"] {
        sources(&root().join(folder), &mut files);
    }
    let code: String = files
        .iter()
        .map(|file| fs::read_to_string(file).expect("a source"))
        .collect();
    for name in names {
        assert!(code.contains(&format!("fn {name}(")), "SECURITY.md names {name}");
    }
}
