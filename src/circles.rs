//! No circle between the files of a crate: whoever reads one need not know those that use it. Nothing but this test holds
//! that, so the sources are read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::modules::{Module, Sources, code_of, sources, used_by};

/// The crates, each with how many modules it has at least: a folder that was not found would have no circles.
const CRATES: &[(&str, usize)] = &[
    (".", 11),
    ("crates/authentik", 11),
    ("crates/directory", 11),
    ("crates/ldap", 11),
    ("crates/simulator", 11),
    ("crates/testing", 11),
    ("crates/workload", 4),
];

#[test]
fn no_files_of_a_crate_go_round_in_circles() {
    for (folder, fewest) in CRATES {
        let sources = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join("src"));
        assert!(sources.len() >= *fewest, "{folder} has few sources");
        assert_eq!(circles(&sources), [""; 0], "{folder}");
    }
}

#[test]
fn a_circle_is_found_however_it_is_written() {
    let circles_of = |files: &[(&str, &str)]| {
        let module = |path: &str| -> Module {
            let names = path.split("::").filter(|name| !name.is_empty());
            names.map(str::to_owned).collect()
        };
        let sources = files.iter().map(|(path, text)| (module(path), code_of(text)));
        circles(&sources.collect())
    };
    let other = ("b", "use super::a::X;");
    for text in [
        "use crate::b;",
        "use crate::{c::Y, b::{self, Z}};",
        "fn f() { super::b::g() }",
        "pub use super::b::*;",
        "#[cfg(not(test))]\nuse super::b::X;",
        "fn f() { g(\"http://c\", super::b::X) }",
    ] {
        assert_eq!(circles_of(&[("a", text), other, ("c", "")]), ["a", "b"], "{text}");
    }
    let front = [("", "mod a;\npub use a::X;"), ("a", "use crate::Y;")];
    assert_eq!(circles_of(&front), ["", "a"]);
    let child = [("a", "mod b;\nfn f() { b::g() }"), ("a::b", "use super::X;")];
    assert_eq!(circles_of(&child), ["a", "a::b"]);
    let long = [
        ("a", "use crate::b::X;"),
        ("b", "use crate::c::X;"),
        ("c", "use crate::a::X;"),
        ("d", "use crate::a::X;"),
    ];
    assert_eq!(circles_of(&long), ["a", "b", "c"]);
    for text in [
        "// See crate::b.",
        "mod b;",
        "use self::X;",
        "#[cfg(test)]\nuse crate::b::X;",
        "fn f() {}\n#[cfg(test)]\nmod tests {\n    use crate::b::X;\n}",
        "use other::b::X;",
        "pub(in crate::b) fn f() {}",
    ] {
        assert_eq!(circles_of(&[("a", text), other]), [""; 0], "{text}");
    }
}

/// The modules of which each uses one that, by whatever way, uses it.
fn circles(sources: &Sources) -> Vec<String> {
    let used: BTreeMap<&Module, BTreeSet<&Module>> = sources
        .iter()
        .map(|(module, code)| (module, used_by(module, code, sources)))
        .collect();
    let goes_round = |module: &&Module| {
        let mut reached = BTreeSet::new();
        let mut next: Vec<&Module> = vec![module];
        while let Some(from) = next.pop() {
            next.extend(used[from].iter().filter(|to| reached.insert(**to)));
        }
        reached.contains(*module)
    };
    let round = sources.keys().filter(goes_round);
    round.map(|module| module.join("::")).collect()
}
