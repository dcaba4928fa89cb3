//! The layer rule within this crate: `server → outpost`, and `config`, `logging` and `metrics` below both. Between crates the compiler enforces it.
//! Here nothing does, so the sources are read.

use std::path::Path;

use crate::modules::{Module, Sources, code_of, name_length, sources, used_by};

/// A module, the others of this crate it may use, and what it may use of the crates.
const MAY_USE: &[(&str, &[&str], &[&str])] = &[
    // All that is known there about directories and authentik is lists of names, choices of an admin and the settings of a client; about LDAP, how a
    // base DN is written.
    (
        "config",
        &[],
        &[
            "akldap_authentik::Proxies",
            "akldap_authentik::given_file",
            "akldap_authentik::Settings",
            "akldap_directory::password_attributes",
            "akldap_directory::shape",
            "akldap_directory::style",
            "akldap_ldap::dn",
        ],
    ),
    ("logging", &["config", "terminal"], &[]),
    ("clock", &[], &[]),
    ("terminal", &[], &[]),
    ("machine_memory", &[], &[]),
    (
        "traces",
        &["config", "logging"],
        &["akldap_authentik::tls", "akldap_authentik::ApiError"],
    ),
    ("metrics", &["terminal"], &[]),
    // Asks authentik as the server would, but is not a server.
    (
        "check",
        &["config", "machine_memory", "outpost", "terminal"],
        &["akldap_authentik", "akldap_ldap"],
    ),
    // A client of two servers, and of nothing here but the codec.
    (
        "diff",
        &["terminal"],
        &["akldap_directory::password_attributes", "akldap_ldap"],
    ),
    (
        "outpost",
        &["clock", "config", "logging", "metrics", "traces"],
        LAYERS,
    ),
    (
        "server",
        &[
            "clock",
            "config",
            "logging",
            "machine_memory",
            "metrics",
            "outpost",
            "terminal",
            "traces",
        ],
        LAYERS,
    ),
    // Starts all the others, and the demo as well.
    (
        "cli",
        &[
            "check", "config", "diff", "logging", "server", "terminal", "traces",
        ],
        &[
            "akldap_authentik::given_file",
            "akldap_authentik::tls",
            "akldap_simulator",
        ],
    ),
];
/// The crates of the lower layers. The simulator is not one of them.
const LAYERS: &[&str] = &["akldap_authentik", "akldap_directory", "akldap_ldap"];

#[test]
fn every_module_uses_only_lower_ones() {
    let sources = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let mut violations = Vec::new();
    for (layer, lower, crates) in MAY_USE {
        let of_layer = |(module, _): &(&Module, &String)| module.first().is_some_and(|name| name == layer);
        let mut files = sources.iter().filter(of_layer).peekable();
        assert!(files.peek().is_some(), "{layer} has no source");
        for (module, code) in files {
            let layers = layers_used(module, code, &sources);
            let higher = layers.filter(|used| used != layer && !lower.contains(used));
            violations.extend(higher.map(|used| format!("{}: {used}", module.join("::"))));
            let others = crates_named(code).filter(|used| !crates.iter().any(|name| used.starts_with(name)));
            violations.extend(others.map(|used| format!("{}: {used}", module.join("::"))));
        }
    }
    assert_eq!(violations, [""; 0]);
}

#[test]
fn every_module_has_its_place() {
    let modules = include_str!("lib.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    for module in modules {
        let known = MAY_USE.iter().any(|(name, ..)| *name == module);
        assert!(known, "{module} has no place among the layers");
    }
}

#[test]
fn what_a_source_names_is_found() {
    let modules = [
        &[][..],
        &["config"],
        &["outpost"],
        &["outpost", "binds"],
        &["server"],
    ];
    let modules = modules.map(|names| names.iter().copied().map(str::to_owned).collect::<Module>());
    let all: Sources = modules
        .into_iter()
        .map(|module| (module, String::new()))
        .collect();
    let within = ["outpost", "binds"].map(str::to_owned).to_vec();
    let layers = |text| {
        layers_used(&within, &code_of(text), &all)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let two = "use crate::config::{self, Config};\nfn f() { crate::server::x() }";
    assert_eq!(layers(two), ["config", "server"]);
    assert_eq!(layers("use crate::{config, server};"), ["config", "server"]);
    assert_eq!(layers("use super::super::server::X;"), ["server"]);
    assert_eq!(layers("use super::Outpost; // crate::server"), ["outpost"]);
    assert_eq!(layers("/// See [`crate::server`]."), [""; 0]);
    let tests = "fn f() {}\n#[cfg(test)]\nmod tests {\n    use crate::server;\n}";
    assert_eq!(layers(tests), [""; 0]);
    // The crate itself is nobody's lower layer.
    assert_eq!(layers("use crate::X;"), [""]);
    let code = "use akldap_ldap::dn::Dn;\nuse akldap_simulator::User;\nlet name = \"akldap_users\";";
    let crates: Vec<_> = crates_named(code).collect();
    assert_eq!(crates, ["akldap_ldap::dn", "akldap_simulator::User"]);
}

/// The top-level modules of this crate of which a source names something; the empty name for what belongs to the crate itself.
fn layers_used<'s>(module: &Module, code: &str, sources: &'s Sources) -> impl Iterator<Item = &'s str> {
    let used = used_by(module, code, sources).into_iter();
    used.map(|used| used.first().map_or("", String::as_str))
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
