//! What CONTRIBUTING.md and ARCHITECTURE.md say about the sources, and neither the compiler nor a lint checks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::modules::name_length;

/// The packages that are shipped.
const SHIPPED: [&str; 4] = [".", "crates/authentik", "crates/directory", "crates/ldap"];
/// Most lines of a file, tests aside.
const MAX_LINES: usize = 500;

#[test]
fn no_file_is_too_long() {
    let mut files = Vec::new();
    for folder in ["src", "crates", "benches"] {
        sources(&root().join(folder), &mut files);
    }
    // All of it is for tests.
    files.retain(|file| !file.starts_with(root().join("crates/testing")));
    assert!(files.len() > 300, "{} files were found", files.len());
    let mut long = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a readable source");
        // Unit tests stand at the end of a file.
        let code = text.split("\n#[cfg(test)]\nmod tests {").next();
        let lines = code.unwrap_or_default().lines().count();
        let name = file.strip_prefix(root()).unwrap_or(&file).display().to_string();
        if lines > MAX_LINES {
            long.push(format!("{name}: {lines}"));
        }
    }
    assert_eq!(long, [""; 0]);
}

/// No manifest can hold these lints for what is shipped alone, so each crate repeats them. `crates/testing` and `crates/workload` are
/// for tests and benchmarks only, which may panic.
#[test]
fn the_strict_lints_are_the_same_in_each_crate() {
    let lints = |file: &str| {
        let text = fs::read_to_string(root().join(file)).expect("a crate");
        let (_, after) = text.split_once("    deny(\n").unwrap_or_default();
        let (lints, _) = after.split_once("\n    )").unwrap_or_default();
        lints.to_owned()
    };
    let strict = lints("src/lib.rs");
    assert!(strict.contains("clippy::unwrap_used"), "{strict}");
    assert_eq!(lints("src/main.rs"), strict);
    for name in ["authentik", "directory", "ldap", "simulator"] {
        assert_eq!(lints(&format!("crates/{name}/src/lib.rs")), strict, "{name}");
    }
}

/// The harness of this program does not know Rust's own attributes: a test that bears one would never run.
#[test]
fn tests_with_clients_are_registered() {
    let mut files = Vec::new();
    sources(&root().join("tests/clients"), &mut files);
    let mut tests = 0;
    for file in files {
        let text = fs::read_to_string(&file).expect("a readable source");
        for line in text.lines().map(str::trim) {
            let foreign = line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            assert!(!foreign, "{}: {line}", file.display());
            tests += usize::from(line.ends_with("client_test]"));
        }
    }
    assert!(tests > 90, "{tests} tests were found");
}

/// One meaning a word: who searches for a type's name finds one type.
#[test]
fn no_type_name_is_declared_twice() {
    let mut files = Vec::new();
    for folder in SHIPPED {
        sources(&root().join(folder).join("src"), &mut files);
    }
    let mut declared: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a readable source");
        let place = file.strip_prefix(root()).unwrap_or(&file).display().to_string();
        for name in types_of(&text) {
            declared.entry(name.to_owned()).or_default().push(place.clone());
        }
    }
    assert!(declared.len() > 500, "{} types were found", declared.len());
    let several = declared.into_iter().filter(|(_, places)| places.len() > 1);
    let several: Vec<String> = several
        .map(|(name, places)| format!("{name}: {}", places.join(", ")))
        .collect();
    assert_eq!(several, [""; 0]);
}

#[test]
fn the_types_of_a_source_are_found() {
    let text = "pub(crate) struct A<T>(T);\nenum B { C }\npub trait D: E {\n    type F;\n}\ntype G = H;\n\
                pub(in crate::x) struct I;\nuse x::{struct_y, Z};\nimpl A {}\n\
                #[cfg(test)]\nmod tests {\nstruct J;\n}";
    assert_eq!(types_of(text).collect::<Vec<_>>(), ["A", "B", "D", "G", "I"]);
}

/// The types that a source declares at its top, its tests aside.
fn types_of(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("\n#[cfg(test)]\nmod tests {").next();
    code.unwrap_or_default().lines().filter_map(|line| {
        let line = match line.strip_prefix("pub") {
            Some(line) if line.starts_with('(') => line.split_once(')')?.1.trim_start(),
            Some(line) => line.trim_start(),
            None => line,
        };
        let kinds = ["struct ", "enum ", "trait ", "type ", "union "];
        let rest = kinds.iter().find_map(|kind| line.strip_prefix(kind))?;
        Some(&rest[..name_length(rest)])
    })
}

#[test]
fn what_the_documents_name_is_there() {
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = fs::read_to_string(root().join(document)).expect("a document");
        let quoted = text.split('`').skip(1).step_by(2);
        let places: Vec<&str> = quoted.filter(|text| is_place(text)).collect();
        assert!(places.len() > 10, "{document} names {places:?}");
        for place in places {
            assert!(root().join(place).exists(), "{document} names {place}");
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whether it is the path of a file or a folder of the repository, and not one that is made.
fn is_place(text: &str) -> bool {
    let folders = ["src/", "crates/", "tests/", "benches/", "fuzz/", "docs/", ".ci/"];
    folders.iter().any(|folder| text.starts_with(folder)) && !text.contains(' ')
}

/// The sources below a folder, without those that are tests.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable folder").path();
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if name.ends_with("tests") {
            continue;
        }
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}
