//! The layer rule within this crate: `server → outpost`, and `config`, `logging` and `metrics` below both. Between crates the
//! compiler holds it. Here nothing does, so the sources are read.

use std::fs;
use std::path::{Path, PathBuf};

/// A module, the others of this crate it may use, and what it may use of the crates.
const MAY_USE: &[(&str, &[&str], &[&str])] = &[
    // A list of names is all that is known there of directories.
    ("config", &[], &["akldap_directory::password_attributes"]),
    ("logging", &["config"], &[]),
    ("metrics", &[], &[]),
    // Asks authentik as the server would, and is none.
    ("check", &["config"], &["akldap_authentik", "akldap_ldap"]),
    // A client of two servers, and of nothing here but the codec.
    (
        "diff",
        &[],
        &[
            "akldap_authentik::tls",
            "akldap_directory::password_attributes",
            "akldap_ldap",
        ],
    ),
    ("outpost", &["config", "logging", "metrics"], LAYERS),
    ("server", &["config", "logging", "metrics", "outpost"], LAYERS),
];
/// The crates of the lower layers. The simulator is none of them.
const LAYERS: &[&str] = &["akldap_authentik", "akldap_directory", "akldap_ldap"];

#[test]
fn every_module_uses_only_lower_ones() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut violations = Vec::new();
    for (module, lower, crates) in MAY_USE {
        let files = files_of(&source, module);
        assert!(!files.is_empty(), "{module} has no source");
        for file in files {
            let text = fs::read_to_string(&file).expect("a readable source");
            let code = code_of(&text);
            let modules = modules_named(&code).filter(|used| used != module && !lower.contains(used));
            violations.extend(modules.map(|used| format!("{}: {used}", file.display())));
            let others = crates_named(&code).filter(|used| !crates.iter().any(|name| used.starts_with(name)));
            violations.extend(others.map(|used| format!("{}: {used}", file.display())));
        }
    }
    assert_eq!(violations, [""; 0]);
}

#[test]
fn every_module_has_its_place() {
    let modules = include_str!("lib.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    for module in modules.filter(|module| *module != "cli") {
        let known = MAY_USE.iter().any(|(name, ..)| *name == module);
        assert!(known, "{module} has no place among the layers");
    }
}

#[test]
fn what_a_source_names_is_found() {
    let modules = |text| {
        modules_named(&code_of(text))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let two = "use crate::config::{self, Config};\nfn f() { crate::server::x() }";
    assert_eq!(modules(two), ["config", "server"]);
    let comments = "/// See [`crate::server`].\nuse super::Outpost; // crate::server";
    assert_eq!(modules(comments), [""; 0]);
    let tests = "fn f() {}\n#[cfg(test)]\nmod tests {\n    use crate::server;\n}";
    assert_eq!(modules(tests), [""; 0]);
    // A list is nobody's lower layer.
    assert_eq!(modules("use crate::{config, server};"), [""]);
    let code = "use akldap_ldap::dn::Dn;\nuse akldap_simulator::User;\nlet name = \"akldap_users\";";
    let crates: Vec<_> = crates_named(code).collect();
    assert_eq!(crates, ["akldap_ldap::dn", "akldap_simulator::User"]);
}

/// A source without comments and without its tests, which are nobody's lower layer.
fn code_of(text: &str) -> String {
    let code = text.split("\nmod tests {").next().unwrap_or_default();
    let lines = code
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The modules of this crate that are named.
fn modules_named(code: &str) -> impl Iterator<Item = &str> {
    code.split("crate::")
        .skip(1)
        .map(|rest| &rest[..name_length(rest)])
}

/// The crates of ours that are named, each with what follows it.
fn crates_named(code: &str) -> impl Iterator<Item = &str> {
    code.match_indices("akldap_").filter_map(|(start, _)| {
        let rest = &code[start..];
        let length = name_length(rest);
        let item = rest[length..].strip_prefix("::")?;
        Some(&rest[..length + 2 + name_length(item)])
    })
}

fn name_length(text: &str) -> usize {
    text.find(|character: char| !character.is_alphanumeric() && character != '_')
        .unwrap_or(text.len())
}

/// The sources of a module, its test files left out.
fn files_of(source: &Path, module: &str) -> Vec<PathBuf> {
    let single = source.join(module).with_extension("rs");
    let mut files: Vec<PathBuf> = single.is_file().then_some(single).into_iter().collect();
    let mut folders = vec![source.join(module)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.expect("a readable folder").path();
            if path.file_stem().is_some_and(|name| name == "tests") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}
