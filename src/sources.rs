//! What CONTRIBUTING.md and ARCHITECTURE.md say about the sources and neither the compiler nor a lint checks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::declarations::types_of;

/// The packages that are shipped.
const SHIPPED: [&str; 4] = [".", "crates/authentik", "crates/directory", "crates/ldap"];
/// The most lines of a file, tests aside.
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
        // Unit tests are at the end of a file.
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

/// The harness of this program does not know Rust's own attributes: a test marked with one would never run.
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

/// One meaning per word: whoever searches for a type's name finds one type. What is shipped counts as one text, and so does each
/// package, test program and benchmark next to it. Between these a name may recur: the simulator uses authentik's words for
/// authentik's things, and a test calls its own client `Client`.
#[test]
fn no_type_name_is_declared_twice() {
    let mut shipped = Vec::new();
    for folder in SHIPPED {
        sources(&root().join(folder).join("src"), &mut shipped);
    }
    assert!(declared(&shipped).len() > 500, "{:?}", declared(&shipped).keys());
    let mut several = declared_twice(&shipped);
    let packages =
        folders("crates").filter(|folder| !SHIPPED.iter().any(|shipped| folder.ends_with(shipped)));
    let programs: Vec<PathBuf> = packages
        .chain(folders("tests"))
        .chain(folders("benches"))
        .collect();
    assert!(programs.len() > 12, "{programs:?}");
    for program in programs {
        let mut files = Vec::new();
        sources(&program, &mut files);
        several.extend(declared_twice(&files));
    }
    assert_eq!(several, [""; 0]);
}

/// The names of the types that several of these files declare, or one of them several times, with the files.
fn declared_twice(files: &[PathBuf]) -> Vec<String> {
    let several = declared(files).into_iter().filter(|(_, paths)| paths.len() > 1);
    several
        .map(|(name, paths)| format!("{name}: {}", paths.join(", ")))
        .collect()
}

/// The types that these files declare, each with the files.
fn declared(files: &[PathBuf]) -> BTreeMap<String, Vec<String>> {
    let mut declared: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files {
        let text = fs::read_to_string(file).expect("a readable source");
        let path = file.strip_prefix(root()).unwrap_or(file).display().to_string();
        for name in types_of(&text) {
            declared.entry(name.to_owned()).or_default().push(path.clone());
        }
    }
    declared
}

/// The folders in a folder of the project.
fn folders(within: &str) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(root().join(within)).expect("a readable folder");
    let folders = entries.map(|entry| entry.expect("a readable folder").path());
    folders.filter(|path| path.is_dir())
}

#[test]
fn what_the_documents_name_is_there() {
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = fs::read_to_string(root().join(document)).expect("a document");
        let quoted = text.split('`').skip(1).step_by(2);
        let paths: Vec<&str> = quoted.filter(|text| is_place(text)).collect();
        assert!(paths.len() > 10, "{document} names {paths:?}");
        for path in paths {
            assert!(root().join(path).exists(), "{document} names {path}");
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whether it is the path of a file or folder in the repository, and not of a generated one.
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
