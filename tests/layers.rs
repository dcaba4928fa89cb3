//! The layer rule: `server → outpost → {authentik, directory} → ldap`, and the two lowest layers know no runtime, no
//! clock, no environment, no logging. One crate means the compiler does not check this, so the sources are read.

use std::fs;
use std::path::{Path, PathBuf};

/// A module of the crate and the others it may use. The first five are the layers; the rest stand beside them.
const MAY_USE: &[(&str, &[&str])] = &[
    ("ldap", &[]),
    ("directory", &["ldap", "password_attributes"]),
    ("authentik", &["ldap", "config", "logging", "metrics"]),
    (
        "outpost",
        &["authentik", "directory", "ldap", "config", "logging", "metrics"],
    ),
    (
        "server",
        &[
            "outpost",
            "authentik",
            "directory",
            "ldap",
            "config",
            "logging",
            "metrics",
        ],
    ),
    ("config", &["password_attributes"]),
    ("logging", &["config"]),
    ("metrics", &[]),
    // A list of names.
    ("password_attributes", &[]),
    // What it imitates is authentik, so it must not borrow our idea of authentik.
    ("simulator", &[]),
];

/// Layers that are functions of their arguments only.
const PURE: &[&str] = &["ldap", "directory"];

/// What a pure layer must not name.
const IMPURE: &[&str] = &[
    "tokio",
    "tracing",
    "reqwest",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread::sleep",
    "SystemTime",
    "Instant::now",
    "time::Instant",
    "new_v4",
    "fastrand",
];

#[test]
fn every_layer_uses_only_lower_ones() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut violations = Vec::new();
    let mut read = 0;
    for (layer, _) in MAY_USE {
        let files = files_of(&source, layer);
        assert!(!files.is_empty(), "{layer} has no source");
        for file in files {
            read += 1;
            let text = fs::read_to_string(&file).expect("a readable source");
            let depth = module_depth(&source, &file);
            for violation in violations_in(layer, depth, &text) {
                violations.push(format!("{}: {violation}", file.display()));
            }
        }
    }
    assert!(read >= MAY_USE.len());
    assert!(
        violations.is_empty(),
        "the layer rule is broken:\n{}",
        violations.join("\n")
    );
}

#[test]
fn every_module_is_in_the_table() {
    let library =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("lib.rs");
    let declared = library
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    for module in declared.filter(|module| *module != "cli") {
        assert!(
            MAY_USE.iter().any(|(name, _)| *name == module),
            "{module} has no place among the layers"
        );
    }
}

#[test]
fn the_search_finds_what_it_should() {
    for (layer, text) in [
        ("ldap", "use crate::directory::Snapshot;"),
        ("ldap", "use crate::{ldap::dn, server::Session};"),
        ("ldap", "use crate::{\n    ldap::{ber, dn},\n    outpost,\n};"),
        ("ldap", "let now = std::time::Instant::now();"),
        ("ldap", "use super::super::server;"),
        ("directory", "fn f() { crate::authentik::api::page(); }"),
        ("directory", "use tokio::sync::Mutex;"),
        ("directory", "tracing::warn!(\"x\");"),
        ("authentik", "use crate::directory;"),
        ("outpost", "use crate::server;"),
        ("server", "use akldap::cli;"),
        ("simulator", "use crate::authentik;"),
    ] {
        assert_ne!(violations_in(layer, 2, text), [""; 0], "{layer}: {text}");
    }
    for (layer, text) in [
        ("ldap", "use crate::ldap::{ber, server_sort};"),
        (
            "ldap",
            "// use crate::server;\n/// See [`crate::server`].\nuse super::ber;",
        ),
        ("directory", "use crate::{directory::entry, ldap::{dn, filter}};"),
        (
            "directory",
            "#[cfg(test)]\nmod tests {\n    use std::time::Instant;\n}",
        ),
        ("server", "use crate::outpost;\nuse crate::directory;"),
    ] {
        assert_eq!(violations_in(layer, 2, text), [""; 0], "{layer}: {text}");
    }
}

/// What `text`, a file of `layer` whose module lies `depth` below the crate, must not contain. Tests are left out: they
/// are nobody's lower layer, and may read files and clocks.
fn violations_in(layer: &str, depth: usize, text: &str) -> Vec<String> {
    let code = without_comments(text);
    let code = code.split("\nmod tests {").next().unwrap_or_default();
    let (_, allowed) = MAY_USE
        .iter()
        .find(|(name, _)| *name == layer)
        .expect("a known layer");
    let mut violations = Vec::new();
    for root in ["crate::", "akldap::"] {
        for (start, _) in code.match_indices(root) {
            for used in first_segments(&code[start + root.len()..]) {
                if used != layer && !allowed.contains(&used) {
                    violations.push(format!("{layer} must not use {used}"));
                }
            }
        }
    }
    if code.contains(&"super::".repeat(depth)) {
        violations.push(format!("{layer} leaves its layer through super"));
    }
    if PURE.contains(&layer) {
        let impure = IMPURE.iter().filter(|word| contains_path(code, word));
        violations.extend(impure.map(|word| format!("{layer} is pure and must not use {word}")));
    }
    violations
}

/// The modules named by what follows `crate::`: one, or each at the top of a braced list.
fn first_segments(path: &str) -> Vec<&str> {
    let Some(list) = path.strip_prefix('{') else {
        return vec![identifier(path)];
    };
    let mut segments = Vec::new();
    let mut nesting = 0_usize;
    let mut expecting = true;
    for (index, character) in list.char_indices() {
        match character {
            '{' => nesting += 1,
            '}' if nesting == 0 => break,
            '}' => nesting -= 1,
            ',' if nesting == 0 => expecting = true,
            _ if expecting && !character.is_whitespace() => {
                segments.push(identifier(&list[index..]));
                expecting = false;
            }
            _ => {}
        }
    }
    segments
}

fn identifier(text: &str) -> &str {
    let end = text
        .find(|character: char| !(character.is_alphanumeric() || character == '_'))
        .unwrap_or(text.len());
    &text[..end]
}

/// Whether `code` names `path` as whole words.
fn contains_path(code: &str, path: &str) -> bool {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    code.match_indices(path).any(|(start, _)| {
        !code[..start].ends_with(is_word) && !code[start + path.len()..].starts_with(is_word)
    })
}

fn without_comments(text: &str) -> String {
    text.lines()
        .map(|line| line.split_once("//").map_or(line, |(code, _)| code))
        .collect::<Vec<_>>()
        .join("\n")
}

/// How many modules below the crate root a file's own module lies.
fn module_depth(source: &Path, file: &Path) -> usize {
    let relative = file.strip_prefix(source).expect("below src");
    let depth = relative.components().count();
    if file.file_name().is_some_and(|name| name == "mod.rs") {
        depth - 1
    } else {
        depth
    }
}

/// The sources of a top-level module, its test files left out.
fn files_of(source: &Path, module: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let single = source.join(module).with_extension("rs");
    if single.is_file() {
        files.push(single);
    }
    let mut directories = vec![source.join(module)];
    while let Some(directory) = directories.pop() {
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        for entry in entries {
            let path = entry.expect("a readable directory").path();
            let is_test = path.file_stem().is_some_and(|name| name == "tests");
            if is_test {
                continue;
            }
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}
