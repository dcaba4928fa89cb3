//! No circle between the files of a crate: whoever reads one need not know those that use it. Only this test checks that,
//! so the sources are read: the paths in them, and the calls of methods that a file gives to a type of another.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::methods::Methods;
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
    // A child that gives its parent's type methods, and the parent's call of one.
    let methods = "use super::X;\nimpl X {\n    pub(super) fn f(&self) {}\n    fn g(&self) {}\n}";
    for text in [
        "struct X;\nimpl X {\n    fn h(&self) {\n        self.f()\n    }\n}",
        "struct X;\nfn h(x: &X) {\n    x.f()\n}",
        "struct X;\nstruct Y {\n    x: Arc<X>,\n}\nimpl Y {\n    fn h(&self) {\n        self.x.f()\n    }\n}",
        "struct X;\nfn h() {\n    X::f(&X)\n}",
        "struct X;\nfn h() {\n    i()\n        .f()\n}",
        "struct X;\nfn f() {}\nfn h() {\n    i().f()\n}",
    ] {
        let files = [("a", text), ("a::b", methods), ("c", "")];
        assert_eq!(circles_of(&files), ["a", "a::b"], "{text}");
    }
    // The methods are those of the type, wherever it is called: here `c` needs `d`, which needs `c`.
    let far = [
        ("a", "struct X;"),
        (
            "b",
            "use crate::d::Y;\nimpl crate::a::X {\n    pub(crate) fn f(&self, y: Y) {}\n}",
        ),
        (
            "d",
            "struct Y;\nstruct Z;\nimpl Z {\n    fn h(&self, x: &crate::a::X) {\n        x.f(Y)\n    }\n}",
        ),
    ];
    assert_eq!(circles_of(&far), ["b", "d"]);
    for text in [
        // Not seen from there.
        "struct X;\nfn h(x: &X) {\n    x.g()\n}",
        // That of another type.
        "struct X;\nstruct Y;\nimpl Y {\n    fn f(&self) {}\n    fn h(&self) {\n        self.f()\n    }\n}",
        "struct X;\nfn h(x: &Y) {\n    x.f()\n}",
        // A field and a function.
        "struct X;\nfn h(x: &X) {\n    x.f;\n    f()\n}",
    ] {
        assert_eq!(circles_of(&[("a", text), ("a::b", methods)]), [""; 0], "{text}");
    }
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

/// The modules that use one that, directly or not, uses them.
fn circles(sources: &Sources) -> Vec<String> {
    let methods = Methods::of(sources);
    let used: BTreeMap<&Module, BTreeSet<&Module>> = sources
        .iter()
        .map(|(module, code)| {
            let named = used_by(module, code, sources);
            (module, &named | &methods.used_by(module, code))
        })
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
