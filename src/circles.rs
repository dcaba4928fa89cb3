//! No circle between the files of a crate: whoever reads one need not know those that use it. Nothing but this test holds
//! that, so the sources are read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The crates, each with the modules whose files still know each other.
const CRATES: &[(&str, &[&str])] = &[
    (".", &[]),
    ("crates/authentik", &[]),
    ("crates/directory", &[]),
    ("crates/ldap", &[]),
    ("crates/simulator", &[]),
];

/// A module's path within its crate; that of the crate itself is empty.
type Module = Vec<String>;
type Sources = BTreeMap<Module, String>;

#[test]
fn no_files_of_a_crate_go_round_in_circles() {
    for (folder, not_yet) in CRATES {
        let sources = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join("src"));
        assert!(sources.len() > 10, "{folder} has no sources");
        let is_known = |module: &str| {
            let mut known = not_yet.iter();
            known.any(|name| {
                let below = module.strip_prefix(name);
                below.is_some_and(|below| name.is_empty() || below.is_empty() || below.starts_with("::"))
            })
        };
        let mut circles = circles(&sources);
        circles.retain(|module| !is_known(module));
        assert_eq!(circles, [""; 0], "{folder}");
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

/// The other modules that a source names.
fn used_by<'s>(module: &Module, code: &str, sources: &'s Sources) -> BTreeSet<&'s Module> {
    let mut used = BTreeSet::new();
    let mut rest = code;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let length = name_length(rest);
        if length == 0 {
            before = first;
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let begins = !matches!(before, ':' | '.' | '\'') && rest[length..].starts_with("::");
        if begins {
            for path in paths(rest).0 {
                let found = absolute(module, &path, sources).and_then(|path| {
                    let prefixes = (0..=path.len()).rev().map(|length| &path[..length]);
                    let mut modules = prefixes.filter_map(|prefix| sources.get_key_value(prefix));
                    modules.next().map(|(found, _)| found)
                });
                used.extend(found.filter(|found| *found != module));
            }
        }
        before = rest[..length].chars().next_back().unwrap_or(' ');
        rest = &rest[length..];
    }
    used
}

/// The path from the crate on; `None` if it begins with neither a keyword nor a module below this one.
fn absolute(module: &Module, path: &[&str], sources: &Sources) -> Option<Module> {
    let mut from = module.clone();
    let mut names = path.iter().copied().peekable();
    match *names.peek()? {
        "crate" => {
            names.next();
            from.clear();
        }
        "self" | "super" => {
            while let Some(keyword) = names.next_if(|name| matches!(*name, "self" | "super")) {
                if keyword == "super" {
                    from.pop()?;
                }
            }
        }
        child => {
            let below: Module = from.iter().cloned().chain([child.to_owned()]).collect();
            sources.get(&below)?;
        }
    }
    from.extend(names.map(str::to_owned));
    Some(from)
}

/// The paths that begin here, several if there are braces, and what follows them.
fn paths(text: &str) -> (Vec<Vec<&str>>, &str) {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        let mut all = Vec::new();
        while !rest.trim_start().is_empty() && !rest.trim_start().starts_with('}') {
            let (found, after) = paths(rest);
            all.extend(found);
            // Behind `as x` and the comma.
            let next = after.find([',', '}']).unwrap_or(after.len());
            rest = after[next..].strip_prefix(',').unwrap_or(&after[next..]);
        }
        return (all, rest.trim_start().strip_prefix('}').unwrap_or_default());
    }
    let (name, rest) = text.split_at(name_length(text));
    match rest.strip_prefix("::") {
        Some(below) if !below.starts_with('<') => {
            let (mut found, rest) = paths(below);
            found.iter_mut().for_each(|path| path.insert(0, name));
            (found, rest)
        }
        _ => (vec![vec![name]], rest),
    }
}

fn name_length(text: &str) -> usize {
    text.find(|character: char| !character.is_alphanumeric() && character != '_')
        .unwrap_or(text.len())
}

/// A source without comments and without what is for tests only.
fn code_of(text: &str) -> String {
    let is_tests = |at: usize, mark: &str| {
        let line = text[at + mark.len()..].lines().next();
        line.is_some_and(|line| line.ends_with('{'))
    };
    let mut marks = text.match_indices("\n#[cfg(test)]\nmod ");
    let end = marks.find(|(at, mark)| is_tests(*at, mark)).map(|(at, _)| at);
    let mut code: Vec<&str> = text[..end.unwrap_or(text.len())]
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect();
    let is_for_tests: Vec<bool> = code
        .iter()
        .map(|line| line.starts_with("#[cfg") && line.contains("test"))
        .collect();
    for (line, _) in code.iter_mut().skip(1).zip(&is_for_tests).filter(|(_, is)| **is) {
        *line = "";
    }
    let code = code.join("\n");
    // Where something is visible, it need not be used.
    let mut parts = code.split("pub(in ");
    let first = parts.next().unwrap_or_default().to_owned();
    let visible = parts.map(|part| part.split_once(')').map_or(part, |(_, rest)| rest));
    visible.fold(first, |code, part| code + part)
}

/// The sources of a crate by module, its tests left out.
fn sources(folder: &Path) -> Sources {
    let mut sources = Sources::new();
    let mut folders = vec![(folder.to_owned(), Module::new())];
    while let Some((folder, module)) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("a readable folder").path();
            let name = path.file_stem().and_then(|name| name.to_str());
            let name = name.expect("a name in UTF-8").to_owned();
            if name.ends_with("tests") || name == "fixture" {
                continue;
            }
            let mut module = module.clone();
            let is_front = matches!(name.as_str(), "lib" | "main" | "mod");
            module.extend((!is_front).then_some(name));
            if path.is_dir() {
                folders.push((path, module));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a readable source");
                *sources.entry(module).or_default() += &code_of(&text);
            }
        }
    }
    sources
}
