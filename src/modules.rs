//! The modules of a crate and which of them each names, read from its sources. Knows enough Rust for the tests that check how
//! modules may depend on each other (`circles`, `layers`), but not what they allow.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A module's path within its crate; that of the crate itself is empty.
pub(crate) type Module = Vec<String>;
/// The code of each module.
pub(crate) type Sources = BTreeMap<Module, String>;

/// The other modules that a source names.
pub(crate) fn used_by<'s>(module: &Module, code: &str, sources: &'s Sources) -> BTreeSet<&'s Module> {
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

/// The path from the crate onwards; `None` if it begins with neither a keyword nor a module below this one.
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
            // After `as x` and the comma.
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

pub(crate) fn name_length(text: &str) -> usize {
    text.find(|character: char| !character.is_alphanumeric() && character != '_')
        .unwrap_or(text.len())
}

/// A source without comments and without what is for tests only.
pub(crate) fn code_of(text: &str) -> String {
    let text = without_comments(text);
    let is_tests = |at: usize, mark: &str| {
        let line = text[at + mark.len()..].lines().next();
        line.is_some_and(|line| line.trim_end().ends_with('{'))
    };
    let mut marks = text.match_indices("\n#[cfg(test)]\nmod ");
    let end = marks.find(|(at, mark)| is_tests(*at, mark)).map(|(at, _)| at);
    let mut code: Vec<&str> = text[..end.unwrap_or(text.len())].lines().collect();
    let is_for_tests: Vec<bool> = code
        .iter()
        .map(|line| line.starts_with("#[cfg(test") || line.starts_with("#[cfg(all(test"))
        .collect();
    for (line, _) in code.iter_mut().skip(1).zip(&is_for_tests).filter(|(_, is)| **is) {
        *line = "";
    }
    let code = code.join("\n");
    // Visible does not mean used.
    let mut parts = code.split("pub(in ");
    let first = parts.next().unwrap_or_default().to_owned();
    let visible = parts.map(|part| part.split_once(')').map_or(part, |(_, rest)| rest));
    visible.fold(first, |code, part| code + "pub" + part)
}

/// A source without what follows `//` on a line, unless that is in a string.
fn without_comments(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['/', '"', '\'']) {
        let (before, from) = rest.split_at(at);
        code += before;
        let length = match &from[..1] {
            "/" if from.starts_with("//") => {
                rest = &from[from.find('\n').unwrap_or(from.len())..];
                continue;
            }
            "\"" => match raw_end(before) {
                Some(end) => from[1..].find(&end).map(|at| 1 + at + end.len()),
                None => string_length(from),
            },
            // A quotation mark as a character does not begin a string; a lifetime has no second mark.
            "'" if from.starts_with("'\"'") || from.starts_with("'\\") => Some(3),
            _ => Some(1),
        };
        let (kept, after) = from.split_at(length.unwrap_or(from.len()));
        code += kept;
        rest = after;
    }
    code + rest
}

/// What ends the raw string that begins after `before`; `None` if the string is not raw.
fn raw_end(before: &str) -> Option<String> {
    let front = before.trim_end_matches('#');
    let front = front.strip_suffix('r')?;
    let is_name = |character: char| character.is_alphanumeric() || character == '_';
    let is_raw = !front.strip_suffix('b').unwrap_or(front).ends_with(is_name);
    is_raw.then(|| {
        format!(
            "\"{}",
            "#".repeat(before.len() - before.trim_end_matches('#').len())
        )
    })
}

/// The octets of the string that begins here, its quotation marks included.
fn string_length(text: &str) -> Option<usize> {
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => drop(characters.next()),
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The sources of a crate by module, its tests left out.
pub(crate) fn sources(folder: &Path) -> Sources {
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

#[test]
fn comments_go_and_strings_stay() {
    for (text, code) in [
        ("a // b\nc", "a \nc"),
        ("/// \"b\nc", "\nc"),
        ("f(\"http://b\", c) // d", "f(\"http://b\", c) "),
        ("\"a\\\"// b\" // c", "\"a\\\"// b\" "),
        ("\"a\n// b\" // c", "\"a\n// b\" "),
        ("r#\"a\"// b\"# // c", "r#\"a\"// b\"# "),
        ("r\"a\\\" // c", "r\"a\\\" "),
        ("'\"' // c", "'\"' "),
        ("'\\'' // c", "'\\'' "),
        ("b'\\\\' // c", "b'\\\\' "),
        ("&'a str // c", "&'a str "),
        ("a / b", "a / b"),
    ] {
        assert_eq!(without_comments(text), code, "{text}");
    }
}

#[test]
fn only_what_is_for_tests_goes() {
    for (text, code) in [
        ("#[cfg(test)]\nmod a;\nmod b;", "#[cfg(test)]\n\nmod b;"),
        (
            "#[cfg(all(test, unix))]\nmod a;\nmod b;",
            "#[cfg(all(test, unix))]\n\nmod b;",
        ),
        (
            "#[cfg(not(test))]\nmod a;\nmod b;",
            "#[cfg(not(test))]\nmod a;\nmod b;",
        ),
        ("a\n#[cfg(test)]\nmod tests {\n    b\n}", "a"),
    ] {
        assert_eq!(code_of(text), code);
    }
}
